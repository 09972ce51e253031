"""The text of a table with separators, read record by record: lines of rows, and what is wrong with bytes and quotes."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Generator
from contextlib import closing
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from mmtrain.data.tables.file_formats.dialect import LONGEST_ROW, Dialect, OpenQuoteError, RowTooLongError
from mmtrain.errors import DataError, Problem

COUNTED_BYTES = 1_000_000
"""Bytes whose quotes are counted, and whose encoding is checked, at once."""

UNDECODABLE = "mmtrain_undecodable"
"""Error handler that puts a lone surrogate where bytes cannot be decoded: no text holds one, and Arrow takes none."""
codecs.register_error(UNDECODABLE, lambda error: ("\udcff", getattr(error, "end", 0)))

DAMAGED = (OSError, EOFError, zlib.error)
"""Errors of reading a damaged file; the last two come from gzip."""


class DelimitedText:
    """A file of text by its dialect, read slowly; `csv_file` reads the cells themselves with Arrow where it can."""

    _lines: np.ndarray[Any, np.dtype[np.int64]] = np.empty(0, dtype=np.int64)
    """The lines that the first rows begin in; found only when a row has to be shown."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.path, self.dialect = path, dialect

    def open(self) -> IO[bytes]:
        """The bytes of the file, unpacked."""
        return open_text(self.path)

    def records(self, *, errors: str = "replace") -> Generator[tuple[int, list[str]]]:
        """(line of its beginning, cells) of the header and of every row, as Arrow sees them.

        Raises:
            DataError: a quote is never closed.

        """
        try:
            with io.TextIOWrapper(self.open(), encoding=self.dialect.codec, errors=errors, newline="") as lines:
                yield from self.dialect.records(lines)
        except OpenQuoteError as error:
            what = "a quote in this row is never closed."
            raise DataError(Problem(f"{self.path.name}:{error.line}", what, "Close it, or remove it.")) from None
        except RowTooLongError as error:
            if error.is_header:
                what = f"the header is longer than {LONGEST_ROW:,} characters."
                fix = "Write a line of headers, and a line for every row; close every quote."
                raise DataError(Problem(self.path.name, what, fix)) from None
            what = f"the row is longer than {LONGEST_ROW:,} characters."
            fix = "Look for a quote that is not closed; keep texts as long as this in Parquet."
            raise DataError(Problem(f"{self.path.name}:{error.line}", what, fix)) from None

    def encoding_problem(self) -> Problem | None:
        """The first byte that is not text in the encoding; None where all are."""
        if self.dialect.codec != "utf-8-sig":
            what = f"the file is not text in the encoding {self.dialect.encoding}."
            return Problem(self.path.name, what, "Set `encoding` in `data.format` to the right one, or save the table as UTF-8.")
        # Keeps the first bytes of a character that two blocks share.
        decoder = codecs.getincrementaldecoder("utf-8")()
        line = 1
        with self.open() as file:
            while True:
                block = file.read(COUNTED_BYTES)
                try:
                    decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    line += error.object.count(b"\n", 0, error.start)
                    what = f"the byte 0x{error.object[error.start]:02X} is not UTF-8 text."
                    fix = "Save the table as UTF-8 (in Excel: `CSV UTF-8`), or set `encoding` in `data.format`."
                    return Problem(f"{self.path.name}:{line}", what, fix)
                if not block:
                    return None
                line += block.count(b"\n")

    @property
    def quotes(self) -> int:
        """Quotes in the whole file."""
        return self._quote_counts[0]

    @property
    def escaped_quotes(self) -> int:
        """Quotes behind a backslash, where that has no meaning in this dialect."""
        return 0 if self.dialect.escape else self._quote_counts[1]

    @cached_property
    def _quote_counts(self) -> tuple[int, int]:
        """Quotes, and those behind a backslash, in the whole file."""
        # No text holds a zero byte: without a quote character, nothing is counted.
        quote = self.dialect.quote.encode() or b"\0"
        quotes = escaped = 0
        last = b""
        with self.open() as file:
            for block in iter(lambda: file.read(COUNTED_BYTES), b""):
                quotes += block.count(quote)
                # With the last byte of the block before: a backslash and its quote may lie in two blocks.
                escaped += (last + block).count(b"\\" + quote)
                last = block[-1:]
        return quotes, escaped

    @cached_property
    def malformed(self) -> Problem | None:
        """The first row in which something follows a closing quote, as it does where quotes are escaped and that is not known."""
        last = 0
        try:
            with io.TextIOWrapper(self.open(), encoding=self.dialect.codec, errors="replace", newline="") as lines:
                for line, _ in self.dialect.records(lines, strict=True):
                    last = line
        except csv.Error:
            what = "a quoted cell goes on behind its closing quote."
            fix = 'Set `escape: "\\\\"` in `data.format` if quotes within cells have a backslash in front; else write such quotes twice.'
            return Problem(f"{self.path.name}:{self._next_line(last)}", what, fix)
        except (OpenQuoteError, RowTooLongError):
            return None
        return None

    def _next_line(self, line: int) -> int:
        """The line of the row behind that in `line`."""
        return next((other for other, _ in self.records() if other > line), line)

    def line(self, row: int) -> int:
        """The line that the row begins in, from 1; quoted cells may hold line breaks."""
        if row >= len(self._lines):  # twice as many as are known, so that asking row by row costs no more than asking for all
            with closing(self.records()) as records:
                lines = (line for line, _ in islice(records, 1, 2 + max(row, 2 * len(self._lines))))
                self._lines = np.fromiter(lines, dtype=np.int64)
        return int(self._lines[row])


def packed(path: Path) -> bool:
    """Return whether the file is compressed with gzip."""
    return path.name.lower().endswith(".gz")


def open_text(path: Path) -> IO[bytes]:
    """The bytes of a text file, unpacked."""
    return gzip.open(path, "rb") if packed(path) else path.open("rb")  # type: ignore[return-value]
