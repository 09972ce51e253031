"""One thing that was found in the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mmtrain.errors import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

Level = Literal["error", "warning", "note"]
"""error: scores would be wrong; warning: they may be; note: good to know."""

LEVELS: tuple[Level, ...] = ("error", "warning", "note")

SHOWN_ROWS = 5
"""Rows of a finding that are named; the rest are counted."""


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


def by_level(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then notes; those of a level in the order they were found."""
    return tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level)))


def head(findings: Iterable[Finding]) -> str:
    """`2 errors, 3 warnings, 1 note`."""
    levels = [finding.level for finding in findings]
    return ", ".join(counted(levels.count(level), level) for level in LEVELS if level in levels)


def first_rows(rows: NDArray[np.int64]) -> tuple[int, ...]:
    """The first `SHOWN_ROWS` of some rows, (n,)."""
    return tuple(np.sort(rows)[:SHOWN_ROWS].tolist())
