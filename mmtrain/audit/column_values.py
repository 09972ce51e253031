"""The cells of a table as findings need them: numbers and fingerprints instead of texts, read in one pass.

A cell takes 8 bytes for its fingerprint and 12 for its number and rank, whatever its length, and a name 9 more for its spelling; the
words of a text column are kept of `MOST_TEXTS` rows picked at random, the names of a category of the first `MOST_NAMES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from mmtrain.audit.coded_table import CodedChunk, CodedColumn, CodedTable, code_column, fingerprints, for_columns
from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.audit.quality.writing_systems import count_scripts
from mmtrain.audit.ranked_numbers import RankedNumbers, rank_numbers
from mmtrain.columns.base import Content, Purpose
from mmtrain.text import spelling
from mmtrain.text.tokenization import SIGN, WORD

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_TEXTS = 20_000
"""Rows whose texts are read word by word: a share of them is known to one hundredth (2 standard errors of at most 0.0035)."""

MAX_RANKED_ROWS = 50_000

MOST_NAMES = 50_000
"""Different values of a column whose names are kept."""

LONG_WORDS = 12
"""Words from which two people do not happen to write the same text; titles and addresses have fewer."""
UNSPACED, LONG_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]", 24
"""Scripts that part no words, and how many of their characters say as much."""
CAPITALISED, NAMED = r"\p{Lu}\p{Ll}", 0.6
"""Words that begin with a capital; where so large a share does, the text is made of names."""


class NamedPrints(NamedTuple):
    """Cells, none missing, in the order of their first rows; one that is in several chunks of the table may be repeated."""

    prints: NDArray[np.uint64]
    texts: pa.Array

    def without_repeats(self) -> NamedPrints:
        """Each cell once."""
        import pyarrow as pa

        first = np.sort(np.unique(self.prints, return_index=True)[1])
        return self if len(first) == len(self.prints) else NamedPrints(self.prints[first], self.texts.take(pa.array(first)))


@dataclass(frozen=True, eq=False)
class ColumnValues:
    """One column; every array has an entry per row of the file."""

    use: ColumnUsage
    prints: NDArray[np.uint64]
    """Equal for equal cells, 0 for a missing one. 64 bits: among a million cells two different ones share a print once in 40 million
    tables. Texts are compared without regard to capitals and to blanks around them."""
    numbers: NDArray[np.float64] | None = None
    """NaN where there is none; days since 1970 for dates, the last number in ids and groups. None where numbers would mean nothing."""
    keys: NDArray[np.uint64] | None = None
    """Equal for names that are nearly spelled alike, see `spelling.keys`; None where cells are no names."""
    rounded: NDArray[np.bool_] | None = None
    """Names that a spreadsheet has rounded; of the same roles."""
    named: NamedPrints | None = None
    """The first `MOST_NAMES` different cells and their prints; None for texts and images."""
    written: NDArray[np.bool_] | None = None
    """Texts so long that two people do not happen to write the same, names left out; see `_written`."""
    wordless: NDArray[np.bool_] | None = None
    """Texts that are not missing but hold neither letter nor figure."""
    scripts: NDArray[np.int8] | None = None
    """Position in `SCRIPTS` of the script that most letters of a text belong to, -1 without letters."""
    texts: NDArray[np.object_] | None = None
    """Texts of the rows in `TableValues.sample`."""

    @property
    def header(self) -> str:
        """In the table."""
        return self.use.header

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Rows without a cell."""
        return np.asarray(self.prints == 0)

    @cached_property
    def is_all_numbers(self) -> bool:
        """True where every cell that is not missing is a number."""
        return self.numbers is not None and not (np.isnan(self.numbers) & ~self.missing).any()

    @cached_property
    def names(self) -> Mapping[int, str]:
        """Print -> cell, of those that are `named`."""
        return {} if self.named is None else dict(zip(self.named.prints.tolist(), self.named.texts.to_pylist(), strict=True))

    @property
    def ranked(self) -> RankedNumbers:
        """The numbers by size, of a column that has numbers; kept up to `MAX_RANKED_ROWS` rows, as they take 24 bytes a row."""
        return self._ranked if len(self.prints) <= MAX_RANKED_ROWS else rank_numbers(self.numbers)

    @cached_property
    def _ranked(self) -> RankedNumbers:
        return rank_numbers(self.numbers)

    @cached_property
    def different(self) -> NDArray[np.uint64]:
        """The different prints, missing included, in the order of their first rows."""
        return np.asarray(pd.unique(self.prints))

    def codes(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
        """Codes of the cells of some rows, -1 for a missing one, and what each code is called."""
        codes, found = pd.factorize(self.prints[rows])
        names = [self.names.get(int(value), "") for value in found]
        gone = np.flatnonzero(found == 0)
        if len(gone):
            codes = np.where(codes == gone[0], -1, codes - (codes > gone[0]))
            del names[gone[0]]
        return codes.astype(np.int64), names


@dataclass(frozen=True, eq=False)
class TableValues:
    """All columns that are looked at."""

    name: str
    """Name of the table's file."""
    rows: int
    columns: tuple[ColumnValues, ...]
    """One for every header and role."""
    sample: NDArray[np.int64]
    """Rows whose texts were kept, ascending."""

    def of_purpose(self, *purposes: Purpose) -> list[ColumnValues]:
        """Return the columns with one of these purposes, in their order."""
        return [cells for cells in self.columns if cells.use.purpose in purposes]

    @property
    def inputs(self) -> list[ColumnValues]:
        """The columns that feed the network."""
        return self.of_purpose("input")

    def inputs_of(self, *contents: Content) -> list[ColumnValues]:
        """Return the inputs whose cells hold one of these contents, in their order."""
        return [cells for cells in self.inputs if cells.use.content in contents]


def read_table_values(table: CodedTable, uses: Sequence[ColumnUsage], rows: int) -> TableValues:
    """The cells of some columns, once for every header and role. Raises DataError for a damaged file."""
    wanted = {(use.header, use.role, use.unused): use for use in reversed(uses)}
    headers = list(dict.fromkeys(use.header for use in uses))
    generator = np.random.Generator(np.random.PCG64(0))
    sample = np.arange(rows) if rows <= MOST_TEXTS else np.sort(generator.choice(rows, MOST_TEXTS, replace=False))
    gatherers = [(_Texts if use.content == "texts" else _Names)(use, sample) for use in reversed(wanted.values())]
    start = 0
    for chunk in table.chunks(headers) if headers else ():
        for _ in for_columns(partial(_add, chunk, start), gatherers):
            pass
        start += len(next(iter(chunk.values())).codes)
    return TableValues(table.file.path.name, rows, tuple(for_columns(lambda gatherer: gatherer.cells(), gatherers)), sample)


def sheet_of_names(name: str, rows: int, columns: Sequence[tuple[ColumnUsage, pd.Series[str]]]) -> TableValues:
    """The sheet of columns that are in memory, texts not among them; names alone, without the numbers in them."""
    sample = np.empty(0, dtype=np.int64)
    gatherers = [_Names(use, sample, numbered=False) for use, _ in columns]
    for gatherer, (_, cells) in zip(gatherers, columns, strict=True):
        gatherer.add(code_column(cells), 0)
    return TableValues(name, rows, tuple(gatherer.cells() for gatherer in gatherers), sample)


def _add(chunk: CodedChunk, start: int, gatherer: _Gatherer) -> None:
    gatherer.add(chunk[gatherer.use.header], start)


class _Gatherer(ABC):
    """Adds up one column piece by piece."""

    def __init__(self, use: ColumnUsage, sample: NDArray[np.int64]) -> None:
        self.use = use
        self._sample = sample
        self._arrays: dict[str, list[NDArray[Any]]] = {}

    def _keep(self, **arrays: NDArray[Any]) -> None:
        for name, array in arrays.items():
            self._arrays.setdefault(name, []).append(array)

    @abstractmethod
    def add(self, column: CodedColumn, start: int) -> None:
        """The next chunk, whose first row is `start`."""

    def cells(self) -> ColumnValues:
        values: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in self._arrays.items()}
        return ColumnValues(self.use, **values, **self._more())

    def _more(self) -> dict[str, Any]:
        return {}


