"""Layers from raw values to predictions of numbers: lines, exponentials, quantiles, and expectations over bins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable(package="mmtrain")
class Affine(ConfiguredLayer):
    """A fixed `x * scale + offset` in float32, from standardized predictions back to the target's own unit.

    x is the first of several values, (batch, ..., values), as `BinExpectation` gives them.
    """

    def __init__(self, *, scale: float, offset: float, **kwargs: Any) -> None:
        super().__init__({"scale": scale, "offset": offset}, **kwargs)
        self.scale, self.offset = scale, offset

    def call(self, raw: Any) -> Any:
        first = raw if raw.shape[-1] == 1 else raw[..., :1]
        return ops.cast(first, "float32") * self.scale + self.offset

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((*raw.shape[:-1], 1), "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class BinExpectation(ConfiguredLayer):
    """The expectation of a number by the logits of its bins, (batch, bins), in front of them: (batch, 1 + bins) float32.

    `bins` are the numbers that the bins stand for.
    """

    def __init__(self, *, bins: list[float], **kwargs: Any) -> None:
        super().__init__({"bins": list(bins)}, **kwargs)
        self.bins = list(bins)

    def call(self, logits: Any) -> Any:
        logits = ops.cast(logits, "float32")
        numbers = ops.convert_to_tensor([[one] for one in self.bins], "float32")
        return ops.concatenate([ops.matmul(ops.softmax(logits), numbers), logits], axis=-1)

    def compute_output_spec(self, logits: Any) -> Any:
        return keras.KerasTensor((*logits.shape[:-1], 1 + len(self.bins)), "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class Exponential(ConfiguredLayer):
    """`exp(x * scale + offset) - shift` in float32, the exponent kept between `low` and `high`: back from a log transform."""

    def __init__(self, *, scale: float, offset: float, low: float, high: float, shift: float, **kwargs: Any) -> None:
        super().__init__({"scale": scale, "offset": offset, "low": low, "high": high, "shift": shift}, **kwargs)

    def call(self, raw: Any) -> Any:
        numbers = self.settings
        exponent = ops.clip(ops.cast(raw, "float32") * numbers["scale"] + numbers["offset"], numbers["low"], numbers["high"])
        return ops.exp(exponent) - numbers["shift"]

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class QuantileInverse(ConfiguredLayer):
    """A rising line through `points` and `values` at `x * scale + offset`, in float32: back from a quantile transform."""

    def __init__(self, *, scale: float, offset: float, points: list[float], values: list[float], **kwargs: Any) -> None:
        super().__init__({"scale": scale, "offset": offset, "points": list(points), "values": list(values)}, **kwargs)

    def call(self, raw: Any) -> Any:
        numbers = self.settings
        return along_line(ops.cast(raw, "float32") * numbers["scale"] + numbers["offset"], numbers["points"], numbers["values"])

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class NormalMoments(ConfiguredLayer):
    """Mean and standard deviation, (batch, 2), from those of the standardized number as mean and log variance, (batch, 2).

    The logarithm is kept between plus and minus `limit`.
    """

    def __init__(self, *, scale: float, offset: float, limit: float, **kwargs: Any) -> None:
        super().__init__({"scale": scale, "offset": offset, "limit": limit}, **kwargs)

    def call(self, raw: Any) -> Any:
        raw, numbers = ops.cast(raw, "float32"), self.settings
        log_variance = ops.clip(raw[..., 1:], -numbers["limit"], numbers["limit"])
        mean = raw[..., :1] * numbers["scale"] + numbers["offset"]
        return ops.concatenate([mean, ops.exp(log_variance / 2.0) * numbers["scale"]], axis=-1)

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, "float32")

    def mean_of_members(self, name: str) -> Any:
        """Return the layer to the moments of the mixture of the members."""
        return MixtureMoments(limit=self.settings["limit"], dtype="float32", name=name)


@keras.saving.register_keras_serializable(package="mmtrain")
class MixtureMoments(ConfiguredLayer):
    """Mean and log variance of an even mixture of normal distributions: (batch, members, 2) to (batch, 2).

    The variance of the mixture is the mean variance plus the variance of the means.
    """

    def __init__(self, *, limit: float, **kwargs: Any) -> None:
        super().__init__({"limit": limit}, **kwargs)

    def call(self, raw: Any) -> Any:
        raw = ops.cast(raw, "float32")
        means, limit = raw[..., :1], self.settings["limit"]
        variances = ops.exp(ops.clip(raw[..., 1:], -limit, limit))
        mean = ops.mean(means, axis=1)
        # Distances are squared, not means: the difference of two large squares would lose the digits of float32.
        variance = ops.mean(variances + ops.square(means - ops.expand_dims(mean, 1)), axis=1)
        return ops.concatenate([mean, ops.log(variance)], axis=-1)

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((raw.shape[0], raw.shape[2]), "float32")


def along_line(x: Any, points: Sequence[float], values: Sequence[float]) -> Any:
    """Return the value at each x, (batch, 1), of the line through ascending points, level beyond both ends.

    The sum of what each stretch adds, in the type of x: without a search or a gather, every export format can run it.
    """
    kind = str(x.dtype.name if hasattr(x.dtype, "name") else x.dtype)
    at, to = np.asarray(points, dtype=np.float64), np.asarray(values, dtype=np.float64)
    widths, slopes = np.diff(at), np.diff(to) / np.diff(at)
    inside = ops.clip(x - at[:-1].astype(kind), np.zeros(len(widths), kind), widths.astype(kind))
    return ops.sum(inside * slopes.astype(kind), axis=-1, keepdims=True) + float(to[0])
