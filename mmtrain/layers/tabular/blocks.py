"""Layers that the architectures for tables are made of, and the linear model that a network begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable(package="mmtrain")
class ColumnDense(ConfiguredLayer):
    """A dense layer for each column: (batch, columns, width) to (batch, columns, units); with `shared` the same one for all."""

    def __init__(self, *, units: int, activation: Literal["linear", "relu"] = "linear", shared: bool = False, **kwargs: Any) -> None:
        super().__init__({"units": units, "activation": activation, "shared": shared}, **kwargs)
        self.activate = keras.activations.get(activation)

    def build(self, input_shape: Any) -> None:
        _, columns, width = input_shape
        units = self.settings["units"]
        first = () if self.settings["shared"] else (columns,)
        uniform = keras.initializers.RandomUniform(-1 / math.sqrt(width), 1 / math.sqrt(width))  # as in the paper's code
        self.kernel = self.add_weight(name="kernel", shape=(*first, width, units), initializer=uniform)
        self.bias = self.add_weight(name="bias", shape=(*first, units), initializer=uniform)
        self.built = True

    def call(self, values: Any) -> Any:
        kernel, bias = ops.cast(self.kernel, values.dtype), ops.cast(self.bias, values.dtype)
        if self.settings["shared"]:
            return self.activate(ops.matmul(values, kernel) + bias)
        # One product per column: (columns, batch, width) times (columns, width, units).
        product = ops.matmul(ops.transpose(values, (1, 0, 2)), kernel)
        return self.activate(ops.transpose(product, (1, 0, 2)) + bias)

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor((*values.shape[:2], self.settings["units"]), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class SumOfColumns(ConfiguredLayer):
    """The sum of the vectors of `columns` columns, all of one width: (batch, columns * width) to (batch, width)."""

    def __init__(self, *, columns: int, **kwargs: Any) -> None:
        super().__init__({"columns": columns}, **kwargs)

    def call(self, vectors: Any) -> Any:
        # The vectors of a column are contiguous.
        return ops.sum(ops.reshape(vectors, (-1, self.settings["columns"], vectors.shape[1] // self.settings["columns"])), axis=1)

    def compute_output_spec(self, vectors: Any) -> Any:
        return keras.KerasTensor((vectors.shape[0], vectors.shape[1] // self.settings["columns"]), vectors.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class LinearBase(ConfiguredLayer):
    """A linear model that the training leaves as it is: a list of numbers (batch, width) and codes (batch, columns), either may be missing.

    Returns (batch, units) float32: numbers times `kernel`, plus the row of `table` of each code, plus `bias`; zeros until it is fitted.
    Column i has `sizes[i]` codes, whose rows begin behind those of the columns before it.
    """

    def __init__(self, *, units: int, sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__({"units": units, "sizes": list(sizes)}, autocast=False, **kwargs)

    def build(self, input_shape: Any) -> None:
        units, sizes = self.settings["units"], self.settings["sizes"]
        self.starts = np.cumsum([0, *sizes[:-1]]).astype(np.int32) if sizes else None
        numbers = len(input_shape) > bool(sizes)
        self.kernel = self._fixed("kernel", (input_shape[0][-1], units)) if numbers else None
        self.table = self._fixed("table", (sum(sizes), units)) if sizes else None
        self.bias = self._fixed("bias", (units,))
        self.built = True

    def _fixed(self, name: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False, dtype="float32")

    def call(self, inputs: Sequence[Any]) -> Any:
        raw = ops.cast(self.bias, "float32")
        if self.kernel is not None:
            raw = raw + ops.matmul(ops.cast(inputs[0], "float32"), self.kernel)
        if self.table is not None:
            raw = raw + ops.sum(ops.take(self.table, inputs[-1] + self.starts, axis=0), axis=1)
        return raw

    def compute_output_spec(self, inputs: Sequence[Any]) -> Any:
        return keras.KerasTensor((inputs[0].shape[0], self.settings["units"]), "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class FirstToken(ConfiguredLayer):
    """A learned token in front of the others: (batch, length, width) to (batch, length + 1, width)."""

    def build(self, input_shape: Any) -> None:
        self.token = self.add_weight(name="token", shape=(input_shape[-1],), initializer="random_normal")
        self.built = True

    def call(self, tokens: Any) -> Any:
        # (batch, 1, width): zeros of the batch's own length, to which the token is added.
        first = ops.zeros_like(tokens[:, :1]) + ops.cast(self.token, tokens.dtype)
        return ops.concatenate([first, tokens], axis=1)

    def compute_output_spec(self, tokens: Any) -> Any:
        return keras.KerasTensor((tokens.shape[0], tokens.shape[1] + 1, tokens.shape[2]), tokens.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class Cross(ConfiguredLayer):
    """A cross layer of DCN-v2 (Wang et al. 2020, arXiv:2008.13535): first * (W * values + b) + values, all (batch, width).

    With `rank`, W is the product of two matrices of that rank.
    """

    def __init__(self, *, rank: int = 0, **kwargs: Any) -> None:
        super().__init__({"rank": rank}, **kwargs)

    def build(self, first_shape: Any, values_shape: Any) -> None:  # noqa: ARG002
        width, rank = first_shape[-1], self.settings["rank"]
        shapes = [(width, rank), (rank, width)] if rank else [(width, width)]
        self.kernels = [self.add_weight(name=f"kernel_{n}", shape=shape, initializer="glorot_uniform") for n, shape in enumerate(shapes)]
        self.bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")
        self.built = True

    def call(self, first: Any, values: Any) -> Any:
        product = values
        for kernel in self.kernels:
            product = ops.matmul(product, ops.cast(kernel, values.dtype))
        return first * (product + ops.cast(self.bias, values.dtype)) + values

    def compute_output_spec(self, first: Any, values: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor(values.shape, values.dtype)
