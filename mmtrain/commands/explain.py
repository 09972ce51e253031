"""`mmtrain explain`: attributions of a run's predictions of single rows, as images and as tables.

Nothing is scored, so it does not count as an evaluation of the test part. But run.json records how many of its rows were explained: a
model that is changed after a look at its worst test rows has learned from them.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mmtrain.artifacts import run_folder, runs
from mmtrain.artifacts.atomic_files import disk_errors, replacing_folder
from mmtrain.artifacts.command_results import ExplainedRow, Explanation
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import ExplanationRecord
from mmtrain.columns import Id
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.arrays import Array
from mmtrain.data.drift import read_statistics
from mmtrain.data.encode import Fitted
from mmtrain.data.images.store import Progress, Say
from mmtrain.data.tables.table import Table, shown_cells
from mmtrain.errors import DataError, Problem, UsageError, did_you_mean, listed
from mmtrain.explanation.attribution import RowExplanation, RowInputs, SelectedRow, describe
from mmtrain.explanation.selection import ExplainedOutputs, Method, select_rows, selector_error
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.prepare import LoadedData, Moved, keep_rows, other_data
from mmtrain.pipeline.restore import restore_data, restore_training, with_cached_features
from mmtrain.pipeline.run_record import NAMED_ROWS, other_label

MAX_COMPARED_IDS = 10_000
"""Maximum number of ids with which an unknown id is compared; a million would take seconds."""


@dataclass(frozen=True)
class ExplainOptions:
    """The rows to be explained, the method, and the folder for the images."""

    rows: tuple[str, ...] = ()
    """Ids, or positions in the file without an id column. Empty: the rows of `part` with the highest loss and the most confident ones."""
    part: str = "test"
    table: Path | None = None
    """Another table instead of the run's own."""
    images: Path | None = None
    """Replaces the folder that image cells are relative to."""
    target: str | None = None
    """By default the first of the experiment."""
    class_name: str | None = None
    method: Method = "both"
    steps: int | None = None
    folder: Path | None = None
    """By default `explanations/<part>` in the run, which is replaced."""
    moved: Path | None = None
    """Present place of the run's own table, if it has moved."""


@dataclass(frozen=True)
class _Rows:
    """A table, the part of each of its rows, (rows,), and the positions of the rows that are explained or may be chosen."""

    data: LoadedData
    parts: Array
    positions: Array
    named: bool
    own_table: bool


def explain(
    which: str | None, options: ExplainOptions, *, output: Path = Path("runs"), progress: Progress | None = None, say: Say = lambda _: None
) -> Explanation:
    """Explain rows with the run called `which` (see `runs.find`).

    Raises:
        UsageError: there is no such row, target or class, or something is in the folder already.
        RunError: the run cannot be used.
        DataError: the table does not fit it, or the part is empty.

    """
    run = runs.find(which, output)
    experiment, fitted, _ = restore_training(run)
    outputs = ExplainedOutputs(options.target or next(iter(fitted.targets)), options.class_name, options.method, options.steps)
    problems = selector_error(fitted.targets, outputs.target, outputs.class_name)
    if options.folder is not None and options.folder.exists():
        problems.append(Problem(str(options.folder), "there is something here already.", "Remove it, or give another folder with -o."))
    if problems:
        raise UsageError(problems)
    rows = _rows(run, experiment, options, progress, say)
    say("Data checked; starting TensorFlow.")
    start_tensorflow()
    from mmtrain.explanation.explainer import baseline_words
    from mmtrain.model.memory_errors import explanation_oom_errors

    label = options.part if options.table is None else other_label(options.table, rows.data.table.sha256, _before(run))
    folder = (options.folder or run / "explanations" / _folder_name(label, options)).absolute()
    began = time.monotonic()
    with explanation_oom_errors():
        explained = _written(folder, _explained(run, experiment, fitted, outputs, rows, say))
    _record(run, explained, {} if options.table is None else {"part": label, "sha256": rows.data.table.sha256})
    words = baseline_words(fitted, read_statistics(run, fitted))
    return Explanation(run=run, target=outputs.target, baseline=words, rows=explained, folder=folder, seconds=time.monotonic() - began)


def _rows(run: Run, experiment: Experiment, options: ExplainOptions, progress: Progress | None, say: Say) -> _Rows:
    """Return the table and the rows that are named or may be chosen; if rows are named, the others are dropped."""
    own_table = options.table is None
    if options.table is None:
        experiment = Moved(options.moved, options.images).applied(experiment)
        data, partition = restore_data(run, experiment, progress=progress, say=say)
        parts, positions = partition.names(len(data.table)).astype(object), partition[options.part]
    else:
        data = other_data(experiment, options.table, images=options.images, progress=progress, say=say)
        parts, positions = np.full(len(data.table), options.table.name, dtype=object), np.arange(len(data.table))
    if options.rows:
        column = experiment.only(Id)
        named = _named(data.table, options.rows, numbered=column is None or not data.table.has(column.column))
        # Sorted and each once, as the table keeps its own order; `searchsorted` leads back to the order of the names.
        together = np.unique(named)
        return _Rows(
            keep_rows(data, together, "not named"), parts[together], np.searchsorted(together, named), named=True, own_table=own_table
        )
    if not len(positions):
        raise DataError(Problem(str(run.folder), f"the {options.part} part is empty.", "Choose another part with --part."))
    return _Rows(data, parts, positions, named=False, own_table=own_table)


