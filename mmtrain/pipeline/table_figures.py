"""Figures of a table for the page of `inspect-data`: histograms of its columns by class, and thumbnails of each class."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mmtrain.artifacts.inspection_figures import ClassThumbnails, ColumnHistogram
from mmtrain.columns.cells import concatenate
from mmtrain.data.images.store import ImageStore
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import TableFile
from mmtrain.image_decoding.resize import thumbnail

MOST_ROWS = 200_000
"""Rows that the histograms count: the first ones of the file."""
MOST_COLUMNS = 40
MOST_CLASSES = 6
"""Maximum number of classes drawn, the most frequent ones: more lines or bars cannot be distinguished."""
BINS = 20
MOST_VALUES = 12
OUTLIERS = 0.005
"""Share of the numbers at each end that is counted in the outermost bins: one outlier would put all others into one bin."""
EACH, SIDE = 4, 96
"""Thumbnails of a class, and their longer side in pixels."""
ALL_ROWS = "all rows"


def column_histograms(
    file: TableFile, numbers: Iterable[str], names: Iterable[str], target: str, *, by_class: bool
) -> tuple[ColumnHistogram, ...]:
    """Count the cells of columns of `numbers` in bins and of `names` by value, for the rows of each class of the header `target`.

    Without `by_class`, all rows are one class. Raises DataError if the file cannot be read.
    """
    columns = dict.fromkeys(numbers, True) | dict.fromkeys(names, False)
    headers = list(columns)[:MOST_COLUMNS]
    if not headers:
        return ()
    table = _first_rows(file, list(dict.fromkeys([*headers, *([target] if by_class else [])])))
    classes, codes = _classes(table[target]) if by_class else ((ALL_ROWS,), np.zeros(len(table), dtype=np.int64))
    histograms = [_numbers(table[one], codes, classes) if columns[one] else _names(table[one], codes, classes) for one in headers]
    return tuple(one for one in histograms if one is not None)


def _first_rows(file: TableFile, headers: Sequence[str]) -> pd.DataFrame:
    chunks, rows = [], 0
    for chunk in file.pieces(headers, size=READ_CHUNK_ROWS):
        chunks.append(chunk)
        rows += len(chunk[headers[0]])
        if rows >= MOST_ROWS:
            break
    return pd.DataFrame({header: concatenate(chunk[header] for chunk in chunks) for header in headers})


def _classes(cells: pd.Series[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the most frequent classes, and the position of each row's class among them, -1 for another or none."""
    frequent = cells.dropna().value_counts().index[:MOST_CLASSES]
    names = sorted(map(str, frequent))
    return tuple(names), pd.Categorical(cells.astype(object), categories=names).codes.astype(np.int64)


def _count(codes: NDArray[np.int64], places: NDArray[np.int64], classes: int, bins: int) -> tuple[tuple[int, ...], ...]:
    known = (codes >= 0) & (places >= 0)
    counts = np.bincount(codes[known] * bins + places[known], minlength=classes * bins).reshape(classes, bins)
    return tuple(map(tuple, counts.tolist()))


def _numbers(cells: pd.Series[str], codes: NDArray[np.int64], classes: tuple[str, ...]) -> ColumnHistogram | None:
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(values)
    if not finite.any():
        return None
    low, high = np.quantile(values[finite], (OUTLIERS, 1 - OUTLIERS))
    if low == high:
        return None
    places = np.full(len(values), -1, dtype=np.int64)
    places[finite] = np.clip((values[finite] - low) / (high - low) * BINS, 0, BINS - 1).astype(np.int64)
    edges = tuple(np.linspace(low, high, BINS + 1).tolist())
    return ColumnHistogram(header=str(cells.name), edges=edges, classes=classes, counts=_count(codes, places, len(classes), BINS))


def _names(cells: pd.Series[str], codes: NDArray[np.int64], classes: tuple[str, ...]) -> ColumnHistogram | None:
    frequent = [str(value) for value in cells.dropna().value_counts().index[:MOST_VALUES]]
    if not frequent:
        return None
    places = pd.Categorical(cells.astype(object), categories=frequent).codes.astype(np.int64)
    counts = _count(codes, places, len(classes), len(frequent))
    return ColumnHistogram(header=str(cells.name), values=tuple(frequent), classes=classes, counts=counts)


def class_thumbnails(key: str, store: ImageStore, answers: pd.Series[str] | None) -> tuple[ClassThumbnails, ...]:
    """Return some images of each class, spread over the rows; `answers` has the class of every row, None for one class of all."""
    present = store.present(np.arange(len(store.index)))[:, 0] > 0
    classes, codes = ((ALL_ROWS,), np.zeros(len(present), dtype=np.int64)) if answers is None else _classes(answers)
    shown = []
    for code, name in enumerate(classes):
        rows = np.flatnonzero(present & (codes == code))
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(EACH, len(rows))).astype(np.int64))] if len(rows) else rows
        # One image at a time: each may be large.
        jpegs = tuple(b64encode(thumbnail(store.display_image(row), SIDE)).decode("ascii") for row in chosen)
        if jpegs:
            shown.append(ClassThumbnails(column=key, name=name, images=jpegs))
    return tuple(shown)
