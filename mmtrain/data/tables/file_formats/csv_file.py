"""Tables as text with a separator: CSV, TSV and what else a `Dialect` describes, also compressed with gzip.

Cells may stand in quotes and then hold separators and line breaks. Blank lines are skipped. A row with more or fewer
cells than the header is refused: its cells may belong to other columns. Arrow reads the cells, because it is strict about that
and three to five times as fast as pandas here; the slow reader of the standard library gives line numbers, and reads what
Arrow cannot: cells separated by runs of blanks, and other encodings than UTF-8.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtrain.data.tables.file_formats.delimited_text import DAMAGED, UNDECODABLE, DelimitedText, packed
from mmtrain.data.tables.file_formats.dialect import Dialect
from mmtrain.data.tables.table_file import GATHERED_ROWS, TableFile, other_places
from mmtrain.errors import DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

_BLOCK = 2_000_000
"""Bytes that are parsed at once; a row may lie in two such blocks, not in three. Arrow reads up to 32 of them ahead."""

_BLOCK_PER_COLUMN = 4_000
"""Bytes of a block for each column of a wide table, as a block costs something for each column: of 2,000 columns and 5,000 rows, 60 MB,
blocks of 8 MB take 1.5 CPU s where those of 2 MB take 2.3."""

_JOINED = 8_000_000
"""Bytes of cells, of all columns, up to which blocks are joined: of a thousand columns a block holds a few hundred rows, and a piece
costs something for each column, however few its rows."""

_SLOW_ROWS = 10_000
"""Rows that the slow reader gives at once."""


class CsvFile(TableFile):
    """A table as text, written as its dialect says."""

    unit = "line"

    def __init__(
        self, path: Path, missing_values: Sequence[str] = (), dialect: Dialect | None = None, declared: Collection[str] = ()
    ) -> None:
        """`declared` are the options of the dialect that the user has set."""
        self.dialect = dialect or Dialect("," if usual_separator(path) == "," else "\t")
        self.text = DelimitedText(path, self.dialect)
        super().__init__(path, missing_values)
        self.numerals = self.dialect.numerals
        self.format_options = self.dialect.options(usual_separator(path))
        unknown = {option: value for option, value in self.format_options.items() if option not in declared}
        self.notice = f"{path.name}: {self.dialect.described(unknown)}." if unknown else ""

    def _read_headers(self) -> tuple[str, ...]:
        try:
            self._header_line, cells = next(self.text.records(), (0, []))
            # U+FFFD is what an undecodable byte of the header was replaced by; the search for it may reach damage further on.
            problem = self.text.encoding_problem() if "\ufffd" in "".join(cells) else None
        except DAMAGED as error:
            raise DataError(self._damage(error)) from error
        if not cells:
            raise DataError(Problem(self.path.name, "the file is empty.", "Write a line of headers, and a line for every row."))
        if problem:
            raise DataError(problem)
        return tuple(cells)

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        yield from (self._fast_batches if self.dialect.fast else self._slow_batches)(headers, size)

    def _slow_batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        import pyarrow as pa

        places = [self.headers.index(header) for header in headers]
        try:
            with closing(self.text.records(errors=UNDECODABLE)) as records:
                # Without the header.
                rows = (cells for _, cells in islice(records, 1, None))
                while piece := list(islice(rows, min(size, _SLOW_ROWS))):
                    if any(len(cells) != len(self.headers) for cells in piece):
                        raise DataError(self._explain(ValueError("uneven rows")))
                    yield [pa.array([cells[place] for cells in piece], pa.large_string()) for place in places]
        except (UnicodeError, *DAMAGED) as error:
            raise DataError(self._explain(error)) from error

    def _fast_batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        import pyarrow as pa

        columns = [str(self._places[header]) for header in headers]
        try:
            for arrays in joined_blocks(([batch.column(column) for column in columns] for batch in self._arrow_reader(columns)), size):
                # Blocks follow bytes, not rows; no caller gets more than it asked for.
                for start in range(0, len(arrays[0]), size):
                    yield [array.slice(start, size) for array in arrays]
        except (pa.ArrowException, *DAMAGED) as error:
            if problems := self._explain(error):
                raise DataError(problems) from error
            return
        if self.text.quotes % 2:
            # An open quote at the end makes one cell of all rows below it, without an error. Odd quotes may also be inch marks.
            for _ in self.text.records():
                pass
        if self.text.escaped_quotes and self.text.malformed is not None:
            raise DataError(self.text.malformed)

    def undecodable(self, headers: Sequence[str]) -> frozenset[str]:
        """Columns with a cell that is not UTF-8; none where the rows themselves cannot be told apart."""
        try:
            return self._undecodable_in_arrow(headers) if self.dialect.fast else self._undecodable_in_records(headers)
        except (UnicodeError, DataError, *DAMAGED):
            return frozenset()

    def _undecodable_in_records(self, headers: Sequence[str]) -> frozenset[str]:
        columns = {header: self.headers.index(header) for header in headers}
        undecodable: set[str] = set()
        with closing(self.text.records(errors=UNDECODABLE)) as records:
            for _, cells in islice(records, 1, None):
                if len(cells) != len(self.headers):
                    return frozenset()
                undecodable |= {header for header, place in columns.items() if "\udcff" in cells[place]}
        return frozenset(undecodable)

    def _undecodable_in_arrow(self, headers: Sequence[str]) -> frozenset[str]:
        import pyarrow as pa

        columns = {header: str(self.headers.index(header)) for header in headers}
        undecodable: set[str] = set()
        try:
            # One undecodable cell is enough: columns already found are not checked again.
            for batch in self._arrow_reader(list(columns.values()), pa.large_binary()):
                undecodable |= {
                    header for header, column in columns.items() if header not in undecodable and not _is_utf8(batch.column(column))
                }
        except pa.ArrowException:
            return frozenset()
        return frozenset(undecodable)

    def _arrow_reader(self, columns: list[str], kind: pa.DataType | None = None) -> Any:
        """Batches of these columns, by number, as text; or as bytes, which may be anything, where `kind` says so."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        # Arrow reads ahead in a thread of its own. A file object of Python's would take that thread into the interpreter, where
        # it may still be when the process ends, which aborts it; so Arrow opens the file, and unpacks it, by itself.
        file = pa.OSFile(os.fsencode(self.path))
        # Columns go by their number, because headers may occur twice.
        names = [str(number) for number in range(len(self.headers))]
        return arrow_csv.open_csv(
            pa.CompressedInputStream(file, "gzip") if packed(self.path) else file,
            read_options=arrow_csv.ReadOptions(
                column_names=names, skip_rows=self._header_line - 1, skip_rows_after_names=1, block_size=self._block, use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self.dialect.separator,
                quote_char=self.dialect.quote or False,
                escape_char=self.dialect.escape or False,
                # Cells in quotes may hold line breaks.
                newlines_in_values=True,
            ),
            convert_options=arrow_csv.ConvertOptions(
                # An empty cell stays an empty text: `_mark_missing` decides what is missing, for all formats alike.
                include_columns=columns,
                column_types=dict.fromkeys(columns, kind or pa.large_string()),
                strings_can_be_null=False,
            ),
        )

    def _explain(self, error: Exception) -> list[Problem]:
        """Return what a person can mend, found by reading the file again, slowly; nothing for a header without rows or line end."""
        problems: list[Problem] = []
        try:
            sizes = [(line, len(cells)) for line, cells in self.text.records()]
            uneven = [(line, size) for line, size in sizes if size != len(self.headers)]
            if (uneven or "UTF8" in str(error) or isinstance(error, UnicodeError)) and (encoding := self.text.encoding_problem()):
                problems.append(encoding)  # a column that is not read may be in any encoding
        except DAMAGED as damage:
            return [self._damage(damage)]
        if uneven:
            problems.append(self._uneven_problem(uneven))
        if problems or len(sizes) == 1:
            return problems
        # Arrow's word for a row that is longer than a block.
        if "straddl" in str(error):
            fix = "Look for a quote that is not closed; keep texts as long as this in Parquet."
            return [Problem(self.path.name, f"a row is longer than {self._block:,} bytes.", fix)]
        return [self._damage(error)]

    @property
    def _block(self) -> int:
        """Bytes that are parsed at once."""
        return max(_BLOCK, _BLOCK_PER_COLUMN * len(self.headers))

    def _uneven_problem(self, uneven: list[tuple[int, int]]) -> Problem:
        (line, cells), expected = uneven[0], len(self.headers)
        mark = self.dialect.separators.removesuffix("s")
        fix = (
            f"Put quotes around a cell that holds a {mark}."
            if cells > expected
            else "Write a cell for every header, also where it is empty."
        )
        if expected == 1:
            fix = "Set `skip_lines` in `data.format` if the headers are further below, `separator` if other signs separate cells."
        what = f"the row has {cells} {'cell' if cells == 1 else 'cells'}, the header has {expected}."
        return Problem(f"{self.path.name}:{line}", what + other_places("row", self.unit, [line for line, _ in uneven[1:]]), fix)

    def _damage(self, error: Exception) -> Problem:
        return Problem(
            self.path.name, f"the file cannot be read: {str(error).splitlines()[0]}.", "Write it again, or copy it again, whole."
        )

    def number(self, row: int) -> int:
        """The line that the row begins in, from 1; quoted cells may hold line breaks."""
        return self.text.line(row)

    def where(self, row: int) -> str:
        """`patients.csv:40`."""
        return f"{self.path.name}:{self.number(row)}"


