"""The last step of a regression, from the standardised number to the unit of the target, in float32 also in a float16 export.

float16 ends at 65,504 and has three digits: prices and dates would become infinite or equal. So only the network up to the standardised
number is converted to 16 bits, and `number * scale + offset` is appended in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from mmtrain.export.base import ExportableModel
from mmtrain.layers.numbers.prediction_scales import Affine

LossScaling = Mapping[str, tuple[float, float]]
"""Scale and offset by the name of the output."""


def without_units(exportable: ExportableModel) -> tuple[ExportableModel, LossScaling]:
    """Return the network up to the standardised numbers, and the scale and offset that turn them into the targets' units."""
    predictor = exportable.predictor
    outputs, units = dict(predictor.output), {}
    for layer in predictor.layers:
        # The activation of a regression without a transform is an `Affine` layer.
        for key in [key for key, tensor in predictor.output.items() if isinstance(layer, Affine) and layer.output is tensor]:
            # Of several values, such as those of bins, the first is the number.
            number = layer.input if layer.input.shape[-1] == 1 else layer.input[..., :1]
            outputs[key], units[exportable.outputs[key]] = number, (layer.scale, layer.offset)
    return replace(exportable, predictor=keras.Model(predictor.input, outputs)), units


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
