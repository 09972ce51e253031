"""The dialect of a text table, by its first lines.

A dialect fits where every row of the head has as many cells as the headers, and those are two or more. The usual one of the file's
ending is taken where it fits, another one where it alone does. Where two readings are possible, the user has to set an option.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mmtrain.config.sections.table_format import BLANKS, TableFormat
from mmtrain.data.tables.file_formats.dialect import Dialect, OpenQuoteError
from mmtrain.data.tables.numerals import Numerals
from mmtrain.errors import DataError, Problem, listed

SEPARATORS = (",", ";", "\t", "|")
MOST_TITLES = 20
"""Lines before the headers that are looked at."""

SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The first line by which Excel states the separator."""

COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+(?:[eE][+-]?\d+)?")
POINT = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+)\.\d+(?:[eE][+-]?\d+)?")
WHOLE = re.compile(r"[+-]?\d+")
GROUPED = re.compile(r"[+-]?\d{1,3}(?:[.,]\d{3})+")
"""Texts that may be a whole number with grouped digits."""

NUMBERS = 0.9
"""Share of the filled cells that are numbers in a column of numbers; the rest are words for a missing one."""


@dataclass(frozen=True)
class Fit:
    """A dialect with the headers and the rows that it finds in the head."""

    dialect: Dialect
    headers: list[str]
    rows: list[list[str]]

    @property
    def described(self) -> str:
        """`semicolons 3 columns, 'a', 'b' and 'c'`."""
        headers = listed([repr(header[:20]) for header in self.headers], most=3)
        return f"separated by {self.dialect.separators} it has {len(self.headers)} columns, {headers}"


def sniffed(name: str, head: str, whole: bool, given: TableFormat, usual: str, encoding: str = "utf-8") -> Dialect:
    """The dialect of the file called `name`; `head` is its beginning, or all of it where `whole`.

    What is `given` is not looked for. `usual` is the separator that goes with the file's ending, empty where none does.

    Raises:
        DataError: the head can be read in more than one way.

    """
    lines = io.StringIO(head, newline="").readlines()
    if not whole and len(lines) > 1:
        lines.pop()  # cut off somewhere
    start = _start(lines, given, usual or ",", encoding)
    certain = given.separator is not None or _separator_line(lines, given) is not None
    wanted = [start.separator] if certain else dict.fromkeys([start.separator, *SEPARATORS])
    tried = (_fit(lines, replace(start, separator=separator), given, whole) for separator in wanted)
    fits = {fit.dialect.separator: fit for fit in tried if fit is not None}
    if not fits and not certain:
        blank = _fit(lines, replace(start, separator=BLANKS), given, whole)
        # Blanks separate words of any text, so they count only where nothing else fits and columns are aligned.
        fits = {BLANKS: blank} if blank is not None and _aligned(blank, lines) else {}
    if not fits:
        return _with_numerals(start, given, ())
    chosen = _chosen(name, fits, start.separator if usual else "")
    return _with_numerals(chosen.dialect, given, _columns(chosen))


def fits(head: str, whole: bool, dialect: Dialect) -> bool:
    """Return whether every row of the head has as many cells as the headers, and those are two or more."""
    lines = io.StringIO(head, newline="").readlines()
    rows = _rows(lines if whole or len(lines) < 2 else lines[:-1], dialect, whole, strict=False)
    return bool(rows) and len(rows[0]) > 1 and {len(row) for row in rows} == {len(rows[0])}


def with_clear_decimals(head: str, whole: bool, dialect: Dialect) -> Dialect:
    """The dialect with the decimal mark that its columns show beyond doubt, or else with its own."""
    lines = io.StringIO(head, newline="").readlines()
    rows = _rows(lines if whole or len(lines) < 2 else lines[:-1], dialect, whole, strict=False) or [[]]
    seen = _numerals(dialect, _columns(Fit(dialect, rows[0], rows[1:])))
    return dialect if seen is None or seen.decimal == dialect.numerals.decimal else replace(dialect, numerals=seen)


def _start(lines: Sequence[str], given: TableFormat, usual: str, encoding: str) -> Dialect:
    """The dialect where nothing is found but a line `sep=;` and comments before the headers."""
    dialect = Dialect(
        given.separator or usual,
        '"' if given.quote is None else given.quote.removesuffix("none"),
        (given.escape or "").removesuffix("none"),
        given.skip_lines or 0,
        encoding=encoding,
    )
    if given.skip_lines is not None or not lines:
        return dialect
    skip = 0
    if declared := _separator_line(lines, given):
        dialect = dialect if given.separator else replace(dialect, separator=declared[1])
        skip = 1
    while skip < min(len(lines), MOST_TITLES) and lines[skip].startswith("#"):
        skip += 1
    return replace(dialect, skip_lines=skip)


