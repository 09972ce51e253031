"""Smallest, middle and largest of numbers that come in pieces, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.columns.profile import Range

if TYPE_CHECKING:
    from numpy.typing import NDArray


class QuantileSketch:
    """The ends of all numbers, and the quantiles of at most `most` of them.

    They are drawn at random, from a fixed seed: every n-th row would be all Mondays in a table of days.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[NDArray[Any]] = []
        self._ends: tuple[float, float] = (np.inf, -np.inf)
        self._share = 1.0
        self._chance = np.random.Generator(np.random.PCG64(0))

    def add(self, values: NDArray[Any]) -> None:
        """Add one chunk, (n,)."""
        if not len(values):
            return
        self._ends = min(self._ends[0], float(values.min())), max(self._ends[1], float(values.max()))
        self._parts.append(self._some(values, self._share))
        # Halved as often as needed: every number so far is kept with the same probability, now `share`.
        while sum(len(part) for part in self._parts) > self._most:
            self._parts = [self._some(np.concatenate(self._parts), 0.5)]
            self._share /= 2

    def _some(self, values: NDArray[Any], share: float) -> NDArray[Any]:
        return values if share == 1 else values[self._chance.random(len(values)) < share]

    def quantiles(self, shares: Sequence[float]) -> tuple[float, ...] | None:
        """Return the numbers below which these shares of all lie; None without any number."""
        # All may have been left out when only few came.
        if not sum(len(part) for part in self._parts):
            return None
        return tuple(np.quantile(np.concatenate(self._parts), shares).tolist())

    def range(self) -> Range | None:
        """Return the range; None without any number."""
        if not sum(len(part) for part in self._parts):
            return None
        low, high = self._ends
        # Columns of one word in each cell are the most frequent case.
        middle = low if low == high else _median(self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts))
        return Range(minimum=low, median=middle, maximum=high)


def _median(values: NDArray[Any]) -> float:
    """Return `numpy.quantile(values, 0.5)` of at least one number, in a third of its time."""
    middle = (len(values) - 1) // 2
    parted = np.partition(values, [middle, len(values) // 2])
    low, high = parted[middle], parted[len(values) // 2]
    return float(high - (high - low) * 0.5) + 0.0  # never -0
