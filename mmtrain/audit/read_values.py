"""Reading the values of a table's columns, chunk by chunk on all cores, in one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.audit.coded_table import CodedChunk, CodedColumn, CodedTable, code_column, fingerprints, for_columns
from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.audit.column_values import ColumnValues, NamedPrints, TableValues
from mmtrain.text import spelling
from mmtrain.text.tokenization import SIGN, WORD

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MOST_TEXTS = 20_000
"""Rows whose texts are read word by word: the standard error of a share of them is 0.0035 at most."""

MOST_NAMES = 50_000
"""Different values of a column whose names are kept."""

LONG_WORDS = 12
"""Words from which two people do not write the same text by accident; titles and addresses have fewer."""
UNSPACED, LONG_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}]", 24
"""Scripts without blanks between words, and the number of their characters that corresponds to `LONG_WORDS`."""
CAPITALISED, NAMED = r"\p{Lu}\p{Ll}", 0.6
"""Beginning of a capitalised word, and the share of such words from which a text consists of names."""

SCRIPTS = ("Latin", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Han", "Hangul", "Thai", "another")
PATTERNS = (
    *(r"\p{Latin}", r"\p{Cyrillic}", r"\p{Greek}", r"\p{Arabic}", r"\p{Hebrew}", r"\p{Devanagari}"),
    *(r"[\p{Han}\p{Hiragana}\p{Katakana}]", r"\p{Hangul}", r"\p{Thai}"),
)
"""RE2, as Arrow reads them; Japanese mixes its own letters with Han and counts as one with it."""

BEGINNING = 60
"""Characters of a text that show its script."""


def read_table_values(table: CodedTable, uses: Sequence[ColumnUsage], rows: int) -> TableValues:
    """Read the cells of some columns, once for every header and role. Raises DataError for a damaged file."""
    # Reversed twice: of two usages of a header with one role the first one counts, in the order of the usages.
    wanted = {(use.header, use.role, use.unused): use for use in reversed(uses)}
    headers = list(dict.fromkeys(use.header for use in uses))
    generator = np.random.Generator(np.random.PCG64(0))
    sample = np.arange(rows) if rows <= MOST_TEXTS else np.sort(generator.choice(rows, MOST_TEXTS, replace=False))
    gatherers = [(_Texts if use.content == "texts" else _Names)(use, sample) for use in reversed(wanted.values())]
    start = 0
    for chunk in table.chunks(headers) if headers else ():
        # Exhausted for its effect: threads work only while somebody takes their results.
        for _ in for_columns(partial(_add, chunk, start), gatherers):
            pass
        start += len(next(iter(chunk.values())).codes)
    return TableValues(table.file.path.name, rows, tuple(for_columns(lambda gatherer: gatherer.cells(), gatherers)), sample)


def table_of_names(name: str, rows: int, columns: Sequence[tuple[ColumnUsage, pd.Series[str]]]) -> TableValues:
    """Return the values of columns in memory, none of them texts; only their names, without the numbers in them."""
    sample = np.empty(0, dtype=np.int64)
    gatherers = [_Names(use, sample, numbered=False) for use, _ in columns]
    for gatherer, (_, cells) in zip(gatherers, columns, strict=True):
        gatherer.add(code_column(cells), 0)
    return TableValues(name, rows, tuple(gatherer.cells() for gatherer in gatherers), sample)


def _add(chunk: CodedChunk, start: int, gatherer: _Gatherer) -> None:
    gatherer.add(chunk[gatherer.use.header], start)


class _Gatherer(ABC):
    """Collects the arrays of one column chunk by chunk."""

    def __init__(self, use: ColumnUsage, sample: NDArray[np.int64]) -> None:
        self.use = use
        self._sample = sample
        self._arrays: dict[str, list[NDArray[Any]]] = {}

    def _keep(self, **arrays: NDArray[Any]) -> None:
        for name, array in arrays.items():
            self._arrays.setdefault(name, []).append(array)

    @abstractmethod
    def add(self, column: CodedColumn, start: int) -> None:
        """Add the next chunk, whose first row is `start`."""

    def cells(self) -> ColumnValues:
        values: dict[str, Any] = {name: arrays[0] if len(arrays) == 1 else np.concatenate(arrays) for name, arrays in self._arrays.items()}
        return ColumnValues(self.use, **values, **self._more())

    def _more(self) -> dict[str, Any]:
        return {}


class _Texts(_Gatherer):
    """Texts: every one is likely to differ from all others."""

    def add(self, column: CodedColumn, start: int) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pc.utf8_trim_whitespace(column.values)
        worded = pc.match_substring_regex(texts, rf"[\p{{L}}\p{{N}}]|{SIGN}").to_numpy(zero_copy_only=False)
        codes = column.codes
        # Positions of the sampled rows within this chunk.
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
    """Gather (values,) by the code of each row, (rows,); -1 for a missing cell."""
    return np.append(of_values, of_values.dtype.type(of_missing))[codes]


def _written(texts: pa.Array) -> NDArray[np.bool_]:
    """Mark sentences of `LONG_WORDS` words and more: a long name of a place or an institute is neither short nor copied."""
    import pyarrow.compute as pc

    # Most texts are short: only long ones are searched for words.
    long = pc.greater_equal(pc.utf8_length(texts), LONG_UNSPACED)
    candidates = texts.filter(long)
    words = pc.count_substring_regex(candidates, WORD).to_numpy()
    named = pc.count_substring_regex(candidates, CAPITALISED).to_numpy() >= NAMED * words
    unspaced = pc.count_substring_regex(candidates, UNSPACED).to_numpy() >= LONG_UNSPACED
    marks = np.zeros(len(texts), dtype=np.bool_)
    marks[long.to_numpy(zero_copy_only=False)] = ((words >= LONG_WORDS) & ~named) | unspaced
    return marks


class _Names(_Gatherer):
    """Values that may occur often: each is processed once a chunk."""

    def __init__(self, use: ColumnUsage, sample: NDArray[np.int64], *, numbered: bool = True) -> None:
        super().__init__(use, sample)
        self._named: NamedPrints | None = None
        self._numbered = numbered

    def add(self, column: CodedColumn, start: int) -> None:  # noqa: ARG002
        codes, values = column.codes, column.values
        prints = fingerprints(values)
        # With several labels in a cell, an empty cell is an answer. Values are never NA here; words for a missing answer may be.
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
            # A column of ids may have millions of names: the first are kept, and those that a finding may quote.
            shown &= (np.arange(len(values)) < self._left(len(values))) | pd.Series(keys).duplicated(keep=False).to_numpy()
        if spelled or self._left(len(values)):
            self._name(prints, values, np.flatnonzero(shown))

    def _left(self, more: int) -> int:
        """Return the number of names that there is room for; repeats are removed first when `more` may not fit."""
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
    """Return the key of each name, and mark numbers that a spreadsheet has rounded; (texts,) each."""
    marks = spelling.rounded(texts).to_numpy(zero_copy_only=False).astype(np.bool_)
    return fingerprints(spelling.keys(texts)), marks


def count_scripts(texts: Any) -> NDArray[np.int8]:
    """Return the position in `SCRIPTS` of the script that most letters belong to, for each of an Arrow array of texts; -1 without letters.

    ASCII texts, most of a Latin table, are recognised by their bytes; only the others are counted letter by letter.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    beginnings = pc.utf8_slice_codeunits(texts, 0, BEGINNING)
    lettered = pc.match_substring_regex(beginnings, r"\p{L}").to_numpy(zero_copy_only=False)
    main = np.where(lettered, 0, -1).astype(np.int8)
    odd = np.flatnonzero(lettered & ~pc.string_is_ascii(beginnings).to_numpy(zero_copy_only=False))
    if len(odd):
        others = beginnings.take(pa.array(odd))
        counts = np.stack([pc.count_substring_regex(others, pattern).to_numpy() for pattern in (*PATTERNS, r"\p{L}")])
        counts[-1] -= counts[:-1].sum(axis=0)  # letters of any other script
        main[odd] = counts.argmax(axis=0)
    return main
