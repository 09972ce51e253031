"""The networks of a group of trainings as one network, for formats that take encoded columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mmtrain.layers.end_to_end import aligned_columns, mean_of_columns


class GroupNetwork(keras.Model):  # type: ignore[misc]
    """Encoded columns to the mean of the predictions of several networks, by target; it is traced and never saved.

    Args:
        members: The networks, with the inputs `{column, column_present}`.
        labels: For every network, the input of the group that each of its inputs takes.
        places: By target, for every network the place of each of its classes among those of the group; empty for a number.
        widths: By target, the number of columns of the mean.
        weights: By target, the weight of every network, together 1; None for the plain mean.
        mixtures: By target, what the second column says of a distribution around the first; only of those with a mixture.
    """

    def __init__(
        self,
        members: Sequence[Any],
        labels: Sequence[Mapping[str, str]],
        places: Mapping[str, Sequence[Sequence[int]]],
        widths: Mapping[str, int],
        weights: Mapping[str, Sequence[float]] | None = None,
        mixtures: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name="group", autocast=False)
        self.members = list(members)
        # As tuples: Keras would track a dictionary as one of layers.
        self._labels = tuple(tuple(one.items()) for one in labels)
        plain = [1 / len(self.members)] * len(self.members)
        self._places = tuple(
            (key, tuple(map(tuple, each)), widths[key], tuple(plain if weights is None else weights[key])) for key, each in places.items()
        )
        self._mixtures = tuple((mixtures or {}).items())
        self.built = True

    @property
    def member_weights(self) -> dict[str, tuple[float, ...]]:
        """The weights of the networks by target."""
        return {key: weights for key, _, _, weights in self._places}

    def with_members(self, members: Sequence[Any], weights: Mapping[str, Sequence[float]]) -> GroupNetwork:
        """Return a group of other networks with the inputs and classes of these, and with weights of their own."""
        places, widths = {key: each for key, each, _, _ in self._places}, {key: width for key, _, width, _ in self._places}
        return GroupNetwork(members, [dict(labels) for labels in self._labels], places, widths, weights, dict(self._mixtures))

    @property
    def inputs(self) -> list[Any]:
        """The inputs of the group, each once."""
        tensors: dict[str, Any] = {}
        for member, labels in zip(self.members, self._labels, strict=True):
            own = {tensor.name: tensor for tensor in member.inputs}
            for name, label in labels:
                tensors.setdefault(label, keras.KerasTensor(own[name].shape, dtype=own[name].dtype, name=label))
        return list(tensors.values())

    def call(self, inputs: Mapping[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Return the mean predictions by target, (batch, columns) float32."""
        each = [
            member({name: inputs[label] for name, label in labels}, training=training)
            for member, labels in zip(self.members, self._labels, strict=True)
        ]
        means, mixtures = {}, dict(self._mixtures)
        for key, places, width, weights in self._places:
            columns = [aligned_columns(one[key], own, width) for one, own in zip(each, places, strict=True)]
            # In float32, since runtimes on small devices know no other; `predict` averages in float64.
            means[key] = mean_of_columns(columns, weights, mixture=mixtures.get(key))
        return means
