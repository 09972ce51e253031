"""Scores of a target with two classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mmtrain.named_score import Score, score_if, without_rows
from mmtrain.scores import checks, ranking
from mmtrain.scores.classification import confusion_matrix, f1, log_loss, recall

NAMES = ("auc", "pr_auc", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "log_loss", "brier")


def binary_scores(truth: ArrayLike, probability: ArrayLike, *, classes: tuple[str, str], threshold: float = 0.5) -> tuple[Score, ...]:
    """`truth` (n,) is 1 for the positive class, `classes[1]`; `probability` (n,) is that of the positive class.

    A row is called positive at `threshold` or above, compared in the precision of `probability`: a float32 0.7 reaches 0.7.

    Raises:
        ValueError: an array has a wrong shape, or holds NaN or values outside its range.
    """
    codes = checks.codes(truth, count=2, what="truth")
    received = checks.probabilities(probability, shape=codes.shape)
    if not codes.size:
        return without_rows(NAMES)
    matrix = confusion_matrix(codes, received >= float(threshold), count=2)
    chances = received.astype(np.float64)  # before `1 - chances`, which would lose small probabilities in float32
    return (
        *_ranking_scores(codes, chances, classes=classes),
        *_decision_scores(matrix, classes=classes),
        Score("log_loss", log_loss(np.where(codes == 1, chances, 1 - chances))),
        Score("brier", float(np.square(chances - codes).mean())),
    )


def _ranking_scores(truth: NDArray[np.int64], chances: NDArray[np.float64], *, classes: tuple[str, str]) -> tuple[Score, ...]:
    counts = ranking.threshold_counts(truth, chances)
    negative, positive = classes
    positives = int(truth.sum())
    only = positive if positives else negative
    return (
        score_if(
            0 < positives < truth.size,
            "auc",
            lambda: ranking.area_under_roc(*counts),
            f"AUC needs both classes; this part has only '{only}'.",
        ),
        score_if(
            positives > 0,
            "pr_auc",
            lambda: ranking.average_precision(*counts),
            f"PR-AUC needs rows of class '{positive}'; this part has none.",
        ),
    )


def _decision_scores(matrix: NDArray[np.int64], *, classes: tuple[str, str]) -> tuple[Score, ...]:
    """Accuracy to specificity, from a 2 x 2 confusion matrix of at least one row."""
    negative, positive = classes
    negatives, positives = matrix.sum(axis=1).tolist()
    only = positive if positives else negative
    found, positive_f1 = recall(matrix), f1(matrix)[1]
    return (
        Score("accuracy", float(np.trace(matrix) / matrix.sum())),
        score_if(
            negatives > 0 and positives > 0,
            "balanced_accuracy",
            found.mean,
            f"Balanced accuracy needs both classes; this part has only '{only}'.",
        ),
        score_if(
            not np.isnan(positive_f1),
            "f1",
            lambda: positive_f1,
            f"F1 needs rows of class '{positive}', true or predicted; this part has none.",
        ),
        score_if(positives > 0, "sensitivity", lambda: found[1], f"Sensitivity needs rows of class '{positive}'; this part has none."),
        score_if(negatives > 0, "specificity", lambda: found[0], f"Specificity needs rows of class '{negative}'; this part has none."),
    )