def _separator_line(lines: Sequence[str], given: TableFormat) -> re.Match[str] | None:
    return SEPARATOR_LINE.fullmatch(lines[0]) if lines and given.skip_lines is None else None


def _fit(lines: Sequence[str], dialect: Dialect, given: TableFormat, whole: bool) -> Fit | None:
    """Read the head with this separator, and with the first quotes and escapes that fit."""
    candidates = [fit for quotes in _quotes(lines, dialect, given) if (fit := _below_titles(lines, quotes, given, whole)) is not None]
    if given.quote is None:  # quotes that stay in the cells do not make cells in single quotes
        candidates = [
            fit for fit in candidates if fit.dialect.quote != "'" or not any(cell.startswith('"') for row in fit.rows for cell in row)
        ]
    if not candidates:
        return None
    # Double quotes, the usual ones, come first; single ones only win where every header is in them.
    plain = candidates[0]
    if len(candidates) > 1 and candidates[-1].dialect.quote == "'" and all(_in_single_quotes(header) for header in plain.headers):
        return candidates[-1]
    return plain


def _in_single_quotes(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == "'"


def _quotes(lines: Sequence[str], dialect: Dialect, given: TableFormat) -> Iterator[Dialect]:
    yield dialect
    if given.escape is None and dialect.quote and any(f"\\{dialect.quote}" in line for line in lines):
        yield replace(dialect, escape="\\")
    if given.quote is None and any("'" in line for line in lines):
        yield replace(dialect, quote="'")


def _below_titles(lines: Sequence[str], dialect: Dialect, given: TableFormat, whole: bool) -> Fit | None:
    """The headers and rows below titles and comments; None where rows have other numbers of cells."""
    # The last of the comments may be the headers: `#id,age,label`.
    commented = given.skip_lines is None and 0 < dialect.skip_lines <= len(lines) and lines[dialect.skip_lines - 1].startswith("#")
    if commented and (fit := _even(lines, replace(dialect, skip_lines=dialect.skip_lines - 1), whole)) is not None:
        return fit
    numbered = _numbered(lines, dialect, whole)
    if not numbered:
        return None
    titles = titles_above([cells for _, cells in numbered]) if given.skip_lines is None else 0
    line, headers = numbered[titles]
    rows = [cells for _, cells in numbered[titles + 1 :]]
    if len(headers) < 2 or any(len(cells) != len(headers) for cells in rows):
        return None
    return Fit(replace(dialect, skip_lines=line - 1) if titles else dialect, headers, rows)


def titles_above(rows: Sequence[Sequence[str]]) -> int:
    """Count the first rows that are titles and comments above the headers."""
    # The number of cells that most rows have.
    width = Counter(map(len, rows)).most_common(1)[0][0]
    titles = 0
    if width > 1:
        while titles < min(len(rows) - 1, MOST_TITLES) and _is_title(rows[titles], width):
            titles += 1
    return titles if is_header(rows[titles]) else 0


def _even(lines: Sequence[str], dialect: Dialect, whole: bool) -> Fit | None:
    rows = _rows(lines, dialect, whole)
    even = len(rows) > 1 and len(rows[0]) > 1 and {len(row) for row in rows} == {len(rows[0])}
    return Fit(dialect, rows[0], rows[1:]) if even else None


def _rows(lines: Sequence[str], dialect: Dialect, whole: bool, *, strict: bool = True) -> list[list[str]]:
    return [cells for _, cells in _numbered(lines, dialect, whole, strict=strict)]


def _numbered(lines: Sequence[str], dialect: Dialect, whole: bool, *, strict: bool = True) -> list[tuple[int, list[str]]]:
    """The rows of the head with their lines; none where it is not written like this."""
    numbered = []
    try:
        for record in dialect.records(lines, strict=strict):
            numbered.append(record)
    except csv.Error:
        return []
    except OpenQuoteError:
        return [] if whole else numbered  # it may be closed below the head
    return numbered


def _is_title(cells: Sequence[str], width: int) -> bool:
    """A line of text that cannot be a row of a table of this width. A header may lack one cell, as R writes it above row names."""
    filled = [cell for cell in cells if cell.strip()]
    if not filled or len(filled) > 1:
        return not filled or len(cells) < width - 1
    if width == 2:
        return len(cells) == 1 and len(cells[0].split()) > 2
    return bool(cells[0].strip())


def is_header(cells: Sequence[str]) -> bool:
    """Return whether a row may be the headers of a table: every cell is filled, none is a number, and none is there twice."""
    stripped = [cell.strip() for cell in cells]
    return all(stripped) and len(set(stripped)) == len(stripped) and not any(_is_number(cell) for cell in stripped)


def _is_number(cell: str) -> bool:
    return any(pattern.fullmatch(cell) for pattern in (WHOLE, COMMA, POINT))


def _aligned(fit: Fit, lines: Sequence[str]) -> bool:
    """Return whether blanks seem to separate cells rather than words: by a column of numbers, or by more than one in a row."""
    if any(re.search(r"\S(?:[ \t]{2,}|\t)\S", line) for line in lines):
        return True
    return any(column and all(map(_is_number, column)) for column in _columns(fit)) and not any(map(_is_number, fit.headers))


def _columns(fit: Fit) -> list[list[str]]:
    """The filled cells of every column below the headers."""
    return [[cell.strip() for cell in cells if cell.strip()] for cells in zip(*fit.rows, strict=False)]


def _chosen(name: str, fits: dict[str, Fit], usual: str) -> Fit:
    """The fit that leaves no doubt."""
    best = fits.get(usual)
    if best is None:
        most = max(len(fit.headers) for fit in fits.values())
        best, *others = [fit for fit in fits.values() if len(fit.headers) == most]
        rivals = [*others, *(fit for fit in fits.values() if len(fit.headers) < most)]
    else:
        rivals = [fit for separator, fit in fits.items() if separator != usual and _rivals(fit, best)]
    if not rivals:
        return best
    ways = "; ".join(fit.described for fit in (best, *rivals))
    options = " or ".join(f"`format: {{separator: {_quoted(fit.dialect.separator)}}}`" for fit in (best, *rivals))
    fix = f"Write {options} under `data`; `mmtrain init` takes the same map as --format."
    raise DataError(Problem(name, f"the table can be read in several ways: {ways}.", fix))


def _quoted(separator: str) -> str:
    return "tab" if separator == "\t" else f'"{separator}"'


def _rivals(other: Fit, usual: Fit) -> bool:
    """Return whether another reading is at least as likely as the usual one."""
    if len(other.headers) != len(usual.headers):
        return len(other.headers) > len(usual.headers)
    return any(_share(column, COMMA, WHOLE) and any("," in cell for cell in column) for column in _columns(other))


def _share(column: Sequence[str], *patterns: re.Pattern[str]) -> bool:
    """Return whether the cells of a column are such numbers, but for words for missing ones."""
    numbers = sum(any(pattern.fullmatch(cell) for pattern in patterns) for cell in column)
    return bool(column) and numbers >= NUMBERS * len(column)


def _with_numerals(dialect: Dialect, given: TableFormat, columns: Sequence[Sequence[str]]) -> Dialect:
    seen = None
    # Between commas, `"1,2"` may be a list as well.
    if given.decimal is None and given.thousands is None and dialect.separator != ",":
        seen = _numerals(dialect, columns)
    return replace(dialect, numerals=seen or Numerals(given.decimal or ".", given.thousands or ""))


def _numerals(dialect: Dialect, columns: Sequence[Sequence[str]]) -> Numerals | None:
    """Return how numbers are written, by columns in which that is beyond doubt; None where there is none, or where they disagree."""
    commas = [column for column in columns if _shows(column, COMMA, ",")]
    points = [column for column in columns if _shows(column, POINT, ".")]
    # Neither kind of mark, or both: nothing is certain.
    if bool(commas) == bool(points):
        return None
    decimal, thousands = (",", ".") if commas else (".", ",")
    grouped = any(thousands in cell and decimal in cell for column in commas or points for cell in column)
    # A mark cannot both group digits and separate cells.
    return Numerals(decimal, thousands if grouped and dialect.separator != thousands else "")


def _shows(column: Sequence[str], pattern: re.Pattern[str], mark: str) -> bool:
    marked = [cell for cell in column if mark in cell]
    return _share(column, pattern, WHOLE, GROUPED) and any(pattern.fullmatch(cell) and not GROUPED.fullmatch(cell) for cell in marked)
