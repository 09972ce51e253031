"""Metrics of decisions among classes: predictive values, agreement, means over classes.

All of them follow from the rows of each class, those predicted as each class, and those that are both: their cost is linear in the rows
and in the classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import Counts, Values, by_code, mean_of_defined, totals, weighted_mean
from mmtrain.metrics.labels.classification import log_losses

Array = NDArray[Any]
Scores = Callable[[Counts], Values]


class _Marginals(NamedTuple):
    """Rows of each draw and class, (draws, classes): right ones, true ones and predicted ones."""

    hits: Array
    true: Array
    predicted: Array


def _marginals(truth: Array, prediction: Array, target: Any) -> Callable[[Counts], _Marginals]:
    codes, called, classes = truth.astype(np.int64), _decided(prediction, target), len(target.columns)
    right = called == codes

    def marginals(counts: Counts) -> _Marginals:
        hits, true, predicted = ((counts * right, codes), (counts, codes), (counts, called))
        return _Marginals(by_code(*hits, count=classes), by_code(*true, count=classes), by_code(*predicted, count=classes))

    return marginals


def _decided(prediction: Array, target: Any) -> NDArray[np.int64]:
    """Return the code of the class that each row is predicted as."""
    import pandas as pd

    return np.asarray(pd.Index(list(target.columns)).get_indexer(pd.Index(target.predict_label(prediction))), dtype=np.int64)


def _probabilities(prediction: Array, target: Any) -> Array:
    return np.asarray(target.probabilities(prediction))


def ppv(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Share of the rows predicted to be positive that are positive: the precision."""
    marginals = _marginals(truth, prediction, target)
    return lambda counts: _ratio(marginals(counts), code=1)


def npv(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Share of the rows predicted to be negative that are negative."""
    marginals = _marginals(truth, prediction, target)
    return lambda counts: _ratio(marginals(counts), code=0)


def _ratio(rows: _Marginals, *, code: int) -> Values:
    return weighted_mean(rows.hits[:, code], rows.predicted[:, code])


def mcc(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Correlation between answers and predictions; of several classes Gorodkin's R_K (2004, doi:10.1016/j.compbiolchem.2004.09.006)."""
    marginals = _marginals(truth, prediction, target)

    def scores(counts: Counts) -> Values:
        rows = _Marginals(*(one.astype(np.float64) for one in marginals(counts)))
        total = rows.true.sum(axis=1)
        covariance = rows.hits.sum(axis=1) * total - (rows.true * rows.predicted).sum(axis=1)
        spread = [np.maximum(total**2 - (one**2).sum(axis=1), 0) for one in (rows.true, rows.predicted)]
        return weighted_mean(covariance, np.sqrt(spread[0]) * np.sqrt(spread[1]))

    return scores


def cohen_kappa(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Agreement beyond that of independent answers and predictions (Cohen 1960, doi:10.1177/001316446002000104)."""
    marginals = _marginals(truth, prediction, target)

    def scores(counts: Counts) -> Values:
        rows = _Marginals(*(one.astype(np.float64) for one in marginals(counts)))
        total = rows.true.sum(axis=1)
        expected = (rows.true * rows.predicted).sum(axis=1)
        return weighted_mean(rows.hits.sum(axis=1) * total - expected, total**2 - expected)

    return scores


def balanced_log_loss(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean over the classes that occur of the mean log loss of their rows."""
    codes = truth.astype(np.int64)
    losses = log_losses(_probabilities(prediction, target)[np.arange(len(codes)), codes])
    classes = len(target.columns)
    # Sums of losses by class as one matrix product: (draws, rows) by (rows, classes) would be dense, so classes are summed by range.
    order = np.argsort(codes, kind="stable")
    present, starts = np.unique(codes[order], return_index=True)

    def scores(counts: Counts) -> Values:
        sums = np.add.reduceat(np.take(counts * losses, order, axis=1), starts, axis=1)
        return mean_of_defined(weighted_mean(sums, by_code(counts, codes, count=classes)[:, present]))

    return scores


def top_k_accuracy(truth: Array, prediction: Array, target: Any, level: float) -> Scores:
    """Share of the rows whose class is among the `level` most probable ones; in a tie the first class counts as more probable.

    Undefined where `level` counts every class: the share would be 1 whatever is predicted.
    """
    if level >= len(target.columns):
        return lambda counts: np.full(len(counts), np.nan)
    codes = truth.astype(np.int64)[:, np.newaxis]
    probabilities = _probabilities(prediction, target)
    mine = np.take_along_axis(probabilities, codes, axis=1)
    before = (probabilities > mine) | ((probabilities == mine) & (np.arange(probabilities.shape[1]) < codes))
    right = before.sum(axis=1) < level
    return lambda counts: weighted_mean(*totals(counts, right, np.ones(len(right))))


def macro_precision(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean precision of the classes that occur or are predicted; of one that is never predicted it is 0, as in scikit-learn."""
    marginals = _marginals(truth, prediction, target)

    def scores(counts: Counts) -> Values:
        rows = marginals(counts)
        each = np.where((rows.true > 0) & (rows.predicted == 0), 0.0, weighted_mean(rows.hits, rows.predicted))
        return mean_of_defined(each)

    return scores


def macro_recall(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean recall of the classes that occur or are predicted; of one that is predicted but never true it is 0, as in scikit-learn."""
    marginals = _marginals(truth, prediction, target)

    def scores(counts: Counts) -> Values:
        rows = marginals(counts)
        each = np.where((rows.predicted > 0) & (rows.true == 0), 0.0, weighted_mean(rows.hits, rows.true))
        return mean_of_defined(each)

    return scores


def weighted_precision(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean precision of the classes, each weighted by its rows."""
    marginals = _marginals(truth, prediction, target)

    def scores(counts: Counts) -> Values:
        rows = marginals(counts)
        each = np.nan_to_num(weighted_mean(rows.hits, rows.predicted))
        return weighted_mean((each * rows.true).sum(axis=1), rows.true.sum(axis=1))

    return scores


def weighted_auc(truth: Array, prediction: Array, target: Any, level: float) -> Scores:  # noqa: ARG001
    """Mean AUC of each class against all others, each weighted by its rows."""
    from mmtrain.metrics.bootstrap_counts import by_row
    from mmtrain.metrics.labels.multiclass import class_areas

    codes, classes = truth.astype(np.int64), len(target.columns)
    present, areas = class_areas(codes, _probabilities(prediction, target))

    def scores(counts: Counts) -> Values:
        each, rows = areas(by_row(counts)), by_code(counts, codes, count=classes)[:, present]
        weights = np.where(np.isnan(each), 0, rows)
        return weighted_mean((np.nan_to_num(each) * weights).sum(axis=1), weights.sum(axis=1))

    return scores
