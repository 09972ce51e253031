"""A table whose rows get further cells from second tables, which have any number of rows for each of them.

`data.tables: {views: {table: views.csv, key: patient}}` gives the table a header `views.path` for the column `path` of views.csv. A cell
under it is a JSON list of the texts of all rows of views.csv with the row's `patient`: `["a.png", "b.png"]`, `null` in the place of an
empty cell. All headers of one second table list its rows in the same order: that of its file, or that of its `time`. A key without rows
gives an empty cell. A table with a header `views.` of its own, such as the rows of a request, brings its lists with it and is not joined.

A column reads `views.path` as any other header. So splits, subsets, caches, audits and predictions know nothing of second tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.columns.cells import CellError
from mmtrain.columns.numbers import parse_numbers
from mmtrain.columns.time import Time
from mmtrain.config.experiment import SecondTable
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import Cells, TableFile, as_series, distinct
from mmtrain.data.tables.table_problems import cell_error_problem, header_problems
from mmtrain.errors import DataError, Problem, counted

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(eq=False)
class SecondRows:
    """The rows of one second table by key; read once for each set of headers that is asked for, and kept as one text a key."""

    name: str
    declared: SecondTable
    file: TableFile
    main_key: str
    """Header of the key in the table that is joined."""
    keys: pa.Array = None
    """Different keys, in the order of their first rows."""
    lists: dict[str, pa.Array] = field(default_factory=dict)
    """By header of the second table the text of each key."""
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Rows of each key."""
    keyless: int = 0
    """Rows with an empty key."""

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that the table gets, each with that of the second table."""
        return {f"{self.name}.{header}": header for header in dict.fromkeys(self.file.headers) if header != self.declared.key}

    def read(self, headers: Sequence[str]) -> None:
        """Read columns that were not read before.

        Raises DataError for a file that has no such columns or was changed, and for cells of `time` that cannot be ordered.
        """
        wanted = [header for header in dict.fromkeys(headers) if header not in self.lists]
        if self.keys is not None and not wanted:
            return
        import pyarrow as pa

        time = self.declared.time
        needed = list(dict.fromkeys([self.declared.key, *([time] if time else []), *wanted]))
        if problems := header_problems(self.file, needed):
            raise DataError(problems)
        pieces = list(self.file.pieces(needed, size=READ_CHUNK_ROWS))
        cells = {header: pd.concat([piece[header] for piece in pieces], ignore_index=True) if pieces else _nothing() for header in needed}
        coded = _array(cells[self.declared.key]).dictionary_encode()
        codes = coded.indices.fill_null(-1).to_numpy().astype(np.int64)
        self.keys, self.keyless = coded.dictionary, int((codes < 0).sum())
        order = self._order(codes, cells)
        self.counts = np.bincount(codes[order], minlength=len(self.keys))
        offsets = pa.array(np.concatenate([[0], np.cumsum(self.counts)]), pa.int64())
        for header in wanted:
            self.lists[header] = _as_json(_array(cells[header]).take(pa.array(order)), offsets)

    def _order(self, codes: NDArray[np.int64], cells: Mapping[str, pd.Series[str]]) -> NDArray[np.int64]:
        """Return the rows that have a key, those of a key together and in their order; rows of one time stay in that of the file."""
        rows = np.flatnonzero(codes >= 0)
        if not (header := self.declared.time):
            return rows[np.argsort(codes[rows], kind="stable")]
        time_codes, times = distinct(cells[header])
        moments = parse_numbers(times)
        if len(empty := np.flatnonzero(time_codes < 0)):
            raise DataError(self._problem(header, CellError(empty, "the cell is empty.", "Fill it in: `time` orders the rows of a key.")))
        # Dates are parsed by 14 regular expressions, 100 µs a cell: only where there are any, and each different one once.
        if np.isnan(moments).any():
            column = Time(role="time", column=header)
            if column.faults(times):
                raise DataError([self._problem(header, fault) for fault in column.faults(cells[header])])
            moments = column.values(times)
        return rows[np.lexsort((moments[time_codes][rows], codes[rows]))]

    def _problem(self, header: str, fault: CellError) -> Problem:
        numbers = [self.file.number(int(row)) for row in fault.rows[1:]]
        return cell_error_problem(f"{self.file.where(int(fault.rows[0]))}: {header}", fault, self.file.unit, numbers)

    def places(self, keys: pd.Series[str]) -> pa.Array:
        """Return the position in `keys` of the key of each row of the table; null for a row without members."""
        import pyarrow.compute as pc

        # Without `skip_nulls` an empty key would be looked up as well.
        return pc.index_in(_array(keys), value_set=self.keys, skip_nulls=True)


def _nothing() -> pd.Series[str]:
    return pd.Series([], dtype="str")


def _array(cells: pd.Series[str]) -> pa.Array:
    import pyarrow as pa

    array = pa.array(cells, pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _as_json(texts: pa.Array, offsets: pa.Array) -> pa.Array:
    """Return a JSON list for each range of `texts` between two offsets; each different text is quoted once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    coded = texts.dictionary_encode()
    quoted = pa.array([*(json.dumps(text, ensure_ascii=False) for text in coded.dictionary.to_pylist()), "null"], pa.large_string())
    items = quoted.take(coded.indices.fill_null(len(quoted) - 1))
    inside = pc.binary_join(pa.LargeListArray.from_arrays(offsets, items), pa.scalar(", ", pa.large_string()))
    return pc.binary_join_element_wise(
        pa.scalar("[", pa.large_string()), inside, pa.scalar("]", pa.large_string()), pa.scalar("", pa.large_string())
    )


