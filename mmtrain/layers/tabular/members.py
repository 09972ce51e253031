"""Ensembles of networks in one: layers that share weights between members, fold members into rows, and average their predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import keras
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer
from mmtrain.layers.numbers.prediction_scales import along_line


@keras.saving.register_keras_serializable(package="mmtrain")
class MemberDense(ConfiguredLayer):
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
class FoldMembers(ConfiguredLayer):
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
class ForMembers(ConfiguredLayer):
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
class UnfoldMembers(ConfiguredLayer):
    """The reverse of `FoldMembers`: (batch * members, width) to (batch, members, width)."""

    def __init__(self, *, members: int, **kwargs: Any) -> None:
        super().__init__({"members": members}, **kwargs)

    def call(self, values: Any) -> Any:
        return ops.reshape(values, (-1, self.settings["members"], *values.shape[1:]))

    def compute_output_spec(self, values: Any) -> Any:
        return keras.KerasTensor((None, self.settings["members"], *values.shape[1:]), values.dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class MemberMean(ConfiguredLayer):
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
