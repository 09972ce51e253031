"""Metrics of several labels: micro and weighted means next to the macro means of the task. Cells whose label is unknown are left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import Counts, Values, by_row, column_totals, mean_of_defined, totals, weighted_mean
from mmtrain.metrics.labels.auc import Ranking
from mmtrain.metrics.labels.classification import f1
from mmtrain.metrics.labels.multilabel import KnownRanking

Array = NDArray[Any]
Scores = Callable[[Counts], Values]
Cells = Callable[[Counts], tuple[Values, Values, Values]]


def _cells(truth: Array, prediction: Array, target: Any) -> Cells:
    """Return a function from counts to the rows of each draw and label, (draws, labels): right positives, true ones, predicted ones."""
    known, has = truth >= 0, truth == 1
    called = (prediction >= float(target.threshold)) & known

    def cells(counts: Counts) -> tuple[Values, Values, Values]:
        hits, true, predicted = (column_totals(counts, columns) for columns in (has & called, has, called))
        return hits, true, predicted

    return cells


def _micro(truth: Array, prediction: Array, target: Any, ratio: Callable[[Values, Values, Values], Values]) -> Scores:
    cells = _cells(truth, prediction, target)
    return lambda counts: ratio(*(one.sum(axis=1) for one in cells(counts)))


def micro_precision(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Share of the predicted labels that are right, over all rows and labels."""
    return _micro(truth, prediction, target, lambda hits, _, predicted: weighted_mean(hits, predicted))


def micro_recall(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Share of the labels of all rows that are predicted."""
    return _micro(truth, prediction, target, lambda hits, true, _: weighted_mean(hits, true))


def micro_f1(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """F1 over all rows and labels."""
    return _micro(truth, prediction, target, f1)


def macro_precision(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean precision of the labels; of one that is never predicted it is 0, as in scikit-learn."""
    cells = _cells(truth, prediction, target)

    def scores(counts: Counts) -> Values:
        hits, _, predicted = cells(counts)
        return np.asarray(np.nan_to_num(weighted_mean(hits, predicted)).mean(axis=1))

    return scores


def macro_recall(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean recall of the labels that occur."""
    cells = _cells(truth, prediction, target)

    def scores(counts: Counts) -> Values:
        hits, true, _ = cells(counts)
        return mean_of_defined(weighted_mean(hits, true))

    return scores


def _weighted(cells: Cells, ratio: Callable[[Values, Values, Values], Values]) -> Scores:
    def scores(counts: Counts) -> Values:
        hits, true, predicted = cells(counts)
        return weighted_mean((np.nan_to_num(ratio(hits, true, predicted)) * true).sum(axis=1), true.sum(axis=1))

    return scores


def weighted_precision(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean precision of the labels, each weighted by the rows that have it."""
    return _weighted(_cells(truth, prediction, target), lambda hits, _, predicted: weighted_mean(hits, predicted))


def weighted_f1(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean F1 of the labels, each weighted by the rows that have it."""
    return _weighted(_cells(truth, prediction, target), f1)


def weighted_auc(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean AUC of the labels, each weighted by the rows that have it."""
    return _weighted_areas(truth, prediction, which=0)


def weighted_pr_auc(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean PR-AUC of the labels, each weighted by the rows that have it."""
    return _weighted_areas(truth, prediction, which=1)


def _weighted_areas(truth: Array, prediction: Array, *, which: int) -> Scores:
    rankings = [KnownRanking(truth[:, label].astype(np.int64), prediction[:, label].astype(np.float64)) for label in range(truth.shape[1])]

    def scores(counts: Counts) -> Values:
        row_counts, true = by_row(counts), column_totals(counts, truth == 1)
        areas = np.stack([ranking.areas(row_counts)[which] for ranking in rankings], axis=1)
        weights = np.where(np.isnan(areas), 0, true)
        return weighted_mean((np.nan_to_num(areas) * weights).sum(axis=1), weights.sum(axis=1))

    return scores


def micro_auc(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """AUC over all cells of rows and labels."""
    return _micro_area(truth, prediction, which=0)


def micro_pr_auc(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """PR-AUC over all cells of rows and labels."""
    return _micro_area(truth, prediction, which=1)


def _micro_area(truth: Array, prediction: Array, *, which: int) -> Scores:
    rows, labels = np.nonzero(truth >= 0)
    if not len(rows):
        return lambda counts: np.full(len(counts), np.nan)
    ranking = Ranking(truth[rows, labels].astype(np.int64), prediction[rows, labels].astype(np.float64))
    # Every cell counts as often as its row was drawn.
    return lambda counts: ranking.areas(by_row(counts)[rows])[which]


def precision_at_k(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean over rows of the share of true labels among the `level` most probable ones; rows whose labels are all known."""
    whole, wanted = np.asarray((truth >= 0).all(axis=1)), int(level)
    if truth.shape[1] < wanted:
        return lambda counts: np.full(len(counts), np.nan)
    # Stable: in a tie the first label counts as more probable.
    top = np.argsort(-prediction, axis=1, kind="stable")[:, :wanted]
    precision = (np.take_along_axis(truth, top, axis=1) == 1).mean(axis=1)
    return lambda counts: weighted_mean(*totals(counts, precision * whole, whole))
