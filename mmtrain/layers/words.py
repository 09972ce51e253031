"""What a word is: one definition, used to learn a vocabulary and to look words up.

The text is lower-cased in every script, everything but letters, marks, digits and apostrophes parts words, and what
remains is split at blanks. Scripts written without blanks (Chinese, Japanese, Thai) come out as whole phrases.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.word_pattern import BETWEEN_WORDS

PIECE = 20_000


def words_of(texts: Any) -> Any:
    """Strings (batch,) to a ragged tensor of words (batch, words)."""
    lowered = tf.strings.lower(texts, encoding="utf-8")
    return tf.strings.split(tf.strings.regex_replace(lowered, BETWEEN_WORDS, " "))


def split_words(texts: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """All words of `texts` in one flat array of bytes, and how many each text has; in pieces, to bound memory."""
    words: list[np.ndarray[Any, Any]] = [np.empty(0, dtype=object)]
    lengths: list[np.ndarray[Any, Any]] = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(texts), PIECE):
        ragged = words_of(tf.constant(texts[start : start + PIECE], dtype=tf.string))
        words.append(ragged.flat_values.numpy())
        lengths.append(ragged.row_lengths().numpy())
    return np.concatenate(words), np.concatenate(lengths)
