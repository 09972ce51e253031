"""Pairs of codes, (n,) each: distinct pairs, codes with several values, positions within runs. Linear in n but for one sort."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray


def distinct_pairs(first: NDArray[np.int64], second: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct pairs of two codes, none negative; sorted by the first code, then the second.

    >>> distinct_pairs(np.array([1, 0, 1]), np.array([2, 5, 2]))
    (array([0, 1]), array([5, 2]))
    """
    size = int(second.max(initial=0)) + 1
    # A pair is one number below 2^63: codes of rows stay below 2^31 each.
    packed = np.sort(pd.unique(first.astype(np.int64) * size + second))
    return packed // size, packed % size


def has_several(codes: NDArray[np.int64], values: NDArray[np.integer], count: int) -> NDArray[np.bool_]:
    """Mark codes, 0 to `count` - 1, that stand next to two different values or more.

    >>> has_several(np.array([0, 1, 1, 0]), np.array([7, 7, 8, 7]), 3)
    array([False,  True, False])
    """
    first = np.zeros(count, dtype=values.dtype)
    first[codes[::-1]] = values[::-1]  # of several assignments to a code the last one counts: its first value
    return np.bincount(codes, values != first[codes], minlength=count) > 0


def positions_in_runs(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of each element within its run, for runs of these lengths one after the other.

    >>> positions_in_runs(np.array([2, 0, 3]))
    array([0, 1, 0, 1, 2])
    """
    return np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
