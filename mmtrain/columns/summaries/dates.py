"""Summary of a column of dates: first, median and last date; dates before and after those of training."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from mmtrain.columns.summaries.base import Accumulator, ColumnStatistics, SeenRows, drift_of_range, statistics_kinds
from mmtrain.columns.summaries.numbers import QUANTILES_OF
from mmtrain.columns.summaries.quantile_sketch import QuantileSketch
from mmtrain.text.dates import day_name

DAY = 86_400
"""Seconds."""


class DateStatistics(ColumnStatistics):
    """Dates of a column, in days since 1970; all zero where it has none."""

    kind: Literal["date"] = "date"
    first: float
    median: float
    last: float

    def range_drift(self, outside: int, rows: int) -> dict[str, str]:
        """Return the dates outside those of training."""
        return drift_of_range(self.rows, outside, rows, "dates", f"{day_name(self.first)} to {day_name(self.last)}")


statistics_kinds.add("date", DateStatistics)


class DateAccumulator(Accumulator):
    """Adds up `raw`, (rows, 1 or 2) texts of ISO 8601, empty for missing; the first is the date."""

    reads: ClassVar[Literal["cells"]] = "cells"

    def __init__(self, learned: DateStatistics | None = None) -> None:
        self._learned = learned
        self._rows = self._dates = self._outside = 0
        self._days = QuantileSketch(QUANTILES_OF)

    def add(self, seen: SeenRows) -> None:
        """Count dates, and those outside the range of training."""
        raw = seen.require("raw")
        whole = (raw != "").all(axis=1)
        days = raw[whole, 0].astype("datetime64[s]").astype(np.int64) / DAY
        self._rows, self._dates = self._rows + len(whole), self._dates + len(days)
        self._days.add(days)
        if self._learned is not None:
            self._outside += int(((days < self._learned.first) | (days > self._learned.last)).sum())

    def statistics(self) -> DateStatistics:
        """Summarize everything added so far."""
        reach = self._days.range()
        first, median, last = (reach.minimum, reach.median, reach.maximum) if reach else (0.0, 0.0, 0.0)
        return DateStatistics(rows=self._dates, missing=self._rows - self._dates, first=first, median=median, last=last)

    def drift(self, learned: ColumnStatistics, *, folder_hint: str = "") -> dict[str, str]:
        """Return the drift, with dates out of range."""
        sentences = super().drift(learned, folder_hint=folder_hint)
        return sentences | (learned.range_drift(self._outside, self._dates) if isinstance(learned, DateStatistics) else {})
