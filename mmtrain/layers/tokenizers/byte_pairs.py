"""Byte-level byte-pair encoding with operations of TensorFlow alone; `mmtrain.text.tokenizers.byte_pairs` has the rules.

Each distinct word is cut into pieces once. Where no merge of the vocabulary can ever join two neighbouring bytes, a word
falls apart from the start: Chinese sentences, which are one word each, become short that way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.layers.tokenizers.characters import Characters, merge_rows
from mmtrain.layers.tokenizers.pair_merges import PairMerges
from mmtrain.text.tokenizers.byte_pairs import WORD_END, BytePairs, byte_characters
from mmtrain.text.tokenizers.composition import canonical_replacements

END = b"\xff"
"""Ends words; no text in UTF-8 has this byte, and RE2 matches it with nothing."""
_BLANK = r"\t-\r\x{85}\p{Z}"
"""Unicode's White_Space, which `\\s` is in the reference and not in RE2."""
_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_WORDS = {
    "gpt2": rf"{_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^{_BLANK}\p{{L}}\p{{N}}]+|[{_BLANK}]+",
    "clip": rf"{_CONTRACTIONS}|\p{{L}}+|\p{{N}}|[^{_BLANK}\p{{L}}\p{{N}}]+",
}
_LAST_BLANK = rf"([{_BLANK}]+)([{_BLANK}])([^{_BLANK}])"
"""Of several blanks before a word, GPT-2's words begin with the last."""


class BytePairReader:
    """The tables of one vocabulary, and the operations that read texts with them."""

    def __init__(self, tokenizer: BytePairs) -> None:
        self._rules = tokenizer.words
        self._leading_space = tokenizer.leading_space
        self._characters = Characters(canonical_replacements(), compose=True, sort_marks=True) if tokenizer.words == "clip" else None
        ids = tokenizer.id_of
        self._inner = np.array([ids[piece] for piece in tokenizer.byte_pieces], np.int32)
        self._last = np.array([ids[piece] for piece in tokenizer.last_byte_pieces], np.int32)
        self._joined = _joined_bytes(tokenizer)
        self._merges = PairMerges(tokenizer)

    @property
    def tables(self) -> list[Any]:
        """All tables that are read."""
        return [self._merges.ranks, *(self._characters.tables if self._characters else ())]

    def pieces(self, texts: Any) -> Any:
        """Return the ids of the pieces of strings (batch,), ragged (batch, pieces) int32, without special tokens."""
        if self._characters is None:
            return self._pieces_of(self._divide(_add_leading_space(texts) if self._leading_space else texts))
        runs = tf.strings.split(texts)  # (batch, runs), ragged
        spellings, spelling_of = tf.unique(runs.flat_values)
        # One by one, in the reference: a Greek final sigma looks at its neighbours elsewhere.
        plain = tf.strings.lower(tf.strings.regex_replace(self._characters.replace(spellings), "Σ", "σ"), encoding="utf-8")
        of_spellings = self._pieces_of(self._divide(tf.strings.regex_replace(plain, f"[{_BLANK}]+", END)))
        return merge_rows(tf.gather(of_spellings, spelling_of), runs.row_splits)

    def _divide(self, texts: Any) -> Any:
        """Return the words of texts, (texts, 0 or more words), ragged."""
        if self._rules == "gpt2":
            texts = tf.strings.regex_replace(texts, _LAST_BLANK, rb"\1" + END + rb"\2\3")
        ended = tf.strings.regex_replace(texts, _WORDS[self._rules], rb"\0" + END)
        words = tf.strings.split(ended, END)
        return tf.ragged.boolean_mask(words, words != "")

    def _pieces_of(self, words: Any) -> Any:
        """Return the ids of all pieces of words (texts, words), as (texts, pieces), both ragged."""
        names, codes = tf.unique(words.flat_values)
        return merge_rows(tf.gather(self._cut(names), codes), words.row_splits)

    def _cut(self, words: Any) -> Any:
        """Return the ids of the pieces of words, (words, 1 or more pieces), ragged."""
        lengths = tf.strings.length(words)
        data = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8), tf.int32)
        word = tf.repeat(tf.range(tf.size(words)), lengths)
        begins = tf.concat([tf.ones_like(word[:1], tf.bool), word[1:] != word[:-1]], axis=0)
        ends = tf.concat([begins[1:], tf.ones_like(begins[:1])], axis=0)
        symbols = tf.where(ends, tf.gather(self._last, data), tf.gather(self._inner, data))
        apart = tf.concat([begins[:1], ~tf.gather_nd(self._joined, tf.stack([data[:-1], data[1:]], axis=1))], axis=0)
        parts = tf.cumsum(tf.cast(begins | apart, tf.int32)) - 1
        symbols, parts = self._merges.apply(symbols, parts)
        part_word = tf.gather(word, tf.where(begins | apart)[:, 0])
        rows = tf.cast(tf.gather(part_word, parts), tf.int64)
        return tf.RaggedTensor.from_value_rowids(symbols, rows, nrows=tf.size(words, out_type=tf.int64), validate=False)


def _add_leading_space(texts: Any) -> Any:
    """Put a space in front of texts that neither are empty nor begin with one."""
    return tf.strings.regex_replace(texts, "^([^ ])", r" \1")


def _joined_bytes(tokenizer: BytePairs) -> Any:
    """Return (256, 256) bool, True where a merge has a left piece with this last byte, and a right piece with this first byte."""
    byte_of = {character: byte for byte, character in enumerate(byte_characters())}
    joined = np.zeros((256, 256), bool)
    for merge in tokenizer.merges:
        left, _, right = merge.partition(" ")
        joined[byte_of[left.removesuffix(WORD_END)[-1]], byte_of[right[0]]] = True
    return joined
