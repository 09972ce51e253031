"""What is in the columns of a table: counts, ranges and likenesses, found in one pass, in memory that does not grow with the rows.

Nothing here knows roles; `guess` draws its conclusions from a `Profile`, and `inspect-data` shows it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.columns.numeric import numbers
from mmtrain.data.table import PIECE
from mmtrain.data.table_file import TableFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

FREQUENT = 5
"""Values of a column that are named with their counts, unless more are asked for."""

MOST_VALUES = 50_000
"""Different values of a column whose rows are counted one by one; of more, only the frequent ones are kept."""

MOST_DISTINCT = 1_000_000
"""Different values that are told apart, by eight bytes each."""

MOST_NUMBERS = 1_000_000
"""Numbers that a median is taken of; of longer columns, every second row, every fourth, and so on."""

WORD = r"[\p{L}\p{M}\p{N}']+"
"""A word as the role `text` sees it (`mmtrain.layers.words`), which cannot be asked here: it would start TensorFlow."""

PICTURE = r"(?i)\.(?:png|jpe?g|jpe|jfif|bmp|dib|gif|webp)\s*$"
DATE = r"^\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}))(?:[T ]\d{1,2}:\d{2}.*)?\s*$"
SEPARATORS = (";", "|")


@dataclass(frozen=True)
class Range:
    """Smallest, middle and largest of some finite numbers."""

    minimum: float
    median: float
    maximum: float


@dataclass(frozen=True)
class Profile:
    """One column. Whatever is said of cells leaves out the missing ones; `filled` is how many are left."""

    header: str
    rows: int
    missing: int
    distinct: int
    """Different values, at most `MOST_DISTINCT`; there may be more when it is that many."""
    frequent: tuple[tuple[str, int], ...] = ()
    """The most frequent values and their rows, most rows first."""
    counted: bool = True
    """Whether `distinct` is at most `MOST_VALUES`; otherwise the rows in `frequent` are lower bounds."""
    rows_per_value: Range | None = None
    """None when not `counted`."""
    number_cells: int = 0
    whole: bool = False
    """Whether every number is a whole one."""
    numbers: Range | None = None
    """Of the cells that are numbers."""
    not_numbers: tuple[str, ...] = ()
    """The first different cells that are no numbers, in a column that has numbers; at most five."""
    words: Range | None = None
    """Words in a cell."""
    wordless: int = 0
    """Cells without any word, such as `-`."""
    spaced: int = 0
    """Cells with a blank between two words."""
    pictures: int = 0
    """Cells that end like the name of a picture file that can be read."""
    dates: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    """Separator -> different labels, where at least a tenth of the cells has that separator."""

    @property
    def filled(self) -> int:
        """Cells that are not missing."""
        return self.rows - self.missing


def profiles(file: TableFile, headers: Sequence[str], *, most: Mapping[str, int] | None = None) -> dict[str, Profile]:
    """The profile of each of some columns, in one pass; `most` says of which ones more than `FREQUENT` values are named.

    Raises:
        DataError: the file is damaged, is not UTF-8, or changes while it is read.

    """
    tallies = {header: _Tally(header) for header in headers}
    if tallies:
        for piece in file.pieces(list(tallies), size=PIECE):
            for header, cells in piece.items():
                tallies[header].add(cells)
    return {header: tally.profile((most or {}).get(header, FREQUENT)) for header, tally in tallies.items()}


class _Spread:
    """Minimum, maximum and median of numbers that come in pieces; the median of at most `MOST_NUMBERS` of them."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float32] | NDArray[np.float64]] = []
        self._ends: tuple[float, float] = (np.inf, -np.inf)
        self._stride = 1

    def add(self, values: NDArray[Any]) -> None:
        if not len(values):
            return
        self._ends = min(self._ends[0], float(values.min())), max(self._ends[1], float(values.max()))
        self._parts.append(values[:: self._stride])
        if sum(len(part) for part in self._parts) > MOST_NUMBERS:
            self._parts = [np.concatenate(self._parts)[::2]]
            self._stride *= 2

    def range(self) -> Range | None:
        if not self._parts:
            return None
        return Range(self._ends[0], float(np.median(np.concatenate(self._parts))), self._ends[1])


