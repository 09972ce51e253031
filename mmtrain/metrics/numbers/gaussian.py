"""Scores of predicted normal distributions."""

from __future__ import annotations

from math import erf, log, pi, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, totals, unit_counts, weighted_mean
from mmtrain.metrics.numbers.regression import regression_scorer
from mmtrain.metrics.score import Score, value_or_reason, without_rows

GAUSSIAN = ("rmse", "mae", "r2", "crps", "nll", "coverage_gap")
"""Scores of `gaussian_scores`, in the order of tables."""
LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Levels of the central intervals of `coverage`."""
GAP_LEVEL = 0.9
"""Level of the interval whose coverage is a score."""
Numbers = NDArray[np.float64]


def gaussian_scores(truth: ArrayLike, mean: ArrayLike, deviation: ArrayLike) -> tuple[Score, ...]:
    """Compute the scores of numbers that are predicted with their standard deviation; all arguments are (n,), in the target's unit.

    `crps` is the mean continuous ranked probability score, which is the absolute error where the deviation is 0 (Gneiting and Raftery
    2007, doi:10.1198/016214506000001437), `nll` minus the mean log density, in nats, `coverage_gap` the distance of the share of answers in
    the central 90 % interval from 0.9.

    Raises:
        ValueError: the shapes differ, a value is NaN or infinite, or a deviation is not above 0.
    """
    if not np.size(truth):
        return without_rows(GAUSSIAN)
    values = gaussian_scorer(truth, mean, deviation)(unit_counts(np.size(truth)))
    return tuple(value_or_reason(name, values[name][0], "R2 needs answers that vary.") for name in GAUSSIAN)


def gaussian_scorer(truth: ArrayLike, mean: ArrayLike, deviation: ArrayLike) -> Scorer:
    """Return a function from draws of these rows to their scores. Raises as `gaussian_scores` does."""
    expected = input_checks.numbers(truth, shape=(np.size(truth),), what="truth values")
    center = input_checks.numbers(mean, shape=expected.shape, what="predictions")
    spread = input_checks.numbers(deviation, shape=expected.shape, what="standard deviations")
    if not expected.size:
        return lambda counts: {name: np.full(len(counts), np.nan) for name in GAUSSIAN}
    if (spread <= 0).any():
        raise ValueError(f"A standard deviation is {spread.min():g}; each must be above 0.")
    errors = regression_scorer(expected, center)
    distance = (expected - center) / spread
    of_rows = (
        np.ones(expected.size),
        crps(distance) * spread,
        0.5 * np.square(distance) + np.log(spread) + 0.5 * log(2 * pi),
        np.abs(distance) <= _reach(GAP_LEVEL),
    )

    def scores(counts: Counts) -> dict[str, Values]:
        rows, ranked, likelihood, inside = totals(counts, *of_rows)
        return {name: values for name, values in errors(counts).items() if name in GAUSSIAN} | {
            "crps": weighted_mean(ranked, rows),
            "nll": weighted_mean(likelihood, rows),
            "coverage_gap": np.abs(weighted_mean(inside, rows) - GAP_LEVEL),
        }

    return scores


def crps(distance: Numbers) -> Numbers:
    """Return the continuous ranked probability score of a standard normal distribution at `distance`, of any shape."""
    # 2 Phi(z) - 1; NumPy has no error function.
    twice_minus_one = np.array([erf(one) for one in (distance / sqrt(2)).ravel().tolist()]).reshape(distance.shape)
    density = np.exp(-0.5 * np.square(distance)) / sqrt(2 * pi)
    return np.asarray(distance * twice_minus_one + 2 * density - 1 / sqrt(pi))


def coverage(truth: Numbers, mean: Numbers, deviation: Numbers) -> dict[float, float]:
    """Return the share of the answers, (n,), in the central interval of each of `LEVELS`."""
    distance = np.abs(truth - mean) / deviation
    return {level: float((distance <= _reach(level)).mean()) for level in LEVELS}


def _reach(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)
