"""Summary of a column of vectors or series: one measure of each, its mean and deviation."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

import numpy as np

from mmtrain.columns.summaries.base import Accumulator, Array, ColumnStatistics, Moments, SeenRows, shifted, statistics_kinds


class VectorStatistics(ColumnStatistics):
    """Mean and standard deviation of `measure`, a noun phrase, over the rows that have a value."""

    kind: Literal["vector"] = "vector"
    measure: str
    mean: float
    deviation: float

    def drift(self, now: VectorStatistics) -> dict[str, str]:
        """Missing rows; another mean of the measure."""
        sentences = super().drift(now)
        if self.rows and now.rows and (how := shifted(now.mean, self.mean, self.deviation, now.rows)):
            sentences["mean"] = f"the mean {self.measure} is {now.mean:.4g}, in training {self.mean:.4g}: {how}."
        return sentences


statistics_kinds.add("vector", VectorStatistics)


class _MeasureAccumulator(Accumulator):
    """Adds up a measure of encoded entries."""

    reads: ClassVar[Literal["entries"]] = "entries"
    measure: ClassVar[str]

    def __init__(self) -> None:
        self._moments, self._missing = Moments(), 0

    @abstractmethod
    def measured(self, entries: Array) -> Array:
        """Return the measure of each entry, NaN for a missing one, (rows,)."""

    def add(self, seen: SeenRows) -> None:
        """Count the next rows."""
        values = np.where(seen.require("present")[:, 0] > 0, self.measured(seen.require("entries")), np.nan)
        known = values[np.isfinite(values)]
        self._missing += len(values) - len(known)
        self._moments.add(known)

    def statistics(self) -> VectorStatistics:
        """Summarize everything added so far."""
        moments = self._moments
        return VectorStatistics(
            rows=moments.count, missing=self._missing, measure=self.measure, mean=moments.mean, deviation=moments.deviation
        )


class EmbeddingAccumulator(_MeasureAccumulator):
    """Root mean square of the encoded numbers of vectors; with `indicator` the last number says whether the vector is missing."""

    measure = "size of the vectors (root mean square, encoded)"

    def __init__(self, *, indicator: bool) -> None:
        super().__init__()
        self._indicator = indicator

    def measured(self, entries: Array) -> Array:
        """Return the root mean square of each vector."""
        numbers = entries[:, :-1] if self._indicator else entries
        size = np.sqrt(np.square(numbers, dtype=np.float64).mean(axis=1))
        return np.where(entries[:, -1] > 0, np.nan, size) if self._indicator else size


class SequenceAccumulator(_MeasureAccumulator):
    """Number of steps of series whose values are in the first `channels` places of a step, and their flags in the next."""

    measure = "number of steps"

    def __init__(self, channels: int) -> None:
        super().__init__()
        self._channels = channels

    def measured(self, entries: Array) -> Array:
        """Return the number of steps with a value."""
        steps = entries[:, :, self._channels : 2 * self._channels].any(axis=2).sum(axis=1)
        return np.where(steps > 0, steps, np.nan)
