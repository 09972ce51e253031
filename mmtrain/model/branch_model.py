"""Branches as Keras models: from columns, on the features of their encoders, and with a linear model behind their vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

from mmtrain.branches import Branch, Features, Inputs
from mmtrain.branches.base import LinearInputs
from mmtrain.branches.inputs import masked_of
from mmtrain.columns import Column, InputColumn
from mmtrain.encoders import Encoder
from mmtrain.errors import Problem, UsageError, listed
from mmtrain.input_layout import InputLayout
from mmtrain.layers.tabular.blocks import LinearBase
from mmtrain.layers.tabular.members import ForMembers
from mmtrain.model.encoder_inputs import (
    Components,
    EncodedVector,
    behind_encoders,
    inputs_with_vectors,
)
from mmtrain.model.vector_check import check_vector
from mmtrain.specs import FeatureSpec, TensorSpec, layer_names


@dataclass(frozen=True, eq=False)
class LinearModel:
    """A linear model inside the only branch of a network."""

    layer: Any
    """Its weights, a `LinearBase`; the targets side by side, in their order."""
    inputs: Any
    """Keras model from the inputs of the branch, in `Models` from those of the network, to those of the layer, a list."""
    plain: int
    """Last numbers of its input that are numbers as they are, and not bins of one."""
    heads: tuple[Any, ...] = ()
    """The layers from the rest of the vector to what the network adds to the linear model, one per target."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of codes of each category."""
        return tuple(self.layer.settings["sizes"])

    @property
    def width(self) -> int:
        """Features: bins, then numbers, then the codes of categories."""
        return sum(self.sizes) + (0 if self.layer.kernel is None else int(self.layer.kernel.shape[0]))

    @property
    def bins(self) -> int:
        """The first features, which are bins of numbers."""
        return self.width - sum(self.sizes) - self.plain

    @property
    def fitted(self) -> bool:
        """False while the weights are zeros."""
        return any(bool(ops.any(weight != 0)) for weight in self.layer.weights)

    def read(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return the numbers and the codes of a batch of inputs of the network, as arrays; None for a model without them."""
        outputs = [values.numpy() for values in keras.tree.flatten(self.inputs(dict(batch), training=False))]
        return outputs[0] if self.layer.kernel is not None else None, outputs[-1] if self.sizes else None


def masked_columns(branch: Branch, columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the columns with `missing: mask` of a branch of several columns, whose presence it receives, in this order.

    A branch of one column receives none: where the column is absent, the branch is, and the fusion goes without it.
    """
    return tuple(key for key in branch.columns if len(branch.columns) > 1 and columns[key].masks_missing)


@dataclass(frozen=True)
class BranchInputs:
    """The inputs of a branch model in their order: those of `layout`, then the presence of the masked columns of each."""

    layout: InputLayout
    masked: tuple[str, ...]

    @classmethod
    def of(cls, branch: Branch, columns: Mapping[str, Column], specs: Mapping[str, TensorSpec]) -> BranchInputs:
        """Return the inputs of a branch of the experiment."""
        return cls(InputLayout({column: specs[column] for column in branch.columns}), masked_columns(branch, columns))

    @property
    def presence(self) -> dict[str, tuple[str, ...]]:
        """The masked columns of every input that has some."""
        of_inputs = {name: masked_of(self.layout, name, self.masked) for name in self.layout.names}
        return {name: masked for name, masked in of_inputs.items() if masked}


@dataclass(frozen=True)
class BranchModel:
    """A branch as a Keras model of `inputs`, which gives a vector, or a vector and tokens if the fusion reads them."""

    inputs: BranchInputs
    model: Any
    groups: Mapping[str, Sequence[Any]]
    members: int
    encoders: Mapping[str, Any]
    """Layers of the model that are encoders, by the column that each reads."""
    encoder: Encoder | None = None
    """The encoder that the branch begins with, see `Features.encoder`."""
    notes: tuple[str, ...] = ()
    linear: LinearInputs | None = None
    base: LinearModel | None = None

    def with_linear_base(self, units: int) -> BranchModel:
        """Return the branch with the values of a linear model, `units` zeros until it is fitted, behind its vector.

        A branch with encoders stays as it is: the inputs of a linear model would be tensors of the branch from columns.
        """
        if self.linear is None or self.encoders:
            return self
        given = [tensor for tensor in (self.linear.numbers, self.linear.codes) if tensor is not None]
        layer = LinearBase(units=units, sizes=self.linear.sizes)
        values = layer(given)
        values = ForMembers(members=self.members)(values) if self.members else values
        vector = keras.layers.Concatenate()([self.model.outputs[0], values])
        model = keras.Model(
            self.model.inputs, [vector, *self.model.outputs[1:]] if len(self.model.outputs) > 1 else vector, name=self.model.name
        )
        return replace(self, model=model, base=LinearModel(layer, keras.Model(self.model.inputs, given), self.linear.plain))

    def on_features(self, specs: Mapping[str, FeatureSpec]) -> BranchModel:
        """Return the branch behind its encoders, with the same layers; its inputs are features, of these specs by column."""
        layout = self.inputs.layout
        if not (columns := [column for column in layout.specs if column in specs]):
            return self
        position = {column: layout.names.index(column) for column in columns}
        encoders = {position[column]: self.encoders[column] for column in columns}
        model = behind_encoders(self.model, encoders, {position[column]: specs[column] for column in columns})
        layout = InputLayout({column: specs.get(column, spec) for column, spec in layout.specs.items()})
        return replace(self, inputs=replace(self.inputs, layout=layout), model=model)


@dataclass(frozen=True)
class BranchMaker:
    """Builds the branches of an experiment from the columns as they are encoded."""

    branches: Mapping[str, Branch]
    columns: Mapping[str, InputColumn]
    specs: Mapping[str, TensorSpec]
    components: Mapping[str, Components]
    reads_tokens: bool

    def branch(self, name: str, layer: str) -> BranchModel:
        """Return a branch as a model called `layer`."""
        branch = self.branches[name]
        described = BranchInputs.of(branch, self.columns, self.specs)
        shapes = described.layout.inputs
        tensors = {key: keras.Input(shapes[key].shape, dtype=shapes[key].dtype) for key in described.layout.names}
        # (batch, masked columns) of float 0 or 1
        present = {key: keras.Input((len(masked),), dtype="float32") for key, masked in described.presence.items()}
        vectors = self._vectors(name, tensors)
        inputs = inputs_with_vectors(described.layout, tensors, present, described.masked, vectors)
        features = branch.build(inputs)
        # After `build` only: until then `inputs` cannot know which presences the branch reads.
        _check_masks(branch, inputs)
        outputs = features.vector if features.tokens is None or not self.reads_tokens else [features.vector, features.tokens]
        check_vector(
            f"architecture {branch.architecture}", features.vector, [*tensors.values(), *present.values()], members=features.members
        )
        model = keras.Model([*tensors.values(), *present.values()], outputs, name=layer)
        _check_groups(branch, model, features)
        encoders = {column: vector.encoder for column, vector in vectors.items()}
        if features.encoder is not None:
            encoders[branch.columns[0]] = features.encoder.network
        rest = features.notes, features.linear
        return BranchModel(described, model, features.groups, features.members, encoders, features.encoder, *rest)

    def _vectors(self, name: str, tensors: Mapping[str, Any]) -> dict[str, EncodedVector]:
        """Return the numbers of those columns of a branch that have an encoder."""
        options = {column: option for column in self.branches[name].columns if (option := self.columns[column].vector_encoder)}
        vectors = {}
        for column, layer in layer_names(options, "encoder_").items():
            first = next(key for key, branch in self.branches.items() if column in branch.columns)
            # A network of its own in every branch: Keras cannot save a layer in two.
            owner, spec, components = column if first == name else f"{column}\n{name}", self.specs[column], self.components.get(column)
            vectors[column] = EncodedVector.of(options[column], tensors[column], spec, owner=owner, name=layer, components=components)
        return vectors


def _check_masks(branch: Branch, inputs: Inputs) -> None:
    """Raise UsageError for a column whose presence no layer of the branch reads."""
    if unread := inputs.unread():
        what = f"it does not read the presence of {listed(unread)}, so it would read values that are not there."
        fix = "Start from `inputs[column].masked()`, or read `inputs[column].present` yourself."
        raise UsageError(Problem(f"architecture {branch.architecture}", what, fix))


def _check_groups(branch: Branch, model: Any, features: Features) -> None:
    """Raise UsageError for a parameter group with a layer that is not in the branch."""
    # Private in Keras, yet the only walk that also finds layers nested in other layers; `model.layers` is one level
    # deep.
    inside = {id(layer) for layer in model._flatten_layers()}
    foreign = [name for name, layers in features.groups.items() for layer in layers if id(layer) not in inside]
    if foreign:
        what = f"its parameter group {foreign[0]!r} has a layer that does not lead to the features."
        raise UsageError(Problem(f"architecture {branch.architecture}", what, "Put only layers into a group that the vector is made by."))
