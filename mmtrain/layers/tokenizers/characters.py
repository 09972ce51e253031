"""Steps that tokenizers share: replacement and composition of characters, and merging of rows of pieces."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.text.tokenizers.composition import compositions
from mmtrain.text.tokenizers.wordpiece import ABOVE, TABLE_SIZE

POINTS = 2**21
"""Above every code point: two of them make the key first * POINTS + second."""


class Characters:
    """Replaces single characters in strings, and composes them with the marks behind them where `compose`.

    Marks of a letter are brought into Unicode's canonical order before that where `sort_marks`.
    """

    def __init__(self, replacements: Mapping[str, str], *, compose: bool, sort_marks: bool = False) -> None:
        table = [replacements.get(chr(point), chr(point)) if not 0xD800 <= point < 0xE000 else "" for point in range(TABLE_SIZE)]
        self._replaced = tf.constant([*table, ABOVE])
        classes = [unicodedata.combining(chr(point)) for point in range(TABLE_SIZE)] if sort_marks else ()
        self._classes = np.array([*classes, 0], np.uint8)
        self._sorts, self._pairs = sort_marks, None
        if compose:
            pairs = compositions()
            keys = np.array([first * POINTS + second for first, second in pairs], np.int64)
            values = np.fromiter(pairs.values(), np.int32, len(pairs))
            self._pairs = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(values)), -1)

    @property
    def tables(self) -> list[Any]:
        """The tables that are read."""
        return [] if self._pairs is None else [self._pairs]

    def replace(self, texts: Any) -> Any:
        """Return strings (batch,) with their characters replaced and composed."""
        points = tf.strings.unicode_decode(texts, "UTF-8")
        replaced = tf.gather(self._replaced, tf.minimum(points.flat_values, TABLE_SIZE))
        joined = tf.strings.reduce_join(points.with_flat_values(replaced), axis=-1)
        return joined if self._pairs is None else self._compose(joined)

    def _compose(self, texts: Any) -> Any:
        points = tf.strings.unicode_decode(texts, "UTF-8")
        state = (
            self._sort_marks(points.flat_values) if self._sorts else points.flat_values,
            tf.cast(points.value_rowids(), tf.int32),
            tf.constant(True),
        )
        anywhere = (tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([]))
        codes, rows, _ = tf.while_loop(lambda *state: state[2], self._compose_once, state, shape_invariants=anywhere)
        ragged = tf.RaggedTensor.from_value_rowids(codes, tf.cast(rows, tf.int64), nrows=points.nrows(), validate=False)
        return tf.strings.unicode_encode(ragged, "UTF-8")

    def _sort_marks(self, codes: Any) -> Any:
        """Sort the marks behind each letter by their class; those of one class keep their order (Unicode, section 3.11)."""
        classes = tf.cast(tf.gather(self._classes, tf.minimum(codes, TABLE_SIZE)), tf.int32)
        letters = tf.cumsum(tf.cast(classes == 0, tf.int32))
        return tf.gather(codes, tf.argsort(letters * 256 + classes, stable=True))

    def _compose_once(self, codes: Any, rows: Any, _: Any) -> tuple[Any, Any, Any]:
        """Compose every pair that has no pair before it; the next round takes the rest."""
        keys = tf.cast(codes[:-1], tf.int64) * POINTS + tf.cast(codes[1:], tf.int64)
        composed = tf.where(rows[:-1] == rows[1:], self._pairs.lookup(keys), -1)  # type: ignore[union-attr]
        possible = composed >= 0
        # `possible` is one shorter than `codes`, which may be empty.
        merged = possible & ~tf.concat([tf.zeros_like(possible[:1]), possible[:-1]], axis=0)
        pad = tf.zeros_like(codes[:1], tf.bool)
        first, second = tf.concat([merged, pad], axis=0), tf.concat([pad, merged], axis=0)
        values = tf.where(first, tf.concat([composed, tf.zeros_like(codes[:1])], axis=0), codes)
        remaining = tf.where(~second)[:, 0]
        return tf.gather(values, remaining), tf.gather(rows, remaining), tf.reduce_any(merged)


def merge_rows(ragged: Any, row_splits: Any) -> Any:
    """Join neighbouring rows of a ragged tensor (rows, values): row i has those from `row_splits[i]` to `row_splits[i + 1]`."""
    return tf.RaggedTensor.from_row_splits(ragged.flat_values, tf.gather(ragged.row_splits, row_splits), validate=False)
