"""`--format onnx`: the network after the preprocessing, for ONNX Runtime and other runtimes of ONNX.

Converted by tf2onnx from the frozen graph. float16 and int8 by ONNX Runtime's own tools: weights and computation in half precision,
with inputs, outputs and the unit of a number in float32; or convolutions and dense layers in 8 bits, with ranges from training rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmtrain.export.base import EXACT, HALF, Array, ExportableModel, Format
from mmtrain.export.subprocess_runner import run_with_npz

OPSET = 18
"""Version of the operators, of December 2022; current runtimes read it."""
IN_8_BITS = ["Conv", "MatMul", "Gemm"]
"""Operators with most of the weights and of the time; all others stay float32."""


def write(exportable: ExportableModel, path: Path, quantize: str) -> dict[str, Any]:
    """Write the model; return its size and that of the float32 model. Raises RunError if it cannot be converted."""
    from mmtrain.export.freeze import converting
    from mmtrain.export.output_scaling import add_to_onnx, without_units

    with converting("onnx"):
        import onnx

        model = _converted(exportable)
        # The checker also infers shapes, which finds graphs that no runtime would open.
        onnx.checker.check_model(model, full_check=True)
        plain = model.ByteSize()
        if quantize == "float16":
            from onnxruntime.transformers.float16 import convert_float_to_float16

            half, units = without_units(exportable)
            model = convert_float_to_float16(_converted(half), keep_io_types=True)
            add_to_onnx(model, units)
        if quantize == "int8":
            model = _in_8_bits(model, exportable)
        onnx.save(model, path)
    return {"opset": OPSET, "bytes": path.stat().st_size, "float32_bytes": plain}


def _converted(exportable: ExportableModel) -> Any:
    """Return the ONNX model with plain names and a variable number of rows."""
    import tf2onnx

    from mmtrain.export.freeze import freeze

    function = freeze(exportable)
    inputs = [tensor.name for tensor in function.inputs]
    outputs = [tensor.name for tensor in function.outputs]
    names = dict(zip(inputs + outputs, [*exportable.inputs.values(), *exportable.outputs.values()], strict=True))
    model, _ = tf2onnx.convert.from_graph_def(
        function.graph.as_graph_def(),
        input_names=inputs,
        output_names=outputs,
        opset=OPSET,
        tensors_to_rename=names,
        custom_op_handlers={"Erfc": (_erfc, [])},
    )
    for value in [*model.graph.input, *model.graph.output]:
        # tf2onnx numbers the free axis; a name makes it the same for all inputs.
        value.type.tensor_type.shape.dim[0].dim_param = "rows"
    return model


def _erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """Convert erfc, which GELU uses, to 1 - erf(x): tf2onnx knows erf only."""
    import numpy as np

    error = graph.make_node("Erf", list(node.input), name=f"{name}_erf")
    one = graph.make_const(f"{name}_one", np.array(1, dtype=np.float32))
    shapes, types = node.output_shapes, node.output_dtypes
    graph.remove_node(name)
    graph.make_node("Sub", [one.output[0], error.output[0]], name=name, outputs=node.output, shapes=shapes, dtypes=types)


def _in_8_bits(model: Any, exportable: ExportableModel) -> Any:
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class TrainingRows(CalibrationDataReader):  # type: ignore[misc]
        """Feeds the calibration one row after the other, by the names of the export."""

        def __init__(self) -> None:
            self.rows = iter(exportable.calibration)

        def get_next(self) -> Mapping[str, Array] | None:
            row = next(self.rows, None)
            return None if row is None else {exportable.inputs[key]: values for key, values in row.items()}

    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder, "plain.onnx"), Path(folder, "small.onnx")
        onnx.save(model, plain)
        # Activations of 0 to 255 after ReLU, weights around 0.
        types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
        quantize_static(plain, small, TrainingRows(), op_types_to_quantize=IN_8_BITS, **types)
        return onnx.load(small)


FORMAT = Format(
    name="onnx",
    inputs="encoded",
    file="model.onnx",
    tolerances={"": EXACT, "float16": HALF, "int8": None},
    write=write,
    run=run_with_npz,
    usage="python run.py example.npz outputs.npz",
    packages=("onnx", "onnxruntime", "tf2onnx"),
    versions=("onnx", "onnxruntime", "tf2onnx"),
    why_encoded="and encode the columns as CONTRACT.md next to the export says: ONNX cannot split texts as training did.",
)
