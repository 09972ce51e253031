"""Scores of a target with two classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mmtrain.metrics import input_checks
from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, by_row, totals, unit_counts, weighted_mean
from mmtrain.metrics.labels.auc import Ranking
from mmtrain.metrics.labels.classification import f1, log_losses
from mmtrain.metrics.score import BINARY, Score, value_or_reason, without_rows


def binary_scores(truth: ArrayLike, probability: ArrayLike, *, classes: tuple[str, str], threshold: float = 0.5) -> tuple[Score, ...]:
    """Compute the scores of two classes: `truth` (n,) is 1 for `classes[1]`, the positive one, and `probability` (n,) is its probability.

    A row is called positive at `threshold` or above, compared in the precision of `probability`: a float32 0.7 reaches 0.7.

    Raises:
        ValueError: an array has a wrong shape, or holds NaN or values outside its range.
    """
    # The rows as they are: one draw in which each counts once.
    values = binary_scorer(truth, probability, threshold=threshold)(unit_counts(np.size(truth)))
    if not np.size(truth):
        return without_rows(BINARY)
    negative, positive = classes
    only = positive if np.any(truth) else negative
    reasons = {
        "auc": f"AUC needs both classes; this part has only '{only}'.",
        "pr_auc": f"PR-AUC needs rows of class '{positive}'; this part has none.",
        "balanced_accuracy": f"Balanced accuracy needs both classes; this part has only '{only}'.",
        "f1": f"F1 needs rows of class '{positive}', true or predicted; this part has none.",
        "sensitivity": f"Sensitivity needs rows of class '{positive}'; this part has none.",
        "specificity": f"Specificity needs rows of class '{negative}'; this part has none.",
    }
    return tuple(value_or_reason(name, values[name][0], reasons.get(name, "")) for name in BINARY)


def binary_scorer(truth: ArrayLike, probability: ArrayLike, *, threshold: float = 0.5) -> Scorer:
    """Return a function from draws of these rows to their scores. Raises as `binary_scores` does."""
    codes = input_checks.codes(truth, count=2, what="truth")
    received = input_checks.probabilities(probability, shape=codes.shape)
    if not codes.size:
        return lambda counts: {name: np.full(len(counts), np.nan) for name in BINARY}
    positive = received.astype(np.float64)  # 1 - p would lose small probabilities in float32
    called = received >= float(threshold)  # a NumPy float64 would promote, a Python float is compared in the precision of the array
    losses = log_losses(np.where(codes == 1, positive, 1 - positive))
    # Columns whose sums over the rows of a draw give every score but the areas.
    of_rows = (np.ones(codes.size), codes, called, codes * called, losses, np.square(positive - codes))
    ranking = Ranking(codes, positive)

    def scores(counts: Counts) -> dict[str, Values]:
        rows, positives, called_positive, hits, log_loss, brier = totals(counts, *of_rows)
        negatives = rows - positives
        correct_negatives = negatives - (called_positive - hits)
        sensitivity, specificity = weighted_mean(hits, positives), weighted_mean(correct_negatives, negatives)
        auc, pr_auc = ranking.areas(by_row(counts))
        return {
            "auc": auc,
            "pr_auc": pr_auc,
            "accuracy": weighted_mean(hits + correct_negatives, rows),
            "balanced_accuracy": (sensitivity + specificity) / 2,
            "f1": f1(hits, positives, called_positive),
            "sensitivity": sensitivity,
            "specificity": specificity,
            "log_loss": weighted_mean(log_loss, rows),
            "brier": weighted_mean(brier, rows),
        }

    return scores
