"""Counts of right and wrong decisions, and the loss of probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.scores import checks

CLIP = 1e-7
"""Log loss clips probabilities to 1e-7 and 1 - 1e-7: float32 models do give 0 and 1, and one such row must not make it infinite."""


def confusion_matrix(truth: ArrayLike, predicted: ArrayLike, *, count: int) -> NDArray[np.int64]:
    """Rows counted by (truth, predicted), shape (count, count); both arguments are (n,) codes from 0 to `count - 1`.

    Raises:
        ValueError: the shapes differ, or a value is not a class code.
    """
    truth_codes = checks.codes(truth, count=count, what="truth")
    predicted_codes = checks.codes(predicted, count=count, what="predicted class")
    checks.same_shape(predicted_codes, shape=(truth_codes.size,), what="predicted classes")
    cells = np.bincount(truth_codes * count + predicted_codes, minlength=count * count)
    return cells.astype(np.int64).reshape(count, count)


def recall(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """The share of each class's rows that were found, from a confusion matrix; NaN for a class without rows in the truth."""
    rows = matrix.sum(axis=1)
    return np.where(rows > 0, np.diagonal(matrix) / np.maximum(rows, 1), np.nan)


def f1(matrix: NDArray[np.int64]) -> NDArray[np.float64]:
    """`2 hits / (true + predicted)` of each class, from a confusion matrix; NaN for a class neither true nor predicted in any row."""
    total = matrix.sum(axis=1) + matrix.sum(axis=0)
    return np.where(total > 0, 2 * np.diagonal(matrix) / np.maximum(total, 1), np.nan)


def log_loss(probability_of_truth: NDArray[np.floating[Any]]) -> float:
    """The mean of -ln p in nats; p, of any shape, is the probability that was given to what turned out true, clipped to `CLIP`."""
    clipped = np.clip(probability_of_truth.astype(np.float64), CLIP, 1 - CLIP)
    return float(-np.log(clipped).mean())
