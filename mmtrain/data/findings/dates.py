"""Dates as days, so that earlier and later can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.data.surveys.profile import MONTH_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIME = r"(?:[T ](\d{1,2}):(\d{2}).*)?\s*$"
YEAR_FIRST = r"^\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + TIME
DOTTED = r"^\s*(\d{1,2})[-.](\d{1,2})[-.](\d{4})" + TIME
SLASHED = r"^\s*(\d{1,2})/(\d{1,2})/(\d{4})" + TIME
COMPACT = r"^\s*(\d{4})(\d{2})(\d{2})" + TIME
NAMED = r"^\s*(\d{1,2})[-. ]\s?([A-Za-z]{3})[A-Za-z]*[-. ]\s?(\d{4})" + TIME
YEAR = r"^\s*((?:19|20)\d{2})(?:\.0)?\s*$"
"""A year alone stands for its first day."""
MONTHS = 12


def days(cells: pd.Series[str]) -> NDArray[np.float64]:
    """Days since 1970 of dates such as `2024-03-31`, `20240331`, `31-Mar-2024`, `2024` or `31.3.2024 14:05`; NaN for what is no date.

    Between slashes the day may come before the month or after it: some number above 12 has to show which, or there are no dates.
    """
    year_first, dotted, slashed = (_numbers(cells, pattern) for pattern in (YEAR_FIRST, DOTTED, SLASHED))
    found = year_first
    for others in (_years(cells), _numbers(cells, COMPACT), dotted[:, [2, 1, 0, 3, 4]], _named(cells)[:, [2, 1, 0, 3, 4]]):
        found = np.where(np.isnan(found[:, :1]), others, found)
    if (slashed[:, 0] > MONTHS).any() != (slashed[:, 1] > MONTHS).any():
        order = [2, 1, 0, 3, 4] if (slashed[:, 0] > MONTHS).any() else [2, 0, 1, 3, 4]
        found = np.where(np.isnan(found[:, :1]), slashed[:, order], found)
    table = dict(zip(("year", "month", "day", "hour", "minute"), found.T, strict=True))
    table["hour"], table["minute"] = np.nan_to_num(table["hour"]), np.nan_to_num(table["minute"])
    moments = pd.to_datetime(pd.DataFrame(table), errors="coerce")
    since = (moments - pd.Timestamp(0)) / pd.Timedelta(days=1)
    return np.asarray(since, dtype=np.float64)


def _years(cells: pd.Series[str]) -> NDArray[np.float64]:
    """(cells, 5): years alone."""
    first_day = np.array([0, 1, 1, 0, 0], dtype=np.float64)
    return _numbers(cells, YEAR)[:, [0] * 5] * [1, 0, 0, 0, 0] + first_day


def _named(cells: pd.Series[str]) -> NDArray[np.float64]:
    """(cells, 5): day, month, year, hour and minute of dates whose month has its English name."""
    parts = cells.str.extract(NAMED)
    parts[1] = parts[1].str.lower().map({name: str(number) for number, name in enumerate(MONTH_NAMES, start=1)})
    return parts.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)


def _numbers(cells: pd.Series[str], pattern: str) -> NDArray[np.float64]:
    """(cells, 5): what the five groups of the pattern hold."""
    return cells.str.extract(pattern).astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
