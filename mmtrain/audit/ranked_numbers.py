"""Numbers of a column by size, sorted once for quantiles, outliers, codes for missing and AUCs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RankedNumbers:
    """Sorted distinct numbers, and the position of each row's number among them."""

    values: NDArray[np.float64]
    """(values,): different, ascending, none NaN."""
    codes: NDArray[np.int32]
    """(rows,): positions in `values`, -1 for NaN."""
    counts: NDArray[np.int64]
    """(values,): rows with each."""

    @cached_property
    def until(self) -> NDArray[np.int64]:
        """(values,): cumulative counts."""
        return np.cumsum(self.counts)

    @property
    def total(self) -> int:
        """Number of rows with a number."""
        return int(self.until[-1]) if len(self.until) else 0

    def at(self, rows: NDArray[np.int64]) -> RankedNumbers:
        """Select some rows; numbers that none of them has stay in `values`, with a count of 0."""
        codes = self.codes[rows]
        return RankedNumbers(self.values, codes, np.bincount(codes + 1, minlength=len(self.values) + 1)[1:])

    def quantiles(self, shares: Sequence[float] | NDArray[np.float64], scale: Callable[[Any], Any] | None = None) -> NDArray[np.float64]:
        """Return `numpy.quantile` of at least one number; `scale` is applied to the numbers and has to be increasing."""
        # Position of the quantile among the sorted rows, fractional.
        places = np.asarray(shares, dtype=np.float64) * (self.total - 1)
        below = np.floor(places).astype(np.int64)
        weight = places - below
        # From the position of a row to its distinct number, by the cumulated counts.
        low, high = (
            self.values[np.searchsorted(self.until, np.minimum(place, self.total - 1), side="right")] for place in (below, below + 1)
        )
        if scale is not None:
            low, high = scale(low), scale(high)
        # Interpolated from the nearer end, as numpy does, so that rounding is the same.
        return np.where(weight >= 0.5, high - (high - low) * (1 - weight), low + (high - low) * weight)


def rank_numbers(numbers: NDArray[np.float64] | None) -> RankedNumbers:
    """Sort (rows,) numbers, some of which may be NaN."""
    numbers = numbers if numbers is not None else np.empty(0)
    known = ~np.isnan(numbers)
    every = bool(known.all())
    values, places, counts = np.unique(numbers if every else numbers[known], return_inverse=True, return_counts=True)
    codes = np.full(len(numbers), -1, dtype=np.int32)
    codes[slice(None) if every else known] = places
    return RankedNumbers(values, codes, counts)
