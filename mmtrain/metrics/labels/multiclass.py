"""Scores of a target with several classes, one of which is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.errors import listed
from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import (
    Counts,
    RowCounts,
    Scorer,
    Values,
    by_code,
    by_row,
    cached_if_small,
    mean_of_defined,
    totals,
    unit_counts,
    weighted_mean,
)
from mmtrain.metrics.labels.auc import SMALL_CLASS, Ranking, SmallClasses
from mmtrain.metrics.labels.classification import f1, log_losses
from mmtrain.metrics.score import MULTICLASS, Score, value_or_reason, without_rows

OVER_TRUE_CLASSES = ("balanced_accuracy", "macro_auc")
"""Unweighted means over the classes that occur. Macro F1 is the mean over classes that occur or are predicted, as in scikit-learn."""


def multiclass_scores(
    truth: ArrayLike, probabilities: ArrayLike, *, classes: Sequence[str], factors: NDArray[np.floating] | None = None
) -> tuple[Score, ...]:
    """Compute the scores of several classes: `truth` (n,) has codes of `classes`, `probabilities` is (n, classes).

    The predicted class is the most probable one, the first of them in a tie; with `factors`, (classes,), the one with the largest product
    of probability and factor.

    Balanced accuracy and macro AUC are unweighted means over the classes that occur in `truth`, macro F1 over those that occur or are
    predicted: a class that is predicted but never true has an F1 of 0. The `note` of each names the other classes.

    Raises:
        ValueError: an array has a wrong shape, or holds NaN or values outside its range.
    """
    values = multiclass_scorer(truth, probabilities, count=len(classes), factors=factors)(unit_counts(np.size(truth)))
    if not np.size(truth):
        return without_rows(MULTICLASS)
    codes = np.asarray(truth)
    never_true = np.flatnonzero(np.bincount(codes.astype(np.int64), minlength=len(classes)) == 0)
    called = np.isin(never_true, _decided(np.asarray(probabilities), factors))
    reason = f"Macro AUC needs at least two classes; this part has only '{classes[int(codes[0])]}'."
    absent, unused, zero = ([classes[code] for code in codes] for codes in (never_true, never_true[~called], never_true[called]))
    notes = dict.fromkeys(OVER_TRUE_CLASSES, _absent_note(absent, of=len(classes)))
    notes["macro_f1"] = " ".join(note for note in (_zero_note(zero, of=len(classes)), _absent_note(unused, of=len(classes))) if note)
    return tuple(value_or_reason(name, values[name][0], reason, note=notes.get(name, "")) for name in MULTICLASS)


def multiclass_scorer(truth: ArrayLike, probabilities: ArrayLike, *, count: int, factors: NDArray[np.floating] | None = None) -> Scorer:
    """Return a function from draws of these rows to their scores; `count` is the number of classes, `factors` as in `multiclass_scores`.

    Means over classes cover the classes of a draw; macro F1 also those predicted in it. Raises as `multiclass_scores` does.
    """
    codes = input_checks.codes(truth, count=count, what="truth")
    checked = input_checks.probabilities(probabilities, shape=(codes.size, count))
    if not codes.size:
        return lambda counts: {name: np.full(len(counts), np.nan) for name in MULTICLASS}
    called = _decided(checked, factors)
    right = called == codes
    # (rows,) loss of the probability that the true class got
    losses = log_losses(checked[np.arange(codes.size), codes])
    areas = class_areas(codes, checked)[1]

    def scores(counts: Counts) -> dict[str, Values]:
        true = by_code(counts, codes, count=count)  # (draws, classes)
        # (draws, classes) rows of the class that were predicted as such
        hits = by_code(counts * right, codes, count=count)
        # 0 for a class that is never predicted and for one that is predicted without rows; NaN, so left out, for one that is neither.
        # A model must not score higher for calling rows by names that none of them has.
        each_f1 = f1(hits, true, by_code(counts, called, count=count))
        rows = true.sum(axis=1)
        return {
            "accuracy": weighted_mean(hits.sum(axis=1), rows),
            "balanced_accuracy": mean_of_defined(weighted_mean(hits, true)),
            "macro_f1": mean_of_defined(each_f1),
            # A class that is neither true nor predicted has weight 0 here.
            "weighted_f1": weighted_mean((np.nan_to_num(each_f1) * true).sum(axis=1), rows),
            "macro_auc": mean_of_defined(areas(by_row(counts))),
            "log_loss": weighted_mean(*totals(counts, losses, np.ones(codes.size))),
        }

    return scores


def _decided(probabilities: NDArray[np.floating], factors: NDArray[np.floating] | None) -> NDArray[np.int64]:
    return np.asarray((probabilities if factors is None else probabilities * factors).argmax(axis=1))


def class_areas(truth: NDArray[np.int64], probabilities: NDArray[np.floating]) -> tuple[NDArray[np.int64], Callable[[RowCounts], Values]]:
    """Return the classes that occur, and a function from draws to the AUC of each against all others, (draws, classes)."""
    classes, sizes = np.unique(truth, return_counts=True)
    small = sizes <= SMALL_CLASS
    together = SmallClasses(truth, probabilities, classes[small]) if small.any() else None
    ranked = cached_if_small(
        lambda code: Ranking((truth == code).astype(np.int64), probabilities[:, code]),
        columns=int(np.count_nonzero(~small)),
        rows=len(truth),
    )

    def areas_of(counts: RowCounts) -> Values:
        # (draws, classes that occur)
        areas = np.empty((counts.shape[1], len(classes)))
        if together is not None:
            areas[:, small] = together.auc(counts)
        for place in np.flatnonzero(~small).tolist():
            areas[:, place] = ranked(int(classes[place])).auc(counts)
        return areas

    return classes, areas_of


def _absent_note(absent: Sequence[str], *, of: int) -> str:
    if not absent:
        return ""
    words = "does not occur in this part and is left out" if len(absent) == 1 else "do not occur in this part and are left out"
    return f"{len(absent)} of {of} classes {words}: {listed(absent)}."


def _zero_note(zero: Sequence[str], *, of: int) -> str:
    """Name the classes whose F1 is 0 because they are predicted but never true."""
    if not zero:
        return ""
    words = "is predicted but does not occur in this part: its F1 is 0"
    if len(zero) > 1:
        words = "are predicted but do not occur in this part: their F1 is 0"
    return f"{len(zero)} of {of} classes {words} ({listed(zero)})."
