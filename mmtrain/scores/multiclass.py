"""Scores of a target with several classes, one of which is true."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.errors import listed
from mmtrain.named_score import Score, score_if, without_rows
from mmtrain.scores import checks, ranking
from mmtrain.scores.classification import confusion_matrix, f1, log_loss, recall

NAMES = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "log_loss")


def multiclass_scores(truth: ArrayLike, probabilities: ArrayLike, *, classes: Sequence[str]) -> tuple[Score, ...]:
    """`truth` (n,) holds codes of `classes`; `probabilities` is (n, classes). The predicted class is the first of the most probable.

    Balanced accuracy, macro F1 and macro AUC are unweighted means over the classes that occur in `truth`; their `note` names the others.

    Raises:
        ValueError: an array has a wrong shape, or holds NaN or values outside its range.
    """
    codes = checks.codes(truth, count=len(classes), what="truth")
    chances = checks.probabilities(probabilities, shape=(codes.size, len(classes)))
    if not codes.size:
        return without_rows(NAMES)
    matrix = confusion_matrix(codes, chances.argmax(axis=1), count=len(classes))
    rows = matrix.sum(axis=1)
    present = np.flatnonzero(rows)
    each_f1 = f1(matrix)[present]  # 0 for a class that is never predicted: its recall is 0
    note = _absent_note([name for name, occurs in zip(classes, rows > 0, strict=True) if not occurs], of=len(classes))
    return (
        Score("accuracy", float(np.trace(matrix) / codes.size)),
        Score("balanced_accuracy", float(recall(matrix)[present].mean()), note=note),
        Score("macro_f1", float(each_f1.mean()), note=note),
        Score("weighted_f1", float(np.average(each_f1, weights=rows[present]))),
        score_if(
            present.size > 1,
            "macro_auc",
            lambda: _one_against_rest(codes, chances, present).mean(),
            f"Macro AUC needs at least two classes; this part has only '{classes[present[0]]}'.",
            note=note,
        ),
        Score("log_loss", log_loss(chances[np.arange(codes.size), codes])),
    )


def _one_against_rest(truth: NDArray[np.int64], chances: NDArray[np.floating], present: NDArray[np.intp]) -> NDArray[np.float64]:
    """The AUC of each of the `present` classes, in their order."""
    counts = (ranking.threshold_counts((truth == code).astype(np.int64), chances[:, code]) for code in present)
    return np.array([ranking.area_under_roc(*pair) for pair in counts])


def _absent_note(absent: Sequence[str], *, of: int) -> str:
    if not absent:
        return ""
    words = "does not occur in this part and is left out" if len(absent) == 1 else "do not occur in this part and are left out"
    return f"{len(absent)} of {of} classes {words}: {listed(absent)}."
