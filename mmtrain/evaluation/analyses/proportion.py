"""The share of rows of which something is true, with its interval."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.analysis_results import Proportion


def wilson_proportion(true: NDArray[np.bool_], *, groups: NDArray[np.int64] | None, confidence: float) -> Proportion:
    """The share of (rows,) with the interval of Wilson (1927), which holds its promise also near 0 and 1 and of few rows.

    Rows of a group, (rows,) codes, are alike and tell less than as many rows of their own. They count as the number of
    independent rows with the same variance (Dean and Pagano 2015, doi:10.1093/jssam/smv024), at least 1 and at most all.
    """
    rows = len(true)
    if not rows:
        return Proportion(rows=0, value=None, low=0.0, high=1.0)
    value = float(true.mean())
    count = float(rows) if groups is None else _effective_rows(true, groups, value)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    middle = (value + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * float(np.sqrt(value * (1 - value) / count + z * z / (4 * count * count)))
    return Proportion(rows=rows, value=value, low=max(0.0, min(value, middle - reach)), high=min(1.0, max(value, middle + reach)))


def _effective_rows(true: NDArray[np.bool_], groups: NDArray[np.int64], value: float) -> float:
    """With the variance of a ratio between groups (Cochran 1977); where all rows are alike, every group counts once."""
    codes = np.unique(groups, return_inverse=True)[1]
    excess = np.bincount(codes, weights=true - value)
    count = len(excess)
    variance = float(np.square(excess).sum()) * count / max(1, count - 1) / len(true) ** 2
    if variance <= 0:
        return float(count)
    return float(np.clip(value * (1 - value) / variance, 1.0, len(true)))
