"""What a word is: one definition, used to learn a vocabulary and to look words up.

The text is lower-cased in every script, everything but letters, marks, digits and apostrophes parts words, and what
remains is split at blanks. Scripts written without blanks (Chinese, Japanese, Thai) come out as whole phrases.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.word_pattern import BETWEEN_WORDS


def distinct_words(texts: Any) -> tuple[Any, Any]:
    """Strings (batch,) to their words: each of them once, (words,), and where it stands, ragged (batch, places) int32.

    Texts are first split at blanks, and what stands between blanks is lower-cased and cleaned once, however often it occurs:
    that is most of the work. Lower-casing looks at neighbours (a Greek final sigma), but never across a blank.
    """
    runs = tf.strings.split(texts)  # (batch, runs), ragged
    spellings, spelling_of = tf.unique(runs.flat_values)
    lowered = tf.strings.lower(spellings, encoding="utf-8")
    words = tf.strings.split(tf.strings.regex_replace(lowered, BETWEEN_WORDS, " "))  # (spellings, 0 or more words), ragged
    names, codes = tf.unique(words.flat_values)
    of_runs = tf.gather(words.with_flat_values(codes), spelling_of)  # (runs of all texts, words), ragged
    ends = tf.gather(of_runs.row_splits, runs.row_splits)
    return names, tf.RaggedTensor.from_row_splits(of_runs.flat_values, ends, validate=False)