def usual_separator(path: Path) -> str:
    """The one that goes with the file's ending; empty where none does."""
    name = path.name.lower().removesuffix(".gz")
    return "," if name.endswith(".csv") else "\t" if name.endswith((".tsv", ".tab")) else ""


def _is_utf8(cells: pa.Array) -> bool:
    import pyarrow as pa

    try:
        cells.cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def joined_blocks(blocks: Iterable[list[pa.Array]], size: int) -> Iterator[list[pa.Array]]:
    """Blocks joined until they hold `size` rows, or `_JOINED` bytes; of many columns eight times as many bytes."""
    import pyarrow as pa

    waiting: list[list[pa.Array]] = []
    rows = nbytes = 0
    # None marks the end, so that what waits is given out.
    for arrays in chain(blocks, [None]):
        enough = _JOINED if rows >= GATHERED_ROWS else 8 * _JOINED
        full = bool(waiting) and (arrays is None or rows + len(arrays[0]) > size or nbytes >= enough)
        if full:
            yield waiting[0] if len(waiting) == 1 else [pa.concat_arrays(parts) for parts in zip(*waiting, strict=True)]
            waiting, rows, nbytes = [], 0, 0
        if arrays is not None:
            waiting.append(arrays)
            rows, nbytes = rows + len(arrays[0]), nbytes + sum(array.nbytes for array in arrays)
