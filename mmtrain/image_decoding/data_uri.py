"""An image inside a text: `data:image/png;base64,...`, as RFC 2397 defines it and web pages and JSON requests carry it.

A table of texts, a DataFrame of bytes or arrays, and a request therefore go through one reader. Arrays are written as PNG, which keeps
every value.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from mmtrain.image_decoding.image_source import known_format

if TYPE_CHECKING:
    import numpy as np

SCHEME = "data:"
MEDIA_TYPES = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"BM": "image/bmp", b"GI": "image/gif"}
"""By the first two bytes of a file."""
MEDIA_TYPES_OF_FORMATS = {
    "WEBP": "image/webp",
    "WAV": "audio/wav",
    "FLAC": "audio/flac",
    "OGG": "audio/ogg",
    "MP3": "audio/mpeg",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIC": "image/heic",
    "DICOM": "application/dicom",
    "NIfTI": "application/x-nifti",
}
IMAGE = re.compile(rf"({SCHEME}[^,]{{0,90}};base64,)[A-Za-z0-9+/=\s]*")
UNNAMED = "application/octet-stream"
COMPRESSION = 1
"""Of zlib: a photo is 3 % larger than at the default level, and written six times as fast."""


def is_data_uri(cell: str) -> bool:
    """Return whether a cell holds an image in base64."""
    # Parameters such as a character set may come before `;base64,`.
    return cell.startswith(SCHEME) and ";base64," in cell[:100]


def without_content(text: str) -> str:
    """Return a text for a person, of each image in it the beginning alone: `data:image/png;base64,…`."""
    return IMAGE.sub(r"\1…", text) if SCHEME in text else text


def from_data_uri(cell: str) -> bytes:
    """Return the bytes of the file that a data URI holds. Raises ValueError for characters that are not base64."""
    try:
        # Line breaks within the base64 of long cells are allowed.
        return base64.b64decode("".join(cell.partition(",")[2].split()), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error).lower()) from error


def to_data_uri(image: bytes | np.ndarray[Any, Any] | Any) -> str:
    """Return the data URI of the bytes of an image file, of an array or of an image of Pillow.

    An array is (height, width), (height, width, 1), (height, width, 3) or (height, width, 4) of uint8, or (height, width) of uint16.

    Raises:
        ValueError: an array of another shape or type.

    """
    content = bytes(image) if isinstance(image, bytes | bytearray | memoryview) else _png(image)
    media_type = MEDIA_TYPES.get(content[:2]) or MEDIA_TYPES_OF_FORMATS.get(known_format(content), UNNAMED)
    return f"{SCHEME}{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def holds_pixels(cell: object) -> bool:
    """Return whether `to_data_uri` takes this object for an image: bytes of an image file, an array of pixels, an image of Pillow."""
    if isinstance(cell, bytes | bytearray | memoryview):
        return bytes(cell[:2]) in MEDIA_TYPES or bool(known_format(bytes(cell)))
    if type(cell).__module__.startswith("PIL."):
        return hasattr(cell, "tobytes")
    axes: tuple[int, ...] = getattr(cell, "shape", ())
    flat = len(axes) == 2
    channels = axes[-1] if len(axes) == 3 else 0
    return (str(getattr(cell, "dtype", "")) == "uint8" and (flat or channels in (1, 3, 4))) or (
        str(getattr(cell, "dtype", "")) == "uint16" and flat
    )


def lists_pixels(cell: object) -> TypeGuard[Sequence[Any]]:
    """Return whether this object is a list of such images; names of files and None may be among them."""
    return (
        isinstance(cell, list | tuple)
        and any(holds_pixels(one) for one in cell)
        and all(one is None or isinstance(one, str) or holds_pixels(one) for one in cell)
    )


def _png(image: Any) -> bytes:
    from PIL import Image, ImageOps

    if not hasattr(image, "save"):
        if not holds_pixels(image):
            raise ValueError(f"an array of shape {image.shape} and type {image.dtype} is not an image")
        image = Image.fromarray(image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image)
    else:
        image = ImageOps.exif_transpose(image)  # as the file that it was opened from would be turned
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        image = image.convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=COMPRESSION)
    return file.getvalue()
