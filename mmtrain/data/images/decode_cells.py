"""The images of one piece of a table that is predicted: decoded now, in threads, and kept nowhere.

Training decodes into a store, because it asks for every image many times; a prediction asks once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.columns import CellWarning, Image
from mmtrain.columns.base import MISSING_CELL_WARNINGS
from mmtrain.data.images.decode import decode_all, image_format
from mmtrain.data.images.locate import ImageFile, ImageFinder, Refusal, not_decoded

if TYPE_CHECKING:
    from numpy.typing import NDArray


def decode_cells(
    cells: pd.Series[str], column: Image, finder: ImageFinder
) -> tuple[NDArray[Any], NDArray[np.float32], list[CellWarning], list[ImageFile]]:
    """Pixels (rows, height, width, channels), presence (rows, 1), what is to be told, and the files that were decoded.

    Images are zeros where there is none. A file that several cells name is decoded once.
    """
    codes, names = pd.factorize(cells.str.strip())
    found = [finder.find(str(name)) for name in names]
    positions = {file: position for position, file in enumerate(dict.fromkeys(file for file in found if isinstance(file, ImageFile)))}
    files = list(positions)
    dtype, image = image_format(column.layout)
    pixels = np.zeros((len(files), *image), dtype=dtype)
    unreadable = decode_all(files, column.layout, pixels.__setitem__).unreadable
    remarks: list[CellWarning] = []
    images = np.full(len(names) + 1, -1, dtype=np.int64)  # the last one is that of code -1, the empty cell
    for code, (name, file) in enumerate(zip(names, found, strict=True)):
        refusal = file if isinstance(file, Refusal) else not_decoded(str(name), unreadable.get(positions[file]))
        if refusal is not None:
            remarks.append(_remark(np.flatnonzero(codes == code), column, refusal))
        elif isinstance(file, ImageFile):
            images[code] = positions[file]
    if len(empty := np.flatnonzero(codes < 0)):
        remarks.append(CellWarning(empty, *MISSING_CELL_WARNINGS[column.missing]))
    index = images[codes]
    return _gathered(pixels, index), (index >= 0).astype(np.float32)[:, None], remarks, files


def _remark(rows: NDArray[np.int64], column: Image, refusal: Refusal) -> CellWarning:
    """A path that leaves the images folder is refused under every policy, as in training."""
    what = refusal.what.rstrip(".")
    masked = column.missing == "mask" and not refusal.outside
    return CellWarning(rows, f"masked, {what}") if masked else CellWarning(rows, f"unreadable, {what}", refusal.fix)


def _gathered(pixels: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    """An image for every row; nothing is copied in the usual case, where every row has an image of its own."""
    if np.array_equal(index, np.arange(len(pixels))):
        return pixels
    rows = np.zeros((len(index), *pixels.shape[1:]), dtype=pixels.dtype)
    rows[index >= 0] = pixels[index[index >= 0]]
    return rows
