"""Byte-pair encoding of characters with operations of TensorFlow alone; `mmtrain.text.tokenizers.character_pairs` has the rules.

A text is divided at the pieces that are whole and, where no merge joins a character with a space behind it, at spaces; each distinct word
is cut into pieces once. A word falls apart where no merge can ever join two neighbouring characters.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.layers.tokenizers.characters import POINTS, merge_rows
from mmtrain.layers.tokenizers.pair_merges import PairMerges
from mmtrain.text.tokenizers.character_pairs import SPACE, CharacterPairs

END, WHOLE = b"\xff", b"\xfe"
"""Ends words, and begins those that are one piece; no text in UTF-8 has these bytes."""
NOWHERE = -1


class CharacterPairReader:
    """The tables of one vocabulary, and the operations that read texts with them."""

    def __init__(self, tokenizer: CharacterPairs) -> None:
        ids = tokenizer.id_of
        self._lower_case = tokenizer.lower_case
        # RE2 takes the first alternative that matches, so the longest comes first.
        self._whole = "|".join(map(re.escape, sorted(tokenizer.whole, key=len, reverse=True)))
        self._whole_ids = _table([WHOLE + one.encode() for one in tokenizer.whole], [ids[one] for one in tokenizer.whole])
        characters = [piece for piece in tokenizer.pieces if len(piece) == 1]
        self._characters = _table([ord(one) for one in characters], [ids[one] for one in characters])
        self._bytes = np.array([ids[piece] for piece in tokenizer.byte_pieces], np.int32)
        ends = {(left[-1], right[0]) for left, _, right in (merge.partition(" ") for merge in tokenizer.merges)}
        self._joined = _table([ord(left) * POINTS + ord(right) for left, right in ends], [1] * len(ends))
        self._over_spaces = any(right == SPACE != left for left, right in ends)
        self._merges = PairMerges(tokenizer)

    @property
    def tables(self) -> list[Any]:
        """All tables that are read."""
        return [self._merges.ranks, self._whole_ids, self._characters, self._joined]

    def pieces(self, texts: Any) -> Any:
        """Return the ids of the pieces of strings (batch,), ragged (batch, pieces) int32, without special tokens."""
        marked = tf.strings.regex_replace(texts, f"({self._whole})", END + WHOLE + rb"\1" + END) if self._whole else texts
        parts = tf.strings.split(marked, END)  # (batch, 1 or more), some empty
        names, codes = tf.unique(parts.flat_values)
        words = self._divide(names)
        spellings, spelling_of = tf.unique(words.flat_values)
        of_parts = merge_rows(tf.gather(self._cut(spellings), spelling_of), words.row_splits)
        return merge_rows(tf.gather(of_parts, codes), parts.row_splits)

    def _divide(self, parts: Any) -> Any:
        """Return the words of parts, (parts, 0 or more), ragged; a part that is a piece is its own word."""
        whole = tf.strings.substr(parts, 0, 1) == WHOLE
        plain = tf.where(whole, "", parts)
        if self._lower_case:  # one by one, in the reference: a Greek final sigma looks at its neighbours elsewhere
            plain = tf.strings.lower(tf.strings.regex_replace(plain, "Σ", "σ"), encoding="utf-8")
        plain = tf.strings.regex_replace(plain, " ", SPACE)
        if not self._over_spaces:
            plain = tf.strings.regex_replace(plain, f"([^{SPACE}])({SPACE})", rb"\1" + END + rb"\2")
        words = tf.strings.split(tf.where(whole, parts, plain), END)
        return tf.ragged.boolean_mask(words, words != "")

    def _cut(self, words: Any) -> Any:
        """Return the ids of the pieces of words, (words, 1 or more pieces), ragged."""
        whole = self._whole_ids.lookup(words)
        points = tf.strings.unicode_decode(tf.where(whole == NOWHERE, words, "x"), "UTF-8")  # one character for a word of one piece
        codes, word = points.flat_values, tf.cast(points.value_rowids(), tf.int32)
        symbols = tf.where(tf.gather(whole, word) == NOWHERE, self._characters.lookup(tf.cast(codes, tf.int64)), tf.gather(whole, word))
        counts = tf.where(symbols == NOWHERE, _byte_count(codes), 1)
        of = tf.repeat(tf.range(tf.size(codes)), counts)
        place = tf.range(tf.size(of)) - tf.gather(tf.cumsum(counts, exclusive=True), of)
        fallback = tf.gather(self._bytes, _byte(tf.gather(codes, of), tf.gather(counts, of), place))
        # Bytes join with nothing: a code without a pair stands for each.
        codes = tf.where(tf.gather(symbols, of) == NOWHERE, NOWHERE, tf.gather(codes, of))
        symbols = tf.where(tf.gather(symbols, of) == NOWHERE, fallback, tf.gather(symbols, of))
        word = tf.gather(word, of)
        joined = self._joined.lookup(tf.cast(codes[:-1], tf.int64) * POINTS + tf.cast(codes[1:], tf.int64)) != NOWHERE
        begins = tf.concat([tf.ones_like(word[:1], tf.bool), (word[1:] != word[:-1]) | ~joined], axis=0)
        part_word = tf.gather(word, tf.where(begins)[:, 0])
        symbols, parts = self._merges.apply(symbols, tf.cumsum(tf.cast(begins, tf.int32)) - 1)
        rows = tf.cast(tf.gather(part_word, parts), tf.int64)
        return tf.RaggedTensor.from_value_rowids(symbols, rows, nrows=tf.size(words, out_type=tf.int64), validate=False)


def _table(keys: list[Any], values: list[int]) -> Any:
    """Return a table that gives NOWHERE for other keys; texts or numbers, which may be none."""
    dtype = tf.string if not keys or isinstance(keys[0], bytes) else tf.int64
    entries = tf.lookup.KeyValueTensorInitializer(tf.constant(keys, dtype), tf.constant(values, tf.int32))
    return tf.lookup.StaticHashTable(entries, NOWHERE)


def _byte_count(codes: Any) -> Any:
    """Return the number of bytes of characters in UTF-8."""
    return 1 + tf.cast(codes >= 0x80, tf.int32) + tf.cast(codes >= 0x800, tf.int32) + tf.cast(codes >= 0x10000, tf.int32)


def _byte(codes: Any, counts: Any, place: Any) -> Any:
    """Return the byte at a place of a character in UTF-8: a first one marks the count, six bits of the code are in each other one."""
    bits = tf.bitwise.right_shift(codes, 6 * tf.maximum(counts - 1 - place, 0))
    first = tf.gather(tf.constant([0, 0, 0xC0, 0xE0, 0xF0]), counts) + bits
    return tf.clip_by_value(tf.where(place == 0, first, 0x80 + tf.bitwise.bitwise_and(bits, 0x3F)), 0, 255)
