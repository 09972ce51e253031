"""Sums over rows that are weighted by their count in each bootstrap draw.

Every score is a function of such sums, so that the same code computes the score of a part, whose rows count once each, and the scores of
all draws at once. `counts` is (draws, rows) of whole numbers; for sums that run row by row it is transposed, `RowCounts`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
RowCounts = NDArray[np.int32] | NDArray[np.int64]
"""(rows, draws): the draws of a row are contiguous in memory, so that one instruction adds many of them."""
Values = NDArray[np.float64]
Scorer = Callable[[Counts], dict[str, Values]]
"""From the counts of draws to their scores, (draws,) each, NaN where undefined; anything the draws share is computed once."""

CACHED_CELLS = 8_000_000
"""Rows times columns whose sort order is cached between chunks of draws, 64 MB; with more, each column is sorted for every chunk."""

Ranked = TypeVar("Ranked")


def unit_counts(rows: int) -> Counts:
    """One draw that has every row once: the rows as they are."""
    return np.ones((1, rows), dtype=np.int64)


def by_row(counts: Counts) -> RowCounts:
    """Return the counts as (rows, draws)."""
    small = counts.sum(axis=1).max(initial=0) < 2**29  # scores add up at most twice the rows, which then fits into int32
    return np.ascontiguousarray(counts.T, dtype=np.int32) if small else np.ascontiguousarray(counts.T)


def cached_if_small(rank: Callable[[int], Ranked], *, columns: int, rows: int) -> Callable[[int], Ranked]:
    """Cache the ranking of each column, unless all of them together have more than `CACHED_CELLS` cells."""
    return lru_cache(maxsize=None)(rank) if columns * rows <= CACHED_CELLS else rank


def totals(counts: Counts, *columns: NDArray[Any]) -> tuple[Values, ...]:
    """Return the sum of each column (rows,) over the rows of each draw, (draws,); sums of whole numbers are exact."""
    # One matrix product for all columns instead of a pass for each.
    return tuple(column_totals(counts, np.stack(columns, axis=1)).T)


def column_totals(counts: Counts, columns: NDArray[Any]) -> Values:
    """Return the sums of a matrix (rows, columns) over the rows of each draw, (draws, columns)."""
    return counts.astype(np.float64) @ columns.astype(np.float64, copy=False)  # 48 bytes a row for a binary target


def by_code(counts: Counts, codes: NDArray[np.int64], *, count: int) -> Counts:
    """Count the rows of each code, 0 to `count - 1`, in every draw: (draws, count); `codes` is (rows,), at least one."""
    order = np.argsort(codes, kind="stable")
    # Sorted by code, each code is one contiguous range, whose start is known.
    present, starts = np.unique(codes[order], return_index=True)
    sums = np.zeros((len(counts), count), dtype=np.int64)  # reduceat cannot sum empty ranges, so absent codes stay 0
    sums[:, present] = np.add.reduceat(np.take(counts, order, axis=1), starts, axis=1)
    return sums


def weighted_mean(part: NDArray[Any], whole: NDArray[Any]) -> Values:
    """Return `part / whole`, NaN where the whole is 0."""
    # Prefilled with NaN: where the whole is 0, nothing is divided and NaN stays.
    undefined = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    return np.asarray(np.divide(part, whole, out=undefined, where=whole > 0), dtype=np.float64)


def mean_of_defined(values: Values) -> Values:
    """Return the mean over the last axis without NaN; NaN if there is nothing else."""
    defined = ~np.isnan(values)
    return weighted_mean(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))
