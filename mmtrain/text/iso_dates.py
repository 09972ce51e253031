"""Dates as texts of ISO 8601, and the order of day and month between slashes.

>>> import pandas as pd
>>> iso_texts(pd.Series(["31/03/2024", None, "2 Apr 2024 10:30"], dtype="str"), day_first=True).tolist()
['2024-03-31T00:00:00', '', '2024-04-02T10:30:00']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.text.date_patterns import OFFSET_FROM_UTC
from mmtrain.text.dates import MONTHS, days, slashed_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS_OF_DAY = 86_400
MONTHS_IN_FULL = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def first_slashed(cells: pd.Series[str]) -> str | None:
    """Return the first date between slashes; None without any."""
    rows = np.flatnonzero(~np.isnan(slashed_numbers(cells)[:, 0]))
    return str(cells.iloc[rows[0]]) if len(rows) else None


def possible_orders(cells: pd.Series[str]) -> tuple[bool, bool]:
    """Return whether the day may come first, and the month, in all dates between slashes."""
    first, second = slashed_numbers(cells).T
    return not (second > MONTHS).any(), not (first > MONTHS).any()


def iso_texts(cells: pd.Series[str], *, format: str = "", day_first: bool | None = None, time_zone: str = "") -> NDArray[np.str_]:
    """Return dates as texts of ISO 8601 to the second, (rows,); empty for a cell that is missing or not a date.

    Times with an offset are converted to `time_zone`, by default UTC. Each different cell is parsed once: dates repeat, and one takes up
    to 40 µs.
    """
    codes, names = pd.factorize(cells)
    texts = _iso_texts_of(pd.Series(names, dtype="str"), format, day_first, time_zone)
    # The code of a missing cell is -1, the place of the empty text behind all others.
    return np.append(texts, "")[codes]


def _iso_texts_of(cells: pd.Series[str], format: str, day_first: bool | None, time_zone: str) -> NDArray[np.str_]:
    """Return the texts of cells that are not missing."""
    if "%" in format:
        times = pd.to_datetime(cells, format=format, errors="coerce", utc="%z" in format)
        times = times.dt.tz_convert(time_zone or "UTC").dt.tz_localize(None) if "%z" in format else times
        moments = times.to_numpy().astype("datetime64[s]")
    else:
        since = days(cells, day_first=day_first)
        known = np.flatnonzero(~np.isnan(since))
        moments = np.full(len(cells), "NaT", dtype="datetime64[s]")
        moments[known] = np.rint(since[known] * SECONDS_OF_DAY).astype(np.int64).astype("datetime64[s]")
        if time_zone:
            rows = np.flatnonzero(cells.str.contains(OFFSET_FROM_UTC, regex=True, na=False).to_numpy(dtype=np.bool_) & ~np.isnat(moments))
            local = pd.Series(moments[rows]).dt.tz_localize("UTC").dt.tz_convert(time_zone).dt.tz_localize(None)
            moments[rows] = local.to_numpy().astype("datetime64[s]")
    texts = np.datetime_as_string(moments, unit="s")
    return np.where(np.isnat(moments), "", texts)


def spelled_date(cell: str, *, day_first: bool) -> str:
    """Return `3 April 2021`."""
    day = iso_texts(pd.Series([cell], dtype="str"), day_first=day_first)[0][:10]
    date = np.datetime64(day).item()
    return f"{date.day} {MONTHS_IN_FULL[date.month - 1]} {date.year}"


def short_iso(text: str) -> str:
    """Return a text of ISO 8601 without the time of midnight."""
    return str(text).removesuffix("T00:00:00")
