"""Prediction files, CSV or Parquet, written in chunks so that memory does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import pandas as pd

from mmtrain.artifacts.atomic_files import atomic_write, disk_errors
from mmtrain.data.tables.csv_text import FORMULA, NUMBER
from mmtrain.errors import Problem, UsageError
from mmtrain.system.paths import output_fault

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".csv", ".parquet")

ROW_GROUP = 100_000
"""Minimum number of rows of a Parquet row group: small ones are slow to read."""


class PredictionFile(Protocol):
    """Writer of chunks, all of which have the same columns."""

    formulas: int
    """Number of cells so far that a spreadsheet would run as formulas."""

    def add(self, frame: pd.DataFrame) -> None:
        """Write one chunk."""


class CsvPredictions:
    """CSV with a header on a stream. Arrow formats the lines; pandas takes five times as long.

    For a `spreadsheet`, cells that it would run as formulas get an apostrophe; `formulas` counts them in either case.
    """

    def __init__(self, stream: IO[bytes], *, spreadsheet: bool = False) -> None:
        self._stream = stream
        self._spreadsheet = spreadsheet
        self._empty = True
        self.formulas = 0

    def add(self, frame: pd.DataFrame) -> None:
        """Write one chunk."""
        import pyarrow as pa

        table = self._escape_formulas(_table(frame))
        if self._empty:
            # The header goes through the same quoting as cells.
            headers = [pa.array([name], pa.large_string()) for name in table.column_names]
            self._stream.write(_lines(pa.table(headers, names=table.column_names)))
            self._empty = False
        self._stream.write(_lines(table))

    def _escape_formulas(self, table: pa.Table) -> pa.Table:
        import pyarrow as pa
        import pyarrow.compute as pc

        for place, column in enumerate(table.columns):
            if not _is_text(column):
                continue
            runs = pc.and_not(pc.match_substring_regex(column, FORMULA), pc.match_substring_regex(column, NUMBER))
            formulas = pc.sum(runs).as_py() or 0
            self.formulas += formulas
            if formulas and self._spreadsheet:
                quoted = pc.binary_join_element_wise(pa.scalar("'", column.type), column, pa.scalar("", column.type))
                # `runs` is a mask: other cells stay as they are.
                table = table.set_column(place, table.column_names[place], pc.if_else(runs, quoted, column))
        return table


class ParquetPredictions:
    """Parquet file at `path`."""

    formulas = 0
    """No program runs the cells of a Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None
        self._waiting: list[pa.Table] = []

    def add(self, frame: pd.DataFrame) -> None:
        """Write one chunk, or buffer it until there are enough rows for a row group."""
        self._waiting.append(_table(frame))
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._write()

    def _write(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Chunks are joined into one row group.
        table = pa.concat_tables(self._waiting)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)
        self._waiting = []

    def close(self, *, whole: bool) -> None:
        """Close the file; if it is to be `whole`, the buffered rows are written first."""
        if whole and self._waiting:
            self._write()
        if self._writer is not None:
            self._writer.close()


def check_name(path: Path, *, spreadsheet: bool = False) -> None:
    """Check the suffix. Raises UsageError if it is neither `.csv` nor `.parquet`, or if a `spreadsheet` is not CSV."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(Problem(str(path), "predictions are written as CSV or Parquet.", "End the name in .csv or .parquet."))
    if spreadsheet and path.suffix.lower() != ".csv":
        raise UsageError(Problem("--spreadsheet", "a Parquet file has no formulas.", "Leave the option out, or end the name in .csv."))


def check_place(path: Path, tables: Mapping[str, Path]) -> None:
    """Check in advance that the file can be written, before a long prediction; `tables`, by description, must not be overwritten.

    Raises:
        RunError: the folder does not exist.
        UsageError: the file cannot be written, or is one of the tables under this name or another.

    """
    with disk_errors(path):
        path.parent.stat()
    if fault := output_fault(path):
        raise UsageError(fault.problem(path, "the file"))
    for description, table in tables.items():
        if path.exists() and table.exists() and path.samefile(table):
            raise UsageError(
                Problem(str(path), f"this is the table {description}; predictions would replace it.", "Name another file with -o.")
            )


@contextmanager
def prediction_file(path: Path, *, spreadsheet: bool = False) -> Iterator[PredictionFile]:
    """Open a file that gets its name once it is complete, and is removed if the block fails. Raises RunError on a full disk."""
    with disk_errors(path), atomic_write(path) as temporary:
        if path.suffix.lower() == ".csv":
            with temporary.open("wb") as stream:
                yield CsvPredictions(stream, spreadsheet=spreadsheet)
            return
        file = ParquetPredictions(temporary)
        whole = False
        try:
            yield file
            whole = True
        finally:
            file.close(whole=whole)


def _table(frame: pd.DataFrame) -> pa.Table:
    """Convert column by column: `pa.Table.from_pandas` takes three times as long, because it also stores metadata of pandas."""
    import pyarrow as pa

    return pa.table({str(name): pa.array(column, from_pandas=True) for name, column in frame.items()})


def _lines(table: pa.Table) -> bytes:
    """Return the rows as lines of CSV; cells are quoted only if necessary, and null cells are empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = pc.binary_join_element_wise(*map(_cells, table.columns), pa.scalar(",", pa.large_string()))
    lines = pc.binary_join_element_wise(rows, *(pa.scalar(end, pa.large_string()) for end in ("\n", ""))).combine_chunks()
    # The data buffer of an Arrow string array has all strings back to back: with the newlines in them, it is the text of the file.
    # A slice of the buffer may be longer than its strings; the sum of the lengths is their end.
    return bytes(memoryview(lines.buffers()[2])[: pc.sum(pc.binary_length(lines)).as_py()])


def _cells(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the cells as text for the file; numbers never need quotes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = pc.fill_null(column.cast(pa.large_string()), "")
    return _quoted(texts) if _is_text(column) else texts


def _is_text(column: pa.ChunkedArray) -> bool:
    import pyarrow.types as kinds

    return bool(kinds.is_string(column.type) or kinds.is_large_string(column.type))


def _quoted(column: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    special = pc.match_substring_regex(column, '[",\r\n]')
    if not pc.any(special).as_py():  # the usual case, in which nothing is copied
        return column
    quote = pa.scalar('"', pa.large_string())
    inside = pc.replace_substring(column, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise(quote, inside, quote, pa.scalar("", pa.large_string())), column)
