"""One thing that was found in the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]
"""error: scores would be wrong; warning: they may be; note: good to know."""


@dataclass(frozen=True)
class Finding:
    """What was found, where, why it matters and what to do."""

    level: Level
    kind: str
    """`duplicate_rows`: what to look for in the JSON."""
    where: str
    """Headers of the columns it is about, or the name of the table."""
    what: str
    why: str
    fix: str
    rows: tuple[int, ...] = ()
    """Positions in the table's file, from 0; the first of them."""
    files: tuple[str, ...] = ()
    """Cells of an image column; the first of them."""
    count: int = 0
    """How many rows or files in all."""
