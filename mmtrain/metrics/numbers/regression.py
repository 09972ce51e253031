"""Scores of a numeric target."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, totals, unit_counts, weighted_mean
from mmtrain.metrics.score import REGRESSION, Score, value_or_reason, without_rows


def regression_scores(truth: ArrayLike, prediction: ArrayLike) -> tuple[Score, ...]:
    """Compute the scores of numbers; `truth` and `prediction` are (n,), and errors are in the unit of the target.

    R2 is 1 minus the squared error over that of the mean of these rows, so that it is negative for a model that is worse than this mean.

    Raises:
        ValueError: the shapes differ, or a value is NaN or infinite.
    """
    values = regression_scorer(truth, prediction)(unit_counts(np.size(truth)))
    if not np.size(truth):
        return without_rows(REGRESSION)
    first = np.asarray(truth).flat[0]
    same = f"R2 needs truth that varies; in this part every row is {first:g}."
    reason = "R2 needs at least two rows; this part has one." if np.size(truth) == 1 else same
    return tuple(value_or_reason(name, values[name][0], reason) for name in REGRESSION)


def regression_scorer(truth: ArrayLike, prediction: ArrayLike) -> Scorer:
    """Return a function from draws of these rows to their scores. Raises as `regression_scores` does."""
    expected = input_checks.numbers(truth, shape=(np.size(truth),), what="truth values")
    received = input_checks.numbers(prediction, shape=expected.shape, what="predictions")
    if not expected.size:
        return lambda counts: {name: np.full(len(counts), np.nan) for name in REGRESSION}
    error = np.abs(received - expected)
    centered = expected - expected.mean()  # the squares of large numbers would drown their spread
    of_rows = (np.ones(expected.size), error, np.square(error), centered, np.square(centered))
    order = np.argsort(error)

    def scores(counts: Counts) -> dict[str, Values]:
        rows, absolute, squared, offset, around = totals(counts, *of_rows)
        # Sum of squares about the mean of the draw, by the shift from the mean of all rows.
        spread = around - np.square(offset) / np.maximum(rows, 1)
        # Minimum and maximum instead of the spread: rounding can leave a spread of 1e-34 for equal numbers.
        drawn = counts > 0
        varies = np.where(drawn, expected, np.inf).min(axis=1) < np.where(drawn, expected, -np.inf).max(axis=1)
        return {
            "mae": weighted_mean(absolute, rows),
            "rmse": np.sqrt(weighted_mean(squared, rows)),
            "r2": 1 - weighted_mean(squared, np.where(varies, spread, 0)),
            "median_absolute_error": _median(error, order, counts),
        }

    return scores


def _median(values: Values, order: NDArray[np.int64], counts: Counts) -> Values:
    """Return the median of each draw, (draws,), NaN for a draw without rows; `order` sorts the values."""
    reached = np.cumsum(np.take(counts, order, axis=1), axis=1)  # rows of the draw with this value or a smaller one
    rows = reached[:, -1:]
    # Positions of the two middle rows; of an odd number they are the same row.
    below, above = ((reached <= place).sum(axis=1) for place in ((rows - 1) // 2, rows // 2))
    # An empty draw points behind the last value, at NaN.
    ascending = np.append(values[order], np.nan)
    return np.asarray((ascending[below] + ascending[above]) / 2)
