"""Layers of pretrained transformers for texts; ids of pieces in, one vector per text out. All compute in float32."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer

Pooling = Literal["mean", "first", "maximum", "last"]


class _Float32(ConfiguredLayer):
    """Base of layers that compute in float32 whatever the network around them does."""

    def __init__(self, settings: dict[str, Any] | None = None, /, **kwargs: Any) -> None:
        super().__init__(settings, **{**kwargs, "dtype": "float32"})


@keras.saving.register_keras_serializable(package="mmtrain")
class PieceMask(_Float32):
    """1 for pieces and 0 for padding: (batch, length) ids to the same shape in float32."""

    def __init__(self, *, padding: int, **kwargs: Any) -> None:
        super().__init__({"padding": padding}, **kwargs)

    def call(self, ids: Any) -> Any:
        return ops.cast(ops.not_equal(ids, self.settings["padding"]), "float32")

    def compute_output_spec(self, ids: Any) -> Any:
        return keras.KerasTensor(ids.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class TrimPadding(_Float32):
    """Ids (batch, length) without the places that are padding in all texts of the batch; at least one is left."""

    def __init__(self, *, padding: int, **kwargs: Any) -> None:
        super().__init__({"padding": padding}, **kwargs)

    def call(self, ids: Any) -> Any:
        used = ops.any(ops.not_equal(ids, self.settings["padding"]), axis=0)
        places = ops.cast(ops.arange(1, ops.shape(ids)[1] + 1), "int32") * ops.cast(used, "int32")
        return ids[:, : ops.maximum(ops.max(places), 1)]

    def compute_output_spec(self, ids: Any) -> Any:
        return keras.KerasTensor((ids.shape[0], None), ids.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class FixedLength(_Float32):
    """Ids (batch, any length) to (batch, length), with `fill` in the place of padding: for networks that read padding as a piece."""

    def __init__(self, *, length: int, padding: int, fill: int, **kwargs: Any) -> None:
        super().__init__({"length": length, "padding": padding, "fill": fill}, **kwargs)

    def call(self, ids: Any) -> Any:
        length, fill = self.settings["length"], self.settings["fill"]
        filled = ops.where(ops.equal(ids, self.settings["padding"]), fill, ids)[:, :length]
        return ops.concatenate([filled, ops.full((ops.shape(ids)[0], length - ops.shape(filled)[1]), fill, ids.dtype)], axis=1)

    def compute_output_spec(self, ids: Any) -> Any:
        return keras.KerasTensor((ids.shape[0], self.settings["length"]), ids.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class PiecePositions(_Float32):
    """Add a vector for each position, and one that all texts share, to the vectors of pieces, (batch, length, width).

    The first position is `start`. With `counted`, padding has the position before it, as in RoBERTa; BERT numbers all places.
    """

    def __init__(self, *, positions: int, start: int = 0, counted: bool = False, shared: bool = True, **kwargs: Any) -> None:
        super().__init__({"positions": positions, "start": start, "counted": counted, "shared": shared}, **kwargs)

    def build(self, vectors_shape: Any, known_shape: Any) -> None:  # noqa: ARG002
        self.positions = self.add_weight(name="positions", shape=(self.settings["positions"], vectors_shape[-1]), initializer="zeros")
        if self.settings["shared"]:
            self.shared = self.add_weight(name="shared", shape=(vectors_shape[-1],), initializer="zeros")
        self.built = True

    def call(self, vectors: Any, known: Any) -> Any:
        start = self.settings["start"]
        if self.settings["counted"]:
            counts = ops.cast(known, "int32")
            added = ops.take(self.positions, ops.cumsum(counts, axis=1) * counts + start - 1, axis=0)
        else:
            added = self.positions[start : start + ops.shape(vectors)[1]]
        return vectors + added + (self.shared if self.settings["shared"] else 0.0)

    def compute_output_spec(self, vectors: Any, known: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor(vectors.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class PoolPieces(_Float32):
    """One vector per text, (batch, width), from those of its pieces: their mean, the first, the maximum, or the last.

    It has length 1 if `normalize`.
    """

    def __init__(self, *, pooling: Pooling, normalize: bool = False, **kwargs: Any) -> None:
        super().__init__({"pooling": pooling, "normalize": normalize}, **kwargs)

    def call(self, vectors: Any, known: Any) -> Any:
        shown = ops.expand_dims(known, -1)
        if self.settings["pooling"] == "mean":
            pooled = ops.sum(vectors * shown, axis=1) / ops.maximum(ops.sum(shown, axis=1), 1e-9)
        elif self.settings["pooling"] == "maximum":
            pooled = ops.max(ops.where(shown > 0, vectors, -1e9), axis=1)
        elif self.settings["pooling"] == "last":
            places = ops.cast(ops.arange(ops.shape(known)[1]), "float32")
            chosen = ops.equal(places, ops.sum(known, axis=1, keepdims=True) - 1)  # padding stands behind all pieces
            pooled = ops.sum(ops.where(ops.expand_dims(chosen, -1), vectors, 0.0), axis=1)
        else:
            pooled = vectors[:, 0]
        if not self.settings["normalize"]:
            return pooled
        return pooled / ops.maximum(ops.sqrt(ops.sum(ops.square(pooled), axis=1, keepdims=True)), 1e-12)

    def compute_output_spec(self, vectors: Any, known: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor((vectors.shape[0], vectors.shape[-1]), "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class Gelu(_Float32):
    """x times the normal distribution function of x (Hendrycks and Gimpel 2016, arXiv:1606.08415), or its approximation by tanh."""

    def __init__(self, *, approximate: bool = False, **kwargs: Any) -> None:
        super().__init__({"approximate": approximate}, **kwargs)

    def call(self, values: Any) -> Any:
        return ops.gelu(values, approximate=self.settings["approximate"])

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor(values.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class QuickGelu(_Float32):
    """x times the logistic function of 1.702 x, another approximation of GELU; that of CLIP."""

    def call(self, values: Any) -> Any:
        return values * ops.sigmoid(1.702 * values)

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor(values.shape, "float32")
