"""The image cells of a table to be predicted: each file is decoded once, and nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mmtrain.columns import CellWarning, ImageCells
from mmtrain.columns.cells import MISSING_CELL_WARNINGS
from mmtrain.data.arrays import Array
from mmtrain.data.images.decode import decode_all, image_format
from mmtrain.data.images.image_file import ImageFile, Refusal, not_decoded
from mmtrain.data.images.locate import ImageFinder
from mmtrain.data.images.store import put_members
from mmtrain.image_decoding import Layout


class DecodedCells(NamedTuple):
    """The cells of one image column, decoded; see `decode_cells`."""

    pixels: Array
    """(rows, height, width, channels), zeros for a missing image."""
    present: Array
    """(rows, 1) float32."""
    remarks: list[CellWarning]
    files: list[ImageFile]


def decode_cells(cells: pd.Series[str], images: ImageCells, finder: ImageFinder, *, policy: str) -> DecodedCells:
    """Return pixels, presence, remarks, and the files that were decoded.

    Training decodes into a store, because it takes every image many times; a prediction takes each once, so nothing is stored.
    Images are zeros where there is none. A file that several cells name is decoded once. `policy` is the column's for missing images.
    """
    if images.most:
        return _decode_sets(cells, images, finder, policy=policy)
    pixels, index, refusals, files = _decode(cells, images.layout, finder)
    remarks = [_remark(rows, policy, refusal) for rows, refusal in refusals]
    if len(empty := np.flatnonzero(cells.isna())):
        remarks.append(CellWarning(empty, *MISSING_CELL_WARNINGS[policy]))
    return DecodedCells(_gathered(pixels, index), (index >= 0).astype(np.float32)[:, None], remarks, files)


def _decode(
    cells: pd.Series[str], layout: Layout, finder: ImageFinder
) -> tuple[Array, Array, list[tuple[Array, Refusal]], list[ImageFile]]:
    """Return the pixels of each different file, the position of each cell's file, -1 without one, refusals by cells, and the files."""
    # Code -1 stands for an empty cell.
    codes, names = pd.factorize(cells.str.strip())
    finder.fetch(map(str, names))
    located = [finder.find(str(name)) for name in names]
    # Different spellings of one path are one file.
    distinct = dict.fromkeys(file for file in located if isinstance(file, ImageFile))
    positions = {file: position for position, file in enumerate(distinct)}
    files = list(positions)
    dtype, image = image_format(layout)
    pixels = np.zeros((len(files), *image), dtype=dtype)
    unreadable = decode_all(files, layout, pixels.__setitem__).unreadable
    refusals: list[tuple[Array, Refusal]] = []
    images = np.full(len(names) + 1, -1, dtype=np.int64)  # the last one is that of code -1, the empty cell
    for code, (name, file) in enumerate(zip(names, located, strict=True)):
        refusal = file if isinstance(file, Refusal) else not_decoded(str(name), unreadable.get(positions[file]))
        if refusal is not None:
            refusals.append((np.flatnonzero(codes == code), refusal))
        elif isinstance(file, ImageFile):
            images[code] = positions[file]
    return pixels, images[codes], refusals, files


