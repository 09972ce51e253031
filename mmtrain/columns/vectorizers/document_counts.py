"""Document frequencies of words and of pairs of neighbouring words, counted chunk by chunk, and the vocabulary that follows from them.

A pair is kept as two numbers of words, and written as `very good` in the vocabulary: words hold no blank. Its two words are in at
least as many texts as the pair itself, and come first where they are in equally many: so the vocabulary, however short, holds both
words of each of its pairs, and a pair can be looked up by the ids of its words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmtrain.columns.categorical import texts

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Array = np.ndarray[Any, Any]

MOST_PAIRS = 2_000_000
"""Distinct pairs that are counted; of more, the rarest are forgotten. 16 bytes each, four times that while counts are merged."""
LEAST_TEXTS = 2
"""A pair in fewer training texts is not learned: of the pairs in English reviews, three quarters occur once."""
SHIFT = 32
"""The number of the first word of a pair takes the upper bits of its key, that of the second these."""


@dataclass(frozen=True)
class TokenCounts:
    """Word counts of one chunk of texts: its words, each once, and in how many of its texts each of them occurs."""

    words: Array
    documents: Array
    lengths: Array
    """Words of each text, (texts,)."""
    pairs: Array
    """Positions in `words` of neighbouring words, (pairs, 2); each pair once."""
    pair_documents: Array
    """(pairs,)."""


def count_tokens(cells: pd.Series[str], *, ngrams: int, accents: bool = True) -> TokenCounts:
    """Count the tokens of one chunk by the operations that encode it later; with `ngrams` 2 pairs as well."""
    import numpy as np
    import tensorflow as tf

    from mmtrain.layers.words import distinct_words

    words, places = distinct_words(tf.constant(texts(cells), dtype=tf.string), accents=accents)
    lengths = places.row_lengths().numpy()
    rows = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    # Position of every word occurrence in the distinct words, text after text.
    word = places.flat_values.numpy().astype(np.int64)
    size = max(len(words), 1)
    # Neighbours must be in the same text.
    neighbours = np.flatnonzero(rows[1:] == rows[:-1]) if ngrams > 1 else np.empty(0, dtype=np.int64)
    # A pair as one whole number, first * size + second, so that it is hashed once.
    codes, keys = _factorize(word[neighbours] * size + word[neighbours + 1])
    return TokenCounts(
        words.numpy(),
        _documents(rows, word, len(words)),
        lengths,
        np.stack([keys // size, keys % size], axis=1),
        _documents(rows[neighbours], codes, len(keys)),
    )


def _factorize(keys: Array) -> tuple[Array, Array]:
    """Return a code for each key, and the key of each code; by hashing, which took a third of the time of sorting."""
    import pandas as pd

    codes, distinct = pd.factorize(keys)
    return codes, distinct


def _documents(rows: Array, codes: Array, size: int) -> Array:
    """Return the number of rows that have each code, (size,); a code counts once a row."""
    import numpy as np

    # Row and code as one number: sorted, repetitions within a row are neighbours and are counted once.
    both = rows * max(size, 1) + codes
    both.sort()
    # The first of each run of equal numbers.
    once = both[np.flatnonzero(np.diff(both, prepend=-1))]
    return np.bincount(once % max(size, 1), minlength=size)


class DocumentCounts:
    """The number of texts that each word and pair occurs in, added up chunk by chunk.

    Memory grows with distinct words, not with texts.
    """

    def __init__(self) -> None:
        self.documents = 0
        self.missing = 0
        self.longest = 0
        self._number: dict[bytes, int] = {}
        self._counts: list[int] = []
        self._pairs = PairCounts()

    def add(self, piece: TokenCounts) -> None:
        """Add one piece."""
        import numpy as np

        self.documents += len(piece.lengths)
        self.missing += int((piece.lengths == 0).sum())
        self.longest = max(self.longest, int(piece.lengths.max(initial=0)))
        numbers = [self._number.setdefault(word, len(self._number)) for word in piece.words.tolist()]
        self._counts += [0] * (len(self._number) - len(self._counts))
        for number, count in zip(numbers, piece.documents.tolist(), strict=True):
            self._counts[number] += count
        # (pairs, 2) of the chunk's positions become numbers that hold for all chunks.
        first, second = np.array(numbers, dtype=np.int64)[piece.pairs].T
        self._pairs.add((first << SHIFT) + second, piece.pair_documents)

    def most_frequent(self, *, most: int, least: int, share: float = 1.0) -> dict[str, int]:
        """Return the vocabulary, words and pairs in at least `least` texts with their counts, by falling count.

        Words in a larger `share` of the texts are left out, and so are pairs with one of them.
        Ties: words before pairs, words by their text, pairs by the order of their words.
        """
        import numpy as np

        largest = share * self.documents
        counts_of = ((self._counts[number], word) for word, number in self._number.items())
        ranked = sorted((-count, word) for count, word in counts_of if least <= count <= largest)[:most]
        words = [word.decode("utf-8") for _, word in ranked]
        rank = np.full(len(self._counts), -1, dtype=np.int64)
        rank[[self._number[word] for _, word in ranked]] = np.arange(len(ranked))
        keys, pair_counts = self._pairs.most_frequent(most, max(least, LEAST_TEXTS))
        first, second = rank[keys >> SHIFT], rank[keys & (2**SHIFT - 1)]
        order = np.lexsort((second, first, -pair_counts))
        # A pair whose words did not make it into the vocabulary cannot be looked up.
        order = order[(first[order] >= 0) & (second[order] >= 0)]
        names = words + [f"{words[one]} {words[other]}" for one, other in zip(first[order], second[order], strict=True)]
        counts = np.array([*(-count for count, _ in ranked), *pair_counts[order]], dtype=np.int64)
        # Stable: words come first among equally frequent entries.
        frequent = np.argsort(-counts, kind="stable")[:most]
        return {names[place]: int(counts[place]) for place in frequent}


def inverse_document_frequency(counts: dict[str, int], documents: int) -> tuple[float, ...]:
    """Return it for every id: padding 0, missing text 1, unseen word as rare as a word can be, then the words of the vocabulary."""
    import numpy as np

    # The leading 0 is the unseen word, which no training text has.
    values = np.log((1 + documents) / (1 + np.array([0, *counts.values()], dtype=np.float64))) + 1
    return (0.0, 1.0, *(float(value) for value in values))


class PairCounts:
    """Counts by key, as sorted arrays. Those that are new wait until they are as many as the old ones, so that merging costs little."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Array, Array]] = []
        self._rows = 0
        self._merged = 0

    def add(self, keys: Array, counts: Array) -> None:
        """Add counts of distinct keys."""
        self._waiting.append((keys, counts))
        self._rows += len(keys)
        # The size doubles between merges, so that each pair is sorted a logarithmic number of times.
        if self._rows > max(MOST_PAIRS // 2, 2 * self._merged):
            self._merge()

    def _merge(self) -> tuple[Array, Array]:
        """Merge what waits. Of more than `MOST_PAIRS`, forget the rarest, as lossy counting does (Manku and Motwani 2002).

        A pair that is forgotten and met again has lost a few texts of its count, never one of the frequent ones its place.
        """
        import numpy as np

        keys, place = np.unique(np.concatenate([keys for keys, _ in self._waiting]), return_inverse=True)
        counts = np.bincount(place, np.concatenate([counts for _, counts in self._waiting]), minlength=len(keys)).astype(np.int64)
        rarest = 1
        # One text more each time, until the rest fits.
        while len(keys) > MOST_PAIRS:
            keys, counts, rarest = keys[counts > rarest], counts[counts > rarest], rarest + 1
        self._waiting, self._rows, self._merged = [(keys, counts)], len(keys), len(keys)
        return keys, counts

    def most_frequent(self, most: int, least: int) -> tuple[Array, Array]:
        """Return keys in at least `least` texts, and their counts: the `most` most frequent ones, with all that tie with the last."""
        import numpy as np

        if not self._waiting:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        keys, counts = self._merge()
        if len(counts) > most:
            # The count of the last one that fits; ties with it are kept, and the caller decides by the order of words.
            least = max(least, int(np.partition(counts, len(counts) - most)[len(counts) - most]))
        return keys[counts >= least], counts[counts >= least]
