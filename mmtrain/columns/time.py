"""`role: time`: when a row happened, as a date or a number, for `split: {method: time}`. It feeds no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from mmtrain.columns.base import Column, Purpose, role
from mmtrain.columns.cells import CellError, missing_cell_error
from mmtrain.columns.numbers import parse_numbers
from mmtrain.text.date_patterns import SLASHED

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MONTHS = 12


@role("time")
class Time(Column):
    """Orders the rows: a date, with a time of day or without, or a number that grows with time."""

    purpose: ClassVar[Purpose] = "ordering"

    role: Literal["time"] = "time"
    missing: Literal["error", "drop"] = Field("error", description="error: refuse; drop: leave the row out.")

    def values(self, cells: pd.Series[str]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Return what orders the rows, (rows,): days since 1970 where every cell is a date, else numbers; NaN where a cell is neither."""
        import numpy as np

        from mmtrain.text.dates import days

        dates = days(cells)
        # One cell that is not a date makes the column one of numbers.
        return parse_numbers(cells) if np.isnan(dates[cells.notna().to_numpy()]).any() else dates

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing cells, cells that are neither a date nor a number, and dates next to numbers."""
        import numpy as np

        from mmtrain.text.dates import days

        faults = missing_cell_error(cells, self.missing, {"drop": "leave the row out"})
        filled = cells.notna().to_numpy()
        no_date, no_number = (np.isnan(values) & filled for values in (days(cells), parse_numbers(cells)))
        neither = np.flatnonzero(no_date & no_number)
        if len(neither):
            return [*faults, CellError(neither, *_neither(cells, neither[0]))]
        if no_date.any() and no_number.any():
            dates, others = np.flatnonzero(no_number), np.flatnonzero(no_date)
            # The rarer kind is the mistake that is shown.
            rows, noun, usual = (others, "number", dates) if len(others) <= len(dates) else (dates, "date", others)
            what = f"{cells.iloc[rows[0]]!r} is a {noun}, and other cells are not, such as {cells.iloc[usual[0]]!r}."
            faults.append(CellError(rows, what, "Write dates in all of them, or numbers in all."))
        return faults


def _neither(cells: pd.Series[str], row: int) -> tuple[str, str]:
    """Say why a cell has no place in time, and what would be right."""
    cell = str(cells.iloc[row])
    pairs = cells.str.extract(SLASHED)[["first", "second"]].astype("float64")
    first, second = pairs.iloc[row]
    # A number above 12 can only be a day: here some cells have it first and others second.
    if max(first, second) > MONTHS and (pairs["first"] > MONTHS).any() and (pairs["second"] > MONTHS).any():
        other = cells[pairs["second" if first > MONTHS else "first"] > MONTHS].iloc[0]
        return f"{cell!r} and {other!r} have the day and the month in two orders.", "Write dates such as 2024-03-31."
    if first <= MONTHS and second <= MONTHS:
        what = f"the month of {cell!r} may be {first:.0f} or {second:.0f}: no cell shows which of the two is the day."
        return what, "Write dates such as 2024-03-31."
    return f"{cell!r} is neither a date nor a number.", "Write dates such as 2024-03-31 or 2024-03-31 10:30, or numbers."
