"""Rows by class or label, for targets with one of them per row or several."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.pairs import positions_in_runs
from mmtrain.targets.labels.yes_no import is_yes
from mmtrain.text.label_lists import split_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LabelIndex:
    """The classes or labels of one target."""

    header: str
    names: tuple[str, ...]
    known: NDArray[np.bool_]
    """(rows,): rows whose whole answer is known. A row without any label has an answer, too."""
    row: NDArray[np.int64]
    """(pairs,): row of the file in each pair of a row and a label."""
    label: NDArray[np.int64]
    """(pairs,): code of the label in each pair; every pair once."""
    rows: tuple[int, ...] = ()
    """Number of rows in which each label is known, where that differs between labels."""
    several: bool = False
    """True where a row can have any number of labels."""

    @property
    def noun(self) -> str:
        """`label` or `class`."""
        return "label" if self.several else "class"

    @cached_property
    def times(self) -> NDArray[np.int64]:
        """Number of rows with each label, (names,)."""
        return np.bincount(self.label, minlength=len(self.names))

    @cached_property
    def _by_label(self) -> list[NDArray[np.int64]]:
        order = np.argsort(self.label, kind="stable")
        return np.split(self.row[order], np.cumsum(self.times)[:-1])

    def holders(self, label: int) -> NDArray[np.int64]:
        """Return the rows with a label."""
        return self._by_label[label]

    def most(self, number: int) -> list[int]:
        """Return the codes of the most frequent labels, ascending."""
        often = np.argsort(-self.times, kind="stable")[:number]
        return sorted(often[self.times[often] > 0].tolist())

    def sets(self) -> NDArray[np.int64]:
        """(rows,): equal for rows that have the same labels, -1 for those whose labels are not known."""
        # A random number for each label: equal sets have equal sums, and others almost never.
        tokens = np.random.Generator(np.random.PCG64(0)).integers(1, 2**62, len(self.names), dtype=np.int64)
        sums = np.zeros(len(self.known), dtype=np.int64)
        np.add.at(sums, self.row, tokens[self.label])
        return np.where(self.known, pd.factorize(sums)[0], -1)


def index_labels(table: TableValues) -> list[LabelIndex]:
    """Index the targets with classes or labels, in their order; the columns of one target are put together."""
    targets: dict[str, list[ColumnValues]] = {}
    for cells in table.of_purpose("answer"):
        if not cells.use.traits.is_continuous:
            targets.setdefault(cells.use.target, []).append(cells)
    return [_read(header, columns) for header, columns in targets.items()]


def _read(header: str, columns: list[ColumnValues]) -> LabelIndex:
    use = columns[0].use
    if not use.traits.has_labels:
        return _classes(header, columns[0])
    return _in_one_cell(header, columns[0]) if use.separator else _in_columns(header, columns)


def _classes(header: str, cells: ColumnValues) -> LabelIndex:
    codes, names = cells.codes(np.arange(len(cells.prints)))
    rows = np.flatnonzero(codes >= 0)
    return LabelIndex(header, tuple(names), codes >= 0, rows, codes[rows])


def _in_columns(header: str, columns: list[ColumnValues]) -> LabelIndex:
    holders = []
    for cells in columns:
        yes = [value for value, name in cells.names.items() if is_yes(name)]
        holders.append(np.flatnonzero(np.isin(cells.prints, np.array(yes, dtype=np.uint64))))
    known = np.all([~cells.missing for cells in columns], axis=0)
    label = np.repeat(np.arange(len(columns)), [len(rows) for rows in holders])
    rows = tuple(int((~cells.missing).sum()) for cells in columns)
    return LabelIndex(header, tuple(cells.header for cells in columns), known, np.concatenate(holders), label, rows, several=True)


def _in_one_cell(header: str, cells: ColumnValues) -> LabelIndex:
    """Split each distinct cell once; cells without a name are unknown, an empty cell has no labels."""
    codes, different = cells.codes(np.arange(len(cells.prints)))
    texts = pd.Series(different, dtype="str")
    written = texts.mask(cells.use.missing_cells(texts), "")
    apart = [set(labels) for labels in split_labels(written, cells.use.separator)]
    names = sorted(set().union(*apart))
    code = {name: number for number, name in enumerate(names)}
    # Labels of all distinct cells in one array, gathered by row: no loop over rows.
    flat = np.array([code[name] for labels in apart for name in sorted(labels)], dtype=np.int64)
    sizes = np.array([*(len(labels) for labels in apart), 0], dtype=np.int64)  # the last for an empty cell, whose code is -1
    starts = np.cumsum(sizes) - sizes
    each = sizes[codes]
    row = np.repeat(np.arange(len(codes)), each)
    known = np.array([*(bool(words) for words in written), True])[codes]
    return LabelIndex(header, tuple(names), known, row, flat[starts[codes][row] + positions_in_runs(each)], several=True)
