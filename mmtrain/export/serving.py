"""`--format saved_model`: the end-to-end model for TensorFlow and TensorFlow Serving; `saved_model.py` writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmtrain.artifacts.export_results import ExportOutput
from mmtrain.data.encode import Fitted
from mmtrain.export.base import EXACT, Array, ExportableModel, Format
from mmtrain.export.subprocess_runner import run_with_json


def write(exportable: ExportableModel, path: Path, quantize: str) -> dict[str, Any]:  # noqa: ARG001
    """Write the folder; return its size and the values of `status`."""
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

    described = []
    for key, prefix in saved_model.output_names(fitted).items():
        target = fitted.targets[key]
        kind, what = ("string", "The prediction, spelled as in the table.") if target.columns else ("float32", "The predicted number.")
        if target.has_single_prediction:
            described.append(_output(f"{prefix}prediction", key, target.task, kind, what))
        if target.number_columns:
            meaning = target.meaning.format(last=target.number_columns[-1])
            described.append(_output(f"{prefix}columns", key, target.task, "float32", meaning, target.number_columns))
        if target.columns:
            described.append(
                _output(f"{prefix}probabilities", key, target.task, "float32", "The probability of each.", list(target.columns))
            )
    return [*described, _output("status", None, None, "string", "ok, or the images that were not used, with the reason.")]


def _output(name: str, target: str | None, task: str | None, dtype: str, meaning: str, labels: Sequence[str] = ()) -> ExportOutput:
    shape: list[str | int] = ["rows", len(labels)] if labels else ["rows"]
    return ExportOutput(name=name, target=target, task=task, dtype=dtype, shape=shape, meaning=meaning, labels=list(labels), example=None)


def answers(fitted: Fitted, predictions: Mapping[str, Array]) -> dict[str, Array]:
    """Return per target the probabilities (rows, labels), or the numbers (rows, units), among the outputs of the export."""
    from mmtrain.export import saved_model

    names = saved_model.output_names(fitted)
    outputs = {}
    for key, prefix in names.items():
        target = fitted.targets[key]
        name = "probabilities" if target.columns else "columns" if target.number_columns else "prediction"
        outputs[key] = predictions[f"{prefix}{name}"].reshape(-1, len(target.columns) or target.units)
    return outputs


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
