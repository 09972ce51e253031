"""The cells of one column in memory: one Arrow array of all rows, in which values that repeat stand once.

A column of many chunks, as it comes from a file, has to be searched for the chunk of every row, so that taking all rows piece by
piece would cost the square of them. Of values that repeat a row holds a code of one, two or four bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.data.tables.table_file import as_series

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

REPEATED = 2
"""Rows that a value of a piece has on average, from which its values are kept once."""


class ColumnBuffer:
    """Cells by row: chunks are added and joined, then rows are read."""

    def __init__(self) -> None:
        self._pieces: list[NDArray[np.signedinteger[Any]] | pa.Array] = []
        """Codes of a piece in the smallest integers, the same with values of its own, or its texts."""
        self._values: pa.Array | None = None
        """The values that codes stand for, a null among them where a cell is missing."""
        self._whole: pa.Array

    def add(self, cells: pd.Series[str]) -> None:
        """The next rows."""
        import pyarrow as pa

        # NaN, the missing cell of pandas, becomes null.
        array = pa.array(cells, pa.large_string(), from_pandas=True)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        coded = array.dictionary_encode(null_encoding="encode")
        repeated = len(coded.dictionary) * REPEATED <= len(coded)
        # `string` has offsets of half the bytes of those of `large_string`.
        self._pieces.append(self._codes(coded) if repeated else array.cast(pa.string()))

    def _codes(self, coded: pa.DictionaryArray) -> NDArray[np.signedinteger[Any]] | pa.DictionaryArray:
        """Return the codes of a piece among the values of all pieces; Arrow's own take four bytes a row until they are joined."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._values is None:
            self._values = coded.dictionary.slice(0, 0)
        if len(self._values) > len(coded):
            # Searching more values than a piece has rows, in every piece, would cost the square of the rows.
            codes = coded.indices.to_numpy().astype(_code_type(len(coded.dictionary)))
            return pa.DictionaryArray.from_arrays(pa.array(codes), coded.dictionary)
        places = pc.index_in(coded.dictionary, value_set=self._values)
        new = coded.dictionary.filter(places.is_null())
        if len(new):
            self._values = pa.concat_arrays([self._values, new])
            places = pc.index_in(coded.dictionary, value_set=self._values)
        return places.to_numpy().astype(_code_type(len(self._values)))[coded.indices.to_numpy()]

    def join(self) -> ColumnBuffer:
        """Join the pieces into one column, once all of them have been added, and return it."""
        import pyarrow as pa

        values = pa.array([], pa.large_string()) if self._values is None else self._values
        pieces, self._pieces, self._values = self._pieces, [], None
        if any(_is_texts(piece) for piece in pieces):
            self._whole = _joined([_texts(piece, values) for piece in pieces])
        else:
            self._whole = _with_one_dictionary(pieces, values)
        return self

    def cells(self, rows: NDArray[np.int64] | None = None) -> pd.Series[str]:
        """Return the cells of all rows, or of `rows` in their order; index 0, 1, ..."""
        import pyarrow as pa

        array = self._whole
        if rows is not None:
            # Consecutive rows, as batches of a whole table are: a slice copies nothing.
            run = len(rows) > 0 and int(rows[-1]) - int(rows[0]) + 1 == len(rows) and bool((np.diff(rows) == 1).all())
            array = array.slice(int(rows[0]), len(rows)) if run else array.take(pa.array(rows, pa.int64()))
        plain = array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
        return as_series(plain.cast(pa.large_string()))


def _code_type(values: int) -> type[np.signedinteger[Any]]:
    """Return the smallest integers that hold a code for each of some values."""
    return next(kind for kind in (np.int8, np.int16, np.int32) if values <= np.iinfo(kind).max)


def _is_texts(piece: NDArray[np.signedinteger[Any]] | pa.Array) -> bool:
    import pyarrow as pa

    return isinstance(piece, pa.StringArray)


def _texts(piece: NDArray[np.signedinteger[Any]] | pa.Array, values: pa.Array) -> pa.Array:
    """Return the cells of a piece; `values` are those that codes without a dictionary stand for."""
    import pyarrow as pa

    if isinstance(piece, np.ndarray):
        return values.take(pa.array(piece))
    return piece.dictionary_decode() if isinstance(piece, pa.DictionaryArray) else piece


def _with_one_dictionary(pieces: list[NDArray[np.signedinteger[Any]] | pa.DictionaryArray], values: pa.Array) -> pa.DictionaryArray:
    """Join codes into one array; all dictionaries, `values` first, are searched for equal values once."""
    import pyarrow as pa

    others = [piece.dictionary for piece in pieces if not isinstance(piece, np.ndarray)]
    every = pa.concat_arrays([values, *others]).dictionary_encode(null_encoding="encode") if others else None
    kind = _code_type(len(values if every is None else every.dictionary))
    # The values of all pieces have the same codes in both dictionaries, as they are distinct and come first.
    codes, start = [np.zeros(0, np.int8)], len(values)
    for piece in pieces:
        if isinstance(piece, np.ndarray) or every is None:
            codes.append(piece)
        else:
            places = every.indices[start : start + len(piece.dictionary)].to_numpy().astype(kind)
            codes.append(places[piece.indices.to_numpy()])
            start += len(piece.dictionary)
    return pa.DictionaryArray.from_arrays(pa.array(np.concatenate(codes, dtype=kind)), values if every is None else every.dictionary)


def _joined(pieces: list[pa.Array]) -> pa.Array:
    """Join texts into one array."""
    import pyarrow as pa

    # `string` has offsets of 32 bits, so that it holds 2 GB at most.
    kind = pa.string() if sum(piece.nbytes for piece in pieces) < 2**31 else pa.large_string()
    return pa.concat_arrays([piece.cast(kind) for piece in pieces])
