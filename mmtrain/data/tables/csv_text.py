"""Tables as CSV text, with a line feed at the end of a line.

Until Python 3.12 `csv` quotes only those line breaks in a cell that are in its line terminator: where that is a line feed, a lone
carriage return in a cell would end the line. So rows are written with both at their end, and the carriage return is taken off.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pandas as pd

END = "\r\n"

FORMULA = r"^'*[=+\-@\t\r]"
"""A spreadsheet takes a cell that begins so for a formula, and runs it (CSV injection, CWE-1236); apostrophes before it are ours."""
NUMBER = r"^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$"
"""A negative number is not a formula, and stays as it is."""
APOSTROPHE_NOTE = "An apostrophe stands before cells that a spreadsheet would take for a formula."
_FORMULA, _NUMBER = re.compile(FORMULA), re.compile(NUMBER)


def is_formula(cell: object) -> bool:
    """Return whether a spreadsheet would run the cell of a CSV file."""
    return isinstance(cell, str) and _FORMULA.match(cell) is not None and _NUMBER.match(cell) is None


def for_spreadsheet(cell: object) -> object:
    """A cell with an apostrophe before it where a spreadsheet would run it."""
    return f"'{cell}" if is_formula(cell) else cell


class CsvLines:
    """A text file for `csv.writer`, which ends every line with `END` and writes each in one call."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """A line, of a row."""
        return self._file.write(f"{line.removesuffix(END)}\n")


def csv_text(table: pd.DataFrame, *, header: bool = True, spreadsheet: bool = False) -> str:
    """The table without its index, and, where it goes on with another, without its `header`.

    For a `spreadsheet` it has no formulas, and is not to be read back.
    """
    if spreadsheet:
        table = table.map(for_spreadsheet)
    text = io.StringIO()
    lines: Any = CsvLines(text)  # pandas asks for more of a file than it uses
    table.to_csv(lines, index=False, header=header, lineterminator=END)
    return text.getvalue()
