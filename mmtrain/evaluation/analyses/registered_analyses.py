"""Analyses of evaluated rows that a user's own file adds to `evaluate`.

An analysis is a function `(rows) -> AnalysisTable | None` that takes the scored rows of a target and is called once per target; None
where it has nothing to report. Its table is stored in metrics.json and shown by `evaluate`, with `--json`, and in the report. An example:

    @analysis
    def loss_by_hour(rows):
        losses = rows.answers.target.row_losses(rows.answers.truth, rows.answers.prediction)
        means = pd.Series(losses).groupby(rows.cells("hour").to_numpy()).mean()
        return AnalysisTable(head=["Hour", "Mean loss"], rows=[[str(hour), float(loss)] for hour, loss in means.items()])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from mmtrain.artifacts.analysis_results import AnalysisTable
from mmtrain.columns.cells import concatenate
from mmtrain.data.tables.table import Table
from mmtrain.evaluation.evaluation_set import Array, EvalSet, MultiTargetEvalSet
from mmtrain.registry import Registry

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class EvaluatedRows:
    """The scored rows of a target that have a known answer."""

    key: str
    """Key of the target."""
    answers: EvalSet
    """The fitted target, the answers and the predictions (rows, ...), and the codes of the groups."""
    table: Table
    positions: Array
    """The position of each row in `table`."""

    def cells(self, header: str) -> pd.Series[str]:
        """Return the cells of a column of the table as texts, NA where empty, with the index 0, 1, ... of these rows."""
        return concatenate(self.table.pieces(header)).iloc[self.positions].reset_index(drop=True)


Analysis = Callable[[EvaluatedRows], AnalysisTable | None]
Function = TypeVar("Function", bound=Analysis)
analyses: Registry[Analysis] = Registry("analysis")


def analysis(function: Function) -> Function:
    """Register a function as an analysis of its name. Raises ValueError when the name is taken."""
    analyses.add(function.__name__, function)
    return function


def registered_tables(
    truths: MultiTargetEvalSet, predictions: Mapping[str, Array], table: Table, rows: Array
) -> dict[str, dict[str, AnalysisTable]]:
    """Return the tables of tasks and registered analyses by target and name; `rows` are the positions of the scored rows in `table`."""
    tables: dict[str, dict[str, AnalysisTable]] = {key: {} for key in predictions}
    for key, prediction in predictions.items():
        known = EvaluatedRows(key, truths.eval_set(key, prediction), table, rows[np.flatnonzero(truths.known_rows(key))])
        if len(known.answers):
            answers = known.answers
            for name, one in answers.target.tables(answers.truth, answers.prediction, answers.groups).items():
                tables[key][name] = AnalysisTable(head=list(one.head), rows=one.rows, caption=one.caption, note=one.note)
        for name, function in analyses.items():
            if len(known.answers) and (made := function(known)) is not None:
                tables[key][name] = made
    return tables
