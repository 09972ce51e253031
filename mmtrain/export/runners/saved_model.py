"""Run a SavedModel export: `python run.py FOLDER < inputs.json > outputs.json`. Needs TensorFlow, nothing else.

Both are JSON as TensorFlow Serving speaks it: `{"inputs": {name: [value, ...]}}` with a value per row, the bytes of an image
file as `{"b64": "..."}`, NaN for a missing number; and `{"outputs": {name: [value, ...]}}`.
"""

import base64
import json
import sys

import tensorflow as tf

PIECE = 64
"""Rows at once, which bounds what decoded pictures take."""


def predict(folder: str, inputs: dict[str, list[object]]) -> dict[str, list[object]]:
    """Outputs of all rows, in their order."""
    model = tf.saved_model.load(folder)  # kept while its signature is called
    signature = model.signatures["serving_default"]
    kinds = {name: tensor.dtype for name, tensor in signature.structured_input_signature[1].items()}
    values = {name: [_value(value) for value in inputs[name]] for name in kinds}
    outputs: dict[str, list[object]] = {name: [] for name in signature.structured_outputs}
    for start in range(0, max(map(len, values.values())), PIECE):
        found = signature(**{name: tf.constant(values[name][start : start + PIECE], kind) for name, kind in kinds.items()})
        for name, tensor in found.items():
            rows = tensor.numpy().tolist()
            outputs[name] += [row.decode() for row in rows] if tensor.dtype == tf.string else rows
    return outputs


def _value(value: object) -> object:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    json.dump({"outputs": predict(sys.argv[1], json.load(sys.stdin)["inputs"])}, sys.stdout)
