"""Run this export: `python run.py INPUTS.npz OUTPUTS.npz`. Needs mmtrain, whose layers are in the model.

INPUTS.npz holds an array (rows, ...) for every input in signature.json; OUTPUTS.npz gets one for every output.
"""

import json
import sys
from pathlib import Path

import numpy as np

from mmtrain.layers.start import start_tensorflow

PIECE = 256
"""Rows at once."""


def predict(folder: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of all rows, in their order."""
    start_tensorflow()
    import keras
    import tensorflow as tf

    import mmtrain.layers.encoding
    import mmtrain.layers.network  # noqa: F401 (registers the layers by whose names the file calls them)

    signature = json.loads((folder / "signature.json").read_text(encoding="utf-8"))
    model = tf.function(keras.models.load_model(folder / "model.keras", compile=False), reduce_retracing=True)
    rows = len(next(iter(inputs.values())))
    pieces = []
    for at in range(0, rows, PIECE):
        raw = {entry["tensor"]: tf.constant(inputs[entry["name"]][at : at + PIECE], entry["dtype"]) for entry in signature["inputs"]}
        pieces.append(model(raw, training=False))
    outputs = signature["outputs"]
    return {entry["name"]: np.concatenate([piece[entry["target"]].numpy() for piece in pieces]) for entry in outputs}


if __name__ == "__main__":
    with np.load(sys.argv[1]) as arrays:
        found = predict(Path(__file__).parent, dict(arrays))
    np.savez(sys.argv[2], allow_pickle=False, **found)
