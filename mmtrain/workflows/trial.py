"""`check` that does not stop: every step that can still be taken is taken, and what each would refuse is kept.

A column with a mistake in it is read as one that accepts everything, so that the pictures and the parts are seen all the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from mmtrain.columns import Column, Group, Image, Split
from mmtrain.config import Experiment
from mmtrain.data import table as tables
from mmtrain.data.image_decode import Progress
from mmtrain.data.images import SHOWN, Unreadable, attach, open_store
from mmtrain.data.parts import PartSummary, summarise
from mmtrain.data.table import Table, headers_of
from mmtrain.errors import DataError, MmtrainError, Problem
from mmtrain.targets import Target
from mmtrain.workflows.prepare import check_class_weights, split_rows, strata


@dataclass(frozen=True)
class Pictures:
    """The rows of an image column, without those that other columns drop."""

    rows: int
    empty: int
    """Rows without a path."""
    unreadable: int
    """Rows with a path, but no picture that can be decoded."""
    bad: tuple[Problem, ...]
    """The first twenty of these."""


@dataclass(frozen=True)
class Trial:
    """How far an experiment gets."""

    problems: tuple[Problem, ...]
    dropped: int = 0
    parts: tuple[PartSummary, ...] = ()
    pictures: dict[str, Pictures] = field(default_factory=dict)


def trial(experiment: Experiment, path: Path, overrides: Iterable[str], *, progress: Progress | None = None) -> Trial:
    """Try everything that `check` does with the experiment in the file at `path`; raises nothing that `check` would."""
    problems: list[Problem] = []
    table, sound = _read(experiment, problems)
    if table is None:
        return Trial(tuple(dict.fromkeys(problems)))
    table, pictures = _try_pictures(experiment, table, problems, progress)
    parts: tuple[PartSummary, ...] = ()
    if sound:
        try:
            check_class_weights(experiment, table, path, overrides)
        except MmtrainError as error:
            problems += error.problems
        try:
            rows = strata(experiment, table)
            parts = summarise(split_rows(experiment, table), labels=rows.labels, groups=rows.groups)
        except MmtrainError as error:
            problems += error.problems
    return Trial(tuple(dict.fromkeys(problems)), len(table.dropped), parts, pictures)


class _Lenient(Column):
    """Stands for a column that has mistakes: accepts every cell."""

    streamed: ClassVar[bool] = True

    missing: str = ""


def _read(experiment: Experiment, problems: list[Problem]) -> tuple[Table | None, bool]:
    """The table as strictly as it can be read, and whether what a split needs is in it."""
    columns = dict(experiment.columns)
    dividing = {key: column for key, column in columns.items() if isinstance(column, Target | Group | Split)}
    pictures = {key: column for key, column in columns.items() if isinstance(column, Image)}
    dropping = {
        f"{key} {header}": _Lenient(role="lenient", column=header, missing="drop")
        for key, column in columns.items()
        if column.drops_missing and key not in pictures
        for header in headers_of(key, column)
    }
    ways: list[tuple[dict[str, Column], bool]] = [
        (columns, True),
        ({**dividing, **pictures, **dropping}, True),
        ({**dividing, **dropping}, True),
        ({**pictures, **dropping}, False),
    ]
    for number, (wanted, sound) in enumerate(ways):
        if not wanted:
            continue
        try:
            return tables.read(experiment.data.table, wanted, missing_values=experiment.data.missing_values, least=2), sound
        except DataError as error:
            problems += error.problems if number == 0 else ()  # of the same cells
    return None, False


def _try_pictures(
    experiment: Experiment, table: Table, problems: list[Problem], progress: Progress | None
) -> tuple[Table, dict[str, Pictures]]:
    """Every picture decoded, and the table without the rows that `missing: drop` sends away for their pictures."""
    data = experiment.data
    found: dict[str, Pictures] = {}
    reasons: dict[int, str] = {}
    for key, column in experiment.columns.items():
        header = headers_of(key, column)[0]
        if not isinstance(column, Image) or table.headers.count(header) != 1:
            continue
        try:
            _, unreadable = open_store(
                table.cells(header), column, data.images_folder, cache=data.cache, allow_outside=data.allow_outside, progress=progress
            )
            found[key] = _pictures(table, header, unreadable)
            if column.drops_missing:
                reasons |= {bad.row: f"{header}: {bad.what}" for bad in unreadable}
            attach(table, {key: column}, data.images_folder, cache=data.cache, allow_outside=data.allow_outside)  # for its problems
        except MmtrainError as error:
            problems += error.problems
    mask = np.ones(len(table), dtype=np.bool_)
    mask[list(reasons)] = False
    left = table.keep(mask, reasons)
    problems += left.too_few(1)
    return left, found


def _pictures(table: Table, header: str, unreadable: list[Unreadable]) -> Pictures:
    empty = table.cells(header).isna().to_numpy()
    bad = [one for one in unreadable if not empty[one.row]]
    shown = tuple(Problem(table.place(one.row, header), one.what, one.fix) for one in bad[:SHOWN])
    return Pictures(len(table), int(empty.sum()), len(bad), shown)
