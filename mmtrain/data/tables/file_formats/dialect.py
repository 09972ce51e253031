"""The separators, quotes and encoding of a table that is text, and the slow reader of it, which knows the line of every row."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOBase
from itertools import chain
from typing import Any

from mmtrain.config.sections.table_format import BLANKS
from mmtrain.data.tables.numerals import PLAIN, Numerals
from mmtrain.errors import counted, listed

END = "<end of the table>"

LONGEST_ROW = 4_000_000
"""Characters of a row with its line breaks, and of the header."""

CALLED = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", BLANKS: "blanks", ":": "colons"}
"""Names of separators."""


class OpenQuoteError(ValueError):
    """A quote that is never closed; `line` is that of the beginning of its row."""

    def __init__(self, line: int) -> None:
        super().__init__(f"The quote in line {line} is never closed.")
        self.line = line


class RowTooLongError(ValueError):
    """A row, or the header, of more than `LONGEST_ROW` characters; `line` is that of its beginning."""

    def __init__(self, line: int, *, is_header: bool) -> None:
        super().__init__(f"The row in line {line} is longer than {LONGEST_ROW} characters.")
        self.line, self.is_header = line, is_header


class _BoundedLines:
    """Lines for a reader of rows, which sets `characters` to 0 after each row. Raises OverflowError once a row is too long.

    A file without line breaks may be of any size, above all once it is unpacked: no more of it than that is read.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.characters = 0

    def __iter__(self) -> Iterator[str]:
        lines = self._lines
        # `readline` with a limit: a file without line breaks is not read as one line of any length.
        for line in iter(lambda: lines.readline(LONGEST_ROW + 1), "") if isinstance(lines, TextIOBase) else lines:
            self.characters += len(line)
            if self.characters > LONGEST_ROW:
                raise OverflowError
            yield line


@dataclass(frozen=True)
class Dialect:
    """The separator is one character or `BLANKS`; `quote` and `escape` may be empty; `skip_lines` stand before the headers."""

    separator: str = ","
    quote: str = '"'
    escape: str = ""
    skip_lines: int = 0
    numerals: Numerals = PLAIN
    encoding: str = "utf-8"

    @property
    def codec(self) -> str:
        """The codec of the file; a byte order mark is not part of the first header."""
        return "utf-8-sig" if self.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else self.encoding

    @property
    def fast(self) -> bool:
        """Return whether Arrow can read it."""
        return self.separator != BLANKS and self.codec == "utf-8-sig"

    @property
    def separators(self) -> str:
        """`commas`."""
        return CALLED.get(self.separator, repr(self.separator))

    def options(self, usual: str) -> dict[str, Any]:
        """Return the options of `data.format` for this dialect, in a file whose `usual` separator is known."""
        plain = Dialect(usual)
        options: dict[str, Any] = {}
        if self.separator != usual:
            options["separator"] = "tab" if self.separator == "\t" else self.separator
        if self.numerals.decimal != ".":
            options["decimal"] = self.numerals.decimal
        if self.numerals.thousands:
            options["thousands"] = self.numerals.thousands
        if self.skip_lines:
            options["skip_lines"] = self.skip_lines
        if self.quote != plain.quote:
            options["quote"] = self.quote or "none"
        if self.escape:
            options["escape"] = self.escape
        if self.codec != plain.codec:
            options["encoding"] = self.encoding
        return options

    def described(self, options: Mapping[str, Any]) -> str:
        """Describe some of the options, as a phrase."""
        words = {
            "separator": f"cells separated by {self.separators}",
            "decimal": "numbers with decimal commas",
            "thousands": "digits grouped by three",
            "skip_lines": f"{counted(self.skip_lines, 'line')} before the headers",
            "quote": "cells in single quotes",
            "escape": "quotes escaped by a backslash",
            "encoding": f"the encoding {self.encoding}",
        }
        return listed([words[option] for option in words if option in options])

    def records(self, lines: Iterable[str], *, strict: bool = False) -> Generator[tuple[int, list[str]]]:
        """(line of its beginning, cells) of the headers and of every row; `lines` keep their ends.

        Raises:
            OpenQuoteError: a quote is never closed.
            RowTooLongError: a row has more than `LONGEST_ROW` characters.
            csv.Error: `strict`, and something follows a closing quote.

        """
        bounded = _BoundedLines(lines)
        rest = iter(bounded)
        for _ in range(self.skip_lines):
            next(rest, None)
            bounded.characters = 0
        if self.separator == BLANKS:
            yield from self._between_blanks(rest, bounded)
            return
        with _any_length():
            # The end mark is a row of its own, unless an open quote swallows it.
            reader = csv.reader(chain(rest, ("\n", END)), **self._options(strict))
            line = 1
            try:
                for cells in reader:
                    if cells == [END]:
                        return
                    # An open quote has swallowed the end mark, and with it all rows below.
                    if cells and cells[-1].endswith(END):
                        raise OpenQuoteError(line + self.skip_lines)
                    if cells:
                        yield line + self.skip_lines, cells
                    # Counts lines of the file, of which a quoted cell may hold several.
                    line = reader.line_num + 1
                    bounded.characters = 0
            except OverflowError:
                raise RowTooLongError(line + self.skip_lines, is_header=line == 1) from None

    def _between_blanks(self, lines: Iterable[str], bounded: _BoundedLines) -> Generator[tuple[int, list[str]]]:
        """Yield line number and cells of lines whose cells are separated by runs of blanks and tabs; no cell contains a line break."""
        quote = re.escape(self.quote)
        # Inside quotes: any character but the quote and the escape, or a pair that stands for a quote.
        inside = rf"(?:[^{quote}{re.escape(self.escape)}]|{re.escape(self.escape) or quote}.)*" if quote else ""
        cell = re.compile(rf"{quote}{inside}{quote}(?=\s|$)|\S+" if quote else r"\S+")
        line = self.skip_lines
        try:
            for line, text in enumerate(lines, start=1 + self.skip_lines):
                bounded.characters = 0  # a row is a line
                if cells := [self._unquoted(quoted, line) for quoted in cell.findall(text)]:
                    yield line, cells
        except OverflowError:
            raise RowTooLongError(line + 1, is_header=line == self.skip_lines) from None

    def _unquoted(self, cell: str, line: int) -> str:
        if not self.quote or not cell.startswith(self.quote):
            return cell
        if len(cell) < 2 or not cell.endswith(self.quote):
            raise OpenQuoteError(line)
        return cell[1:-1].replace((self.escape or self.quote) + self.quote, self.quote)

    def _options(self, strict: bool) -> dict[str, Any]:
        quoting = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
        return {
            "delimiter": self.separator,
            "quotechar": self.quote or None,
            "quoting": quoting,
            "escapechar": self.escape or None,
            "strict": strict,
        }


@contextmanager
def _any_length() -> Iterator[None]:
    # The limit is one for the process, 131,072 characters; others may rely on it, so it is put back.
    usual = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(usual)
