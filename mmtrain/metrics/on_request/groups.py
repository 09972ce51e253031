"""Metrics of rankings: the gain of the first places of each group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import Counts, Values
from mmtrain.metrics.ranked_groups import mean_over_groups, ndcg_of_groups

Array = NDArray[Any]


def ndcg_at_k(truth: Array, prediction: Array, target: Any, level: float) -> Callable[[Counts], Values]:
    """NDCG of the first `level` places of each group, the mean over groups of two rows or more with a relevance above 0."""
    codes = np.unique(target.group_codes(truth), return_inverse=True)[1].reshape(-1)
    values = ndcg_of_groups(codes, target.reference_answers(truth), prediction[:, 0].astype(np.float64), int(level))
    return lambda counts: mean_over_groups(codes, values, counts)
