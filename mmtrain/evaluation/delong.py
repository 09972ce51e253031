"""Whether two AUCs on the same rows differ: the test of DeLong, DeLong and Clarke-Pearson (1988).

Rows of one group are summed before they are squared (Obuchowski 1997), which gives the same where every row is a group of its own.
"""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.command_results import DeLong
from mmtrain.metrics.ranking import placements

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


def delong(truth: Codes, first: Numbers, second: Numbers, groups: Codes | None = None) -> DeLong | None:
    """The AUC of `second` less that of `first`; `truth` is 0 or 1, `groups` codes of rows that belong together, all are (rows,).

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
    """Of the mean, from what each row is off it."""
    count = int(max(groups_of_positive.max(), groups_of_negative.max())) + 1
    by_group = [np.bincount(groups, off, count) for groups, off in ((groups_of_positive, positive), (groups_of_negative, negative))]
    rows = len(positive), len(negative)
    held = len(np.unique(groups_of_positive)), len(np.unique(groups_of_negative))
    alone = sum(groups / (groups - 1) * np.square(sums).sum() / n**2 for sums, n, groups in zip(by_group, rows, held, strict=True))
    both = count / (count - 1) * (by_group[0] * by_group[1]).sum() / (rows[0] * rows[1])
    return max(float(alone + 2 * both), 0.0)
