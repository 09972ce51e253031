"""Image usage: cells that name the same image, or one that looks the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.images.comparable_images import ComparableImages
from mmtrain.audit.images.file_metadata import FileFacts, equal_bytes
from mmtrain.audit.images.image_column import ImageFiles, file_offsets
from mmtrain.audit.images.near_duplicates import connected_sets

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageUsage:
    """Cells of image columns; every array has an entry per cell that names a comparable image."""

    columns: NDArray[np.int64]
    """Position of the column."""
    rows: NDArray[np.int64]
    """Position of the row in the table's file."""
    cells: NDArray[np.object_]
    files: NDArray[np.int64]
    """Equal for the same file."""
    contents: NDArray[np.int64]
    """Equal for equal bytes."""
    images: NDArray[np.int64]
    """Equal for equal pixels."""
    scenes: NDArray[np.int64]
    """Equal for images that look the same."""

    def select(self, which: NDArray[np.bool_]) -> ImageUsage:
        """Return the cells where the mask is true."""
        return ImageUsage(*(values[which] for values in vars(self).values()))


def image_usage(columns: Sequence[ImageFiles], facts: Sequence[FileFacts], comparable: Sequence[ComparableImages]) -> ImageUsage:
    """Return the cells of all columns, without images of one colour, which have a finding of their own."""
    starts = file_offsets(columns)
    located = [file for column in columns for file in column.located.files]
    contents = equal_bytes(located, np.concatenate([one.tails for one in facts]))
    same = [_chains(contents), *(one.equal(contents) for one in comparable)]
    # Each level includes the one before: same file, equal bytes, equal pixels, similar pixels.
    images = connected_sets(int(starts[-1]), same)
    scenes = connected_sets(int(starts[-1]), [*same, *(one.similar(images) for one in comparable)])
    # All blank images look the same, which says nothing about duplicates.
    plain = np.concatenate([np.empty(0, dtype=np.int64), *(one.files[one.faint] for one in comparable)])
    worth = np.concatenate([one.of >= 0 for one in facts])
    worth[plain] = False
    at, numbers, rows, cells = [], [], [], []
    for number, column in enumerate(columns):
        of_rows = column.located.of_rows
        used = np.flatnonzero(of_rows >= 0)
        used = used[worth[starts[number] + of_rows[used]]]
        at.append(starts[number] + of_rows[used])
        numbers.append(np.full(len(used), number))
        rows.append(column.of.numbers[used])
        cells.append(np.array(column.located.names, dtype=object)[column.located.codes[used]])
    # Files of two columns may be the same: codes by path join them.
    files = np.concatenate(at)
    levels = [values[files] for values in (_files([file.path for file in located]), contents, images, scenes)]
    return ImageUsage(np.concatenate(numbers), np.concatenate(rows), np.concatenate(cells), *levels)


def _files(paths: Sequence[str]) -> NDArray[np.int64]:
    """Return codes of paths, equal for the same file in two columns."""
    known: dict[str, int] = {}
    return np.fromiter((known.setdefault(path, len(known)) for path in paths), dtype=np.int64, count=len(paths))


def _chains(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pairs that connect all positions with the same number, (pairs, 2): one less than each number has positions."""
    order = np.argsort(numbers, kind="stable")
    same = numbers[order][1:] == numbers[order][:-1]
    return np.column_stack([order[:-1][same], order[1:][same]])
