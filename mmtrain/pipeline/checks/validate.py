"""Validation before training, by `check`, `fit` and `inspect-data`: every possible step is taken, and all problems are reported.

The table is read once. Every later step sees only the columns without a mistake, as if the experiment had no others; a step that
needs a column with a mistake, as a split needs its groups, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtrain import config
from mmtrain.artifacts.inspection_results import ImageCounts, PartSummary
from mmtrain.audit.column_usage import column_usages
from mmtrain.audit.finding import Finding, by_kind
from mmtrain.audit.images.image_column import ImageColumn, image_column
from mmtrain.audit.label_index import index_labels
from mmtrain.audit.quality.near_spellings import is_spelled, spellings
from mmtrain.audit.read_values import table_of_names
from mmtrain.audit.row_metadata import TEST, TRAIN, VALIDATION, RowMetadata, part_codes
from mmtrain.columns import Column, images_among
from mmtrain.columns.base import Purpose
from mmtrain.config import Experiment
from mmtrain.config.experiment import Data
from mmtrain.config.yaml_source import NotInFile, Origin
from mmtrain.data.images.decode import Progress
from mmtrain.data.images.image_file import Unreadable, by_file
from mmtrain.data.images.locate import ImageFinder
from mmtrain.data.images.store import SHOWN, Attached, Say, attach
from mmtrain.data.splits.summary import summarize
from mmtrain.data.tables.read_table import Reading, read_tolerantly
from mmtrain.data.tables.table import READ_CHUNK_ROWS, Table, cells_of, headers_of
from mmtrain.errors import ConfigError, DataError, Problem, counted
from mmtrain.pipeline.checks.columns_of_parts import check_class_weights, check_monitor, check_parts, doubts, mostly_masked, offer_dropping
from mmtrain.pipeline.checks.requirements import check_baselines, check_encoders, check_trackers
from mmtrain.pipeline.prepare import LoadedData, describe_trainings, split_rows
from mmtrain.splits.plan import Partition, SplitPlan

LEAST_ROWS = 2
"""The fewest rows of a table that can be split."""
DIVIDING: tuple[Purpose, ...] = ("answer", "grouping", "assigning", "ordering")
"""Purposes of the columns by which rows are divided."""


@dataclass(frozen=True)
class ValidationReport:
    """Outcome of a validation. `data` and `plan` can be trained on; they are None if there are problems."""

    error: DataError | ConfigError | None
    """All problems at once."""
    dropped: int = 0
    summary: tuple[PartSummary, ...] = ()
    """Summaries of the parts; empty if the rows cannot be divided."""
    image_counts: dict[str, ImageCounts] = field(default_factory=dict)
    data: LoadedData | None = None
    plan: SplitPlan | None = None
    table: Table | None = None
    """The remaining rows, also if there are problems; None if the table cannot be read."""
    divided: SplitPlan | None = None
    """The plan of `table`, also if there are problems; None if the rows cannot be divided."""
    images: tuple[ImageColumn, ...] = ()
    """The image columns of all rows that were read, rows without an image included."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of the error."""
        return () if self.error is None else self.error.problems


def load_checked(
    path: Path | NotInFile, overrides: Iterable[str], *, progress: Progress | None = None, say: Say = lambda _: None
) -> tuple[Experiment, LoadedData, SplitPlan]:
    """Return the experiment of a file, its checked table and images, and its split; warnings and notices go to `say`.

    Raises ConfigError and DataError with every problem found.
    """
    origin = Origin(path, tuple(overrides))
    experiment = load_experiment(origin)
    tried = validate_experiment(experiment, origin, progress=progress, say=say)
    # Warnings come before errors, as they often explain them.
    for doubt in doubts(experiment.columns, tried.table) if tried.table is not None else ():
        say(f"warning: {doubt}")
    if tried.error is not None or tried.data is None or tried.plan is None:
        raise tried.error or RuntimeError("A validation without problems must return data and a plan.")
    trainings = describe_trainings(experiment, tried.plan)
    for note in (
        *([f"{trainings}."] if trainings else []),
        *tried.plan.notes,
        *notices(experiment.columns, tried.data.table, tried.plan.trainings[0]),
    ):
        say(note)
    return experiment, tried.data, tried.plan


def load_experiment(origin: Origin) -> Experiment:
    """Return the experiment of a file. Raises ConfigError with every problem of the file and those of the data that can be known."""
    try:
        return config.load(origin.path, origin.overrides)
    except ConfigError as error:
        # A user who mends the file should not meet the mistakes of the table one run later.
        data, columns = config.load_sound(origin.path, origin.overrides)
        errors: list[DataError | ConfigError] = []
        if data is not None:
            _read(data, columns, origin, errors)
            _check_images_folder(data, errors)
        raise ConfigError(_problems([error, *errors])) from None


