"""Counts of the distinct values of a column, in memory that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.coded_table import CodedColumn, fingerprints
from mmtrain.columns.cells import is_word
from mmtrain.columns.profile import Range
from mmtrain.data.tables.table_file import as_series

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

FREQUENT = 5
"""Values of a column that are named with their counts by default."""

MOST_BYTES = 20_000_000
"""Memory for the distinct values of a column and their counts; above it, only the frequent ones are kept."""

VALUE_BYTES = 100
"""Bytes of a value in that memory, without its characters."""

MOST_DISTINCT = 1_000_000
"""Distinct values that are counted exactly, at eight bytes each."""


class ValueCounts:
    """Counts of distinct values in bounded memory: above `MOST_BYTES` the rarer half is dropped, and hashes count it."""

    def __init__(self) -> None:
        self._values: pa.Array | None = None
        self._counts: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._waiting: list[CodedColumn] = []
        """Chunks that are not merged yet: while all fit into memory, once at the end is enough."""
        self._bytes = 0
        """At most, of the merged values and those that wait; `_value_bytes` of the merged ones says whether they are too many."""
        self._hashes: _Hashes | None = None

    def add(self, column: CodedColumn) -> None:
        """Add the values of one chunk."""
        self._waiting.append(column)
        self._bytes += VALUE_BYTES * len(column.values) + int(column.values.nbytes)
        if self._hashes is not None:
            self._hashes.add(column.values)
        # The waiting bytes are an upper limit, since values repeat between chunks: merge, and only then drop.
        if self._bytes > MOST_BYTES and self._merge() > MOST_BYTES:
            self._forget()

    def _merge(self) -> int:
        """Merge the waiting chunks; return the bytes of all values."""
        import pyarrow as pa

        waiting, self._waiting = self._waiting, []
        # A single chunk has distinct values already.
        if self._values is None and len(waiting) == 1:
            self._values, self._counts = waiting[0].values, waiting[0].counts
        elif waiting:
            known = [] if self._values is None else [self._values]
            coded = pa.concat_arrays([*known, *(one.values for one in waiting)]).dictionary_encode()
            rows = np.concatenate([self._counts, *(one.counts for one in waiting)])
            self._values = coded.dictionary
            self._counts = np.bincount(coded.indices.to_numpy(), rows).astype(np.int64)
        self._bytes = 0 if self._values is None else _value_bytes(self._values)
        return self._bytes

    def _forget(self) -> None:
        """Keep the frequent half. A value that comes back starts from 0, so its count becomes a lower bound."""
        if self._values is None:
            return
        # From here on counts are lower bounds, and only the hashes know how many values there were.
        if self._hashes is None:
            self._hashes = _Hashes(self._values)
        # Above the median: at most half of the values, so that memory is halved each time.
        often = np.flatnonzero(self._counts > np.median(self._counts))
        # All counts equal: none is above the median, and a few stand for all.
        often = often if len(often) else np.arange(min(FREQUENT, len(self._values)))
        self._values, self._counts = take(self._values, often), self._counts[often]
        self._bytes = _value_bytes(self._values)

    @property
    def exact(self) -> bool:
        """True while no value was forgotten."""
        return self._hashes is None

    @property
    def distinct(self) -> int:
        """Number of distinct values, at most `MOST_DISTINCT`."""
        return self._hashes.distinct() if self._hashes is not None else len(self._merged()[1])

    @property
    def rows_per_value(self) -> Range | None:
        """None where values were forgotten, or there are none."""
        counts = self._merged()[1].astype(np.float64)
        if not self.exact or not len(counts):
            return None
        return Range(minimum=float(counts.min()), median=float(np.median(counts)), maximum=float(counts.max()))

    def as_dict(self) -> dict[str, int]:
        """Return counts by value, in the order of their first rows."""
        values, counts = self._merged()
        return dict(zip(values.to_pylist(), counts.tolist(), strict=True)) if values is not None else {}

    def ranked(self, words: Sequence[str]) -> tuple[tuple[str, int], ...]:
        """Return the values that are one of `words`, in any case, and their counts, most rows first."""
        values, counts = self._merged()
        if values is None:
            return ()
        alike = np.flatnonzero(is_word(as_series(values), words))
        return _by_rows(take(values, alike), counts[alike])

    def most_frequent(self, most: int) -> tuple[tuple[str, int], ...]:
        """Return at most `most` values and their counts, by falling count, then by text: the order of rows does not matter."""
        import pyarrow as pa
        import pyarrow.compute as pc

        values, counts = self._merged()
        if values is None:
            return ()
        if len(counts) > most:
            # A partition rather than a sort: only the few largest are put in order.
            least = np.partition(counts, -most)[-most]
            often, tied = np.flatnonzero(counts > least), np.flatnonzero(counts == least)
            if len(tied) > most:  # in a column without repeats all values are tied: select without sorting them
                candidates = pa.table({"value": take(values, tied), "place": tied})
                first = pc.select_k_unstable(candidates, k=most - len(often), sort_keys=[("value", "ascending")])
                tied = tied[first.to_numpy()]
            chosen = np.concatenate([often, tied])
            values, counts = take(values, chosen), counts[chosen]
        return _by_rows(values, counts)[:most]

    def _merged(self) -> tuple[pa.Array | None, NDArray[np.int64]]:
        if self._waiting:
            self._merge()
        return self._values, self._counts


def _by_rows(values: pa.Array, counts: NDArray[np.int64]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(zip(values.to_pylist(), counts.tolist(), strict=True), key=lambda item: (-item[1], item[0])))


def _value_bytes(values: pa.Array) -> int:
    """Return the bytes of the values as Python objects, which they were when `MOST_BYTES` was chosen."""
    import pyarrow.compute as pc

    return VALUE_BYTES * len(values) + int(pc.sum(pc.utf8_length(values)).as_py() or 0)


class _Hashes:
    """Number of distinct values by 64-bit hashes: of a million values two collide with a probability of 3 in 100 million."""

    def __init__(self, values: pa.Array) -> None:
        self._known: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._new: list[NDArray[np.uint64]] = []
        self.add(values)

    def add(self, values: pa.Array) -> None:
        # At the limit further hashes would cost memory and change nothing.
        if len(self._known) >= MOST_DISTINCT:
            return
        self._new.append(fingerprints(values))
        # Merged when the new ones are as many as the known: each hash is merged a logarithmic number of times.
        if sum(len(part) for part in self._new) > max(len(self._known), 100_000):
            self._merge()

    def _merge(self) -> None:
        self._known = pd.unique(np.concatenate([self._known, *self._new]))
        self._new = []

    def distinct(self) -> int:
        self._merge()
        return min(len(self._known), MOST_DISTINCT)


def take(values: pa.Array, places: NDArray[np.int64]) -> pa.Array:
    """Return the values at some positions."""
    import pyarrow as pa

    return values.take(pa.array(places))
