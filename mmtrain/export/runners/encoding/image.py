"""An image, decoded by the package `image_decoding` next to the program."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


def encoder(column: dict[str, Any], context: dict[str, Any]) -> Callable[[list[Any], Path], tuple[Any, Any]]:
    """Return the function from the path or the bytes of a file to its pixels."""
    return lambda cells, folder: encode_image(column, content_of(cells[0], folder, context["suffix"]))


def encode_image(column: dict[str, Any], content: bytes | Path | None) -> tuple[Any, Any]:
    """Return the pixels of an image file, zeros where there is none; raises UnreadableImage for a damaged one."""
    decoding = import_module("image_decoding")
    shape = (column["height"], column["width"], column["channels"])
    if content is None:
        return np.zeros(shape, np.uint16 if column["bits"] == 16 else np.uint8), False
    options = {name: column[name] for name in ("channels", "bits", "resize", "max_pixels")}
    # A list in JSON.
    options["window"] = window if isinstance(window := column["window"], str) else tuple(window)
    layout = decoding.Layout(size=shape[:2], background=tuple(column["background"]), **options)
    return decoding.read(content, layout), True


def content_of(cell: bytes | str | None, images: Path, suffix: str) -> bytes | Path | None:
    """Return the file of an image cell, with the suffix unless it is there already, or its bytes; None for a missing one."""
    if not cell or isinstance(cell, bytes):
        return cell or None
    if cell.startswith("data:"):
        decoded: bytes = import_module("image_decoding.data_uri").from_data_uri(cell)
        return decoded
    return images / (cell if cell.endswith(suffix) else cell + suffix)
