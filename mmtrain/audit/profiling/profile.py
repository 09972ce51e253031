"""Computation of column profiles: counts, ranges and likenesses, in one pass and in memory that does not grow with the rows.

Roles are guessed from a `Profile`, and `inspect-data` shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.coded_table import CodedColumn, CodedTable, for_columns, text_bytes
from mmtrain.audit.profiling.value_counts import FREQUENT, ValueCounts, take
from mmtrain.columns.cells import MISSING_WORDS
from mmtrain.columns.pixels.image_cells import ADDRESS, FILE_END, IMAGE, NOT_READ, SEVERAL
from mmtrain.columns.profile import NEARLY_ALL, Profile
from mmtrain.columns.summaries.quantile_sketch import QuantileSketch
from mmtrain.text.date_patterns import DATE
from mmtrain.text.label_lists import recognise
from mmtrain.text.spelling import few_strings
from mmtrain.text.tokenization import ASCII_WORD, WORD

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_NUMBERS = 1_000_000
"""Numbers of which a median is computed; of longer columns a random half of the rows, a quarter, and so on."""

LIKENESSES = ("number_cells", "wordless", "spaced", "images", "unread_images", "image_lists", "addresses", "dates")
"""Counts of a `Profile`."""

_POINT = ord(".")
_SIGNS = np.frombuffer(b"+-", dtype=np.uint8)
_DIGITS_AND_POINTS = np.zeros(256, dtype=np.uint32)
_DIGITS_AND_POINTS[ord("0") : ord("9") + 1] = 1
_DIGITS_AND_POINTS[_POINT] = 1 << 16
"""By byte: 1 for a digit, 65,536 for a point."""


def profile_columns(table: CodedTable, headers: Sequence[str], *, most: Mapping[str, int] | None = None) -> dict[str, Profile]:
    """Profile some columns in one pass; `most` maps headers to the number of values to be named, by default `FREQUENT`.

    Raises:
        DataError: the file is damaged, is not UTF-8, or changes while it is read.

    """
    accumulators = {header: ProfileAccumulator(header) for header in headers}
    for chunk in table.chunks(headers):
        # The columns are independent: several threads of Arrow and NumPy work on them.
        for _ in for_columns(lambda header: accumulators[header].add(chunk[header]), headers):  # noqa: B023 (used up within the loop)
            pass
    limits = most or {}
    profiles = for_columns(lambda header: accumulators[header].profile(limits.get(header, FREQUENT)), headers)
    return dict(zip(headers, profiles, strict=True))


class ProfileAccumulator:
    """Accumulates the profile of one column chunk by chunk."""

    def __init__(self, header: str) -> None:
        self._header = header
        self._rows = self._missing = 0
        self._values = ValueCounts()
        self._numbers, self._words = QuantileSketch(MOST_NUMBERS), QuantileSketch(MOST_NUMBERS)
        self._cells = dict.fromkeys(LIKENESSES, 0)
        self._whole = True
        self._not_numbers: dict[str, None] = {}

    def add(self, column: CodedColumn) -> None:
        """Add one chunk; every distinct value in it is processed once."""
        self._rows += len(column.codes)
        codes = column.codes[column.codes >= 0]
        self._missing += len(column.codes) - len(codes)
        if len(codes):
            self._values.add(column)
            self._measure(column, codes)

    def _measure(self, column: CodedColumn, codes: NDArray[np.int32]) -> None:
        times, numbers = column.counts, column.numbers
        known = ~np.isnan(numbers)
        every = bool(known.all())
        of_rows = numbers[codes]
        self._numbers.add(of_rows if every else of_rows[~np.isnan(of_rows)])
        self._whole = self._whole and bool((numbers[known] == np.floor(numbers[known])).all())
        self._cells["number_cells"] += len(codes) if every else int(times[known].sum())
        # Examples for a message: five are enough.
        if not every and len(self._not_numbers) < 5:
            self._not_numbers |= dict.fromkeys(take(column.values, np.flatnonzero(~known)[:5]).to_pylist())
        # Digits with a point are two words to the tokenizer, digits alone one.
        words, compact = _plain_numbers(column.values)
        if len(compact):
            self._cells["dates"] += int(times[compact[_matches(take(column.values, compact), DATE)]].sum())
        rest = np.flatnonzero(words == 0)
        if len(rest):
            others = column.values if len(rest) == len(words) else take(column.values, rest)
            words[rest] = _word_counts(others)
            self._count_likenesses(others, times[rest])
            self._cells["wordless"] += int(times[words == 0].sum())
        self._words.add(words[codes])

    def _count_likenesses(self, others: pa.Array, times: NDArray[np.int64]) -> None:
        """Count texts that are not plain numbers by their form; each stands for `times` cells."""
        # Arrow's regular expressions: those of pandas take ten times as long where they fall back on Python's.
        import pyarrow.compute as pc

        # Endings are short: matching the last ten characters alone spares the body of long texts.
        ends = pc.utf8_slice_codeunits(others, -10)
        likenesses = {
            "spaced": _matches(others, r"\S\s+\S"),
            "images": _matches(ends, IMAGE),
            "unread_images": _matches(ends, NOT_READ),
            # Lists of files need the ending of a file at least once: without it, the costly expression is skipped.
            "image_lists": _matches(others, SEVERAL) if _matches(ends, FILE_END).any() else np.zeros(len(others), dtype=np.bool_),
            "addresses": _matches(pc.utf8_slice_codeunits(others, 0, 80), ADDRESS),
            "dates": _matches(others, DATE),
        }
        for name, alike in likenesses.items():
            self._cells[name] += int(times[alike].sum())

    def profile(self, most: int) -> Profile:
        """Return the profile of the chunks so far; `most` values are named."""
        filled = self._rows - self._missing
        all_numbers = self._cells["number_cells"] == filled
        earliest, latest = self._period(filled)
        missing_words = () if all_numbers else self._values.ranked(MISSING_WORDS)
        return Profile(
            header=self._header,
            rows=self._rows,
            missing=self._missing,
            distinct=self._values.distinct,
            frequent=self._values.most_frequent(most + len(missing_words)),  # so that as many are left without these words
            missing_words=missing_words,
            counted=self._values.exact,
            rows_per_value=self._values.rows_per_value,
            whole=self._whole and self._cells["number_cells"] > 0,
            numbers=self._numbers.range(),
            not_numbers=tuple(self._not_numbers)[:5] if self._cells["number_cells"] else (),
            words=self._words.range(),
            earliest=earliest,
            latest=latest,
            labels=recognise(self._values.as_dict()) if self._values.exact and not all_numbers else None,
            **self._cells,
        )

    def _period(self, filled: int) -> tuple[str, str]:
        """Return the earliest and the latest day of a column of dates, whose different values are few enough to be in memory."""
        from mmtrain.text.dates import day_name, days

        if not self._values.exact or not 0 < NEARLY_ALL * filled <= self._cells["dates"]:
            return "", ""
        moments = days(pd.Series(list(self._values.as_dict()), dtype="str"))
        moments = moments[~np.isnan(moments)]
        return (day_name(moments.min()), day_name(moments.max())) if len(moments) else ("", "")


def _plain_numbers(texts: pa.Array) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the word count of texts that are digits with at most one point and a sign, 0 for others; and the texts of eight digits.

    Regular expressions would take most of the time of a table of numbers. Of all likenesses, plain numbers can only be dates such as
    `20240331`.
    """
    data, bounds = text_bytes(texts)
    starts, ends = bounds[:-1], bounds[1:]
    lengths = ends - starts
    # One running sum counts digits in its lower and points in its upper half; differences are right even where it wraps around.
    sums = np.append(np.uint32(0), np.cumsum(_DIGITS_AND_POINTS[data], dtype=np.uint32))
    counts = sums[ends] - sums[starts]
    digits, points = counts & 0xFFFF, counts >> 16
    # An empty text begins where the next one does: its length is 0, which no count of digits matches. One byte stands after the last.
    data = np.append(data, np.uint8(0))
    signs = np.isin(data[starts], _SIGNS)
    # Above 400 characters the halves of the sum may run into each other.
    plain = (digits > 0) & (points <= 1) & (digits + points + signs == lengths) & (lengths < 400)
    inside = plain & (points == 1) & (data[starts + signs] != _POINT) & (data[ends - 1] != _POINT)
    return np.where(plain, 1 + inside, 0).astype(np.float32), np.flatnonzero(plain & (points == 0) & (lengths == 8))


def _matches(texts: pa.Array, expression: str) -> NDArray[np.bool_]:
    """Mark the texts that match the expression somewhere."""
    import pyarrow.compute as pc

    if (few := few_strings(texts)) is not None:
        pattern = re.compile(expression, re.ASCII)  # Python keeps what it has compiled
        return np.array([pattern.search(text) is not None for text in few], dtype=np.bool_)
    return np.asarray(pc.match_substring_regex(texts, expression).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _word_counts(texts: pa.Array) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    if (few := few_strings(texts)) is not None:
        return np.array([len(re.findall(ASCII_WORD, text)) for text in few], dtype=np.int64)
    return np.asarray(pc.count_substring_regex(texts, WORD).to_numpy(), dtype=np.int64)
