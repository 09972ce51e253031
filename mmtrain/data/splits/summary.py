"""Summary of the parts of a split: rows, groups, classes or labels, and the middle of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mmtrain.columns import Group
from mmtrain.columns.numeric import parse_numbers
from mmtrain.config import Experiment
from mmtrain.data.tables.table import Table
from mmtrain.splits.plan import Partition
from mmtrain.targets import Target


@dataclass(frozen=True)
class PartSummary:
    """Summary of one part."""

    part: str
    rows: int
    share: float
    """Proportion of all rows, 0 to 1."""
    groups: int | None
    """None where the table has no group column."""
    classes: dict[str, int]
    """Rows of each class of the first target that has classes, or of each label of the first that has labels; those of the whole
    table, in the order of their names or of the file. Empty where there are none."""
    medians: dict[str, float | None]
    """Median of each target that is a number, by its key; None where the part has no rows."""


def summarize(experiment: Experiment, table: Table, partition: Partition) -> tuple[PartSummary, ...]:
    """Summarise each part of a checked table."""
    group, told = experiment.only(Group), _describe(experiment.targets.values())
    groups = None if group is None else pd.factorize(table.cells(group.column))[0]
    answers = {} if told is None else {header: table.cells(header) for header in told.reads()}
    names = [] if told is None else told.answers(answers)
    values = {key: parse_numbers(table.cells(one.column)) for key, one in experiment.targets.items() if one.is_continuous}
    summaries = []
    for part, rows in partition.items():
        times = {} if told is None else told.tally({header: cells.iloc[rows] for header, cells in answers.items()})
        summaries.append(
            PartSummary(
                part,
                len(rows),
                len(rows) / len(table),
                None if groups is None else int(np.count_nonzero(np.bincount(groups[rows]))),
                {name: times.get(name, 0) for name in names},
                {key: float(np.median(found[rows])) if len(rows) else None for key, found in values.items()},
            )
        )
    return tuple(summaries)


def _describe(targets: Iterable[Target]) -> Target | None:
    """The target whose classes or labels are counted: a split may be stratified by the first with classes."""
    able = [target for target in targets if not target.is_continuous]
    return next((target for target in able if target.stratifies), able[0] if able else None)
