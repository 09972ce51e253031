"""AUC and PR-AUC, and the contribution of each row to the AUC.

Both areas follow from three numbers per positive row: how many positive and how many negative rows score at least as high, and how many
negative rows score higher. For a bootstrap draw they are sums of counts. Three ways to compute them:

| way | for | cost |
|---|---|---|
| `threshold_counts` | the curves of the rows as they are | one sort |
| `Ranking` | draws of rows | one sort, then two passes over rows x draws |
| `SmallClasses` | draws of rows of many classes with few rows each | a matrix product; no pass over rows x draws for each class |
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import RowCounts, Values, weighted_mean

Counts = NDArray[np.int64]

FEW_DRAWS = 64
"""Fewer draws are added up by NumPy's cumsum; from here on in blocks of rows, many draws in one instruction."""

SMALL_CLASS = 24
"""Rows of a class up to which a matrix product is faster (measured on two cores: equal at 25 to 35 rows of 3,000)."""

PRODUCT_CELLS = 2_000_000
"""Maximum number of cells of one matrix of comparisons, 8 MB."""

EXACT_IN_FLOAT32 = 2**24
"""Whole numbers below this are exact in float32, which has 24 bits for them."""


def threshold_counts(truth: NDArray[np.int64], score: NDArray[np.floating]) -> tuple[Counts, Counts]:
    """Count the true and false positives if every row that scores at or above a threshold is called positive.

    `truth` (n,) is 0 or 1, n at least 1. Both results are (thresholds,): one threshold for each distinct score, from the highest down.
    Rows with equal scores therefore enter together, and their order in the table cannot matter.
    """
    # Not stable, as ties enter together anyway.
    order = np.argsort(score)[::-1]
    descending = score[order]
    last_of_tie = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    true_positives = np.cumsum(truth[order])[last_of_tie]
    # Rows at or above the threshold, minus the true positives.
    return true_positives, last_of_tie + 1 - true_positives


class Ranking:
    """Rows in the order of one score, sorted once, for the AUC and PR-AUC of any draws of them."""

    def __init__(self, truth: NDArray[np.int64], score: NDArray[np.floating]) -> None:
        """`truth` (n,) is 0 or 1, n at least 1; `score` is (n,)."""
        self._order = np.argsort(score)[::-1]
        descending, positive = score[self._order], truth[self._order] == 1
        first_of_tie = np.flatnonzero(np.append(True, descending[1:] != descending[:-1]))
        ends = np.append(first_of_tie[1:], len(score))
        hits = np.append(0, np.cumsum(positive))
        # Thresholds are the scores of positive rows: how many rows are sorted before and up to the end of each one's tie.
        has_positive = hits[ends] > hits[first_of_tie]
        self._before, self._until = first_of_tie[has_positive], ends[has_positive]
        self._positives, self._hits_until = self._order[positive], hits[self._until]
        # True if a negative row has the score of a positive one; if not, only positive rows lie between before and until.
        self._tied = bool((self._until - self._before > hits[self._until] - hits[self._before]).any())

    def areas(self, counts: RowCounts) -> tuple[Values, Values]:
        """Compute AUC and PR-AUC of each draw, (draws,); `counts` is (n, draws)."""
        gained, hits, alarms, higher = self._at_thresholds(counts)
        return _area_under_roc(counts, gained, alarms + higher), _average_precision(gained, hits, alarms)

    def auc(self, counts: RowCounts) -> Values:
        """Compute the AUC alone."""
        gained, _, alarms, higher = self._at_thresholds(counts)
        return _area_under_roc(counts, gained, alarms + higher)

    def _at_thresholds(self, counts: RowCounts) -> tuple[RowCounts, RowCounts, RowCounts, RowCounts]:
        """(thresholds, draws): positive rows of that score; positive and negative ones as high or higher; negative ones higher."""
        hits = np.take(running_totals(counts[self._positives]), self._hits_until, axis=0)
        gained = np.diff(hits, axis=0, prepend=0)
        rows = running_totals(counts[self._order])
        # All rows as high or higher, minus the positive ones among them, are the false positives.
        alarms = np.take(rows, self._until, axis=0) - hits
        return gained, hits, alarms, np.take(rows, self._before, axis=0) - (hits - gained) if self._tied else alarms


def _area_under_roc(counts: RowCounts, gained: RowCounts, not_beaten: RowCounts) -> Values:
    """Return the probability that a random positive row scores above a random negative one, a tie counting half; NaN without both classes.

    It is the Mann-Whitney U of the mid-ranks over the number of pairs (Hanley and McNeil 1982). `not_beaten` (thresholds, draws) counts
    negative rows that score higher twice, and those that tie with the threshold once, so that sums are whole numbers and exact.
    """
    positives = gained.sum(axis=0, dtype=np.int64)
    negatives = counts.sum(axis=0, dtype=np.int64) - positives
    doubled_losses = np.einsum("td,td->d", gained, not_beaten, dtype=np.float64)
    return weighted_mean(2 * positives * negatives - doubled_losses, 2 * positives * negatives)


