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

    def at(self, positions: NDArray[np.int64]) -> BinaryTargetView:
        """Only the rows at these positions in `rows`."""
        labels = None if self.labels is None else self.labels[positions]
        numbers = None if self.numbers is None else self.numbers[positions]
        return BinaryTargetView(self.rows[positions], labels, self.classes, numbers)

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


def target_views(table: TableValues, metadata: RowMetadata) -> list[TargetView]:
    """The targets that have two different answers at least."""
    wanted = {cells.use.target: cells for cells in reversed(table.of_purpose("answer"))}
    labelled = {labels.header: labels for labels in metadata.targets}
    views = []
    for header, cells in reversed(wanted.items()):
        labels = labelled.get(header)
        if labels is not None and labels.several:
            views.append(TargetView(header, _of_labels(labels, metadata), len(labels.names)))
        else:
            answer = _number(cells, metadata) if labels is None else _class(labels, cells, metadata)
            views.append(TargetView(header, (answer,) if answer is not None else ()))
    return [target for target in views if target.answers]


def _number(cells: ColumnValues, metadata: RowMetadata) -> BinaryTargetView | None:
    if cells.numbers is None:
        return None
    rows = metadata.for_answers[~np.isnan(cells.numbers[metadata.for_answers])]
    numbers = cells.numbers[rows]
    return BinaryTargetView(rows, numbers=numbers) if len(np.unique(numbers)) > 1 else None


def _class(labels: LabelIndex, cells: ColumnValues, metadata: RowMetadata) -> BinaryTargetView | None:
    rows = metadata.for_answers[labels.known[metadata.for_answers]]
    codes, names = cells.codes(rows)
    return BinaryTargetView(rows, codes, tuple(names)) if len(names) > 1 else None


def _of_labels(labels: LabelIndex, metadata: RowMetadata) -> tuple[BinaryTargetView, ...]:
    rows = metadata.for_answers[labels.known[metadata.for_answers]]
    views = []
    for label in labels.most(MOST_LABELS):
        other = np.ones(metadata.rows, dtype=np.int8)
        other[labels.holders(label)] = 0
        codes = other[rows]
        if 0 < int(codes.sum()) < len(codes):
            views.append(BinaryTargetView(rows, codes, (labels.names[label],)))
    return tuple(views)
