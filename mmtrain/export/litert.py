"""`--format litert`: the network after the preprocessing, for LiteRT (once TensorFlow Lite) on phones and small boards.

float16 stores the weights in half precision, except for the unit of a number. int8 has convolutions, dense layers and embeddings in
8 bits, with ranges from training rows (Jacob et al. 2018, arXiv:1712.05877); inputs and outputs stay float32.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmtrain.export.base import EXACT, HALF, Array, ExportableModel, Format
from mmtrain.export.subprocess_runner import run_with_npz

IN_FLOAT = (
    "ADD BATCH_MATMUL CAST CONCATENATION DIV EQUAL EXP GREATER LESS LOGISTIC MAXIMUM MEAN MINIMUM MUL NOT_EQUAL ONE_HOT "
    "REDUCE_MAX RESHAPE RSQRT SELECT_V2 SHAPE SOFTMAX SQRT SQUARE SQUARED_DIFFERENCE SUB SUM TANH TRANSPOSE"
)
"""Operations that stay in float: one-hot codes, norms of texts, presence and the last activation. They have no weights, and in 8 bits
they made the error of small networks ten times as large; above 256, categories would even have equal codes."""


def write(exportable: ExportableModel, path: Path, quantize: str) -> dict[str, Any]:
    """Write the model; return its size and that of the float32 model. Raises RunError if it cannot be converted."""
    from mmtrain.export.freeze import converting
    from mmtrain.export.output_scaling import added_to_litert, without_units

    with converting("litert"), tempfile.TemporaryDirectory() as folder:
        _save(exportable, folder)
        plain = _converter(folder).convert()
        model = plain
        if quantize == "float16":
            half, units = without_units(exportable)
            _save(half, folder)
            model = added_to_litert(_in_16_bits(_converter(folder)), units)
        if quantize == "int8":
            model = _in_8_bits(_converter(folder), exportable)
        path.write_bytes(model)
    return {"bytes": len(model), "float32_bytes": len(plain)}


def _save(exportable: ExportableModel, folder: str) -> None:
    """Save the frozen network as a SavedModel, whose only signature has the plain names."""
    import tensorflow as tf

    from mmtrain.export.freeze import freeze

    network = freeze(exportable)
    signature = [tf.TensorSpec(tensor.shape, tensor.dtype, tensor.op.name) for tensor in network.inputs]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def predict(*given: Any) -> dict[str, Any]:
        return dict(zip(exportable.outputs.values(), network(*given), strict=True))

    # Without gradients, which are not needed: those of some activations capture constants, which cannot be saved.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(tf.Module(), folder, signatures=predict.get_concrete_function(), options=options)


def _converter(folder: str) -> Any:
    import tensorflow as tf

    return tf.lite.TFLiteConverter.from_saved_model(folder)


def _in_16_bits(converter: Any) -> Any:
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def _in_8_bits(converter: Any, exportable: ExportableModel) -> Any:
    """Quantize by the quantization debugger, the only tool that lets operations stay in float."""
    import tensorflow as tf

    def rows() -> Iterator[dict[str, Array]]:
        # Ranges of activations are measured on these rows, one at a time.
        for row in exportable.calibration:
            yield {exportable.inputs[key]: values for key, values in row.items()}

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = rows
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=IN_FLOAT.split())
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=rows, debug_options=options)
    return debugger.get_nondebug_quantized_model()


FORMAT = Format(
    name="litert",
    inputs="encoded",
    file="model.tflite",
    tolerances={"": EXACT, "float16": HALF, "int8": None},
    write=write,
    run=run_with_npz,
    usage="python run.py example.npz outputs.npz",
    packages=("ai_edge_litert",),
    versions=("ai-edge-litert",),
    why_encoded="and encode the columns as CONTRACT.md next to the export says: LiteRT cannot look up words and categories.",
)
