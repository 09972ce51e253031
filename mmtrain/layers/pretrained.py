"""Layers of pretrained networks, where Keras has none."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable(package="mmtrain")
class FirstView(keras.layers.Layer):  # type: ignore[misc]
    """The first of several views of each row, (batch, views, width) to (batch, width), in the layer's compute type."""

    def call(self, views: Any) -> Any:
        return ops.cast(views[:, 0], self.compute_dtype)

    def compute_output_spec(self, views: Any) -> Any:
        return keras.KerasTensor((views.shape[0], *views.shape[2:]), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class PrincipalComponents(ConfiguredLayer):
    """Principal components of features, (batch, width) to (batch, components): (features - mean) @ matrix, which no training changes."""

    def __init__(self, *, components: int, **kwargs: Any) -> None:
        super().__init__({"components": components}, **kwargs)
        self.components = components

    def build(self, input_shape: Any) -> None:
        """Create mean and matrix, all zero until they are set."""
        width = input_shape[-1]
        self.mean = self.add_weight(name="mean", shape=(width,), initializer="zeros", trainable=False)
        self.matrix = self.add_weight(name="matrix", shape=(width, self.components), initializer="zeros", trainable=False)
        self.built = True

    def call(self, features: Any) -> Any:
        return ops.matmul(features - self.mean, self.matrix)

    def compute_output_spec(self, features: Any) -> Any:
        return keras.KerasTensor((features.shape[0], self.components), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class NormalizedPixels(ConfiguredLayer):
    """Integer pixels, (batch, height, width, channels), to three channels of (brightness - mean) / deviation.

    A grey image is taken three times; opacity is left out.
    """

    def __init__(self, *, levels: int, mean: list[float], deviation: list[float], **kwargs: Any) -> None:
        super().__init__({"levels": levels, "mean": list(mean), "deviation": list(deviation)}, **kwargs)
        self.levels, self.mean, self.deviation = levels, list(mean), list(deviation)

    def call(self, pixels: Any) -> Any:
        values = ops.cast(pixels, self.compute_dtype)
        values = ops.repeat(values, 3, axis=-1) if values.shape[-1] == 1 else values[..., :3]
        # One product and one sum: (x / levels - mean) / deviation.
        factors = ops.convert_to_tensor([1.0 / (self.levels * one) for one in self.deviation], self.compute_dtype)
        addends = ops.convert_to_tensor([-mean / one for mean, one in zip(self.mean, self.deviation, strict=True)], self.compute_dtype)
        return values * factors + addends

    def compute_output_spec(self, pixels: Any) -> Any:
        return keras.KerasTensor((*pixels.shape[:-1], 3), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class SpecialTokens(ConfiguredLayer):
    """Learned tokens in front of patches, (batch, length, width), to which positions are added.

    The output is (batch, special + registers + length, width). Tokens have their positions in them already; `registers` follow the
    `special` ones, of which the first is the class token. Without `positions`, patches stay as they are.
    """

    def __init__(self, *, special: int, registers: int, positions: bool = True, **kwargs: Any) -> None:
        super().__init__({"special": special, "registers": registers, "positions": positions}, **kwargs)
        self.special, self.registers, self.with_positions = special, registers, positions

    def build(self, input_shape: Any) -> None:
        """Create the tokens and the table of positions."""
        length, width = input_shape[1:]
        counts = {"tokens": self.special, "registers": self.registers}
        self.tokens = [self.add_weight(name=name, shape=(count, width), initializer="zeros") for name, count in counts.items() if count]
        self.positions = self.add_weight(name="positions", shape=(length, width), initializer="zeros") if self.with_positions else None
        self.built = True

    def call(self, patches: Any) -> Any:
        placed = patches if self.positions is None else patches + ops.cast(self.positions, patches.dtype)
        rows = ops.zeros_like(patches[:, :1, :1])  # (batch, 1, 1): the tokens for every row
        return ops.concatenate([*(ops.cast(token, patches.dtype)[None] + rows for token in self.tokens), placed], axis=1)

    def compute_output_spec(self, patches: Any) -> Any:
        length = patches.shape[1] + self.special + self.registers
        return keras.KerasTensor((patches.shape[0], length, patches.shape[2]), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class LearnedToken(keras.layers.Layer):  # type: ignore[misc]
    """One learned vector, (batch, 1, width), for every row of tokens, (batch, length, width)."""

    def build(self, input_shape: Any) -> None:
        """Create the vector."""
        self.token = self.add_weight(name="token", shape=(1, input_shape[-1]), initializer="zeros")
        self.built = True

    def call(self, tokens: Any) -> Any:
        return ops.cast(self.token, tokens.dtype)[None] + ops.zeros_like(tokens[:, :1, :1])

    def compute_output_spec(self, tokens: Any) -> Any:
        return keras.KerasTensor((tokens.shape[0], 1, tokens.shape[2]), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class RotaryPositions(ConfiguredLayer):
    """Rotation of queries or keys, (batch, special + rows * columns, width), by the places of their patches, as DINOv3 does.

    The first and the second quarter of a head have angles of the row and of the column, -1 to 1 times 2 pi times falling frequencies, and
    are rotated with the third and the fourth. The `special` tokens in front are not rotated. `base` is that of the frequencies.
    """

    def __init__(self, *, heads: int, special: int, rows: int, columns: int, base: float, **kwargs: Any) -> None:
        super().__init__({"heads": heads, "special": special, "rows": rows, "columns": columns, "base": base}, **kwargs)

    def call(self, tokens: Any) -> Any:
        heads, special, width = self.settings["heads"], self.settings["special"], tokens.shape[-1]
        cosines, sines = self._angles(width // heads)
        split = ops.reshape(tokens, (-1, tokens.shape[1], heads, width // heads))
        patches = split[:, special:]
        first, second = ops.split(patches, 2, axis=-1)
        rotated = patches * cosines + ops.concatenate([-second, first], axis=-1) * sines
        return ops.reshape(ops.concatenate([split[:, :special], rotated], axis=1), (-1, tokens.shape[1], width))

    def _angles(self, width: int) -> tuple[Any, Any]:
        """Return cosines and sines for a head, (patches, 1, width)."""
        import numpy as np

        rows, columns = self.settings["rows"], self.settings["columns"]
        places = np.stack(np.meshgrid(*((np.arange(count) + 0.5) / count * 2 - 1 for count in (rows, columns)), indexing="ij"), axis=-1)
        frequencies = self.settings["base"] ** -np.arange(0, 1, 4 / width)
        angles = 2 * np.pi * places.reshape(-1, 2, 1) * frequencies  # (patches, 2, width / 4)
        angles = np.tile(angles.reshape(len(angles), 1, -1), 2)
        return tuple(ops.convert_to_tensor(function(angles), self.compute_dtype) for function in (np.cos, np.sin))

    def compute_output_spec(self, tokens: Any) -> Any:
        return keras.KerasTensor(tokens.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class AttendHeads(ConfiguredLayer):
    """Scaled dot-product attention of `heads` heads (Vaswani et al. 2017) over queries, keys and values, (batch, length, width) each.

    Given one tensor, (batch, length, 3 * width), it holds the three side by side. `known`, (batch, length) of 0 or 1, is 0 for padding,
    which has no weight; where `causal`, what stands behind a query has none.
    """

    def __init__(self, *, heads: int, causal: bool = False, **kwargs: Any) -> None:
        super().__init__({"heads": heads, "causal": causal}, **kwargs)
        self.heads, self.causal = heads, causal

    def call(self, queries: Any, keys: Any = None, values: Any = None, known: Any = None) -> Any:
        if keys is None:
            queries, keys, values = ops.split(queries, 3, axis=-1)
        length, width = ops.shape(queries)[1], queries.shape[-1]
        depth = width // self.heads
        queries, keys, values = (
            ops.transpose(ops.reshape(part, (-1, ops.shape(part)[1], self.heads, depth)), (0, 2, 1, 3)) for part in (queries, keys, values)
        )
        scores = ops.matmul(queries * (width // self.heads) ** -0.5, ops.transpose(keys, (0, 1, 3, 2)))  # (batch, heads, length, length)
        if self.causal:
            places = ops.arange(length)
            scores += (ops.cast(ops.expand_dims(places, 1) >= ops.expand_dims(places, 0), scores.dtype) - 1.0) * 1e9
        if known is not None:
            # Not an index with new axes: LiteRT has no strided slice of four dimensions.
            scores += (ops.expand_dims(known, (1, 2)) - 1.0) * 1e9
        return ops.reshape(ops.transpose(ops.matmul(ops.softmax(scores), values), (0, 2, 1, 3)), (-1, length, width))

    def compute_output_spec(self, queries: Any, keys: Any = None, values: Any = None, known: Any = None) -> Any:  # noqa: ARG002
        width = queries.shape[-1] // (3 if keys is None else 1)
        return keras.KerasTensor((*queries.shape[:-1], width), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class ChannelScale(keras.layers.Layer):  # type: ignore[misc]
    """A learned factor for every channel, (batch, ..., width)."""

    def build(self, input_shape: Any) -> None:
        """Create the factors."""
        self.factors = self.add_weight(name="factors", shape=(input_shape[-1],), initializer="ones")
        self.built = True

    def call(self, values: Any) -> Any:
        return values * ops.cast(self.factors, values.dtype)

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor(values.shape, self.compute_dtype)
