"""One thing that was found in the data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.artifacts.inspection_results import Finding, Level
from mmtrain.errors import counted, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmtrain.data.tables.table_file import TableFile

__all__ = ["Finding", "Level"]

LEVELS: tuple[Level, ...] = ("error", "warning", "note")

SHOWN_ROWS = 5
"""Rows of a finding that are named; the rest are counted."""


MOST_OF_A_KIND = 3
"""Findings of one kind that are shown unless all are asked for."""


@dataclass(frozen=True)
class Kind:
    """All findings of one kind and level, the worst first."""

    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The number of all of them."""
        return self.findings[0].level

    @property
    def title(self) -> str:
        """`equal columns`."""
        return self.findings[0].kind.replace("_", " ")

    @property
    def worst(self) -> tuple[Finding, ...]:
        """Those that are shown."""
        return self.findings[:MOST_OF_A_KIND]

    @property
    def more(self) -> int:
        """How many are not shown."""
        return len(self.findings) - len(self.worst)

    def line(self, every: str) -> tuple[str, str, str, str]:
        """Return what was found, why it matters, what to do and in which rows, in one line; `every` says how to see all of them.

        Of several findings what to do is said where it is the same for all; rows are left to each by itself.
        """
        first = self.findings[0]
        if len(self.findings) == 1:
            return f"{first.where}: {first.what}", first.why, first.fix, describe_column(first)
        shown = "; ".join(f"{one.where}: {one.what.rstrip('.')}" for one in self.worst)
        more = f"; and {self.more:,} more" if self.more else ""
        same = len({one.fix for one in self.findings}) == 1
        return f"{self.title} ({len(self.findings):,}): {shown}{more}.", first.why, first.fix if same else "", every


def by_kind(findings: Iterable[Finding]) -> list[Kind]:
    """One for each kind and level, in the order in which their first findings stand."""
    kinds: dict[tuple[Level, str], list[Finding]] = {}
    for one in findings:
        kinds.setdefault((one.level, one.kind), []).append(one)
    return [Kind(tuple(sorted(group, key=lambda one: (-one.strength, -one.count)))) for group in kinds.values()]


def by_level(findings: Iterable[Finding], file: TableFile) -> tuple[Finding, ...]:
    """With the places of their rows in `file`; errors first, then warnings, then notes, those of a level in the order they were found."""
    ordered = sorted(findings, key=lambda finding: LEVELS.index(finding.level))
    return tuple(
        one.model_copy(update={"places": tuple(file.number(row) for row in one.rows), "unit": file.unit}) if one.rows else one
        for one in ordered
    )


def describe_column(finding: Finding) -> str:
    """`Lines 3, 8 and 2 more.` or `Files a.png and 9 more.`; nothing where it is about none in particular."""
    shown: tuple[object, ...] = finding.files or finding.places
    if not shown:
        return ""
    total = max(finding.count, len(shown))
    noun = "File" if finding.files else finding.unit.capitalize()
    more = [f"{total - len(shown):,} more"] if total > len(shown) else []
    return f"{noun}{'s' if total > 1 else ''} {listed([*shown, *more], most=len(shown) + 1)}."


def sample_rows(findings: Iterable[Finding]) -> str:
    """`2 errors, 3 warnings, 1 note`."""
    levels = [finding.level for finding in findings]
    return ", ".join(counted(levels.count(level), level) for level in LEVELS if level in levels)


def first_rows(rows: NDArray[np.int64]) -> tuple[int, ...]:
    """The first `SHOWN_ROWS` of some rows, (n,)."""
    return tuple(np.sort(rows)[:SHOWN_ROWS].tolist())
