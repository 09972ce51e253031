"""What a model must beat: predictions that know the training part's answers and look at no column.

Each gives the same prediction for every one of `n` rows, in the shape that the scores take.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.scores import checks


def majority_baseline(train_truth: ArrayLike, n: int, *, count: int) -> NDArray[np.float64]:
    """The training part's class frequencies, (n, count); the most probable class is the majority class.

    `train_truth` (rows,) holds codes from 0 to `count - 1`. Frequencies and not one-hot rows: of all constants they have the lowest
    log loss.

    Raises:
        ValueError: there are no training rows, or a value is not a class code.
    """
    codes = checks.codes(train_truth, count=count, what="training truth")
    _refuse_empty(codes.shape[0])
    return np.tile(np.bincount(codes, minlength=count) / codes.size, (n, 1))


def prevalence_baseline(train_truth: ArrayLike, n: int) -> NDArray[np.float64]:
    """The share of training rows that carry each label, (n, labels); `train_truth` (rows, labels) is 0 or 1.

    Raises:
        ValueError: there are no training rows, or a value is neither 0 nor 1.
    """
    codes = checks.codes(train_truth, count=2, what="training truth", ndim=2)
    _refuse_empty(codes.shape[0])
    return np.tile(codes.mean(axis=0), (n, 1))


def mean_baseline(train_truth: ArrayLike, n: int) -> NDArray[np.float64]:
    """The training part's mean, (n,): the constant with the lowest RMSE. Its R2 is 0 at most. `train_truth` is (rows,).

    Raises:
        ValueError: there are no training rows, or a value is NaN or infinite.
    """
    values = checks.numbers(train_truth, shape=(np.size(train_truth),), what="training truth values")
    _refuse_empty(values.shape[0])
    return np.full(n, values.mean())


def _refuse_empty(rows: int) -> None:
    if rows == 0:
        raise ValueError("A baseline needs at least one training row; there is none.")
