"""A date, with a time of day or without, as days and parts of the calendar."""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

PERIODS = {"month": 12, "day": 31, "weekday": 7, "hour": 24}
"""Parts that repeat, and their period in their own unit."""
CENTURY = 70
"""Years of two digits from this one on are of the last century."""
EPOCH = datetime(1970, 1, 1)


def encoder(column: dict[str, Any], context: dict[str, Any]) -> Callable[[list[Any], Path], tuple[Any, Any]]:
    """Return the function from the date, and the one that it is counted from, to the numbers of `parts`."""
    read = Dates(column, context["characters"]["dates"])
    center, scale = (np.array(column[name], np.float64) for name in ("center", "scale"))
    fill = np.array(column["fill"], np.float32)

    def encode(cells: list[Any], _: Path) -> tuple[Any, Any]:
        dates = [read(cell) for cell in cells]
        known = None not in dates
        numbers = np.array(calendar_numbers(column, [date for date in dates if date]), np.float64) if known else center
        encoded = ((numbers - center) / scale).astype(np.float32) if known else fill
        encoded = np.append(encoded, np.float32(not known)) if column["indicator"] else encoded
        return encoded, known or not column["masked"]

    return encode


def calendar_numbers(column: dict[str, Any], dates: list[datetime]) -> list[float]:
    """Return the numbers of the parts of the first date; days are counted from the second, or from 1970."""
    first = dates[0]
    hours = [date.hour + date.minute / 60 + date.second / 3600 for date in dates]
    days = [date.toordinal() - EPOCH.toordinal() + hour / 24 for date, hour in zip(dates, hours, strict=True)]
    values = {
        "days": days[0] - days[1] if len(days) > 1 else days[0],
        "year": first.year,
        "month": first.month - 1,
        "day": first.day - 1,
        "weekday": first.weekday(),
        "hour": hours[0],
    }
    numbers = []
    for part in column["parts"]:
        if column["cyclic"] and part in PERIODS:
            angle = values[part] * (2 * math.pi / PERIODS[part])
            numbers += [math.sin(angle), math.cos(angle)]
        else:
            numbers.append(float(values[part]))
    return numbers


class Dates:
    """Reads dates by the patterns of characters.json, or in the format of the column."""

    def __init__(self, column: dict[str, Any], patterns: dict[str, Any]) -> None:
        self._column, self._months = column, patterns["months"]
        # ASCII: in the expressions of mmtrain, `\d` is none of the digits of other scripts.
        self._formats = [re.compile(one, re.ASCII) for one in patterns["formats"]]
        names = ("slashed", "seconds", "half_of_day", "offset", "with_offset")
        self._slashed, self._seconds, self._half, self._offset, self._with_offset = (re.compile(patterns[name], re.ASCII) for name in names)
        # Windows has no data of time zones, and UTC needs none.
        self._zone = ZoneInfo(column["time_zone"]) if column["time_zone"] else UTC

    def __call__(self, cell: str | None) -> datetime | None:
        """Return the date of a cell to the second, times with an offset in the column's time zone; None for any other cell."""
        if cell is None:
            return None
        try:
            return self._by_format(cell) if "%" in self._column["format"] else self._by_pattern(cell)
        except (ValueError, OverflowError):  # a date or a time that does not exist
            return None

    def _by_format(self, cell: str) -> datetime:
        moment = datetime.strptime(cell, self._column["format"])
        moment = moment.astimezone(self._zone) if moment.tzinfo else moment
        return moment.replace(microsecond=0, tzinfo=None)

    def _by_pattern(self, cell: str) -> datetime | None:
        fields = next((match.groupdict() for pattern in self._formats if (match := pattern.search(cell))), None)
        day_first = self._column["day_first"]
        if fields is None and day_first is not None and (match := self._slashed.search(cell)):
            fields = match.groupdict()
            fields |= {"day": fields["first" if day_first else "second"], "month": fields["second" if day_first else "first"]}
        if fields is None:
            return None
        year = int(fields["year"]) + ((2000 if int(fields["year"]) < CENTURY else 1900) if len(fields["year"]) == 2 else 0)
        day = datetime(year, self._month(fields.get("month") or "1"), int(fields.get("day") or 1))
        seconds = 60 * self._minutes(fields)
        moment = day + timedelta(seconds=int(np.rint(seconds)))
        if self._column["time_zone"] and self._with_offset.search(cell):
            moment = moment.replace(tzinfo=UTC).astimezone(self._zone).replace(tzinfo=None)
        return moment

    def _month(self, text: str) -> int:
        name = text[:3].lower()
        return self._months.index(name) + 1 if name in self._months else int(text)

    def _minutes(self, fields: dict[str, Any]) -> float:
        """Return minutes since midnight, in UTC where an offset is given. Raises ValueError for a time that no clock shows."""
        hour, minute, rest = int(fields.get("hour") or 0), int(fields.get("minute") or 0), fields.get("rest") or ""
        second = float(match[1]) if (match := self._seconds.search(rest)) else 0.0
        if (match := self._half.search(rest)) and 1 <= hour <= 12:
            hour = hour % 12 + 12 * (match[1].lower() == "p")
        if hour > 23 or minute > 59 or second >= 61:
            raise ValueError(rest)
        ahead = 0
        if match := self._offset.search(rest):
            ahead = int(match[1]) * 60 + (-1 if match[1].startswith("-") else 1) * int(match[2] or 0)
        return hour * 60 + minute + second / 60 - ahead
