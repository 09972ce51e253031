"""Read a table file into a checked table: rows that its columns drop, and every problem of headers and cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import pandas as pd

from mmtrain.columns import CellError, Column
from mmtrain.config.experiment import SecondTable
from mmtrain.config.sections.table_format import TableFormat
from mmtrain.data.tables.column_buffer import ColumnBuffer
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.table import READ_CHUNK_ROWS, Table, cells_of, headers_of
from mmtrain.data.tables.table_file import Cells, TableFile
from mmtrain.data.tables.table_problems import header_problem, unclear_fault
from mmtrain.errors import DataError, Problem, listed
from mmtrain.system.memory import release_unused

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ReadOptions(TypedDict, total=False):
    """Options of reading a table."""

    missing_values: Sequence[str]
    table_format: TableFormat | None
    """As for `open_table`, like `tables` and `later`."""
    tables: Mapping[str, SecondTable]
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
    formats, later = options.get("table_format"), options.get("later", False)
    file = open_table(path, options.get("missing_values", ()), formats, tables=options.get("tables"), later=later)
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
    release_unused()  # the cells that were decoded to check them
    problems += [problem for _, problem in faults]
    return Reading(table, tuple(dict.fromkeys(problems)), unread, frozenset(key for key, _ in faults))


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
        answers = {id(use.column): use.column for use in uses if use.column.purpose == "answer"}.values()
        self._answers = [(column, [use.header for use in uses if use.column is column]) for column in answers]
        # With one target that refuses or drops missing answers, no row can lack all of them.
        self._can_lack_answers = bool(self._answers) and all(column.masks_missing for column, _ in self._answers)
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
            if column.purpose == "input":  # which knows the headers that it cannot do without
                missing = column.missing_cells(cells_of(headers, piece))
            else:
                missing = column.missing_rows({header: piece[header] for header in headers})
            left &= ~missing
            gone = np.flatnonzero(missing)
            # The first header of which each row lacks the value.
            first = np.stack([column.missing_cells(piece[header])[gone] for header in headers]).argmax(axis=0)
            for row, place in zip(gone.tolist(), first.tolist(), strict=True):
                word = piece[headers[place]].iloc[row]
                message = "the cell is empty" if pd.isna(word) else f"{word!r} means missing"
                self._reasons.setdefault(self._total + row, f"{listed(headers)}: {message}.")
        if self._can_lack_answers:
            without = np.logical_and.reduce([column.missing_rows({name: piece[name] for name in names}) for column, names in self._answers])
            left &= ~without
            headers = [name for _, names in self._answers for name in names]
            self._reasons |= dict.fromkeys((np.flatnonzero(without) + self._total).tolist(), f"{listed(headers)}: no target has an answer.")
        for header, buffer in self._kept.items():
            buffer.add(piece[header])
        self._check_streamed(piece, np.flatnonzero(left))
        self._total += rows

    def _check_streamed(self, piece: dict[str, pd.Series[str]], left: NDArray[np.int64]) -> None:
        for use in self._uses:
            if use.column.streamed and len(left):
                for fault in use.column.header_faults(use.header, piece[use.header].iloc[left].reset_index(drop=True)):
                    positions = self._streamed_faults.setdefault((use, fault.what, fault.fix), [])
                    # From positions in the piece to positions in the file.
                    positions.extend((left[fault.rows] + self._total).tolist())

    def table(self) -> Table:
        """The rows that were not dropped."""
        buffers = {header: column.join() for header, column in self._kept.items() if self._total}
        release_unused()  # the blocks that were read
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
            return use.column.header_faults(use.header, table.cells(use.header))
        faults = [(what, fix, rows) for (owner, what, fix), rows in self._streamed_faults.items() if owner is use]
        # From positions in the file to positions in the table, both ascending.
        return [CellError(np.searchsorted(table.rows, rows), what, fix) for what, fix, rows in faults]