class _Texts(_Gatherer):
    """Every text is likely to differ from all others."""

    def add(self, column: CodedColumn, start: int) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pc.utf8_trim_whitespace(column.values)
        worded = pc.match_substring_regex(texts, rf"[\p{{L}}\p{{N}}]|{SIGN}").to_numpy(zero_copy_only=False)
        codes = column.codes
        picked = self._sample[(self._sample >= start) & (self._sample < start + len(codes))] - start
        sampled = pa.array(codes[picked], mask=codes[picked] < 0)
        self._keep(
            prints=_by_row(fingerprints(pc.utf8_lower(texts)), 0, codes),
            written=_by_row(_written(texts), False, codes),
            wordless=_by_row(~worded, False, codes),
            scripts=_by_row(count_scripts(texts), -1, codes),
            texts=pc.fill_null(texts.take(sampled), "").to_numpy(zero_copy_only=False),
        )


def _by_row(of_values: NDArray[Any], of_missing: float, codes: NDArray[np.int32]) -> NDArray[Any]:
    """(rows,) of (values,): by the code of each row, -1 for a missing cell."""
    return np.append(of_values, of_values.dtype.type(of_missing))[codes]


def _written(texts: pa.Array) -> NDArray[np.bool_]:
    """Mark sentences of `LONG_WORDS` words and more: a long name of a place or an institute is neither short nor copied."""
    import pyarrow.compute as pc

    long = pc.greater_equal(pc.utf8_length(texts), LONG_UNSPACED)
    candidates = texts.filter(long)
    words = pc.count_substring_regex(candidates, WORD).to_numpy()
    named = pc.count_substring_regex(candidates, CAPITALISED).to_numpy() >= NAMED * words
    unspaced = pc.count_substring_regex(candidates, UNSPACED).to_numpy() >= LONG_UNSPACED
    found = np.zeros(len(texts), dtype=np.bool_)
    found[long.to_numpy(zero_copy_only=False)] = ((words >= LONG_WORDS) & ~named) | unspaced
    return found


