"""The last step of a regression, from the standardised number to the unit of the target, in float32 also in a float16 export.

float16 ends at 65,504 and has three digits: prices and dates would become infinite or equal. So only the network up to the standardised
number is converted to 16 bits, and `number * scale + offset` is appended in float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from mmtrain.export.base import ExportableModel
from mmtrain.export.group_network import GroupNetwork
from mmtrain.layers.numbers.prediction_scales import Affine

LossScaling = Mapping[str, tuple[float, float]]
"""Scale and offset by the name of the output."""


def without_units(exportable: ExportableModel) -> tuple[ExportableModel, LossScaling]:
    """Return the network up to the standardised numbers, and the scale and offset that turn them into the targets' units."""
    predictor = exportable.predictor
    if isinstance(predictor, GroupNetwork):
        network, units = _group_without_units(predictor)
    else:
        units = _units(predictor)
        network = _standardised(predictor, units)
    return replace(exportable, predictor=network), {exportable.outputs[key]: unit for key, unit in units.items()}


def _units(predictor: Any) -> dict[str, tuple[float, float]]:
    """Return scale and offset of every target whose network ends with them: a regression without a transform."""
    last = [layer for layer in predictor.layers if isinstance(layer, Affine)]
    return {key: (layer.scale, layer.offset) for layer in last for key, tensor in predictor.output.items() if layer.output is tensor}


def _standardised(predictor: Any, keys: Collection[str]) -> Any:
    """Return a network without the last layer of the targets `keys`."""
    outputs = dict(predictor.output)
    for layer in [layer for layer in predictor.layers if isinstance(layer, Affine)]:
        for key in [key for key in keys if layer.output is predictor.output[key]]:
            # Of several values, such as those of bins, the first is the number.
            outputs[key] = layer.input if layer.input.shape[-1] == 1 else layer.input[..., :1]
    return keras.Model(predictor.input, outputs)


def _group_without_units(group: GroupNetwork) -> tuple[GroupNetwork, dict[str, tuple[float, float]]]:
    """Return a group of standardised networks, and the units of their mean.

    Members have learned different scales, so each counts with the product of its weight and its scale: the sum over members of
    `weight * (number * scale + offset)` is the mean of the numbers by these products, times their sum, plus the mean of the offsets.
    """
    each = [_units(member) for member in group.members]
    weights, units = dict(group.member_weights), {}
    for key, own in group.member_weights.items():
        counting = [(weight, number) for number, weight in enumerate(own) if weight]
        if all(key in each[number] for _, number in counting):
            scale, offset = (sum(weight * each[number][key][place] for weight, number in counting) for place in (0, 1))
            weights[key] = tuple(weight * each[number][key][0] / scale if weight else 0.0 for number, weight in enumerate(own))
            units[key] = scale, offset
    members = [_standardised(member, units.keys() & own.keys()) for member, own in zip(group.members, each, strict=True)]
    return group.with_members(members, weights), units


def add_to_onnx(model: Any, units: LossScaling) -> None:
    """Append scale and offset to the outputs of an ONNX model, in place."""
    from onnx import helper, numpy_helper

    graph = model.graph
    for name, numbers in units.items():
        standardised, scaled, scale, offset = (f"{name}/{part}" for part in ("standardised", "scaled", "scale", "offset"))
        # Whatever produced the output now produces the standardised number.
        for node in graph.node:
            node.output[:] = [standardised if output == name else output for output in node.output]
        for part, number in zip((scale, offset), numbers, strict=True):
            graph.initializer.append(numpy_helper.from_array(np.array(number, dtype=np.float32), part))
        graph.node.append(helper.make_node("Mul", [standardised, scale], [scaled], name=scaled))
        graph.node.append(helper.make_node("Add", [scaled, offset], [name], name=f"{name}/in_unit"))


def added_to_litert(content: bytes, units: LossScaling) -> bytes:
    """Return a LiteRT file with scale and offset appended to the outputs of its signature, by TensorFlow's flatbuffer tools."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(content)
    for output in model.signatureDefs[0].outputs:
        for operator, number in zip(("Mul", "Add"), units.get(output.name.decode(), ()), strict=False):
            _append(model, operator, output, number)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _append(model: Any, operator: str, output: Any, number: float) -> None:
    """Append `operator`, of an output of the signature and a constant `number`, and make its result that output."""
    from tensorflow.lite.python import schema_py_generated as schema

    graph, before, name = model.subgraphs[0], output.tensorIndex, output.name.decode()
    by, after = len(graph.tensors), len(graph.tensors) + 1
    code = getattr(schema.BuiltinOperator, operator.upper())
    # Old readers of the format look at the deprecated field.
    model.operatorCodes.append(schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code, version=1))
    content = np.frombuffer(np.float32(number).tobytes(), dtype=np.uint8)
    # Buffers are referred to by their position; an empty one means that the tensor is computed.
    model.buffers += [schema.BufferT(data=content), schema.BufferT()]
    constant, empty = len(model.buffers) - 2, len(model.buffers) - 1
    known = graph.tensors[before]
    graph.tensors += [
        schema.TensorT(shape=[1], buffer=constant, name=f"{name}/{operator}/by"),
        schema.TensorT(shape=known.shape, shapeSignature=known.shapeSignature, buffer=empty, name=f"{name}/{operator}"),
    ]
    options = getattr(schema, f"{operator}OptionsT")()
    kind = getattr(schema.BuiltinOptions, f"{operator}Options")
    place = len(model.operatorCodes) - 1
    graph.operators.append(
        schema.OperatorT(opcodeIndex=place, inputs=[before, by], outputs=[after], builtinOptionsType=kind, builtinOptions=options)
    )
    # The new tensor takes the place of the output in the graph and in the signature.
    graph.outputs = [after if index == before else index for index in graph.outputs]
    output.tensorIndex = after
