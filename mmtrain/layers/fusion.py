"""Layers that fusions are made of: features of branches and their presence to one vector."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer


@keras.saving.register_keras_serializable(package="mmtrain")
class Mask(ConfiguredLayer):
    """Put `fill` where a feature is absent, by selection: in a product, an absent NaN would pass."""

    def __init__(self, *, fill: float = 0.0, **kwargs: Any) -> None:
        super().__init__({"fill": fill}, **kwargs)
        self.fill = fill

    def call(self, feature: Any, present: Any) -> Any:
        shown = present > 0
        if len(feature.shape) > 2:
            # (batch, 1) against tokens (batch, length, width)
            shown = ops.reshape(shown, (-1, *(1 for _ in feature.shape[1:])))
        return ops.where(shown, feature, ops.cast(self.fill, feature.dtype))

    def compute_output_spec(self, feature: Any, present: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor(feature.shape, feature.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class PresentOr(keras.layers.Layer):  # type: ignore[misc]
    """The values of a branch where it is present, (batch, units), else others of that shape; `present` is (batch, 1)."""

    def call(self, values: Any, others: Any, present: Any) -> Any:
        return ops.where(present > 0, values, others)

    def compute_output_spec(self, values: Any, others: Any, present: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor(values.shape, self.compute_dtype)


class _OverBranches(ConfiguredLayer):
    """Base of layers from features of one width and their presence to one vector: {branch: (batch, width)} -> (batch, width)."""

    def compute_output_spec(self, features: dict[str, Any], present: dict[str, Any], tokens: Any = None) -> Any:  # noqa: ARG002
        first = next(iter(features.values()))
        return keras.KerasTensor(first.shape, self.compute_dtype)

    @staticmethod
    def stacked(features: dict[str, Any], present: dict[str, Any]) -> tuple[Any, Any]:
        """Return features (batch, branches, width) and presence (batch, branches, 1), of the same type."""
        values = ops.stack([features[name] for name in features], axis=1)
        # The compute type, so that sums of presence stay in the precision of the features.
        return values, ops.cast(ops.stack([present[name] for name in features], axis=1) > 0, values.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class PresentMean(_OverBranches):
    """The mean over the branches that are present; 0 where none is."""

    def call(self, features: dict[str, Any], present: dict[str, Any]) -> Any:
        values, shown = self.stacked(features, present)
        # At least 1: where no branch is present, 0 is divided by 1.
        return ops.sum(ops.where(shown > 0, values, 0), axis=1) / ops.maximum(ops.sum(shown, axis=1), 1)


@keras.saving.register_keras_serializable(package="mmtrain")
class PresentMaximum(_OverBranches):
    """The maximum over the branches that are present; 0 where none is."""

    def call(self, features: dict[str, Any], present: dict[str, Any]) -> Any:
        values, shown = self.stacked(features, present)
        # Absent values are the lowest number of the type, not -inf, whose gradient could be NaN.
        lowest = tf.as_dtype(values.dtype).min
        largest = ops.max(ops.where(shown > 0, values, ops.cast(lowest, values.dtype)), axis=1)
        return ops.where(ops.sum(shown, axis=1) > 0, largest, 0)


@keras.saving.register_keras_serializable(package="mmtrain")
class FeatureAttention(_OverBranches):
    """One transformer layer over branches as a sequence, then the mean over those that are present.

    Each branch has a learned vector of its own, so that the layer knows which is which. Branches attend to each other and, where
    there are `tokens`, {branch: (batch, length, width)}, to these; a token of zeros is padding.
    """

    def __init__(self, *, width: int, heads: int, **kwargs: Any) -> None:
        super().__init__({"width": width, "heads": heads}, **kwargs)
        self.width, self.heads = width, heads
        # The layer's own dtype policy for its parts: a loaded layer may have another one than the current default.
        self.attend = keras.layers.MultiHeadAttention(heads, max(1, width // heads), dtype=self.dtype_policy)
        self.normalize = keras.layers.LayerNormalization(dtype=self.dtype_policy)
        self.mean = PresentMean(dtype=self.dtype_policy)

    def build(self, features_shape: dict[str, Any], present_shape: dict[str, Any], tokens_shape: Any = None) -> None:  # noqa: ARG002
        count = len(features_shape)
        self.places = self.add_weight(name="places", shape=(count, self.width), initializer="random_normal")
        sequence = (None, count, self.width)
        self.attend.build(sequence, sequence)
        self.normalize.build(sequence)
        self.built = True

    def call(self, features: dict[str, Any], present: dict[str, Any], tokens: Any = None) -> Any:
        values, shown = self.stacked(features, present)  # (batch, branches, width), (batch, branches, 1)
        sequence = ops.where(shown > 0, values + ops.cast(self.places, values.dtype), 0)
        # (batch, 1, branches): what may be attended to. Reshaped, not transposed: TensorFlow would move a transposition behind the
        # comparison, and oneDNN reports on standard error that it cannot transpose booleans.
        mask = ops.reshape(shown, (-1, 1, len(features))) > 0
        context = sequence
        for number, name in enumerate(features if tokens else ()):
            if name in tokens:
                words = ops.any(tokens[name] != 0, axis=2)[:, None, :] & (present[name] > 0)[:, :, None]  # (batch, 1, length)
                context = ops.concatenate([context, tokens[name] + ops.cast(self.places[number], values.dtype)], axis=1)
                mask = ops.concatenate([mask, words], axis=2)
        sequence = self.normalize(sequence + self.attend(sequence, context, attention_mask=mask))
        return self.mean({name: sequence[:, number] for number, name in enumerate(features)}, present)


@keras.saving.register_keras_serializable(package="mmtrain")
class WeightedMean(_OverBranches):
    """The mean over the branches that are present, each with a weight; 0 where none is.

    With `learned`, the weights are the softmax of one trained number for each branch; else all are equal.
    """

    def __init__(self, *, learned: bool, **kwargs: Any) -> None:
        super().__init__({"learned": learned}, **kwargs)
        self.learned = learned

    def build(self, features_shape: dict[str, Any], present_shape: dict[str, Any]) -> None:  # noqa: ARG002
        if self.learned:
            self.logits = self.add_weight(name="logits", shape=(len(features_shape), 1), initializer="zeros")
        self.built = True

    def call(self, features: dict[str, Any], present: dict[str, Any]) -> Any:
        values, shown = self.stacked(features, present)
        # A softmax over the branches that are present: the division below makes the sum of the weights 1.
        weights = shown * ops.cast(ops.exp(self.logits - ops.max(self.logits)), values.dtype) if self.learned else shown
        total = ops.sum(weights, axis=1)
        mean = ops.sum(ops.where(shown > 0, values, 0) * weights, axis=1) / ops.where(total > 0, total, 1)
        return ops.where(total > 0, mean, 0)


@keras.saving.register_keras_serializable(package="mmtrain")
class ModalityDropout(ConfiguredLayer):
    """Mark branches absent at random during training, each with probability `rate`, but never the last one of a row.

    Neverova et al. 2016 (ModDrop, arXiv:1501.00102). Takes and gives the presence of every branch, a list of (batch, 1).
    """

    def __init__(self, *, rate: float, **kwargs: Any) -> None:
        super().__init__({"rate": rate}, **kwargs)
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def call(self, present: list[Any], training: bool | None = None) -> list[Any]:
        if not training:
            return [ops.cast(one, self.compute_dtype) for one in present]
        shown = ops.concatenate([ops.cast(one > 0, "float32") for one in present], axis=1)  # (batch, branches)
        remaining = shown * ops.cast(keras.random.uniform(ops.shape(shown), seed=self.seed_generator) >= self.rate, "float32")
        # Where nothing would remain, the row keeps all of its branches.
        remaining = ops.where(ops.any(remaining > 0, axis=1, keepdims=True), remaining, shown)
        return [ops.cast(remaining[:, number : number + 1], self.compute_dtype) for number in range(len(present))]

    def compute_output_spec(self, present: list[Any], training: bool | None = None) -> list[Any]:  # noqa: ARG002
        return [keras.KerasTensor(one.shape, self.compute_dtype) for one in present]


@keras.saving.register_keras_serializable(package="mmtrain")
class LearnedAbsence(keras.layers.Layer):  # type: ignore[misc]
    """Put a trained vector where a feature is absent; gives the feature, (batch, width), and its presence, all ones (batch, 1)."""

    def build(self, feature_shape: Any, present_shape: Any) -> None:  # noqa: ARG002
        # 0.02 as for learned tokens of transformers: small next to features.
        self.vector = self.add_weight(name="vector", shape=(feature_shape[-1],), initializer=keras.initializers.RandomNormal(stddev=0.02))
        self.built = True

    def call(self, feature: Any, present: Any) -> tuple[Any, Any]:
        return ops.where(present > 0, feature, ops.cast(self.vector, feature.dtype)), ops.ones_like(present)

    def compute_output_spec(self, feature: Any, present: Any) -> tuple[Any, Any]:
        return keras.KerasTensor(feature.shape, feature.dtype), keras.KerasTensor(present.shape, present.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class Modulation(keras.layers.Layer):  # type: ignore[misc]
    """Scale and shift a feature (batch, width) by (batch, 2 * width): `feature * (1 + scale) + shift`."""

    def call(self, feature: Any, change: Any) -> Any:
        # (batch, width) each
        scale, shift = ops.split(change, 2, axis=-1)
        return feature * (1 + scale) + shift

    def compute_output_spec(self, feature: Any, change: Any) -> Any:  # noqa: ARG002
        return keras.KerasTensor(feature.shape, feature.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class RankSum(ConfiguredLayer):
    """The sum of `rank` products, (batch, rank * width) -> (batch, width), each with a trained weight."""

    def __init__(self, *, rank: int, **kwargs: Any) -> None:
        super().__init__({"rank": rank}, **kwargs)
        self.rank = rank

    def build(self, shape: Any) -> None:  # noqa: ARG002
        # Begins as the mean of the products.
        self.weighting = self.add_weight(name="weighting", shape=(self.rank, 1), initializer=keras.initializers.Constant(1 / self.rank))
        self.built = True

    def call(self, products: Any) -> Any:
        return ops.sum(
            ops.reshape(products, (-1, self.rank, products.shape[-1] // self.rank)) * ops.cast(self.weighting, products.dtype), axis=1
        )

    def compute_output_spec(self, products: Any) -> Any:
        return keras.KerasTensor((products.shape[0], products.shape[-1] // self.rank), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class PairProducts(keras.layers.Layer):  # type: ignore[misc]
    """The sum of the products of every two features, {branch: (batch, width)} -> (batch, width), in time linear in the branches."""

    def call(self, features: dict[str, Any]) -> Any:
        values = ops.stack(list(features.values()), axis=1)
        # ((sum)^2 - sum of squares) / 2 is the sum over all pairs.
        return (ops.square(ops.sum(values, axis=1)) - ops.sum(ops.square(values), axis=1)) / 2

    def compute_output_spec(self, features: dict[str, Any]) -> Any:
        first = next(iter(features.values()))
        return keras.KerasTensor(first.shape, self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class BranchTokens(_OverBranches):
    """A trained summary token, then a token for each branch, then the branches' own tokens: (batch, length, width), and its mask.

    The mask, (batch, 1, length) boolean, is true for the summary, for branches that are present, and for their tokens other than padding,
    which is zeros. Branches and their tokens have a trained vector of their branch added, so that what follows knows which is which.
    """

    def __init__(self, *, width: int, **kwargs: Any) -> None:
        super().__init__({"width": width}, **kwargs)
        self.width = width

    def build(self, features_shape: dict[str, Any], present_shape: dict[str, Any], tokens_shape: Any = None) -> None:  # noqa: ARG002
        self.summary = self.add_weight(name="summary", shape=(1, self.width), initializer="random_normal")
        self.places = self.add_weight(name="places", shape=(len(features_shape), self.width), initializer="random_normal")
        self.built = True

    def call(self, features: dict[str, Any], present: dict[str, Any], tokens: Any = None) -> tuple[Any, Any]:
        values, shown = self.stacked(features, present)
        places = ops.cast(self.places, values.dtype)
        # (batch, 1, width): the same summary token in every row
        first = ops.zeros_like(values[:, :1]) + ops.cast(self.summary, values.dtype)
        sequence = [first, ops.where(shown > 0, values + places, 0)]
        visible = [ops.ones_like(shown[:, :1, 0]) > 0, shown[:, :, 0] > 0]  # (batch, length) each
        for number, name in enumerate(features if tokens else ()):
            if name in tokens:
                words = ops.any(tokens[name] != 0, axis=2) & (present[name] > 0)
                sequence.append(ops.where(words[:, :, None], tokens[name] + places[number], 0))
                visible.append(words)
        return ops.concatenate(sequence, axis=1), ops.concatenate(visible, axis=1)[:, None, :]

    def compute_output_spec(self, features: dict[str, Any], present: dict[str, Any], tokens: Any = None) -> tuple[Any, Any]:  # noqa: ARG002
        batch = next(iter(features.values())).shape[0]
        length = 1 + len(features) + sum(one.shape[1] for one in (tokens or {}).values())
        return keras.KerasTensor((batch, length, self.width), self.compute_dtype), keras.KerasTensor((batch, 1, length), "bool")
