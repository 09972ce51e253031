"""Effects of each `missing:` policy on the empty cells of a column, counted."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

import numpy as np
import pandas as pd

from mmtrain.artifacts.inspection_results import MissingPlan
from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.columns import Column
from mmtrain.errors import counted


def missing_value_policies(column: Column) -> tuple[str, ...]:
    """The policies that a column can have, in the order of their declaration."""
    declared = type(column).model_fields.get("missing")
    if declared is None or get_origin(declared.annotation) is not Literal:
        return ()
    return tuple(str(name) for name in get_args(declared.annotation))


def plan_missing_values(table: TableValues, metadata: RowMetadata) -> tuple[MissingPlan, ...]:
    """Plan every column that an experiment declares with a policy and that has empty cells."""
    plans = []
    labels = next(iter(metadata.targets), None)
    targets = {id(cells.use.column) for cells in table.columns if cells.use.purpose == "answer"}
    for cells in table.columns:
        column = cells.use.column
        answered = bool(cells.use.separator)  # an empty cell of labels means none of them
        names = missing_value_policies(column) if column is not None and not answered else ()
        empty = cells.missing
        if column is None or not names or not empty.any():
            continue
        number = int(empty.sum())
        # Rows per class that lack the cell: dropping rows that are mostly of one class changes the task.
        times = np.bincount(labels.label[empty[labels.row]], minlength=len(labels.names)) if labels is not None else ()
        by_class = {name: int(rows) for name, rows in zip(labels.names if labels is not None else (), times, strict=True) if rows}
        effects = {name: _effect(name, number, table.rows) for name in names}
        if cells.use.purpose == "answer":
            effects |= _effects_on_answers(cells, column, effects, alone=len(targets) == 1)
        plans.append(
            MissingPlan(
                header=cells.header,
                chosen=cells.use.policy,
                cells=number,
                share=number / table.rows,
                by_class=by_class,
                effects=effects,
            )
        )
    return tuple(plans)


def _effects_on_answers(cells: ColumnValues, column: Column, effects: dict[str, str], *, alone: bool) -> dict[str, str]:
    """Return the effects on an answer, of the target `column`, that differ from those on an input; it is the only target if `alone`."""
    number, traits = int(cells.missing.sum()), cells.use.traits
    rows, one = counted(number, "row"), number == 1
    dropped = effects.get("drop", "")
    # A column of labels drops the label of the row rather than the row, and so does one of several numbers.
    if traits.has_labels or _counts_for_the_others(column):
        dropped = f"{rows} {'does' if one else 'do'} without this {'label' if traits.has_labels else 'number'}"
    # With one target, a row that is masked counts for nothing.
    masked = dropped if alone else f"{rows} {'counts' if one else 'count'} for other targets alone"
    return {name: effect for name, effect in (("drop", dropped), ("mask", masked)) if name in effects}


def _counts_for_the_others(column: Column) -> bool:
    """Return True if a row that lacks one of the answers of a target still counts for the others."""
    first, *others = column.reads()
    cells = {first: pd.Series([None], dtype="str"), **{header: pd.Series(["1"], dtype="str") for header in others}}
    return bool(others) and not column.missing_rows(cells)[0]


def _effect(policy: str, cells: int, rows: int) -> str:
    many = cells != 1
    return {
        "median": f"{cells:,} get the training median and a mark",
        "mean": f"{cells:,} get the training mean and a mark",
        "constant": f"{cells:,} get the constant and a mark",
        "mask": f"the branch goes without in {cells:,} {'rows' if many else 'row'}",
        "code": f"{cells:,} become a value of their own",
        "drop": f"{cells:,} {'rows leave' if many else 'row leaves'}, {rows - cells:,} are left",
        "error": f"refused because of {cells:,} {'cells' if many else 'cell'}",
    }.get(policy, "")
