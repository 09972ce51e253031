"""Paired comparison of several predictions of the same rows, on the same bootstrap draws and by DeLong's test."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.command_results import ComparedTarget, DeLong, PairedDifference
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.cross_validation import POWER
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.metrics.labels.auc import placements
from mmtrain.metrics.score import Interval
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]


def compare_target(targets: Sequence[FittedTarget], truth: Array, predictions: Sequence[Array], resampling: Resampling) -> ComparedTarget:
    """Compare runs with the first one on the same rows, given the fitted target and the predictions of each run."""
    first, *others = (
        BootstrapScores(EvalSet.of(target, truth, prediction, resampling.groups), resampling.bootstrap(target.known_rows(truth)))
        for target, prediction in zip(targets, predictions, strict=True)
    )
    return ComparedTarget(
        task=targets[0].task,
        rows=len(first.rows),
        interval=resampling.info(first.bootstrap),
        scores=[one.scores for one in (first, *others)],
        against_first=[_paired(first, other) for other in others],
    )


def _paired(first: BootstrapScores, other: BootstrapScores) -> PairedDifference:
    differences, confidence = other.minus(first), first.bootstrap.confidence
    detectable = {
        name: detectable_difference(score.interval, confidence) for name, score in differences.items() if score.interval is not None
    }
    return PairedDifference(differences=differences, delong=_delong(first.rows, other.rows), detectable=detectable)


def _delong(first: EvalSet, other: EvalSet) -> DeLong | None:
    if not first.target.thresholdable:
        return None
    return delong(first.truth, first.prediction.reshape(-1), other.prediction.reshape(-1), first.groups)


Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


def delong(truth: Codes, first: Numbers, second: Numbers, groups: Codes | None = None) -> DeLong | None:
    """Test whether two AUCs on the same rows differ (DeLong, DeLong and Clarke-Pearson 1988).

    `truth` (rows,) is 1 for the positive class, `first` and `second` (rows,) are scores, `groups` (rows,) codes of rows that belong
    together. The difference is the AUC of `second` minus that of `first`, and `p` is two-sided. None if it cannot be tested: fewer than
    two groups have rows of a class, or both scores rank the rows alike.
    """
    positive = truth == 1
    # Without groups every row is a cluster of its own, and the variance below is DeLong's.
    codes = np.arange(len(truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    if min(len(np.unique(codes[positive])), len(np.unique(codes[~positive]))) < 2:
        return None
    # The AUC is the mean of the placement values of either class, so the difference has one deviation per row.
    of_positive, of_negative = (
        mine - theirs for mine, theirs in zip(placements(positive, second), placements(positive, first), strict=True)
    )
    difference = float(of_positive.mean())
    error = sqrt(_variance(of_positive - difference, of_negative - difference, codes[positive], codes[~positive]))
    if error <= 1e-12:  # rounding leaves about 1e-17 where the ranks are equal
        return None
    # Two-sided p-value of the standard normal: erfc(|z| / sqrt(2)).
    return DeLong(difference=difference, standard_error=error, p=erfc(abs(difference) / error / sqrt(2)))


def _variance(positive: Numbers, negative: Numbers, groups_of_positive: Codes, groups_of_negative: Codes) -> float:
    """Variance of the difference, from the deviations of the rows; those of one group are summed before squaring (Obuchowski 1997)."""
    count = int(max(groups_of_positive.max(), groups_of_negative.max())) + 1
    # Sums of the deviations of each group, (groups,), per class.
    by_group = [
        np.bincount(groups, deviations, count) for groups, deviations in ((groups_of_positive, positive), (groups_of_negative, negative))
    ]
    rows = len(positive), len(negative)
    group_counts = len(np.unique(groups_of_positive)), len(np.unique(groups_of_negative))
    within = sum(n / (n - 1) * np.square(sums).sum() / size**2 for sums, size, n in zip(by_group, rows, group_counts, strict=True))
    # A group with rows of both classes makes their deviations depend on each other.
    covariance = count / (count - 1) * (by_group[0] * by_group[1]).sum() / (rows[0] * rows[1])
    # The covariance may be negative, so rounding can lead just below 0.
    return max(float(within + 2 * covariance), 0.0)


def detectable_difference(interval: Interval, confidence: float, power: float = POWER) -> float:
    """Return the smallest true difference that intervals as wide as this exclude 0 for, with this probability; for many rows."""
    normal = NormalDist()
    level = normal.inv_cdf((1 + confidence) / 2)
    return (interval.high - interval.low) / 2 * (level + normal.inv_cdf(power)) / level
