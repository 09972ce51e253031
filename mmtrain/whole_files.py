"""Files that are written whole or not at all, and the hash that knows them again."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmtrain.errors import Problem, RunError


@contextmanager
def replacing(path: Path, suffix: str = "") -> Iterator[Path]:
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
def writing(path: Path) -> Iterator[None]:
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
    """Whether `place` is `path`, a folder around it, something in it, or its temporary self."""
    return path.is_relative_to(place) or str(place).startswith((str(path), str(path.with_name(f".{path.name}."))))


def file_hash(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