def _average_precision(gained: RowCounts, hits: RowCounts, alarms: RowCounts) -> Values:
    """Return the mean over positive rows of the precision at their threshold; NaN without positive rows.

    It is summed in steps: linear interpolation between points would be too optimistic (Davis and Goadrich 2006). The steps of a draw are
    contiguous, so that the same rows give the same bits in any number of draws: ties of a draw with the estimate matter.
    """
    called = np.maximum(hits + alarms, 1)  # 0 where a draw has no row so far; hits are 0 there too
    steps = np.ascontiguousarray((gained * hits / called).T)
    return weighted_mean(steps.sum(axis=1), gained.sum(axis=0, dtype=np.int64))


def running_totals(counts: RowCounts) -> RowCounts:
    """Return the sums of the first 0, 1, ... n rows, (n + 1, draws).

    NumPy's `cumsum` along columns adds one number at a time and takes fifteen times as long as adding whole rows.
    """
    rows, draws = counts.shape
    if draws < FEW_DRAWS:
        return np.concatenate([np.zeros((1, draws), dtype=counts.dtype), np.cumsum(counts, axis=0, dtype=counts.dtype)])
    block = int(np.sqrt(rows)) + 1  # sums within blocks, then totals of blocks: about sqrt(n) steps each
    blocks = -(-(rows + 1) // block)
    sums = np.zeros((blocks * block, draws), dtype=counts.dtype)
    sums[1 : rows + 1] = counts
    by_block = sums.reshape(blocks, block, draws)
    for row in range(1, block):
        by_block[:, row] += by_block[:, row - 1]
    for number in range(1, blocks):
        by_block[number] += by_block[number - 1, -1]
    return sums[: rows + 1]


class SmallClasses:
    """AUC of each of several small classes against all others, for any draws of the rows, equal to that of a `Ranking` for each.

    Every row of these classes is compared with every other row once, for all draws together.
    """

    def __init__(self, truth: NDArray[np.int64], scores: NDArray[np.floating], classes: NDArray[np.int64]) -> None:
        """`truth` (n,) are codes, `scores` (n, all classes), `classes` codes that occur, ascending."""
        rows = np.flatnonzero(np.isin(truth, classes))
        self._rows = rows[np.argsort(truth[rows], kind="stable")]
        self._codes = truth[self._rows]
        self._bounds = np.append(np.searchsorted(self._codes, classes), len(rows))
        self._columns = np.ascontiguousarray(scores.T[classes])  # (classes, n)

    def auc(self, counts: RowCounts) -> Values:
        """Compute the AUC of each draw and class, (draws, classes); `counts` is (n, draws)."""
        # Half the memory and time of float64, as long as every sum is a whole number that float32 holds exactly.
        exact: type[np.floating[Any]] = (
            np.float32 if 2 * int(counts.sum(axis=0, dtype=np.int64).max(initial=0)) < EXACT_IN_FLOAT32 else np.float64
        )
        weights, row_weights = counts.astype(exact), counts[self._rows].astype(np.int64)
        losses = np.empty_like(row_weights)
        size = max(1, PRODUCT_CELLS // len(counts))
        for start in range(0, len(self._rows), size):
            losses[start : start + size] = self._not_beaten(start, start + size).astype(exact, copy=False) @ weights
        # Rows of a class are contiguous, so one sum per range gives (classes, draws).
        positives = np.add.reduceat(row_weights, self._bounds[:-1], axis=0)
        negatives = counts.sum(axis=0, dtype=np.int64) - positives
        doubled_losses = np.add.reduceat(losses * row_weights, self._bounds[:-1], axis=0)
        return weighted_mean(2 * positives * negatives - doubled_losses, 2 * positives * negatives).T

    def _not_beaten(self, start: int, end: int) -> NDArray[np.float32]:
        """Compare each row with all others, (rows, n): 2 if one of another class scores higher, 1 if equal, 0 otherwise."""
        rows = self._rows[start:end]
        # Which of the classes each row belongs to, by the ranges of rows.
        place = np.searchsorted(self._bounds, np.arange(start, start + len(rows)), side="right") - 1
        others = self._columns[place]
        mine = np.take_along_axis(others, rows[:, np.newaxis], axis=1)
        wins = np.add(others > mine, others >= mine, dtype=np.float32)
        # Two rows of the same class do not form a pair of a positive and a negative one.
        for one in np.unique(place):
            wins[np.ix_(place == one, self._rows[self._bounds[one] : self._bounds[one + 1]])] = 0
        return wins


def placements(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the placement values of the positive rows, (positives,), and of the negative rows, (negatives,), in the order of the rows.

    They are the proportion of negative rows that score lower, and of positive rows that score higher; a tie counts half, and the mean of
    either is the AUC. One sort suffices (Sun and Xu 2014), so the cost is n log n.
    """
    codes = np.unique(score, return_inverse=True)[1]
    of_positive, of_negative = codes[positive], codes[~positive]
    size = int(codes.max()) + 1
    hits, alarms = np.bincount(of_positive, minlength=size), np.bincount(of_negative, minlength=size)
    # Rows below a score, ties half: (distinct scores,), then one number per row.
    beats = (np.cumsum(alarms) - alarms / 2)[of_positive] / len(of_negative)
    beaten = 1 - (np.cumsum(hits) - hits / 2)[of_negative] / len(of_positive)
    return beats, beaten


def mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1; equal values share the mean of theirs."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return middles
