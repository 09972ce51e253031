"""The spellings of dates, defined once for guesses of `init` and for findings that put rows in order."""

from __future__ import annotations

import re

MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
"""The first three letters tell months apart, in English and often in other languages."""

_WEEKDAY = r"(?i:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?[.,]*\s+)?"
_EAST_ASIAN_WEEKDAY = r"(?:\s?[(（][月火水木金土日월화수목금토일][)）])?"
_TIME = r"(?:(?:T|,?\s+(?:at\s+)?)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<rest>.*))?"
_YEAR, _SHORT_YEAR = r"(?P<year>\d{4})", r"(?P<year>\d{4}|\d{2})"
_NAME = rf"(?P<month>(?i:{'|'.join(MONTH_NAMES)})[A-Za-z]*)\.?"
_DAY = r"(?P<day>\d{1,2})(?i:st|nd|rd|th)?"


def _whole(pattern: str) -> str:
    return rf"^\s*{pattern}\s*$"


SLASHED = _whole(r"(?P<first>\d{1,2})/(?P<second>\d{1,2})/" + _SHORT_YEAR + _TIME)
"""Between slashes the day may come before the month or after it."""

FORMATS = (
    _whole(_YEAR + r"[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})" + _TIME),
    _whole(
        r"(?P<year>(?:19|20)\d{2})(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])(?:T?(?P<hour>\d{2}):?(?P<minute>\d{2})(?P<rest>.*))?"
    ),
    _whole(r"(?P<day>\d{1,2})[-.](?P<month>\d{1,2})[-.]" + _SHORT_YEAR + _TIME),
    _whole(_WEEKDAY + _DAY + r"(?:[-./,]?\s?|\s+of\s+)" + _NAME + r"[-./,]?\s?" + _SHORT_YEAR + _TIME),
    _whole(_WEEKDAY + _NAME + r"[-./]?\s?" + _DAY + r"(?:\s*,\s*|[-./]|\s+)" + _YEAR + _TIME),
    _whole(_YEAR + r"[-./,]?\s?" + _NAME + r"[-./]?\s?" + _DAY + _TIME),
    _whole(_WEEKDAY + _NAME + r"\s+" + _DAY + r"\s+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?P<rest>\S*(?:\s+[A-Z+-][\w:]*)?)\s+" + _YEAR),
    _whole(_NAME + r"[-./,]?\s?(?P<year>(?:19|20)\d{2})"),
    _whole(r"(?P<year>(?:19|20)\d{2})-(?P<month>0[1-9]|1[0-2])"),
    _whole(_YEAR + r"\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日号일]" + _EAST_ASIAN_WEEKDAY + _TIME),
    _whole(_YEAR + r"\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]"),
    _whole(_YEAR + r"\.\s(?P<month>\d{1,2})\.\s(?P<day>\d{1,2})\.?" + _TIME),
)
"""`2024-03-31`, `20240331`, `31.3.2024`, `31-Mar-24`, `Jan 05, 2021`, `2021-Jan-05`, `Tue Jan 05 10:30:00 +0000 2021`, `Jan 2021`,
`2024-03`, `2021年1月5日`, `2021년 1월 5일`, `2021. 1. 5.`; a month alone stands for its first day."""

YEAR = r"^\s*(?P<year>(?:19|20)\d{2})(?:\.0)?\s*$"
"""A year alone, which stands for its first day; only a header tells it from a number."""

SECONDS = r"^:?(\d{2}(?:\.\d+)?)"
"""Patterns of the rest of a time, behind its minutes."""

HALF_OF_DAY = r"(?i)^[\d:.]*\s*([ap])\.?\s?m\b"
"""`10:30 PM`, `10:30:00 p.m.`"""

OFFSET = r"([+-]\d{2}):?(\d{2})?\s*$"
"""Offset from UTC, at the end of a time."""

OFFSET_FROM_UTC = r":\d{2}\S*?\s*(?:Z|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)(?:\s+\d{4})?\s*$"
"""A time with its offset from UTC, such as 10:30Z, 10:30 UTC or 10:30:00 +02:00."""

DATE = "|".join(f"(?:{re.sub(r'[?]P<[a-z]+>', '?:', pattern)})" for pattern in (*FORMATS, SLASHED))
"""Any of them, without names, as no pattern may have two groups of one name."""
