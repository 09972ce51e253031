"""`mmtrain export`: a trained model in a file that other programs open, checked against `predict` before it gets its name."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.artifacts import run_folder, runs
from mmtrain.artifacts.atomic_files import disk_errors, file_hash, replacing_folder
from mmtrain.artifacts.export_results import ExportCheck, ExportResult, ExportSource, Signature
from mmtrain.artifacts.run_folder import Run
from mmtrain.columns import images_among
from mmtrain.commands.deployment.export_subject import ExportSubject
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.images.store import Progress, Say
from mmtrain.errors import Problem, UsageError
from mmtrain.export import check, contract, serving
from mmtrain.export.base import Array, ExportableModel, Format, Inputs, check_options, find_format
from mmtrain.export.encode_program import PROGRAM, unknown_columns, write_encode_program
from mmtrain.export.subprocess_runner import as_json
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.groups.ensemble import open_members
from mmtrain.pipeline.groups.export_members import GroupColumns
from mmtrain.pipeline.prepare import LoadedData, Moved, keep_rows
from mmtrain.pipeline.restore import restore, restore_plan
from mmtrain.pipeline.train_run import versions
from mmtrain.text.printable import json_text, plain_json, printable

CHECK_ROWS = 1000
"""Number of validation rows, evenly spread over all of them, on which an export is checked."""
RECORDED_FIELDS = ("format", "quantize", "written", "bytes", "check")
"""Fields of the signature that run.json keeps of an export."""
CALIBRATION_ROWS = 300
"""Number of training rows from which int8 learns the ranges of its numbers."""


@dataclass(frozen=True)
class ExportOptions:
    """The format, its options, and the folder for the export."""

    format: str
    quantize: str = ""
    inputs: Inputs | None = None
    """The inputs that the caller expects; refused if the format takes others."""
    folder: Path | None = None
    """By default `exports/<format>[-<quantize>]` in the run."""
    force: bool = False
    """Keep a quantized export however much its scores fall."""
    moved: Moved = field(default_factory=Moved)
    """Present places of the run's own table and images, if they have moved."""
    code: tuple[Path, ...] = ()
    """Files with the user's layers, imported already, for the program that runs the export."""


def export(
    which: str | None, options: ExportOptions, *, output: Path = Path("runs"), progress: Progress | None = None, say: Say = lambda _: None
) -> ExportResult:
    """Write the run called `which` (see `runs.find`) in another format.

    Raises UsageError for options that the format or this installation does not have, RunError if the export fails its check,
    DataError if the rows to check it with are no longer there. Then no folder is left.
    """
    chosen = find_format(options.format)
    check_options(chosen, options.quantize, options.inputs)
    run = runs.find(which, output, group=True)
    experiment, fitted, _ = restore(run)
    columns = None
    if run.is_group and chosen.inputs == "encoded":
        columns = GroupColumns.of(run, fitted)
        fitted = columns.fitted
    elif run.is_group:  # columns of any member have the raw inputs of all
        fitted = fitted.model_copy(update={"columns": encode.of_run(open_members(run)[0], experiment.columns).columns})
    experiment = options.moved.applied(experiment)
    folder = (options.folder or run / "exports" / chosen.label(options.quantize)).absolute()
    if folder.exists():
        raise UsageError(Problem(str(folder), "there is something here already.", "Remove it, or give another folder with -o."))
    data, checked, calibrating = _rows(run, experiment, options.quantize, progress, say)
    say("Data checked; starting TensorFlow.")
    start_tensorflow()
    if columns is None:
        arrays = encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache)
    else:
        experiment = columns.experiment(experiment)
        arrays = columns.encode(experiment, data)
    subject = ExportSubject(run, experiment, fitted, data, arrays, checked, calibrating, columns)
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder, others=folder.parent == run / "exports") as temporary:
            signature = _write_format(subject, chosen, options, temporary)
    record(run, folder, signature)
    return ExportResult(run=run, folder=folder, signature=signature)


def _rows(run: Run, experiment: Experiment, quantize: str, progress: Progress | None, say: Say) -> tuple[LoadedData, Array, Array]:
    """Return the rows for the check and the calibration, and the positions of each in them. The test part is not read."""
    data, plan = restore_plan(run, experiment, progress=progress, say=say)
    # Of a group, the validation rows of its first training.
    partition = plan.partitions[0] if run.is_group else plan.holdout
    checked = _spread(partition.validation, CHECK_ROWS)
    calibrating = _spread(partition.train, CALIBRATION_ROWS if quantize == "int8" else 0)
    # Rows of both uses in one table, each read and encoded once.
    together = np.union1d(checked, calibrating)
    return keep_rows(data, together, "not needed"), np.searchsorted(together, checked), np.searchsorted(together, calibrating)


def _spread(positions: Array, most: int) -> Array:
    """Return at most `most` of the positions, evenly spread over them, ascending."""
    if len(positions) <= most:
        return np.sort(positions)
    # Spread over the positions: the first thousand might be of one site or one year.
    return np.sort(positions)[np.linspace(0, len(positions) - 1, most).astype(np.int64)]


