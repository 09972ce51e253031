# /// script
# requires-python = ">=3.11"
# dependencies = ["ai-edge-litert>=2.0", "numpy"]
# ///
"""Run this export: `python run.py INPUTS.npz OUTPUTS.npz`. Needs numpy and ai-edge-litert, nothing else.

INPUTS.npz holds an array (rows, ...) for every input in signature.json; OUTPUTS.npz gets one for every output.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

BATCH_ROWS = 256
"""Rows at once."""


def predict(folder: Path, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of all rows, in their order."""
    run = Interpreter(str(folder / "model.tflite")).get_signature_runner()
    rows = len(next(iter(inputs.values())))
    pieces = []
    for at in range(0, rows, BATCH_ROWS):
        predictions = run(**{name: inputs[name][at : at + BATCH_ROWS] for name in inputs})
        pieces.append({name: values.copy() for name, values in predictions.items()})  # the next call writes into the same memory
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with np.load(sys.argv[1]) as arrays:
        outputs = predict(Path(__file__).parent, dict(arrays))
    np.savez(sys.argv[2], **outputs)
