"""The checked table: which rows of the file take part, and their cells, always by one row index.

Cells are text (see `table_file`). Columns whose role is `streamed` are not kept in memory; `pieces` reads them again.
Positions called `rows` are positions in this table, 0 to len(table) - 1, unless a name says *file*.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.columns import Column, Fault
from mmtrain.data.formats import open_table
from mmtrain.data.table_file import TableFile, others
from mmtrain.errors import DataError, Problem, did_you_mean, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

PIECE = 100_000
"""Rows that are read at once."""


@dataclass(frozen=True)
class Dropped:
    """A row that left the table; `row` is its position in the file, 0 for the first one under the header."""

    row: int
    id: str
    reason: str


class Table:
    """Rows and cells. `rows` are the positions in the file of the rows that are left, ascending; `total` counts those of the file."""

    def __init__(self, file: TableFile, kept: Mapping[str, pd.Series[str]], total: int, *, id_header: str = "") -> None:
        self.path = file.path
        self.headers = file.headers
        self.total = total
        self.rows: NDArray[np.int64] = np.arange(total, dtype=np.int64)
        self.dropped: tuple[Dropped, ...] = ()
        self._file = file
        self._kept = kept
        self._id_header = id_header

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, header: str, rows: NDArray[Any] | None = None) -> pd.Series[str]:
        """The cells of one column that is kept in memory, of all rows or of `rows` in their order; index 0, 1, ..."""
        kept = self._kept[header]
        if rows is None and len(self) == self.total:
            return kept.copy(deep=False)
        return kept.iloc[self.rows if rows is None else self.rows[rows]].reset_index(drop=True)

    def pieces(self, header: str, rows: NDArray[Any] | None = None, *, size: int = PIECE) -> Iterator[pd.Series[str]]:
        """The cells of any declared column in pieces of 1 to `size`; `rows` must ascend. Each piece has index 0, 1, ...

        Raises:
            DataError: the column is streamed and the file was changed since the table was read.

        """
        wanted = self.rows if rows is None else self.rows[rows]
        if header in self._kept:
            for start in range(0, len(wanted), size):
                yield self._kept[header].iloc[wanted[start : start + size]].reset_index(drop=True)
            return
        offset = 0
        for piece in self._file.pieces([header], size=size):
            first, last = np.searchsorted(wanted, (offset, offset + len(piece[header])))
            if last > first:
                yield piece[header].iloc[wanted[first:last] - offset].reset_index(drop=True)
            offset += len(piece[header])

    def ids(self) -> list[str]:
        """What each row is called: its cell in the id column, or its position in the file."""
        return self._ids(self.rows)

    def _ids(self, file_rows: NDArray[np.int64]) -> list[str]:
        if not self._id_header:
            return [str(row) for row in file_rows.tolist()]
        return [str(cell) for cell in self._kept[self._id_header].iloc[file_rows].fillna("")]

    def keep(self, mask: NDArray[np.bool_], reasons: Mapping[int, str]) -> Table:
        """The table with those rows only where `mask` (rows,) is true; `reasons` says of every other row why it goes. Cells are shared."""
        gone = np.flatnonzero(~mask)
        ids = self._ids(self.rows[gone]) if self._id_header else [""] * len(gone)
        new = [Dropped(int(self.rows[row]), name, reasons[int(row)]) for row, name in zip(gone, ids, strict=True)]
        table = Table(self._file, self._kept, self.total, id_header=self._id_header)
        table.rows = self.rows[mask]
        table.dropped = tuple(sorted((*self.dropped, *new), key=lambda dropped: dropped.row))
        return table

    def place(self, row: int, header: str = "") -> str:
        """Where a person finds a row, or one of its cells: `patients.csv:40: age`, or `patients.parquet: row 39: age`."""
        return self._file.where(int(self.rows[row])) + (f": {header}" if header else "")

    def numbers(self, rows: NDArray[Any]) -> list[int]:
        """What `place` counts rows by (the lines of a CSV file), for each of `rows`."""
        return [self._file.number(int(row)) for row in self.rows[rows]]

    @property
    def unit(self) -> str:
        """What `numbers` are: `line` or `row`."""
        return self._file.unit


def read(path: Path, columns: Mapping[str, Column], *, missing_values: Sequence[str] = (), least: int = 1) -> Table:
    """The table at `path`, checked: every cell of `columns` is one that their roles accept.

    Rows without a value leave the table where the column says `missing: drop`. Pictures are not looked at here.

    Raises:
        DataError: all problems of the file, its headers and its cells; or fewer than `least` rows are left.

    """
    file = open_table(path, missing_values)
    problems = [problem for header, keys in _readers(columns).items() if (problem := _header_problem(file, header, keys))]
    refused = {problem.where for problem in problems}
    usable = {
        key: column for key, column in columns.items() if not refused & {_header_place(file, header) for header in headers_of(key, column)}
    }
    check = _Check(file, usable)
    table = check.table(id_header=next((headers_of(key, column)[0] for key, column in usable.items() if column.role == "id"), ""))
    if usable:
        problems += too_few_rows(table, least)
        problems += check.problems(table) if len(table) else []
    if problems:
        raise DataError(dict.fromkeys(problems))
    return table


def headers_of(key: str, column: Column) -> tuple[str, ...]:
    """Headers that the column declared as `key` needs."""
    return tuple(header or key for header in column.reads())


def too_few_rows(table: Table, least: int) -> list[Problem]:
    """The problem of a table with fewer than `least` rows; no problem is an empty list."""
    if len(table) >= max(least, 1):
        return []
    have = {0: "no rows", 1: "one row"}.get(len(table), f"{len(table)} rows")
    need = "" if least <= 1 else f"; at least {least} are needed"
    if not table.dropped:
        return [Problem(table.path.name, f"the table has {have}{need}.", "Write one line below the headers for every row.")]
    first = table.dropped[0]
    what = f"{have} of {table.total} left{need}; {len(table.dropped)} were left out, the first because of {first.reason}"
    return [Problem(table.path.name, what, "Fill in the cells, or choose another `missing` policy than drop.")]
