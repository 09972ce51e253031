"""Scores of predicted quantiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, totals, unit_counts, weighted_mean
from mmtrain.metrics.score import Score, value_or_reason, without_rows

QUANTILES = ("pinball_loss", "interval_score", "coverage_gap", "mae")
"""Scores of `quantile_scores`, in the order of tables."""


def pinball_losses(truth: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> NDArray[np.float64]:
    """Return the pinball loss of each quantile, (n, levels) (Koenker and Bassett 1978); `truth` is (n,), `quantiles` (n, levels)."""
    above = np.asarray(truth, np.float64)[:, None] - np.asarray(quantiles, np.float64)
    at = np.asarray(levels)
    return np.maximum(at * above, (at - 1) * above)


def quantile_scores(truth: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> tuple[Score, ...]:
    """Compute the scores of quantiles, in the unit of the target.

    `pinball_loss` is the mean over rows and levels. `interval_score` is that of the interval from the lowest to the highest level: its
    width, plus the distance of truths outside of it times 2 over the share that may lie there (Gneiting and Raftery 2007).
    `coverage_gap` is the distance of the share of truths inside from the one that the levels promise, `mae` the error of the level nearest
    to 0.5.

    Args:
        truth: (n,).
        quantiles: (n, levels), ascending in each row.
        levels: Ascending, between 0 and 1.

    Raises:
        ValueError: the shapes differ, or a value is NaN or infinite.
    """
    if not np.size(truth):
        return without_rows(QUANTILES)
    values = quantile_scorer(truth, quantiles, levels)(unit_counts(np.size(truth)))
    reason = "An interval needs two levels."
    return tuple(value_or_reason(name, values[name][0], reason) for name in QUANTILES)


def quantile_scorer(truth: ArrayLike, quantiles: ArrayLike, levels: Sequence[float]) -> Scorer:
    """Return a function from draws of these rows to their scores. Raises as `quantile_scores` does."""
    true = input_checks.numbers(truth, shape=(np.size(truth),), what="truth values")
    predicted = input_checks.numbers(quantiles, shape=(true.size, len(levels)), what="predictions")
    if not true.size:
        return lambda counts: {name: np.full(len(counts), np.nan) for name in QUANTILES}
    low, high, promised = predicted[:, 0], predicted[:, -1], levels[-1] - levels[0]
    outside = np.maximum(low - true, 0) + np.maximum(true - high, 0)
    # The formula for equal tails; of other levels, the share outside is divided as they say.
    penalty = np.maximum(low - true, 0) / levels[0] + np.maximum(true - high, 0) / (1 - levels[-1])
    of_rows = (
        np.ones(true.size),
        pinball_losses(true, predicted, levels).mean(axis=1),
        high - low + penalty,
        outside == 0,
        np.abs(true - predicted[:, middle_of(levels)]),
    )

    def scores(counts: Counts) -> dict[str, Values]:
        rows, pinball, interval, inside, error = totals(counts, *of_rows)
        several = rows if len(levels) > 1 else np.zeros_like(rows)
        return {
            "pinball_loss": weighted_mean(pinball, rows),
            "interval_score": weighted_mean(interval, several),
            "coverage_gap": np.abs(weighted_mean(inside, several) - promised),
            "mae": weighted_mean(error, rows),
        }

    return scores


def middle_of(levels: Sequence[float]) -> int:
    """Return the position of the level nearest to 0.5, the lower one of two.

    >>> middle_of((0.1, 0.5, 0.9)), middle_of((0.25, 0.75))
    (1, 0)
    """
    return min(range(len(levels)), key=lambda place: (round(abs(levels[place] - 0.5), 9), place))
