"""Image columns of a table: cells, the files they name and, with an experiment, their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.columns import Column, ImageCells
from mmtrain.columns.pixels.image_cells import several
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.locate import Located, locate
from mmtrain.data.images.store import ImageStore, Unreadable
from mmtrain.errors import Problem, RunError
from mmtrain.image_decoding import Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHOWN_FILES = 6
"""Files of a finding that are named; the rest are counted."""


@dataclass(frozen=True, eq=False)
class ImageColumn:
    """One column; `cells` and `numbers` have an entry per row that was read, `store` and `unreadable` come from `open_store`."""

    header: str
    cells: pd.Series[str]
    numbers: NDArray[np.int64]
    """Positions of the rows in the table's file."""
    column: Column | None = None
    """The declared column; None without an experiment, which excludes a store."""
    store: ImageStore | None = None
    unreadable: Sequence[Unreadable] = ()
    guessed_suffix: str = ""
    """The ending that the cells lack to be file names, where no experiment says."""

    @property
    def images(self) -> ImageCells | None:
        """Rules by which the experiment decodes the cells; None without an experiment."""
        return None if self.column is None else self.column.image_cells

    @property
    def suffix(self) -> str:
        """The ending that the cells lack to be file names."""
        return self.guessed_suffix if self.images is None else self.images.suffix


def image_column(
    header: str, cells: Any, numbers: NDArray[np.int64], column: Column, store: ImageStore, unreadable: Sequence[Unreadable]
) -> ImageColumn:
    """Return a declared column; of one with several images per row each image is a cell of its own, with the number of its row."""
    images = column.image_cells
    if images is None or not images.most:
        return ImageColumn(header, cells, numbers, column, store, unreadable)
    names = images.names(cells)
    flat = pd.Series([name for row in names for name in row], dtype="str")
    rows = np.repeat(numbers, [len(row) for row in names])
    # Only the files of the store are looked at here, and no longer which row has them.
    unindexed = replace(store, index=np.full(len(flat), -1, dtype=np.int64))
    refused = [replace(bad, row=bad.place) for bad in unreadable if bad.place >= 0]
    return ImageColumn(header, flat, rows, column, unindexed, refused)


def guessed_column(header: str, cells: pd.Series[str], numbers: NDArray[np.int64], suffix: str, *, lists: bool) -> ImageColumn:
    """Return a column whose role was guessed; with `lists` its cells may name several images, each of which is a cell of its own."""
    if not lists:
        return ImageColumn(header, cells, numbers, guessed_suffix=suffix)
    names = [[] if pd.isna(cell) else several(cell) or [cell] for cell in cells]
    flat = pd.Series([name for row in names for name in row], dtype="str")
    return ImageColumn(header, flat, np.repeat(numbers, [len(row) for row in names]), guessed_suffix=suffix)


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """A column whose files were looked up."""

    of: ImageColumn
    located: Located
    refusals: dict[int, str]
    """Position in `located.files` of each file that could not be put into the store, and why."""

    @property
    def header(self) -> str:
        """Header in the table."""
        return self.of.header

    @property
    def layout(self) -> Layout | None:
        """Layout of the images in the store; None without a store."""
        return None if self.of.images is None or self.of.store is None else self.of.images.layout

    @property
    def policy(self) -> str:
        """The `missing` policy for rows without an image; empty where no experiment says."""
        return "" if self.of.column is None else self.of.column.policy

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Mark the files whose image is in the store, (files,)."""
        # A file that was refused never came into the store.
        readable = np.ones(len(self.located.files), dtype=np.bool_)
        readable[list(self.refusals)] = False
        return readable

    @property
    def first_names(self) -> NDArray[np.int64]:
        """(files,): position in `located.names` of the first cell that names each file."""
        firsts = np.full(len(self.located.files), -1, dtype=np.int64)
        named = np.flatnonzero(self.located.places[:-1] >= 0)[::-1]
        # Backwards, so that of several cells of one file the first one is written last.
        firsts[self.located.places[named]] = named
        return firsts

    def of_rows(self, rows: int) -> NDArray[np.int64]:
        """Return the position in `located.files` for each row of the table's file, (rows,), -1 for a row without one."""
        files = np.full(rows, -1, dtype=np.int64)
        files[self.of.numbers] = self.located.of_rows
        return files

    def cells_of(self, files: NDArray[np.int64]) -> list[str]:
        """Return a cell for each of these positions in `located.files`."""
        return [self.located.names[name] for name in self.first_names[files].tolist()]

    def rows_of(self, files: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the positions in the table's file of all rows with one of these files."""
        wanted = np.zeros(len(self.located.files) + 1, dtype=np.bool_)
        # One entry more: rows without a file have the position -1, which reads a False.
        wanted[files] = True
        return self.of.numbers[wanted[self.located.of_rows]]


def locate_column(column: ImageColumn, folder: ImageFolder) -> ImageFiles:
    """Look up the files of a column.

    Raises:
        DataError: there is no such folder.
        RunError: files have come, gone or changed since the store was made.

    """
    located = locate(column.cells, folder, column.suffix, folders=column.images is not None and column.images.folders)
    # The store was made from this listing: another number of files means that the positions no longer fit.
    if column.store is not None and len(column.store.pixels) != len(located.files):
        what = "images have changed while they were inspected."
        raise RunError(Problem(column.header, what, "Leave them alone for as long, and start again."))
    files = located.of_rows
    refusals: dict[int, str] = {}
    for bad in column.unreadable:
        if (file := int(files[bad.row])) >= 0 and file not in refusals:
            reason = bad.what.removeprefix(f"{located.names[located.codes[bad.row]]}: ")
            refusals[file] = reason[:1].upper() + reason[1:]
    return ImageFiles(column, located, refusals)


def file_offsets(columns: Sequence[ImageFiles]) -> NDArray[np.int64]:
    """Return the position of each column's first file among those of all columns, and their number, (columns + 1,)."""
    return np.cumsum([0, *(len(column.located.files) for column in columns)])