def notices(columns: Mapping[str, Column], table: Table, partition: Partition) -> list[str]:
    """Return a line about each name with two spellings, each rounded id, and the meaning given to the words of a split column.

    The data can be used; `inspect-data` reports the same.
    """
    usages = column_usages(columns)
    named = [use for use in usages if is_spelled(use) and use.purpose not in ("answer", "assigning")]
    answers = [use for use in usages if is_spelled(use) and use.purpose == "answer"]  # the columns of one target belong together
    parts = part_codes(partition, len(table))
    findings: list[Finding] = []
    # One column after the other: each takes 17 bytes a row and its texts for as long as it is looked at.
    for together in (*([use] for use in named), answers, [use for use in usages if use.purpose == "assigning"]):
        sheet = table_of_names(table.path.name, len(table), [(use, table.cells(use.header)) for use in together])
        findings += spellings(sheet, RowMetadata(len(table), parts, targets=tuple(index_labels(sheet))))
    kinds = by_kind(findings)
    lines = [f"{kind.level}: {table.path.name}: {' '.join(filter(None, kind.line('')[:3]))}" for kind in kinds]
    return lines + _shared_members(table, parts)


def _shared_members(table: Table, parts: np.ndarray[Any, np.dtype[np.int8]]) -> list[str]:
    """Return a warning for each second table whose rows belong to training rows and to scored rows at once; `parts` is (rows,)."""
    lines = []
    for name, header in table.file.joins.items():
        cells = pd.concat([piece[header] for piece in table.file.pieces([header], size=READ_CHUNK_ROWS)], ignore_index=True)
        codes, _ = pd.factorize(cells.iloc[table.rows])
        scored = codes[(parts == VALIDATION) | (parts == TEST)]
        shared = int((np.isin(scored, codes[parts == TRAIN]) & (scored >= 0)).sum())
        if shared:
            what = f"{counted(shared, 'row')} of validation and test read the same rows of {name} as training rows with their {header}"
            lines.append(f"warning: {table.path.name}: {what}. Give '{header}' the role group, so that none is in two parts.")
    return lines


def validate_experiment(
    experiment: Experiment, origin: Origin, *, progress: Progress | None = None, say: Say = lambda _: None
) -> ValidationReport:
    """Try every step of `fit` before the training. Raises RunError if an image store cannot be written."""
    errors: list[DataError | ConfigError] = []
    reading = _read(experiment.data, experiment.columns, origin, errors)
    _check_evaluation(experiment, origin, errors)
    table = reading.table
    if table is None:
        _check_images_folder(experiment.data, errors)
        return ValidationReport(_together(errors))
    sound = _sound_columns(experiment, reading)
    if table.file.notice:
        say(table.file.notice)
    data = experiment.data
    images = {key: sound.columns[key] for key in images_among(sound.columns)}
    attached = attach(table, images, data.images_folder, cache=data.cache, progress=progress, say=say)
    if attached.problems:
        errors.append(DataError(offer_dropping(attached, images, len(table))))
    image_counts = {key: _image_counts(table, key, images[key], bad) for key, bad in attached.unreadable.items()}
    for key, counts in image_counts.items():
        if warning := mostly_masked(counts, images[key]):
            say(f"warning: {warning}")
    # Problems of single columns are collected; the split needs its own columns to be sound.
    _check_classes(experiment, sound, attached.table, origin, errors)
    dividing_sound = all(reading.is_sound(key) for key in _dividing(experiment, reading))
    # A split of one row, or of rows whose groups cannot be read, would only add errors that follow from others.
    divisible = dividing_sound and len(table) >= LEAST_ROWS and len(attached.table) > 0
    plan, summary = _divide(sound, attached.table, origin, errors) if divisible else (None, ())
    seen = ValidationReport(_together(errors), len(attached.table.dropped), summary, image_counts, table=attached.table, divided=plan)
    seen = replace(seen, images=_image_columns(table, images, attached))
    return seen if errors else replace(seen, data=LoadedData(attached.table, attached.stores), plan=plan)


def _sound_columns(experiment: Experiment, reading: Reading) -> Experiment:
    """Return the experiment with only the columns whose every cell can be used; its other sections may still name the others."""
    columns = {key: column for key, column in experiment.columns.items() if reading.is_sound(key)}
    return experiment.model_copy(update={"columns": columns})


def _dividing(experiment: Experiment, reading: Reading) -> list[str]:
    """Return the keys of the columns that a split needs: those that it reads, and those whose empty cells drop rows."""
    return [
        key for key, column in experiment.columns.items() if column.purpose in DIVIDING or (column.drops_missing and key in reading.unread)
    ]


