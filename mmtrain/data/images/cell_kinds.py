"""Cells of image columns that are not a path: several images, addresses, and images written into the table itself."""

from __future__ import annotations

import re

from mmtrain.errors import listed
from mmtrain.image_decoding.unsupported_formats import ENDINGS
from mmtrain.targets.label_lists import read_list

IMAGE_ENDINGS = ("png", "jpg", "jpeg", "jpe", "jfif", "bmp", "dib", "gif", "webp")
"""Endings of files that are read."""

_READ = "|".join(IMAGE_ENDINGS)
_ANY = "|".join([_READ, *(re.escape(ending[1:]) for ending in ENDINGS)])
IMAGE = rf"(?i)\.(?:{_READ})\s*$"
NOT_READ = rf"(?i)\.(?:{'|'.join(re.escape(ending[1:]) for ending in ENDINGS)})\s*$"
_CLOSED = r"[\"'\s]*[\])}]?\s*$"
SEVERAL = (
    rf"(?i)\.(?:{_ANY})[\"']?(?:\s*[;|,]\s*|\s+)[\"']?[^;|,\s\"'\])}}][^;|,]*\.(?:{_ANY}){_CLOSED}"
    rf"|^\s*[\[({{][^\[]*\.(?:{_ANY})[\"'\s]*[\])}}]\s*$"
)
ADDRESS = r"(?i)^\s*(?:[a-z][a-z0-9+.-]{1,15}://|data:[a-z]+/|//[\w.-]+\.[a-z]+/)"
FILE_END = rf"(?i)\.(?:{_ANY}){_CLOSED}"
"""Patterns of cells, for Python and for RE2."""

_SEPARATORS = (";", "|", "\n", ",", " ")
_PATH_END = re.compile(rf"\.(?:{_ANY})\s*$", re.IGNORECASE)
_BYTES = re.compile(r"(?:data:[a-z]+/|/9j/|iVBORw0KGgo|R0lGOD|UklGR|b'\\x|b\"\\x)")
"""JPEG, PNG, GIF and WebP begin so in base64."""
_SHOWN = 80


def not_a_path(cell: str) -> tuple[str, str] | None:
    """Return what a cell is instead of the path of one image, and what to do; None where it looks like a path."""
    if holds_image(cell):
        fix = "Save each image as a file and write its path, or write `data:image/png;base64,` before its bytes in base64."
        return f"the cell {_brief(cell)} holds an image itself, not its path.", fix
    if re.match(ADDRESS, cell):
        if path := re.fullmatch(r"(?i)file://(?:localhost)?(/.*)", cell):
            return f"the cell {_brief(cell)} is an address, not a path.", f"Write the path alone: {path[1]}."
        fix = "Download the images first, and write their paths."
        return f"the cell {_brief(cell)} is an address; images are not fetched.", fix
    if len(names := several(cell)) == 1:
        return f"the cell {_brief(cell)} is a list, not a path.", f"Write the path alone: {names[0]}."
    if names:
        fix = "One image is read per cell: give each a column of its own."
        return f"the cell lists {len(names)} images: {_brief(listed(names, most=3))}.", fix
    return None


def holds_image(cell: str) -> bool:
    """Return whether a cell is an image itself, as a data address, in base64 or as bytes of Python."""
    return _BYTES.match(cell) is not None and (cell.startswith("data:") or len(cell) > 200)


def several(cell: str) -> list[str]:
    """The names of images that a cell lists; none where it is the name of one, whatever signs are in it."""
    names = read_list(cell)
    ways = [names] if names is not None else [cell.split(separator) for separator in _SEPARATORS if separator in cell]
    for way in ways:
        named = [name.strip() for name in way if name.strip()]
        if len(named) > 1 and all(_PATH_END.search(name) for name in named):
            return named
    return names or []


def _brief(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
