"""Pretrained encoders inside branches: in front of a column of numbers, and cut off where their features are cached.

A branch from columns reads images and texts by its encoders. The same branch on features has the same layers behind the encoders; the
training and `evaluate` use it while the encoders are frozen, since the features of a row are then the same every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import keras

from mmtrain.branches import Pretrained
from mmtrain.branches.inputs import Inputs, masked_of
from mmtrain.encoders import Encoder
from mmtrain.encoders.tuning import is_adapter
from mmtrain.input_layout import InputLayout
from mmtrain.layers.pretrained import FirstView, PrincipalComponents
from mmtrain.layers.sets import FlattenMembers
from mmtrain.layers.stacks import SideBySide, TakePlaces
from mmtrain.specs import FeatureSpec, TensorSpec, VectorSpec

if TYPE_CHECKING:
    from mmtrain.columns.input_column import ColumnEncoder
    from mmtrain.data.arrays import Array


@dataclass(frozen=True, eq=False)
class EncoderInput:
    """An encoder that is the only reader of a column, and its branches in two versions with the same other layers."""

    encoder: Encoder
    spec: FeatureSpec
    """Spec of the features that the networks of a training take in place of the column."""
    tensor: Any
    """Input of the column itself."""
    features: Any
    """Input of the features, of the name of `tensor`."""
    whole: Sequence[Any]
    """The branches that read the column."""
    behind: Sequence[Any]
    """The branches of the same names that read the features."""


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights of a network, without those of pretrained encoders that no stage changes."""

    variables: Sequence[Any]
    initial: Mapping[int, Any] = field(default_factory=dict)
    """Arrays that weights of pretrained encoders begin with, by the `id` of the variable; checkpoints need not hold them."""

    @classmethod
    def of(cls, network: Any, encoders: Sequence[Encoder]) -> StoredWeights:
        """Return the weights of a network with these encoders, whose weights are as their files have them."""
        pretrained = {id(weight): weight for one in encoders for weight in one.network.weights if not is_adapter(weight)}
        initial = {key: weight.numpy() for key, weight in pretrained.items() if weight.trainable}
        variables = [one for one in network.variables if id(one) not in pretrained or id(one) in initial]
        return cls(variables, initial)


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of the features of an encoder, as training rows have them."""

    mean: Array
    """(width,)"""
    matrix: Array
    """(width, components): the directions, each divided by the standard deviation along it."""


@dataclass(frozen=True, eq=False)
class EncodedVector:
    """The numbers that an encoder makes of a column, as a branch receives them."""

    encoder: Any
    """The layer that reads the column."""
    numbers: Any
    """(batch, components)"""
    spec: VectorSpec

    @classmethod
    def of(
        cls, option: ColumnEncoder, tensor: Any, spec: TensorSpec, *, owner: str, name: str, components: Components | None
    ) -> EncodedVector:
        """Return the numbers of a column that is encoded as `tensor`.

        The encoder is the layer `name`; `owner` is as for `Pretrained.load`. Without `components`, principal ones are all zero.
        """
        encoder = Pretrained(option.model, option.weights).load(spec, owner=owner)
        # Under a name of its own: Keras refuses a branch with two layers called `encoder`.
        network = keras.Model(encoder.network.input, encoder.network.output, name=name)
        features = network(tensor)
        count = min(option.components, encoder.width)
        if option.reduce == "pca":
            layer = PrincipalComponents(components=count, dtype="float32")
            numbers = layer(features)
            if components is not None:
                layer.set_weights([components.mean, components.matrix])
        else:
            # Vectors of length 1 have values near 0.05, which a dense layer with the usual learning rates would take long to make use of.
            centred = keras.layers.LayerNormalization(center=False, scale=False, dtype="float32")(features)
            numbers = keras.layers.Dense(count, dtype="float32")(centred)
        return cls(network, numbers, VectorSpec(count))


def inputs_with_vectors(
    layout: InputLayout,
    tensors: Mapping[str, Any],
    present: Mapping[str, Any],
    masked: Sequence[str],
    vectors: Mapping[str, EncodedVector],
) -> Inputs:
    """Return the inputs of a branch with some columns replaced by numbers, which join the stack of the other numbers.

    Args:
        layout: Layout of the columns as they are encoded.
        tensors: Values by input of `layout`.
        present: Presence of those columns among `masked`, by input of `layout`, (batch, masked columns).
        masked: Columns whose presence the branch receives.
        vectors: The numbers by column.
    """
    if not vectors:
        return Inputs(layout, tensors, present, masked)
    stacks = {stack.name: stack.columns for stack in layout.stacks}
    new_layout = InputLayout({key: vectors[key].spec if key in vectors else spec for key, spec in layout.specs.items()})
    new_stacks = {stack.name: stack.columns for stack in new_layout.stacks}
    values = {name: (tensor, stacks.get(name, (name,))) for name, tensor in tensors.items() if name not in vectors}
    values |= {key: (vector.numbers, (key,)) for key, vector in vectors.items()}
    presence = {name: (tensor, masked_of(layout, name, masked)) for name, tensor in present.items()}
    new_tensors, new_present = {}, {}
    for name in new_layout.names:
        columns = new_stacks.get(name, (name,))
        new_tensors[name] = _gather_columns(columns, values, lambda key: new_layout.specs[key].shape[0])
        if absent := [column for column in columns if column in masked]:
            new_present[name] = _gather_columns(absent, presence, lambda _: 1)
    return Inputs(new_layout, new_tensors, new_present, masked)


def _gather_columns(columns: Sequence[str], given: Mapping[str, tuple[Any, Sequence[str]]], width: Callable[[str], int]) -> Any:
    """Return the values of these columns side by side, from tensors that each have some columns; a tensor of just these stays."""
    parts = [(tensor, names) for tensor, names in given.values() if not set(names).isdisjoint(columns)]
    if len(parts) == 1 and list(parts[0][1]) == list(columns):
        return parts[0][0]
    starts, end = {}, 0
    for _, names in parts:
        for column in names:
            starts[column], end = end, end + width(column)
    together = parts[0][0] if len(parts) == 1 else SideBySide()([tensor for tensor, _ in parts])
    return TakePlaces(places=[starts[column] + place for column in columns for place in range(width(column))])(together)


def behind_encoders(branch: Any, encoders: Mapping[int, Any], specs: Mapping[int, FeatureSpec]) -> Any:
    """Return a branch of the same name and layers without its encoders.

    Args:
        branch: Branch model, from columns to its vector, or to its vector and tokens.
        encoders: Layers of the branch that are encoders, by position of the input that each reads.
        specs: Spec of the cached features that take the place of this input.
    """

    def first_view(views: Any, **_: Any) -> Any:  # an encoder was called with the arguments of a model
        return FirstView()(views)

    away = set(map(id, encoders.values()))
    signatures = [(tensor.shape[1:], tensor.dtype) for tensor in branch.inputs]
    signatures = [(specs[place].shape, specs[place].dtype) if place in specs else one for place, one in enumerate(signatures)]
    inputs = [keras.Input(shape, dtype=dtype) for shape, dtype in signatures]
    # Not a model that begins at the encoder's output: Keras cannot save a model of which another one begins in the middle.
    outputs = branch._run_through_graph(inputs, operation_fn=lambda layer: first_view if id(layer) in away else layer)
    return keras.Model(inputs, outputs, name=branch.name)


def encoder_behind(branch: Any, position: int) -> Any:
    """Return the encoder that reads an input of a branch, or the members of a set, a Keras model; None where something else reads it."""
    reader, outputs = _only_reader(branch, branch.inputs[position])
    if isinstance(reader, FlattenMembers):
        reader, _ = _only_reader(branch, outputs[0])
    return reader if isinstance(reader, keras.Model) and len(reader.outputs) == 1 else None


def _only_reader(branch: Any, tensor: Any) -> tuple[Any, Any]:
    """Return the layer that alone reads a tensor, and its output tensors; None where there are several."""
    readers = [
        (layer, node.output_tensors)
        for layer in branch.layers
        for node in layer._inbound_nodes
        if any(one is tensor for one in node.input_tensors)
    ]
    return readers[0] if len(readers) == 1 else (None, ())


def with_branches(model: Any, inputs: Mapping[str, Any], branches: Mapping[str, Any]) -> Any:
    """Return a model with the same layers but other `branches`, by their layer's name, from `inputs` in place of those of the name."""
    taken = {tensor.name: inputs.get(tensor.name, tensor) for tensor in model.inputs}
    given = keras.tree.pack_sequence_as(model._inputs_struct, [taken[tensor.name] for tensor in model.inputs])
    outputs = model._run_through_graph(given, operation_fn=lambda layer: branches.get(layer.name, layer))
    return keras.Model(taken, outputs, name=model.name)
