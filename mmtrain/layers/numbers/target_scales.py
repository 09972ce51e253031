"""Layers from raw values to predictions with several columns: ordered levels, survival curves, quantiles, counts, several numbers.

They compute with operations that every export format has: products with constant matrices in place of cumulative sums.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer

SMALLEST = 1e-30
"""Least probability whose logarithm is taken; float32 ends at 1e-38."""
LARGEST_EXPONENT = 30.0
"""Limit of exponents: exp(30) is 1e13, which float32 can still square."""


def log_passed(raw: Any) -> Any:
    """Return the logarithms of the probabilities to pass each step and all before it, from the logit of passing each, both (..., steps)."""
    steps = raw.shape[-1]
    return ops.matmul(ops.log_sigmoid(raw), ops.convert_to_tensor(np.triu(np.ones((steps, steps), np.float32))))


def log_levels(raw: Any) -> Any:
    """Return the logarithms of the probabilities of levels, (..., steps + 1), that end at each step: logits of passing, (..., steps)."""
    passed = log_passed(raw)
    nothing = ops.zeros_like(raw[..., :1])
    return ops.concatenate([nothing, passed], axis=-1) + ops.concatenate([ops.log_sigmoid(-raw), nothing], axis=-1)


class _Steps(ConfiguredLayer):
    """Base of layers whose raw values are logits of passing steps."""

    def mean_of_members(self, name: str) -> Any:
        """Return the layer to the logits of the mean probabilities of members."""
        return StepsMean(dtype="float32", name=name)

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((*raw.shape[:-1], raw.shape[-1] + 1), "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class LevelProbabilities(_Steps):
    """Probabilities of ordered levels, (batch, levels), from logits of exceeding each level but the last, given that it is reached."""

    def call(self, raw: Any) -> Any:
        return ops.exp(log_levels(ops.cast(raw, "float32")))


@keras.saving.register_keras_serializable(package="mmtrain")
class SurvivalCurve(_Steps):
    """Probabilities to survive time 0 and each interval, (batch, 1 + intervals), from logits of surviving each, given the ones before."""

    def call(self, raw: Any) -> Any:
        raw = ops.cast(raw, "float32")
        return ops.concatenate([ops.ones_like(raw[..., :1]), ops.exp(log_passed(raw))], axis=-1)


@keras.saving.register_keras_serializable(package="mmtrain")
class StepsMean(ConfiguredLayer):
    """The logits of passing each step that give the mean probabilities of members: (batch, members, steps) to (batch, steps)."""

    def call(self, raw: Any) -> Any:
        raw = ops.cast(raw, "float32")
        passed = ops.mean(ops.exp(log_passed(raw)), axis=1)
        ended = ops.mean(ops.exp(log_levels(raw)), axis=1)[:, :-1]
        return ops.log(ops.maximum(passed, SMALLEST)) - ops.log(ops.maximum(ended, SMALLEST))

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((raw.shape[0], raw.shape[2]), "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class ProportionalHazards(ConfiguredLayer):
    """Survival probabilities exp(-H(t) exp(raw)) at fixed times, (batch, times), from the logarithm of the relative hazard, (batch, 1).

    The cumulative baseline hazard H is a weight that is set once the network is trained; it begins as `hazard`.
    """

    def __init__(self, *, hazard: list[float], **kwargs: Any) -> None:
        super().__init__({"hazard": list(hazard)}, **kwargs)

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        start = keras.initializers.Constant(np.asarray(self.settings["hazard"], np.float32))
        self.hazard = self.add_weight(name="hazard", shape=(len(self.settings["hazard"]),), initializer=start, trainable=False)
        self.built = True

    def call(self, raw: Any) -> Any:
        limited = ops.clip(ops.cast(raw, "float32"), -LARGEST_EXPONENT, LARGEST_EXPONENT)
        return ops.exp(-ops.exp(limited) * self.hazard)

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((*raw.shape[:-1], len(self.settings["hazard"])), "float32")


def ascending(raw: Any, middle: int) -> Any:
    """Return ascending numbers, (..., numbers): that at `middle` as it is, and from there steps of softplus(raw) up and down."""
    count = raw.shape[-1]
    place = np.arange(count)
    # Row j: what the value j adds to each number.
    up = (place[:, None] > middle) & (place[None, :] >= place[:, None])
    down = (place[:, None] < middle) & (place[None, :] <= place[:, None])
    matrix = up.astype(np.float32) - down.astype(np.float32)
    only = (place == middle).astype(np.float32)
    center = raw[..., middle : middle + 1]
    return ops.matmul(ops.softplus(raw) * (1 - only), ops.convert_to_tensor(matrix)) + center


@keras.saving.register_keras_serializable(package="mmtrain")
class OrderedNumbers(ConfiguredLayer):
    """Numbers that never cross, such as quantiles, in their own unit: `ascending(raw) * scale + offset`, (batch, numbers)."""

    def __init__(self, *, middle: int, scale: float, offset: float, **kwargs: Any) -> None:
        super().__init__({"middle": middle, "scale": scale, "offset": offset}, **kwargs)

    def call(self, raw: Any) -> Any:
        numbers = self.settings
        return ascending(ops.cast(raw, "float32"), numbers["middle"]) * numbers["scale"] + numbers["offset"]

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class Affines(ConfiguredLayer):
    """Several numbers from their standardized values: `x * scales + offsets`, (batch, numbers)."""

    def __init__(self, *, scales: list[float], offsets: list[float], **kwargs: Any) -> None:
        super().__init__({"scales": list(scales), "offsets": list(offsets)}, **kwargs)

    def call(self, raw: Any) -> Any:
        scales, offsets = (np.asarray(self.settings[name], np.float32) for name in ("scales", "offsets"))
        return ops.cast(raw, "float32") * scales + offsets

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class CountMoments(ConfiguredLayer):
    """The expected count, and the dispersion where there is a second value: `exp(raw + offsets)`, (batch, 1 or 2), none above `limits`."""

    def __init__(self, *, offsets: list[float], limits: list[float], **kwargs: Any) -> None:
        super().__init__({"offsets": list(offsets), "limits": list(limits)}, **kwargs)

    def call(self, raw: Any) -> Any:
        offsets, limits = (np.asarray(self.settings[name], np.float32) for name in ("offsets", "limits"))
        return ops.exp(ops.clip(ops.cast(raw, "float32") + offsets, -LARGEST_EXPONENT, limits))

    def mean_of_members(self, name: str) -> Any:
        """Return the layer to the raw values of the mean of members, with a dispersion of the mixture of their distributions."""
        if len(self.settings["offsets"]) == 1:
            return LogMean(dtype="float32", name=name)
        return CountMixture(**self.settings, dtype="float32", name=name)

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class CountMixture(ConfiguredLayer):
    """Raw values of an even mixture of negative binomial distributions, those of `CountMoments`: (batch, members, 2) to (batch, 2).

    With means m and dispersions a the mixture has the mean M of the means, and the dispersion that is the mean of
    a * (m / M) ** 2 + (m / M - 1) ** 2.
    """

    def __init__(self, *, offsets: list[float], limits: list[float], **kwargs: Any) -> None:
        super().__init__({"offsets": list(offsets), "limits": list(limits)}, **kwargs)

    def call(self, raw: Any) -> Any:
        offsets, limits = (np.asarray(self.settings[name], np.float32) for name in ("offsets", "limits"))
        logs = ops.clip(ops.cast(raw, "float32") + offsets, -LARGEST_EXPONENT, limits)
        log_mean = ops.logsumexp(logs[..., :1], axis=1) - float(np.log(raw.shape[1]))
        ratio = ops.exp(logs[..., :1] - ops.expand_dims(log_mean, 1))
        dispersion = ops.mean(ops.exp(logs[..., 1:]) * ops.square(ratio) + ops.square(ratio - 1.0), axis=1)
        return ops.concatenate([log_mean, ops.log(ops.maximum(dispersion, SMALLEST))], axis=-1) - offsets

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((raw.shape[0], raw.shape[2]), "float32")


@keras.saving.register_keras_serializable(package="mmtrain")
class LogMean(ConfiguredLayer):
    """The logarithm of the mean of exponentials over members: (batch, members, units) to (batch, units)."""

    def call(self, raw: Any) -> Any:
        raw = ops.cast(raw, "float32")
        return ops.logsumexp(raw, axis=1) - float(np.log(raw.shape[1]))

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((raw.shape[0], raw.shape[2]), "float32")
