"""What is in the columns of a table: counts, ranges and likenesses, found in one pass, in memory that does not grow with the rows.

Nothing here knows roles; `guess` draws its conclusions from a `Profile`, and `inspect-data` shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.columns.base import MISSING_WORDS
from mmtrain.columns.numeric import parse_numbers
from mmtrain.columns.quantile_sketch import QuantileSketch, Range
from mmtrain.data.images.cell_kinds import ADDRESS, FILE_END, IMAGE, NOT_READ, SEVERAL
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import TableFile, distinct, gather
from mmtrain.system.threads import in_threads
from mmtrain.targets.label_lists import LabelLists, recognise
from mmtrain.text.date_patterns import DATE
from mmtrain.text.tokenization import ASCII_WORD, WORD

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

FREQUENT = 5
"""Values of a column that are named with their counts, unless more are asked for."""

MOST_BYTES = 20_000_000
"""Memory for the different values of a column, each with its rows; past it, only the frequent ones are kept."""

VALUE_BYTES = 100
"""Of a value in that memory, besides its characters."""

MOST_DISTINCT = 1_000_000
"""Different values that are told apart, by eight bytes each."""

MOST_NUMBERS = 1_000_000
"""Numbers that a median is taken of; of longer columns, half of the rows by chance, a quarter, and so on."""

LIKENESSES = ("number_cells", "wordless", "spaced", "images", "unread_images", "image_lists", "addresses", "dates")
"""Counts of a `Profile`."""

FEW_TEXTS = 100
"""Different texts of a piece that are looked at one by one."""


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
    """Whether all values were counted within `MOST_BYTES`; otherwise the rows in `frequent` are lower bounds."""
    rows_per_value: Range | None = None
    """None when not `counted`."""
    number_cells: int = 0
    whole: bool = False
    """Whether every number is a whole one."""
    numbers: Range | None = None
    """Of the cells that are numbers."""
    not_numbers: tuple[str, ...] = ()
    """The first different cells that are no numbers, in a column that has numbers; at most five."""
    missing_words: tuple[tuple[str, int], ...] = field(default=(), compare=False)
    """Cells that say that there is no value, `NA` for instance, and their rows; they are not among the missing ones."""
    words: Range | None = None
    """Words in a cell."""
    wordless: int = 0
    """Cells without any word, such as `-`."""
    spaced: int = 0
    """Cells with a blank between two words."""
    images: int = 0
    """Cells that end like the name of an image file that can be read."""
    unread_images: int = 0
    """Cells that end like the name of a file of a format that is not read, TIFF or DICOM say."""
    image_lists: int = 0
    """Cells that list several files, or one in brackets."""
    addresses: int = 0
    """Cells that are addresses, such as https://, rather than paths."""
    dates: int = 0
    labels: LabelLists | None = None
    """Where cells hold several labels each."""

    @property
    def filled(self) -> int:
        """Cells that are not missing."""
        return self.rows - self.missing

    def without(self, words: Mapping[str, int]) -> Profile:
        """The same column were these cells (with their rows) empty, as far as whoever guesses a target looks at it."""
        if not words:
            return self
        return replace(
            self,
            missing=self.missing + sum(words.values()),
            distinct=self.distinct - len(words),
            frequent=tuple((value, rows) for value, rows in self.frequent if value not in words),
            not_numbers=tuple(value for value in self.not_numbers if value not in words),
            missing_words=tuple((value, rows) for value, rows in self.missing_words if value not in words),
        )


def profile_columns(file: TableFile, headers: Sequence[str], *, most: Mapping[str, int] | None = None) -> dict[str, Profile]:
    """The profile of each of some columns, in one pass; `most` says of which ones more than `FREQUENT` values are named.

    Raises:
        DataError: the file is damaged, is not UTF-8, or changes while it is read.

    """
    tallies = {header: _Tally(header) for header in headers}
    if tallies:
        for piece in gather(file.pieces(list(tallies), size=READ_CHUNK_ROWS)):
            for _ in in_threads(lambda column: tallies[column[0]].add(column[1]), piece.items()):
                pass
    return {header: tally.profile((most or {}).get(header, FREQUENT)) for header, tally in tallies.items()}


