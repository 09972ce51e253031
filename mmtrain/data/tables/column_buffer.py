"""The cells of one column in memory: one Arrow array of all rows, in which values that repeat stand once.

A column of many chunks, as it comes from a file, has to be searched for the chunk of every row, so that taking all rows piece by
piece would cost the square of them. Of values that repeat a row holds a code of one, two or four bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        self._pieces: list[pa.Array] = []
        self._whole: pa.Array

    def add(self, cells: pd.Series[str]) -> None:
        """The next rows."""
        import pyarrow as pa

        # NaN, the missing cell of pandas, becomes null.
        array = pa.array(cells, pa.large_string(), from_pandas=True)
        array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
        coded = array.dictionary_encode()
        repeated = len(coded.dictionary) * REPEATED <= len(coded)
        self._pieces.append(coded if repeated else array.cast(pa.string()))  # whose offsets take half the bytes of large_string

    def join(self) -> ColumnBuffer:
        """Join the pieces into one column, once all of them have been added, and return it."""
        self._whole = _joined(self._pieces)
        self._pieces = []
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


def _joined(pieces: list[pa.Array]) -> pa.Array:
    """Join all rows into one array; as codes only where every piece has them, and as many values as rows are not worth a code."""
    import pyarrow as pa

    if not all(pa.types.is_dictionary(piece.type) for piece in pieces):
        texts = [piece.dictionary_decode() if pa.types.is_dictionary(piece.type) else piece for piece in pieces]
        # `string` has offsets of 32 bits, so that it holds 2 GB at most.
        small = sum(piece.nbytes for piece in texts) < 2**31
        return pa.concat_arrays([piece.cast(pa.string() if small else pa.large_string()) for piece in texts])
    whole = pa.chunked_array(pieces or [pa.array([], pa.large_string()).dictionary_encode()]).unify_dictionaries().combine_chunks()
    # The smallest integers that hold all codes.
    codes = next(kind for kind in (pa.int8(), pa.int16(), pa.int32()) if len(whole.dictionary) < 2 ** (kind.bit_width - 1))
    return pa.DictionaryArray.from_arrays(whole.indices.cast(codes), whole.dictionary)
