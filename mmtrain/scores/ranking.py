"""How well a score puts positive rows above negative ones: AUC and PR-AUC, from one sort; and what each row adds to the AUC.

The last axis of the counts is the thresholds. Leading axes are carried along, so that a bootstrap sorts once and passes one row of
counts per draw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mmtrain.scores.drawn import Counts, Values, share


def threshold_counts(truth: NDArray[np.int64], score: NDArray[np.floating], counts: Counts | None = None) -> tuple[Counts, Counts]:
    """True and false positives when every row that scores at or above a threshold is called positive.

    `truth` (n,) is 0 or 1, n at least 1; `counts` (..., n) says how often each row was drawn, None once each. Both results are
    (..., thresholds): one threshold for each distinct score, from the highest down. Rows with equal scores therefore enter
    together, and their order in the table cannot matter.
    """
    order = np.argsort(score)[::-1]
    descending = score[order]
    last_of_tie = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    # `take`, as an index in brackets is three times as slow on a last axis.
    drawn = np.ones(len(order), dtype=np.int64) if counts is None else np.take(counts, order, axis=-1)
    called_positive = np.take(np.cumsum(drawn, axis=-1), last_of_tie, axis=-1)
    true_positives = np.take(np.cumsum(drawn * truth[order], axis=-1), last_of_tie, axis=-1)
    return true_positives, called_positive - true_positives


def area_under_roc(true_positives: Counts, false_positives: Counts) -> Values:
    """The chance that a random positive row scores above a random negative one, a tie counting half; NaN without both classes.

    It is the Mann-Whitney U of the mid-ranks over the number of pairs (Hanley and McNeil, 1982). Counts (..., thresholds) as
    `threshold_counts` gives them, result (...).
    """
    positives, negatives = true_positives[..., -1], false_positives[..., -1]
    tied_positives = np.diff(true_positives, axis=-1, prepend=0)
    tied_negatives = np.diff(false_positives, axis=-1, prepend=0)
    # A win counts 2 and a tie 1, so that the sum stays in whole numbers and is exact.
    doubled_wins = tied_positives * (2 * (negatives[..., np.newaxis] - false_positives) + tied_negatives)
    return share(doubled_wins.sum(axis=-1), 2 * positives * negatives)


def average_precision(true_positives: Counts, false_positives: Counts) -> Values:
    """The mean over positive rows of the precision at their threshold, summed in steps and never interpolated; NaN without such rows.

    Straight lines between points would be too hopeful (Davis and Goadrich, 2006). Counts (..., thresholds) as
    `threshold_counts` gives them, result (...).
    """
    called_positive = np.maximum(true_positives + false_positives, 1)  # 0 where a draw has no row yet: adds nothing
    gained = np.diff(true_positives, axis=-1, prepend=0)
    return share((gained * true_positives / called_positive).sum(axis=-1), true_positives[..., -1])


def placements(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The share of negative rows that each positive row beats, and of positive rows that each negative one is beaten by; a tie is half.

    The mean of either is the AUC. (positives,) and (negatives,), in the order of the rows; from mid-ranks (Sun and Xu 2014), in n log n.
    """
    ranks = mid_ranks(score)
    beats = (ranks[positive] - mid_ranks(score[positive])) / (~positive).sum()
    beaten = 1 - (ranks[~positive] - mid_ranks(score[~positive])) / positive.sum()
    return beats, beaten


def mid_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the middle of theirs."""
    _, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[codes]
    return middles