class _Tally:
    """Adds up one column piece by piece."""

    def __init__(self, header: str) -> None:
        self._header = header
        self._rows = self._missing = 0
        self._counts: dict[str, int] = {}
        self._bytes = 0
        self._hashes: _Hashes | None = None
        self._numbers, self._words = QuantileSketch(MOST_NUMBERS), QuantileSketch(MOST_NUMBERS)
        self._cells = dict.fromkeys(LIKENESSES, 0)
        self._whole = True
        self._not_numbers: dict[str, None] = {}

    def add(self, cells: pd.Series[str]) -> None:
        """Look at one piece; every different value in it once."""
        codes, values = distinct(cells)
        self._rows += len(cells)
        codes = codes[codes >= 0]
        self._missing += len(cells) - len(codes)
        if not len(codes):
            return
        times = np.bincount(codes, minlength=len(values))
        self._count(values.tolist(), times.tolist())
        self._measure(values, codes, times)

    def _count(self, values: list[str], times: list[int]) -> None:
        counts = self._counts
        if counts:
            new = [value for value in values if value not in counts]
            for value, rows in zip(values, times, strict=True):
                counts[value] = counts.get(value, 0) + rows
        else:
            new = values
            counts.update(zip(values, times, strict=True))
        self._bytes += VALUE_BYTES * len(new) + sum(map(len, new))
        if self._hashes is not None:
            self._hashes.add(values)
        if self._bytes > MOST_BYTES:
            if self._hashes is None:
                self._hashes = _Hashes(list(counts))
            self._forget()

    def _forget(self) -> None:
        """Keep the frequent half. A value that comes back begins again from nothing, so its rows become a lower bound."""
        typical = float(np.median(np.fromiter(self._counts.values(), dtype=np.int64)))
        often = {value: rows for value, rows in self._counts.items() if rows > typical}
        self._counts = often or dict(islice(self._counts.items(), FREQUENT))
        self._bytes = sum(VALUE_BYTES + len(value) for value in self._counts)

    def _measure(self, values: pd.Series[str], codes: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        # Arrow's own expressions: those of pandas take ten times as long where they fall back on Python's.
        import pyarrow as pa
        import pyarrow.compute as pc

        parsed = parse_numbers(values)
        known = ~np.isnan(parsed)
        of_rows = parsed[codes]
        self._numbers.add(of_rows[~np.isnan(of_rows)])
        self._whole &= bool((parsed[known] == np.floor(parsed[known])).all())
        if len(self._not_numbers) < 5:
            self._not_numbers |= dict.fromkeys(values[~known].head(5))
        texts = pa.array(values, pa.large_string())
        words, compact = _plain_numbers(texts)
        rest = np.flatnonzero(words == 0)
        others = texts.take(pa.array(rest))
        words[rest] = _word_counts(others)
        self._words.add(words[codes])
        ends = pc.utf8_slice_codeunits(others, -10)
        likenesses = {
            "spaced": _matches(others, r"\S\s+\S"),
            "images": _matches(ends, IMAGE),
            "unread_images": _matches(ends, NOT_READ),
            "image_lists": _matches(others, SEVERAL) if _matches(ends, FILE_END).any() else np.zeros(len(rest), dtype=np.bool_),
            "addresses": _matches(pc.utf8_slice_codeunits(others, 0, 80), ADDRESS),
            "dates": _matches(others, DATE),
        }
        for name, alike in likenesses.items():
            self._cells[name] += int(times[rest[alike]].sum())
        self._cells["number_cells"] += int(times[known].sum())
        self._cells["wordless"] += int(times[words == 0].sum())
        self._cells["dates"] += int(times[compact[_matches(texts.take(pa.array(compact)), DATE)]].sum())

    def profile(self, most: int) -> Profile:
        """Everything seen so far."""
        # By falling count, then by text, so that a table in another order reads the same.
        said = [(value, rows) for value, rows in self._counts.items() if value.lower() in MISSING_WORDS]
        missing_words = tuple(sorted(said, key=lambda item: (-item[1], item[0])))
        most += len(missing_words)  # so that as many are left without the words for a missing value
        counted = self._hashes is None
        sizes = np.fromiter(self._counts.values(), dtype=np.float64)
        often = np.partition(sizes, -most)[-most] if len(sizes) > most else 0
        ranked = sorted((item for item in self._counts.items() if item[1] >= often), key=lambda item: (-item[1], item[0]))
        per_value = Range(float(sizes.min()), float(np.median(sizes)), float(sizes.max())) if counted and len(sizes) else None
        return Profile(
            header=self._header,
            rows=self._rows,
            missing=self._missing,
            distinct=len(self._counts) if self._hashes is None else self._hashes.distinct(),
            frequent=tuple(ranked[:most]),
            missing_words=missing_words,
            counted=counted,
            rows_per_value=per_value,
            whole=self._whole and self._cells["number_cells"] > 0,
            numbers=self._numbers.range(),
            not_numbers=tuple(self._not_numbers)[:5] if self._cells["number_cells"] else (),
            words=self._words.range(),
            labels=recognise(self._counts) if counted and self._cells["number_cells"] < self._rows - self._missing else None,
            **self._cells,
        )


class _Hashes:
    """How many different values there are, by 64 bits of each: a million share some with a probability of 3 in 100 million."""

    def __init__(self, values: list[str]) -> None:
        self._known: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._new: list[NDArray[np.uint64]] = []
        self.add(values)

    def add(self, values: list[str]) -> None:
        if len(self._known) >= MOST_DISTINCT:
            return
        self._new.append(pd.util.hash_array(np.array(values, dtype=object), categorize=False))
        if sum(len(part) for part in self._new) > max(len(self._known), 100_000):
            self._merge()

    def _merge(self) -> None:
        self._known = pd.unique(np.concatenate([self._known, *self._new]))
        self._new = []

    def distinct(self) -> int:
        self._merge()
        return min(len(self._known), MOST_DISTINCT)


def _plain_numbers(texts: pa.Array) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The words of texts that are figures with at most one point and a sign, 0 for all others; and which have eight figures alone.

    Without an expression, which would take most of the time of a table of numbers. Of the rest that is looked for in texts, plain
    numbers can be nothing but a date such as `20240331`.
    """
    import pyarrow.compute as pc

    unsigned = pc.ascii_ltrim(texts, characters="+-")
    figures = pc.replace_substring(unsigned, ".", "", max_replacements=1)
    plain = pc.and_(pc.ascii_is_decimal(figures), pc.less(pc.binary_length(figures), 400)).to_numpy(zero_copy_only=False)
    inside = pc.binary_length(unsigned).to_numpy() > pc.binary_length(figures).to_numpy()
    for at_an_end in (pc.starts_with(unsigned, "."), pc.ends_with(unsigned, ".")):
        inside &= ~at_an_end.to_numpy(zero_copy_only=False)
    compact = plain & ~inside & (pc.binary_length(texts).to_numpy() == 8)
    return np.where(plain, 1 + inside, 0).astype(np.float32), np.flatnonzero(compact)


def _matches(texts: pa.Array, expression: str) -> NDArray[np.bool_]:
    """Which texts hold it."""
    import pyarrow.compute as pc

    if (few := _few(texts)) is not None:
        found = re.compile(expression, re.ASCII)  # Python keeps what it has compiled
        return np.array([found.search(text) is not None for text in few], dtype=np.bool_)
    return np.asarray(pc.match_substring_regex(texts, expression).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _word_counts(texts: pa.Array) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    if (few := _few(texts)) is not None:
        return np.array([len(re.findall(ASCII_WORD, text)) for text in few], dtype=np.int64)
    return np.asarray(pc.count_substring_regex(texts, WORD).to_numpy(), dtype=np.int64)


def _few(texts: pa.Array) -> list[str] | None:
    """The texts, where Python's own expressions find the same in less time than Arrow takes to prepare its own: about a millisecond."""
    if len(texts) > FEW_TEXTS:
        return None
    found: list[str] = texts.to_pylist()
    return found if all(text.isascii() for text in found) else None