class _Names(_Gatherer):
    """Values that may occur often: each is looked at once a chunk."""

    def __init__(self, use: ColumnUsage, sample: NDArray[np.int64], *, numbered: bool = True) -> None:
        super().__init__(use, sample)
        self._named: NamedPrints | None = None
        self._numbered = numbered

    def add(self, column: CodedColumn, start: int) -> None:  # noqa: ARG002
        codes, values = column.codes, column.values
        prints = fingerprints(values)
        # Of several labels in a cell, an empty one is an answer. No value is NA; words for a missing answer may be declared or guessed.
        if not self.use.separator and (self.use.column is not None or self.use.missing_words):
            prints[self.use.missing_cells(column.series)] = 0
        self._keep(prints=_by_row(prints, 0, codes))
        if self._numbered and (numbers := self._numbers(column)) is not None:
            self._keep(numbers=_by_row(numbers, np.nan, codes))
        shown = prints != 0
        spelled = bool(self.use.column_class.harm_of_spellings)
        if spelled:
            keys, marks = _spellings(values)
            self._keep(keys=_by_row(keys, 0, codes), rounded=_by_row(marks, False, codes))
            # A column of ids may have millions: names are kept of the first, and of those that have to be shown.
            shown &= (np.arange(len(values)) < self._left(len(values))) | pd.Series(keys).duplicated(keep=False).to_numpy()
        if spelled or self._left(len(values)):
            self._name(prints, values, np.flatnonzero(shown))

    def _left(self, more: int) -> int:
        """How many names are still kept; repeats among them are looked for when `more` may be too many."""
        if self._named is not None and len(self._named.prints) + more > MOST_NAMES:
            self._named = self._named.without_repeats()
        return max(MOST_NAMES - (len(self._named.prints) if self._named is not None else 0), 0)

    def _name(self, prints: NDArray[np.uint64], values: pa.Array, places: NDArray[np.int64]) -> None:
        import pyarrow as pa

        new = NamedPrints(prints[places], values if len(places) == len(values) else values.take(pa.array(places)))
        known = self._named
        self._named = new if known is None else NamedPrints(np.append(known.prints, new.prints), pa.concat_arrays([known.texts, new.texts]))

    def _numbers(self, column: CodedColumn) -> NDArray[np.float64] | None:
        """Return the rank of each value; plain numbers were parsed for the profile already."""
        return column.numbers if self.use.content in ("numbers", "names") else self.use.ranks(column.series)

    def _more(self) -> dict[str, Any]:
        return {"named": self._named}


def _spellings(texts: pa.Array) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The key of each name, and whether it is a number that was rounded; (texts,) each."""
    marks = spelling.rounded(texts).to_numpy(zero_copy_only=False).astype(np.bool_)
    return fingerprints(spelling.keys(texts)), marks
