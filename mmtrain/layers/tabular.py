"""Layers for tables: encodings of the stacked numbers of a branch, blocks of architectures, and ensembles of members.

Every layer treats all columns at once, padded where columns differ: the number of operations does not grow with that of columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from mmtrain.layers.network import along_line
from mmtrain.layers.stacks import take_places


class _Configured(keras.layers.Layer):  # type: ignore[misc]
    """Base of layers whose config is `settings`, plain JSON."""

    def __init__(self, settings: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = settings

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), **self.settings}


class _OfNumbers(_Configured):
    """Base of layers on some of the stacked numbers, those at `positions`: (batch, width) float32 in, computed in float32."""

    def __init__(self, settings: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(settings, autocast=False, **kwargs)

    def taken(self, numbers: Any) -> Any:
        """Return the numbers at `positions`, (batch, columns) float32."""
        return take_places(ops.cast(numbers, "float32"), self.settings["positions"])

    def _spec(self, numbers: Any, *axes: int) -> Any:
        return keras.KerasTensor((numbers.shape[0], len(self.settings["positions"]), *axes), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class TakeNumbers(_OfNumbers):
    """The numbers at `positions` as they are, (batch, columns)."""

    def __init__(self, *, positions: Sequence[int], **kwargs: Any) -> None:
        super().__init__({"positions": list(positions)}, **kwargs)

    def call(self, numbers: Any) -> Any:
        return ops.cast(self.taken(numbers), self.compute_dtype)

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers)


@keras.saving.register_keras_serializable(package="mmtrain")
class PiecewiseLinear(_OfNumbers):
    """Piecewise linear encoding (Gorishniy et al. 2022, arXiv:2203.05556): (batch, width) to (batch, columns, bins).

    A bin is 0 below its lower edge, 1 above its upper edge, and linear between them. Columns with fewer bins than the first axis
    has are padded by zeros. A number beyond the outer edges is encoded as the edge.
    """

    def __init__(self, *, positions: Sequence[int], edges: Sequence[Sequence[float]], **kwargs: Any) -> None:
        super().__init__({"positions": list(positions), "edges": [list(column) for column in edges]}, **kwargs)
        # n edges bound n - 1 bins.
        self.bins = max(len(column) for column in edges) - 1
        # A padded bin has slope 0, so it is 0 for every number.
        self._lower = np.zeros((len(edges), self.bins), np.float32)
        self._slope = np.zeros((len(edges), self.bins), np.float32)
        for number, column in enumerate(edges):
            ends = np.array(column, np.float32)
            self._lower[number, : len(ends) - 1] = ends[:-1]
            self._slope[number, : len(ends) - 1] = 1 / np.diff(ends)

    def encoded(self, numbers: Any) -> Any:
        """Return the bins, (batch, columns, bins) float32."""
        # (batch, columns, 1) against (columns, bins): each bin as the clipped position between its edges.
        return ops.clip((self.taken(numbers)[:, :, None] - self._lower) * self._slope, 0.0, 1.0)

    def call(self, numbers: Any) -> Any:
        return ops.cast(self.encoded(numbers), self.compute_dtype)

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers, self.bins)


@keras.saving.register_keras_serializable(package="mmtrain")
class NormalScore(PiecewiseLinear):
    """The standard normal score of the rank among training rows: `scores` at the edges, linear between: (batch, columns, 1)."""

    def __init__(
        self, *, positions: Sequence[int], edges: Sequence[Sequence[float]], scores: Sequence[Sequence[float]], **kwargs: Any
    ) -> None:
        super().__init__(positions=positions, edges=edges, **kwargs)
        self.settings["scores"] = [list(column) for column in scores]
        self._first = np.array([column[0] for column in scores], np.float32)
        self._steps = np.zeros_like(self._lower)
        for number, column in enumerate(scores):
            self._steps[number, : len(column) - 1] = np.diff(column)

    def call(self, numbers: Any) -> Any:
        # The score at the first edge, and the rise within every bin up to the number.
        scores = self._first + ops.sum(self.encoded(numbers) * self._steps, axis=2)
        return ops.cast(scores, self.compute_dtype)[:, :, None]

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers, 1)


@keras.saving.register_keras_serializable(package="mmtrain")
class Periodic(_OfNumbers):
    """Cosines and sines of learned frequencies (Gorishniy et al. 2022): (batch, width) to (batch, columns, 2 * frequencies).

    Frequencies begin at random, normally distributed with the standard deviation `sigma`, in periods per standard deviation. With
    `phase` there are cosines of a learned frequency and phase alone, (batch, columns, frequencies) (Holzmüller et al. 2024).
    """

    def __init__(self, *, positions: Sequence[int], frequencies: int, sigma: float, phase: bool = False, **kwargs: Any) -> None:
        settings = {"positions": list(positions), "frequencies": frequencies, "sigma": sigma, "phase": phase}
        super().__init__(settings, **kwargs)

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        shape = (len(self.settings["positions"]), self.settings["frequencies"])
        spread = keras.initializers.RandomNormal(stddev=self.settings["sigma"])
        self.frequency = self.add_weight(name="frequency", shape=shape, initializer=spread)
        uniform = keras.initializers.RandomUniform(-math.pi, math.pi)
        self.phase = self.add_weight(name="phase", shape=shape, initializer=uniform) if self.settings["phase"] else None
        self.built = True

    def call(self, numbers: Any) -> Any:
        # Frequencies are in periods, angles in radians.
        angles = 2 * math.pi * self.taken(numbers)[:, :, None] * ops.cast(self.frequency, "float32")
        if self.phase is not None:
            return ops.cast(ops.cos(angles + ops.cast(self.phase, "float32")), self.compute_dtype)
        return ops.cast(ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=2), self.compute_dtype)

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers, self.settings["frequencies"] * (1 if self.settings["phase"] else 2))


@keras.saving.register_keras_serializable(package="mmtrain")
class RobustScale(_OfNumbers):
    """`clip((number - center) * factor)`, where clip(z) = z / sqrt(1 + (z / 3)^2) stays within 3 (arXiv:2407.04491): (batch, columns)."""

    def __init__(self, *, positions: Sequence[int], centers: Sequence[float], factors: Sequence[float], **kwargs: Any) -> None:
        super().__init__({"positions": list(positions), "centers": list(centers), "factors": list(factors)}, **kwargs)

    def call(self, numbers: Any) -> Any:
        centers, factors = (np.array(self.settings[name], np.float32) for name in ("centers", "factors"))
        scaled = (self.taken(numbers) - centers) * factors
        return ops.cast(scaled * ops.rsqrt(1 + ops.square(scaled / 3)), self.compute_dtype)

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers)


@keras.saving.register_keras_serializable(package="mmtrain")
class ColumnDense(_Configured):
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
class SumOfColumns(_Configured):
    """The sum of the vectors of `columns` columns, all of one width: (batch, columns * width) to (batch, width)."""

    def __init__(self, *, columns: int, **kwargs: Any) -> None:
        super().__init__({"columns": columns}, **kwargs)

    def call(self, vectors: Any) -> Any:
        # The vectors of a column are contiguous.
        return ops.sum(ops.reshape(vectors, (-1, self.settings["columns"], vectors.shape[1] // self.settings["columns"])), axis=1)

    def compute_output_spec(self, vectors: Any) -> Any:
        return keras.KerasTensor((vectors.shape[0], vectors.shape[1] // self.settings["columns"]), vectors.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class LinearBase(_Configured):
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
class Scale(_Configured):
    """Each number times a learned factor that begins at 1, (batch, width)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__({}, **kwargs)

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight(name="factor", shape=(input_shape[-1],), initializer="ones")
        self.built = True

    def call(self, values: Any) -> Any:
        return values * ops.cast(self.factor, values.dtype)

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor(values.shape, values.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class FirstToken(_Configured):
    """A learned token in front of the others: (batch, length, width) to (batch, length + 1, width)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__({}, **kwargs)

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
class Cross(_Configured):
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


@keras.saving.register_keras_serializable(package="mmtrain")
class MemberDense(_Configured):
    """A dense layer of `members` networks that share its matrix W (BatchEnsemble, Wen et al. 2020, arXiv:2002.06715).

    Member k computes ((x * r_k) W) * s_k + b_k, with vectors of its own: (batch, width) or (batch, members, width) to
    (batch, members, units). With `signs`, r begins at random as 1 or -1, so that members differ; else as 1 (arXiv:2410.24210).
    """

    def __init__(self, *, units: int, members: int, signs: bool = False, **kwargs: Any) -> None:
        super().__init__({"units": units, "members": members, "signs": signs}, **kwargs)
        self.units, self.members = units, members

    def build(self, input_shape: Any) -> None:
        width, limit = input_shape[-1], 1 / math.sqrt(input_shape[-1])
        uniform = keras.initializers.RandomUniform(-limit, limit)
        self.kernel = self.add_weight(name="kernel", shape=(width, self.units), initializer=uniform)
        begin = _random_signs if self.settings["signs"] else "ones"
        self.before = self.add_weight(name="before", shape=(self.members, width), initializer=begin)
        self.after = self.add_weight(name="after", shape=(self.members, self.units), initializer="ones")
        self.bias = self.add_weight(name="bias", shape=(self.members, self.units), initializer=uniform)
        self.built = True

    def call(self, values: Any) -> Any:
        before, after, bias, kernel = (ops.cast(one, self.compute_dtype) for one in (self.before, self.after, self.bias, self.kernel))
        # A first layer gets (batch, width), the same for all members.
        scaled = (values if len(values.shape) == 3 else values[:, None, :]) * before  # (batch, members, width)
        # One product with the shared matrix for all members and rows.
        product = ops.matmul(ops.reshape(scaled, (-1, scaled.shape[-1])), kernel)
        return ops.reshape(product, (-1, self.members, self.units)) * after + bias

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor((values.shape[0], self.members, self.units), self.compute_dtype)


def _random_signs(shape: Any, dtype: Any = None) -> Any:
    """Return 1 or -1 at random."""
    values = keras.initializers.RandomUniform(-1.0, 1.0)(shape, "float32")
    return ops.cast(ops.where(values < 0, -1.0, 1.0), dtype or "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class FoldMembers(_Configured):
    """Members as rows, those of a row one after the other: (batch, members, ...) to (batch * members, ...).

    With `shared` the input is the same for all members, (batch, ...), and is repeated for each.
    """

    def __init__(self, *, members: int, shared: bool, **kwargs: Any) -> None:
        super().__init__({"members": members, "shared": shared}, **kwargs)

    def call(self, values: Any) -> Any:
        if self.settings["shared"]:
            values = _for_members(values, self.settings["members"])
        return ops.reshape(values, (-1, *values.shape[2:]))

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor((None, *values.shape[1 if self.settings["shared"] else 2 :]), values.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class ForMembers(_Configured):
    """The same values for every member: (batch, width) to (batch, members, width)."""

    def __init__(self, *, members: int, **kwargs: Any) -> None:
        super().__init__({"members": members}, **kwargs)

    def call(self, values: Any) -> Any:
        return _for_members(values, self.settings["members"])

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor((values.shape[0], self.settings["members"], values.shape[1]), values.dtype)


def _for_members(values: Any, members: int) -> Any:
    """Return (batch, ...) as (batch, members, ...)."""
    # Not `tile`: its gradient transposes int32, of which oneDNN reports on standard error that it cannot.
    return ops.broadcast_to(values[:, None], (ops.shape(values)[0], members, *values.shape[1:]))


@keras.saving.register_keras_serializable(package="mmtrain")
class UnfoldMembers(_Configured):
    """The reverse of `FoldMembers`: (batch * members, width) to (batch, members, width)."""

    def __init__(self, *, members: int, **kwargs: Any) -> None:
        super().__init__({"members": members}, **kwargs)

    def call(self, values: Any) -> Any:
        return ops.reshape(values, (-1, self.settings["members"], *values.shape[1:]))

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor((None, self.settings["members"], *values.shape[1:]), values.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class MemberMean(_Configured):
    """The raw value whose prediction is the mean of the members' predictions: (batch, members, units) to (batch, units) float32.

    `link` is the activation from raw values to predictions: `sigmoid`, `softmax` and `exponential` are inverted after the mean, in
    logarithms, `line` by the line with its axes exchanged; a `linear` activation commutes with the mean. `numbers` are the arguments of
    the layers `Exponential` and `QuantileInverse`.
    """

    def __init__(
        self,
        *,
        link: Literal["linear", "sigmoid", "softmax", "exponential", "line"],
        numbers: Mapping[str, float | list[float]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__({"link": link, "numbers": dict(numbers or {})}, **kwargs)

    def call(self, raw: Any) -> Any:
        raw = ops.cast(raw, "float32")
        if self.settings["link"] == "sigmoid":
            # log(mean p) - log(mean (1 - p)), the logit of the mean; both means share the factor 1 / members.
            return ops.logsumexp(ops.log_sigmoid(raw), axis=1) - ops.logsumexp(ops.log_sigmoid(-raw), axis=1)
        if self.settings["link"] == "softmax":
            # log(mean p) of every class: a softmax of it gives the mean again.
            return ops.logsumexp(ops.log_softmax(raw, axis=2), axis=1) - math.log(raw.shape[1])
        if self.settings["link"] in ("exponential", "line"):
            numbers = self.settings["numbers"]
            return (self._mean_transformed(raw * numbers["scale"] + numbers["offset"]) - numbers["offset"]) / numbers["scale"]
        return ops.mean(raw, axis=1)

    def _mean_transformed(self, values: Any) -> Any:
        """Return the transformed mean of answers, (batch, 1), from the members' transformed answers, (batch, members, 1)."""
        numbers = self.settings["numbers"]
        if self.settings["link"] == "exponential":
            # The shift is added to every answer and taken off their mean, so it cancels.
            return ops.logsumexp(ops.clip(values, numbers["low"], numbers["high"]), axis=1) - math.log(values.shape[1])
        answers = ops.mean(along_line(values, numbers["points"], numbers["values"]), axis=1)
        return along_line(answers, numbers["values"], numbers["points"])

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((raw.shape[0], raw.shape[2]), "float32")
