"""Locks between the processes of a machine, by filelock: `flock` on Linux and macOS, `LockFileEx` on Windows.

The system releases a lock when its process ends, however it ends. A lock is on the file or folder itself. Windows, however, opens no
folders, and lets nobody read, rename or remove a file that is locked: there the lock is on an empty file among the temporary files of
the user.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EWOULDBLOCK
from hashlib import sha256
from pathlib import Path

ON_SEPARATE_FILES = os.name == "nt"
"""True where a lock is on a file among the temporary files; see above."""
POLL_SECONDS = 0.01
"""Time between two attempts to have a lock that another process holds; filelock's default of 0.05 s is five times a change of run.json."""

FOLDER_LOCK = ".folder-lock"
"""File that is locked in place of its folder, where the file system locks files only."""


class LocksUnsupportedError(OSError):
    """The file system has no locks, NFS for instance."""


def acquire(path: Path, *, wait: bool = True) -> int:
    """Lock an existing file or folder; return the descriptor that keeps the lock until it is closed.

    Raises:
        BlockingIOError: another process or thread has the lock, and `wait` is False.
        LocksUnsupportedError: the file system has no locks.
        OSError: nothing is there, or it cannot be opened.

    """
    from filelock import lock_descriptor  # 0.06 s

    descriptor = _open(path)
    try:
        locked = lock_descriptor(descriptor, blocking=wait, poll_interval=POLL_SECONDS)
    except OSError as error:
        os.close(descriptor)
        raise LocksUnsupportedError(error.errno, error.strerror, str(path)) from error
    except BaseException:  # interrupted while it waits
        os.close(descriptor)
        raise
    if not locked:
        os.close(descriptor)
        raise BlockingIOError(EWOULDBLOCK, "locked by another process", str(path))
    return descriptor


def is_held(path: Path) -> bool:
    """Return whether another process has the lock of a file; False where there is no such file, or no locks."""
    try:
        os.close(acquire(path, wait=False))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file or folder for the block; without effect on a file system without locks. Raises as `acquire` does."""
    descriptor = None
    with suppress(LocksUnsupportedError):
        try:
            descriptor = acquire(path, wait=wait)
        except LocksUnsupportedError:
            if not path.is_dir():
                raise
            # NFS locks only files that are open for writing, and a folder cannot be.
            (path / FOLDER_LOCK).touch()
            descriptor = acquire(path / FOLDER_LOCK, wait=wait)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def write_locked(path: Path, descriptor: int, text: str) -> None:
    """Replace the text of a file whose lock this process has."""
    if ON_SEPARATE_FILES:
        path.write_text(text, encoding="utf-8")
        return
    # Not by another descriptor: over NFS, closing that would release the lock.
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, text.encode())


def _open(path: Path) -> int:
    if ON_SEPARATE_FILES:
        folder = Path(tempfile.gettempdir(), "mmtrain-locks")
        folder.mkdir(exist_ok=True)
        path.stat()  # as on other systems, an error where nothing is there
        return os.open(folder / sha256(os.path.realpath(path).encode()).hexdigest(), os.O_RDWR | os.O_CREAT, 0o666)
    if path.is_dir():
        return os.open(path, os.O_RDONLY)
    try:
        return os.open(path, os.O_RDWR)  # over NFS, a file that is open for reading cannot be locked
    except PermissionError:
        return os.open(path, os.O_RDONLY)
