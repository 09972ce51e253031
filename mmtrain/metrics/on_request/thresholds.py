"""Metrics of a ranking at one threshold: the best sensitivity at a specificity and the reverse, the precision of the first rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import Counts, Values, by_row, weighted_mean
from mmtrain.metrics.labels.auc import running_totals

Array = NDArray[Any]
Scores = Callable[[Counts], Values]
ROUNDING = 1e-9
"""Rounding error of the product of a proportion and a number of rows: (1 - 0.95) * 20 is above 1 in float64."""


def sensitivity_at_specificity(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Highest sensitivity among the thresholds whose specificity is `level` or more, in these rows."""
    return _best_at(truth == 1, prediction.reshape(-1), level)


def specificity_at_sensitivity(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Highest specificity among the thresholds whose sensitivity is `level` or more, in these rows."""
    # The same with the classes exchanged, and the order of rows reversed.
    return _best_at(truth == 0, -prediction.reshape(-1), level)


def _best_at(hit: NDArray[np.bool_], score: Array, level: float) -> Scores:
    """Return the highest share of `hit` rows above a threshold that leaves a share of `level` of the others below it."""
    order, ends = _descending(score)

    def scores(counts: Counts) -> Values:
        rows = by_row(counts)[order]
        # (thresholds, draws), the first one above all rows; the others rise, as more rows are above the threshold.
        hits, alarms = (running_totals(rows * mask[:, np.newaxis])[ends] for mask in (hit[order], ~hit[order]))
        allowed = np.floor((1 - level) * alarms[-1] + ROUNDING)
        last = (alarms <= allowed).sum(axis=0) - 1
        return np.where(alarms[-1] > 0, weighted_mean(_at(hits, last), hits[-1]), np.nan)

    return scores


def precision_at_k(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Share of positive rows among the `level` rows with the highest probability; rows that tie at the end count in proportion."""
    positive = truth == 1
    order, ends = _descending(prediction.reshape(-1))

    def scores(counts: Counts) -> Values:
        rows = by_row(counts)[order]
        seen, hits = (running_totals(rows * mask[:, np.newaxis])[ends] for mask in (np.ones(len(order), dtype=np.int8), positive[order]))
        # The last threshold with fewer rows than `level`, and the next one, which reaches it.
        last = np.minimum((seen < level).sum(axis=0), len(ends) - 1)
        before = np.maximum(last - 1, 0)
        full, block = _at(seen, before), _at(seen, last) - _at(seen, before)
        within = (_at(hits, last) - _at(hits, before)) * (level - full) / np.maximum(block, 1)
        return np.where(seen[-1] >= level, (_at(hits, before) + within) / level, np.nan)

    return scores


def _at(values: Array, place: Array) -> Array:
    """Return the value of each draw at its own threshold, (draws,); `values` are (thresholds, draws)."""
    return np.asarray(np.take_along_axis(values, place[np.newaxis], axis=0)[0])


def _descending(score: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows from the highest score down, and the numbers of rows at or above each threshold: 0, then the end of each tie."""
    order = np.argsort(score)[::-1]
    descending = score[order]
    return order, np.append(0, np.flatnonzero(np.append(descending[1:] != descending[:-1], True)) + 1)
