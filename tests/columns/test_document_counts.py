"""Document frequencies of words and of pairs, chunk by chunk, in bounded memory."""

from collections import Counter

import numpy as np
import pytest

from mmtrain.columns.vectorizers import document_counts
from mmtrain.columns.vectorizers.document_counts import DocumentCounts, PairCounts, TokenCounts


def add_all(counts, keys):
    """Add chunks of keys, in how many texts each is."""
    for chunk in keys:
        distinct, documents = np.unique(chunk, return_counts=True)
        counts.add(distinct, documents)
    return counts


def chunks_of_pairs(rng, chunks=200):
    """Keys in 200 chunks: ten frequent ones, in every chunk, and fifty that are new in each."""
    return [np.concatenate([np.repeat(np.arange(10), 3), 1000 + 50 * chunk + rng.permutation(50)]) for chunk in range(chunks)]


def test_pairs_are_counted_over_chunks(monkeypatch):
    keys = chunks_of_pairs(np.random.default_rng(0))
    expected = Counter(np.concatenate(keys).tolist())
    for most in (10**6, len(expected)):  # merged at the end alone, or several times
        monkeypatch.setattr(document_counts, "MOST_PAIRS", most)
        found, counts = add_all(PairCounts(), keys).most_frequent(10**6, 1)
        assert dict(zip(found.tolist(), counts.tolist(), strict=True)) == expected


def test_of_more_pairs_than_memory_is_for_the_rarest_are_forgotten(monkeypatch):
    monkeypatch.setattr(document_counts, "MOST_PAIRS", 1000)
    counts = PairCounts()
    largest = 0
    for chunk in chunks_of_pairs(np.random.default_rng(0)):
        add_all(counts, [chunk])
        largest = max(largest, counts._rows)
    assert largest < 2500
    keys, found = counts.most_frequent(10, 2)
    assert sorted(keys.tolist()) == list(range(10))
    assert found.tolist() == [600] * 10


@pytest.mark.parametrize(("most", "expected"), [(1, [2]), (2, [1, 2, 3]), (9, [1, 2, 3, 4])])
def test_the_most_frequent_pairs_come_with_those_that_tie_with_the_last(most, expected):
    counts = add_all(PairCounts(), [np.repeat([1, 2, 3, 4, 5], [3, 5, 3, 2, 1])])
    assert sorted(counts.most_frequent(most, 2)[0].tolist()) == expected


def test_chunks_number_their_words_each_in_its_own_way():
    counts = DocumentCounts()
    for words in ([b"a", b"b"], [b"b", b"a"]):
        pair = np.array([[words.index(b"a"), words.index(b"b")]])
        counts.add(TokenCounts(np.array(words, dtype=object), np.array([2, 2]), np.array([2, 2]), pair, np.array([2])))
    assert counts.most_frequent(most=10, least=1) == {"a": 4, "b": 4, "a b": 4}
    assert (counts.documents, counts.longest, counts.missing) == (4, 2, 0)
