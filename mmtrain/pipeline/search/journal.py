"""The journal of a search, the file with every change of its study, and locks between the processes that share it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mmtrain.system.locks import LocksUnsupportedError, acquire, is_held

JOURNAL = "journal.log"
"""File of the run folder with every change of the study."""
JOURNAL_LOCK = f".{JOURNAL}.lock"


class FileLock:
    """A lock on a file, for `JournalFileBackend`: the system releases it however its process ends.

    On a file system without locks it is Optuna's lock, the existence of a file; one that a killed process left is taken over after 30 s.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._substitute: Any = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._path.touch()
        try:
            self._descriptor = acquire(self._path)
        except LocksUnsupportedError:
            from optuna.storages.journal import JournalFileOpenLock

            self._substitute = JournalFileOpenLock(str(self._path))
            self._substitute.acquire()
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        else:
            self._substitute.release()

    def is_held(self) -> bool:
        """Return whether another process has the lock."""
        return is_held(self._path)

    def remove(self) -> None:
        """Remove the file of a lock that nobody needs any more."""
        self._path.unlink(missing_ok=True)


def mend_journal(folder: Path) -> None:
    """Cut off a last line without its end, which the crash of a machine may leave; Optuna would refuse the file."""
    if not (folder / JOURNAL).is_file():
        return
    lock = FileLock(folder / JOURNAL_LOCK)
    lock.acquire()
    with (folder / JOURNAL).open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)
    lock.release()
