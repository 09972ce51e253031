"""The preprocessing layer of texts for pretrained encoders, around the reader of any tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from mmtrain.layers.encoding import Encode, presence
from mmtrain.layers.tokenizers.byte_pairs import BytePairReader
from mmtrain.layers.tokenizers.character_pairs import CharacterPairReader
from mmtrain.layers.tokenizers.unigram import UnigramReader
from mmtrain.layers.tokenizers.wordpiece import WordPieceReader
from mmtrain.text.tokenizers import tokenizer_values

READERS: Mapping[str, Callable[[Any], Any]] = {
    "wordpiece": WordPieceReader,
    "byte_pairs": BytePairReader,
    "character_pairs": CharacterPairReader,
    "unigram": UnigramReader,
}
"""Readers by the method of a tokenizer. Each has `pieces(texts)`, strings (batch,) to ragged ids, and `tables`."""


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodePieces(Encode):
    """(batch, 1) strings to (batch, length) int32 ids of a pretrained vocabulary, and presence (batch, 1).

    `tokenizer` is a tokenizer of `mmtrain.text.tokenizers` as plain values. The pieces of a text stand between its first and its last
    special piece, if it has those, padding behind them; what is longer is cut. A text without pieces has the special ones alone.
    """

    def __init__(self, *, tokenizer: dict[str, Any], length: int, masked: bool, **kwargs: Any) -> None:
        super().__init__({"tokenizer": tokenizer, "length": length, "masked": masked}, **kwargs)
        pieces = tokenizer_values.validate_python(tokenizer)
        self._reader = READERS[pieces.method](pieces)
        self._first, self._last = (pieces.id_of.get(name) for name in (pieces.first, pieces.last))
        self._padding = pieces.id_of[pieces.padding]

    @property
    def tables(self) -> list[Any]:
        """All tables that the layer reads, which an export has to keep."""
        return list(self._reader.tables)

    def call(self, raw: Any) -> tuple[Any, Any]:
        length, room = self.settings["length"], self.settings["length"] - (self._first is not None) - (self._last is not None)
        texts, text_of = tf.unique(tf.reshape(raw, (-1,)))
        pieces = self._reader.pieces(texts)[:, :room]
        lengths = tf.cast(pieces.row_lengths(), tf.int32)[:, None]
        dense = pieces.to_tensor(default_value=self._padding, shape=(None, room))
        # Padded as tensors: joining ragged ones transposes int64, and oneDNN writes to standard error that it cannot.
        if self._first is not None:
            dense = tf.pad(dense, [[0, 0], [1, 0]], constant_values=self._first)
        if self._last is not None:
            dense = tf.pad(dense, [[0, 0], [0, 1]], constant_values=self._padding)
            dense = tf.where(tf.range(length) == lengths + int(self._first is not None), self._last, dense)
        dense = tf.ensure_shape(dense, (None, length))
        known = lengths > 0
        return tf.gather(dense, text_of), presence(tf.gather(known, text_of), self.settings["masked"])

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        return keras.KerasTensor((raw.shape[0], self.settings["length"]), "int32"), keras.KerasTensor((raw.shape[0], 1), "float32")
