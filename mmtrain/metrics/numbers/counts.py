"""Scores of a target that counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, totals, unit_counts, weighted_mean
from mmtrain.metrics.score import Score, value_or_reason, without_rows

COUNT = ("mean_deviance", "mae", "rmse")
"""Scores of `count_scores`, in the order of tables."""
LEAST_MEAN = 1e-10
"""Least expected count: of 0, a row with a count would have an infinite deviance."""


def deviances(truth: ArrayLike, mean: ArrayLike, dispersion: float | NDArray[np.float64] = 0.0) -> Values:
    """Return the deviance of each row, (n,): twice the log-likelihood of a perfect prediction minus that of the expected count `mean`.

    With a `dispersion` a, the variance is mean + a * mean ** 2 (negative binomial); 0 is the Poisson distribution.
    """
    count = np.asarray(truth, np.float64)
    expected = np.maximum(np.asarray(mean, np.float64), LEAST_MEAN)
    # 0 log 0 is 0.
    logs = count * np.log(np.where(count > 0, count, 1.0) / np.where(count > 0, expected, 1.0))
    poisson = 2 * (logs - (count - expected))
    spread = np.broadcast_to(np.asarray(dispersion, np.float64), count.shape)
    # Below this dispersion the difference of logarithms is rounding.
    over = np.maximum(spread, 1e-8)
    binomial = 2 * (logs - (count + 1 / over) * np.log((1 + over * count) / (1 + over * expected)))
    return np.maximum(np.where(spread > 1e-8, binomial, poisson), 0.0)


def count_scores(
    truth: ArrayLike, mean: ArrayLike, dispersion: float | NDArray[np.float64] = 0.0, exposure: ArrayLike = 1.0
) -> tuple[Score, ...]:
    """Compute the scores of counts; `truth` and `mean`, the expected counts, are (n,).

    The mean deviance is that of the Poisson distribution, or with a `dispersion` of the negative binomial (McCullagh and Nelder 1989).
    With an `exposure`, (n,), truth and mean are counts per unit of it, and rows are weighted by it: the deviance is that of the counts, per
    unit of exposure, which for Poisson is that of scikit-learn with `sample_weight=exposure`.

    Raises:
        ValueError: the shapes differ, or a value is NaN or infinite.
    """
    if not np.size(truth):
        return without_rows(COUNT)
    values = count_scorer(truth, mean, dispersion, exposure)(unit_counts(np.size(truth)))
    return tuple(value_or_reason(name, values[name][0], "") for name in COUNT)


def count_scorer(truth: ArrayLike, mean: ArrayLike, dispersion: float | NDArray[np.float64] = 0.0, exposure: ArrayLike = 1.0) -> Scorer:
    """Return a function from draws of these rows to their scores. Raises as `count_scores` does."""
    counts_of_rows = input_checks.numbers(truth, shape=(np.size(truth),), what="truth values")
    expected = input_checks.numbers(mean, shape=counts_of_rows.shape, what="predictions")
    weight = np.broadcast_to(np.asarray(exposure, np.float64), expected.shape)
    error = np.abs(expected - counts_of_rows)
    deviance_of_rows = deviances(counts_of_rows * weight, expected * weight, dispersion)
    of_rows = (weight, deviance_of_rows, weight * error, weight * np.square(error))

    def scores(counts: Counts) -> dict[str, Values]:
        rows, deviance, absolute, squared = totals(counts, *of_rows)
        means = (weighted_mean(deviance, rows), weighted_mean(absolute, rows), np.sqrt(weighted_mean(squared, rows)))
        return dict(zip(COUNT, means, strict=True))

    return scores
