"""`mmtrain cache`: list image stores and encoded columns, and remove them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.artifacts.command_results import CacheEntry
from mmtrain.data.cache import COLUMNS, Entry, entries, manifest, remove
from mmtrain.system.paths import cache_folder

_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class ClearResult:
    """Entries that were removed, that could not be removed, and that were not chosen."""

    removed: tuple[CacheEntry, ...]
    failed: tuple[CacheEntry, ...]
    remaining: int
    """Entries that were used too recently, or are being built."""


def list_entries(folder: Path | None = None) -> list[CacheEntry]:
    """Return the entries of the cache at `folder`, by default the user's; the last used one comes first."""
    return sorted((_described(entry) for entry in entries(folder or cache_folder())), key=lambda one: (-one.used, str(one.folder)))


def clear(folder: Path | None = None, *, older_than: float = 0.0) -> ClearResult:
    """Remove the entries last used more than `older_than` days ago, all of them with 0; never one that is being built."""
    latest = time.time() - older_than * _DAY
    listed_entries = list_entries(folder)
    chosen = [one for one in listed_entries if one.state != "being built" and (not older_than or one.used < latest)]
    removed = {one.folder: remove(one.folder) for one in chosen}
    return ClearResult(
        tuple(one for one in chosen if removed[one.folder]),
        tuple(one for one in chosen if not removed[one.folder]),
        len(listed_entries) - len(chosen),
    )


def _described(entry: Entry) -> CacheEntry:
    """Return an entry with facts from its manifest and the header of its array; an entry whose array cannot be opened is damaged."""
    state, items, layout, source = entry.state, 0, "", ""
    lines = manifest(entry.path, entry.kind) if state == "complete" else []
    if lines:
        try:
            shape = np.load(entry.path / entry.kind.array, mmap_mode="r").shape
            items, layout = int(shape[0]), _layout(entry, shape[1:], json.loads(lines[1]))
            source = _source(entry, lines[2:])
        except (OSError, ValueError, LookupError):
            state = "damaged"
    return CacheEntry(
        folder=entry.path, kind=entry.kind.name, state=state, layout=layout, items=items, source=source, size=entry.size, used=entry.used
    )


def _layout(entry: Entry, shape: tuple[int, ...], about: dict[str, Any]) -> str:
    sides = " x ".join(map(str, shape))
    if entry.kind is COLUMNS:
        return f"{about['header']}, {sides} {about['dtype']}"
    return f"{sides}, {about['resize']}" + (", 16 bits" if about["bits"] == 16 else "")


def _source(entry: Entry, lines: list[str]) -> str:
    """Return the table of a column, or the folder of the first image of a store."""
    if entry.kind is COLUMNS:
        return str(json.loads(lines[0]))
    return str(Path(json.loads(lines[0].split(" ", 2)[2])).parent) if lines else ""
