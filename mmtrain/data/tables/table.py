"""The checked table: which rows of the file take part, and their cells, always by one row index.

Cells are text (see `table_file`). Columns whose role is `streamed` are not kept in memory; `pieces` reads them again.
Positions called `rows` are positions in this table, 0 to len(table) - 1, unless a name says *file*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
import pandas as pd

from mmtrain.columns import CellError, Column
from mmtrain.config.table_format import TableFormat
from mmtrain.data.tables.column_buffer import ColumnBuffer
from mmtrain.data.tables.formats import open_table
from mmtrain.data.tables.table_file import Cells, TableFile
from mmtrain.data.tables.table_problems import cell_error_problem, header_problem, too_few_rows, unclear_fault
from mmtrain.errors import DataError, Problem, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

READ_CHUNK_ROWS = 100_000
"""Rows that are read at once."""


@dataclass(frozen=True)
class Dropped:
    """A row that left the table; `row` is its position in the file, 0 for the first one under the header."""

    row: int
    id: str
    reason: str


class Table:
    """Rows and cells. `rows` are the positions in the file of the rows that are left, ascending; `total` counts those of the file."""

    def __init__(self, file: TableFile, buffers: Mapping[str, ColumnBuffer], total: int, *, id_header: str = "") -> None:
        self.path = file.path
        self.missing_values = file.missing_values
        self.headers = file.headers
        self.total = total
        self.rows: NDArray[np.int64] = np.arange(total, dtype=np.int64)
        self.dropped: tuple[Dropped, ...] = ()
        self._file = file
        self._kept = buffers
        self._id_header = id_header

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes. Raises DataError when it was changed since the table was read."""
        return self._file.sha256

    @property
    def file(self) -> TableFile:
        """The file as it was opened."""
        return self._file

    def has(self, header: str) -> bool:
        """Return whether the cells of this column were read and are kept."""
        return header in self._kept

    def typed(self, header: str) -> bool:
        """Return whether the cells of this column are numbers or truth values, so that nobody has written their texts."""
        return self._file.typed(header)

    def cells(self, header: str, rows: NDArray[Any] | None = None) -> pd.Series[str]:
        """The cells of one column that is kept in memory, of all rows or of `rows` in their order; index 0, 1, ..."""
        if rows is None and len(self) == self.total:
            return self._kept[header].cells()
        return self._kept[header].cells(self.rows if rows is None else self.rows[rows])

    def pieces(self, header: str, rows: NDArray[Any] | None = None, *, size: int = READ_CHUNK_ROWS) -> Iterator[pd.Series[str]]:
        """The cells of any declared column in pieces of 1 to `size`; `rows` must ascend. Each piece has index 0, 1, ...

        Raises:
            DataError: the column is streamed and the file was changed since the table was read.

        """
        wanted = self.rows if rows is None else self.rows[rows]
        if header in self._kept:
            for start in range(0, len(wanted), size):
                yield self._kept[header].cells(wanted[start : start + size])
            return
        for piece in self.streamed_pieces([header], rows, size=size):
            yield piece[header]

    def chunks(self, headers: Sequence[str], rows: NDArray[Any] | None = None, *, size: int = READ_CHUNK_ROWS) -> Iterator[pd.Series[str]]:
        """Yield the cells that a column reads, as `pieces` does; of several headers a DataFrame of them."""
        if len(headers) == 1:
            yield from self.pieces(headers[0], rows, size=size)
        elif all(header in self._kept for header in headers):
            together = zip(*(self.pieces(header, rows, size=size) for header in headers), strict=True)
            yield from (cells_of(headers, dict(zip(headers, cells, strict=True))) for cells in together)
        else:
            yield from (cells_of(headers, piece) for piece in self.streamed_pieces(headers, rows, size=size))

    def streamed_pieces(
        self, headers: Sequence[str], rows: NDArray[Any] | None = None, *, size: int = READ_CHUNK_ROWS
    ) -> Iterator[dict[str, pd.Series[str]]]:
        """Yield the cells of several columns that are not kept in memory, in one pass over the file."""
        wanted = self.rows if rows is None else self.rows[rows]
        offset = 0
        for piece in self._file.pieces(headers, size=size):
            count = len(next(iter(piece.values())))
            # `wanted` ascends: two binary searches give the part of it that lies in this piece.
            first, last = np.searchsorted(wanted, (offset, offset + count))
            if last > first:
                places = wanted[first:last] - offset
                yield {header: cells.iloc[places].reset_index(drop=True) for header, cells in piece.items()}
            offset += count

    def ids(self, rows: NDArray[Any] | None = None) -> list[str]:
        """Return the name of each row, or of each of `rows`: its cell in the id column, or its position in the file."""
        return self._ids(self.rows if rows is None else self.rows[rows])

    def _ids(self, file_rows: NDArray[np.int64]) -> list[str]:
        if not self._id_header:
            return [str(row) for row in file_rows.tolist()]
        return [str(cell) for cell in self._kept[self._id_header].cells(file_rows).fillna("")]

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
        """Name the place of a row, or of one of its cells, for a person: `patients.csv:40: age`, or `patients.parquet: row 39: age`."""
        return self._file.where(int(self.rows[row])) + (f": {header}" if header else "")

    def too_few(self, least: int) -> list[Problem]:
        """The problem that the table has fewer than `least` rows, or none."""
        return too_few_rows(self.path.name, len(self), self.total, self.dropped[0].reason if self.dropped else "", least=least)

    def problem(self, header: str, fault: CellError) -> Problem:
        """A fault of a column with its place, and the lines of other cells that have it."""
        numbers = [self._file.number(int(row)) for row in self.rows[fault.rows[1:]]]
        return cell_error_problem(self.place(int(fault.rows[0]), header), fault, self._file.unit, numbers)