def _write_format(subject: ExportSubject, chosen: Format, options: ExportOptions, folder: Path) -> Signature:
    """Write everything into `folder`, check it, and return the signature."""
    exportable, expected = subject.exportable(chosen)
    facts = chosen.write(exportable, folder / chosen.file, options.quantize)
    check.give_runner(chosen, folder)
    inputs = contract.tensors(chosen.inputs, subject.fitted, exportable.inputs)
    example: dict[str, Any] = {tensor.name: tensor.example for tensor in inputs}
    if chosen.inputs == "encoded":
        np.savez(folder / "example.npz", **example)
        (folder / "columns.json").write_text(plain_json(subject.fitted.model_dump_json(indent=1)) + "\n", encoding="utf-8")
        write_encode_program(subject.fitted, folder)
    else:
        (folder / "example.json").write_text(as_json(example), encoding="utf-8")
    signature = _signature(subject, chosen, options, exportable, inputs, facts)
    _write_json(folder / "signature.json", signature)  # run.py reads it, so it is needed before the check that completes it
    rows = subject.given_rows(chosen, exportable)
    # The example goes first: its outputs are those that the contract shows.
    given = {name: np.concatenate([one, rows[name]]) for name, one in example.items()}
    predictions = chosen.run(folder / chosen.file, given, options.code)
    outputs = [one.model_copy(update={"example": contract.short_name(predictions[one.name][:1])}) for one in signature.outputs]
    checked = _checked(subject, chosen, options, exportable, expected, {name: values[1:] for name, values in predictions.items()})
    signature = signature.model_copy(update={"outputs": outputs, "check": checked})
    _write_json(folder / "signature.json", signature)
    unknown = unknown_columns(subject.fitted) if chosen.inputs == "encoded" else []
    text = contract.markdown(signature, checked, encodes=(folder / PROGRAM.name).is_file(), unknown=unknown)
    (folder / "CONTRACT.md").write_text(printable(text), encoding="utf-8")
    return signature


def _signature(
    subject: ExportSubject,
    chosen: Format,
    options: ExportOptions,
    exportable: ExportableModel,
    inputs: Sequence[contract.Tensor],
    facts: dict[str, Any],
) -> Signature:
    """Return the signature before the check, which adds the examples of the outputs."""
    fitted = subject.fitted
    alone = {key: one.chosen for key, one in (subject.run.read("run.json").fusion_guard or {}).items()}
    outputs = (
        serving.outputs(fitted)
        if chosen.served
        else [contract.output(key, name, fitted.targets[key]) for key, name in exportable.outputs.items()]
    )
    return Signature(
        format=chosen.name,
        quantize=options.quantize,
        takes=chosen.inputs,
        file=chosen.file,
        usage=chosen.usage.format(code="".join(f" --code {shlex.quote(file.name)}" for file in options.code)),
        run=ExportSource(name=str(subject.run), model_sha256=_model_hash(subject.run)),
        versions={**versions(), **{name: version(name) for name in chosen.versions}},
        written=run_folder.now(),
        missing=[word.strip() for word in subject.experiment.data.missing_values],
        headers=contract.headers({key: column.reads() for key, column in subject.experiment.inputs.items()}, inputs),
        suffixes={key: cells.suffix for key, cells in images_among(subject.experiment.inputs).items() if cells.suffix},
        separators={key: cells.separator for key, cells in images_among(subject.experiment.inputs).items() if cells.most},
        inputs=[tensor.described() for tensor in inputs],
        outputs=[one.model_copy(update={"branch": alone.get(one.target or "", "")}) for one in outputs],
        **facts,
    )


def _model_hash(run: Run) -> str:
    """Return the hash of model.keras; of a group that of the hashes of its members' files, one a line."""
    if not run.is_group:
        return file_hash(run / "model.keras")
    return hashlib.sha256("\n".join(_model_hash(member) for member in open_members(run)).encode()).hexdigest()


def _checked(
    subject: ExportSubject,
    chosen: Format,
    options: ExportOptions,
    exportable: ExportableModel,
    expected: dict[str, Array],
    outputs: dict[str, Array],
) -> ExportCheck:
    """Check the outputs of the export and return the differences. Raises RunError if they are too large."""
    targets = subject.fitted.targets
    if chosen.served:
        predictions = serving.answers(subject.fitted, outputs)
        # A served model gives probabilities, also of two classes: both columns are compared.
        expected = {key: target.probabilities(expected[key]) if target.columns else expected[key] for key, target in targets.items()}
    else:
        predictions = {key: outputs[name] for key, name in exportable.outputs.items()}
    largest = check.largest_difference(subject.fitted, expected, predictions)
    allowed = check.tolerance(chosen, options.quantize, subject.fitted, mixed=exportable.mixed)
    check.check_difference(largest, allowed, chosen.label(options.quantize))
    truths = {key: truth[subject.checked] for key, truth in subject.arrays.targets.items()}
    monitor = subject.experiment.training.early_stopping.monitor
    changed = check.changes(monitor, subject.fitted, truths, expected, predictions) if options.quantize else []
    if not options.force:
        check.check_scores(changed, options.quantize)
    return ExportCheck(part="validation", rows=len(subject.checked), largest_difference=largest, tolerance=allowed, scores=changed)


def _write_json(path: Path, signature: Signature) -> None:
    path.write_text(json_text(signature.to_json(), indent=1) + "\n", encoding="utf-8")


def record(run: Run, folder: Path, signature: Signature) -> None:
    """Record the export in run.json; its folder is relative to the run if it is inside."""
    place = folder.relative_to(run.folder) if folder.is_relative_to(run.folder) else folder
    facts = signature.to_json()
    entry = {"folder": str(place)} | {name: facts[name] for name in RECORDED_FIELDS if name in facts}
    run.change("run.json", lambda facts: {**facts, "exports": [*facts.get("exports", []), entry]})
