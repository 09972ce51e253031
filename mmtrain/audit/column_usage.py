"""Usage of each column of a table, as declared or as guessed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mmtrain.columns import Column, role_class
from mmtrain.columns.base import Content, Purpose
from mmtrain.columns.bookkeeping import FEW_GROUPS, names_person
from mmtrain.columns.cells import is_word
from mmtrain.columns.profile import NEARLY_ALL, name_words
from mmtrain.data.tables.table_file import Cells, TableFile
from mmtrain.data.tables.table_problems import header_problem
from mmtrain.targets import TaskTraits, as_target, tasks
from mmtrain.text.date_patterns import DATE, YEAR
from mmtrain.text.dates import days

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

FIRST_ROWS = 10_000
"""Rows that show what is in a column that the experiment does not use."""


@dataclass(frozen=True)
class ColumnUsage:
    """Usage of a header of the table."""

    header: str
    role: str
    """Role in the experiment, or guessed; empty for a column that the experiment does not use."""
    column: Column | None = None
    """The declared column; None for a guess."""
    task: str = ""
    """Task of a target, else empty."""
    key: str = ""
    """Name of a target with a column for each label; other targets have the name of their column."""
    separator: str = ""
    """Separator of the labels in one cell."""
    missing_words: tuple[str, ...] = ()
    """Words that mean a missing answer, for a guessed target."""
    unused: Literal["", "dates", "persons", "keys"] = ""
    """Content of a column that is not an input: dates, the persons that rows belong to, or keys of a second table."""

    def missing_cells(self, cells: pd.Series[str]) -> NDArray[np.bool_]:
        """Mark cells without a value: empty ones, and words for a missing answer of a target."""
        if self.column is not None:
            return self.column.missing_cells(cells)
        return cells.isna().to_numpy() | is_word(cells, self.missing_words)

    @property
    def target(self) -> str:
        """Name of the target."""
        return self.key or self.header

    @property
    def traits(self) -> type[TaskTraits]:
        """Traits of the task; those of no task where it is not a target."""
        return tasks[self.task] if self.task else TaskTraits

    @property
    def column_class(self) -> type[Column]:
        """The class of the role, declared or guessed."""
        return role_class(self.role) if self.column is None else type(self.column)

    @property
    def purpose(self) -> Purpose:
        """Purpose of the role."""
        return self.column_class.purpose

    @property
    def content(self) -> Content:
        """Content of the role's cells."""
        return self.column_class.content

    @property
    def is_number(self) -> bool:
        """True for a number as an input or as the answer."""
        return self.content == "numbers" or self.traits.is_continuous

    def ranks(self, cells: pd.Series[str]) -> NDArray[np.float64] | None:
        """Return the number that orders each cell, NaN without one; days since 1970 for dates; None for a role without an order."""
        return days(cells) if self.unused == "dates" else self.column_class.ranks(cells)

    @property
    def policy(self) -> str:
        """The policy for missing cells; empty for a guess."""
        return "" if self.column is None else self.column.policy


def column_usages(columns: Mapping[str, Column]) -> list[ColumnUsage]:
    """Return the usages of the columns of an experiment; a target with a column for each label has one for each."""
    return [_usage(key, header or key, column) for key, column in columns.items() for header in column.reads()]


def _usage(key: str, header: str, column: Column) -> ColumnUsage:
    target = as_target(column)
    if target is None:
        return ColumnUsage(header, column.role, column)
    # A target with a column for each label has no separator.
    in_one_cell = target.has_labels and not target.declared_labels
    separator = str(dict(target).get("separator", "")) if in_one_cell else ""
    return ColumnUsage(header, target.role, target, target.task, key if target.declared_labels else "", separator)


def unused_columns(file: TableFile, used: Collection[str]) -> list[ColumnUsage]:
    """Return usages of columns of dates, used or not, and of unused columns that name persons or join a table, by their first rows.

    Raises DataError.
    """
    headers = [header for header in dict.fromkeys(file.headers) if header and header_problem(file, header) is None]
    if not headers:
        return []
    first_cells = next(iter(file.pieces(headers, size=FIRST_ROWS)), Cells())
    usages = []
    # The first rows are enough to recognize dates; reading all would take as long as the checks.
    for header, cells in first_cells.items():
        filled = cells.dropna().to_numpy(object)
        if not len(filled):
            continue
        if header not in used and header in file.joins.values():
            usages.append(ColumnUsage(header, "", unused="keys"))
            continue
        patterns = [DATE, *([YEAR] if "year" in name_words(header) else [])]
        if any(_nearly_all_match(pattern, filled) for pattern in patterns):
            usages.append(ColumnUsage(header, "", unused="dates"))
        elif header not in used and names_person(header) and FEW_GROUPS <= len(set(filled)) < len(filled):
            usages.append(ColumnUsage(header, "", unused="persons"))
    return usages


def _nearly_all_match(pattern: str, cells: NDArray[np.object_]) -> bool:
    """Return whether the pattern matches `NEARLY_ALL` of the cells."""
    # `Series.str.match` parses the pattern anew in every call, which takes 5 ms.
    matches, misses = re.compile(pattern).match, 0
    # Most columns have no dates: a few misses settle that, where all cells of 1,000 columns took 3 s.
    for cell in cells:
        misses += matches(cell) is None
        if (len(cells) - misses) / len(cells) < NEARLY_ALL:
            return False
    return True
