"""A pandas DataFrame as a table file, so that one reader serves tables on disk and in memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd
from pandas.api import types

from mmtrain.data.tables.file_formats.parquet_file import as_text, type_refusal
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import listed
from mmtrain.image_decoding.data_uri import holds_pixels, lists_pixels, to_data_uri

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "the DataFrame"

TYPED = ("boolean", "integer", "floating", "mixed-integer-float", "decimal")
"""The names that pandas has for objects that are numbers or truth values."""

NO_CELLS = (bytes, bytearray, memoryview, list, tuple, dict, set, frozenset, np.ndarray)
"""Objects that no text stands for, but for lists of texts and images."""

LISTS = (list, tuple, set, frozenset, np.ndarray)


class FrameTable(TableFile):
    """Cells become the texts that the same frame has once it was written as Parquet; other objects, paths say, their own text.

    Bytes of image files, arrays of pixels and images of Pillow become data URIs, which image columns read.
    """

    unit = "row"

    def __init__(self, frame: pd.DataFrame, missing_values: Sequence[str] = ()) -> None:
        self._frame = frame
        super().__init__(Path(NAME), missing_values)

    def _stamp(self) -> tuple[int, int]:
        return self._frame.shape

    def _read_headers(self) -> tuple[str, ...]:
        return tuple(str(header) for header in self._frame.columns)

    def _column(self, header: str) -> pd.Series[Any]:
        return self._frame.iloc[:, self._places[header]]

    def refusal(self, header: str) -> str:
        """Dictionaries, bytes and lists of other things than texts or numbers cannot be cells."""
        cells = self._column(header)
        if isinstance(cells.dtype, pd.ArrowDtype):
            return type_refusal(cells.dtype.pyarrow_dtype)
        unusual = [cell for cell in cells if isinstance(cell, NO_CELLS)] if cells.dtype == object else []
        kinds = (_is_text_list, _is_number_list, holds_pixels, lists_pixels)
        refused = [cell for cell in unusual if not any(kind(cell) for kind in kinds)]
        return f"the column holds objects of type {listed(sorted({_type_name(cell) for cell in refused}))}." if refused else ""

    def typed(self, header: str) -> bool:
        """Return whether the column is typed, by its dtype, that of its categories or the type of its objects."""
        cells = self._column(header)
        dtype = cells.dtype
        if types.is_object_dtype(dtype):
            return types.infer_dtype(cells, skipna=True) in TYPED
        return bool(types.is_numeric_dtype(dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype))

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        columns = [self._column(header) for header in headers]
        for start in range(0, len(self._frame), size):
            yield [_texts(column.iloc[start : start + size]) for column in columns]

    def number(self, row: int) -> int:
        """The position in the frame, whatever its index says."""
        return row

    def where(self, row: int) -> str:
        """`the DataFrame: row 39`."""
        return f"{NAME}: row {row}"


def _texts(cells: pd.Series[Any]) -> pa.Array:
    return as_text(typed_array(cells))


def typed_array(cells: pd.Series[Any]) -> pa.Array:
    """The cells of a column that has no `refusal`: with the type that they have in the frame, or as their texts where it has none."""
    import pyarrow as pa

    if isinstance(cells.dtype, pd.SparseDtype):
        # Arrow has no sparse arrays.
        cells = cells.astype(cells.dtype.subtype)
    if cells.dtype == object:
        return _of_objects(cells)
    if not _known_to_arrow(cells.dtype):
        cells = cells.astype(object).map(_text, na_action="ignore")
    array = pa.array(cells, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _of_objects(cells: pd.Series[Any]) -> pa.Array:
    """Convert objects by Arrow where it knows the type of all; else each type by itself, so that no cell depends on its neighbours."""
    import pyarrow as pa

    with suppress(pa.ArrowException, OverflowError, UnicodeError):
        array = pa.array(cells, from_pandas=True)
        if not isinstance(array.type, pa.BaseExtensionType) and not type_refusal(array.type):
            return as_text(array)
    # Positions for an index, by which the groups are put back into their order.
    alone = cells.reset_index(drop=True)
    of_types = [group for _, group in alone.groupby(alone.map(type), sort=False)]
    if len(of_types) == 1:
        return pa.array(cells.map(_text, na_action="ignore"), pa.large_string(), from_pandas=True)
    texts = pd.concat([pd.Series(_of_objects(group).to_pylist(), group.index, dtype=object) for group in of_types])
    return pa.array(texts.sort_index(), pa.large_string(), from_pandas=True)


def _known_to_arrow(dtype: Any) -> bool:
    """Return whether Arrow has the type and writes its values as a person would; not of intervals, periods, durations, complex numbers."""
    if isinstance(dtype, pd.CategoricalDtype):
        return _known_to_arrow(dtype.categories.dtype)
    if isinstance(dtype, pd.StringDtype | pd.ArrowDtype) or types.is_datetime64_any_dtype(dtype):
        return True
    return types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype)


def _type_name(cell: object) -> str:
    return f"ndarray ({cell.dtype}, shape {cell.shape})" if isinstance(cell, np.ndarray) else type(cell).__name__


def _text(cell: object) -> str:
    """Replace by a question mark what UTF-8 cannot hold, such as half a pair of UTF-16 in the name of a file."""
    if holds_pixels(cell):
        return to_data_uri(cell)
    if lists_pixels(cell):
        return json.dumps([to_data_uri(one) if holds_pixels(one) else one for one in cell])
    if _is_number_list(cell):
        import pyarrow as pa

        return str(as_text(pa.array([cell], from_pandas=True))[0].as_py())
    text = _list_text(cell) if isinstance(cell, LISTS) and _is_text_list(cell) else str(cell)
    return text.encode("utf-8", "replace").decode()


def _is_number_list(cell: object) -> TypeGuard[Sequence[float]]:
    """Return whether an object is a vector or a series."""
    if isinstance(cell, np.ndarray):
        return cell.ndim == 1 and cell.dtype.kind in "iuf"
    numbers = (int, float, np.integer, np.floating, type(None))
    # An empty list is one of labels, as ever.
    return (
        isinstance(cell, list | tuple)
        and any(one is not None for one in cell)
        and all(isinstance(one, numbers) and not isinstance(one, bool) for one in cell)
    )


def _is_text_list(cell: object) -> bool:
    """Return whether an object is a list of labels or names; None stands for a missing one, as in a list of a second table."""
    return isinstance(cell, LISTS) and all(isinstance(item, str) or item is None for item in cell)


def _list_text(cell: Iterable[object]) -> str:
    """Return the cell as JSON, like the same list from Parquet; a set has no order of its own."""
    items = [item if item is None else str(item) for item in cell]
    return json.dumps(sorted(items, key=str) if isinstance(cell, set | frozenset) else items, ensure_ascii=False)
