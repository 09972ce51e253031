"""Files that are written whole or not at all, and the hash that knows them again."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmtrain.errors import Problem, RunError


@contextmanager
def atomic_write(path: Path, suffix: str = "") -> Iterator[Path]:
    """A temporary path beside `path`, of this suffix; what is written there takes the place of `path` if the block ends well."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp{suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        if temporary.is_dir() and not temporary.is_symlink():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path, *, others: bool = False) -> Iterator[Path]:
    """`replacing` with a folder that is made, and that this process holds a lock on for as long as the block lasts.

    By that lock what killed processes have left is told from what is being written: of the same name, or with `others` all that has
    such a name beside it, is removed first. The folder around it must be there.
    """
    with atomic_write(path) as temporary:
        with _locked(path.parent):  # so that nobody takes the new folder for a leftover before it is locked
            for leftover in _leftovers(path, others=others):
                shutil.rmtree(leftover, ignore_errors=True)
            temporary.mkdir()
            lock = _lock(temporary)
        try:
            yield temporary
        finally:
            if lock is not None:
                os.close(lock)


def _leftovers(path: Path, *, others: bool) -> list[Path]:
    """Temporary folders beside `path` that nobody holds a lock on any more."""
    name = re.compile(rf"\.{'.+' if others else re.escape(path.name)}\.[0-9a-f]{{8}}\.tmp")
    found = []
    for folder in path.parent.iterdir():
        if name.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            lock = _lock(folder, wait=False)
            if lock is not None:
                os.close(lock)
                found.append(folder)
    return found


def _lock(folder: Path, *, wait: bool = True) -> int | None:
    """A descriptor that locks the folder until it is closed; None where another process has it, or the file system knows no locks."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = _lock(folder)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """A full disk or a lost folder is no bug of ours; what a block that also reads says of other files passes."""
    try:
        yield
    except OSError as error:
        if error.filename is not None and not _leads_to(Path(os.fsdecode(error.filename)).absolute(), path.absolute()):
            raise
        what = f"the file cannot be written: {(error.strerror or str(error)).lower()}."
        fix = "Make its folder first" if isinstance(error, FileNotFoundError) else "Make room"
        raise RunError(Problem(str(path), what, f"{fix}, or choose another folder.")) from error


def _leads_to(place: Path, path: Path) -> bool:
    """Return True if `place` is `path`, a folder around it, something in it, or its temporary file."""
    return path.is_relative_to(place) or str(place).startswith((str(path), str(path.with_name(f".{path.name}."))))


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
