"""The lock of a run: one training process at a time. The kernel releases it when the process ends, however it ends."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mmtrain.artifacts.atomic_files import disk_errors
from mmtrain.artifacts.run_folder import LOCK, Run
from mmtrain.errors import Problem, RunInUseError
from mmtrain.system.locks import LocksUnsupportedError, acquire, is_held, write_locked


@contextmanager
def run_lock(run: Run) -> Iterator[None]:
    """Keep other processes from training the run. Raises RunInUseError, which names the process, if one trains it already.

    On a file system without locks it has no effect.
    """
    descriptor = _acquire(run)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)  # the file stays: another process may have it open and wait for the lock


@contextmanager
def lock_unless_in_use(run: Run) -> Iterator[bool]:
    """Lock the run for the block as `run_lock` does, and yield True; yield False if another process trains it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(run_lock(run))
        except RunInUseError:
            free = False
        else:
            free = True
        yield free


def is_locked(run: Run) -> bool:
    """Return whether another process trains the run now; False on a file system without locks."""
    return is_held(run / LOCK)


def run_of_process(folder: Path, process: int) -> Run | None:
    """Return the newest run below `folder` that this process of this machine has trained, None if there is none."""
    holder = _holder(process)
    # Not through the link `latest`, which another training may move.
    locks = [path for path in folder.glob(f"*/{LOCK}") if not path.parent.is_symlink()]
    locks.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return next((Run(path.parent) for path in locks if path.read_text(encoding="utf-8", errors="replace") == holder), None)


def _holder(process: int) -> str:
    """Return the name of a process in the lock that it holds."""
    return f"process {process} on {platform.node()}"


def _acquire(run: Run) -> int | None:
    """Return the descriptor of the lock; None on a file system without locks."""
    with disk_errors(run / LOCK):
        if not (run / LOCK).exists():  # its time is that of the last training
            (run / LOCK).touch()
        try:
            descriptor = acquire(run / LOCK, wait=False)
        except BlockingIOError:
            # A process that has the lock may not have written its name yet.
            who = (run / LOCK).read_text(encoding="utf-8", errors="replace") or "another process"
            what = f"the run is being trained by {who}."
            raise RunInUseError(Problem(str(run.folder), what, "Wait until that has ended, or interrupt it first.")) from None
        except LocksUnsupportedError:
            return None
        write_locked(run / LOCK, descriptor, _holder(os.getpid()))
    return descriptor
