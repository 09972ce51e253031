"""The contract of a column's summary: an accumulator, the statistics that it gives, and the drift between two of them.

`FittedColumn.accumulator` makes one. The same class counts training rows and rows that are predicted, in one pass and in memory that
does not grow with the rows.

A share has drifted when it exceeds what training lets expect by more than five hundredths of the rows and three standard errors:
less changes few predictions, or may be random. A mean has drifted when it has moved by more than half a standard deviation (a
medium effect: Cohen 1988) and three standard errors. So a single row is seldom reported, and a large table always by its size
of change, never by its number of rows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field

from mmtrain.registry import OneOf, Registry, Section

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]

LEAST_SHARE = 0.05
LEAST_SHIFT = 0.5
"""Standard deviations."""
STANDARD_ERRORS = 3.0


class ColumnStatistics(Section):
    """Statistics of one column, as statistics.json holds them; `kind` says which class reads them."""

    kind: str
    rows: int
    missing: int

    def drift(self, now: Any) -> dict[str, str]:
        """Return how `now`, statistics of the same class, differs from these of training: a sentence by sort of change."""
        total, usual = now.rows + now.missing, share(self.missing, self.rows + self.missing)
        if not exceeds(now.missing, total, usual):
            return {}
        return {"missing": f"{percent(now.missing, total)} of the rows have no usable value, in training {usual:.0%}."}


def drift_of_range(rows: int, outside: int, total: int, noun: str, reach: str) -> dict[str, str]:
    """Return a sentence, by the key `range`, if too many values lie outside the range of training; empty otherwise.

    Of values like the n of training, two in n + 1 are to be expected outside their range.

    Args:
        rows: Number of values in training, n.
        outside: Number of later values outside the range.
        total: Number of later values.
        noun: The values in the plural.
        reach: The range in words.
    """
    if not rows or not exceeds(outside, total, min(1.0, 2 / (rows + 1))):
        return {}
    return {"range": f"{percent(outside, total)} of the {noun} lie outside those of training, {reach}."}


statistics_kinds: Registry[type[ColumnStatistics]] = Registry("kind of statistics")
AnyStatistics = Annotated[ColumnStatistics, OneOf("kind", lambda: dict(statistics_kinds.items()))]


class Statistics(Section):
    """The content of statistics.json; columns by key."""

    model_config = ConfigDict(defer_build=True)

    columns: dict[str, AnyStatistics] = Field(description="By key; a role without a summary has none.")


@dataclass(frozen=True)
class SeenRows:
    """Some rows of one column, as an accumulator takes them; what it does not read may be left out."""

    cells: pd.Series[str] | None = None
    raw: Array | None = None
    """Made of the cells by `FittedColumn.raw`."""
    entries: Array | None = None
    """Encoded, (rows, *spec.shape)."""
    present: Array | None = None
    """(rows, 1)."""
    paths: Sequence[Path | bytes] = ()
    """Files of images."""
    counted: bool = False
    """True if these rows are some of those that were counted before, given once more for what is in their entries."""

    def require(self, part: Literal["raw", "entries", "present"]) -> Array:
        """Return an array that an accumulator reads. Raises ValueError if it was left out."""
        values: Array | None = getattr(self, part)
        if values is None:
            raise ValueError(f"a summary of these rows needs `{part}`.")
        return values


class Accumulator(ABC):
    """Adds up rows of one column; one that is given the statistics of training rows counts what differs from them as well."""

    reads: ClassVar[Literal["cells", "entries", "images"]] = "entries"
    """The form of training rows that it learns from: cells and what `raw` makes of them, encoded entries, or a sample of images."""

    @abstractmethod
    def add(self, seen: SeenRows) -> None:
        """Count the next rows."""

    @abstractmethod
    def statistics(self) -> ColumnStatistics:
        """Return the statistics of all rows so far."""

    def drift(self, learned: ColumnStatistics, *, folder_hint: str = "") -> dict[str, str]:  # noqa: ARG002
        """Return how the rows differ from those of training: a sentence by sort of change; `folder_hint` asks for the images folder."""
        return learned.drift(self.statistics())


class Moments:
    """Mean, standard deviation and range of numbers that come in chunks (Chan, Golub and LeVeque 1979)."""

    def __init__(self) -> None:
        self.count = 0
        self.minimum, self.maximum = math.inf, -math.inf
        self.mean = 0.0
        self._squares = 0.0

    def add(self, values: Array) -> None:
        """Add some, (n,)."""
        if not len(values):
            return
        mean, total = float(values.mean()), self.count + len(values)
        shift = mean - self.mean
        # Pairwise update of the sum of squares: within the chunk, plus the shift between both means.
        self._squares += float(np.square(values - mean).sum()) + shift * shift * self.count * len(values) / total
        self.mean += shift * len(values) / total
        self.count = total
        self.minimum, self.maximum = min(self.minimum, float(values.min())), max(self.maximum, float(values.max()))

    @property
    def deviation(self) -> float:
        """Standard deviation of all numbers so far; 0 without any, and of equal ones, whose mean may be rounded."""
        return float(np.sqrt(self._squares / self.count)) if self.minimum < self.maximum else 0.0


def exceeds(count: int, rows: int, usual: float) -> bool:
    """Return whether `count` of `rows` is more than a share of `usual` lets expect; the module says by how much."""
    # Near 0 and 1 the binomial error vanishes; at least `LEAST_SHARE` is assumed, at most 1.
    likely = min(max(usual, LEAST_SHARE), 1.0)
    # The tolerated excess, and three binomial standard errors.
    return rows > 0 and count / rows > usual + LEAST_SHARE + STANDARD_ERRORS * math.sqrt(likely * (1 - likely) / rows)


def share(count: int, rows: int) -> float:
    """0 of no rows."""
    return count / rows if rows else 0.0


def percent(count: int, rows: int) -> str:
    """`12%`."""
    return f"{share(count, rows):.0%}"


def shifted(now: float, before: float, deviation: float, rows: int) -> str:
    """Return by how many standard deviations a mean has moved, in words; empty where it has not, in view of the number of rows."""
    shift = abs(now - before) / deviation if deviation else 0.0
    # The standard error of a mean is deviation / sqrt(rows), so in deviations 1 / sqrt(rows).
    if shift <= LEAST_SHIFT + STANDARD_ERRORS / math.sqrt(rows):
        return ""
    return f"{f'{shift:.1f}' if shift < 1000 else 'more than 1,000'} standard deviations away"
