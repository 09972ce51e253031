"""Parse dates and times to days since 1970."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.text.date_patterns import FORMATS, HALF_OF_DAY, MONTH_NAMES, OFFSET, SECONDS, SLASHED, YEAR

if TYPE_CHECKING:
    from numpy.typing import NDArray

MONTHS = 12
CENTURY = 70
"""Years of two digits from this one on are of the last century, as POSIX has it (there from 69 on)."""


def days(cells: pd.Series[str], *, day_first: bool | None = None) -> NDArray[np.float64]:
    """Days since 1970 of dates as `date_patterns` has them, or of years such as `2024`; NaN for other cells.

    Between slashes the day may come before the month or after it, as `day_first` says; if it is None, some number above 12 has to show
    which, or none of them is read.
    """
    # (cells, 4): year, month, day, minutes since midnight
    moments = np.full((len(cells), 4), np.nan)
    for pattern in (*FORMATS, YEAR):
        # The first pattern that fits wins; later ones only see what is left.
        left = np.flatnonzero(np.isnan(moments[:, 0]))
        moments[left] = _parts(cells.iloc[left], pattern, ("year", "month", "day"))
    slashed = _parts(cells, SLASHED, ("first", "second", "year"))
    # Exactly one of both positions has a number above 12: that one is the day.
    if day_first is None and (slashed[:, 0] > MONTHS).any() != (slashed[:, 1] > MONTHS).any():
        day_first = bool((slashed[:, 0] > MONTHS).any())
    if day_first is not None:
        order = [2, 1, 0, 3] if day_first else [2, 0, 1, 3]
        moments = np.where(np.isnan(moments[:, :1]), slashed[:, order], moments)
    return _days_since_1970(moments)


def slashed_numbers(cells: pd.Series[str]) -> NDArray[np.float64]:
    """Return the first two numbers of dates between slashes, (cells, 2); NaN for other cells."""
    return _parts(cells, SLASHED, ("first", "second", "year"))[:, :2]


def day_name(days: float) -> str:
    """`2024-03-31`, of days since 1970."""
    return str(np.datetime64(int(np.floor(days)), "D"))


def _days_since_1970(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """(cells,), of (cells, 4) year, month, day and minutes since midnight, NaN for cells without a date or with a time that does not exist.

    NumPy computes the days: pandas knows years from 1677 to 2262 only, and 9999-12-31 is how many a table writes "never".
    """
    known = np.flatnonzero(~np.isnan(moments[:, :3]).any(axis=1))
    year, month, day = moments[known, :3].T
    # Months since 1970, whose first day NumPy knows, then days on top.
    months = ((year - 1970) * MONTHS + np.clip(month, 1, MONTHS) - 1).astype("datetime64[M]")
    dates = months.astype("datetime64[D]") + (day - 1).astype("timedelta64[D]")
    # 31 April lies in May: its month is no longer the one that was written.
    right = (month >= 1) & (month <= MONTHS) & (day >= 1) & (dates.astype("datetime64[M]") == months)
    since = np.full(len(moments), np.nan)
    since[known] = np.where(right, dates.astype(np.float64) + moments[known, 3] / 1440, np.nan)
    return since


def _parts(cells: pd.Series[str], pattern: str, names: tuple[str, str, str]) -> NDArray[np.float64]:
    """(cells, 4): what the groups with these names hold, 1 for a month or day that the pattern has not, and the minutes since midnight.

    NaN where the pattern does not match.
    """
    groups = cells.str.extract(pattern)
    parts = np.full((len(cells), 4), np.nan)
    if groups["year"].isna().all():  # as with all formats but one, or two: each further step takes pandas milliseconds
        return parts
    for place, name in enumerate(names):
        if name in groups:
            parts[:, place] = _numbers(groups[name])
        elif name in ("month", "day"):
            parts[:, place] = 1
    year = names.index("year")
    short = (groups["year"].str.len() == 2).to_numpy(dtype=np.bool_, na_value=False)  # 0099 is the year 99
    # As POSIX: 70 to 99 are of the last century.
    parts[short, year] += np.where(parts[short, year] < CENTURY, 2000, 1900)
    parts[:, 3] = _minutes(groups) if "hour" in groups else 0.0
    return np.where(np.isnan(parts[:, year : year + 1]), np.nan, parts)


def _minutes(groups: pd.DataFrame) -> NDArray[np.float64]:
    """Minutes since midnight, in UTC where an offset is given, (cells,); 0 without a time, NaN for a time that no clock shows."""
    hour, minute = (np.nan_to_num(_numbers(groups[name])) for name in ("hour", "minute"))
    rest = groups["rest"]
    second = np.nan_to_num(_numbers(rest.str.extract(SECONDS, expand=False)))
    half = rest.str.extract(HALF_OF_DAY, expand=False).str.lower()
    twelve = half.notna().to_numpy() & (hour >= 1) & (hour <= 12)
    # 12 AM is 0 o'clock, 12 PM stays 12.
    hour = np.where(twelve, hour % 12 + 12 * (half == "p").to_numpy(dtype=np.bool_, na_value=False), hour)
    offset = rest.str.extract(OFFSET)
    sign = np.where(offset[0].str.startswith("-").to_numpy(dtype=np.bool_, na_value=False), -1, 1)
    # The sign belongs to the minutes of the offset too.
    ahead = np.nan_to_num(_numbers(offset[0])) * 60 + sign * np.nan_to_num(_numbers(offset[1]))
    # 60 is a leap second; times are in UTC, so what is ahead of it goes off.
    return np.where((hour < 24) & (minute < 60) & (second < 61), hour * 60 + minute + second / 60 - ahead, np.nan)


def _numbers(texts: pd.Series[str]) -> NDArray[np.float64]:
    """Numbers, and the names of months as theirs."""
    names = texts.str[:3].str.lower().map({name: str(number) for number, name in enumerate(MONTH_NAMES, start=1)})
    return pd.to_numeric(names.fillna(texts), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
