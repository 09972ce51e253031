"""The folder of the image stores: how they are named, how they are told from what else lies there, and how they are removed.

A store is a folder named by a SHA-256; with `verify: content`, a second part of the name is the digest of the files' bytes.
One that is being built has `.tmp-<process>-<random>` behind its name, and its builder holds a lock on its pixels. A killed
builder loses the lock, so that what it left can be told from what is still being written.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

PIXELS, UNREADABLE, MANIFEST = "pixels.npy", "unreadable.json", "manifest.txt"
TITLE = "mmtrain image store"
"""How every manifest begins."""

_NAME = re.compile(r"[0-9a-f]{64}(\.[0-9a-f]{32})?(?P<unfinished>\.tmp-\d+-[0-9a-f]{8})?")
_YOUNG = 60.0
"""Seconds in which a builder that made its folder has surely locked it."""

State = Literal["complete", "damaged", "unfinished", "being built"]


@dataclass(frozen=True)
class Entry:
    """One folder of ours. `size` is in bytes as the disk counts them, `used` in seconds since 1970."""

    path: Path
    state: State
    size: int
    used: float


def cache_folder() -> Path:
    """Where stores are kept: `MMTRAIN_CACHE`, or `mmtrain` in the user's cache folder."""
    if own := os.environ.get("MMTRAIN_CACHE"):
        return Path(own)
    users = os.environ.get("XDG_CACHE_HOME")
    return (Path(users) if users else Path.home() / ".cache") / "mmtrain"


def entries(cache: Path) -> list[Entry]:
    """What builds have put into a folder, by name; links and everything else are passed over."""
    return sorted(_entries(cache), key=lambda entry: entry.path.name)


def _entries(cache: Path) -> Iterator[Entry]:
    try:
        folders = [Path(found.path) for found in os.scandir(cache) if found.is_dir(follow_symlinks=False)]
    except OSError:
        return
    for folder in folders:
        name = _NAME.fullmatch(folder.name)
        if name is None:
            continue
        try:
            statuses = {file.name: file.stat(follow_symlinks=False) for file in os.scandir(folder)}
            changed = folder.stat().st_mtime
        except OSError:  # renamed or removed by another process
            continue
        size = sum(status.st_blocks * 512 for status in statuses.values())
        used = max([changed, *(status.st_mtime for status in statuses.values())])
        if name["unfinished"]:
            yield Entry(folder, "being built" if _in_work(folder, used) else "unfinished", size, used)
        elif PIXELS in statuses and set(statuses) <= {PIXELS, UNREADABLE, MANIFEST}:
            yield Entry(folder, "complete" if len(statuses) == 3 and manifest(folder) else "damaged", size, used)


def manifest(folder: Path) -> list[str]:
    """The first lines of a store's manifest: title, layout as JSON, the first file; empty where it is none of ours."""
    try:
        with (folder / MANIFEST).open(encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in islice(file, 3)]
    except (OSError, UnicodeDecodeError):
        return []
    return lines if lines and lines[0].startswith(TITLE) else []


def _in_work(folder: Path, used: float) -> bool:
    """Whether a process is building here."""
    if time.time() - used < _YOUNG:
        return True
    try:
        with (folder / PIXELS).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def remove(folder: Path) -> bool:
    """Remove an entry: the files of a store and the folder, and nothing that may lie beside them. Whether it is gone."""
    try:
        # The pixels last: they are most of the bytes, and without the manifest what is left no longer counts as whole.
        for name in (MANIFEST, UNREADABLE, PIXELS):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True


def remove_unfinished(cache: Path) -> None:
    """Remove what killed builds have left."""
    for entry in entries(cache):
        if entry.state == "unfinished":
            remove(entry.path)
