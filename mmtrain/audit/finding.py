"""Findings: order, grouping by kind, and words for their rows."""

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
"""Rows that a finding names; the rest are counted."""


MOST_OF_A_KIND = 3
"""Findings of one kind that are shown without `--all`."""


@dataclass(frozen=True)
class Kind:
    """All findings of one kind and level, the worst first."""

    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The common level."""
        return self.findings[0].level

    @property
    def title(self) -> str:
        """The kind in words: `equal columns`."""
        return self.findings[0].kind.replace("_", " ")

    @property
    def worst(self) -> tuple[Finding, ...]:
        """The findings that are shown."""
        return self.findings[:MOST_OF_A_KIND]

    @property
    def more(self) -> int:
        """Number of findings that are not shown."""
        return len(self.findings) - len(self.worst)

    def line(self, every: str) -> tuple[str, str, str, str]:
        """Return what was found, why it matters, what to do and in which rows; `every` tells how to see all findings of the kind.

        Several findings share a line: it has the remedy if it is the same for all, and no rows.
        """
        first = self.findings[0]
        if len(self.findings) == 1:
            return f"{first.where}: {first.what}", first.why, first.fix, describe_column(first)
        shown = "; ".join(f"{one.where}: {one.what.rstrip('.')}" for one in self.worst)
        more = f"; and {self.more:,} more" if self.more else ""
        same = len({one.fix for one in self.findings}) == 1
        return f"{self.title} ({len(self.findings):,}): {shown}{more}.", first.why, first.fix if same else "", every


def by_kind(findings: Iterable[Finding]) -> list[Kind]:
    """Group findings by kind and level, in the order of their first findings."""
    kinds: dict[tuple[Level, str], list[Finding]] = {}
    for one in findings:
        kinds.setdefault((one.level, one.kind), []).append(one)
    return [Kind(tuple(sorted(group, key=lambda one: (-one.strength, -one.count)))) for group in kinds.values()]


def by_level(findings: Iterable[Finding], file: TableFile) -> tuple[Finding, ...]:
    """Sort errors, warnings, notes, in a stable order, and add the places of their rows in `file`."""
    ordered = sorted(findings, key=lambda finding: LEVELS.index(finding.level))
    return tuple(
        one.model_copy(update={"places": tuple(file.number(row) for row in one.rows), "unit": file.unit}) if one.rows else one
        for one in ordered
    )


def describe_column(finding: Finding) -> str:
    """Return `Lines 3, 8 and 2 more.` or `Files a.png and 9 more.`; nothing for a finding without rows and files."""
    shown: tuple[object, ...] = finding.files or finding.places
    if not shown:
        return ""
    total = max(finding.count, len(shown))
    noun = "File" if finding.files else finding.unit.capitalize()
    more = [f"{total - len(shown):,} more"] if total > len(shown) else []
    return f"{noun}{'s' if total > 1 else ''} {listed([*shown, *more], most=len(shown) + 1)}."


def sample_rows(findings: Iterable[Finding]) -> str:
    """Return `2 errors, 3 warnings, 1 note`."""
    levels = [finding.level for finding in findings]
    return ", ".join(counted(levels.count(level), level) for level in LEVELS if level in levels)


def first_rows(rows: NDArray[np.int64]) -> tuple[int, ...]:
    """Return the first `SHOWN_ROWS` of some rows, (n,)."""
    return tuple(np.sort(rows)[:SHOWN_ROWS].tolist())