class ReadOptions(TypedDict, total=False):
    """Options of reading a table."""

    missing_values: Sequence[str]
    table_format: TableFormat | None
    """As for `open_table`, like `later`."""
    later: bool
    least: int
    """Rows that have to be left."""
    declared: Callable[[str], str]
    """The place where a column is declared, by its key, to be named when the table has no such header."""


def read(path: Path, columns: Mapping[str, Column], **options: Unpack[ReadOptions]) -> Table:
    """Return the table at `path`, checked: every cell of `columns` is one that its role accepts.

    Rows without a value leave the table where the column says `missing: drop`. Images are not opened here.

    Raises:
        DataError: all problems of the headers and the cells; the file cannot be read; or fewer than `least` rows are left.

    """
    reading = read_tolerantly(path, columns, **options)
    if reading.problems or reading.table is None:
        raise DataError(reading.problems)
    return reading.table


@dataclass(frozen=True)
class Reading:
    """The readable part of a table, and the problems of the rest."""

    table: Table | None
    """The rows that are left; None where the file cannot be read, no column can, or no row is left."""
    problems: tuple[Problem, ...] = ()
    """Problems of the file, its headers and its cells."""
    unread: frozenset[str] = frozenset()
    """Keys of columns whose cells could not be read: no such header, several of them, or no text."""
    faulty: frozenset[str] = frozenset()
    """Keys of columns that were read, and have cells that their role does not accept."""

    def is_sound(self, key: str) -> bool:
        """Return whether the column `key` can be used."""
        return self.table is not None and key not in self.unread and key not in self.faulty


def read_tolerantly(path: Path, columns: Mapping[str, Column], **options: Unpack[ReadOptions]) -> Reading:
    """Read as `read` does, with every column that is sound, whatever is wrong with others.

    Raises:
        DataError: there is no such table, or it has no headers.

    """
    file = open_table(path, options.get("missing_values", ()), options.get("table_format"), later=options.get("later", False))
    place = options.get("declared")
    uses = [_Use(key, header, column) for key, column in columns.items() for header in headers_of(key, column)]
    unusable = {
        use.header: header_problem(file, use.header, "" if place is None else place(use.key)) for use in reversed(uses)
    }  # the first that asks is named
    problems = [problem for header in dict.fromkeys(use.header for use in uses) if (problem := unusable[header])]
    usable = [use for use in uses if unusable[use.header] is None]
    try:
        scan = _Scan(file, usable) if usable else None
    except DataError as error:
        problems += error.problems
        undecodable = file.undecodable([use.header for use in usable])
        usable = [use for use in usable if use.header not in undecodable] if undecodable else []
        scan = _Scan(file, usable) if usable else None
    unread = frozenset(use.key for use in uses if use not in usable)
    if scan is None:
        return Reading(None, tuple(dict.fromkeys(problems)), unread)
    table = scan.table()
    problems += table.too_few(options.get("least", 1))
    if not len(table):
        return Reading(None, tuple(dict.fromkeys(problems)), unread)
    faults = scan.problems(table)
    problems += [problem for _, problem in faults]
    return Reading(table, tuple(dict.fromkeys(problems)), unread, frozenset(key for key, _ in faults))


def cells_of(headers: Sequence[str], cells: Mapping[str, pd.Series[str]]) -> Any:
    """Return the cells that a column reads as it takes them: a Series of one header, a DataFrame of several."""
    return cells[headers[0]] if len(headers) == 1 else pd.DataFrame({header: cells[header] for header in headers})


