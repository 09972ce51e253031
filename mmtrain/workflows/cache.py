"""`mmtrain cache`: which image stores there are, and removing them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.data.image_cache import PIXELS, Entry, State, cache_folder, entries, manifest, remove

_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Stored:
    """A store, or what is left of one. `size` is in bytes on the disk, `used` in seconds since 1970."""

    folder: Path
    state: State
    layout: str
    """`128 x 128 x 3, stretch`: height, width, channels; empty where it cannot be told."""
    pictures: int
    source: str
    """The folder of the first picture."""
    size: int
    used: float

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return vars(self) | {"folder": str(self.folder), "used": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.used))}


@dataclass(frozen=True)
class Cleared:
    """What was removed, and what could not be."""

    removed: tuple[Stored, ...]
    failed: tuple[Stored, ...]
    kept: int
    """Stores that were used too lately, or are being built."""


def stored(folder: Path | None = None) -> list[Stored]:
    """What is in the cache at `folder`, or in the usual one; used last comes first."""
    return sorted((_described(entry) for entry in entries(folder or cache_folder())), key=lambda one: (-one.used, str(one.folder)))


def clear(folder: Path | None = None, *, older_than: float = 0.0) -> Cleared:
    """Remove the stores that were last used more than `older_than` days ago; never one that is being built."""
    latest = time.time() - older_than * _DAY
    found = stored(folder)
    chosen = [one for one in found if one.state != "being built" and (not older_than or one.used < latest)]
    gone = {one.folder: remove(one.folder) for one in chosen}
    return Cleared(
        tuple(one for one in chosen if gone[one.folder]),
        tuple(one for one in chosen if not gone[one.folder]),
        len(found) - len(chosen),
    )


def _described(entry: Entry) -> Stored:
    """An entry with what its manifest and the head of its array say. A store whose array cannot be opened is a damaged one."""
    state, pictures, layout, source = entry.state, 0, "", ""
    lines = manifest(entry.path) if state == "complete" else []
    if len(lines) > 1:
        try:
            shape = np.load(entry.path / PIXELS, mmap_mode="r").shape
            pictures, layout = int(shape[0]), f"{' x '.join(map(str, shape[1:]))}, {_resize(lines[1])}"
        except (OSError, ValueError):
            state = "damaged"
    if len(lines) > 2:
        source = str(Path(json.loads(lines[2].split(" ", 2)[2])).parent)
    return Stored(entry.path, state, layout, pictures, source, entry.size, entry.used)


def _resize(line: str) -> str:
    layout = json.loads(line)
    return f"{layout['resize']}, 16 bits" if layout["bits"] == 16 else str(layout["resize"])
