"""`--format saved_model`: the whole model for TensorFlow alone, and for TensorFlow Serving; see `saved_model` for its making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmtrain.artifacts.export_results import ExportOutput
from mmtrain.data.encode import Fitted
from mmtrain.export.alone import run_with_json
from mmtrain.export.base import EXACT, Array, ExportableModel, Format


def write(exportable: ExportableModel, path: Path, quantize: str) -> dict[str, Any]:  # noqa: ARG001
    """Write the folder; `bytes` of all its files, and what `status` may say of an image."""
    from mmtrain.export import saved_model
    from mmtrain.layers.image_decoding import STATUS

    saved_model.write(exportable.whole, exportable.fitted, path)
    return {"bytes": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()), "status": list(STATUS.values())}


def run(path: Path, inputs: Mapping[str, Array], code: Sequence[Path]) -> dict[str, Array]:  # noqa: ARG001
    """Return the outputs of the folder at `path`, which needs no `code`. Raises RunError."""
    return run_with_json(path, inputs)


def outputs(fitted: Fitted) -> list[ExportOutput]:
    """Return the outputs, their examples still empty."""
    from mmtrain.export import saved_model

    found = []
    for key, prefix in saved_model.output_names(fitted).items():
        target = fitted.targets[key]
        kind, what = ("string", "What is predicted, in the words of the table.") if target.columns else ("float32", "The number predicted.")
        found.append(_output(f"{prefix}prediction", key, target.task, kind, what))
        if target.columns:
            found.append(_output(f"{prefix}probabilities", key, target.task, "float32", "A probability each.", list(target.columns)))
    return [*found, _output("status", None, None, "string", "ok, or which images were not used and why.")]


def _output(name: str, target: str | None, task: str | None, dtype: str, meaning: str, labels: Sequence[str] = ()) -> ExportOutput:
    shape: list[str | int] = ["rows", len(labels)] if labels else ["rows"]
    return ExportOutput(name=name, target=target, task=task, dtype=dtype, shape=shape, meaning=meaning, labels=list(labels), example=None)


def answers(fitted: Fitted, found: Mapping[str, Array]) -> dict[str, Array]:
    """Per target the probabilities (rows, labels), or the number (rows, 1), of what the export gave."""
    from mmtrain.export import saved_model

    names = saved_model.output_names(fitted)
    return {
        key: found[f"{prefix}probabilities"] if fitted.targets[key].columns else found[f"{prefix}prediction"].reshape(-1, 1)
        for key, prefix in names.items()
    }


FORMAT = Format(
    name="saved_model",
    inputs="raw",
    file="model",
    tolerances={"": EXACT},
    write=write,
    run=run,
    usage="python run.py model < example.json > outputs.json",
    served=True,
)
