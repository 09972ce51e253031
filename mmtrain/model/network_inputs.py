"""Inputs of a network by their layout: as Keras inputs, by column as exports take them, and the values and presence that a branch reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from mmtrain.data.encode import Fitted
from mmtrain.input_layout import InputLayout, presence_of
from mmtrain.layers.stacks import SideBySide, TakePlaces
from mmtrain.model.branch_model import BranchModel


def network_inputs(layout: InputLayout) -> dict[str, Any]:
    """Return the inputs of a layout as Keras inputs, by name."""
    return {name: keras.Input(one.shape, dtype=one.dtype, name=name) for name, one in layout.inputs.items()}


def by_column(predictor: Any, fitted: Fitted) -> Any:
    """Return a network with the layers of `predictor` and the inputs `{column, column_present}`, as exports take them."""
    specs = {key: column.spec for key, column in fitted.columns.items()}
    layout = InputLayout(specs)
    inputs = network_inputs(InputLayout({}))
    for key, spec in specs.items():
        inputs |= network_inputs(InputLayout({key: spec}))
    together = {}
    stacks = {stack.name: stack.columns for stack in layout.stacks}
    for name in layout.names:
        # Both tensors of an input: its values, then its presence.
        for of in (str, presence_of):
            tensors = [inputs[of(column)] for column in stacks.get(name, (name,))]
            together[of(name)] = tensors[0] if len(tensors) == 1 else SideBySide()(tensors)
    if not stacks:
        return predictor
    # The layers by themselves, and not the predictor as one layer: units are taken off behind its last layers.
    ordered = [together[tensor.name] for tensor in predictor.inputs]
    outputs = predictor._run_through_graph(keras.tree.pack_sequence_as(predictor._inputs_struct, ordered), operation_fn=lambda layer: layer)
    return keras.Model(inputs, outputs, name=predictor.name)


def branch_inputs(part: BranchModel, layout: InputLayout, inputs: Mapping[str, Any]) -> list[Any]:
    """Return the inputs of a branch model in its order: values first, then the presence of masked columns."""
    columns = columns_behind(part.inputs.layout)
    masks = [presence(layout, inputs, masked) for masked in part.inputs.presence.values()]
    return [_values(layout, inputs, columns[name]) for name in part.inputs.layout.names] + masks


def columns_behind(layout: InputLayout) -> dict[str, tuple[str, ...]]:
    """Return the columns behind each input of a branch: the input itself, or all columns of a stack."""
    return {name: (name,) for name in layout.names} | {stack.name: stack.columns for stack in layout.stacks}


def _values(layout: InputLayout, inputs: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """Return the encoded values of columns of one kind, side by side."""
    stack = layout.stack_of.get(columns[0])
    return inputs[columns[0]] if stack is None else _taken(inputs[stack.name], stack.values(columns))


def presence(layout: InputLayout, inputs: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """Return the presence of columns of one kind, (batch, columns)."""
    stack = layout.stack_of.get(columns[0])
    if stack is None:
        return inputs[presence_of(columns[0])]
    return _taken(inputs[presence_of(stack.name)], [stack.positions[column] for column in columns])


def _taken(tensor: Any, places: Sequence[int]) -> Any:
    # Most branches read a whole stack in its order; a gather would then only copy it.
    return tensor if list(places) == list(range(tensor.shape[1])) else TakePlaces(places=places)(tensor)
