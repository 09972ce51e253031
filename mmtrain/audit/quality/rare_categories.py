"""Categories of the inputs: which are rare, and which parts know nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE
from mmtrain.audit.quality.column_quality import names_each_row
from mmtrain.audit.row_metadata import TEST, TRAIN, VALIDATION, RowMetadata, distinct_pairs
from mmtrain.errors import counted, listed
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW_TO_LEARN = 3
"""Training rows of a category, below which nothing is learned of it."""
UNSEEN = 0.05
"""The share of a part's rows with categories unknown to training above which it is a warning, unless chance left them out."""
LEAST_ROWS = 100
"""Training rows below which most categories are rare anyway."""


def rare_categories(sheet: TableValues, cohort: RowMetadata) -> list[Finding]:
    """Everything of this family."""
    columns = sheet.inputs_of("names")
    sure = FAMILY_WISE_ERROR_RATE / (2 * max(len(columns), 1))  # of two parts
    return [found for cells in columns for found in [*_rare_categories(cells, cohort), *_unseen(cells, cohort, sure)]]


def _named(names: list[str], codes: NDArray[np.int64]) -> str:
    return listed([quote_value(names[code]) for code in codes], most=5)


def _training(cells: ColumnValues, cohort: RowMetadata) -> NDArray[np.int64]:
    """Rows that are learned from: all of them where nothing is divided."""
    return np.arange(len(cells.prints)) if cohort.parts is None else cohort.of_part(TRAIN)


def _rare_categories(cells: ColumnValues, cohort: RowMetadata) -> list[Finding]:
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


def _unseen(cells: ColumnValues, cohort: RowMetadata, sure: float) -> list[Finding]:
    """Categories of validation and test that training does not know."""
    if cohort.parts is None or names_each_row(cells):
        return []
    known = pd.unique(cells.prints[_training(cells, cohort)])
    found: list[NDArray[np.int64]] = []
    strange = False
    for part in (VALIDATION, TEST):
        rows = cohort.of_part(part)
        unseen = rows[~np.isin(cells.prints[rows], known) & ~cells.missing[rows]]
        strange |= len(unseen) > UNSEEN * len(rows) and _beyond_chance(cells, cohort, unseen, sure)
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


def _beyond_chance(cells: ColumnValues, cohort: RowMetadata, unseen: NDArray[np.int64], sure: float) -> bool:
    """Return True where a random split would have put some row, or group, of the most frequent of these categories into training."""
    codes, names = cells.codes(unseen)
    most = int(np.bincount(distinct_pairs(codes, cohort.units[unseen])[0]).max())
    divided = cohort.parts >= 0 if cohort.parts is not None else np.zeros(cohort.rows, dtype=np.bool_)
    trained = len(cohort.of_part(TRAIN)) / max(int(divided.sum()), 1)
    return not cohort.by_chance and len(names) * (1 - trained) ** most < sure
