"""Values of a table's columns for the checks: fingerprints and numbers instead of texts.

A cell takes 8 bytes for its fingerprint and 12 for its number and rank, whatever its length, and a name 9 more for its spelling. Texts
are kept for `MOST_TEXTS` random rows, names for the first `MOST_NAMES` different values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from mmtrain.audit.column_usage import ColumnUsage
from mmtrain.audit.ranked_numbers import RankedNumbers, rank_numbers
from mmtrain.columns.base import Content, Purpose

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MAX_RANKED_ROWS = 50_000
"""Rows up to which sorted numbers are kept: 24 bytes a row."""


class NamedPrints(NamedTuple):
    """Distinct cells, none missing, in the order of their first rows; one that is in several chunks of the table may be repeated."""

    prints: NDArray[np.uint64]
    texts: pa.Array

    def without_repeats(self) -> NamedPrints:
        """Return each cell once."""
        import pyarrow as pa

        # In the order of the first rows, which `np.unique` alone would lose.
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
    """NaN in a cell without a number; days since 1970 for dates, the last number in ids and groups. None where numbers have no meaning."""
    keys: NDArray[np.uint64] | None = None
    """Equal for names that are spelled nearly alike, see `spelling.keys`; None where cells are not names."""
    rounded: NDArray[np.bool_] | None = None
    """Names that a spreadsheet has rounded; None as for `keys`."""
    named: NamedPrints | None = None
    """The first `MOST_NAMES` different cells and their prints; None for texts and images."""
    written: NDArray[np.bool_] | None = None
    """Texts so long that two people do not write the same by accident, names left out; see `read_values`."""
    wordless: NDArray[np.bool_] | None = None
    """Texts that are not missing but have neither a letter nor a digit."""
    scripts: NDArray[np.int8] | None = None
    """Position in `SCRIPTS` of the script that most letters of a text belong to, -1 without letters."""
    texts: NDArray[np.object_] | None = None
    """Texts of the rows in `TableValues.sample`."""

    @property
    def header(self) -> str:
        """Header in the table."""
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
        """Map from print to cell, for the cells in `named`."""
        return {} if self.named is None else dict(zip(self.named.prints.tolist(), self.named.texts.to_pylist(), strict=True))

    @property
    def ranked(self) -> RankedNumbers:
        """Sorted numbers of a column that has numbers; cached up to `MAX_RANKED_ROWS` rows."""
        return self._ranked if len(self.prints) <= MAX_RANKED_ROWS else rank_numbers(self.numbers)

    @cached_property
    def _ranked(self) -> RankedNumbers:
        return rank_numbers(self.numbers)

    @cached_property
    def different(self) -> NDArray[np.uint64]:
        """The distinct prints, missing included, in the order of their first rows."""
        return np.asarray(pd.unique(self.prints))

    def codes(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[str]]:
        """Return codes of the cells of some rows, -1 for a missing one, and the name of each code."""
        codes, prints = pd.factorize(self.prints[rows])
        names = [self.names.get(int(value), "") for value in prints]
        gone = np.flatnonzero(prints == 0)
        if len(gone):  # 0 got a code of its own: the codes above it move down
            codes = np.where(codes == gone[0], -1, codes - (codes > gone[0]))
            del names[gone[0]]
        return codes.astype(np.int64), names


@dataclass(frozen=True, eq=False)
class TableValues:
    """All columns that checks read."""

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
