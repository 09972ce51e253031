"""Tables as CSV text, with a line feed at the end of a line.

Until Python 3.12 `csv` quotes only those line breaks in a cell that are in its line terminator: where that is a line feed, a lone
carriage return in a cell would end the line. So rows are written with both at their end, and the carriage return is taken off.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import pandas as pd

END = "\r\n"


class Lines:
    """A text file for `csv.writer`, which ends every line with `END` and writes each in one call."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        """A line, of a row."""
        return self._file.write(f"{line.removesuffix(END)}\n")


def csv_text(table: pd.DataFrame) -> str:
    """The table without its index."""
    text = io.StringIO()
    lines: Any = Lines(text)  # pandas asks for more of a file than it uses
    table.to_csv(lines, index=False, lineterminator=END)
    return text.getvalue()
