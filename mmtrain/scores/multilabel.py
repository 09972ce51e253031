"""Scores of a target with several labels, any number of which may be true in a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.errors import listed
from mmtrain.named_score import Score, score_if, without_rows
from mmtrain.scores import checks, ranking
from mmtrain.scores.classification import confusion_matrix, f1, log_loss

NAMES = ("macro_auc", "macro_pr_auc", "macro_f1", "subset_accuracy", "hamming_loss", "log_loss")
EACH_LABEL = ("auc", "pr_auc", "f1")


def multilabel_scores(truth: ArrayLike, probabilities: ArrayLike, *, labels: Sequence[str], threshold: float = 0.5) -> tuple[Score, ...]:
    """`truth` and `probabilities` are (n, labels). First the scores of all labels together, then auc, pr_auc and f1 of each label in turn.

    A macro score is the unweighted mean over the labels whose own score is defined; its `note` names the others. Subset accuracy is
    the share of rows with every label right, Hamming loss the share of wrong cells; log loss is a mean over cells. A label is
    predicted at `threshold` or above, compared in the precision of `probabilities`.

    Raises:
        ValueError: an array has a wrong shape, or holds NaN or values outside its range.
    """
    codes = checks.codes(truth, count=2, what="truth", ndim=2)
    received = checks.probabilities(probabilities, shape=(codes.shape[0], len(labels)))
    checks.same_shape(codes, shape=received.shape, what="truth values")
    if not codes.size:
        return without_rows((*NAMES, *(f"{base}[{label}]" for label in labels for base in EACH_LABEL)))
    predicted = received >= float(threshold)
    wrong = predicted != codes
    chances = received.astype(np.float64)  # before `1 - chances`, which would lose small probabilities in float32
    each = [_label_scores(codes[:, i], chances[:, i], predicted[:, i], label=label) for i, label in enumerate(labels)]
    return (
        _macro("AUC", "macro_auc", [scores[0] for scores in each], labels=labels),
        _macro("PR-AUC", "macro_pr_auc", [scores[1] for scores in each], labels=labels),
        _macro("F1", "macro_f1", [scores[2] for scores in each], labels=labels),
        Score("subset_accuracy", float(1 - wrong.any(axis=1).mean())),
        Score("hamming_loss", float(wrong.mean())),
        Score("log_loss", log_loss(np.where(codes == 1, chances, 1 - chances))),
        *(score for scores in each for score in scores),
    )


def _label_scores(
    truth: NDArray[np.int64], chances: NDArray[np.float64], predicted: NDArray[np.bool_], *, label: str
) -> tuple[Score, Score, Score]:
    """AUC, PR-AUC and F1 of one label; the arrays are (n,)."""
    counts = ranking.threshold_counts(truth, chances)
    positives = int(truth.sum())
    label_f1 = f1(confusion_matrix(truth, predicted, count=2))[1]
    only = "with" if positives else "without"
    return (
        score_if(
            0 < positives < truth.size,
            f"auc[{label}]",
            lambda: ranking.area_under_roc(*counts),
            f"AUC needs rows with and without '{label}'; this part has only rows {only} it.",
        ),
        score_if(
            positives > 0,
            f"pr_auc[{label}]",
            lambda: ranking.average_precision(*counts),
            f"PR-AUC needs rows with '{label}'; this part has none.",
        ),
        score_if(
            not np.isnan(label_f1),
            f"f1[{label}]",
            lambda: label_f1,
            f"F1 needs rows with '{label}', true or predicted; this part has none.",
        ),
    )


def _macro(title: str, name: str, scores: Sequence[Score], *, labels: Sequence[str]) -> Score:
    """The mean of one score over the labels that have it; `scores` are in the order of `labels`."""
    values = [score.value for score in scores if score.value is not None]
    without = [label for label, score in zip(labels, scores, strict=True) if score.value is None]
    words = "has no {} in this part and is left out" if len(without) == 1 else "have no {} in this part and are left out"
    return score_if(
        bool(values),
        name,
        lambda: np.mean(values),
        f"Macro {title} needs a label that has {title}; in this part none of the {len(labels)} labels has it.",
        note=f"{len(without)} of {len(labels)} labels {words.format(title)}: {listed(without)}." if without else "",
    )
