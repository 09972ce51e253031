"""Layers on the ids of texts, (batch, length) with 0 as padding, and on the vectors of their tokens."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable(package="mmtrain")
class BagProjection(ConfiguredLayer):
    """A dense layer on the TF-IDF vector of a text, without ever building that vector.

    The input is (batch, length) ids, sorted, 0 = padding. With c the count of a word in the text, the TF-IDF vector has
    c * idf at that word and is scaled to length 1, as scikit-learn's TfidfVectorizer does. Its product with a matrix
    (size, units) is the sum of the matrix rows of the words that occur, each weighted by idf / norm. Output (batch, units).
    """

    def __init__(self, *, idf: list[float], units: int, use_bias: bool = False, **kwargs: Any) -> None:
        super().__init__({"idf": list(idf), "units": units, "use_bias": use_bias}, **kwargs)
        self.units = units
        self.use_bias = use_bias

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        """Create a matrix row for every id, initialized as that of a dense layer on the TF-IDF vector (Glorot and Bengio 2010)."""
        self.kernel = self.add_weight(
            name="kernel", shape=(len(self.settings["idf"]), self.units), initializer=keras.initializers.GlorotUniform()
        )
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros") if self.use_bias else None
        self.idf_weights = tf.constant(np.asarray(self.settings["idf"], dtype=np.float32))
        self.built = True

    def call(self, ids: Any, weights: Any = None) -> Any:
        """Return (batch, units). `weights`, (batch, length), replace the `term_weights` of the ids; explanations vary them."""
        scaled = self.term_weights(ids) if weights is None else weights
        rows = tf.gather(tf.cast(self.kernel, self.compute_dtype), ids)  # (batch, length, units)
        product = tf.einsum("bl,blu->bu", tf.cast(scaled, self.compute_dtype), rows)
        return product if self.bias is None else product + tf.cast(self.bias, self.compute_dtype)

    def term_weights(self, ids: Any) -> Any:
        """Return the contribution of each position to the TF-IDF vector at its word, (batch, length) float32; 0 for padding."""
        weights = tf.gather(self.idf_weights, ids)  # (batch, length); padding has idf 0
        changes = tf.not_equal(ids[:, 1:], ids[:, :-1])  # equal ids are adjacent, as ids are sorted
        others = _since_change(changes) + tf.reverse(_since_change(tf.reverse(changes, [1])), [1])
        counts = tf.cast(1 + others, tf.float32)  # (batch, length): how often this word occurs in the text
        # A word that occurs c times has c positions, each adding c * idf^2: together (c * idf)^2.
        norm = tf.sqrt(tf.reduce_sum(counts * tf.square(weights), axis=1, keepdims=True))
        return tf.math.divide_no_nan(weights, norm)

    def compute_output_spec(self, ids: Any, weights: Any = None) -> Any:  # noqa: ARG002
        return keras.KerasTensor((ids.shape[0], self.units), self.compute_dtype)


def _since_change(changes: Any) -> Any:
    """Return the number of equal ids before each position, (batch, length), from the flags of change, (batch, length - 1).

    A running maximum of the positions of change, in log2(length) steps (Hillis and Steele 1986). Every export format has these
    operations; only TensorFlow has `searchsorted`, which is not faster.
    """
    length = changes.shape[1] + 1
    places = tf.range(length)
    latest = tf.pad(tf.where(changes, places[1:], 0), [[0, 0], [1, 0]])
    step = 1
    while step < length:
        latest = tf.maximum(latest, tf.pad(latest[:, :-step], [[0, 0], [step, 0]]))
        step *= 2
    return places - latest


@keras.saving.register_keras_serializable(package="mmtrain")
class TokenAverage(keras.layers.Layer):  # type: ignore[misc]
    """Mean of the vectors of all ids but padding: ids (batch, length), vectors (batch, length, width) -> (batch, width)."""

    def call(self, ids: Any, vectors: Any) -> Any:
        words = ops.cast(ops.not_equal(ids, 0), vectors.dtype)[..., None]
        return ops.sum(vectors * words, axis=1) / ops.maximum(ops.sum(words, axis=1), 1.0)

    def compute_output_spec(self, ids: Any, vectors: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor((vectors.shape[0], vectors.shape[-1]), vectors.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class TokenMaximum(keras.layers.Layer):  # type: ignore[misc]
    """Largest value over all ids but padding: ids (batch, length), states (batch, length, width) -> (batch, width); 0 where none is."""

    def call(self, ids: Any, states: Any) -> Any:
        words = ops.not_equal(ids, 0)[..., None]
        lowest = ops.cast(tf.as_dtype(states.dtype).min, states.dtype)
        return ops.where(ops.any(words, axis=1), ops.max(ops.where(words, states, lowest), axis=1), 0)

    def compute_output_spec(self, ids: Any, states: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor((states.shape[0], states.shape[-1]), states.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class PaddingZeros(keras.layers.Layer):  # type: ignore[misc]
    """Put zeros where ids (batch, length) are padding: vectors (batch, length, width) of the same shape."""

    def call(self, ids: Any, vectors: Any) -> Any:
        return ops.where(ops.not_equal(ids, 0)[..., None], vectors, 0)

    def compute_output_spec(self, ids: Any, vectors: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor(vectors.shape, vectors.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class WordMask(keras.layers.Layer):  # type: ignore[misc]
    """The mask of attention, (batch, 1, length) boolean: true for words, and for the first place, which keeps a text of none finite."""

    def call(self, ids: Any) -> Any:
        return (ops.not_equal(ids, 0) | (ops.arange(ids.shape[1]) == 0))[:, None, :]

    def compute_output_spec(self, ids: Any) -> Any:
        return keras.KerasTensor((ids.shape[0], 1, ids.shape[1]), "bool")
