"""Rows that `explain` explains: named ones or a part of a table, their cells, and their explanations by one training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.arrays import Array
from mmtrain.data.drift import read_statistics
from mmtrain.data.encode import Fitted
from mmtrain.data.images.store import Say
from mmtrain.data.tables.table import Table, shown_cells
from mmtrain.errors import Problem, UsageError, counted, did_you_mean, listed
from mmtrain.explanation.attribution import RowExplanation, RowInputs, SelectedRow, describe
from mmtrain.explanation.selection import ExplainedOutputs, select_rows
from mmtrain.pipeline.prepare import LoadedData, keep_rows
from mmtrain.pipeline.restore import with_cached_features

MAX_COMPARED_IDS = 10_000
"""Maximum number of ids with which an unknown id is compared; a million would take seconds."""


@dataclass(frozen=True)
class ExplainedRows:
    """A table, the part of each of its rows, (rows,), and the positions of the rows that are explained or may be chosen."""

    data: LoadedData
    parts: Array
    positions: Array
    named: bool
    own_table: bool
    members: Array | None = None
    """(rows, trainings): the trainings of a group that explain each row; None for all of them."""

    def only(self, rows: Array) -> ExplainedRows:
        """Return a table of these rows alone, in the order of `rows`, as named ones; `rows` are positions in the table."""
        # Sorted and each once, as the table keeps its own order; `searchsorted` leads back to the order of `rows`.
        together = np.unique(rows)
        data = keep_rows(self.data, together, "not named")
        members = None if self.members is None else self.members[together]
        return ExplainedRows(data, self.parts[together], np.searchsorted(together, rows), True, self.own_table, members)


def named_rows(table: Table, names: tuple[str, ...], *, numbered: bool) -> Array:
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


def explain_rows(
    run: Run, experiment: Experiment, fitted: Fitted, outputs: ExplainedOutputs, rows: ExplainedRows, say: Say
) -> Iterator[RowExplanation]:
    """Explain row by row with one training: the named rows, or those that are chosen."""
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
    say(f"Explaining {counted(len(wanted), 'row')}.")
    cells = cells_of_rows(experiment, fitted, table, rows.positions[[row for row, _ in wanted]])
    for row, why in wanted:
        at = rows.positions[[row]]
        truth = "" if answers is None else describe(target, target.decode_truth(answers[[row]])[0])
        chosen = SelectedRow(int(table.rows[at[0]]), table.ids(at)[0], rows.parts[at[0]], why)
        of_row = {key: cells_of_column[int(at[0])] for key, cells_of_column in cells.items()}
        yield explainer.explain(chosen, RowInputs.of(of_row, arrays.columns(at)), truth, predictions[[row]])


def cells_of_rows(experiment: Experiment, fitted: Fitted, table: Table, positions: Array) -> dict[str, dict[int, str | None]]:
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
