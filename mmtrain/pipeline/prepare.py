"""Steps shared by `fit`, `evaluate`, `check` and `inspect-data`: from an experiment to a checked table with images and a split."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.columns import Column, Group, Split, Time, column_of_role
from mmtrain.columns.cells import intern_cells
from mmtrain.config import Experiment
from mmtrain.config.experiment import Data
from mmtrain.config.image_folder import ImageFolder
from mmtrain.config.sections.evaluation import fewest_units
from mmtrain.data.images.decode import Progress
from mmtrain.data.images.store import ImageStore, Say, attach
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.read_table import ReadOptions, read
from mmtrain.data.tables.table import Table, headers_of
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import DataError, Problem
from mmtrain.splits.folds import describe_folds
from mmtrain.splits.plan import Rows, SplitPlan, hold_out_calibration
from mmtrain.system.paths import table_folder
from mmtrain.system.remote import address_of, local_path
from mmtrain.targets import KnownLabels, Target, targets_among


@dataclass(frozen=True)
class LoadedData:
    """A table without unusable cells, and its images."""

    table: Table
    stores: dict[str, ImageStore]


def read_data(
    experiment: Experiment,
    path: Path,
    images: ImageFolder,
    *,
    progress: Progress | None = None,
    say: Say = lambda _: None,
    columns: Mapping[str, Column] | None = None,
) -> LoadedData:
    """Read and check a table and decode its images; `columns` are those it must have, by default all of the experiment.

    Raises DataError with every problem of cells and of images.
    """
    wanted = experiment.columns if columns is None else columns
    data, later = experiment.data, columns is not None
    options = ReadOptions(missing_values=data.missing_values, table_format=data.format, tables=data.tables, later=later)
    options["least"] = 1 if later else 2
    table = read(path, wanted, **options)
    attached = attach(table, wanted, images, cache=experiment.data.cache, progress=progress, say=say)
    if attached.problems:
        raise DataError(attached.problems)
    return LoadedData(attached.table, attached.stores)


def other_data(
    experiment: Experiment, path: Path, *, images: Path | None = None, progress: Progress | None = None, say: Say = lambda _: None
) -> LoadedData:
    """Read another table than the experiment's: its inputs, and its ids and labels if it has them; no groups, parts or weights.

    Its image cells are relative to `images`, or else to the experiment's images folder, or else to the table's own.
    """
    path = local_path(path)
    headers = set(later_table(experiment.data, path).headers)
    # Groups, parts and weights only matter in training; a scored table may lack them.
    wanted = {key: column for key, column in experiment.columns.items() if column.purpose in ("input", "naming")}
    wanted |= {key: KnownLabels(of=target) for key, target in experiment.targets.items()}
    needed = {key: column for key, column in wanted.items() if column.part_of_model or headers.issuperset(headers_of(key, column))}
    folder = ImageFolder(images or experiment.data.images or table_folder(path.resolve()), experiment.data.allow_outside, "--images")
    return read_data(experiment, path, folder, columns=needed, progress=progress, say=say)


def later_table(data: Data, path: Path) -> TableFile:
    """Open a table that is not that of the training and may have another format. Raises DataError."""
    otherwise = "Set `--data` to its path."
    return open_table(path, data.missing_values, data.format, tables=data.tables, later=True, otherwise=otherwise)


@dataclass(frozen=True)
class Moved:
    """Present places of the table of a training and of its images folder; None if they have not moved."""

    table: Path | None = None
    images: Path | None = None

    def applied(self, experiment: Experiment) -> Experiment:
        """Return the experiment with these places.

        An images folder that the experiment leaves out is that of the table, at its new place. One that no longer exists is expected
        at its former place relative to the table, and so are second tables.
        """
        table = self.table and local_path(self.table).absolute()
        data = experiment.data
        places = {"table": table, "images": self.images or (table and data.images and _moved_along(data, data.images, table))}
        update: dict[str, Any] = {name: place for name, place in places.items() if place is not None}
        if table and data.tables:
            moved = {name: _moved_along(data, one.table, table) or one.table for name, one in data.tables.items()}
            update["tables"] = {name: one.model_copy(update={"table": moved[name]}) for name, one in data.tables.items()}
        return experiment.model_copy(update={"data": experiment.data.model_copy(update=update)}) if update else experiment


def _moved_along(data: Data, place: Path, table: Path) -> Path | None:
    """Return where a folder or file of the experiment is next to the moved table; None if it is still in its place."""
    if place.exists() or address_of(place):
        return None
    # From the old table to the old place, applied to the new table.
    return Path(os.path.normpath(table.parent / os.path.relpath(place, data.table.parent)))


def split_rows(experiment: Experiment, table: Table) -> SplitPlan:
    """Return the plan of a table by the experiment's section `split`, with the calibration rows of `evaluation.conformal`.

    Raises:
        DataError: the rows cannot be divided in this way.

    """
    rows, evaluation = strata(experiment.columns, table), experiment.evaluation
    plan = experiment.split.plan(rows)
    partitions, test = plan.partitions, plan.test
    if len(partitions) == 1:
        try:
            partitions, test = (plan.holdout,), test[:0]
        except ValueError as error:
            fix = "Return one set of test rows."
            raise DataError(Problem(f"the split method `{experiment.split.method}`", f"{error}.", fix)) from None
    if evaluation.conformal is None:
        return plan
    fewest = fewest_units(evaluation.conformal)
    calibrated = [
        hold_out_calibration(partition, rows, coverage=evaluation.conformal, fewest=fewest, seed=evaluation.seed)
        for partition in partitions
    ]
    plan = replace(plan, partitions=tuple(calibrated), test=test)
    # The plan was changed after its method was checked.
    plan.check(rows)
    return plan


def describe_trainings(experiment: Experiment, plan: SplitPlan) -> str:
    """Return `15 trainings: 5 folds, each with 3 seeds`; empty for an experiment of one training."""
    seeds, folds, branches = experiment.training.seeds, len(plan.partitions), len(experiment.member_branches)
    count = folds * seeds * (1 + branches)
    alone = f", of all branches and each of {branches} alone" if branches else ""
    if count == 1:
        return ""
    if folds == 1:
        return f"{count} trainings{f', with {seeds} seeds' if seeds > 1 else ''}{alone}"
    return f"{count} trainings: {describe_folds(plan.folds, plan.repeats, seeds)}{alone}"


def keep_rows(data: LoadedData, positions: np.ndarray[Any, Any], reason: str = "another part") -> LoadedData:
    """Return the rows at these positions, in the order of the table."""
    # As a mask, since rows keep the order of the table whatever the order of the positions: row i of every array is one row.
    mask = np.zeros(len(data.table), dtype=np.bool_)
    mask[positions] = True
    reasons = dict.fromkeys(np.flatnonzero(~mask).tolist(), reason)
    return LoadedData(data.table.keep(mask, reasons), {key: store.select(mask) for key, store in data.stores.items()})


def strata(columns: Mapping[str, Column], table: Table) -> Rows:
    """Return the facts of every row that a split needs: its group, its class, its given part, its time.

    Raises DataError if the times of the rows cannot be read, now that rows were dropped.
    """
    group, given, time = column_of_role(columns, Group), column_of_role(columns, Split), column_of_role(columns, Time)
    dividing = {"groups": group, "given": given, "times": time}
    moments = None if time is None else table.cells(time.column)
    times = None if time is None or moments is None else _times(table, time, moments)
    return Rows(
        len(table),
        groups=None if group is None else intern_cells(table.cells(group.column)),
        labels=labels(targets_among(columns), table),
        given=None if given is None else intern_cells(given.parts(table.cells(given.column))),
        folds=given is not None and bool(given.fold_words(table.cells(given.column))),
        times=times,
        time_cells=moments,
        headers={name: column.column for name, column in dividing.items() if column is not None},
    )


def _times(table: Table, column: Time, cells: pd.Series[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    times = column.values(cells)
    if np.isnan(times).any():  # the row that showed whether a day comes before the month may have been dropped
        raise DataError([table.problem(column.column, fault) for fault in column.faults(cells)])
    return times


def groups(columns: Mapping[str, Column], table: Table) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """Return the group of each row as a code; None if the columns or the table has no such column."""
    column = column_of_role(columns, Group)
    if column is None or column.column not in table.headers:
        return None
    return group_codes(pd.concat(table.pieces(column.column), ignore_index=True))


def group_codes(cells: pd.Series[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return equal codes for equal cells, (rows,). A row without a group, which only a scored table may have, gets its own code."""
    codes = pd.factorize(cells)[0].astype(np.int64)
    # A row without a group is independent of all others.
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    return codes


def labels(targets: Mapping[str, Target], table: Table) -> pd.Categorical[str] | None:
    """Return the class of every row by the first target that has classes, or None."""
    for target in targets.values():
        classes = target.strata({header: table.cells(header) for header in target.reads()})
        if classes is not None:
            return classes
    return None
