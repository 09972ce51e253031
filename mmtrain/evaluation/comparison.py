"""Paired comparison of several predictions of the same rows: each bootstrap draw has the same rows for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.command_results import ComparedTarget, DeLong, PairedDifference
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.metrics.ranking import placements
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]


def compare_target(targets: Sequence[FittedTarget], truth: Array, predictions: Sequence[Array], resampling: Resampling) -> ComparedTarget:
    """Compare runs on the same rows: the fitted target and the predictions of each run, and the `truth` of the rows."""
    first, *others = (
        BootstrapScores(EvalSet.of(target, truth, prediction, resampling.groups), resampling.bootstrap(target.known_rows(truth)))
        for target, prediction in zip(targets, predictions, strict=True)
    )
    return ComparedTarget(
        task=targets[0].task,
        rows=len(first.rows),
        interval=resampling.info(first.bootstrap),
        scores=[one.scores for one in (first, *others)],
        against_first=[PairedDifference(differences=other.less(first), delong=_delong(first.rows, other.rows)) for other in others],
    )


def _delong(first: EvalSet, other: EvalSet) -> DeLong | None:
    if not first.target.thresholdable:
        return None
    return delong(first.truth, first.prediction.reshape(-1), other.prediction.reshape(-1), first.groups)


Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


def delong(truth: Codes, first: Numbers, second: Numbers, groups: Codes | None = None) -> DeLong | None:
    """Test whether two AUCs on the same rows differ (DeLong, DeLong and Clarke-Pearson 1988): AUC of `second` minus that of `first`.

    None where it cannot be told: fewer than two groups have rows of a class, or the two scores put the rows in the same order.
    """
    positive = truth == 1
    belong = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    fewest = min(len(np.unique(belong[positive])), len(np.unique(belong[~positive])))
    if fewest < 2:
        return None
    won, kept = (mine - theirs for mine, theirs in zip(placements(positive, second), placements(positive, first), strict=True))
    difference = float(won.mean())
    error = sqrt(_variance(won - difference, kept - difference, belong[positive], belong[~positive]))
    if error <= 1e-12:
        return None
    return DeLong(difference=difference, standard_error=error, p=erfc(abs(difference) / error / sqrt(2)))


def _variance(positive: Numbers, negative: Numbers, groups_of_positive: Codes, groups_of_negative: Codes) -> float:
    """Variance of the mean, from the deviations of the rows; rows of one group are summed before they are squared (Obuchowski 1997)."""
    count = int(max(groups_of_positive.max(), groups_of_negative.max())) + 1
    by_group = [np.bincount(groups, off, count) for groups, off in ((groups_of_positive, positive), (groups_of_negative, negative))]
    rows = len(positive), len(negative)
    held = len(np.unique(groups_of_positive)), len(np.unique(groups_of_negative))
    alone = sum(groups / (groups - 1) * np.square(sums).sum() / n**2 for sums, n, groups in zip(by_group, rows, held, strict=True))
    both = count / (count - 1) * (by_group[0] * by_group[1]).sum() / (rows[0] * rows[1])
    return max(float(alone + 2 * both), 0.0)
