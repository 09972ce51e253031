"""Targets of a table as checks need them: each is one question, with one answer per row, or with one for each label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.label_index import LabelIndex
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.errors import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_LABELS = 50
"""Labels of one target that are looked at, the most frequent ones."""


@dataclass(frozen=True, eq=False)
class BinaryTargetView:
    """One answer per row: a class, a number, or whether the row has a label."""

    rows: NDArray[np.int64]
    """Whose answers are known and may be looked at: none of the test part."""
    labels: NDArray[np.integer] | None = None
    """(rows,) codes, none negative; None for a number."""
    classes: tuple[str, ...] = ()
    """Names of the codes; for a label its name alone, as all other rows have the code 1."""
    numbers: NDArray[np.float64] | None = None
    """(rows,)."""

    def at(self, kept: NDArray[np.int64]) -> BinaryTargetView:
        """Only the rows at these positions in `rows`."""
        labels = None if self.labels is None else self.labels[kept]
        numbers = None if self.numbers is None else self.numbers[kept]
        return BinaryTargetView(self.rows[kept], labels, self.classes, numbers)

    def called(self, code: int) -> str:
        """A class in a sentence."""
        return f"'{self.classes[code]}'" if code < len(self.classes) else "the others"


@dataclass(frozen=True, eq=False)
class TargetView:
    """One target."""

    header: str
    answers: tuple[BinaryTargetView, ...]
    """All of the same rows."""
    labels: int = 0
    """How many labels the target has; 0 where a row has one answer."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Whose answers are known and may be looked at."""
        return self.answers[0].rows

    def named(self, answers: int) -> str:
        """The target in a sentence, or so many of its labels."""
        return f"{answers:,} of the {counted(self.labels, 'label')} of '{self.header}'" if self.labels else f"'{self.header}'"


def target_views(sheet: TableValues, cohort: RowMetadata) -> list[TargetView]:
    """The targets that have two different answers at least."""
    wanted = {cells.use.target: cells for cells in reversed(sheet.of_purpose("answer"))}
    labelled = {labels.header: labels for labels in cohort.targets}
    found = []
    for header, cells in reversed(wanted.items()):
        labels = labelled.get(header)
        if labels is not None and labels.several:
            found.append(TargetView(header, _of_labels(labels, cohort), len(labels.names)))
        else:
            answer = _number(cells, cohort) if labels is None else _class(labels, cells, cohort)
            found.append(TargetView(header, (answer,) if answer is not None else ()))
    return [question for question in found if question.answers]


def _number(cells: ColumnValues, cohort: RowMetadata) -> BinaryTargetView | None:
    if cells.numbers is None:
        return None
    rows = cohort.for_answers[~np.isnan(cells.numbers[cohort.for_answers])]
    numbers = cells.numbers[rows]
    return BinaryTargetView(rows, numbers=numbers) if len(np.unique(numbers)) > 1 else None


def _class(labels: LabelIndex, cells: ColumnValues, cohort: RowMetadata) -> BinaryTargetView | None:
    rows = cohort.for_answers[labels.known[cohort.for_answers]]
    codes, names = cells.codes(rows)
    return BinaryTargetView(rows, codes, tuple(names)) if len(names) > 1 else None


def _of_labels(labels: LabelIndex, cohort: RowMetadata) -> tuple[BinaryTargetView, ...]:
    rows = cohort.for_answers[labels.known[cohort.for_answers]]
    found = []
    for label in labels.most(MOST_LABELS):
        other = np.ones(cohort.rows, dtype=np.int8)
        other[labels.holders(label)] = 0
        codes = other[rows]
        if 0 < int(codes.sum()) < len(codes):
            found.append(BinaryTargetView(rows, codes, (labels.names[label],)))
    return tuple(found)
