"""Views of targets for the checks: one answer per row, or a binary answer for each label; without test rows."""

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
"""Labels of one target that are checked, the most frequent ones."""


@dataclass(frozen=True, eq=False)
class BinaryTargetView:
    """One answer per row: a class, a number, or 0 and 1 for a label."""

    rows: NDArray[np.int64]
    """Rows of the file with a known answer, none of the test part."""
    labels: NDArray[np.integer] | None = None
    """(rows,) codes, none negative; None for a number."""
    classes: tuple[str, ...] = ()
    """Names of the codes; for a label its name alone, as all other rows have the code 1."""
    numbers: NDArray[np.float64] | None = None
    """(rows,)."""

    def at(self, positions: NDArray[np.int64]) -> BinaryTargetView:
        """Select the rows at these positions in `rows`."""
        labels = None if self.labels is None else self.labels[positions]
        numbers = None if self.numbers is None else self.numbers[positions]
        return BinaryTargetView(self.rows[positions], labels, self.classes, numbers)

    def called(self, code: int) -> str:
        """Return a class for a sentence."""
        return f"'{self.classes[code]}'" if code < len(self.classes) else "the others"


@dataclass(frozen=True, eq=False)
class TargetView:
    """One target."""

    header: str
    answers: tuple[BinaryTargetView, ...]
    """One, or one for each label; all have the same rows."""
    labels: int = 0
    """Number of labels of the target; 0 where a row has one answer."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of the file with a known answer, none of the test part."""
        return self.answers[0].rows

    def named(self, answers: int) -> str:
        """Return the target for a sentence, or the number of its labels that a finding is about."""
        return f"{answers:,} of the {counted(self.labels, 'label')} of '{self.header}'" if self.labels else f"'{self.header}'"


def target_views(table: TableValues, metadata: RowMetadata) -> list[TargetView]:
    """Return the targets that have at least two different answers."""
    # Reversed twice: of several columns of a target the first one counts, in the order of the table.
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
        # As a class of its own, "the others" has the code 1.
        other = np.ones(metadata.rows, dtype=np.int8)
        other[labels.holders(label)] = 0
        codes = other[rows]
        if 0 < int(codes.sum()) < len(codes):
            views.append(BinaryTargetView(rows, codes, (labels.names[label],)))
    return tuple(views)
