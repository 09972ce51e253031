"""Checks of paths that a user gives, before anything is opened, with the problem in words.

Reading a named pipe blocks for ever and reading a device may never end, so anything but a regular file is refused by its kind. Checking
a path can itself fail: a name may be too long, a folder unreadable, a link may lead to itself.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mmtrain.errors import Problem

Wanted = Literal["file", "folder"]
LONGEST = 300
"""Maximum number of characters of a path in a message; one that is refused for its length may have thousands."""

KINDS = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
PATTERN_SIGNS = ("*", "?")
"""Signs by which a path is a pattern of several files."""
CLOSED = (errno.EACCES, errno.EPERM)
ABSENT = (errno.ENOENT, errno.ENOTDIR)
SYSTEM_REFUSALS = {
    **dict.fromkeys(CLOSED, ("permission denied", "Change the permissions of the file or of its folder, or choose another.")),
    errno.ENAMETOOLONG: ("the path is too long", "A name may have 255 bytes, a whole path 4,096."),
    errno.ELOOP: ("the link leads back to itself", "Make the link again, or give the path of its target."),
    errno.EROFS: ("this disk can only be read", "Choose a folder on another."),
    errno.ENOSPC: ("the disk is full", "Make room, or choose another folder."),
    errno.EDQUOT: ("this user's share of the disk is full", "Make room, or choose another folder."),
    errno.EIO: ("the disk cannot be read or written", "Check the disk, or copy the file again."),
    errno.ESTALE: ("the network drive has lost the file", "Mount the drive again."),
    errno.EMFILE: ("too many files are open", "Allow more of them (`ulimit -n`)."),
    errno.ENFILE: ("too many files are open on this machine", "Close other programs."),
}
"""Refusals of the system that are not bugs of mmtrain, with their remedy. A missing file is none of them, as it may be a bug."""


@dataclass(frozen=True)
class PathFault:
    """The reason why a path cannot be used: a phrase, `is a named pipe, not a file`, and what would be right."""

    what: str
    fix: str
    absent: bool = False
    """True if nothing exists at the path, so that another name may be meant."""
    kind: str = ""
    """Kind of the thing that exists instead, `a named pipe`; empty if the kind is not the problem."""

    def problem(self, where: object, noun: str) -> Problem:
        """Return the problem in a sentence, `the table is a named pipe, not a file.`, with its place."""
        place = str(where)
        short = place if len(place) <= LONGEST else f"{place[: LONGEST // 2]} ... {place[-LONGEST // 2 :]}"
        return Problem(short, f"{noun} {self.what}.", self.fix)


def input_fault(path: Path, wanted: Wanted = "file") -> PathFault | None:
    """Return why `path` cannot be read as a file, or listed as a folder; None if it can."""
    status = _status(path)
    if isinstance(status, PathFault):
        return status
    if kind := _other_kind(status, wanted):
        return PathFault(f"is {kind}, not a {wanted}", f"Give the path of a {wanted}.", kind=kind)
    # effective_ids, where supported: the rights of the user under whom the process runs, for instance with sudo.
    access = os.R_OK if wanted == "file" else os.R_OK | os.X_OK
    if not os.access(path, access, effective_ids=os.access in os.supports_effective_ids):
        return PathFault("cannot be read by this user", "Change its permissions.")
    return None


def output_fault(path: Path) -> PathFault | None:
    """Return why no file can be written at `path`, or None; an existing path must be a regular file."""
    # A missing folder is the cause; everything else about it shows at the file.
    folder = input_fault(path.parent, "folder")
    if folder is not None and folder.absent:
        return PathFault(f"cannot be written: there is no folder {path.parent}", "Make it first, or choose another one.")
    status = _status(path)
    if isinstance(status, PathFault):
        return None if status.absent else status
    kind = _other_kind(status, "file")
    return PathFault(f"is {kind}, not a file", "Choose another name.") if kind else None


def _status(path: Path) -> os.stat_result | PathFault:
    try:
        return path.stat()
    except ValueError:
        return PathFault("has a path with a null character, which no file can have", "Remove it.")
    except OSError as error:
        if error.errno in ABSENT:
            return _absent(path)
        if error.errno in CLOSED:
            return PathFault("cannot be accessed by this user", "Change the permissions of its folders.")
        what, fix = SYSTEM_REFUSALS.get(error.errno or 0, ((error.strerror or str(error)).lower(), "Check the path."))
        return PathFault(f"cannot be used: {what}", fix)


def _absent(path: Path) -> PathFault:
    with suppress(OSError, ValueError):
        return PathFault(f"is a link to {os.readlink(path)}, which does not exist", "Make the link again.")
    return PathFault("does not exist", "Check the path.", absent=True)


def _other_kind(status: os.stat_result, wanted: Wanted) -> str:
    """Return the kind of the thing that exists instead; empty if it is the wanted one."""
    kind = next((name for is_kind, name in KINDS if is_kind(status.st_mode)), "a special file")
    return "" if kind == f"a {wanted}" else kind


def run_folder_name(stem: str) -> str:
    """Return `Clinic-final` for `Clinic, final`: a file may have a name that a run folder may not."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._") or "experiment"


def table_folder(table: Path) -> Path:
    """Return the folder of a table, by which image cells start; of a pattern of files the one before its first sign.

    >>> table_folder(Path("data/visits.csv")).name, table_folder(Path("data/visits/*/part-*.parquet")).name
    ('data', 'visits')
    """
    signs = [place for place, part in enumerate(table.parts) if any(sign in part for sign in PATTERN_SIGNS)]
    return Path(*table.parts[: signs[0]]) if signs and not table.exists() else table.parent


def refused_by_system(error: OSError) -> Problem | None:
    """Return the problem for an error of the operating system; None if it may be a bug of mmtrain."""
    if error.errno not in SYSTEM_REFUSALS or error.filename is None:
        return None
    what, fix = SYSTEM_REFUSALS[error.errno]
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)]
    return Problem(" -> ".join(names), f"{what}.", fix) if names else None


def home() -> Path | None:
    """Return the home folder of the user; None in a container whose user has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def cache_folder() -> Path:
    """Return the folder of image stores and encoded columns: `MMTRAIN_CACHE`, or `mmtrain` in the user's cache folder.

    For a user without a home folder it is among the temporary files, see `homeless_cache`.
    """
    if configured := os.environ.get("MMTRAIN_CACHE"):
        return Path(configured)
    if user_caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(user_caches) / "mmtrain"
    folder = home()
    return folder / ".cache" / "mmtrain" if folder is not None else homeless_cache()


def homeless_cache() -> Path:
    """Return a folder among the temporary files that only this user can write to.

    Raises:
        PermissionError: another user was there first.

    """
    if not hasattr(os, "geteuid"):  # Windows, whose temporary files are in a folder of the user
        folder = Path(tempfile.gettempdir(), "mmtrain")
        folder.mkdir(exist_ok=True)
        return folder
    folder = Path(tempfile.gettempdir(), f"mmtrain-{os.geteuid()}")
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()  # lstat: a link that another user put there must not be followed
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise PermissionError(errno.EACCES, "another user may write there", str(folder))
    return folder


def is_homeless() -> bool:
    """Return True if the cache is among the temporary files because the user has no home folder."""
    return not os.environ.get("MMTRAIN_CACHE") and not os.environ.get("XDG_CACHE_HOME") and home() is None
