"""Codes for missing values: words such as `?` and numbers such as -999 in cells that are not empty."""

from __future__ import annotations

import numpy as np

from mmtrain.audit.column_values import ColumnValues
from mmtrain.audit.finding import Finding, first_rows
from mmtrain.columns.cells import MISSING_WORDS, is_word
from mmtrain.data.tables.table_file import as_series
from mmtrain.errors import counted, listed
from mmtrain.text.printable import format_number, quote_value

SPELLED_OUT = ("None", "NONE")
"""`none` as a category may be an answer, no therapy for instance; Python and databases write a missing value in these ways."""
CODE_LENGTH = 2
"""`NA` among categories that all have this many capitals is a country or a state."""
SENTINELS = (-1.0, *(sign * (10.0**digits - 1) for sign in (-1, 1) for digits in range(1, 8)))
"""-1, and 9, 99, ... 9,999,999 with either sign."""
LEAST_SENTINELS = 5
LEAST_CLASS_SENTINEL = 9
"""Size from which a number among classes may be a code: `9` for unknown, next to `0` and `1`, is usual in surveys."""
LEAST_ROWS = 20
SPIKE = 2.0
"""Frequency of a code for missing, in the median frequency of the numbers of its column."""


def missing_words(cells: ColumnValues) -> list[str]:
    """Return the different cells of a column that mean missing, as they are written."""
    if cells.use.content != "names":
        return _reading_missing(cells)
    names = [name for name in cells.names.values() if name.casefold() in MISSING_WORDS]
    others = [name for name in cells.names.values() if name not in names]
    coded = bool(others) and all(len(name) == CODE_LENGTH and name.isupper() for name in others)
    return [name for name in names if (name.casefold() != "none" or name in SPELLED_OUT) and not (coded and name == "NA")]


def _reading_missing(cells: ColumnValues) -> list[str]:
    """Return the words in a column of numbers; a column without any other cell is skipped."""
    if cells.named is None or cells.is_all_numbers:
        return []
    texts = as_series(cells.named.texts)
    return list(dict.fromkeys(texts[is_word(texts, MISSING_WORDS)]))


def stand_in_words(cells: ColumnValues, words: list[str]) -> Finding:
    """Return the finding on words that mean missing, among categories or numbers."""
    codes = [code for code, name in cells.names.items() if name in words]
    rows = np.flatnonzero(np.isin(cells.prints, np.array(codes, dtype=np.uint64)))
    listing = listed([quote_value(word) for word in words], most=5)
    what = f"{counted(len(rows), 'cell')} {'reads' if len(rows) == 1 else 'read'} like a missing one: {listing}."
    why = "It counts as a value of its own, and `missing` does not apply to it."
    fix = f"If it means missing, add {listing} to `data.missing_values`."
    return Finding("note", "missing_words", cells.header, what, why, fix, first_rows(rows), count=len(rows))


def _sentinel(cells: ColumnValues) -> float | None:
    """Return -1, -999, 9999 and the like where it is the smallest or largest number of a column, far from the others and frequent."""
    different, times = cells.ranked.values, cells.ranked.counts
    # A scale of few values, 1 to 5 with 9, has gaps of its own.
    if cells.ranked.total < LEAST_ROWS or len(different) <= LEAST_ROWS:
        return None
    # Only the two ends: a code within the range of real numbers cannot be told from them.
    for end, others in ((0, different[1:]), (-1, different[:-1])):
        value, low, high = different[end], others[0], others[-1]
        # Far: half of the range of all others, or the only negative number.
        alone = min(abs(value - low), abs(value - high)) >= (high - low) / 2 or (value < 0 <= low and value != low)
        often = times[end] >= max(LEAST_SENTINELS, SPIKE * np.median(times))
        if value in SENTINELS and alone and often:
            return float(value)
    return None


def _sentinel_class(cells: ColumnValues) -> float | None:
    """Return -999 or 99 among classes that are numbers, such as 0 and 1; -1 may be one of three classes."""
    different = cells.ranked.values
    if len(different) < 3 or not cells.is_all_numbers:
        return None
    # Twice as large as any other, because classes may be numbered with gaps.
    for value, others in ((different[0], different[1:]), (different[-1], different[:-1])):
        if value in SENTINELS and abs(value) >= LEAST_CLASS_SENTINEL and abs(value) > 2 * np.abs(others).max():
            return float(value)
    return None


def stand_in_numbers(cells: ColumnValues) -> list[Finding]:
    """Find a code for missing among the numbers of an input or a target, or among classes that are numbers."""
    answer = cells.use.purpose == "answer"
    one_class = answer and not cells.use.is_number
    if cells.numbers is None or cells.use.separator or not (answer or cells.use.is_number):
        return []
    code = _sentinel_class(cells) if one_class else _sentinel(cells)
    if code is None:
        return []
    rows, value = np.flatnonzero(cells.numbers == code), format_number(code)
    others = "classes" if one_class else "numbers"
    what = f"{value} occurs in {counted(len(rows), 'row')} and stands apart from all other {others}, like a code for missing."
    why = "It counts as a number, and moves the mean and the standard deviation by which the column is normalised."
    fix = f"If it means missing, add '{value}' to `data.missing_values`."
    if answer:
        why = "It counts as an answer: the model learns to predict it, and is scored on it."
        fix = f"If it means that the answer is unknown, add '{value}' to `data.missing_values`, and set `missing: drop`."
    return [Finding("warning", "missing_codes", cells.header, what, why, fix, first_rows(rows), count=len(rows))]
