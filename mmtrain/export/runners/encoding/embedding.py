"""A vector in a cell, or in a .npy file below the column's `folder`, which is relative to the folder in which the program runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.export.runners.encoding.number_lists import numbers_of
from mmtrain.export.runners.encoding.numeric import LARGEST


def encoder(column: dict[str, Any], context: dict[str, Any]) -> Callable[[list[Any], Path], tuple[Any, Any]]:
    """Return the function from the cell to (number - center) / scale for each number; a vector of another length is missing."""
    del context
    center, scale = (np.array(column[name], np.float64) for name in ("center", "scale"))
    fill = np.array(column["fill"], np.float32)

    def encode(cells: list[Any], _: Path) -> tuple[Any, Any]:
        values = _vector(cells[0], column["folder"])
        known = len(values) == column["width"] and bool(np.isfinite(values).all())
        if known and column["unit_length"]:
            length = np.sqrt((values**2).sum())
            known, values = bool(length > 0), values / (length or 1.0)
        encoded = ((values - center) / scale).astype(np.float32) if known else fill
        encoded = np.append(encoded, np.float32(not known)) if column["indicator"] else encoded
        return encoded, known or not column["masked"]

    return encode


def _vector(cell: str | None, folder: str) -> Any:
    """Return the numbers of a cell or of the file that it names; none of a file that is not there, or lies elsewhere."""
    if not (cell or "").endswith(".npy"):
        return np.array(numbers_of(cell), np.float64)
    base = Path(folder).resolve()
    path = (base / str(cell)).resolve()
    if not folder or not path.is_relative_to(base) or not path.is_file():
        return np.zeros(0)
    values = np.load(path, allow_pickle=False)
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        return np.zeros(0)
    values = values.astype(np.float64)
    return np.where(np.abs(values) <= LARGEST, values, np.nan)
