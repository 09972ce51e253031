"""Layers that branches, fusions and heads are made of, where Keras has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer


@dataclass(frozen=True)
class SharedBatch:
    """A batch whose rows are shared by several processes, while the step of one of them is traced."""

    sum: Callable[[Sequence[Any]], list[Any]]
    """Returns the sums of tensors over processes; their gradients are sums as well."""
    present: Any
    """1, or 0 where this process has no row of the batch, but one that stands in for it."""


shared_batch: ContextVar[SharedBatch | None] = ContextVar("shared_batch", default=None)
"""The batch that is traced; None in one process."""


@keras.saving.register_keras_serializable(package="mmtrain")
class Brightness01(ConfiguredLayer):
    """Scale integer pixels, (batch, height, width, channels), to 0..1 in the layer's compute type."""

    def __init__(self, *, levels: int, **kwargs: Any) -> None:
        super().__init__({"levels": levels}, **kwargs)
        self.levels = levels

    def call(self, pixels: Any) -> Any:
        return ops.cast(pixels, self.compute_dtype) * (1.0 / self.levels)

    def compute_output_spec(self, pixels: Any) -> Any:
        return keras.KerasTensor(pixels.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class SharedNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras's batch normalization, whose moments are those of the whole batch where several processes share it."""

    def call(self, features: Any, training: bool | None = None, mask: Any = None) -> Any:
        batch = self.shared_batch(training)
        return super().call(features, training=training, mask=mask) if batch is None else self.normalize_shared(features, batch)

    def shared_batch(self, training: bool | None) -> SharedBatch | None:
        """Return the batch that is shared; None where the moments are those of this process, or moving ones."""
        return shared_batch.get() if training and self.trainable else None

    def normalize_shared(self, features: Any, batch: SharedBatch) -> Any:
        """Normalize the rows of this process by the moments of the whole batch."""
        values = tf.cast(features, tf.float32)
        mean, variance = tf.nn.moments(values, tuple(range(len(values.shape) - 1)))
        count = tf.cast(tf.size(features) // features.shape[-1], tf.float32) * batch.present
        # Around the moving mean, which all processes know: the difference of two large squares would lose digits.
        offset = mean - self.moving_mean
        total, first, second = batch.sum([count, count * offset, count * (variance + offset * offset)])
        offset = first / total
        mean, variance = offset + self.moving_mean, second / total - offset * offset
        normal = tf.nn.batch_normalization(values, mean, variance, self.beta, self.gamma, self.epsilon)
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + new * (1.0 - self.momentum))
        return tf.cast(normal, features.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class FusedNormalization(SharedNormalization):
    """Keras's batch normalization of (batch, height, width, channels), by TensorFlow's fused operation.

    The results are the same up to rounding. Keras computes moments, scaling and their gradients one by one: for 32 images of
    64x64x16 that took 3 times as long on a CPU in float32 and 5 times in bfloat16, more than the convolution before it. In
    prediction TensorFlow fuses the convolution and this into one operation.
    """

    def call(self, features: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ARG002
        if (batch := self.shared_batch(training)) is not None:
            return self.normalize_shared(features, batch)
        training = bool(training) and self.trainable  # a frozen normalization keeps its statistics, as Keras defines it
        known = {"mean": self.moving_mean, "variance": self.moving_variance, "epsilon": self.epsilon, "is_training": training}
        normal, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(x=features, scale=self.gamma, offset=self.beta, **known)
        if training:
            # The operation returns the unbiased variance (n - 1), Keras keeps the biased one.
            count = tf.cast(tf.size(features) // features.shape[-1], tf.float32)
            for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance * (count - 1.0) / count)):
                moving.assign(moving * self.momentum + new * (1.0 - self.momentum))
        return normal


@keras.saving.register_keras_serializable(package="mmtrain")
class TokenPositions(keras.layers.Layer):  # type: ignore[misc]
    """Add a trained vector for each place to tokens (batch, length, width)."""

    def build(self, shape: Any) -> None:
        self.positions = self.add_weight(name="positions", shape=shape[1:], initializer=keras.initializers.RandomNormal(stddev=0.02))
        self.built = True

    def call(self, tokens: Any) -> Any:
        return tokens + ops.cast(self.positions, tokens.dtype)

    def compute_output_spec(self, tokens: Any) -> Any:
        return keras.KerasTensor(tokens.shape, tokens.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class MaskedColumn(ConfiguredLayer):
    """Replace a column by `first` and zeros where it is absent, (batch, 1) `present` being 0.

    With `flag`, a vector (batch, width) becomes (batch, width + 1), its last value 1 where the column is absent, else 0.
    """

    def __init__(self, *, first: int = 0, flag: bool = False, **kwargs: Any) -> None:
        super().__init__({"first": first, "flag": flag}, **kwargs)
        self.first, self.flag = first, flag

    def call(self, values: Any, present: Any) -> Any:
        shown = ops.reshape(present > 0, (-1, *(1 for _ in values.shape[1:])))
        absent = ops.cast(0, values.dtype)
        if self.first:
            absent = self.first * ops.one_hot(0, values.shape[1], dtype=values.dtype)
        masked = ops.where(shown, values, absent)
        return ops.concatenate([masked, 1 - ops.cast(shown, values.dtype)], axis=1) if self.flag else masked

    def compute_output_spec(self, values: Any, present: Any) -> Any:  # noqa: ARG002
        width = values.shape[1] + 1 if self.flag else values.shape[1]
        return keras.KerasTensor((values.shape[0], width, *values.shape[2:]), values.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class TargetUncertainty(ConfiguredLayer):
    """Hold the log variance of each target, from which its weight in the loss follows; the output is the input.

    Kendall, Gal and Cipolla (2018, arXiv:1705.07115): the loss of a target is divided by its variance, and half of the log variance is
    added, which keeps it from growing without end. The layer stands in the network so that optimizer and checkpoints know the weights.
    """

    def __init__(self, *, targets: int, **kwargs: Any) -> None:
        super().__init__({"targets": targets}, dtype="float32", **{key: value for key, value in kwargs.items() if key != "dtype"})
        self.log_variances = self.add_weight(shape=(targets,), initializer="zeros", name="log_variances")

    def call(self, raw: Any) -> Any:
        return raw

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, raw.dtype)

    def factors(self) -> Any:
        """Return the factor of each target's loss, (targets,)."""
        return ops.exp(-self.log_variances)

    def total(self, losses: Any) -> Any:
        """Return the sum of the losses, (targets,), each with its factor and half of its log variance."""
        return ops.sum(losses * self.factors() + 0.5 * self.log_variances)
