"""Pure values: single values that occur with one class only, in columns that predict little as a whole.

A column that is filled in when the answer is known often reveals it in some of its cells only: a lesion that was followed up is benign
in every row, while other ways of confirmation say nothing. The score of the whole column hides that.

Of n independent units with the value, all, or all but a few, have a class that a share p of all rows has: the p-value is the binomial
tail. It counts below `FAMILY_WISE_ERROR_RATE` among all values, classes, columns and targets together (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE
from mmtrain.audit.leakage.predictive_power import sample_rows
from mmtrain.audit.pairs import distinct_pairs
from mmtrain.audit.quality.column_quality import names_each_row
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView
from mmtrain.errors import listed
from mmtrain.text.printable import quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_UNITS = 20
"""Rows, or groups, with the value."""
PURE = 0.995
"""Share of the rows with the value that have the class."""
USUAL = 0.9
"""Share of all rows, from which a class is so common that a pure value means little."""
FEW_CODES = 10
"""Different whole numbers of a numeric column, up to which they may be codes."""
MUCH = 0.1
"""Share of all rows that such values cover, from which it is a warning."""
MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class PureValue:
    """A value of a column whose rows have one class."""

    name: str
    """In quotation marks."""
    label: str
    """The class in a sentence."""
    rows: NDArray[np.int64]
    right: float
    """Share of the rows with the value that have the class."""
    usual: float
    """Share of all rows that have it."""
    p_value: float

    def __str__(self) -> str:
        share = "all" if self.right == 1 else f"{self.right:.1%}"
        return f"{share} of the {len(self.rows):,} rows with {self.name} are {self.label}, of all rows {self.usual:.0%}"


def pure_values(table: TableValues, metadata: RowMetadata, targets: Sequence[TargetView], leaking: Collection[str]) -> list[Finding]:
    """Check categories and codes, without the columns `leaking`, which predict the answer as a whole."""
    candidates, tests = [], 0
    for target in targets:
        for cells in table.inputs_of("names", "numbers"):
            if cells.header in leaking or names_each_row(cells) or not _codes(cells):
                continue
            for answer in target.answers:
                values, number = _pure(cells, answer.at(sample_rows(np.arange(len(answer.rows)))), metadata)
                tests += number
                candidates.append((cells, target, values))
    by_column: dict[tuple[str, str], tuple[ColumnValues, TargetView, list[PureValue]]] = {}
    for cells, target, values in candidates:
        # `tests` is known only after all columns, hence the second loop.
        sure = [value for value in values if value.p_value * tests < FAMILY_WISE_ERROR_RATE]
        if sure:
            by_column.setdefault((cells.header, target.header), (cells, target, []))[2].extend(sure)
    return [_told(cells, target, values) for cells, target, values in by_column.values()]


def _codes(cells: ColumnValues) -> bool:
    return cells.use.content == "names" or len(cells.different) <= FEW_CODES


def _pure(cells: ColumnValues, answer: BinaryTargetView, metadata: RowMetadata) -> tuple[list[PureValue], int]:
    """Return the values that have one class, and the number of tests."""
    if answer.labels is None or len(answer.rows) < 2 * LEAST_UNITS:
        return [], 0
    codes, names = cells.codes(answer.rows)
    known = codes >= 0
    labels = answer.labels.astype(np.int64)
    classes = int(labels.max()) + 1
    table = np.bincount(codes[known] * classes + labels[known], minlength=len(names) * classes).reshape(len(names), classes)
    usual = np.bincount(labels, minlength=classes) / len(labels)
    # Distinct pairs of value and unit: a group counts once for a value.
    units = np.bincount(distinct_pairs(codes[known], metadata.units[answer.rows[known]])[0], minlength=len(names))
    able = np.flatnonzero(units >= LEAST_UNITS)
    pure = []
    for code in able.tolist():
        label, rows = int(table[code].argmax()), int(table[code].sum())
        right = table[code, label] / rows
        # Of a label only the rows that have it count: not having a label is usual.
        if right < PURE or usual[label] > USUAL or (answer.classes and label >= len(answer.classes)):
            continue
        # Deviating rows as units, rounded: a test on rows would count copies.
        p_value = _tail(int(units[code]), round((1 - right) * int(units[code])), float(usual[label]))
        holders = answer.rows[codes == code]
        pure.append(PureValue(quote_value(names[code]), answer.called(label), holders, float(right), float(usual[label]), p_value))
    return pure, len(able) * classes


def _tail(units: int, wrong: int, share: float) -> float:
    """Return the binomial probability that at most `wrong` of some units lack a class that a share of all has."""
    # Logarithms: the coefficients overflow from 1,030 units on.
    logs = [
        # log of the binomial coefficient, of the share of wrong and of right ones
        lgamma(units + 1) - lgamma(k + 1) - lgamma(units - k + 1) + k * log(1 - share) + (units - k) * log(share)
        for k in range(wrong + 1)
    ]
    return min(1.0, sum(exp(one) for one in logs))


def _told(cells: ColumnValues, target: TargetView, values: Sequence[PureValue]) -> Finding:
    largest = sorted(values, key=lambda value: -len(value.rows))
    rows = np.unique(np.concatenate([value.rows for value in values]))
    what = f"some values occur with one answer of '{target.header}' only: {listed([str(value) for value in largest], most=MOST_NAMED)}."
    why = "Is the cell filled in before the answer is known? If it follows from the answer, new rows will not have it."
    fix = "Find out when the column is filled in. If that is after the answer, leave it out."
    level: Level = "warning" if len(rows) >= MUCH * len(target.rows) else "note"
    return Finding(level, "value_tells_class", cells.header, what, why, fix, first_rows(rows), count=len(rows))