def _named(table: Table, names: tuple[str, ...], *, numbered: bool) -> Array:
    """Return the positions of rows by their ids, in the order of `names`; rows without ids are `numbered`.

    Raises UsageError with every unknown name.
    """
    positions = {name: position for position, name in enumerate(table.ids())}
    # Rows that left the table have a reason, which says more than "unknown".
    gone = {row.id or str(row.row): row.reason for row in table.dropped}
    problems = []
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        if name in gone:
            problems.append(Problem(f"--rows {name}", f"this row of {table.path.name} was left out: {gone[name]}", "Choose another row."))
        elif name not in positions:
            fix = f"Its rows are numbered from 0 to {table.total - 1:,}." if numbered else _near(name, positions)
            problems.append(Problem(f"--rows {name}", f"{table.path.name} has no such row.", fix))
    if problems:
        raise UsageError(problems)
    return np.array([positions[name] for name in wanted], dtype=np.int64)


def _near(name: str, ids: Iterable[str]) -> str:
    known = list(islice(ids, MAX_COMPARED_IDS))
    return did_you_mean(name, known) or f"The first rows are {listed(known[:3])}."


def _explained(
    run: Run, experiment: Experiment, fitted: Fitted, outputs: ExplainedOutputs, rows: _Rows, say: Say
) -> Iterator[RowExplanation]:
    """Explain row by row: the named ones, or those that are chosen."""
    from mmtrain.explanation.explainer import Explainer
    from mmtrain.model import model_file

    _, predictor = model_file.of_run(run, experiment.branches, fitted)
    explainer = Explainer(predictor, experiment.branches, fitted, read_statistics(run, fitted), outputs)
    table = rows.data.table
    arrays = encode.encode(experiment.columns, fitted, table, rows.data.stores, cache=experiment.data.cache, say=say)
    target, truths = fitted.targets[outputs.target], arrays.targets.get(outputs.target)
    behind, inputs = predictor, arrays
    if not rows.named:  # of a whole part; a few named rows are read by the encoders themselves
        behind, inputs = with_cached_features(run, predictor, experiment, fitted, (rows.data, arrays), say, own_table=rows.own_table)
    predictions = model_file.predict(behind, inputs, rows.positions)[outputs.target]
    answers = None if truths is None else truths[rows.positions]
    wanted = [(row, "") for row in range(len(rows.positions))] if rows.named else select_rows(target, answers, predictions)
    say(f"Explaining {len(wanted)} {'row' if len(wanted) == 1 else 'rows'}.")
    cells = _cells(experiment, fitted, table, rows.positions[[row for row, _ in wanted]])
    for row, why in wanted:
        at = rows.positions[[row]]
        truth = "" if answers is None else describe(target, target.decode_truth(answers[[row]])[0])
        chosen = SelectedRow(int(table.rows[at[0]]), table.ids(at)[0], rows.parts[at[0]], why)
        of_row = {key: cells_of_column[int(at[0])] for key, cells_of_column in cells.items()}
        yield explainer.explain(chosen, RowInputs.of(of_row, arrays.columns(at)), truth, predictions[[row]])


def _cells(experiment: Experiment, fitted: Fitted, table: Table, positions: Array) -> dict[str, dict[int, str | None]]:
    """Return the cells of every input column at these positions; a column that is not in memory is read once."""
    # Chunks come in ascending order of the rows.
    ordered = np.unique(positions)
    by_column: dict[str, dict[int, str | None]] = {}
    for key in fitted.columns:
        headers = experiment.columns[key].reads()
        cells = [
            cell
            for chunk in table.chunks(headers, ordered)
            for piece in [shown_cells(headers, chunk)]
            for cell in piece.astype(object).where(piece.notna(), None)
        ]
        by_column[key] = dict(zip(ordered.tolist(), cells, strict=True))
    return by_column


def _written(folder: Path, rows: Iterator[RowExplanation]) -> list[ExplainedRow]:
    """Write all files under a temporary name, then replace earlier ones. One row is in memory at a time."""
    from mmtrain.explanation.files import ExplanationFiles

    written = []
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as temporary:
            with ExplanationFiles(temporary) as files:
                for row in rows:
                    result = files.add(row)
                    written.append(result.model_copy(update={"image": folder / result.image.name}))
            shutil.rmtree(folder, ignore_errors=True)  # a folder in the run: one that a user names must not exist yet
    return written


def _before(run: Run) -> list[ExplanationRecord]:
    """Earlier explanations."""
    return run.read("run.json").explanations or []


def _folder_name(label: str, options: ExplainOptions) -> str:
    """Return the folder of an explanation; named rows have a separate one, so that they do not replace the chosen ones."""
    if not options.rows:
        return label
    return NAMED_ROWS if options.table is None else f"{label}_{NAMED_ROWS}"


def _record(run: Run, rows: Sequence[ExplainedRow], table: Mapping[str, str]) -> None:
    """Record in run.json how many rows of each part, or of another `table`, were explained."""
    counts = Counter(row.part for row in rows)
    record = ExplanationRecord(when=run_folder.now(), rows={part: counts[part] for part in sorted(counts)}, **table)
    run.change("run.json", lambda facts: {**facts, "explanations": [*facts.get("explanations", []), record.to_json()]})
