"""Merging of neighbouring pieces with operations of TensorFlow alone: the rounds of byte-pair encoding, for all words at the same time.

Words are flat arrays of pieces. In every round each of them has its first pair merged, and words without a pair leave the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.text.tokenizers.pieces import MergedPieces

NO_RANK = 2**31 - 1
"""Rank of a pair that is not merged."""


class PairMerges:
    """The table of merges of one vocabulary."""

    def __init__(self, tokenizer: MergedPieces) -> None:
        triples = np.array(tokenizer.id_triples, np.int64).reshape(-1, 3)
        self._merged = np.append(triples[:, 2], 0).astype(np.int32)
        self._size = len(tokenizer.pieces)
        keys, first = np.unique(triples[:, 0] * self._size + triples[:, 1], return_index=True)
        entries = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(first.astype(np.int32)))
        self.ranks = tf.lookup.StaticHashTable(entries, default_value=NO_RANK)

    def apply(self, symbols: Any, parts: Any) -> tuple[Any, Any]:
        """Merge the pieces (pieces,) of all parts, given the number of the part of each, which rises; return both as they are then."""

        def array() -> Any:
            return tf.TensorArray(tf.int32, size=0, dynamic_size=True, infer_shape=False, element_shape=(None,))

        state = (symbols, parts, self._pair_ranks(symbols, parts), tf.constant(0), array(), array())
        flat = tf.TensorShape([None])
        invariants = (flat, flat, flat, tf.TensorShape([]), tf.TensorShape(None), tf.TensorShape(None))
        _, _, _, _, done, done_parts = tf.while_loop(
            lambda symbols, *_: tf.size(symbols) > 0, self._merge_once, state, shape_invariants=invariants
        )
        all_parts = tf.concat([done_parts.concat(), parts[:0]], axis=0)
        order = tf.argsort(all_parts, stable=True)
        return tf.gather(tf.concat([done.concat(), symbols[:0]], axis=0), order), tf.gather(all_parts, order)

    def _merge_once(self, symbols: Any, parts: Any, ranks: Any, step: Any, done: Any, done_parts: Any) -> tuple[Any, ...]:
        """Move parts without a pair to `done`, and merge the first of the lowest pairs of every other part."""
        begins = tf.concat([[True], parts[1:] != parts[:-1]], axis=0)
        row = tf.cumsum(tf.cast(begins, tf.int32)) - 1
        lowest = tf.gather(tf.math.segment_min(ranks, row), row)
        ended = lowest == NO_RANK
        done, done_parts = done.write(step, symbols[ended]), done_parts.write(step, parts[ended])
        hit = (ranks == lowest) & ~ended
        # The first hit of a row is the one that no hit of the row stands before.
        count = tf.cumsum(tf.cast(hit, tf.int32))
        before = count - tf.cast(hit, tf.int32)
        first = hit & (before == tf.gather(tf.math.segment_min(before, row), row))
        symbols = tf.where(first, tf.gather(self._merged, tf.minimum(lowest, len(self._merged) - 1)), symbols)
        remaining = tf.where(~ended & ~tf.concat([[False], first[:-1]], axis=0))[:, 0]
        symbols, parts = tf.gather(symbols, remaining), tf.gather(parts, remaining)
        return symbols, parts, self._pair_ranks(symbols, parts), step + 1, done, done_parts

    def _pair_ranks(self, symbols: Any, parts: Any) -> Any:
        """Return the rank of the pair that each piece makes with the next one of its part."""
        keys = tf.cast(symbols[:-1], tf.int64) * self._size + tf.cast(symbols[1:], tf.int64)
        ranks = tf.where(parts[:-1] == parts[1:], self.ranks.lookup(keys), NO_RANK)
        return tf.concat([ranks, tf.fill(tf.shape(symbols[:1]), NO_RANK)], axis=0)
