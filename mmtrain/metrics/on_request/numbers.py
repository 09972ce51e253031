"""Metrics of numbers: relative errors and the loss of a quantile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import Counts, Values, totals, weighted_mean

Array = NDArray[Any]
Scores = Callable[[Counts], Values]


def _mean(values: Array, truth: Array, target: Any) -> Scores:
    """Return the mean over rows, weighted by their exposure as the other scores of rates are."""
    weights = np.broadcast_to(np.asarray(target.reference_weights(truth), dtype=np.float64), len(values))
    return lambda counts: weighted_mean(*totals(counts, values * weights, weights))


def _numbers(prediction: Array, target: Any) -> NDArray[np.float64]:
    """Return the predicted number of each row; its further columns, such as a standard deviation, are left out."""
    return np.asarray(target.predict_label(prediction), dtype=np.float64)


def _answers(truth: Array, target: Any) -> NDArray[np.float64]:
    """Return the number that each row answers, of counts with an exposure per unit of it."""
    return np.asarray(target.reference_answers(truth), dtype=np.float64)


def _undefined(counts: Counts) -> Values:
    return np.full(len(counts), np.nan)


def mape(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean of |error| / |answer|, 0.1 for 10 %; undefined where an answer is 0."""
    answers = _answers(truth, target)
    if (answers == 0).any():
        return _undefined
    return _mean(np.abs(answers - _numbers(prediction, target)) / np.abs(answers), truth, target)


def rmsle(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Root of the mean squared error of log(1 + number); predictions below 0 count as 0, and answers below 0 leave it undefined."""
    answers = _answers(truth, target)
    if (answers < 0).any():
        return _undefined
    squared = _mean(np.square(np.log1p(answers) - np.log1p(np.maximum(_numbers(prediction, target), 0))), truth, target)
    return lambda counts: np.sqrt(squared(counts))


def pinball(truth: Array, prediction: Array, target: Any, level: float) -> Scores:
    """Mean of `level` times the error of predictions that are too low, and 1 - `level` times that of those too high."""
    error = _answers(truth, target) - _numbers(prediction, target)
    return _mean(np.maximum(level * error, (level - 1) * error), truth, target)
