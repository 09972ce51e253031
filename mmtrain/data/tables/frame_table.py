"""A pandas DataFrame as a table file: whoever reads tables can read one that is in memory already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mmtrain.data.tables.parquet_file import as_text
from mmtrain.data.tables.table_file import TableFile

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "the DataFrame"


class FrameTable(TableFile):
    """Cells become the texts that the same frame has once it was written as Parquet; other objects, paths say, their own text."""

    unit = "row"

    def __init__(self, frame: pd.DataFrame, missing_values: Sequence[str] = ()) -> None:
        self._frame = frame
        super().__init__(Path(NAME), missing_values)

    def _stamp(self) -> tuple[int, int]:
        return self._frame.shape

    def _read_headers(self) -> tuple[str, ...]:
        return tuple(str(header) for header in self._frame.columns)

    def _batches(self, headers: Sequence[str], size: int) -> Iterator[list[pa.Array]]:
        columns = [self._frame.iloc[:, self.headers.index(header)] for header in headers]
        for start in range(0, len(self._frame), size):
            yield [_texts(column.iloc[start : start + size]) for column in columns]

    def number(self, row: int) -> int:
        """The position in the frame, whatever its index says."""
        return row

    def where(self, row: int) -> str:
        """`the DataFrame: row 39`."""
        return f"{NAME}: row {row}"


def _texts(cells: pd.Series[str]) -> pa.Array:
    import pyarrow as pa

    if cells.dtype == object:
        cells = cells.map(str, na_action="ignore")
    array = pa.array(cells, from_pandas=True)
    return as_text(array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array)
