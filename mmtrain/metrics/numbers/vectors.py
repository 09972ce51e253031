"""Scores of a target with several numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, column_totals, mean_of_defined, unit_counts, weighted_mean
from mmtrain.metrics.score import Score, value_or_reason, without_rows

VECTOR = ("mean_r2", "scaled_rmse", "scaled_mae")
"""Scores of `vector_scores`, in the order of tables."""

Numbers = NDArray[np.float64]


def vector_scores(truth: Numbers, prediction: Numbers, scales: Numbers) -> tuple[Score, ...]:
    """Compute the scores of several numbers, as means over them: R2, and errors divided by `scales`, the deviations of training rows.

    Args:
        truth: (n, numbers), NaN where one is not known.
        prediction: (n, numbers).
        scales: (numbers,), more than 0.
    """
    if not len(truth):
        return without_rows(VECTOR)
    values = vector_scorer(truth, prediction, scales)(unit_counts(len(truth)))
    reason = "R2 needs two rows whose truth differs; no number of this part has them."
    return tuple(value_or_reason(name, values[name][0], reason) for name in VECTOR)


def vector_scorer(truth: Numbers, prediction: Numbers, scales: Numbers) -> Scorer:
    """Return a function from draws of these rows to their scores; see `vector_scores`."""
    if not len(truth):
        return lambda counts: {name: np.full(len(counts), np.nan) for name in VECTOR}

    def scores(counts: Counts) -> dict[str, Values]:
        r2, rmse, mae = errors_of_numbers(truth, prediction, counts)
        return {
            "mean_r2": mean_of_defined(r2),
            "scaled_rmse": mean_of_defined(rmse / scales),
            "scaled_mae": mean_of_defined(mae / scales),
        }

    return scores


def errors_of_numbers(truth: Numbers, prediction: Numbers, counts: Counts) -> tuple[Values, Values, Values]:
    """Return R2, RMSE and MAE of each number in each draw, (draws, numbers); NaN where it is undefined."""
    known = ~np.isnan(truth)
    error = np.where(known, prediction.astype(np.float64) - truth, 0.0)
    centers = np.array([column[there].mean() if there.any() else 0.0 for column, there in zip(truth.T, known.T, strict=True)])
    # The squares of large numbers would drown their spread.
    centered = np.where(known, truth - centers, 0.0)
    parts = (known, np.square(error), np.abs(error), centered, np.square(centered))
    rows, squared, absolute, offset, around = (column_totals(counts, part) for part in parts)
    spread = around - np.square(offset) / np.maximum(rows, 1)
    # Rounding leaves equal numbers a spread.
    varies = spread > 1e-12 * np.maximum(around, 1e-300)
    return 1 - weighted_mean(squared, np.where(varies, spread, 0)), np.sqrt(weighted_mean(squared, rows)), weighted_mean(absolute, rows)
