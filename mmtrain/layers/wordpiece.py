"""WordPiece with operations of TensorFlow alone, for tables, requests and exports; `mmtrain.text.wordpiece` has the rules.

Each distinct run of characters between blanks is cleaned once, and each distinct word is cut into pieces once, however often they occur
in a batch: that is most of the work. Words are cut by walking through a trie of the vocabulary, all words at the same time: an edge is
an entry of a hash table, (node, code point) -> node.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtrain.layers.encoding import Encode, presence
from mmtrain.text.wordpiece import ABOVE, LONGEST_WORD, PREFIX, TABLE_SIZE, WordPiece, character_table

POINTS = 2**21
"""Above every code point: an edge of the trie has the key node * POINTS + code point."""
NOWHERE = -1


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodePieces(Encode):
    """(batch, 1) strings to (batch, length) int32 ids of a pretrained vocabulary, and presence (batch, 1).

    `tokenizer` is a `WordPiece` as plain values. The pieces of a text stand between its first and its last special piece, padding
    behind them; what is longer is cut. A text without pieces has the special ones alone.
    """

    def __init__(self, *, tokenizer: dict[str, Any], length: int, masked: bool, **kwargs: Any) -> None:
        super().__init__({"tokenizer": tokenizer, "length": length, "masked": masked}, **kwargs)
        pieces = WordPiece.model_validate(tokenizer)
        self._reader = WordPieceReader(pieces)
        self._first, self._last, self._padding = (pieces.id_of[name] for name in (pieces.first, pieces.last, pieces.padding))

    @property
    def tables(self) -> list[Any]:
        """All tables that the layer reads, which an export has to keep."""
        return [self._reader.edges]

    def call(self, raw: Any) -> tuple[Any, Any]:
        length = self.settings["length"]
        texts, text_of = tf.unique(tf.reshape(raw, (-1,)))
        pieces = self._reader.pieces(texts)[:, : length - 2]
        lengths = tf.cast(pieces.row_lengths(), tf.int32)[:, None]
        dense = pieces.to_tensor(default_value=self._padding, shape=(None, length - 2))
        # Padded as tensors: joining ragged ones transposes int64, and oneDNN writes to standard error that it cannot.
        dense = tf.pad(tf.pad(dense, [[0, 0], [1, 0]], constant_values=self._first), [[0, 0], [0, 1]], constant_values=self._padding)
        dense = tf.ensure_shape(tf.where(tf.range(length) == lengths + 1, self._last, dense), (None, length))
        known = lengths > 0
        return tf.gather(dense, text_of), presence(tf.gather(known, text_of), self.settings["masked"])

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        return keras.KerasTensor((raw.shape[0], self.settings["length"]), "int32"), keras.KerasTensor((raw.shape[0], 1), "float32")


class WordPieceReader:
    """The tables of one vocabulary, and the operations that read texts with them."""

    def __init__(self, tokenizer: WordPiece) -> None:
        ids = tokenizer.id_of
        self._unknown = ids[tokenizer.unknown]
        self._cleaned = tf.constant([*character_table(tokenizer.rules), ABOVE])
        edges, accepted = _trie(tokenizer)
        keys, nodes = (np.fromiter(values, np.int64, len(edges)) for values in (edges.keys(), edges.values()))
        entries = tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(nodes.astype(np.int32)))
        self.edges = tf.lookup.StaticHashTable(entries, default_value=NOWHERE)
        self._accepted = np.array(accepted, dtype=np.int32)

    def pieces(self, texts: Any) -> Any:
        """Strings (batch,) to the ids of their pieces, ragged (batch, pieces) int32, without special tokens."""
        joined = tf.strings.regex_replace(texts, "[\x0b\x0c]", "")  # blanks for `split`, but nothing for BERT
        runs = tf.strings.split(joined)  # (batch, runs), ragged
        spellings, spelling_of = tf.unique(runs.flat_values)
        words = self._words(spellings)
        names, codes = tf.unique(words.flat_values)
        of_words = tf.gather(self._cut(names), codes)  # (words of all spellings, pieces), ragged
        of_spellings = _merge_rows(of_words, words.row_splits)
        return _merge_rows(tf.gather(of_spellings, spelling_of), runs.row_splits)

    def _words(self, spellings: Any) -> Any:
        """(spellings, 0 or more words), ragged."""
        points = tf.strings.unicode_decode(spellings, "UTF-8")
        cleaned = tf.gather(self._cleaned, tf.minimum(points.flat_values, TABLE_SIZE))
        return tf.strings.split(tf.strings.reduce_join(points.with_flat_values(cleaned), axis=-1), " ")

    def _cut(self, words: Any) -> Any:
        """(words, 1 or more pieces), ragged: the longest pieces from left to right, or the unknown one alone."""
        points = tf.strings.unicode_decode(words, "UTF-8")
        lengths = tf.cast(points.row_lengths(), tf.int32)
        long = lengths > LONGEST_WORD
        dense = points[:, :LONGEST_WORD].to_tensor(default_value=0)  # (words, longest)
        dense = tf.pad(dense, [[0, 0], [0, 1]])  # no edge has code point 0, so every walk ends at the last character
        count = tf.shape(dense)[0]
        zeros = tf.zeros((count,), tf.int32)

        def unfinished(state: Any) -> Any:
            return tf.reduce_any(state["start"] < state["lengths"])

        def step(state: Any) -> Any:
            return self._step(dense, state)

        ids = tf.TensorArray(tf.int32, size=0, dynamic_size=True, clear_after_read=False, element_shape=(None,))
        state = {
            "node": zeros, "place": zeros, "start": zeros, "end": zeros, "piece": zeros + NOWHERE,
            "lengths": tf.where(long, 0, lengths), "failed": long, "steps": tf.constant(0), "ids": ids,
        }  # fmt: skip
        state = tf.while_loop(unfinished, lambda state: (step(state),), (state,))[0]
        written = tf.cond(
            state["steps"] > 0,
            # Transposed as float32, exact below 2**24: for int32, oneDNN writes to standard error that it cannot.
            lambda: tf.cast(tf.transpose(tf.cast(state["ids"].stack(), tf.float32)), tf.int32),
            lambda: tf.zeros((count, 0), tf.int32),
        )  # (words, steps): a piece in the step that completes it, else NOWHERE
        written = tf.where(state["failed"][:, None], NOWHERE, written)
        unknown = tf.where(state["failed"], self._unknown, NOWHERE)[:, None]
        every = tf.concat([unknown, written], axis=1)
        return tf.ragged.boolean_mask(every, every != NOWHERE)

    def _step(self, dense: Any, state: Any) -> Any:
        """Walk one edge in every word; where there is none, the longest piece on the way is complete, and the walk starts behind it."""
        active = state["start"] < state["lengths"]
        point = tf.gather(dense, tf.minimum(state["place"], tf.shape(dense)[1] - 1), batch_dims=1)
        key = tf.cast(state["node"], tf.int64) * POINTS + tf.cast(point, tf.int64)
        node = self.edges.lookup(key)
        moved = active & (node != NOWHERE)
        place = tf.where(moved, state["place"] + 1, state["place"])
        accepted = tf.where(moved, tf.gather(self._accepted, tf.maximum(node, 0)), NOWHERE)
        piece = tf.where(accepted != NOWHERE, accepted, state["piece"])
        end = tf.where(accepted != NOWHERE, place, state["end"])
        stuck = active & ~moved
        complete, failed = stuck & (piece != NOWHERE), stuck & (piece == NOWHERE)
        start = tf.where(complete, end, state["start"])
        return {
            "node": tf.where(complete, 1, tf.where(moved, node, state["node"])),  # node 1 begins the pieces inside of a word
            "place": tf.where(complete, end, place),
            "start": start,
            "end": end,
            "piece": tf.where(complete, NOWHERE, piece),
            "lengths": tf.where(failed, 0, state["lengths"]),
            "failed": state["failed"] | failed,
            "steps": state["steps"] + 1,
            "ids": state["ids"].write(state["steps"], tf.where(complete, piece, NOWHERE)),
        }


def _trie(tokenizer: WordPiece) -> tuple[dict[int, int], list[int]]:
    """Return the edges, key -> node, and the id of the piece that ends in each node; node 0 begins words, node 1 what follows in them."""
    edges: dict[int, int] = {}
    accepted = [NOWHERE, NOWHERE]
    for piece, number in tokenizer.id_of.items():
        inside = piece.startswith(PREFIX) and len(piece) > len(PREFIX)
        node = int(inside)
        for character in piece[len(PREFIX) :] if inside else piece:
            key = node * POINTS + ord(character)
            if key not in edges:
                edges[key] = len(accepted)
                accepted.append(NOWHERE)
            node = edges[key]
        if node > 1:
            accepted[node] = number
    return edges, accepted


def _merge_rows(ragged: Any, row_splits: Any) -> Any:
    """Join neighbouring rows of a ragged tensor (rows, values): row i has those from `row_splits[i]` to `row_splits[i + 1]`."""
    return tf.RaggedTensor.from_row_splits(ragged.flat_values, tf.gather(ragged.row_splits, row_splits), validate=False)
