"""Tables in Excel's .xlsx, read whole: the first sheet, or the one that `data.format` names.

Empty rows and empty columns are skipped. A formula counts as the value that Excel stored with it. What would become a
missing cell without anybody's intent is refused: formulas without a value, and merged cells, of which only the first has one.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.config.sections.table_format import TableFormat
from mmtrain.data.tables.file_formats.parquet_file import cell_texts
from mmtrain.data.tables.file_formats.sniff import is_header, titles_above
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import DataError, Problem, did_you_mean, listed

if TYPE_CHECKING:
    import pyarrow as pa

MOST_CELLS = 20_000_000
"""Filled cells of a sheet; about 1 GB of memory while it is read."""

MOST_BYTES = 2_000_000_000
"""Bytes of the file, unpacked."""

EXTRA = "pip install 'mmtrain[excel]'"
MERGED = re.compile(rb'<mergeCell [^>]*?ref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
FORMULA = re.compile(rb"<f[ >/]")
_BLOCK = 1_000_000

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    SyntaxError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    OSError,
)
"""Errors of reading a damaged file, within a package that does not look for damage; a syntax error is one of its XML."""


@dataclass(frozen=True)
class _Sheet:
    """The table of one sheet; `numbers` are the rows as Excel counts them, from 1, of the headers first."""

    name: str
    others: tuple[str, ...]
    headers: tuple[str, ...]
    columns: tuple[pa.Array, ...]
    typed: tuple[bool, ...]
    numbers: np.ndarray[Any, np.dtype[np.int64]]
    skipped: int


class ExcelFile(TableFile):
    """One sheet of an Excel file."""

    unit = "row"

    def __init__(self, path: Path, missing_values: Sequence[str], given: TableFormat, *, later: bool = False) -> None:
        self._given = given
        self._later = later
        super().__init__(path, missing_values)
        if self._sheet.others:
            others = listed([repr(one) for one in self._sheet.others], "or")
            self.notice = "" if given.sheet == self._sheet.name else f"{path.name}: the sheet {self._sheet.name!r} is read, not {others}."
            self.format_options = {"sheet": self._sheet.name}
        if self._sheet.skipped:
            self.format_options = {**self.format_options, "skip_lines": self._sheet.skipped}

    def _read_headers(self) -> tuple[str, ...]:
        self._sheet = _sheet(self.path, *self._state, self._given.sheet or "", self._given.skip_lines, self._later)
        return self._sheet.headers

    def typed(self, header: str) -> bool:
        """Return whether every cell is a number or a truth value."""
        return self._sheet.typed[self.headers.index(header)]

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        columns = [self._sheet.columns[self.headers.index(header)] for header in headers]
        for start in range(0, len(columns[0]), size):
            yield [column.slice(start, size) for column in columns]

    def number(self, row: int) -> int:
        """The row as Excel counts it."""
        return int(self._sheet.numbers[row + 1])

    def where(self, row: int) -> str:
        """`patients.xlsx: row 40`."""
        return f"{self.path.name}: row {self.number(row)}"


@lru_cache(maxsize=2)
def _sheet(path: Path, size: int, changed: int, name: str, skip: int | None, later: bool) -> _Sheet:  # noqa: ARG001
    """The sheet called `name`, or the first; a command opens it several times. Raises DataError for what cannot be read."""
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise DataError(Problem(path.name, "Excel files are read by a package that is not installed.", f"Install it: {EXTRA}")) from None
    try:
        _check_size(path)
        return _opened(path, name, skip, later=later)
    except PermissionError:
        raise
    except _DAMAGED as error:
        what = "the file is not an Excel file, has a password, or is damaged."
        raise DataError(Problem(path.name, what, "Save it again as .xlsx.")) from error


def _opened(path: Path, name: str, skip: int | None, *, later: bool) -> _Sheet:
    from openpyxl import load_workbook

    book = load_workbook(path, read_only=True, data_only=True)
    try:
        names = [sheet.title for sheet in book.worksheets]
        if not names:
            raise DataError(Problem(path.name, "the file has no sheet of cells.", "Save the table in a sheet."))
        if name and name not in names and not later:
            fix = did_you_mean(name, names) or f"It has {listed([repr(one) for one in names])}."
            raise DataError(Problem("data.format.sheet", f"{path.name} has no sheet {name!r}.", fix))
        name = name if name in names else names[0]
        others = [one for one in names if one != name]
        return _read(path, book[name], others, skip, later=later)
    finally:
        book.close()


def _check_size(path: Path) -> None:
    """Raises DataError for a file whose parts are too large to be held, as its texts are."""
    with zipfile.ZipFile(path) as parts:
        size = sum(part.file_size for part in parts.infolist())
    if size > MOST_BYTES:
        what = f"the file unpacks to more than {MOST_BYTES:,} bytes."
        raise DataError(Problem(path.name, what, "Save it as CSV or Parquet, which are read piece by piece."))


def _read(path: Path, sheet: Any, others: list[str], skip: int | None, *, later: bool) -> _Sheet:
    rows: list[tuple[int, tuple[Any, ...]]] = []
    cells = 0
    sheet.reset_dimensions()  # other programs write wrong ones
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        filled = sum(not _empty(value) for value in row)
        cells += filled
        if cells > MOST_CELLS:
            fix = "Save it as CSV or Parquet, which are read piece by piece."
            raise DataError(Problem(path.name, f"the sheet {sheet.title!r} has more than {MOST_CELLS:,} cells.", fix))
        if filled and later and not rows and number <= (skip or 0) and len(row) > 1 and is_header([_header(value) for value in row]):
            skip = 0  # a later table may lack the titles above the headers
        if filled and number > (skip or 0):
            rows.append((number, row))
    if not rows:
        fix = "Write a row of headers and a row for every example, or name another sheet as `sheet` in `data.format`."
        raise DataError(Problem(path.name, f"the sheet {sheet.title!r} is empty.", fix))
    # Titles stand at the top; the first 100 rows tell how wide the table is.
    titles = titles_above([[_header(value) for value in row] for _, row in rows[:100]]) if skip is None else 0
    skipped = rows[titles][0] - 1 if titles else 0
    rows = rows[titles:]
    width = max(len(row) for _, row in rows)
    # Columns without a single value are formatting that Excel stores as cells.
    used = [place for place in range(width) if any(len(row) > place and not _empty(row[place]) for _, row in rows)]
    _check_hidden_values(path, sheet, rows, used)
    (_, first), *below = rows
    columns = [[row[place] if len(row) > place else None for _, row in below] for place in used]
    return _Sheet(
        sheet.title,
        tuple(others),
        tuple(_header(first[place]) if len(first) > place else "" for place in used),
        tuple(cell_texts(column) for column in columns),
        tuple(all(value is None or isinstance(value, bool | int | float) for value in column) for column in columns),
        np.array([number for number, _ in rows], dtype=np.int64),
        skipped,
    )


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _header(value: Any) -> str:
    return cell_texts([value])[0].as_py() or ""


def _check_hidden_values(path: Path, sheet: Any, rows: list[tuple[int, tuple[Any, ...]]], used: list[int]) -> None:
    """Raises DataError for merged cells and for formulas without a value, within the table."""
    from openpyxl.utils import column_index_from_string, get_column_letter

    first, last, columns = rows[0][0], rows[-1][0], {place + 1 for place in used}
    formulas, merged = _marks(sheet)
    problems = []
    for left, top, right, bottom in merged:
        across = range(column_index_from_string(left), column_index_from_string(right) + 1)
        if first <= int(bottom) and int(top) <= last and columns.intersection(across):
            what = f"the cells {left}{top}:{right}{bottom} are merged, so only the first of them has a value."
            problems.append(Problem(f"{path.name}: row {max(int(top), first)}", what, "Unmerge them, and fill in each."))
    if formulas:
        known = {number: row for number, row in rows}
        for number, row in _formula_rows(path, sheet.title, last):
            for place in row:
                value = known.get(number, ())
                if number >= first and (len(value) <= place or value[place] is None):
                    what = f"the formula in {get_column_letter(place + 1)}{number} has no stored value."
                    problems.append(Problem(f"{path.name}: row {number}", what, "Open the file in Excel and save it, or write values."))
    if problems:
        more = len(problems) - 5
        rest = [Problem(path.name, f"{more:,} more cells are merged or have formulas without a value.")] if more > 0 else []
        raise DataError([*problems[:5], *rest])


def _marks(sheet: Any) -> tuple[bool, list[tuple[str, str, str, str]]]:
    """Return whether a sheet has formulas, and the corners of its merged cells, from its XML: the reader in pieces leaves these out."""
    formulas, merged, before = False, [], b""
    with sheet._get_source() as source:
        for block in iter(lambda: source.read(_BLOCK), b""):
            text = before + block
            formulas = formulas or FORMULA.search(text) is not None
            matches = list(MERGED.finditer(text))
            merged += [tuple(part.decode() for part in match.groups()) for match in matches]
            # A mark may lie across two blocks; the end of the last match is the limit, so that none is counted twice.
            before = text[max(len(text) - 200, matches[-1].end() if matches else 0) :]
    return formulas, merged  # type: ignore[return-value]


def _formula_rows(path: Path, name: str, last: int) -> Iterator[tuple[int, list[int]]]:
    """(row as Excel counts it, places of its formulas)."""
    from openpyxl import load_workbook

    book = load_workbook(path, read_only=True, data_only=False)
    try:
        sheet = book[name]
        sheet.reset_dimensions()
        for number, row in enumerate(sheet.iter_rows(max_row=last), start=1):
            places = [place for place, cell in enumerate(row) if cell.data_type == "f"]
            if places:
                yield number, places
    finally:
        book.close()
