"""Layers of a column with several images per row: its members as a batch of their own, and their vectors pooled by row.

Only members that are there go through the network between the two, so that a row of one image costs one image.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer
from mmtrain.specs import Pool


@keras.saving.register_keras_serializable(package="mmtrain")
class FlattenMembers(ConfiguredLayer):
    """Sets (batch, most, ...) to their members (members, ...), row by row, and `shown` (batch, most) float32, 1 for a member.

    A place whose pixels are all 0 has no member, nor one whose features are NaN. A batch without any gives one member of zeros, since
    normalizations of no values are NaN; no row has it. With `values`, of the shape of the sets, the members are those of the values.
    """

    def call(self, sets: Any, values: Any = None) -> tuple[Any, Any]:
        if sets.dtype.is_floating:
            # Features of an encoder may all be 0, and a negative one is the largest of a member.
            numbers = tf.equal(sets, sets)
            shown = tf.reduce_all(tf.reshape(numbers, (tf.shape(sets)[0], sets.shape[1], -1)), axis=2)
            sets = tf.where(numbers, sets, tf.zeros_like(sets))
        else:
            # Truth values, a byte per pixel: LiteRT has no maximum of unsigned numbers, ONNX none of uint16.
            shown = tf.reduce_any(tf.reshape(tf.cast(sets, tf.bool), (tf.shape(sets)[0], sets.shape[1], -1)), axis=2)
        places = tf.where(tf.reshape(shown, (-1,)))[:, 0]
        none = tf.cast(tf.equal(tf.size(places), 0), tf.int32)
        places = tf.concat([places, tf.zeros((none,), tf.int64)], axis=0)
        members = tf.reshape(sets if values is None else values, (-1, *sets.shape[2:]))
        return tf.gather(members, places), tf.cast(shown, tf.float32)

    def compute_output_spec(self, sets: Any, values: Any = None) -> tuple[Any, Any]:
        dtype = sets.dtype if values is None else values.dtype
        return keras.KerasTensor((None, *sets.shape[2:]), dtype), keras.KerasTensor(sets.shape[:2], "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class SpreadMembers(ConfiguredLayer):
    """Vectors (members, width) and `shown` (batch, most) to tokens (batch, most, width), zeros for a missing member."""

    def call(self, vectors: Any, shown: Any) -> Any:
        most = shown.shape[1]
        # Members are counted row by row, as `FlattenMembers` left them.
        counts = tf.cumsum(tf.reshape(tf.cast(shown, tf.int32), (-1,)))
        places = tf.reshape(tf.maximum(counts - 1, 0), (-1, most))
        return tf.gather(vectors, places) * tf.cast(shown, vectors.dtype)[..., None]

    def compute_output_spec(self, vectors: Any, shown: Any) -> Any:
        return keras.KerasTensor((*shown.shape, vectors.shape[-1]), vectors.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class PoolMembers(ConfiguredLayer):
    """Tokens (batch, most, width) to their mean or maximum, (batch, width), over the places that are `shown`; zeros without any."""

    def __init__(self, *, pool: Pool, **kwargs: Any) -> None:
        super().__init__({"pool": pool}, **kwargs)
        self.pool = pool

    def call(self, tokens: Any, shown: Any) -> Any:
        there = ops.cast(shown, tokens.dtype)[..., None]
        if self.pool == "mean":
            return ops.sum(tokens, axis=1) / ops.maximum(ops.sum(there, axis=1), 1)
        # Far below every feature, and still a number in float16.
        highest = ops.max(ops.where(there > 0, tokens, ops.cast(-6e4, tokens.dtype)), axis=1)
        return ops.where(ops.max(there, axis=1) > 0, highest, ops.zeros_like(highest))

    def compute_output_spec(self, tokens: Any, shown: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor((tokens.shape[0], tokens.shape[-1]), tokens.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class AttentionPool(ConfiguredLayer):
    """Tokens (batch, most, width) to a mean (batch, width) with learned weights of the places that are `shown`.

    The weights are those of attention-based multiple instance learning, softmax(w tanh(V h)) over the members of a row (Ilse et al. 2018,
    arXiv:1802.04712, equation 8), computed in float32 unless they are given.
    """

    def __init__(self, *, units: int = 64, **kwargs: Any) -> None:
        super().__init__({"units": units}, **kwargs)
        self.units = units

    def build(self, tokens_shape: Any, shown_shape: Any) -> None:  # noqa: ARG002
        self.projection = self.add_weight(name="projection", shape=(tokens_shape[-1], self.units))
        self.score = self.add_weight(name="score", shape=(self.units, 1))
        self.built = True

    def weights_of(self, tokens: Any, shown: Any) -> Any:
        """Return the weights of the members, (batch, most) float32, with a sum of 1 in every row that has any."""
        hidden = ops.tanh(ops.matmul(tokens, ops.cast(self.projection, tokens.dtype)))
        scores = ops.cast(ops.matmul(hidden, ops.cast(self.score, tokens.dtype))[..., 0], "float32")
        raised = ops.exp(scores - ops.max(scores, axis=1, keepdims=True)) * shown
        return raised / ops.maximum(ops.sum(raised, axis=1, keepdims=True), 1e-30)

    def call(self, tokens: Any, shown: Any, weights: Any = None) -> Any:
        weights = self.weights_of(tokens, shown) if weights is None else weights
        return ops.sum(tokens * ops.cast(weights, tokens.dtype)[..., None], axis=1)

    def compute_output_spec(self, tokens: Any, shown: Any, weights: Any = None) -> Any:  # noqa: ARG002
        return keras.KerasTensor((tokens.shape[0], tokens.shape[-1]), tokens.dtype)