class _Tally:
    """Adds up one column piece by piece."""

    def __init__(self, header: str) -> None:
        self._header = header
        self._rows = self._missing = 0
        self._counts: dict[str, int] = {}
        self._hashes: NDArray[np.uint64] | None = None
        self._numbers, self._words = _Spread(), _Spread()
        self._cells = dict.fromkeys(("number_cells", "wordless", "spaced", "pictures", "dates"), 0)
        self._whole = True
        self._not_numbers: dict[str, None] = {}

    def add(self, cells: pd.Series[str]) -> None:
        """Look at one piece; every different value once."""
        codes, found = pd.factorize(cells)
        self._rows += len(cells)
        codes = codes[codes >= 0]
        self._missing += len(cells) - len(codes)
        if not len(codes):
            return
        values = pd.Series(found, dtype="str")
        times = np.bincount(codes, minlength=len(values))
        self._count(values, times)
        self._measure(values, codes, times)

    def _count(self, values: pd.Series[str], times: NDArray[np.int64]) -> None:
        counts = self._counts
        for value, rows in zip(values.tolist(), times.tolist(), strict=True):
            counts[value] = counts.get(value, 0) + rows
        if self._hashes is None and len(counts) > MOST_VALUES:
            self._hashes = _hashed(list(counts))
        elif self._hashes is not None and len(self._hashes) < MOST_DISTINCT:
            self._hashes = np.union1d(self._hashes, _hashed(values.tolist()))
        if len(counts) > MOST_VALUES:
            kept = sorted(counts.items(), key=lambda item: -item[1])[: MOST_VALUES // 2]
            self._counts = dict(kept)

    def _measure(self, values: pd.Series[str], codes: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        parsed = numbers(values)
        known = ~np.isnan(parsed)
        of_rows = parsed[codes]
        self._numbers.add(of_rows[~np.isnan(of_rows)])
        self._whole &= bool((parsed[known] == np.floor(parsed[known])).all())
        if len(self._not_numbers) < 5:
            self._not_numbers |= dict.fromkeys(values[~known].head(5))
        words = values.str.count(WORD).to_numpy(dtype=np.float32)
        self._words.add(words[codes])
        likenesses = {
            "number_cells": known,
            "wordless": words == 0,
            "spaced": values.str.contains(r"\S\s+\S").to_numpy(dtype=np.bool_),
            "pictures": values.str.contains(PICTURE).to_numpy(dtype=np.bool_),
            "dates": values.str.contains(DATE).to_numpy(dtype=np.bool_),
        }
        for name, alike in likenesses.items():
            self._cells[name] += int(times[alike].sum())

    def profile(self, most: int) -> Profile:
        """Everything seen so far."""
        # By falling count, then by text, so that a table in another order reads the same.
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        counted = self._hashes is None
        sizes = np.array([rows for _, rows in ranked], dtype=np.float64)
        per_value = Range(float(sizes.min()), float(np.median(sizes)), float(sizes.max())) if counted and len(sizes) else None
        return Profile(
            header=self._header,
            rows=self._rows,
            missing=self._missing,
            distinct=len(ranked) if self._hashes is None else min(len(self._hashes), MOST_DISTINCT),
            frequent=tuple(ranked[:most]),
            counted=counted,
            rows_per_value=per_value,
            whole=self._whole and self._cells["number_cells"] > 0,
            numbers=self._numbers.range(),
            not_numbers=tuple(self._not_numbers)[:5] if self._cells["number_cells"] else (),
            words=self._words.range(),
            labels=self._labels() if counted else {},
            **self._cells,
        )

    def _labels(self) -> dict[str, int]:
        found = {}
        for separator in SEPARATORS:
            holding = sum(rows for value, rows in self._counts.items() if separator in value)
            if holding and holding * 10 >= self._rows - self._missing:
                found[separator] = len({label.strip() for value in self._counts for label in value.split(separator)} - {""})
        return found


def _hashed(values: list[str]) -> NDArray[np.uint64]:
    """64 bits of each value, sorted; a million different values share one with a probability of 3 in 100 million."""
    return np.unique(pd.util.hash_array(np.array(values, dtype=object), categorize=False))
