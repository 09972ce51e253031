"""Layers that branches, fusions and heads are made of, where Keras has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="mmtrain")
class Brightness01(keras.layers.Layer):  # type: ignore[misc]
    """Scale integer pixels, (batch, height, width, channels), to 0..1 in the layer's compute type."""

    def __init__(self, *, levels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.levels = levels

    def call(self, pixels: Any) -> Any:
        return ops.cast(pixels, self.compute_dtype) * (1.0 / self.levels)

    def compute_output_spec(self, pixels: Any) -> Any:
        return keras.KerasTensor(pixels.shape, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), "levels": self.levels}


@keras.saving.register_keras_serializable(package="mmtrain")
class FusedNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras's batch normalization of (batch, height, width, channels), by TensorFlow's fused operation.

    The results are the same up to rounding. Keras computes moments, scaling and their gradients one by one: for 32 images of
    64x64x16 that took 3 times as long on a CPU in float32 and 5 times in bfloat16, more than the convolution before it. In
    prediction TensorFlow fuses the convolution and this into one operation.
    """

    def call(self, features: Any, training: bool | None = None, mask: Any = None) -> Any:  # noqa: ARG002
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
class BagProjection(keras.layers.Layer):  # type: ignore[misc]
    """A dense layer on the TF-IDF vector of a text, without ever building that vector.

    The input is (batch, length) ids, sorted, 0 = padding. With c the count of a word in the text, the TF-IDF vector has
    c * idf at that word and is scaled to length 1, as scikit-learn's TfidfVectorizer does. Its product with a matrix
    (size, units) is the sum of the matrix rows of the words that occur, each weighted by idf / norm. Output (batch, units).
    """

    def __init__(self, *, idf: list[float], units: int, use_bias: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.idf = list(idf)
        self.units = units
        self.use_bias = use_bias

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        """Create a matrix row for every id, initialized as that of a dense layer on the TF-IDF vector (Glorot and Bengio 2010)."""
        self.kernel = self.add_weight(name="kernel", shape=(len(self.idf), self.units), initializer=keras.initializers.GlorotUniform())
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros") if self.use_bias else None
        self.idf_weights = tf.constant(np.asarray(self.idf, dtype=np.float32))
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

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), "idf": self.idf, "units": self.units, "use_bias": self.use_bias}


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
class MaskedColumn(keras.layers.Layer):  # type: ignore[misc]
    """Replace a column by `first` and zeros where it is absent, (batch, 1) `present` being 0.

    With `flag`, a vector (batch, width) becomes (batch, width + 1), its last value 1 where the column is absent, else 0.
    """

    def __init__(self, *, first: int = 0, flag: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
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

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), "first": self.first, "flag": self.flag}


@keras.saving.register_keras_serializable(package="mmtrain")
class Affine(keras.layers.Layer):  # type: ignore[misc]
    """A fixed `x * scale + offset` in float32, from standardized predictions back to the target's own unit.

    x is the first of several values, (batch, ..., values), as `BinExpectation` gives them.
    """

    def __init__(self, *, scale: float, offset: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset

    def call(self, raw: Any) -> Any:
        first = raw if raw.shape[-1] == 1 else raw[..., :1]
        return ops.cast(first, "float32") * self.scale + self.offset

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor((*raw.shape[:-1], 1), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


@keras.saving.register_keras_serializable(package="mmtrain")
class BinExpectation(keras.layers.Layer):  # type: ignore[misc]
    """The expectation of a number by the logits of its bins, (batch, bins), in front of them: (batch, 1 + bins) float32.

    `bins` are the numbers that the bins stand for.
    """

    def __init__(self, *, bins: list[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bins = list(bins)

    def call(self, logits: Any) -> Any:
        logits = ops.cast(logits, "float32")
        numbers = ops.convert_to_tensor([[one] for one in self.bins], "float32")
        return ops.concatenate([ops.matmul(ops.softmax(logits), numbers), logits], axis=-1)

    def compute_output_spec(self, logits: Any) -> Any:
        return keras.KerasTensor((*logits.shape[:-1], 1 + len(self.bins)), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), "bins": self.bins}


@keras.saving.register_keras_serializable(package="mmtrain")
class Exponential(keras.layers.Layer):  # type: ignore[misc]
    """`exp(x * scale + offset) - shift` in float32, the exponent kept between `low` and `high`: back from a log transform."""

    def __init__(self, *, scale: float, offset: float, low: float, high: float, shift: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.numbers = {"scale": scale, "offset": offset, "low": low, "high": high, "shift": shift}

    def call(self, raw: Any) -> Any:
        numbers = self.numbers
        exponent = ops.clip(ops.cast(raw, "float32") * numbers["scale"] + numbers["offset"], numbers["low"], numbers["high"])
        return ops.exp(exponent) - numbers["shift"]

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), **self.numbers}


@keras.saving.register_keras_serializable(package="mmtrain")
class QuantileInverse(keras.layers.Layer):  # type: ignore[misc]
    """A rising line through `points` and `values` at `x * scale + offset`, in float32: back from a quantile transform."""

    def __init__(self, *, scale: float, offset: float, points: list[float], values: list[float], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.numbers: dict[str, Any] = {"scale": scale, "offset": offset, "points": list(points), "values": list(values)}

    def call(self, raw: Any) -> Any:
        numbers = self.numbers
        return along_line(ops.cast(raw, "float32") * numbers["scale"] + numbers["offset"], numbers["points"], numbers["values"])

    def compute_output_spec(self, raw: Any) -> Any:
        return keras.KerasTensor(raw.shape, "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {**super().get_config(), **self.numbers}


def along_line(x: Any, points: Sequence[float], values: Sequence[float]) -> Any:
    """Return the value at each x, (batch, 1), of the line through ascending points, level beyond both ends.

    The sum of what each stretch adds, in the type of x: without a search or a gather, every export format can run it.
    """
    kind = str(x.dtype.name if hasattr(x.dtype, "name") else x.dtype)
    at, to = np.asarray(points, dtype=np.float64), np.asarray(values, dtype=np.float64)
    widths, slopes = np.diff(at), np.diff(to) / np.diff(at)
    inside = ops.clip(x - at[:-1].astype(kind), np.zeros(len(widths), kind), widths.astype(kind))
    return ops.sum(inside * slopes.astype(kind), axis=-1, keepdims=True) + float(to[0])
