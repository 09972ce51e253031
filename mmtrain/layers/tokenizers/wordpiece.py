"""WordPiece with operations of TensorFlow alone, for tables, requests and exports; `mmtrain.text.tokenizers.wordpiece` has the rules.

Each distinct run of characters between blanks is cleaned once, and each distinct word is cut into pieces once, however often they occur
in a batch: that is most of the work. Words are cut by walking through a trie of the vocabulary, all words at the same time: an edge is
an entry of a hash table, node * POINTS + code point -> node.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.layers.tokenizers.characters import POINTS, merge_rows
from mmtrain.text.tokenizers.wordpiece import ABOVE, LONGEST_WORD, PREFIX, TABLE_SIZE, WordPiece, character_table

NOWHERE = -1


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

    @property
    def tables(self) -> list[Any]:
        """All tables that are read."""
        return [self.edges]

    def pieces(self, texts: Any) -> Any:
        """Strings (batch,) to the ids of their pieces, ragged (batch, pieces) int32, without special tokens."""
        joined = tf.strings.regex_replace(texts, "[\x0b\x0c]", "")  # blanks for `split`, but nothing for BERT
        runs = tf.strings.split(joined)  # (batch, runs), ragged
        spellings, spelling_of = tf.unique(runs.flat_values)
        words = self._words(spellings)
        names, codes = tf.unique(words.flat_values)
        of_words = tf.gather(self._cut(names), codes)  # (words of all spellings, pieces), ragged
        of_spellings = merge_rows(of_words, words.row_splits)
        return merge_rows(tf.gather(of_spellings, spelling_of), runs.row_splits)

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
