"""Nested cross-validation, whose intervals `fold_coverage.py` compares with those of the package: it takes k (k - 1) / 2 more trainings."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from mmtrain.evaluation.cross_validation import Estimate, FoldScores

NESTED = "nested cross-validation (Bates, Hastie and Tibshirani 2023)"
INFINITE = 1e9
"""Degrees of freedom with which Student's t is the normal distribution, to six digits."""


@dataclass(frozen=True, eq=False)
class NestedScores:
    """Scores of a nested cross-validation, for one or several divisions into folds (repeats)."""

    outer: FoldScores
    """(repeats, folds): the score of each fold, by the training without it."""
    inner: NDArray[np.float64]
    """(repeats, folds, folds): [r, i, j] is the score of fold j by the training without the folds i and j; the diagonal is not used.

    One training serves [r, i, j] and [r, j, i], so k folds take k (k - 1) / 2 trainings in addition to k.
    """
    sampling: FoldScores
    """(repeats, folds): the sampling variance of each outer score, by the rows or groups of its fold."""


def nested_cross_validation(name: str, scores: NestedScores, naive_error: float) -> Estimate:
    """Estimate the score of a training on all rows, and its standard error, by nested cross-validation.

    Method: algorithm 1 of Bates, Hastie and Tibshirani (2023, Journal of the American Statistical Association, arXiv:2104.00673), for any
    score with a sampling variance. The estimate is corrected for the rows that a fold lacks. The mean squared error comes from one
    squared difference per fold, so a single division gives a rough one; the authors take 200. `naive_error` is the standard error that
    takes all rows as independent scores: the root of the mean squared error is kept between it and the square root of k times it.
    """
    _, folds = scores.outer.shape
    inner = np.where(np.eye(folds, dtype=bool), np.nan, scores.inner)
    of_inner = np.nanmean(inner, axis=2)
    # Err_NCV - Err_CV, times 1 + (k - 2) / k: from (k - 2) / k of the rows, and (k - 1) / k of them, to all.
    bias = (1 + (folds - 2) / folds) * (float(of_inner.mean()) - float(scores.outer.mean()))
    squared_error = float(np.square(of_inner - scores.outer).mean() - scores.sampling.mean())
    error = min(max(sqrt(max(squared_error, 0.0)), naive_error), sqrt(folds) * naive_error)
    # Of a training on (k - 1) / k of the rows; the normal quantile is that of infinitely many degrees of freedom.
    return Estimate(name, float(of_inner.mean()) - bias, sqrt((folds - 1) / folds) * error, INFINITE, NESTED)
