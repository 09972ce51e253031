"""Labels of a table that is scored, compared with the labels that the training rows had."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.tables.table import Table
from mmtrain.errors import DataError, Problem, counted, listed, shell_command
from mmtrain.targets import FittedTarget, Target
from mmtrain.targets.labels.classes import difference, near_spellings

Array = np.ndarray[Any, Any]
NAMED = 5
"""Maximum number of labels that a message names."""


def check_answers(experiment: Experiment, fitted: encode.Fitted, table: Table, rows: Array, *, run: Path) -> None:
    """Raise DataError unless some row has a known label for each target whose cells are filled.

    The error shows the labels of the cells and those of the training, or the command to predict a table without answers.
    """
    truths, _ = encode.encode_targets(experiment.columns, fitted, table)
    problems = {}
    for key, truth in truths.items():
        target, learned = experiment.targets[key], fitted.targets[key]
        counts = _count_labels(target, fitted, key, table, rows)
        only_foreign = learned.has_labels and learned.answers_by_name and bool(counts) and counts.keys().isdisjoint(learned.columns)
        # A cell of unknown labels is probably one text whose separator differs: every label would be absent, a known truth.
        if only_foreign or not learned.known_rows(truth[rows]).any():
            problems[key] = _problem(target, learned, table, rows)
    foreign = [problem for problem, filled in problems.values() if filled]
    # Some targets may be empty in a table that is scored for another one.
    if foreign or len(problems) == len(truths):
        fix = f"Fill in the answers. Predictions need none: {shell_command('predict', run, table.path)}"
        empty = [Problem(problem.where, problem.what, fix) for problem, filled in problems.values() if not filled]
        raise DataError([*foreign, *empty])


def unlearned(experiment: Experiment, fitted: encode.Fitted, table: Table, rows: Array) -> Iterator[str]:
    """Yield a sentence about labels that no training row has; the scores leave their rows out."""
    for key, target in experiment.targets.items():
        known = fitted.targets[key].columns
        counts = _count_labels(target, fitted, key, table, rows) if known and fitted.targets[key].answers_by_name else {}
        unknown = {name: times for name, times in counts.items() if name not in known}
        if unknown and target.has_labels:
            names = listed([repr(name) for name in sorted(unknown)])
            yield f"{key}: no training row has the label{'s' * (len(unknown) > 1)} {names}; the scores leave {_them(unknown)} out."
        elif unknown:
            yield f"{key}: training does not know {_counted(unknown)}; the scores leave {_them(unknown)} out.{_hint(unknown, known)}"


def _them(labels: Sized) -> str:
    return "it" if len(labels) == 1 else "them"


def _count_labels(target: Target, fitted: encode.Fitted, key: str, table: Table, rows: Array) -> Mapping[str, int]:
    """Count the labels of some rows; typed values, numbers for example, are spelled as in training."""
    learned = fitted.targets[key]
    cells = {header: encode.as_trained(fitted, learned, table, header, table.cells(header, rows)) for header in target.reads()}
    return target.tally({header: column[~target.missing_cells(column)] for header, column in cells.items()})


def _problem(target: Target, fitted: FittedTarget, table: Table, rows: Array) -> tuple[Problem, bool]:
    """Return the problem that no row has a known label, and True if any cell is filled."""
    where = f"{table.path.name}: {listed(target.reads())}"
    cells = pd.concat([column[~target.missing_cells(column)] for header in target.reads() for column in [table.cells(header, rows)]])
    if not len(cells):
        return Problem(where, f"none of the {counted(len(rows), 'row')} has an answer."), False
    if not fitted.columns and len(target.reads()) > 1:  # numbers, each of which is known to training; a part of every answer is missing
        return Problem(where, "no row has a value under each of these headers.", "Fill in the cells that are empty."), True
    frequent = _counted(Counter(cells.tolist()))
    known = [repr(name) for name in fitted.columns]
    what = f"no row has an answer that training knows; found {frequent}."
    fix = f"Training knows {listed(known)}: write the answers alike.{_hint(cells.unique().tolist(), fitted.columns)}"
    return Problem(where, what, fix), True


def _hint(names: Iterable[str], known: Sequence[str]) -> str:
    """Return the labels that training spells in another way as a sentence, or nothing."""
    pairs = [alike for alike in near_spellings({*names, *known}) if not set(alike).isdisjoint(known) and not set(alike) <= set(known)]
    named = [f"{listed([repr(name) for name in alike])} {difference(alike)}" for alike in pairs[:NAMED]]
    return f" {'; '.join(named)}." if named else ""


def _counted(answers: Mapping[str, int]) -> str:
    """`'True' (25 rows) and 'False' (15 rows)`, the most frequent first."""
    ranked = sorted(answers.items(), key=lambda item: (-item[1], item[0]))
    return listed([f"{name!r} ({counted(times, 'row')})" for name, times in ranked], most=NAMED)
