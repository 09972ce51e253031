"""Summary of the parts of a split: rows, groups, classes or labels, and the middle of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmtrain.artifacts.inspection_results import PartSummary
from mmtrain.columns import Column, Group, column_of_role
from mmtrain.data.tables.table import Table
from mmtrain.splits.plan import Partition, SplitPlan
from mmtrain.targets import Target, targets_among


def summarize(columns: Mapping[str, Column], table: Table, parts: Partition | SplitPlan) -> tuple[PartSummary, ...]:
    """Summarise each part of a checked table, or the rows that each fold scores."""
    targets, group = targets_among(columns), column_of_role(columns, Group)
    counted = _counted_target(targets.values())
    groups = None if group is None else pd.factorize(table.cells(group.column))[0]
    answers = {} if counted is None else {header: table.cells(header) for header in counted.reads()}
    names = [] if counted is None else counted.answers(answers)
    numbers_of = {key: one.numbers({header: table.cells(header) for header in one.reads()}) for key, one in targets.items()}
    values = {key: numbers for key, numbers in numbers_of.items() if numbers is not None}
    summaries = []
    for part, rows in parts.items():
        times = {} if counted is None else counted.tally({header: cells.iloc[rows] for header, cells in answers.items()})
        summaries.append(
            PartSummary(
                part=part,
                rows=len(rows),
                share=len(rows) / len(table),
                groups=None if groups is None else int(np.count_nonzero(np.bincount(groups[rows]))),
                classes={name: times.get(name, 0) for name in names},
                medians={key: _median(numbers[rows]) for key, numbers in values.items()},
            )
        )
    return tuple(summaries)


def _median(numbers: NDArray[np.float64]) -> float | None:
    """Return the median of the answers that are known; None without one."""
    known = numbers[~np.isnan(numbers)]
    return float(np.median(known)) if len(known) else None


def _counted_target(targets: Iterable[Target]) -> Target | None:
    """The target whose classes or labels are counted: a split may be stratified by the first with classes."""
    able = [target for target in targets if target.stratifies or not target.is_continuous]
    return next((target for target in able if target.stratifies), able[0] if able else None)
