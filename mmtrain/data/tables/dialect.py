"""How a table that is text is written, and the slow reader of it, which knows the line of every row."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mmtrain.config.table_format import BLANKS
from mmtrain.data.tables.numerals import PLAIN, Numerals
from mmtrain.errors import counted, listed

END = "<end of the table>"

CALLED = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", BLANKS: "blanks", ":": "colons"}
"""What separators are called."""


class OpenQuoteError(ValueError):
    """A quote that is never closed; `line` is that of the beginning of its row."""

    def __init__(self, line: int) -> None:
        super().__init__(f"The quote in line {line} is never closed.")
        self.line = line


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
        """What decodes the file; a byte order mark is no part of the first header."""
        return "utf-8-sig" if self.encoding.lower().replace("_", "-") in ("utf-8", "utf8") else self.encoding

    @property
    def fast(self) -> bool:
        """Whether Arrow can read it."""
        return self.separator != BLANKS and self.codec == "utf-8-sig"

    @property
    def separators(self) -> str:
        """`commas`."""
        return CALLED.get(self.separator, repr(self.separator))

    def options(self, usual: str) -> dict[str, Any]:
        """What `data.format` says to have this dialect, in a file whose `usual` separator is known."""
        plain = Dialect(usual)
        found: dict[str, Any] = {}
        if self.separator != usual:
            found["separator"] = "tab" if self.separator == "\t" else self.separator
        if self.numerals.decimal != ".":
            found["decimal"] = self.numerals.decimal
        if self.numerals.thousands:
            found["thousands"] = self.numerals.thousands
        if self.skip_lines:
            found["skip_lines"] = self.skip_lines
        if self.quote != plain.quote:
            found["quote"] = self.quote or "none"
        if self.escape:
            found["escape"] = self.escape
        if self.codec != plain.codec:
            found["encoding"] = self.encoding
        return found

    def described(self, options: Mapping[str, Any]) -> str:
        """What some of the options mean, as a phrase."""
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
            csv.Error: `strict`, and something follows a closing quote.

        """
        rest = iter(lines)
        for _ in range(self.skip_lines):
            next(rest, None)
        if self.separator == BLANKS:
            yield from self._between_blanks(rest)
            return
        with _any_length():
            # The end mark is a row of its own, unless an open quote swallows it.
            reader = csv.reader(chain(rest, ("\n", END)), **self._options(strict))
            line = 1
            for cells in reader:
                if cells == [END]:
                    return
                if cells and cells[-1].endswith(END):
                    raise OpenQuoteError(line + self.skip_lines)
                if cells:
                    yield line + self.skip_lines, cells
                line = reader.line_num + 1

    def _between_blanks(self, lines: Iterable[str]) -> Generator[tuple[int, list[str]]]:
        """The same of cells between runs of blanks and tabs; none of them holds a line break."""
        quote = re.escape(self.quote)
        inside = rf"(?:[^{quote}{re.escape(self.escape)}]|{re.escape(self.escape) or quote}.)*" if quote else ""
        cell = re.compile(rf"{quote}{inside}{quote}(?=\s|$)|\S+" if quote else r"\S+")
        for line, text in enumerate(lines, start=1 + self.skip_lines):
            if cells := [self._unquoted(found, line) for found in cell.findall(text)]:
                yield line, cells

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
    usual = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(usual)
