"""Classes of the answer and categories of the inputs: which are rare, and which parts know nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.columns.bookkeeping import PARTS
from mmtrain.data.findings.cells import Cells, Sheet
from mmtrain.data.findings.cohort import TEST, TRAIN, VALIDATION, Cohort, distinct_pairs
from mmtrain.data.findings.finding import Finding, Level, first_rows
from mmtrain.data.findings.inputs import names_each_row
from mmtrain.data.findings.significance import SURE
from mmtrain.data.surveys.guess import shown
from mmtrain.errors import counted, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNBALANCED = 0.1
"""Rows of the rarest class for one of the most frequent, below which accuracy says little."""
FEW_TO_SCORE = 10
"""Rows (or groups) of a class in a scored part, below which its share of right answers is uncertain by 0.3 to either side."""
FEW_TO_LEARN = 3
"""Training rows of a category, below which nothing is learned of it."""
UNSEEN = 0.05
"""The share of a part's rows with categories unknown to training above which it is a warning, unless chance left them out."""
LEAST_ROWS = 100
"""Training rows below which most categories are rare anyway."""


def classes(sheet: Sheet, cohort: Cohort) -> list[Finding]:
    """Everything of this family."""
    found: list[Finding] = []
    for cells in sheet.of_role("target"):
        if cells.use.task in ("binary", "multiclass"):
            found += _balance(cells) + _rare_classes(cells, cohort)
    for cells in sheet.of_role("categorical"):
        found += _rare_categories(cells, cohort) + _unseen(cells, cohort)
    return found


def _balance(cells: Cells) -> list[Finding]:
    codes, names = cells.codes(np.arange(len(cells.prints)))
    times = np.bincount(codes[codes >= 0], minlength=len(names))
    if len(names) < 2 or times.min() >= UNBALANCED * times.max():
        return []
    rare, often = int(times.argmin()), int(times.argmax())
    of_rare, of_often = (f"{shown(names[code])} ({counted(int(times[code]), 'row')})" for code in (rare, often))
    what = f"{of_rare} is met {times[often] / times[rare]:.0f} times less often than {of_often}."
    why = f"Who always says {shown(names[often])} is right in {times[often] / times.sum():.0%} of the rows, so accuracy says little."
    fix = "Look at balanced accuracy, macro F1 or PR-AUC; try `class_weights: balanced`."
    return [Finding("note", "class_imbalance", cells.header, what, why, fix)]


def _rare_classes(cells: Cells, cohort: Cohort) -> list[Finding]:
    """Classes that some part lacks, or that are too rare there to be scored."""
    if cohort.parts is None:
        return []
    used = np.flatnonzero(cohort.parts >= 0)
    codes, names = cells.codes(used)
    held = np.zeros((len(PARTS), len(names)), dtype=np.int64)  # units of each class in each part
    for part in range(len(PARTS)):
        inside = (cohort.parts[used] == part) & (codes >= 0)
        held[part] = np.bincount(distinct_pairs(codes[inside], cohort.units[used[inside]])[0], minlength=len(names))
    noun = "row" if cohort.groups is None else "group"
    unlearned = np.flatnonzero((held[TRAIN] == 0) & (held.sum(axis=0) > 0))
    found = [_unlearned(cells, _named(names, unlearned), used[np.isin(codes, unlearned)])] if len(unlearned) else []
    parts = [part for part in (VALIDATION, TEST) if held[part].any()]
    for part in parts:
        absent = np.flatnonzero((held[part] == 0) & (held[TRAIN] > 0))
        if len(absent):
            found.append(_unscored(cells, PARTS[part], _named(names, absent), f"{len(parts) + 1} {noun}s"))
    scarce = (held > 0) & (held < FEW_TO_SCORE) & (held[TRAIN] > 0)
    few = [f"{PARTS[part]} {held[part, code]} of {shown(names[code])}" for part in parts for code in np.flatnonzero(scarce[part])]
    return [*found, _hardly_scored(cells, few, noun)] if few else found


def _unlearned(cells: Cells, named: str, rows: NDArray[np.int64]) -> Finding:
    what = f"training has no row of {named}."
    why = "What is not seen in training is never predicted; its rows can only be wrong."
    fix = "Mark some of its rows train, merge it with another class, or leave its rows out."
    return Finding("error", "rare_class", cells.header, what, why, fix, first_rows(rows), count=len(rows))


