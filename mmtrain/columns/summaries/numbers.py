"""Summary of a column of numbers: moments, quartiles and range; another unit, another mean, numbers out of range, words."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from mmtrain.columns.summaries.base import (
    Accumulator,
    Array,
    ColumnStatistics,
    Moments,
    SeenRows,
    drift_of_range,
    shifted,
    statistics_kinds,
)
from mmtrain.columns.summaries.quantile_sketch import QuantileSketch

QUANTILES_OF = 100_000
"""Numbers that quartiles are taken of: they are then right to a third of a percent of the rows."""

UNITS = (2.54, 7.0, 10.0, 12.0, 24.0, 30.44, 60.0, 100.0, 365.25, 1000.0, 3600.0, 1e6, 0.4536, 1.609, 3.281)
"""Centimetres in an inch, days in a week, months in a year, hours, days in a month, minutes, days in a year, and the steps of the
metric system; kilograms in a pound, kilometres in a mile, feet in a metre."""
UNIT_TOLERANCE = 0.1
UNIT_ROWS = 20
"""Quartiles of fewer numbers are too rough to recognise a unit by."""
LONGEST_CELL = 60
"""Characters of a cell that are shown."""


class NumericStatistics(ColumnStatistics):
    """Numbers of a column; all zero where it has none."""

    kind: Literal["numeric"] = "numeric"
    mean: float
    deviation: float
    quartiles: tuple[float, float, float]
    minimum: float
    maximum: float

    def drift(self, now: NumericStatistics) -> dict[str, str]:
        """Missing cells; another unit or, if it is none, another mean."""
        sentences = super().drift(now)
        if not (self.rows and now.rows):
            return sentences
        if factor := self._unit(now):
            times = f"{factor:g} times those of training" if factor > 1 else f"those of training divided by {1 / factor:g}"
            middles = f"median {now.quartiles[1]:.4g}, in training {self.quartiles[1]:.4g}"
            return {**sentences, "unit": f"the numbers look like another unit: they are about {times} ({middles})."}
        if how := shifted(now.mean, self.mean, self.deviation, now.rows):
            sentences["mean"] = f"the mean is {now.mean:.4g}, in training {self.mean:.4g}: {how}."
        return sentences

    def _unit(self, now: NumericStatistics) -> float | None:
        """The factor between two units by which all quartiles have changed: another unit scales every number, other people do not."""
        pairs = list(zip(self.quartiles, now.quartiles, strict=True))
        # A zero, or a change of sign, is not a change of unit.
        if now.rows < UNIT_ROWS or any((old == 0) != (new == 0) or old * new < 0 for old, new in pairs):
            return None
        ratios = [new / old for old, new in pairs if old]
        # Both directions: from inch to centimetre and back.
        for factor in (step for unit in UNITS for step in (unit, 1 / unit)):
            # One quartile alone may move by any factor.
            if len(ratios) > 1 and all(abs(ratio / factor - 1) <= UNIT_TOLERANCE for ratio in ratios):
                return factor
        return None

    def range_drift(self, outside: int, rows: int) -> dict[str, str]:
        """Numbers outside the training range."""
        return drift_of_range(self.rows, outside, rows, "numbers", f"{self.minimum:.4g} to {self.maximum:.4g}")


statistics_kinds.add("numeric", NumericStatistics)


class NumericAccumulator(Accumulator):
    """Adds up `raw` (rows, 1) float64, NaN for missing."""

    reads: ClassVar[Literal["cells"]] = "cells"

    def __init__(self, learned: NumericStatistics | None = None) -> None:
        self._learned = learned
        self._rows = self._outside = 0
        self._moments = Moments()
        self._spread = QuantileSketch(QUANTILES_OF)
        self._first_word = ""

    def add(self, seen: SeenRows) -> None:
        """Count numbers and, once training is known, those out of its range and the first cell that is not a number."""
        values = seen.require("raw")[:, 0]
        known = values[~np.isnan(values)]
        self._rows += len(values)
        self._moments.add(known)
        self._spread.add(known)
        if self._learned is not None:
            self._outside += int(((known < self._learned.minimum) | (known > self._learned.maximum)).sum())
            self._see_words(seen, values)

    def _see_words(self, seen: SeenRows, values: Array) -> None:
        unread = np.flatnonzero(np.isnan(values))
        # Once, the first cell is enough for a message.
        if not self._first_word and seen.cells is not None and len(unread) and len(cells := seen.cells.iloc[unread].dropna()):
            self._first_word = str(cells.iloc[0])[:LONGEST_CELL]

    def statistics(self) -> NumericStatistics:
        """Summarize everything added so far."""
        first, middle, third = self._spread.quantiles((0.25, 0.5, 0.75)) or (0.0, 0.0, 0.0)
        return NumericStatistics(
            rows=self._moments.count,
            missing=self._rows - self._moments.count,
            mean=self._moments.mean,
            deviation=self._moments.deviation,
            quartiles=(first, middle, third),
            minimum=self._moments.minimum if self._moments.count else 0.0,
            maximum=self._moments.maximum if self._moments.count else 0.0,
        )

    def drift(self, learned: ColumnStatistics, *, folder_hint: str = "") -> dict[str, str]:
        """Return the drift, with numbers out of range unless another unit explains them, and the first word among missing numbers."""
        sentences = super().drift(learned, folder_hint=folder_hint)
        if isinstance(learned, NumericStatistics) and "unit" not in sentences:
            sentences |= learned.range_drift(self._outside, self._moments.count)
        if self._first_word and "missing" in sentences:
            sentences["missing"] += f" The first that cannot be read is {self._first_word!r}."
        return sentences
