"""`mmtrain explain`: attributions of a run's predictions of single rows, as images and as tables.

Nothing is scored, so it does not count as an evaluation of the test part. But run.json records how many of its rows were explained: a
model that is changed after a look at its worst test rows has learned from them.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmtrain.artifacts import run_folder, runs
from mmtrain.artifacts.atomic_files import disk_errors, replacing_folder
from mmtrain.artifacts.command_results import ExplainedRow, Explanation
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import ExplanationRecord
from mmtrain.columns import Id
from mmtrain.config import Experiment
from mmtrain.data.drift import read_statistics
from mmtrain.data.encode import Fitted
from mmtrain.data.images.store import Progress, Say
from mmtrain.errors import DataError, Problem, RunError, UsageError
from mmtrain.explanation.attribution import RowExplanation
from mmtrain.explanation.selection import ExplainedOutputs, Method, selector_error
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.explained_rows import ExplainedRows, explain_rows, named_rows
from mmtrain.pipeline.groups.ensemble import open_members
from mmtrain.pipeline.groups.explain_members import explain_with_members, rows_of_members
from mmtrain.pipeline.prepare import LoadedData, Moved, other_data
from mmtrain.pipeline.restore import restore, restore_plan, restore_training
from mmtrain.pipeline.run_record import NAMED_ROWS, other_label
from mmtrain.reports.report_data import OUT_OF_FOLD
from mmtrain.splits.plan import SplitPlan


@dataclass(frozen=True)
class ExplainOptions:
    """The rows to be explained, the method, and the folder for the images."""

    rows: tuple[str, ...] = ()
    """Ids, or positions in the file without an id column. Empty: the worst, the most uncertain, typical and the most confident rows
    of `part`."""
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


def explain(
    which: str | None, options: ExplainOptions, *, output: Path = Path("runs"), progress: Progress | None = None, say: Say = lambda _: None
) -> Explanation:
    """Explain rows with the run called `which` (see `runs.find`).

    Raises:
        UsageError: there is no such row, target or class, or something is in the folder already.
        RunError: the run cannot be used.
        DataError: the table does not fit it, or the part is empty.

    """
    run = runs.find(which, output, group=True)
    experiment, fitted, _ = restore(run)
    outputs = ExplainedOutputs(options.target or next(iter(fitted.targets)), options.class_name, options.method, options.steps)
    problems = selector_error(fitted.targets, outputs.target, outputs.class_name)
    if options.folder is not None and options.folder.exists():
        problems.append(Problem(str(options.folder), "there is something here already.", "Remove it, or give another folder with -o."))
    if problems:
        raise UsageError(problems)
    rows = _rows(run, experiment, options, progress, say)
    say("Data checked; starting TensorFlow.")
    start_tensorflow()
    from mmtrain.model.memory_errors import explanation_oom_errors

    label = OUT_OF_FOLD if OUT_OF_FOLD in rows.parts[rows.positions] else options.part
    if options.table is not None:
        label = other_label(options.table, rows.data.table.sha256, _before(run))
    folder = (options.folder or run / "explanations" / _folder_name(label, options)).absolute()
    began = time.monotonic()
    with explanation_oom_errors():
        each = explain_with_members if run.is_group else explain_rows
        explained = _written(folder, each(run, experiment, fitted, outputs, rows, say), group=run.is_group)
    _record(run, explained, {} if options.table is None else {"part": label, "sha256": rows.data.table.sha256})
    if options == ExplainOptions(part=options.part, target=options.target, class_name=options.class_name, method=options.method):
        _add_to_report(run, experiment, fitted, say)
    return Explanation(
        run=run,
        target=outputs.target,
        baseline=_baseline(run, fitted),
        rows=explained,
        folder=folder,
        seconds=time.monotonic() - began,
    )


def _add_to_report(run: Run, experiment: Experiment, fitted: Fitted, say: Say) -> None:
    """Write the report of a finished training again, with the rows that were explained."""
    from mmtrain.reports import report

    if run.is_group or run.state != "finished" or not (run / "report.html").is_file():
        return
    try:
        report.write(run, experiment.columns, experiment.training, fitted)
    except RunError as error:
        # The explanations are written already.
        say(f"The report is not written again: {error.problems[0].what}")


def _rows(run: Run, experiment: Experiment, options: ExplainOptions, progress: Progress | None, say: Say) -> ExplainedRows:
    """Return the table and the rows that are named or may be chosen; if rows are named, the others are dropped."""
    if options.table is None:
        experiment = Moved(options.moved, options.images).applied(experiment)
        data, plan = restore_plan(run, experiment, progress=progress, say=say)
        rows = _own_rows(run, data, plan, options)
    else:
        data = other_data(experiment, options.table, images=options.images, progress=progress, say=say)
        every = np.arange(len(data.table))
        rows = ExplainedRows(data, np.full(len(every), options.table.name, dtype=object), every, named=False, own_table=False)
    if options.rows:
        column = experiment.only(Id)
        return rows.only(named_rows(data.table, options.rows, numbered=column is None or not data.table.has(column.column)))
    if not len(rows.positions):
        raise DataError(Problem(str(run.folder), f"the {options.part} part is empty.", "Choose another part with --part."))
    return rows


def _own_rows(run: Run, data: LoadedData, plan: SplitPlan, options: ExplainOptions) -> ExplainedRows:
    """Return the run's own table with the rows of a part; those of a group with folds are its outer test rows or, without any, all."""
    if len(plan.partitions) == 1:
        names, rows = plan.holdout.names(len(data.table)).astype(object), plan.holdout[options.part]
        return ExplainedRows(data, names, rows, named=False, own_table=True)
    if options.part != "test" and not options.rows:
        what = "each fold has parts of its own."
        fix = "Leave --part out to explain outer test rows, or out-of-fold rows if there are none; name others with --rows."
        raise UsageError(Problem(f"--part {options.part}", what, fix))
    names, members = rows_of_members(plan, run.read("run.json").members or (), len(data.table))
    rows = np.sort(plan.test) if len(plan.test) else np.flatnonzero(names == OUT_OF_FOLD)
    return ExplainedRows(data, names, rows, named=False, own_table=True, members=members)


def _baseline(run: Run, fitted: Fitted) -> dict[str, str]:
    """Describe the baseline of every column in words; of a group, that of its first training where they differ."""
    from mmtrain.explanation.explainer import baseline_words

    if not run.is_group:
        return baseline_words(fitted, read_statistics(run, fitted))
    learned = [(member, restore_training(member)[1]) for member in open_members(run)]
    first, *others = [baseline_words(columns, read_statistics(member, columns)) for member, columns in learned]
    own = " (of the first training; each has its own)"
    return {key: words if all(one.get(key, words) == words for one in others) else f"{words}{own}" for key, words in first.items()}


def _written(folder: Path, rows: Iterator[RowExplanation], *, group: bool) -> list[ExplainedRow]:
    """Write all files under a temporary name, then replace earlier ones. One row is in memory at a time."""
    from mmtrain.explanation.files import ExplanationFiles

    written = []
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing_folder(folder) as temporary:
            with ExplanationFiles(temporary, group=group) as files:
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
