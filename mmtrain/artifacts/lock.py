"""The lock of a run: one training process at a time. The kernel releases it when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmtrain.artifacts.atomic_files import disk_errors
from mmtrain.artifacts.run_folder import LOCK, Run
from mmtrain.errors import Problem, UsageError


@contextmanager
def run_lock(run: Run) -> Iterator[None]:
    """Keep other processes from training the run. Raises UsageError, which names the process, if one trains it already.

    On a file system without locks it has no effect.
    """
    with disk_errors(run / LOCK):
        descriptor = os.open(run / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _acquire(descriptor, run)
        yield
    finally:
        os.close(descriptor)  # the file stays: another process may have it open and wait for the lock


def is_locked(run: Run) -> bool:
    """Return whether another process trains the run now; False on a file system without locks."""
    if not (run / LOCK).is_file():
        return False
    try:
        with run_lock(run):
            return False
    except UsageError:
        return True


def run_of_process(folder: Path, process: int) -> Run | None:
    """Return the newest run below `folder` that this process of this machine has trained, None if there is none."""
    holder = _holder(process)
    # Not through the link `latest`, which another training may move.
    locks = [path for path in folder.glob(f"*/{LOCK}") if not path.parent.is_symlink()]
    locks.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return next((Run(path.parent) for path in locks if path.read_text(errors="replace") == holder), None)


def _holder(process: int) -> str:
    """Return the name of a process in the lock that it holds."""
    return f"process {process} on {platform.node()}"


def _acquire(descriptor: int, run: Run) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = os.pread(descriptor, 1000, 0).decode() or "another process"  # which has the lock, but has not yet written its name
        what = f"the run is being trained by {who}."
        raise UsageError(Problem(str(run.folder), what, "Wait until that has ended, or interrupt it first.")) from None
    except OSError:  # a file system without locks, NFS for instance
        return
    with disk_errors(run / LOCK):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, _holder(os.getpid()).encode(), 0)
