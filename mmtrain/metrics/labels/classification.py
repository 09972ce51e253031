"""Confusion matrix, F1 and log loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import Values, weighted_mean

CLIP = 1e-7
"""Log loss clips probabilities to 1e-7 and 1 - 1e-7: float32 models do return 0 and 1, and one such row must not make it infinite."""


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, *, count: int) -> NDArray[np.int64]:
    """Count rows by (truth, predicted), shape (count, count); both arguments are (n,) codes from 0 to `count - 1`.

    Raises:
        ValueError: the shapes differ, or a value is not a class code.
    """
    truth_codes = input_checks.codes(truth, count=count, what="truth")
    predicted_codes = input_checks.codes(predicted, count=count, what="predicted class")
    input_checks.same_shape(predicted_codes, shape=(truth_codes.size,), what="predicted classes")
    # A pair of codes becomes one number, row-major, so that a single bincount counts all cells.
    cells = np.bincount(truth_codes * count + predicted_codes, minlength=count * count)
    return cells.astype(np.int64).reshape(count, count)


def f1(hits: NDArray[Any], true: NDArray[Any], predicted: NDArray[Any]) -> Values:
    """Return `2 hits / (true + predicted)`, all numbers of rows; NaN for a class that is neither true nor predicted in any row."""
    return weighted_mean(2 * hits, true + predicted)


def log_losses(probability_of_truth: NDArray[np.floating[Any]]) -> Values:
    """Return -ln p in nats, of any shape; p is the predicted probability of the true class, clipped to `CLIP`."""
    clipped = np.clip(probability_of_truth.astype(np.float64), CLIP, 1 - CLIP)
    return np.asarray(-np.log(clipped))