class JoinedFile(TableFile):
    """The file `main` with the headers of second tables, by name."""

    def __init__(self, main: TableFile, tables: Mapping[str, tuple[SecondTable, TableFile]]) -> None:
        self._main = main
        self._tables = [SecondRows(name, declared, file, declared.main_key or declared.key) for name, (declared, file) in tables.items()]
        self.unit, self.numerals, self.format_options = main.unit, main.numerals, main.format_options
        self._joined = {joined: (table, header) for table in self._tables for joined, header in table.headers.items()}
        self._without: dict[str, int] = {}
        self._matched: dict[str, NDArray[np.bool_]] = {}
        self._unmatched: dict[str, str] = {}
        super().__init__(main.path, main.missing_values)
        self._check_keys()

    def _check_keys(self) -> None:
        """Raise DataError for tables without the headers by which they are joined."""
        problems = []
        for table in self._tables:
            own = [table.declared.key, *([table.declared.time] if table.declared.time else [])]
            problems += header_problems(table.file, own)
            problems += header_problems(self._main, [table.main_key])
        if problems:
            raise DataError(problems)

    @property
    def notice(self) -> str:  # type: ignore[override]
        """Rows that found no partner in the last pass over the whole table, after the notice of the table itself."""
        notes = [self._main.notice] if self._main.notice else []
        for table in self._tables:
            if table.name not in self._without:
                continue
            name, unmatched = table.file.path.name, ~self._matched[table.name]
            if table.name in self._unmatched and len(unmatched) and unmatched.all():
                one, other = self._unmatched[table.name], table.keys[0].as_py()
                notes.append(
                    f"{name}: no row of {self.path.name} has a row in it: its {table.declared.key} is {other!r} for example, and "
                    f"{table.main_key} of {self.path.name} {one!r}. Check that both are written in the same way."
                )
                continue
            if rows := self._without[table.name]:
                notes.append(f"{name}: {counted(rows, 'row')} of {self.path.name} without a row in it, by {table.main_key}.")
            if surplus := int(table.counts[unmatched].sum()):
                first = table.keys[int(np.flatnonzero(unmatched)[0])].as_py()
                notes.append(f"{name}: {counted(surplus, 'row')} not used, of keys that {self.path.name} does not have, such as {first!r}.")
            if table.keyless:
                notes.append(f"{name}: {counted(table.keyless, 'row')} not used, without a {table.declared.key}.")
        return " ".join(notes)

    @property
    def second_hashes(self) -> Mapping[str, str]:  # type: ignore[override]
        """SHA-256 of the bytes of each second table, by name."""
        return {table.name: table.file.sha256 for table in self._tables}

    @property
    def joins(self) -> Mapping[str, str]:  # type: ignore[override]
        """The header of each key, by the name of the second file."""
        return {table.file.path.name: table.main_key for table in self._tables}

    def pieces(self, headers: Sequence[str], *, size: int) -> Iterator[Cells]:
        """Yield pieces of the table, with the lists of second tables where they are asked for."""
        joined = {header: self._joined[header] for header in headers if header in self._joined}
        tables = [table for table in self._tables if any(owner is table for owner, _ in joined.values())]
        for table in tables:
            table.read([header for owner, header in joined.values() if owner is table])
        own = [header for header in headers if header not in joined]
        main_keys = {table.name: table.main_key for table in tables}
        missing = {table.name: 0 for table in tables}
        matched = {table.name: np.zeros(len(table.keys), dtype=np.bool_) for table in tables}
        examples: dict[str, str] = {}  # by name the first key that the second table does not have
        for piece in self._main.pieces(list(dict.fromkeys([*own, *main_keys.values()])), size=size):
            places = {table.name: table.places(piece[table.main_key]) for table in tables}
            for name, place in places.items():
                missing[name] += place.null_count
                if place.null_count and name not in examples:
                    without = piece[main_keys[name]][place.is_null().to_numpy(zero_copy_only=False)].dropna()
                    examples |= {name: str(without.iloc[0])} if len(without) else {}
                matched[name][place.drop_null().to_numpy()] = True
            lists = {header: as_series(table.lists[column].take(places[table.name])) for header, (table, column) in joined.items()}
            cells = Cells({header: lists[header] if header in lists else piece[header] for header in headers})
            cells.unclear = {header: rows for header, rows in piece.unclear.items() if header in own}
            yield cells
        self._without |= missing
        self._matched |= matched
        self._unmatched |= examples

    def _read_headers(self) -> tuple[str, ...]:
        return (*self._main.headers, *self._joined)

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        raise NotImplementedError("Pieces come from the files that are joined.")

    def number(self, row: int) -> int:
        """The line or row of the table itself."""
        return self._main.number(row)

    def where(self, row: int) -> str:
        """The place in the table itself."""
        return self._main.where(row)

    def refusal(self, header: str) -> str:
        """Return why a column cannot become text, in the table that has it."""
        table, column = self._joined.get(header, (None, header))
        return (self._main if table is None else table.file).refusal(column)

    def typed(self, header: str) -> bool:
        """Lists are texts; other columns are as in the table itself."""
        return header not in self._joined and self._main.typed(header)

    def undecodable(self, headers: Sequence[str]) -> frozenset[str]:
        """Return the headers over cells in another encoding, of all tables."""
        own = self._main.undecodable([header for header in headers if header not in self._joined])
        lists = {header: self._joined[header] for header in headers if header in self._joined}
        return own | {header for header, (table, column) in lists.items() if table.file.undecodable([column])}

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes of the table itself; `second_hashes` has the others."""
        return self._main.sha256

    def _stamp(self) -> Any:
        return self._main._stamp()
