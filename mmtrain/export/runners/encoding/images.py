"""Several images of a row, in an order without meaning: sorted by their files."""

import ast
import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from mmtrain.export.runners.encoding.image import content_of, encode_image


def encoder(column: dict[str, Any], context: dict[str, Any]) -> Callable[[list[Any], Path], tuple[Any, Any]]:
    """Return the function from lists of paths or of bytes to pixels, (most, height, width, channels), zeros behind the last image."""
    most, separator = column["most"], context["separator"]

    def encode(cells: list[Any], folder: Path) -> tuple[Any, Any]:
        names = [name for cell in cells for name in names_of(cell, separator)]
        contents = [content for name in names if (content := content_of(name, folder, context["suffix"])) is not None]
        files = dict(sorted((_key(content), content) for content in contents))
        chosen = [list(files.values())[place] for place in chosen_places(len(files), most)]
        blank, _ = encode_image(column, None)
        pixels = np.stack([blank] * most)
        for place, content in enumerate(chosen):
            pixels[place] = encode_image(column, content)[0]
            # A place of zeros has no image.
            if not pixels[place].any():
                pixels[place].reshape(-1)[0] = 1
        return pixels, bool(chosen)

    return encode


def names_of(cell: Any, separator: str) -> list[Any]:
    """Return the images that a cell lists: a list, one in JSON or Python, or names between separators."""
    if cell is None or isinstance(cell, bytes):
        return [cell] if cell else []
    if isinstance(cell, str):
        text, cell = cell, [cell] if cell.startswith("data:") else cell.split(separator)
        cell = listed if text.startswith("[") and (listed := _list_of(text)) is not None else cell
    return [name.strip() if isinstance(name, str) else name for name in cell if name and (isinstance(name, bytes) or name.strip())]


def _list_of(text: str) -> list[str] | None:
    """Return the names in a list; None for a text that only begins like one, or a list of lists."""
    for read in (json.loads, ast.literal_eval):
        try:
            names = read(text)
        except (ValueError, SyntaxError, RecursionError):
            continue
        flat = isinstance(names, list) and not any(isinstance(name, list | dict | tuple) for name in names)
        return [str(name) for name in names if name is not None] if flat else None
    # Names without quotes.
    return [name.strip().strip("'\"") for name in text[1:-1].split(",")] if text.endswith("]") else None


def chosen_places(count: int, most: int) -> list[int]:
    """Return the places of the images that are used: all, or of too many evenly spaced ones."""
    last = count - 1
    if count <= most:
        return list(range(count))
    return [last // 2] if most == 1 else [(2 * place * last + most - 1) // (2 * (most - 1)) for place in range(most)]


def _key(content: bytes | Path) -> str:
    """Return what files are sorted by: their real path, of bytes their digest."""
    return f"data:{sha256(content).hexdigest()}" if isinstance(content, bytes) else os.path.realpath(content)
