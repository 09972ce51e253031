# /// script
# requires-python = ">=3.11"
# dependencies = ["mmtrain"]
# ///
"""Run this export: `python run.py MODEL [TABLE.csv [IMAGES]] [--code FILE] < inputs.json > outputs.json`.

MODEL is model.keras or, in a folder for a hub, model.safetensors. Needs mmtrain, whose layers are in the model, and, with `--code` before
each, the files with layers of your own.

Both are in the JSON of TensorFlow Serving: `{"inputs": {name: [value, ...]}}` with a value per row, the bytes of an image
file as `{"b64": "..."}`, NaN for a missing number; and `{"outputs": {name: [value, ...]}}`.

With TABLE.csv, its rows are read instead of standard input: a column per header in signature.json. Image cells are relative to the
folder IMAGES; left out, to the folder of the table.

In a program of your own: `import keras, mmtrain.layers.registered` and `keras.models.load_model("model.keras")`, or
`mmtrain.export.hub.load_folder(Path("model.safetensors"))`. The model takes a dictionary of tensors (rows, 1) by the column's name and
returns predictions by target.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from mmtrain.errors import MmtrainError
from mmtrain.export.runners.saved_model import read_table
from mmtrain.layers.start import start_tensorflow
from mmtrain.system.user_code import import_code

BATCH_ROWS = 64
"""Rows at once, which bounds the memory of decoded images."""


def predict(path: Path, inputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the outputs of all rows, in their order."""
    start_tensorflow()
    import tensorflow as tf

    from mmtrain.export.hub import load_folder
    from mmtrain.model.model_file import load_end_to_end

    signature = json.loads((path.parent / "signature.json").read_text(encoding="utf-8"))
    model = load_folder(path) if path.suffix == ".safetensors" else load_end_to_end(path)
    kinds = {tensor.name: tensor.dtype for tensor in model.inputs}
    call = tf.function(model, reduce_retracing=True, autograph=False)
    values = {
        entry["tensor"]: [_value(value if isinstance(value, list) else [value]) for value in inputs[entry["name"]]]
        for entry in signature["inputs"]
    }
    outputs: dict[str, list[Any]] = {entry["name"]: [] for entry in signature["outputs"]}
    for at in range(0, max(map(len, values.values())), BATCH_ROWS):
        predictions = call({name: tf.constant(values[name][at : at + BATCH_ROWS], kind) for name, kind in kinds.items()}, training=False)
        for entry in signature["outputs"]:
            outputs[entry["name"]] += predictions[entry["target"]].numpy().tolist()
    return outputs


def _value(value: object) -> object:
    if isinstance(value, list):
        return [_value(one) for one in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def _given(model: Path, table: list[Path]) -> dict[str, list[Any]]:
    """Return the inputs: of a table and its images folder, or from standard input."""
    if not table:
        inputs: dict[str, list[Any]] = json.load(sys.stdin)["inputs"]
        return inputs
    signature = json.loads((model.parent / "signature.json").read_text(encoding="utf-8"))
    return read_table(signature, table[0], table[1] if table[1:] else table[0].parent)


if __name__ == "__main__":
    options = sys.argv.index("--code") if "--code" in sys.argv else len(sys.argv)
    model, *table = map(Path, sys.argv[1:options] or ["."])
    if not 2 <= options <= 4 or len(sys.argv[options:]) % 2 or set(sys.argv[options::2]) - {"--code"}:
        sys.exit(__doc__.strip())
    try:
        import_code([Path(file) for file in sys.argv[options + 1 :: 2]])
        json.dump({"outputs": predict(model, _given(model, table))}, sys.stdout)
    except MmtrainError as error:
        sys.exit(str(error))
