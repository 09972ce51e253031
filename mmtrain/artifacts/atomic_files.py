"""Files and folders that are written whole or not at all, and the hash of a file."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmtrain.errors import Problem, RunError
from mmtrain.system.locks import acquire, locked


@contextmanager
def atomic_write(path: Path, suffix: str = "") -> Iterator[Path]:
    """A temporary path next to `path`, with this suffix; its file or folder replaces `path` if the block ends without an error."""
    # In the same folder, since a rename is atomic within one file system only; random, since several processes may write `path`.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp{suffix}")
    try:
        yield temporary
        # `os.replace` also replaces an existing file; a non-empty folder has to be removed before.
        os.replace(temporary, path)
    finally:
        if temporary.is_dir() and not temporary.is_symlink():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, *, others: bool = False) -> Iterator[Path]:
    """`atomic_write` with a new folder, on which this process holds a lock for as long as the block lasts.

    First it removes temporary folders of this name, with `others` of every name, that killed processes have left next to `path`: those
    without a lock. The parent folder must exist.
    """
    with atomic_write(path) as temporary:
        with locked(path.parent):  # else another process could take the new folder for a leftover before it is locked
            for leftover in _leftovers(path, others=others):
                shutil.rmtree(leftover, ignore_errors=True)
            temporary.mkdir()
            lock = _acquire(temporary)
        try:
            yield temporary
        finally:
            if lock is not None:
                os.close(lock)


def _leftovers(path: Path, *, others: bool) -> list[Path]:
    """Temporary folders next to `path` without a lock; the kernel releases the locks of killed processes."""
    name = re.compile(rf"\.{'.+' if others else re.escape(path.name)}\.[0-9a-f]{{8}}\.tmp")
    abandoned = []
    for folder in path.parent.iterdir():
        if name.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            # A lock that can be had means that its builder is gone.
            lock = _acquire(folder)
            if lock is not None:
                os.close(lock)
                abandoned.append(folder)
    return abandoned


def _acquire(folder: Path) -> int | None:
    """Return a descriptor that locks the folder until it is closed; None if another process has it, or without locks."""
    with suppress(OSError):
        return acquire(folder, wait=False)
    return None


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a lost folder into RunError; errors of other files, which the block may read, pass through."""
    try:
        yield
    except OSError as error:
        # Without a file name it is an error of a write (ENOSPC), and only `path` is written in the block.
        # The block may also read other files, whose errors are not those of `path`.
        if error.filename is not None and not _leads_to(Path(os.fsdecode(error.filename)).absolute(), path.absolute()):
            raise
        what = f"the file cannot be written: {(error.strerror or str(error)).lower()}."
        fix = "Make its folder first" if isinstance(error, FileNotFoundError) else "Make room"
        raise RunError(Problem(str(path), what, f"{fix}, or choose another folder.")) from error


def _leads_to(place: Path, path: Path) -> bool:
    """Return True if `place` is `path`, a folder above it, something in it, or its temporary file."""
    return path.is_relative_to(place) or str(place).startswith((str(path), str(path.with_name(f".{path.name}."))))


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
