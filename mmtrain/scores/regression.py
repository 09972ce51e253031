"""Scores of a target that is a number."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mmtrain.named_score import Score, score_if, without_rows
from mmtrain.scores import checks

NAMES = ("mae", "rmse", "r2", "median_absolute_error")


def regression_scores(truth: ArrayLike, prediction: ArrayLike) -> tuple[Score, ...]:
    """`truth` and `prediction` are (n,); the errors are in the target's own unit.

    R2 is 1 less the squared error over that of this part's own mean, so that it is negative for a model worse than that mean.

    Raises:
        ValueError: the shapes differ, or a value is NaN or infinite.
    """
    expected = checks.numbers(truth, shape=(np.size(truth),), what="truth values")
    received = checks.numbers(prediction, shape=expected.shape, what="predictions")
    if not expected.size:
        return without_rows(NAMES)
    error = np.abs(received - expected)
    squared, spread = np.square(error), np.square(expected - expected.mean()).sum()
    return (
        Score("mae", float(error.mean())),
        Score("rmse", float(np.sqrt(squared.mean()))),
        # Compared and not subtracted: the mean of equal numbers need not equal them, and 1e-34 would pass for a spread.
        score_if(
            bool(expected.min() < expected.max() and spread > 0),
            "r2",
            lambda: 1 - squared.sum() / spread,
            "R2 needs at least two rows; this part has one."
            if expected.size == 1
            else f"R2 needs truth that varies; in this part every row is {expected[0]:g}.",
        ),
        Score("median_absolute_error", float(np.median(error))),
    )
