"""Scores of rankings: rows of a group, such as the documents of a query, in the order of a predicted number."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, unit_counts, weighted_mean
from mmtrain.metrics.score import NO_NDCG, Score, value_or_reason, without_rows

RANKED = ("ndcg", "pair_accuracy", "mrr")
"""Scores of `ranking_scores`, in the order of tables."""
REASONS = {
    "ndcg": NO_NDCG,
    "pair_accuracy": "The accuracy of pairs needs a group with two different relevances.",
    "mrr": "The reciprocal rank needs a group of two rows or more with a relevance above 0.",
}

Numbers = NDArray[np.float64]
Codes = NDArray[np.int64]


class Pairs(NamedTuple):
    """Pairs of rows of one group with different relevances, counted for each of their rows, (n,)."""

    wrong: Numbers
    """Pairs whose predictions have the other order; ties of predictions count half."""
    all: Numbers


def ranking_scores(groups: Numbers, relevance: Numbers, predicted: Numbers, top: int) -> tuple[Score, ...]:
    """Compute the scores of a ranking, as means over groups in which they are defined; a group of one row has no order and no scores.

    `ndcg` is the discounted cumulative gain of the first `top` rows over that of the best order, with the relevance itself as the gain
    (Jarvelin and Kekalainen 2002); rows of equal prediction share their places (McSherry and Najork 2008), as in scikit-learn.
    `pair_accuracy` is the share of pairs of different relevance in the right order, `mrr` the mean of 1 / place of the first row with a
    relevance above 0, expected where rows of equal prediction have any order with the same probability.

    Args:
        groups: Codes, (n,).
        relevance: 0 or more, (n,).
        predicted: (n,); rows of a group are ordered from the largest to the smallest.
        top: Places that count, 1 or more.
    """
    if not len(groups):
        return without_rows(RANKED)
    values = ranking_scorer(groups, relevance, predicted, top)(unit_counts(len(groups)))
    return tuple(value_or_reason(name, values[name][0], REASONS[name]) for name in RANKED)


def ranking_scorer(groups: Numbers, relevance: Numbers, predicted: Numbers, top: int) -> Scorer:
    """Return a function from draws of these rows to their scores; see `ranking_scores`."""
    if not len(groups):
        return lambda counts: {name: np.full(len(counts), np.nan) for name in RANKED}
    codes = _codes(groups)
    pairs = misordered_pairs(codes, relevance, predicted)
    counted = np.bincount(codes, pairs.all)
    of_groups = {
        "ndcg": ndcg_of_groups(codes, relevance, predicted, top),
        "pair_accuracy": 1 - weighted_mean(np.bincount(codes, pairs.wrong), counted),
        "mrr": np.where(np.bincount(codes) > 1, _reciprocal_ranks(codes, relevance, predicted), np.nan),
    }
    return lambda counts: {name: mean_over_groups(codes, values, counts) for name, values in of_groups.items()}


def mean_over_groups(codes: Codes, values: Numbers, counts: Counts) -> Values:
    """Return the mean of the `values` of groups, (groups,), in each draw, (draws,); NaN values are left out.

    A group counts as often as its rows were drawn on average, which is the same for all of them where groups are drawn whole.
    """
    defined = ~np.isnan(values)
    weight = (defined / np.bincount(codes))[codes]
    sums = counts.astype(np.float64) @ np.stack([np.nan_to_num(values)[codes] * weight, weight], axis=1)
    return weighted_mean(sums[:, 0], sums[:, 1])


def ndcg_of_groups(codes: Codes, relevance: Numbers, predicted: Numbers, top: int) -> Numbers:
    """Return the NDCG of each group, (groups,); NaN if every relevance is 0, and for one row, which any prediction orders rightly.

    `codes` are 0 to groups - 1, all of which occur.
    """
    places = _places(codes, predicted)
    discounts = np.where(places < top, 1 / np.log2(places + 2), 0.0)
    # Rows of equal prediction share the discounts of their places.
    tied = _ties(codes, predicted)
    shared = (np.bincount(tied, discounts) / np.bincount(tied))[tied]
    best = _places(codes, relevance)
    ideal = np.bincount(codes, np.where(best < top, relevance / np.log2(best + 2), 0.0))
    return np.where(np.bincount(codes) > 1, weighted_mean(np.bincount(codes, relevance * shared), ideal), np.nan)


def misordered_pairs(codes: Codes, relevance: Numbers, predicted: Numbers) -> Pairs:
    """Count, for every row, its pairs with rows of the same group and another relevance, and those in the wrong order.

    The work is that of all pairs within groups; rows are compared with the next one of their group, then with the one after it, ...
    """
    order = np.argsort(codes, kind="stable")
    grouped, relevances, predictions = codes[order], relevance[order], predicted[order]
    wrong, every = np.zeros((2, len(codes)))
    first = np.arange(len(codes))
    distance = 0
    while len(first):
        distance += 1
        first = first[first + distance < len(codes)]
        first = first[grouped[first] == grouped[first + distance]]
        second = first + distance
        sign = np.sign(relevances[first] - relevances[second])
        # 1 for the other order, 0.5 for a tie of predictions, 0 for the right order.
        lost = np.where(sign != 0, (1 - sign * np.sign(predictions[first] - predictions[second])) / 2, 0.0)
        for place in (first, second):
            # No row is twice among the first or among the second ones.
            wrong[place] += lost
            every[place] += sign != 0
    restored = np.empty((2, len(codes)))
    restored[:, order] = wrong, every
    return Pairs(*restored)


def ranks_within(groups: Numbers, predicted: Numbers) -> NDArray[np.int64]:
    """Return the place of each row among those of its group, (n,), 1 for the largest prediction; ties by the order of rows.

    >>> ranks_within(np.array([7.0, 8.0, 7.0, 7.0]), np.array([0.5, 0.1, 0.9, 0.5])).tolist()
    [2, 1, 1, 3]
    """
    return _places(_codes(groups), predicted) + 1


def _codes(groups: Numbers) -> Codes:
    return np.asarray(np.unique(groups, return_inverse=True)[1].reshape(-1), dtype=np.int64)


def _places(codes: Codes, numbers: Numbers) -> Codes:
    """Return the place of each row in its group, from 0 for the largest number."""
    order = np.lexsort((-numbers, codes))
    starts = np.cumsum(np.bincount(codes)) - np.bincount(codes)
    places = np.empty(len(codes), np.int64)
    places[order] = np.arange(len(codes)) - starts[codes[order]]
    return places


def _ties(codes: Codes, predicted: Numbers) -> Codes:
    """Return codes that rows of one group with equal predictions share."""
    order = np.lexsort((predicted, codes))
    grouped, sorted_ = codes[order], predicted[order]
    begins = np.append(True, (grouped[1:] != grouped[:-1]) | (sorted_[1:] != sorted_[:-1]))
    ties = np.empty(len(codes), np.int64)
    ties[order] = np.cumsum(begins) - 1
    return ties


def _reciprocal_ranks(codes: Codes, relevance: Numbers, predicted: Numbers) -> Numbers:
    """Return the expected 1 / place of the first relevant row of each group, (groups,); NaN without one."""
    tied, relevant = _ties(codes, predicted), relevance > 0
    begins = np.full(int(tied.max()) + 1, len(codes))
    np.minimum.at(begins, tied, _places(codes, predicted))
    # The first tied rows of each group among which one is relevant.
    owner, candidates = np.empty(len(begins), np.int64), np.unique(tied[relevant])
    owner[tied] = codes
    order = candidates[np.lexsort((begins[candidates], owner[candidates]))]
    groups, first = np.unique(owner[order], return_index=True)
    chosen = order[first]
    expected = np.full(int(codes.max()) + 1, np.nan)
    expected[groups] = _expected_reciprocals(
        begins[chosen], np.bincount(tied)[chosen], np.bincount(tied[relevant], minlength=len(begins))[chosen]
    )
    return expected


def _expected_reciprocals(begins: Codes, rows: Codes, relevant: Codes) -> Numbers:
    """Return the expectation of 1 / place of the first relevant one of `rows` tied rows in random order; places from `begins` + 1."""
    expected, left = np.zeros(len(begins)), np.arange(len(begins))
    # Probability that no row before the present one is relevant.
    waiting, passed = np.ones(len(begins)), 0
    while len(left):
        hit = relevant[left] / (rows[left] - passed)
        expected[left] += waiting[left] * hit / (begins[left] + passed + 1)
        waiting[left] *= 1 - hit
        passed += 1
        left = left[rows[left] - passed >= relevant[left]]
    return expected