def _unscored(cells: Cells, part: str, named: str, least: str) -> Finding:
    what = f"{part} has no row of {named}."
    why = f"Scores on {part} say nothing of it. A class needs at least {least}, one for each part."
    return Finding("warning", "rare_class", cells.header, what, why, "Use `split: {method: stratified}`, or merge it with another class.")


def _hardly_scored(cells: Cells, few: list[str], noun: str) -> Finding:
    what = f"a class has fewer than {FEW_TO_SCORE} {noun}s to be scored on: {listed(few, most=5)}."
    why = "One answer more or less moves the score of such a class by a tenth or more."
    fix = "Read its scores with their intervals; larger parts, or merged classes, would say more."
    return Finding("note", "rare_class", cells.header, what, why, fix)


def _named(names: list[str], codes: NDArray[np.int64]) -> str:
    return listed([shown(names[code]) for code in codes], most=5)


def _training(cells: Cells, cohort: Cohort) -> NDArray[np.int64]:
    """Rows that are learned from: all of them where nothing is divided."""
    return np.arange(len(cells.prints)) if cohort.parts is None else cohort.of_part(TRAIN)


def _rare_categories(cells: Cells, cohort: Cohort) -> list[Finding]:
    rows = _training(cells, cohort)
    codes, names = cells.codes(rows)
    times = np.bincount(codes[codes >= 0], minlength=len(names))
    rare = np.flatnonzero(times < FEW_TO_LEARN)
    if not len(rare) or len(rows) < LEAST_ROWS or times.max() < LEAST_ROWS // 10:
        return []
    held = rows[np.isin(codes, rare)]
    part = "" if cohort.parts is None else "training "
    verb = "is" if len(rare) == 1 else "are"
    number = f"{len(rare):,} of {counted(len(names), 'category', 'categories')}"
    what = f"{number} {verb} met in fewer than {FEW_TO_LEARN} {part}rows: {_named(names, rare)}."
    why = "From one or two rows only those rows are learned."
    fix = f"Set `min_count: {FEW_TO_LEARN}` for the column, so that rare categories share a code, or merge them."
    return [Finding("note", "rare_categories", cells.header, what, why, fix, first_rows(held), count=len(held))]


def _unseen(cells: Cells, cohort: Cohort) -> list[Finding]:
    """Categories of validation and test that training does not know."""
    if cohort.parts is None or names_each_row(cells):
        return []
    known = pd.unique(cells.prints[_training(cells, cohort)])
    found: list[NDArray[np.int64]] = []
    strange = False
    for part in (VALIDATION, TEST):
        rows = cohort.of_part(part)
        unseen = rows[~np.isin(cells.prints[rows], known) & ~cells.missing[rows]]
        strange |= len(unseen) > UNSEEN * len(rows) and _beyond_chance(cells, cohort, unseen)
        found.append(unseen)
    rows = np.concatenate(found)
    if not len(rows):
        return []
    codes, names = cells.codes(rows)
    verb = "has" if len(rows) == 1 else "have"
    what = (
        f"{counted(len(rows), 'row')} of validation and test {verb} a category that training does not: {_named(names, np.unique(codes))}."
    )
    why = "The network has learned nothing of them: all of them share one code."
    level: Level = "warning" if strange else "note"
    fix = "Mark some of their rows train, or merge them with categories that training has." if cohort.given else "Merge rare categories."
    return [Finding(level, "unseen_categories", cells.header, what, why, fix, first_rows(rows), count=len(rows))]


def _beyond_chance(cells: Cells, cohort: Cohort, unseen: NDArray[np.int64]) -> bool:
    """Whether chance would have put some row, or group, of the most frequent of these categories into training."""
    codes, names = cells.codes(unseen)
    most = int(np.bincount(distinct_pairs(codes, cohort.units[unseen])[0]).max())
    divided = cohort.parts >= 0 if cohort.parts is not None else np.zeros(cohort.rows, dtype=np.bool_)
    trained = len(cohort.of_part(TRAIN)) / max(int(divided.sum()), 1)
    return cohort.given and len(names) * (1 - trained) ** most < SURE
