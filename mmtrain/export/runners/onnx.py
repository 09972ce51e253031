# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy", "onnxruntime>=1.23"]
# ///
"""Run this export: `python run.py INPUTS.npz OUTPUTS.npz`. Needs numpy and onnxruntime, nothing else.

INPUTS.npz holds an array (rows, ...) for every input in signature.json; OUTPUTS.npz gets one for every output.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

BATCH_ROWS = 256
"""Rows at once."""


def predict(folder: Path, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the outputs of all rows, in their order."""
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    rows = len(next(iter(inputs.values())))
    pieces = [session.run(names, {name: inputs[name][at : at + BATCH_ROWS] for name in inputs}) for at in range(0, rows, BATCH_ROWS)]
    return {name: np.concatenate([piece[number] for piece in pieces]) for number, name in enumerate(names)}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with np.load(sys.argv[1]) as arrays:
        outputs = predict(Path(__file__).parent, dict(arrays))
    np.savez(sys.argv[2], **outputs)
