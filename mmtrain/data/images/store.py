"""Image stores: every image decoded once, before training, into one memory-mapped array per image column.

A store is a folder in the cache, named by the SHA-256 of its `manifest.txt`: the layout, and path, size and time of change of
every file (with `verify: content`, the SHA-256 of their bytes instead of the time). So a changed file or option gives another
store, and a later run with the same images decodes nothing. A store is built under a temporary name and renamed when it is
whole. Building it is the check that every file can be decoded; what could not be is kept in `unreadable.json`, so that a store
that is used again reports the same. Where a store has no room, every file is still decoded once before training, and then again
for every batch.

| module | does |
|---|---|
| `locate` | from cells to files |
| `decode` | many files to pixels, in threads |
| `build_store` | finds a store or builds it |
| `prefetch` | reads a store that is larger than memory |
| `on_the_fly` | decodes every batch again, where a store has no room |
| `data.cache` | the folder that stores lie in: names, states, removal |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.columns import Column, ImageCells, images_among
from mmtrain.config.experiment import Cache
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.build_store import decode_to_store
from mmtrain.data.images.decode import Progress
from mmtrain.data.images.image_file import ImageFile, Refusal, Unreadable, by_file, not_decoded
from mmtrain.data.images.locate import Located, locate, right_folder
from mmtrain.data.images.prefetch import PixelSource
from mmtrain.data.tables.table import Table, cells_of, headers_of
from mmtrain.errors import DataError, Problem
from mmtrain.image_decoding.resize import side_by_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SHOWN", "ImageStore", "Progress", "Say", "Unreadable", "attach", "open_store"]

SHOWN = 5
"""Bad images of one column that are shown one by one; the rest are counted."""

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class ImageStore:
    """The images of one column, and which of them belongs to which table row.

    `pixels` (images, height, width, channels) uint8 or uint16; `index` (rows,) int64 is the position in `pixels` of each table row's
    image, -1 where a row has none. Of a column of several images per row, `index` is (rows, most): those of a row ascend, -1 comes last.
    """

    pixels: PixelSource
    index: NDArray[np.int64]
    notice: str = ""
    """The reason why images are decoded in flight; empty where they are not."""
    key: str = ""
    """SHA-256 of what the cells name: each with the size of its file and the time of its change, or, with `verify: content`, all
    with the digest of the files' bytes. Unlike the name of the store it does not change when the images folder is moved."""
    digest: str = ""
    """SHA-256 of the layout and of the files in the order of `pixels`: what is computed of the pixels is cached under it."""
    unreadable: tuple[int, ...] = ()
    """Positions in `pixels` of files that could not be decoded: no row has them, and where nothing is stored they cannot be taken."""

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels on disk; 0 where they are decoded on the fly."""
        return self.pixels.nbytes

    def expect(self, rows: NDArray[Any]) -> None:
        """Say that these table rows will be taken soon, so that the disk is already read meanwhile; where all fits, nothing is done.

        Best called for each batch a few batches ahead, so that the disk always has something to read.
        """
        self.pixels.expect(self.index[rows].ravel())

    def display_image(self, row: int) -> NDArray[Any]:
        """Return the pixels that show a row in a report: its image or volume, or several images side by side."""
        entry = self.take(np.array([row]))[0]
        return side_by_side(entry) if self.index.ndim == 2 else entry

    def take(self, rows: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Images of table rows, (len(rows), height, width, channels), into `out` when given; zeros where a row has none.

        Of a column of several images per row, (len(rows), most, height, width, channels).

        Raises:
            RunError: a file that is decoded in flight has changed, or the store was cut short.

        """
        images = self.index[rows]
        if out is None:
            out = np.empty((*images.shape, *self.pixels.shape[1:]), dtype=self.pixels.dtype)
        if images.ndim == 2:
            return self._take_sets(images, out)
        self.pixels.take(images, out)
        out[images < 0] = 0
        return out

    def _take_sets(self, images: NDArray[np.int64], out: NDArray[Any]) -> NDArray[Any]:
        """Fill `out` (rows, most, height, width, channels); only images that are there are gathered."""
        places = np.flatnonzero(images >= 0)
        members = np.empty((len(places), *self.pixels.shape[1:]), dtype=self.pixels.dtype)
        self.pixels.take(images.ravel()[places], members)
        put_members(members, places, out)
        return out

    def present(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """(len(rows), 1): 1 where a row has an image, else 0."""
        shown = self.index[rows] >= 0
        return np.asarray(shown if shown.ndim == 1 else shown.any(axis=1), dtype=np.float32)[:, None]

    def select(self, mask: NDArray[np.bool_]) -> ImageStore:
        """The store for those table rows only where `mask` (rows,) is true, as `Table.keep` leaves them."""
        return replace(self, index=self.index[mask])


def put_members(members: NDArray[Any], places: NDArray[np.int64], out: NDArray[Any]) -> None:
    """Write images (n, ...) to places of the sets in `out`, (rows, most, ...), and zeros to all others."""
    flat = out.reshape(-1, *out.shape[2:])
    flat[...] = 0
    for place, image in zip(places.tolist(), members, strict=True):
        flat[place] = image
        mark_black(flat[place])


def mark_black(image: NDArray[Any]) -> None:
    """Make the first value of an entirely black image 1, a 255th of full brightness: a place of zeros in a set has no image."""
    # Nearly every image has light in its first row: the others are rarely looked at.
    if not image[0].any() and not image.any():
        image.reshape(-1)[0] = 1


def open_store(
    cells: Any,
    images: ImageCells,
    folder: ImageFolder,
    *,
    cache: Cache,
    progress: Progress | None = None,
) -> tuple[ImageStore, list[Unreadable]]:
    """The store of one image column, built now or by an earlier run, and the rows that have no image, in their order.

    Of a column of several images per row: the names that give none, and the rows without any.

    `progress` is called while images are decoded.

    Raises:
        DataError: the images folder does not exist.
        RunError: the store cannot be written, for another reason than a full disk.

    """
    if images.most:
        return _open_sets(cells, images, folder, cache=cache, progress=progress)
    located = locate(cells, folder, images.suffix, folders=images.folders)
    store = decode_to_store(located.files, images.layout, cache=cache, progress=progress)
    refusals = {-1: _empty_cell()}
    positions = located.places.copy()  # the last one is that of code -1, the empty cell
    for code, (name, file) in enumerate(zip(located.names, located.results, strict=True)):
        refusal = file if isinstance(file, Refusal) else not_decoded(name, store.unreadable.get(int(positions[code])))
        if refusal is not None:
            refusals[code], positions[code] = refusal, -1
    index = positions[located.codes]
    images_of_rows = ImageStore(store.pixels, index, store.notice, _key(located, store.contents), store.digest, tuple(store.unreadable))
    return images_of_rows, [_unreadable(row, refusals[located.codes[row]]) for row in np.flatnonzero(index < 0).tolist()]


def _open_sets(
    cells: Any, images: ImageCells, folder: ImageFolder, *, cache: Cache, progress: Progress | None
) -> tuple[ImageStore, list[Unreadable]]:
    """Return the store of a column of several images per row: each different file once, whatever rows name it."""
    names = images.names(cells)
    lengths = np.array([len(row) for row in names], dtype=np.int64)
    rows = np.repeat(np.arange(len(names)), lengths)
    flat = replace(images, most=0)
    store, unreadable = open_store(
        pd.Series([name for row in names for name in row], dtype="str"), flat, folder, cache=cache, progress=progress
    )
    index = np.full((len(names), images.most), -1, dtype=np.int64)
    # Of no rows, `np.split` makes one piece.
    for row, members in zip(range(len(names)), np.split(store.index, np.cumsum(lengths)[:-1]), strict=False):
        chosen = images.choose([member for member in members.tolist() if member >= 0])
        index[row, : len(chosen)] = chosen
    without = index[:, 0] < 0
    refused = [replace(bad, row=int(rows[bad.row]), others=not without[rows[bad.row]], place=bad.row) for bad in unreadable]
    empty = [_unreadable(row, _empty_cell()) for row in np.flatnonzero(lengths == 0).tolist()]
    return replace(store, index=index), sorted([*refused, *empty], key=lambda bad: bad.row)


def _key(located: Located, contents: str) -> str:
    lines = sorted(
        f"{json.dumps(name)} {file.size} {'-' if contents else file.changed}"
        for name, file in zip(located.names, located.results, strict=True)
        if isinstance(file, ImageFile)
    )
    return sha256("\n".join([contents, *lines]).encode()).hexdigest()


def _empty_cell() -> Refusal:
    fix = "Fill it in, set `missing: mask` to leave the image out of that row, or set `missing: drop` to leave the row out."
    return Refusal("the cell is empty.", fix)


def _unreadable(row: int, refusal: Refusal) -> Unreadable:
    return Unreadable(row, refusal.what, refusal.fix, refusal.outside, refusal.suffix)


@dataclass(frozen=True)
class Attached:
    """The stores of a table's images, and everything that is wrong with the images."""

    table: Table
    """Without the rows that `missing: drop` sends away."""
    stores: dict[str, ImageStore]
    """Stores by column, with the rows of `table`."""
    unreadable: dict[str, list[Unreadable]]
    """Files by column, of the table that was given."""
    problems: tuple[Problem, ...]


def attach(
    table: Table,
    columns: Mapping[str, Column],
    folder: ImageFolder,
    *,
    cache: Cache,
    progress: Progress | None = None,
    say: Say = lambda _: None,
) -> Attached:
    """A store for every image column, by key, and all that is wrong with images; each is decoded once whatever is wrong with others.

    `say` gets a notice of columns that are decoded in flight because a store has no room. Problems are
    images that are missing or unreadable where `missing: error` says so, or lie outside the folder; or that no row is left.

    Raises:
        RunError: a store cannot be written, for another reason than a full disk.

    """
    stores: dict[str, ImageStore] = {}
    refused: dict[str, list[Unreadable]] = {}
    problems: list[Problem] = []
    reasons: dict[int, str] = {}
    for key, images in images_among(columns).items():
        column = columns[key]
        headers = headers_of(key, column)
        header = headers[0]
        try:
            cells = cells_of(headers, {name: table.cells(name) for name in headers})
            stores[key], unreadable = open_store(cells, images, folder, cache=cache, progress=progress)
        except DataError as error:
            problems += error.problems
            continue
        if notice := stores[key].notice:
            cache = cache.model_copy(update={"memory": cache.memory - stores[key].pixels.memory})  # one budget for all columns
            say(f"{header}: {notice}")
        problems += _image_problems(table, header, [bad for bad in unreadable if bad.outside or column.policy == "error"], folder)
        if column.drops_missing:
            # On the right, earlier reasons win: a row names the first column that sends it away.
            reasons = {bad.row: f"{header}: {bad.what}" for bad in unreadable if not bad.others} | reasons
        refused[key] = unreadable
    mask = np.ones(len(table), dtype=np.bool_)
    mask[list(reasons)] = False
    left = table.keep(mask, reasons)
    wrong = tuple(dict.fromkeys(problems or left.too_few(1)))
    return Attached(left, {key: store.select(mask) for key, store in stores.items()}, refused, wrong)


def _image_problems(table: Table, header: str, bad: list[Unreadable], folder: ImageFolder) -> list[Problem]:
    files = by_file(bad)
    problems = [Problem(table.place(one.row, header), one.what, one.fix) for one in files[:SHOWN]]
    if (more := len(files) - SHOWN) > 0:
        cells = "cell has" if more == 1 else "cells have"
        nowhere = len({one.row for one in bad if not one.others}) == len(table) and not bad[0].suffix
        none = f"Not one cell has: {right_folder(folder.setting)}" if nowhere else ""
        problems.append(Problem(f"{table.path.name}: {header}", f"{more} more {cells} no image that can be read.", none))
    return problems
