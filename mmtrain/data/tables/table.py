"""The checked table: which rows of the file take part, and their cells, always by one row index.

Cells are text (see `table_file`). Columns whose role is `streamed` are not kept in memory; `pieces` reads them again.
Positions called `rows` are positions in this table, 0 to len(table) - 1, unless a name says *file*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from mmtrain.columns import CellError, Column
from mmtrain.data.tables.column_buffer import ColumnBuffer
from mmtrain.data.tables.table_file import TableFile
from mmtrain.data.tables.table_problems import cell_error_problem, too_few_rows
from mmtrain.errors import Problem
from mmtrain.system.threads import Share, shares_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

READ_CHUNK_ROWS = 100_000
"""Rows that are read at once."""
COLUMNS_PER_PASS = 8
"""Streamed columns that are read in one pass; each has a piece or two in memory."""

Result = TypeVar("Result")


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

    def map_streamed(
        self,
        columns: Mapping[str, Sequence[str]],
        work: Callable[[str, Iterator[Any]], Result],
        rows: NDArray[Any] | None = None,
        *,
        size: int = READ_CHUNK_ROWS,
    ) -> dict[str, Result]:
        """Return `work(key, chunks)` of every streamed column, each in a thread; the file is read once for `COLUMNS_PER_PASS` of them.

        Args:
            columns: The headers that each column reads, by key.
            work: Function of a key and the chunks of its cells, as `chunks` yields them.
            rows: Ascending rows of the table; by default all.
            size: Rows of a chunk.

        """
        if len(columns) == 1:  # a thread would only add its cost
            return {key: work(key, self.chunks(headers, rows, size=size)) for key, headers in columns.items()}
        results: dict[str, Result] = {}
        for start in range(0, len(columns), COLUMNS_PER_PASS):
            keys = list(columns)[start : start + COLUMNS_PER_PASS]
            wanted = list(dict.fromkeys(header for key in keys for header in columns[key]))
            shares = shares_of(self.streamed_pieces(wanted, rows, size=size), len(keys))

            def one(key: str, share: Share[dict[str, pd.Series[str]]]) -> Result:
                with closing(share):
                    return work(key, (cells_of(columns[key], piece) for piece in share))

            with ThreadPoolExecutor(len(keys)) as pool:
                try:
                    results |= zip(keys, pool.map(one, keys, shares), strict=True)
                finally:  # should one have failed, or the user have interrupted, the others need not come to their end
                    shares[0].stop()
        return results

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