def _check_classes(experiment: Experiment, sound: Experiment, table: Table, origin: Origin, errors: list[DataError | ConfigError]) -> None:
    """Check class weights, if the classes of every target are known: a class may be missing because its column has a mistake."""
    if sound.targets.keys() != experiment.targets.keys() or not len(table):
        return
    _collect(errors, check_class_weights, sound, table, origin)


def _check_evaluation(experiment: Experiment, origin: Origin, errors: list[DataError | ConfigError]) -> None:
    """Check packages, pretrained encoders and subgroups before the training, since they would be refused during or after it."""
    _collect(errors, check_baselines, experiment.evaluation.baselines, origin.place)
    _collect(errors, check_trackers, experiment.training.trackers, origin.place)
    _collect(errors, check_encoders, experiment.branches, experiment.columns, origin.place)
    if experiment.evaluation.divisions:
        from mmtrain.pipeline.checks.subgroups import check_subgroups  # importing the classes of scores takes 0.05 s

        _collect(errors, check_subgroups, experiment.evaluation.divisions, experiment.data, origin)


def _image_columns(table: Table, images: Mapping[str, Column], attached: Attached) -> tuple[ImageColumn, ...]:
    headers = {key: headers_of(key, column) for key, column in images.items()}
    cells = {key: cells_of(names, {header: table.cells(header) for header in names}) for key, names in headers.items()}
    return tuple(
        image_column(headers[key][0], cells[key], table.rows, images[key], store, attached.unreadable[key])
        for key, store in attached.stores.items()
    )


def _divide(
    experiment: Experiment, table: Table, origin: Origin, errors: list[DataError | ConfigError]
) -> tuple[SplitPlan | None, tuple[PartSummary, ...]]:
    """Return the plan and the summary of its parts; problems of them are added to `errors`."""
    try:
        plan = split_rows(experiment, table)
    except (ConfigError, DataError) as error:
        errors.append(error)
        return None, ()
    try:
        for fold, partition in enumerate(plan.trainings):
            check_parts(experiment, table, partition, fold if len(plan.partitions) > 1 else None)
            check_monitor(experiment.training.early_stopping.monitor, experiment.targets, table, partition, origin)
    except (ConfigError, DataError) as error:
        errors.append(error)
    return plan, summarize(experiment.columns, table, plan)


def _collect(errors: list[DataError | ConfigError], check: Callable[..., object], *arguments: object) -> None:
    """Call a check; add the error that it raises to `errors`."""
    try:
        check(*arguments)
    except (ConfigError, DataError) as error:
        errors.append(error)


def _problems(errors: Iterable[DataError | ConfigError]) -> tuple[Problem, ...]:
    """Return the problems of all errors, each once."""
    return tuple(dict.fromkeys(problem for error in errors for problem in error.problems))


def _together(errors: list[DataError | ConfigError]) -> DataError | ConfigError | None:
    """Return one error with all problems, a DataError if any of them is; None without problems."""
    problems = _problems(errors)
    if not problems:
        return None
    return DataError(problems) if any(isinstance(error, DataError) for error in errors) else ConfigError(problems)


def _read(data: Data, columns: Mapping[str, Column], origin: Origin, errors: list[DataError | ConfigError]) -> Reading:
    """Read all columns of the table that can be read; problems of the others are added to `errors`."""

    def declared(key: str) -> str:
        renamed = key in columns and columns[key].column != key
        return origin.place("columns", key, *(["column"] if renamed else []))

    try:
        reading = read_tolerantly(
            data.table,
            columns,
            missing_values=data.missing_values,
            table_format=data.format,
            tables=data.tables,
            least=LEAST_ROWS,
            declared=declared,
        )
    except DataError as error:
        errors.append(error)
        return Reading(None)
    if reading.problems:
        errors.append(DataError(reading.problems))
    return reading


def _check_images_folder(data: Data, errors: list[DataError | ConfigError]) -> None:
    """Report an images folder that does not exist, when the table, whose images would show it, cannot be read."""
    if data.images is not None:
        _collect(errors, ImageFinder, data.images_folder)


def _image_counts(table: Table, key: str, column: Column, unreadable: list[Unreadable]) -> ImageCounts:
    header, *others = headers_of(key, column)
    empty = column.missing_cells(cells_of([header, *others], {name: table.cells(name) for name in (header, *others)}))
    bad = [one for one in unreadable if not empty[one.row]]
    shown = tuple(Problem(table.place(one.row, header), one.what, one.fix) for one in by_file(bad)[:SHOWN])
    # A row of several images, or slices, goes without only if it has no other.
    without = len({one.row for one in bad if not one.others})
    return ImageCounts(rows=len(table), empty=int(empty.sum()), unreadable=without, bad=shown)
