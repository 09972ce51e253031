"""The model that is saved: raw cells of a table through the preprocessing of every column and the network, and the same of a group."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from mmtrain.layers.table_encoder import RawInputsModel, TableEncoder


@keras.saving.register_keras_serializable(package="mmtrain")
class MemberEncoders(RawInputsModel):
    """Raw tensors to the inputs of every network of a group, a list; what several of them encode alike is encoded once."""

    def __init__(self, members: Sequence[TableEncoder], name: str | None = None) -> None:
        super().__init__(name)
        self.members = list(members)
        keys = [[json.dumps(part.config(), sort_keys=True) for part in member.parts] for member in members]
        parts = {key: part for own, member in zip(keys, members, strict=True) for key, part in zip(own, member.parts, strict=True)}
        # Lists of positions and of parts: Keras would take a dictionary for one of layers.
        self._distinct = tuple(parts.values())
        self._places = tuple(tuple(list(parts).index(key) for key in own) for own in keys)

    @property
    def encoders(self) -> list[Any]:
        """The layers, each once."""
        return [part.layer for part in self._distinct]

    @property
    def inputs(self) -> list[Any]:
        """The raw inputs as symbolic tensors: those of any member."""
        tensors: list[Any] = self.members[0].inputs
        return tensors

    def call(self, raw: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the inputs of every network."""
        return self.with_status(raw)[0]

    def with_status(self, raw: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the inputs of every network, and the status of every image, (batch, 1) int32 by column."""
        outputs = [part.encode(part.take(raw)) for part in self._distinct]
        both = [member.assembled([outputs[place] for place in own]) for member, own in zip(self.members, self._places, strict=True)]
        return [inputs for inputs, _ in both], both[0][1]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        return {"name": self.name, "members": [keras.saving.serialize_keras_object(member) for member in self.members]}

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> MemberEncoders:
        """Return what `config` describes."""
        return cls([keras.saving.deserialize_keras_object(member) for member in config["members"]], config["name"])


def aligned_columns(prediction: Any, places: Sequence[Any], width: int) -> Any:
    """Return the prediction of a member of a group, (batch, columns), with the `width` columns of the group, 0 for classes it lacks.

    `places` has the place of each of its columns among those of the group, or, for curves and quantiles on another grid, the matrix that
    interpolates them, (columns, width); empty for a number.
    """
    if list(places) == list(range(width)) or not places:
        return prediction
    if not isinstance(places[0], int):
        return tf.matmul(prediction, tf.constant(places, prediction.dtype))
    return tf.matmul(prediction, tf.one_hot(list(places), width, dtype=prediction.dtype))


def mean_of_columns(columns: Sequence[Any], weights: Sequence[float], *, mixture: str | None) -> Any:
    """Return the weighted mean of predictions, (batch, columns) each, in their type; `weights` are together 1.

    With a `mixture` the columns are those of `FittedTarget.mixture`, and those returned are of the mixture of the distributions.
    """
    counting = [(values, weight) for values, weight in zip(columns, weights, strict=True) if weight]
    mean = tf.add_n([values * weight for values, weight in counting])
    if mixture is None:
        return mean
    number, by_deviation = mean[:, :1], mixture == "deviation"
    variances = [tf.square(values[:, 1:]) if by_deviation else values[:, 1:] * tf.square(values[:, :1]) for values, _ in counting]
    terms = zip(variances, counting, strict=True)
    variance = tf.add_n([(own + tf.square(values[:, :1] - number)) * weight for own, (values, weight) in terms])
    return tf.concat([number, tf.sqrt(variance) if by_deviation else variance / tf.square(number)], axis=1)


@keras.saving.register_keras_serializable(package="mmtrain")
class MeanOfMembers(keras.Model):  # type: ignore[misc]
    """The inputs of every network of a group, a list, to the mean of their predictions by target.

    Args:
        members: The networks.
        places: By target, for every network the place of each of its classes among those of the group; empty for a number.
        widths: By target, the number of columns of the mean.
        name: Name of the model.
        weights: By target, the weight of every network, together 1; None for the plain mean.
        mixtures: By target, what the second column says of a distribution around the first; only of those with a mixture.
    """

    def __init__(
        self,
        members: Sequence[Any],
        places: Mapping[str, Sequence[Sequence[int]]],
        widths: Mapping[str, int],
        name: str | None = None,
        weights: Mapping[str, Sequence[float]] | None = None,
        mixtures: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name=name, autocast=False)
        self.members = list(members)
        self._classes = {key: tuple(map(tuple, each)) for key, each in places.items()}
        self._widths = dict(widths)
        self._weights = None if weights is None else {key: tuple(each) for key, each in weights.items()}
        self._mixtures = dict(mixtures or {})
        self.built = True

    def call(self, inputs: Sequence[Mapping[str, Any]], training: bool | None = None) -> dict[str, Any]:
        """Return the mean predictions by target, (batch, columns) float32."""
        each = [member(own, training=training) for member, own in zip(self.members, inputs, strict=True)]
        means = {}
        for key, width in self._widths.items():
            columns = [aligned_columns(one[key], places, width) for one, places in zip(each, self._classes[key], strict=True)]
            weights = [1 / len(columns)] * len(columns) if self._weights is None else self._weights[key]
            # In float64, as `predict` averages.
            doubles = [tf.cast(values, tf.float64) for values in columns]
            means[key] = tf.cast(mean_of_columns(doubles, weights, mixture=self._mixtures.get(key)), tf.float32)
        return means

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        members = [keras.saving.serialize_keras_object(member) for member in self.members]
        return {
            "name": self.name,
            "members": members,
            "places": {key: list(map(list, each)) for key, each in self._classes.items()},
            "widths": dict(self._widths),
            "weights": None if self._weights is None else {key: list(each) for key, each in self._weights.items()},
            "mixtures": dict(self._mixtures),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> MeanOfMembers:  # noqa: ARG003
        """Return what `get_config` describes."""
        members = [keras.saving.deserialize_keras_object(member) for member in config["members"]]
        return cls(members, config["places"], config["widths"], config["name"], config.get("weights"), config.get("mixtures"))


@keras.saving.register_keras_serializable(package="mmtrain")
class EndToEnd(RawInputsModel):
    """Raw tensors by column to predictions by target, through `preprocessing` and `predictor`."""

    def __init__(self, preprocessing: Any, predictor: Any, name: str | None = None) -> None:
        super().__init__(name)
        self.preprocessing = preprocessing
        self.predictor = predictor

    @property
    def inputs(self) -> list[Any]:
        """The raw inputs as symbolic tensors."""
        tensors: list[Any] = self.preprocessing.inputs
        return tensors

    def call(self, raw: Mapping[str, Any], training: bool | None = None) -> Any:
        """Return the predictions."""
        return self.predictor(self.preprocessing(raw), training=training)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, plain JSON."""
        inside = {"preprocessing": self.preprocessing, "predictor": self.predictor}
        return {"name": self.name, **{key: keras.saving.serialize_keras_object(model) for key, model in inside.items()}}

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> EndToEnd:
        """Return what `config` describes."""
        preprocessing, predictor = (keras.saving.deserialize_keras_object(config[key]) for key in ("preprocessing", "predictor"))
        return cls(preprocessing, predictor, config["name"])
