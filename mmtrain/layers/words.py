"""The definition of a word, used to learn a vocabulary and to look words up.

The text is lower-cased in every script. A word is a run of letters, marks, digits and apostrophes, or a sign: an emoji with all that
belongs to it, a symbol of currency, mathematics or music, an emoticon such as `:)`. Everything else parts words: punctuation, blanks.
In scripts written without blanks (Chinese, Japanese, Thai) the words of a run are its overlapping pairs of characters. Runs of older
versions know no signs (`signs` is false) or keep such runs whole (`character_pairs` is false). Where `accents` is false, Latin and Greek
letters lose theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.text.tokenization import BASE_LETTERS, BETWEEN_WORDS, CHARACTER_PAIRS, SPACED, VARIANTS, WORD_OR_OTHER


def distinct_words(texts: Any, *, signs: bool = True, character_pairs: bool = True, accents: bool = True) -> tuple[Any, Any]:
    """Strings (batch,) to their words: each of them once, (words,), and where it stands, ragged (batch, places) int32.

    Texts are first split at blanks, and what stands between blanks is lower-cased and cleaned once, however often it occurs:
    that is most of the work. Lower-casing looks at neighbours (a Greek final sigma), but never across a blank.
    """
    runs = tf.strings.split(texts)  # (batch, runs), ragged
    spellings, spelling_of = tf.unique(runs.flat_values)
    words = _words_of(spellings, signs, character_pairs, accents)
    names, codes = tf.unique(words.flat_values)
    of_runs = tf.gather(words.with_flat_values(codes), spelling_of)  # (runs of all texts, words), ragged
    ends = tf.gather(of_runs.row_splits, runs.row_splits)
    return names, tf.RaggedTensor.from_row_splits(of_runs.flat_values, ends, validate=False)


def word_codes(texts: Any, table: Any, unseen: int, *, signs: bool = True, character_pairs: bool = True, accents: bool = True) -> Any:
    """Strings (batch,) to the codes that `table` has for their words, ragged (batch, words) int32; `unseen` is that of all others.

    The same words as `distinct_words` finds. What stands between blanks is looked up as it stands first: a word is not changed by
    lower-casing and cleaning it again, and most of a text is words already.
    """
    runs = tf.strings.split(texts)  # (batch, runs), ragged
    codes = table.lookup(runs.flat_values)  # (runs of all texts,)
    others = tf.where(tf.equal(codes, unseen))  # (runs to look at more closely, 1)
    spellings, spelling_of = tf.unique(tf.gather_nd(runs.flat_values, others))
    words = _words_of(spellings, signs, character_pairs, accents)
    known = tf.concat([codes, table.lookup(words.flat_values)], axis=0)
    # Each run is a stretch of `known`: its own place, or the words of its spelling.
    positions = tf.range(tf.size(codes, out_type=tf.int64))
    stretches = tf.size(codes, out_type=tf.int64) + words.row_splits
    begins = tf.tensor_scatter_nd_update(positions, others, tf.gather(stretches, spelling_of))
    ends = tf.tensor_scatter_nd_update(positions + 1, others, tf.gather(stretches, spelling_of + 1))
    places = tf.ragged.range(begins, ends)  # (runs of all texts, words), ragged
    of_texts = tf.gather(places.row_splits, runs.row_splits)
    return tf.RaggedTensor.from_row_splits(tf.gather(known, places.flat_values), of_texts, validate=False)


def neighbour_codes(codes: Any, table: Any, size: int) -> Any:
    """Codes of words, ragged (batch, words) int32, to the codes that `table` has for neighbouring words, ragged (batch, 0 or more).

    `table` maps first * `size` + second, int64, to a code; a pair that it does not have is left out. `size` is above every code.
    """
    first, second = codes.flat_values[:-1], codes.flat_values[1:]
    rows = codes.value_rowids()
    pairs = table.lookup(tf.cast(first, tf.int64) * size + tf.cast(second, tf.int64))
    known = (pairs > 0) & tf.equal(rows[:-1], rows[1:])
    return tf.RaggedTensor.from_value_rowids(pairs[known], rows[:-1][known], nrows=codes.nrows(), validate=False)


def _words_of(spellings: Any, signs: bool, character_pairs: bool, accents: bool) -> Any:
    """(spellings, 0 or more words), ragged."""
    lowered = tf.strings.lower(spellings, encoding="utf-8")
    if not accents:
        lowered = without_accents(lowered)
    if not signs:
        return tf.strings.split(tf.strings.regex_replace(lowered, BETWEEN_WORDS, " "))
    alike = tf.strings.regex_replace(lowered, VARIANTS, "")
    spaced = tf.strings.regex_replace(alike, WORD_OR_OTHER, SPACED)
    for pattern, replacement in CHARACTER_PAIRS if character_pairs else ():
        spaced = tf.strings.regex_replace(spaced, pattern, replacement)
    return tf.strings.split(spaced)


def without_accents(texts: Any) -> Any:
    """Return strings (n,) with the letters of `BASE_LETTERS` in the place of accented ones, and without combining accents."""
    letters = np.arange(max(BASE_LETTERS) + 1, dtype=np.int32)
    letters[list(BASE_LETTERS)] = list(BASE_LETTERS.values())
    points = tf.strings.unicode_decode(texts, "UTF-8")  # (n, characters), ragged
    flat = points.flat_values
    base = tf.where(flat < len(letters), tf.gather(tf.constant(letters), tf.minimum(flat, len(letters) - 1)), flat)
    base_points = tf.ragged.boolean_mask(points.with_flat_values(base), points.with_flat_values(base >= 0))
    return tf.strings.unicode_encode(base_points, "UTF-8")


def hashed_ngrams(
    texts: Any, *, buckets: int, length: int, ngrams: int, characters: Sequence[int], accents: bool = True
) -> tuple[Any, Any]:
    """Return the buckets of the n-grams of strings (batch,), ragged (batch, any) int32, and their numbers of words, (batch,).

    The n-grams are those of the first `length` words of a text: each word, with `ngrams` 2 each pair of neighbours, and the runs of
    `characters`, fewest and most, in each word between `<` and `>` (Bojanowski et al. 2017, arXiv:1607.04606), unless it is empty.
    The bucket, 0 to `buckets` - 1, is the remainder of the FarmHash fingerprint of the UTF-8 bytes: the same on every machine and in every
    version of TensorFlow.
    """
    names, places = distinct_words(texts, accents=accents)
    words = places[:, :length]
    of_word = tf.RaggedTensor.from_tensor(_bucket(names, buckets)[:, None])
    if characters:
        letters = tf.strings.unicode_split(tf.strings.join(["<", names, ">"]), "UTF-8")
        fewest, most = characters
        runs = tf.strings.ngrams(letters, tuple(range(fewest, most + 1)), separator="")
        # A blank in front keeps them apart from words of the same letters; words have none.
        of_runs = _bucket(tf.strings.join([" ", runs.flat_values]), buckets)
        of_word = tf.concat([of_word, runs.with_flat_values(of_runs)], axis=1)
    # (texts, words, n-grams of a word) to (texts, n-grams)
    hashed = tf.gather(of_word, words).merge_dims(1, 2)
    if ngrams > 1:
        spelled, rows = tf.gather(names, words.flat_values), words.value_rowids()
        neighbours = tf.equal(rows[:-1], rows[1:])
        pairs = _bucket(tf.strings.join([spelled[:-1][neighbours], spelled[1:][neighbours]], separator=" "), buckets)
        of_pairs = tf.RaggedTensor.from_value_rowids(pairs, rows[:-1][neighbours], nrows=words.nrows(), validate=False)
        hashed = tf.concat([hashed, of_pairs], axis=1)
    return hashed, places.row_lengths()


def _bucket(ngrams: Any, buckets: int) -> Any:
    # int32: joining ragged int64 transposes it, and oneDNN writes to standard error that it cannot.
    return tf.cast(tf.strings.to_hash_bucket_fast(ngrams, buckets), tf.int32)
