"""Scores of a target with ordered levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, totals, unit_counts, weighted_mean
from mmtrain.metrics.labels.classification import log_losses
from mmtrain.metrics.score import Score, value_or_reason, without_rows

ORDINAL = ("quadratic_kappa", "rank_mae", "accuracy", "log_loss")
"""Scores of `ordinal_scores`, in the order of tables."""


def ordinal_scores(truth: ArrayLike, probabilities: ArrayLike, predicted: ArrayLike) -> tuple[Score, ...]:
    """Compute the scores of ordered levels.

    Quadratic weighted kappa (Cohen 1968) is 1 minus the mean squared distance of ranks over that of independent truth and prediction;
    `rank_mae` is the mean number of levels between prediction and truth.

    Args:
        truth: (n,) codes of levels, ascending.
        probabilities: (n, levels).
        predicted: (n,) codes of the predicted levels.

    Raises:
        ValueError: an array has a wrong shape, or holds NaN or values outside its range.
    """
    values = ordinal_scorer(truth, probabilities, predicted)(unit_counts(np.size(truth)))
    if not np.size(truth):
        return without_rows(ORDINAL)
    reason = "Kappa needs two levels at least, true or predicted; this part has one."
    return tuple(value_or_reason(name, values[name][0], reason) for name in ORDINAL)


def ordinal_scorer(truth: ArrayLike, probabilities: ArrayLike, predicted: ArrayLike) -> Scorer:
    """Return a function from draws of these rows to their scores. Raises as `ordinal_scores` does."""
    levels = np.shape(probabilities)[1]
    true = input_checks.codes(truth, count=levels, what="truth")
    called = input_checks.codes(predicted, count=levels, what="predicted level")
    checked = input_checks.probabilities(probabilities, shape=(true.size, levels))
    if not true.size:
        return lambda counts: {name: np.full(len(counts), np.nan) for name in ORDINAL}
    losses = log_losses(checked[np.arange(true.size), true])
    distance = np.abs(true - called)
    of_rows: tuple[NDArray[np.generic], ...] = (
        np.ones(true.size),
        *(distance, np.square(distance), true, called),
        *(np.square(true), np.square(called), distance == 0, losses),
    )

    def scores(counts: Counts) -> dict[str, Values]:
        rows, absolute, squared, sum_true, sum_called, squares_true, squares_called, right, loss = totals(counts, *of_rows)
        # The squared distance that independent truth and prediction would have, summed over the rows.
        chance = squares_true + squares_called - 2 * weighted_mean(sum_true * sum_called, rows)
        return {
            "quadratic_kappa": 1 - weighted_mean(squared, np.where(chance > 1e-9, chance, 0)),
            "rank_mae": weighted_mean(absolute, rows),
            "accuracy": weighted_mean(right, rows),
            "log_loss": weighted_mean(loss, rows),
        }

    return scores
