"""Texts of the problems of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmtrain.columns import CellError
from mmtrain.data.tables.numerals import CLEAR, UNCLEAR
from mmtrain.data.tables.table_file import TableFile, other_places
from mmtrain.errors import Problem, did_you_mean, listed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


def header_problem(file: TableFile, header: str, declared: str = "") -> Problem | None:
    """A header that is not there, is there twice, or stands over something other than text; else None.

    `declared` is the place that asks for it, if a person would rather mend that than the table.
    """
    name, times = file.path.name, file.times[header]
    if times == 0:
        what = f"{name if declared else 'the table'} has no column '{header}'."
        return Problem(declared or name, what, _other_header(file, header))
    if times > 1:
        return Problem(name, f"{times} columns have the header '{header}'.", "Give each a header of its own.")
    if refusal := file.refusal(header):
        return Problem(f"{name}: {header}", refusal, "A cell is a text, a number, a date, or true or false.")
    return None


def header_problems(file: TableFile, headers: Sequence[str]) -> list[Problem]:
    """Return the problems of several headers; one for all missing headers that are mended alike, as in the wrong table."""
    missing: dict[str, list[str]] = {}
    for header in headers:
        if header not in file.times:
            missing.setdefault(_other_header(file, header), []).append(header)
    problems = {header: problem for header in headers if (problem := header_problem(file, header))}
    for fix, alike in missing.items():
        if len(alike) > 1:
            what = f"the table has no columns {listed([repr(header) for header in alike], most=40)}."
            problems |= {alike[0]: Problem(file.path.name, what, fix)}
            for header in alike[1:]:
                del problems[header]
    return list(problems.values())


def _other_header(file: TableFile, header: str) -> str:
    if len(file.headers) == 1:
        for mark, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars"), (",", "commas")):
            if mark in file.headers[0]:
                option = "tab" if mark == "\t" else f'"{mark}"'
                return f"Its headers are separated by {called}: write `format: {{separator: {option}}}` under `data`."
    return did_you_mean(header, file.headers) or f"It has {listed(file.headers)}."


def too_few_rows(name: str, left: int, total: int, first_dropped: str, *, least: int) -> list[Problem]:
    """The problem that fewer than `least` rows are left of `total`, or none.

    `first_dropped` is why the first row left the table, empty when none did.
    """
    if left >= max(least, 1):
        return []
    need = f"; at least {least} are needed." if least > 1 else "."
    if not first_dropped:
        what = {0: "the table has no rows", 1: "the table has one row"}.get(left, f"the table has {left} rows")
        return [Problem(name, what + need, "Write a line below the headers for every row.")]
    have = {0: "no row is", 1: "one row is"}.get(left, f"{left} rows are")
    what = f"{have} left of {total}{need} The first that was left out: {first_dropped}"
    return [Problem(name, what, "Fill in what is missing, or choose another policy than `missing: drop`.")]


def unclear_fault(cells: pd.Series[str], rows: NDArray[np.int64]) -> CellError:
    """The fault of cells that could be two numbers (see `numerals`)."""
    return CellError(rows, f"{cells.iloc[rows[0]]!r} {UNCLEAR}.", CLEAR)


def cell_error_problem(place: str, fault: CellError, unit: str, numbers: Sequence[int]) -> Problem:
    """`fault` at the place of its first cell; `numbers` are the lines, or whatever `unit` says, of the other cells."""
    return Problem(place, fault.what + other_places("cell", unit, numbers), fault.fix)
