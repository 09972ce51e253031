"""Sums over rows that count as often as they were drawn.

Every score is a function of such sums, so that one piece of code gives the score of a part, whose rows count once each, and those of
all draws of a bootstrap together. `counts` is (draws, rows) of whole numbers everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def once(rows: int) -> Counts:
    """One draw that has every row once: the rows as they are."""
    return np.ones((1, rows), dtype=np.int64)


def totals(counts: Counts, *columns: NDArray[Any]) -> tuple[Values, ...]:
    """The sum of each column (rows,) over the rows of each draw, (draws,); of whole numbers it is exact."""
    sums = counts.astype(np.float64) @ np.stack(columns, axis=1).astype(np.float64)  # (draws, columns)
    return tuple(sums.T)


def by_code(counts: Counts, codes: NDArray[np.int64], *, count: int) -> Counts:
    """How many rows of each code, 0 to `count - 1`, a draw has: (draws, count); `codes` is (rows,), at least one."""
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)
    sums = np.zeros((len(counts), count), dtype=np.int64)
    sums[:, present] = np.add.reduceat(np.take(counts, order, axis=1), starts, axis=1)
    return sums


def share(part: NDArray[Any], whole: NDArray[Any]) -> Values:
    """`part / whole`, NaN where the whole is 0."""
    nothing = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    return np.asarray(np.divide(part, whole, out=nothing, where=whole > 0), dtype=np.float64)


def mean_of_defined(values: Values) -> Values:
    """The mean over the last axis of what is not NaN; NaN where nothing is left."""
    defined = ~np.isnan(values)
    return share(np.where(defined, values, 0).sum(axis=-1), defined.sum(axis=-1))