def shown_cells(headers: Sequence[str], cells: Any) -> pd.Series[str]:
    """Return the cells that a column reads as one text a row for a person: those of several headers as `header: cell`, comma-separated."""
    if len(headers) == 1:
        return pd.Series(cells)
    texts = [[f"{header}: {cell}" for header, cell in row.items() if not pd.isna(cell)] for row in cells.to_dict("records")]
    return pd.Series([", ".join(row) or None for row in texts], dtype="str")


def headers_of(key: str, column: Column) -> tuple[str, ...]:
    """Headers that the column declared as `key` needs."""
    return tuple(header or key for header in column.reads())


@dataclass(frozen=True, eq=False)
class _Use:
    """A header and one of the columns that read it, by its key."""

    key: str
    header: str
    column: Column


class _Scan:
    """One pass over the file: keeps cells that stay in memory, finds rows to drop, checks cells that do not stay in memory."""

    def __init__(self, file: TableFile, uses: Sequence[_Use]) -> None:
        self._file = file
        self._uses = uses
        self._total = 0
        self._reasons: dict[int, str] = {}
        dropping = [use for use in uses if use.column.empty_cells_drop_rows]
        self._dropping = [
            (column, [use.header for use in dropping if use.column is column])
            # By identity: one column may read several headers.
            for column in {id(use.column): use.column for use in dropping}.values()
        ]
        self._streamed_faults: dict[tuple[_Use, str, str], list[int]] = {}
        self._unclear: dict[str, list[NDArray[np.int64]]] = {}
        self._kept = {use.header: ColumnBuffer() for use in uses if not use.column.streamed}
        for piece in file.pieces(list(dict.fromkeys(use.header for use in uses)), size=READ_CHUNK_ROWS):
            self._add(piece)

    def _add(self, piece: Cells) -> None:
        for header, unclear in piece.unclear.items():
            self._unclear.setdefault(header, []).append(unclear + self._total)
        rows = len(next(iter(piece.values())))
        left = np.ones(rows, dtype=np.bool_)
        for column, headers in self._dropping:
            # A column of several headers lacks a value only where all of them are empty.
            missing = np.logical_and.reduce([column.missing_cells(piece[header]) for header in headers])
            left &= ~missing
            words = piece[headers[0]].iloc[np.flatnonzero(missing)]
            for row, word in zip(np.flatnonzero(missing).tolist(), words, strict=True):
                message = "the cell is empty" if pd.isna(word) else f"{word!r} means missing"
                self._reasons.setdefault(self._total + row, f"{listed(headers)}: {message}.")
        for header, buffer in self._kept.items():
            buffer.add(piece[header])
        self._check_streamed(piece, np.flatnonzero(left))
        self._total += rows

    def _check_streamed(self, piece: dict[str, pd.Series[str]], left: NDArray[np.int64]) -> None:
        for use in self._uses:
            if use.column.streamed and len(left):
                for fault in use.column.faults(piece[use.header].iloc[left].reset_index(drop=True)):
                    positions = self._streamed_faults.setdefault((use, fault.what, fault.fix), [])
                    # From positions in the piece to positions in the file.
                    positions.extend((left[fault.rows] + self._total).tolist())

    def table(self) -> Table:
        """The rows that were not dropped."""
        import pyarrow as pa

        buffers = {header: column.join() for header, column in self._kept.items() if self._total}
        pa.default_memory_pool().release_unused()  # of the blocks that were read; Arrow would keep twice as much as the cells take
        id_header = next((use.header for use in self._uses if use.column.purpose == "naming" and use.header in buffers), "")
        mask = np.ones(self._total, dtype=np.bool_)
        mask[list(self._reasons)] = False
        return Table(self._file, buffers, self._total, id_header=id_header).keep(mask, self._reasons)

    def problems(self, table: Table) -> list[tuple[str, Problem]]:
        """Return every fault in the cells of `table`, in the order of the columns, with the key of its column."""
        return [(use.key, table.problem(use.header, fault)) for use in self._uses for fault in self._faults(use, table)]

    def _faults(self, use: _Use, table: Table) -> list[CellError]:
        if use.column.holds_numbers and use.header in self._unclear:
            unclear = np.flatnonzero(np.isin(table.rows, np.concatenate(self._unclear[use.header])))
            if len(unclear):
                return [unclear_fault(table.cells(use.header), unclear)]
        if not use.column.streamed:
            return use.column.faults(table.cells(use.header))
        faults = [(what, fix, rows) for (owner, what, fix), rows in self._streamed_faults.items() if owner is use]
        # From positions in the file to positions in the table, both ascending.
        return [CellError(np.searchsorted(table.rows, rows), what, fix) for what, fix, rows in faults]
