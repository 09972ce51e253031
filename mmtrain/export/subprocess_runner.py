"""Run an export in a separate process, as its user would: with its run.py and the format's runtime only."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.errors import Problem, RunError

Array = np.ndarray[Any, Any]


def run_with_npz(path: Path, inputs: Mapping[str, Any], code: Sequence[Path]) -> dict[str, Array]:  # noqa: ARG001
    """Run the export at `path`, which needs no `code`, by the run.py next to it, and return its outputs. Raises RunError if it fails."""
    with tempfile.TemporaryDirectory() as scratch:
        inputs_file, outputs_file = Path(scratch, "inputs.npz"), Path(scratch, "outputs.npz")
        np.savez(inputs_file, **inputs)
        _run(path.parent, [str(inputs_file), str(outputs_file)])
        with np.load(outputs_file) as arrays:
            return dict(arrays)


def run_with_json(path: Path, inputs: Mapping[str, Array], code: Sequence[Path] = (), *, with_mmtrain: bool = False) -> dict[str, Array]:
    """Run an export on raw rows (numbers, texts, bytes of files) and return its outputs. `code` are files with the user's layers."""
    arguments = [str(path), *(argument for file in code for argument in ("--code", str(file.absolute())))]
    outputs = json.loads(_run(path.parent, arguments, as_json(inputs), with_mmtrain=with_mmtrain))["outputs"]
    return {name: np.array(values) for name, values in outputs.items()}


def as_json(inputs: Mapping[str, Array]) -> str:
    """Return inputs in the JSON of TensorFlow Serving; bytes in base 64."""
    flat = {name: values if values.ndim > 1 and values.shape[1] > 1 else values.reshape(-1) for name, values in inputs.items()}
    return json.dumps({"inputs": {name: [_plain(value) for value in values.tolist()] for name, values in flat.items()}})


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _run(folder: Path, arguments: list[str], given: str = "", *, with_mmtrain: bool = False) -> str:
    """Run run.py and return its standard output; the path of mmtrain is passed only if the program needs it."""
    # 2 leaves errors only: warnings of TensorFlow would hide the message of a failure.
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}
    if with_mmtrain:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, str(folder / "run.py"), *arguments]
    done = subprocess.run(  # noqa: S603 (our own program)
        command, input=given, check=False, cwd=folder, env=environment, capture_output=True, text=True
    )
    if done.returncode:
        place = f"--format {json.loads((folder / 'signature.json').read_text(encoding='utf-8'))['format']}"
        # The last line of a traceback says what happened.
        message = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise RunError(Problem(place, f"the export was written, but does not run: {message}", "Choose another format."))
    return done.stdout
