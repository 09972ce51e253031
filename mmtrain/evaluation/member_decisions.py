"""Decisions of several trainings on one row: probabilities that contain the decision of a training, so that they can be averaged.

Trainings may place the same rows at different probabilities, and decide on them by thresholds and priors of their own. So the mean of their
probabilities has no threshold, and no prior that would be right for all of them; that of the probabilities here is decided on by the most
probable class, or by a threshold of 0.5.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.targets import FittedTarget
from mmtrain.targets.decides import UNCHOSEN

Array = np.ndarray[Any, Any]


def with_decision(target: FittedTarget, prediction: Array) -> Array:
    """Return predictions on which `target.without_decision()` decides as `target` does on `prediction`; (rows, ...) to the same.

    Of a threshold, probabilities are stretched; under a prior, they are multiplied by the factors of the classes and divided by their sum.
    """
    if target.thresholdable:
        return stretch(prediction, target.decision_threshold)
    factors = target.decision_factors
    if factors is None:
        return prediction
    # In float32, as decisions compare them.
    products = (prediction * factors).astype(np.float64)
    total = products.sum(axis=1, keepdims=True)
    # All products are 0 where a training gives a row no class that it has seen.
    return np.where(total > 0, products / np.where(total > 0, total, 1), prediction)


def align(target: FittedTarget, member: FittedTarget, prediction: Array) -> Array:
    """Return the predictions of a training, (rows, member.units), in the columns of `target`, which was fitted to other rows."""
    matrix = target.member_matrix(member)
    return prediction if matrix is None else np.asarray(prediction @ matrix.astype(prediction.dtype))


def stretch(prediction: Array, threshold: float | None) -> Array:
    """Return probabilities, moved so that `threshold` is at 0.5 and 0 and 1 stay; without a chosen threshold as they are.

    >>> stretch(np.array([0.0, 0.25, 0.75, 1.0], np.float32), 0.75).round(3).tolist()
    [0.0, 0.167, 0.5, 1.0]
    """
    if threshold is None or threshold == UNCHOSEN or not 0 < threshold < 1:
        return prediction
    # In float32, as decisions compare them.
    at, values = np.float32(threshold), prediction.astype(np.float64)
    return np.asarray(np.where(prediction < at, values / (2 * at), 0.5 + (values - at) / (2 * (1 - at))))


def decision_scores(rows: EvalSet) -> frozenset[str]:
    """Return the names of the scores that other decisions on the same predictions change."""
    plain, *others = [
        {score.name: score.value for score in target.all_scores(rows.truth, rows.prediction)}
        for target in (rows.target, *rows.target.one_sided())
    ]
    return frozenset(name for name, value in plain.items() if any(other[name] != value for other in others))
