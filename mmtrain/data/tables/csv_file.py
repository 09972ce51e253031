"""Tables as text with a separator: CSV (comma) and TSV (tab), UTF-8, also compressed with gzip.

Cells may stand in double quotes and then hold separators and line breaks. Blank lines are no rows. A row with more or fewer
cells than the header is refused: its cells may belong to other columns. Arrow reads the cells, because it is strict about that
and three to five times as fast as pandas here; the slow reader of the standard library is asked for line numbers only.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import sys
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import cached_property
from itertools import chain, islice
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from mmtrain.data.tables.table_file import TableFile, others
from mmtrain.errors import DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 2_000_000
"""Bytes that are parsed at once; a row may lie in two such blocks, not in three. Arrow reads up to 32 of them ahead."""

_PIECE = 1_000_000
"""Bytes whose quotes are counted at once."""

_END = "<end of the table>"

_DAMAGED = (OSError, EOFError, zlib.error)
"""What reading a damaged file raises; the last two come from gzip."""


class CsvFile(TableFile):
    """A CSV or TSV file."""

    unit = "line"
    _lines: np.ndarray[Any, np.dtype[np.int64]] = np.empty(0, dtype=np.int64)
    """The lines that the first rows begin in; found only when a row has to be shown."""

    @property
    def _separator(self) -> str:
        return "," if self.path.name.lower().endswith((".csv", ".csv.gz")) else "\t"

    @property
    def _packed(self) -> bool:
        return self.path.name.lower().endswith(".gz")

    def _open(self) -> IO[bytes]:
        return gzip.open(self.path, "rb") if self._packed else self.path.open("rb")  # type: ignore[return-value]

    def _read_headers(self) -> tuple[str, ...]:
        try:
            self._header_line, cells = next(self._records(), (0, []))
        except _DAMAGED as error:
            raise DataError(self._damage(error)) from error
        if not cells:
            raise DataError(Problem(self.path.name, "the file is empty.", "Write a line of headers, and a line for every row."))
        if "\ufffd" in "".join(cells) and (problem := self._encoding_problem()):
            raise DataError(problem)
        return tuple(cells)

    def _records(self) -> Generator[tuple[int, list[str]]]:
        """(line of its beginning, cells) of the header and of every row, as Arrow sees them.

        Raises:
            DataError: a quote is never closed.

        """
        usual = csv.field_size_limit(sys.maxsize)
        try:
            with io.TextIOWrapper(self._open(), encoding="utf-8-sig", errors="replace", newline="") as lines:
                # The end mark is a row of its own, unless an open quote swallows it.
                reader = csv.reader(chain(lines, ("\n", _END)), delimiter=self._separator)
                line = 1
                for cells in reader:
                    if cells == [_END]:
                        return
                    if cells and cells[-1].endswith(_END):
                        raise DataError(
                            Problem(f"{self.path.name}:{line}", "a quote in this row is never closed.", "Close it, or remove it.")
                        )
                    if cells:
                        yield line, cells
                    line = reader.line_num + 1
        finally:
            csv.field_size_limit(usual)

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        import pyarrow as pa

        columns = [str(self.headers.index(header)) for header in headers]
        try:
            for batch in self._arrow_reader(columns):
                for start in range(0, len(batch), size):
                    yield [batch.column(column).slice(start, size) for column in columns]
        except (pa.ArrowException, *_DAMAGED) as error:
            if problems := self._explain(error):
                raise DataError(problems) from error
            return
        if self._quotes % 2:
            # An open quote at the end makes one cell of all rows below it, without an error. Odd quotes may also be inch marks.
            for _ in self._records():
                pass

    def _arrow_reader(self, columns: list[str]) -> Any:
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        # Arrow reads ahead in a thread of its own. A file object of Python's would take that thread into the interpreter, where
        # it may still be when the process ends, which aborts it; so Arrow opens the file, and unpacks it, by itself.
        file = pa.OSFile(os.fsencode(self.path))
        # Columns go by their number, because headers may occur twice.
        names = [str(number) for number in range(len(self.headers))]
        return arrow_csv.open_csv(
            pa.CompressedInputStream(file, "gzip") if self._packed else file,
            read_options=arrow_csv.ReadOptions(
                column_names=names, skip_rows=self._header_line - 1, skip_rows_after_names=1, block_size=_BLOCK, use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=self._separator, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=columns, column_types=dict.fromkeys(columns, pa.large_string()), strings_can_be_null=False
            ),
        )

    def _explain(self, error: Exception) -> list[Problem]:
        """What a person can mend, found by reading the file again, slowly; nothing for a header without rows or line end."""
        if "UTF8" in str(error) and (problem := self._encoding_problem()):
            return [problem]
        try:
            sizes = [(line, len(cells)) for line, cells in self._records()]
        except _DAMAGED as damage:
            return [self._damage(damage)]
        if len(sizes) == 1:
            return []
        if uneven := [(line, size) for line, size in sizes if size != len(self.headers)]:
            return [self._uneven_problem(uneven)]
        if "straddl" in str(error):
            fix = "Look for a quote that is not closed; keep texts as long as this in Parquet."
            return [Problem(self.path.name, f"a row is longer than {_BLOCK:,} bytes.", fix)]
        return [self._damage(error)]

    def _uneven_problem(self, uneven: list[tuple[int, int]]) -> Problem:
        (line, found), expected = uneven[0], len(self.headers)
        mark = "tab" if self._separator == "\t" else "comma"
        fix = (
            f"Put quotes around a cell that holds a {mark}."
            if found > expected
            else "Write a cell for every header, also where it is empty."
        )
        what = f"the row has {found} {'cell' if found == 1 else 'cells'}, the header has {expected}."
        return Problem(f"{self.path.name}:{line}", what + others("row", self.unit, [line for line, _ in uneven[1:]]), fix)

    def _encoding_problem(self) -> Problem | None:
        with self._open() as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeDecodeError as error:
                    what = f"the byte 0x{line[error.start]:02X} is not UTF-8 text."
                    return Problem(f"{self.path.name}:{number}", what, "Save the table as UTF-8 (in Excel: `CSV UTF-8`).")
        return None

    def _damage(self, error: Exception) -> Problem:
        return Problem(
            self.path.name, f"the file cannot be read: {str(error).splitlines()[0]}.", "Write it again, or copy it again, whole."
        )

    @cached_property
    def _quotes(self) -> int:
        """Quotes in the whole file."""
        with self._open() as file:
            return sum(block.count(b'"') for block in iter(lambda: file.read(_PIECE), b""))

    def number(self, row: int) -> int:
        """The line that the row begins in, from 1; quoted cells may hold line breaks."""
        if row >= len(self._lines):  # twice as many as are known, so that asking row by row costs no more than asking for all
            with closing(self._records()) as records:
                lines = (line for line, _ in islice(records, 1, 2 + max(row, 2 * len(self._lines))))
                self._lines = np.fromiter(lines, dtype=np.int64)
        return int(self._lines[row])

    def where(self, row: int) -> str:
        """`patients.csv:40`."""
        return f"{self.path.name}:{self.number(row)}"
