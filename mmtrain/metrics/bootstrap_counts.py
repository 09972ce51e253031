"""Sums over rows that count as often as they were drawn.

Every score is a function of such sums, so that one piece of code gives the score of a part, whose rows count once each, and those of
all draws of a bootstrap together. `counts` is (draws, rows) of whole numbers; where all draws are
added up row by row, it is `RowCounts`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
RowCounts = NDArray[np.int32] | NDArray[np.int64]
"""(rows, draws), so that the draws of a row lie side by side and all of them are added in one go."""
Values = NDArray[np.float64]
Scorer = Callable[[Counts], dict[str, Values]]
"""From draws of some rows to their scores, (draws,) each, NaN where they are undefined; what the draws share is computed once."""

KEPT_CELLS = 8_000_000
"""Rows times columns whose order is kept from one chunk of draws to the next, 64 MB; of more, each column is sorted for every chunk."""

Ranked = TypeVar("Ranked")


def unit_counts(rows: int) -> Counts:
    """One draw that has every row once: the rows as they are."""
    return np.ones((1, rows), dtype=np.int64)


def by_row(counts: Counts) -> RowCounts:
    """Return the counts as (rows, draws)."""
    small = counts.sum(axis=1).max(initial=0) < 2**29  # twice the sum fits, whatever is added up
    return np.ascontiguousarray(counts.T, dtype=np.int32) if small else np.ascontiguousarray(counts.T)


def kept_where_few(ranked: Callable[[int], Ranked], *, columns: int, rows: int) -> Callable[[int], Ranked]:
    """`ranked` of a column, which is called once for each column where there is room to keep what it gives."""
    return lru_cache(maxsize=None)(ranked) if columns * rows <= KEPT_CELLS else ranked


def totals(counts: Counts, *columns: NDArray[Any]) -> tuple[Values, ...]:
    """The sum of each column (rows,) over the rows of each draw, (draws,); of whole numbers it is exact."""
    return tuple(of_columns(counts, np.stack(columns, axis=1)).T)


def of_columns(counts: Counts, columns: NDArray[Any]) -> Values:
    """The same of columns (rows, columns): (draws, columns)."""
    return counts.astype(np.float64) @ columns.astype(np.float64, copy=False)  # 48 bytes a row for a binary target


def by_code(counts: Counts, codes: NDArray[np.int64], *, count: int) -> Counts:
    """Count the rows of each code, 0 to `count - 1`, in every draw: (draws, count); `codes` is (rows,), at least one."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    sums = np.zeros((len(counts), count), dtype=np.int64)
    sums[:, present] = np.add.reduceat(np.take(counts, order, axis=1), starts, axis=1)
    return sums


def weighted_mean(part: NDArray[Any], whole: NDArray[Any]) -> Values:
    """`part / whole`, NaN where the whole is 0."""
    nothing = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=whole > 0), dtype=np.float64)


def mean_of_defined(values: Values) -> Values:
    """The mean over the last axis of what is not NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    return weighted_mean(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))
