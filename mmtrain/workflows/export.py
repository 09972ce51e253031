"""`mmtrain export`: a trained model in a file that other programs open, checked against `predict` before it gets its name."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain import runs
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.images import Progress, Say
from mmtrain.errors import ConfigError, Problem
from mmtrain.export import FORMATS, check, contract
from mmtrain.export.base import Array, Format, Inputs, Material, check_wishes, plain_names
from mmtrain.layers.start import start_tensorflow
from mmtrain.runs import Run
from mmtrain.workflows.evaluate import opened
from mmtrain.workflows.prepare import Prepared, only, recorded_data
from mmtrain.workflows.versions import versions

CHECKED = 1000
"""Validation rows, spread over all of them, that an export is checked on."""
CALIBRATION = 300
"""Training rows that tell int8 the ranges of its numbers."""


@dataclass(frozen=True)
class Wish:
    """What is to be written, and where."""

    format: str
    quantize: str = ""
    inputs: Inputs | None = None
    """What the caller expects the export to take; refused where the format takes something else."""
    folder: Path | None = None
    """By default `exports/<format>[-<quantize>]` in the run."""
    force: bool = False
    """Keep a quantized export however much its scores fall."""


@dataclass(frozen=True)
class Exported:
    """A finished export."""

    run: Run
    folder: Path
    signature: dict[str, Any]


@dataclass(frozen=True)
class _Subject:
    """What is exported, and the rows it is checked with."""

    run: Run
    experiment: Experiment
    fitted: encode.Fitted
    data: Prepared
    """The rows of `checked` and `calibrating`."""
    arrays: encode.Arrays
    checked: Array
    """Positions of validation rows."""
    calibrating: Array
    """Positions of training rows; none but for int8."""


def export(
    which: str | None, wish: Wish, *, output: Path = Path("runs"), progress: Progress | None = None, say: Say = lambda _: None
) -> Exported:
    """Write the run called `which` (see `runs.find`) in another format.

    Raises ConfigError for a wish that cannot be granted, RunError when the export fails its check, DataError when the rows to
    check it with are no longer there. Nothing is left at the export's place then.
    """
    chosen = FORMATS[wish.format]
    check_wishes(chosen, wish.quantize, wish.inputs)
    run = runs.find(which, output)
    experiment, fitted = opened(run)
    folder = (wish.folder or run / "exports" / chosen.label(wish.quantize)).absolute()
    if folder.exists():
        raise ConfigError(Problem(str(folder), "there is something here already.", "Remove it, or give another folder with -o."))
    data, checked, calibrating = _rows(run, experiment, wish.quantize, progress, say)
    say("Data checked; starting TensorFlow.")
    start_tensorflow()
    arrays = encode.encode(experiment, fitted, data.table, data.stores)
    subject = _Subject(run, experiment, fitted, data, arrays, checked, calibrating)
    with runs.writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with runs.replacing(folder) as temporary:
            temporary.mkdir()
            signature = _written(subject, chosen, wish, temporary)
    _record(run, folder, signature)
    return Exported(run, folder, signature)


def _rows(run: Run, experiment: Experiment, quantize: str, progress: Progress | None, say: Say) -> tuple[Prepared, Array, Array]:
    """The rows to check with and to calibrate with, and where in them each kind is. The test part is not touched."""
    data, parts = recorded_data(run, experiment, progress=progress, say=say)
    checked = _spread(parts.validation, CHECKED)
    calibrating = _spread(parts.train, CALIBRATION if quantize == "int8" else 0)
    together = np.union1d(checked, calibrating)
    return only(data, together, "not needed"), np.searchsorted(together, checked), np.searchsorted(together, calibrating)


def _spread(positions: Array, most: int) -> Array:
    """At most so many of the positions, evenly spread over them, ascending."""
    if len(positions) <= most:
        return np.sort(positions)
    return np.sort(positions)[np.linspace(0, len(positions) - 1, most).astype(np.int64)]


def _written(subject: _Subject, chosen: Format, wish: Wish, folder: Path) -> dict[str, Any]:
    """Write everything into `folder` and check it; the signature."""
    from mmtrain.export.frozen import in_float32
    from mmtrain.model import saved

    original = saved.predictor(subject.run / "model.keras")
    expected = saved.predict(original, subject.arrays, subject.checked)
    material = _material(subject, chosen, original, in_float32(original))
    facts = chosen.write(material, folder / chosen.file, wish.quantize)
    check.give_runner(chosen, folder)
    inputs = contract.tensors(chosen.inputs, subject.fitted, material.inputs)
    np.savez(folder / "example.npz", allow_pickle=False, **{tensor.name: tensor.example for tensor in inputs})
    if chosen.inputs == "encoded":
        shutil.copyfile(subject.run / "columns.json", folder / "columns.json")
    signature = _signature(subject, chosen, wish.quantize, material, facts)
    signature["inputs"] = [tensor.plain() for tensor in inputs]
    _write_json(folder / "signature.json", signature)  # for run.py
    signature["check"] = _checked(subject, chosen, wish, material, expected, folder)
    for entry in signature["outputs"]:
        entry["example"] = contract.short(material.predictor(contract.examples(subject.fitted)[1], training=False)[entry["target"]].numpy())
    _write_json(folder / "signature.json", signature)
    (folder / "CONTRACT.md").write_text(contract.markdown(signature), encoding="utf-8")
    return signature


def _material(subject: _Subject, chosen: Format, original: Any, predictor: Any) -> Material:
    """Names, and rows to calibrate with, for whoever writes the format."""
    labels = contract.labels(chosen.inputs, subject.fitted)
    names = plain_names([*labels, *subject.fitted.targets])
    return Material(
        source=subject.run / "model.keras",
        predictor=predictor,
        inputs={label: names[label] for label in labels},
        outputs={key: names[key] for key in subject.fitted.targets},
        mixed=predictor is not original,
        calibration=[subject.arrays.take(subject.calibrating[at : at + 1]) for at in range(len(subject.calibrating))],
    )


def _signature(subject: _Subject, chosen: Format, quantize: str, material: Material, facts: dict[str, Any]) -> dict[str, Any]:
    """signature.json as far as it is known before the check."""
    return {
        "format": chosen.name,
        "quantize": quantize,
        "takes": chosen.inputs,
        "file": chosen.file,
        **facts,
        "run": {"name": str(subject.run), "model_sha256": runs.file_hash(material.source)},
        "versions": {**versions(), **{name: version(name) for name in chosen.versions}},
        "written": runs.now(),
        "inputs": [],
        "outputs": [contract.output(key, name, subject.fitted.targets[key]) for key, name in material.outputs.items()],
    }


def _checked(subject: _Subject, chosen: Format, wish: Wish, material: Material, expected: dict[str, Array], folder: Path) -> dict[str, Any]:
    """The figures of the check. Raises RunError when the export is not what it ought to be."""
    if chosen.inputs == "encoded":
        given = subject.arrays.take(subject.checked)
    else:
        rows = only(subject.data, subject.checked)
        given = check.raw_rows(subject.experiment, subject.fitted, rows.table, rows.stores)
    outputs = check.run_alone(folder, {name: given[label] for label, name in material.inputs.items()})
    found = {key: outputs[name] for key, name in material.outputs.items()}
    largest = check.largest_difference(subject.fitted, expected, found)
    allowed = check.tolerance(chosen, wish.quantize, mixed=material.mixed)
    check.check_difference(largest, allowed, chosen.label(wish.quantize))
    truths = {key: truth[subject.checked] for key, truth in subject.arrays.targets.items()}
    changed = check.changes(subject.experiment, subject.fitted, truths, expected, found) if wish.quantize else []
    if not wish.force:
        check.check_scores(changed, wish.quantize)
    return {
        "part": "validation",
        "rows": len(subject.checked),
        "largest_difference": largest,
        "tolerance": allowed,
        "scores": [change.plain() for change in changed],
    }


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _record(run: Run, folder: Path, signature: dict[str, Any]) -> None:
    """Note the export in run.json; its folder relative to the run, if it is in there."""
    place = folder.relative_to(run.folder) if folder.is_relative_to(run.folder) else folder
    facts = {name: signature[name] for name in ("format", "quantize", "written", "bytes", "check")}
    run.update(exports=[*run.read_json("run.json").get("exports", []), {"folder": str(place), **facts}])
