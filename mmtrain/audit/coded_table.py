"""Dictionary-coded cells of a table, read once for the profile of the columns and for all checks.

Numbers, words and fingerprints are computed once for each distinct value in a chunk of rows, and gathered by code for its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd

from mmtrain.columns.numbers import parse_texts
from mmtrain.data.counter_rng import mix_bits
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import TableFile, as_series, gather
from mmtrain.system.threads import in_threads

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MAX_KEPT_BYTES, MAX_KEPT_ROWS = 100_000_000, 100_000
"""Codes and values that are cached between two passes; a larger table is read and coded again for each pass. A second reading adds a
tenth to the time of a long table, a third to that of a wide one of short columns."""

COLUMNS_PER_TASK = 16
"""Columns per task of a thread: a task costs as much as coding a few hundred cells."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class CodedColumn:
    """The cells of one column in one chunk of rows."""

    def __init__(self, codes: NDArray[np.int32], values: pa.Array) -> None:
        """`codes` (rows,) are positions in `values`, -1 for a missing cell; `values` are large strings in the order of their first rows."""
        self.codes = codes
        self.values = values

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """(values,): rows of each value."""
        # Code -1 is counted in the first place, which is cut off.
        return np.bincount(self.codes + 1, minlength=len(self.values) + 1)[1:]

    @cached_property
    def series(self) -> pd.Series[str]:
        """The values as cells, as columns read them."""
        return as_series(self.values)

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """(values,): each value as a number, NaN where it is not one."""
        return parse_texts(self.values)

    def named(self, codes: NDArray[np.int64]) -> pd.Series[str]:
        """Return the values of some codes, none of them of a missing cell."""
        import pyarrow as pa

        return as_series(self.values.take(pa.array(codes)))

    @property
    def nbytes(self) -> int:
        """Bytes of codes and values, and of the numbers that may be cached."""
        return self.codes.nbytes + int(self.values.nbytes) + 8 * len(self.values)

    def without(self, words: pa.Array) -> CodedColumn:
        """Return the same cells, with those missing that are one of `words`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        removed = pc.is_in(self.values, value_set=words).to_numpy(zero_copy_only=False)
        if not removed.any():
            return self
        left = np.flatnonzero(~removed)
        renumbered = np.full(len(removed) + 1, -1, dtype=np.int32)  # the last is for a missing cell, whose code is -1
        renumbered[left] = np.arange(len(left))
        return CodedColumn(renumbered[self.codes], self.values.take(pa.array(left)))


CodedChunk = Mapping[str, CodedColumn]
"""Columns over the same rows, by header."""


def code_column(cells: pd.Series[str]) -> CodedColumn:
    """Code the cells of a chunk."""
    import pyarrow as pa

    array = pa.array(cells, pa.large_string(), from_pandas=True)
    coded = (array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array).dictionary_encode()
    return CodedColumn((coded.indices.fill_null(-1) if coded.null_count else coded.indices).to_numpy(), coded.dictionary)


class CodedTable:
    """A table file as coded columns. The first pass is cached for later ones over the same columns, where it is small enough."""

    def __init__(self, file: TableFile, cached: Sequence[CodedChunk] = ()) -> None:
        self.file = file
        self._cached = cached

    def chunks(self, headers: Sequence[str]) -> Iterator[CodedChunk]:
        """Yield some columns chunk by chunk, from the first row to the last. Raises DataError for a damaged file."""
        if self._cached and set(headers) <= self._cached[0].keys():
            yield from self._cached
            return
        chunks: list[CodedChunk] | None = []
        cached_bytes = rows = 0
        for piece in gather(self.file.pieces(headers, size=READ_CHUNK_ROWS)) if headers else ():
            chunk = dict(zip(piece, for_columns(code_column, piece.values()), strict=True))
            cached_bytes += sum(column.nbytes for column in chunk.values())
            rows += len(next(iter(piece.values())))
            # Given up as soon as it grows too large: a part of the table is of no use to a later pass.
            chunks = [*chunks, chunk] if chunks is not None and cached_bytes <= MAX_KEPT_BYTES and rows <= MAX_KEPT_ROWS else None
            yield chunk
        self._cached = chunks or self._cached

    def reopened(self, file: TableFile) -> CodedTable:
        """Return the same table as `file`, which has more words that count as missing; the cache is reused where possible."""
        import pyarrow as pa

        if not self.file.numerals.plain:  # words are compared before numbers are rewritten with a decimal point: read again
            return CodedTable(file)
        words = pa.array(file.missing_values, pa.large_string())
        return CodedTable(file, [{header: column.without(words) for header, column in chunk.items()} for chunk in self._cached])


def for_columns(work: Callable[[Item], Result], columns: Iterable[Item]) -> Iterator[Result]:
    """Yield the result of `work` for every column, in their order, on all cores."""
    for results in in_threads(lambda several: [work(column) for column in several], _batched(columns)):
        yield from results


def _batched(items: Iterable[Item]) -> Iterator[list[Item]]:
    rest = iter(items)
    while several := list(islice(rest, COLUMNS_PER_TASK)):
        yield several


def text_bytes(texts: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of at least one large string, none missing, and their bounds: text i is `data[bounds[i] : bounds[i + 1]]`."""
    _, offsets, characters = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    first, last = int(bounds[0]), int(bounds[-1])
    # Arrow has no buffer for empty texts only.
    data = np.frombuffer(characters, dtype=np.uint8)[first:last] if last > first else np.empty(0, dtype=np.uint8)
    return data, bounds - first


def fingerprints(texts: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each large string, none missing; never 0, and equal for equal texts in any table.

    Eight bytes at a time, as MurmurHash does: several times as fast as hashing each text as a Python object.
    """
    if not len(texts):
        return np.empty(0, dtype=np.uint64)
    data, bounds = text_bytes(texts)
    padded = np.append(data, np.zeros(8, dtype=np.uint8))
    # The eight bytes that begin at each byte: a view, without a copy.
    words = np.ndarray((len(data) + 1,), dtype="<u8", buffer=padded, strides=(1,))
    starts, lengths = bounds[:-1], np.diff(bounds)
    longest = int(lengths.max())
    # A text and the same text with trailing zero bytes differ. Lengths are few: most often the hash of each is computed once.
    of_lengths = np.arange(longest + 1) if longest < len(texts) else lengths
    prints = mix_bits(of_lengths.astype(np.uint64))
    prints = prints[lengths] if longest < len(texts) else prints
    rows = np.flatnonzero(lengths)
    # All texts advance together; those that end leave, so that the work is linear in the characters.
    for done in range(0, longest, 8):
        rows = rows if done == 0 else rows[lengths[rows] > done]
        left = np.minimum(lengths[rows] - done, 8).astype(np.uint64)
        beyond = np.uint64(8) * (np.uint64(8) - left)  # bits of the word that belong to the next text
        prints[rows] = mix_bits(prints[rows] ^ ((words[starts[rows] + done] << beyond) >> beyond))
    return np.maximum(prints, np.uint64(1))  # 0 stands for a missing cell
