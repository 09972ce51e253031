"""Rare categories of inputs, and categories that training rows do not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE
from mmtrain.audit.pairs import distinct_pairs
from mmtrain.audit.quality.column_quality import names_each_row
from mmtrain.audit.row_metadata import TEST, TRAIN, VALIDATION, RowMetadata
from mmtrain.errors import counted, listed
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW_TO_LEARN = 3
"""Training rows of a category, below which nothing is learned about it."""
UNSEEN = 0.05
"""Share of a part's rows with categories unknown to training, above which it is a warning, unless a random split explains it."""
LEAST_ROWS = 100
"""Training rows below which most categories are rare anyway."""


def rare_categories(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Return the findings on all columns of names."""
    columns = table.inputs_of("names")
    sure = FAMILY_WISE_ERROR_RATE / (2 * max(len(columns), 1))  # of two parts
    return [finding for cells in columns for finding in [*_rare_categories(cells, metadata), *_unseen(cells, metadata, sure)]]


def _named(names: list[str], codes: NDArray[np.int64]) -> str:
    return listed([quote_value(names[code]) for code in codes], most=5)


def _training(cells: ColumnValues, metadata: RowMetadata) -> NDArray[np.int64]:
    """Return the training rows; all rows where nothing is divided."""
    return np.arange(len(cells.prints)) if metadata.parts is None else metadata.of_part(TRAIN)


def _rare_categories(cells: ColumnValues, metadata: RowMetadata) -> list[Finding]:
    rows = _training(cells, metadata)
    codes, names = cells.codes(rows)
    times = np.bincount(codes[codes >= 0], minlength=len(names))
    rare = np.flatnonzero(times < FEW_TO_LEARN)
    # Without any frequent category the column is an id, which has a finding of its own.
    if not len(rare) or len(rows) < LEAST_ROWS or times.max() < LEAST_ROWS // 10:
        return []
    rare_rows = rows[np.isin(codes, rare)]
    part = "" if metadata.parts is None else "training "
    verb = "occurs" if len(rare) == 1 else "occur"
    number = f"{len(rare):,} of {counted(len(names), 'category', 'categories')}"
    what = f"{number} {verb} in fewer than {FEW_TO_LEARN} {part}rows: {_named(names, rare)}."
    why = "From one or two rows a model only memorises these rows."
    fix = f"Set `min_count: {FEW_TO_LEARN}` for the column, so that rare categories share a code, or merge them."
    return [Finding("note", "rare_categories", cells.header, what, why, fix, first_rows(rare_rows), count=len(rare_rows))]


def _unseen(cells: ColumnValues, metadata: RowMetadata, sure: float) -> list[Finding]:
    """Find categories of validation and test that training does not have."""
    # An id is unseen in every part, which says nothing about the split.
    if metadata.parts is None or names_each_row(cells):
        return []
    known = pd.unique(cells.prints[_training(cells, metadata)])
    unseen_rows: list[NDArray[np.int64]] = []
    strange = False
    for part in (VALIDATION, TEST):
        rows = metadata.of_part(part)
        unseen = rows[~np.isin(cells.prints[rows], known) & ~cells.missing[rows]]
        # Both: enough rows to matter, and more than a random split explains.
        strange |= len(unseen) > UNSEEN * len(rows) and _beyond_chance(cells, metadata, unseen, sure)
        unseen_rows.append(unseen)
    rows = np.concatenate(unseen_rows)
    if not len(rows):
        return []
    codes, names = cells.codes(rows)
    verb = "has" if len(rows) == 1 else "have"
    what = (
        f"{counted(len(rows), 'row')} of validation and test {verb} a category that training does not: {_named(names, np.unique(codes))}."
    )
    why = "The network has learned nothing about them: all of them share one code."
    level: Level = "warning" if strange else "note"
    fix = "Mark some of their rows train, or merge them with categories that training has." if metadata.given else "Merge rare categories."
    return [Finding(level, "unseen_categories", cells.header, what, why, fix, first_rows(rows), count=len(rows))]


def _beyond_chance(cells: ColumnValues, metadata: RowMetadata, unseen: NDArray[np.int64], sure: float) -> bool:
    """Return True where a random split would have put some row, or group, of the most frequent of these categories into training."""
    codes, names = cells.codes(unseen)
    # A group moves as a whole: fifty unseen rows of one patient are one event.
    most = int(np.bincount(distinct_pairs(codes, metadata.units[unseen])[0]).max())
    divided = metadata.parts >= 0 if metadata.parts is not None else np.zeros(metadata.rows, dtype=np.bool_)
    trained = len(metadata.of_part(TRAIN)) / max(int(divided.sum()), 1)
    # Each unit is outside training with probability 1 - trained; Bonferroni over the unseen categories.
    return not metadata.by_random and len(names) * (1 - trained) ** most < sure
