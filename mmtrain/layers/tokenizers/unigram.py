"""SentencePiece's unigram model with operations of TensorFlow alone; `mmtrain.text.tokenizers.unigram` has the rules.

Each distinct word is cut into pieces once, by Viterbi's algorithm, all words at the same time. All pieces at all places are found by a
trie of the vocabulary in a hash table. For the best cut of every beginning of a word, words are sorted by their length: at character n
only those in front are as long, so that a long Thai or Japanese sentence does not make every word as wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.layers.tokenizers.characters import POINTS, Characters, merge_rows
from mmtrain.text.tokenizers.unigram import SPACE, Unigram

NOWHERE = -1
"""Node without a child, or place without the end of a piece."""


class UnigramReader:
    """The tables of one vocabulary, and the operations that read texts with them."""

    def __init__(self, tokenizer: Unigram) -> None:
        self._characters = Characters(tokenizer.replacements, compose=tokenizer.compose)
        self._spaces, self._lower_case = tokenizer.spaces, tokenizer.lower_case
        self._removed = "[" + "".join(f"\\x{{{ord(one):x}}}" for one in tokenizer.removed) + "]" if tokenizer.removed else ""
        self._unknown = tokenizer.id_of[tokenizer.unknown]
        scores = [-np.inf if score is None else score for score in tokenizer.scores]
        scores[self._unknown] = tokenizer.unknown_score
        self._scores = tf.constant([*scores, -np.inf], tf.float64)  # the last is that of no piece
        keys, nodes, self._accepted = _trie(tokenizer)
        self._edges = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(tf.constant(keys), tf.constant(nodes)), NOWHERE)

    @property
    def tables(self) -> list[Any]:
        """All tables that are read."""
        return [self._edges, *self._characters.tables]

    def pieces(self, texts: Any) -> Any:
        """Return the ids of the pieces of strings (batch,), ragged (batch, pieces) int32, without special tokens."""
        if self._lower_case:  # one by one, in the reference: a Greek final sigma looks at its neighbours elsewhere
            texts = tf.strings.lower(tf.strings.regex_replace(texts, "Σ", "σ"), encoding="utf-8")
        if self._removed:
            texts = tf.strings.regex_replace(texts, self._removed, "")
        runs = tf.strings.split(texts) if self._spaces == "words" else tf.strings.split(texts, " ")  # (batch, runs), ragged
        spellings, spelling_of = tf.unique(runs.flat_values)
        parts = tf.strings.split(self._characters.replace(spellings), " ")  # (spellings, 1 or more), with empty ones
        names, codes = tf.unique(parts.flat_values)
        words = merge_rows(tf.gather(parts.with_flat_values(codes), spelling_of), runs.row_splits)  # (batch, words)
        words = tf.ragged.boolean_mask(words, self._mark_words(tf.gather(tf.strings.length(names) == 0, words.flat_values), words))
        pieces = self._cut(tf.strings.join([SPACE, names]))
        return merge_rows(tf.gather(pieces, words.flat_values), words.row_splits)

    def _mark_words(self, empty: Any, words: Any) -> Any:
        """Return True for the words that are read, ragged as `words`: an empty one is a space that no word follows."""
        if self._spaces == "words":
            return words.with_flat_values(~empty)
        places = tf.range(tf.size(empty, out_type=tf.int64))
        rows = words.value_rowids()
        first = places == tf.gather(words.row_starts(), rows)
        if self._spaces == "kept":
            return words.with_flat_values(~empty | ~first)
        last = places == tf.gather(words.row_limits(), rows) - 1
        return words.with_flat_values(~empty | (last & ~first))

    def _cut(self, words: Any) -> Any:
        """Return the pieces of words with the largest sum of scores, (words, 1 or more pieces), ragged."""
        points = tf.strings.unicode_decode(words, "UTF-8")
        order = tf.argsort(tf.cast(points.row_lengths(), tf.int32), direction="DESCENDING", stable=True)
        points = tf.gather(points, order)
        packing = _Packing(points)
        longest, matches = self._matches(points, packing)
        ids = tf.gather(self._best_cut(matches, longest, packing), packing.places)
        ragged = tf.RaggedTensor.from_row_splits(ids, points.row_splits, validate=False)
        rows = points.value_rowids()[ids != NOWHERE]
        ids = ids[ids != NOWHERE]
        repeated = tf.concat([[False], (ids[1:] == self._unknown) & (ids[:-1] == self._unknown) & (rows[1:] == rows[:-1])], axis=0)
        remaining = tf.where(~repeated[: tf.size(ids)])[:, 0]
        cut = tf.RaggedTensor.from_value_rowids(tf.gather(ids, remaining), tf.gather(rows, remaining), nrows=ragged.nrows(), validate=False)
        return tf.gather(cut, tf.argsort(order))

    def _matches(self, points: Any, packing: _Packing) -> tuple[Any, Any]:
        """Return the longest length of a piece that occurs, and the pieces by last character, (characters, longest), longest first."""
        codes = tf.cast(points.flat_values, tf.int64)
        limits = tf.gather(points.row_limits(), points.value_rowids())
        start = tf.range(tf.size(codes, out_type=tf.int64))

        def array(dtype: Any) -> Any:
            return tf.TensorArray(dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=(None,))

        def step(start: Any, node: Any, length: Any, ends: Any, lengths: Any, ids: Any) -> tuple[Any, ...]:
            place = start + tf.cast(length, tf.int64)
            inside = place < tf.gather(limits, start)
            start, node, place = start[inside], node[inside], place[inside]
            node = self._edges.lookup(tf.cast(node, tf.int64) * POINTS + tf.gather(codes, place))
            start, node, place = start[node != NOWHERE], node[node != NOWHERE], place[node != NOWHERE]
            piece = tf.gather(self._accepted, node)
            ends, ids = ends.write(length, place[piece != NOWHERE]), ids.write(length, piece[piece != NOWHERE])
            lengths = lengths.write(length, tf.fill(tf.shape(piece[piece != NOWHERE]), length))
            return start, node, length + 1, ends, lengths, ids

        flat, scalar, unknown = tf.TensorShape([None]), tf.TensorShape([]), tf.TensorShape(None)
        _, _, longest, ends, lengths, ids = tf.while_loop(
            lambda start, *_: tf.size(start) > 0,
            step,
            (start, tf.zeros_like(start, tf.int32), tf.constant(0), array(tf.int64), array(tf.int32), array(tf.int32)),
            shape_invariants=(flat, flat, scalar, unknown, unknown, unknown),
        )
        longest = tf.maximum(longest, 1)
        nothing = tf.size(self._scores) - 1
        matches = tf.fill((tf.size(codes), longest), nothing)
        # A character that no piece has alone can be read as unknown.
        matches = tf.concat([matches[:, :-1], tf.fill((tf.size(codes), 1), self._unknown)], axis=1)
        places_of_matches = tf.stack([tf.cast(tf.gather(packing.places, ends.concat()), tf.int32), longest - 1 - lengths.concat()], axis=1)
        return longest, tf.tensor_scatter_nd_update(matches, places_of_matches, ids.concat())

    def _best_cut(self, matches: Any, longest: Any, packing: _Packing) -> Any:
        """Return the piece that ends at each character in the best cut of its word, else NOWHERE; packed."""
        count = tf.shape(packing.lengths)[0]
        window = tf.concat([tf.fill((count, longest - 1), tf.constant(-np.inf, tf.float64)), tf.zeros((count, 1), tf.float64)], axis=1)

        def forward(place: Any, window: Any, pieces: Any, steps: Any) -> tuple[Any, ...]:
            rows = packing.rows(matches, place)
            sums = window[: tf.shape(rows)[0]] + tf.gather(self._scores, rows)
            column = tf.argmax(sums, axis=1, output_type=tf.int32)  # of equal sums the longest piece
            window = tf.concat([window[: tf.shape(rows)[0], 1:], tf.reduce_max(sums, axis=1)[:, None]], axis=1)
            pieces = pieces.write(place, tf.gather(rows, column, batch_dims=1))
            return place + 1, window, pieces, steps.write(place, longest - column)

        def array() -> Any:
            arguments = {"dynamic_size": False, "clear_after_read": False, "infer_shape": False, "element_shape": (None,)}
            return tf.TensorArray(tf.int32, size=packing.longest, **arguments)

        scalar, anything = tf.TensorShape([]), tf.TensorShape(None)
        _, _, pieces, steps = tf.while_loop(
            lambda place, *_: place < packing.longest,
            forward,
            (tf.constant(0), window, array(), array()),
            shape_invariants=(scalar, tf.TensorShape([None, None]), anything, anything),
        )

        def backward(place: Any, cursor: Any, ids: Any) -> tuple[Any, ...]:
            piece, step = pieces.read(place), steps.read(place)
            ends = cursor[: tf.shape(piece)[0]] == place + 1
            moved = tf.where(ends, place + 1 - step, cursor[: tf.shape(piece)[0]])
            return place - 1, tf.concat([moved, cursor[tf.shape(piece)[0] :]], axis=0), ids.write(place, tf.where(ends, piece, NOWHERE))

        start = (packing.longest - 1, packing.lengths, array())
        return tf.while_loop(lambda place, *_: place >= 0, backward, start, shape_invariants=(scalar, tf.TensorShape([None]), anything))[
            2
        ].concat()


class _Packing:
    """The characters of words, the longest word first, in the order of their places: the first of every word, then the second, ..."""

    def __init__(self, points: Any) -> None:
        self.lengths = tf.cast(points.row_lengths(), tf.int32)
        self.longest = tf.reduce_max(tf.concat([self.lengths, [0]], axis=0))
        counts = tf.math.bincount(self.lengths, minlength=self.longest + 1)[1:]
        counts = tf.cumsum(counts, reverse=True)  # words with this many characters or more
        self._begins = tf.cumsum(tf.concat([[0], counts], axis=0))
        rows = tf.cast(points.value_rowids(), tf.int32)
        inside = tf.range(tf.size(rows)) - tf.gather(tf.cast(points.row_starts(), tf.int32), rows)
        self.places = tf.gather(self._begins, inside) + rows
        """Packed place of every character in the order of words."""

    def rows(self, packed: Any, place: Any) -> Any:
        """Return the rows of a packed tensor for the characters at one place of all words."""
        return packed[self._begins[place] : self._begins[place + 1]]


def _trie(tokenizer: Unigram) -> tuple[Any, Any, Any]:
    """Return keys and nodes of the edges, and the id of the piece that ends in each node; node 0 is the root."""
    entries = [(piece, number) for piece, number in tokenizer.id_of.items() if piece and tokenizer.scores[number] is not None]
    lengths = np.array([len(piece) for piece, _ in entries])
    codes = np.frombuffer("".join(piece for piece, _ in entries).encode("utf-32-le"), "<u4").astype(np.int64)
    starts = np.cumsum(lengths) - lengths
    numbers = np.array([number for _, number in entries], np.int32)
    nodes = np.zeros(len(entries), np.int64)
    keys, values, accepted, count = [], [], [np.array([NOWHERE], np.int32)], 1
    for place in range(int(lengths.max(initial=0))):
        alive = lengths > place
        lengths, starts, numbers, nodes = lengths[alive], starts[alive], numbers[alive], nodes[alive]
        edges, inverse = np.unique(nodes * POINTS + codes[starts + place], return_inverse=True)
        keys.append(edges)
        values.append(np.arange(count, count + len(edges)))
        ends = np.full(len(edges), NOWHERE, np.int32)
        complete = lengths == place + 1
        ends[inverse[complete]] = numbers[complete]
        accepted.append(ends)
        nodes, count = count + inverse, count + len(edges)
    return np.concatenate(keys), np.concatenate(values).astype(np.int32), np.concatenate(accepted)
