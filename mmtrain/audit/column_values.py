"""The cells of a table as findings need them: numbers and fingerprints instead of texts, read in one pass.

A cell takes 8 bytes for its fingerprint and 8 for its number, whatever its length, and a name 9 more for its spelling; the words of a
text column are kept of `MOST_TEXTS` rows that chance picks, the names of a category of the first `MOST_NAMES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.audit.quality.writing_systems import count_scripts
from mmtrain.columns.base import Content, Purpose
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import TableFile, distinct, gather
from mmtrain.system.threads import in_threads
from mmtrain.text import spelling
from mmtrain.text.tokenization import SIGN, WORD

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_TEXTS = 20_000
"""Rows whose texts are read word by word: a share of them is known to one hundredth (2 standard errors of at most 0.0035)."""

MOST_NAMES = 50_000
"""Different values of a column whose names are kept."""

LONG_WORDS = 12
"""Words from which two people do not write the same text by chance; titles and addresses have fewer."""
UNSPACED, LONG_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]", 24
"""Scripts that part no words, and how many of their characters say as much."""
CAPITALISED, NAMED = r"\p{Lu}\p{Ll}", 0.6
"""Words that begin with a capital; where so large a share does, the text is made of names."""


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
    names: Mapping[int, str] = field(default_factory=dict)
    """Print -> cell, of the first `MOST_NAMES` different ones; none for texts and images."""
    written: NDArray[np.bool_] | None = None
    """Texts so long that two people do not write the same by chance, and no names; see `_write_format`."""
    wordless: NDArray[np.bool_] | None = None
    """Texts that are not missing but hold neither letter nor figure."""
    scripts: NDArray[np.int8] | None = None
    """Position in `SCRIPTS` of the script that most letters of a text belong to, -1 without letters."""
    texts: NDArray[np.object_] | None = None
    """Of the rows in `Sheet.sample`."""

    @property
    def header(self) -> str:
        """In the table."""
        return self.use.header

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Rows without a cell."""
        return np.asarray(self.prints == 0)

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
    """Of the table's file."""
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


def read_table_values(file: TableFile, uses: Sequence[ColumnUsage], rows: int) -> TableValues:
    """The cells of some columns, once for every header and role. Raises DataError for a damaged file."""
    wanted = {(use.header, use.role, use.unused): use for use in reversed(uses)}
    headers = list(dict.fromkeys(use.header for use in uses))
    chance = np.random.Generator(np.random.PCG64(0))
    sample = np.arange(rows) if rows <= MOST_TEXTS else np.sort(chance.choice(rows, MOST_TEXTS, replace=False))
    gatherers = [(_Texts if use.content == "texts" else _Names)(use, sample) for use in reversed(wanted.values())]
    start = 0
    for piece in gather(file.pieces(headers, size=READ_CHUNK_ROWS)) if headers else ():
        for _ in in_threads(partial(_add, piece, start), gatherers):
            pass
        start += len(next(iter(piece.values())))
    return TableValues(file.path.name, rows, tuple(gatherer.cells() for gatherer in gatherers), sample)


def sheet_of_names(name: str, rows: int, columns: Sequence[tuple[ColumnUsage, pd.Series[str]]]) -> TableValues:
    """The sheet of columns that are in memory, texts not among them; names alone, without the numbers in them."""
    sample = np.empty(0, dtype=np.int64)
    gatherers = [_Names(use, sample, numbered=False) for use, _ in columns]
    for gatherer, (_, cells) in zip(gatherers, columns, strict=True):
        gatherer.add(cells, 0)
    return TableValues(name, rows, tuple(gatherer.cells() for gatherer in gatherers), sample)


def _add(piece: Mapping[str, pd.Series[str]], start: int, gatherer: _Gatherer) -> None:
    gatherer.add(piece[gatherer.use.header], start)


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
    def add(self, cells: pd.Series[str], start: int) -> None:
        """The next piece, whose first row is `start`."""

    def cells(self) -> ColumnValues:
        values: dict[str, Any] = {name: np.concatenate(arrays) for name, arrays in self._arrays.items()}
        return ColumnValues(self.use, **values, **self._more())

    def _more(self) -> dict[str, Any]:
        return {}


class _Texts(_Gatherer):
    """Every text is likely to differ from all others."""

    def add(self, cells: pd.Series[str], start: int) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pc.utf8_trim_whitespace(pa.array(cells, pa.large_string()))
        missing = cells.isna().to_numpy()
        plain = pc.fill_null(texts, "")
        lowered = pc.utf8_lower(plain).to_numpy(zero_copy_only=False)
        worded = pc.match_substring_regex(plain, rf"[\p{{L}}\p{{N}}]|{SIGN}").to_numpy(zero_copy_only=False)
        picked = self._sample[(self._sample >= start) & (self._sample < start + len(cells))] - start
        self._keep(
            prints=np.where(missing, 0, fingerprints(lowered)),
            written=_written(plain),
            wordless=~worded & ~missing,
            scripts=count_scripts(plain),
            texts=plain.take(pa.array(picked)).to_numpy(zero_copy_only=False),
        )


def _written(texts: pa.Array) -> NDArray[np.bool_]:
    """Which texts are sentences of `LONG_WORDS` words and more: a long name of a place or an institute is neither short nor copied."""
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
    """Values that may occur often: each is looked at once a piece."""

    def __init__(self, use: ColumnUsage, sample: NDArray[np.int64], *, numbered: bool = True) -> None:
        super().__init__(use, sample)
        self._names: dict[int, str] = {}
        self._numbered = numbered

    def add(self, cells: pd.Series[str], start: int) -> None:  # noqa: ARG002
        codes, values = distinct(cells)
        own = fingerprints(values.to_numpy(dtype=object))
        if not self.use.separator:  # of several labels in a cell, an empty one is an answer
            own[self.use.missing_cells(values)] = 0
        self._keep(prints=np.append(own, np.uint64(0))[codes])  # the code of a missing cell is -1
        if self._numbered and (ranks := self.use.ranks(values)) is not None:
            self._keep(numbers=np.append(ranks, np.nan)[codes])
        told = np.asarray(own != 0)
        spelled = bool(self.use.column_class.harm_of_spellings)
        if spelled:
            keys, marks = _spellings(values)
            self._keep(keys=np.append(keys, np.uint64(0))[codes], rounded=np.append(marks, False)[codes])
            # A column of ids may have millions: names are kept of the first, and of those that have to be shown.
            told &= (np.arange(len(values)) < MOST_NAMES - len(self._names)) | pd.Series(keys).duplicated(keep=False).to_numpy()
        if len(self._names) < MOST_NAMES or spelled:
            self._names |= dict(zip(own[told].tolist(), values[told].tolist(), strict=True))

    def _more(self) -> dict[str, Any]:
        return {"names": self._names}


def _spellings(values: pd.Series[str]) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """The key of each name, and whether it is a number that was rounded; (values,) each."""
    import pyarrow as pa

    texts = pa.array(values, pa.large_string())
    marks = spelling.rounded(texts).to_numpy(zero_copy_only=False).astype(np.bool_)
    return fingerprints(spelling.keys(texts).to_numpy(zero_copy_only=False)), marks


def fingerprints(values: NDArray[np.object_]) -> NDArray[np.uint64]:
    """64 bits of each text, never 0."""
    if not len(values):
        return np.empty(0, dtype=np.uint64)
    return np.maximum(pd.util.hash_array(values, categorize=False), np.uint64(1))