def _decode_sets(cells: Any, images: ImageCells, finder: ImageFinder, *, policy: str) -> DecodedCells:
    """Return the same as `decode_cells` for a column of several images per row: pixels are (rows, most, ...)."""
    names = images.names(cells)
    lengths = np.array([len(row) for row in names], dtype=np.int64)
    rows = np.repeat(np.arange(len(names)), lengths)
    pixels, index, refusals, files = _decode(pd.Series([name for row in names for name in row], dtype="str"), images.layout, finder)
    # Files in the order of the image store, so that members come in the order of the training.
    order = np.array(sorted(range(len(files)), key=files.__getitem__), dtype=np.int64)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    out = np.zeros((len(names), images.most, *pixels.shape[1:]), dtype=pixels.dtype)
    present = np.zeros((len(names), 1), dtype=np.float32)
    # Of no rows, `np.split` makes one piece.
    for row, members in zip(range(len(names)), np.split(index, np.cumsum(lengths)[:-1]), strict=False):
        chosen = order[images.choose(rank[members[members >= 0]].tolist())]
        put_members(pixels[chosen], np.arange(len(chosen)), out[row : row + 1])
        present[row] = len(chosen) > 0
    remarks = []
    for flat, refusal in refusals:
        # A row that names a file twice is remarked upon once.
        some = np.unique(rows[flat])
        for others in (True, False):
            if len(those := some[(present[some, 0] > 0) == others]):
                remarks.append(_remark(those, policy, refusal, others=others))
    if len(empty := np.flatnonzero(lengths == 0)):
        remarks.append(CellWarning(empty, *MISSING_CELL_WARNINGS[policy]))
    return DecodedCells(out, present, remarks, files)


def join_images(images: Sequence[Any], cells: ImageCells, *, policy: str) -> DecodedCells:
    """Return the same as `decode_cells` for images that are decoded already: pixels, or why a cell has none, or None for an empty cell.

    For a column of several images per row, each row has a list of pixels, sorted, and of reasons.
    """
    if cells.most:
        return _join_sets(images, cells, policy=policy)
    layout = cells.layout
    dtype, shape = image_format(layout)
    pixels = np.zeros((len(images), *shape), dtype=dtype)
    present = np.zeros((len(images), 1), dtype=np.float32)
    remarks: list[CellWarning] = []
    empty = [row for row, image in enumerate(images) if image is None]
    for row, image in enumerate(images):
        if isinstance(image, Refusal):
            remarks.append(_remark(np.array([row]), policy, image))
        elif image is not None:
            pixels[row], present[row] = image, 1
    if empty:
        remarks.append(CellWarning(np.array(empty), *MISSING_CELL_WARNINGS[policy]))
    return DecodedCells(pixels, present, remarks, [])


def _join_sets(rows: Sequence[list[Array | Refusal]], cells: ImageCells, *, policy: str) -> DecodedCells:
    dtype, shape = image_format(cells.layout)
    pixels = np.zeros((len(rows), cells.most, *shape), dtype=dtype)
    present = np.zeros((len(rows), 1), dtype=np.float32)
    remarks: list[CellWarning] = []
    for row, images in enumerate(rows):
        decoded = [image for image in images if not isinstance(image, Refusal)]
        chosen = cells.choose(range(len(decoded)))
        put_members(np.array([decoded[place] for place in chosen]), np.arange(len(chosen)), pixels[row : row + 1])
        present[row] = len(chosen) > 0
        remarks += [_remark(np.array([row]), policy, one, others=bool(chosen)) for one in images if isinstance(one, Refusal)]
    if empty := [row for row, images in enumerate(rows) if not images]:
        remarks.append(CellWarning(np.array(empty), *MISSING_CELL_WARNINGS[policy]))
    return DecodedCells(pixels, present, remarks, [])


def _remark(rows: Array, policy: str, refusal: Refusal, *, others: bool = False) -> CellWarning:
    """A path that leaves the images folder is refused under every policy, as in training.

    With `others` the row has other images: then `missing: drop` goes without this one, too.
    """
    what = refusal.what.rstrip(".")
    masked = (policy == "mask" or (others and policy == "drop")) and not refusal.outside
    return CellWarning(rows, f"masked, {what}") if masked else CellWarning(rows, f"unreadable, {what}", refusal.fix)


def _gathered(pixels: Array, index: Array) -> Array:
    """An image for every row; nothing is copied in the usual case, where every row has an image of its own."""
    if np.array_equal(index, np.arange(len(pixels))):
        return pixels
    rows = np.zeros((len(index), *pixels.shape[1:]), dtype=pixels.dtype)
    rows[index >= 0] = pixels[index[index >= 0]]
    return rows
