"""Read the header of an image file, without decoding a pixel."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.image_decoding import formats
from mmtrain.image_decoding.containers import Container, unpack
from mmtrain.image_decoding.decoded_image import ImageHeader, image_errors
from mmtrain.image_decoding.image_source import content

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_ORIENTATION_TAG = 0x0112


def inspect(source: Path | bytes, *, recording: bool = False) -> ImageHeader:
    """The header of the image file `source`, or of its bytes; `recording` says that the column is one of recordings.

    Raises:
        UnreadableImage: the file has no readable header.

    """
    kind, data = content(source, recording=recording)
    if kind in formats.READERS:
        return formats.header(kind, data)
    container = unpack(kind, data)
    if container.plain is not None:  # Pillow would take the file apart once more
        mode, *size = container.plain
        return describe(mode, (size[0], size[1]), container)
    image = open_container(container)
    return describe(image.mode, image.size, container)


def open_container(container: Container) -> ImageFile:
    """The container as Pillow sees it, header only.

    The reader of the format is called by name: `Image.open` would try others, and warns about size and about JPEG extensions.
    From the first call on, Pillow's own limit to sizes is lifted in the whole process: it has no other.

    Raises:
        UnreadableImage: Pillow does not take it.

    """
    from PIL import BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

    # Sizes are checked in `read` against the user's own limit. Restored after each call, it would come and go in other threads.
    Image.MAX_IMAGE_PIXELS = None
    readers: dict[str, type[ImageFile]] = {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "PNG": PngImagePlugin.PngImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "GIF": GifImagePlugin.GifImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
    }
    with image_errors(container.format):
        return readers[container.format](BytesIO(container.data))


def describe(mode: str, size: tuple[int, int], container: Container) -> ImageHeader:
    """The header of an image of Pillow's `mode` whose file holds `size` (width, height)."""
    # Orientations 5 to 8 turn by a quarter, which exchanges the sides.
    turn = orientation(container.exif)
    width, height = size if turn < 5 else size[::-1]
    return ImageHeader(container.format, width, height, mode, container.bits, turn)


def orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, that an EXIF part (CIPA DC-008: a TIFF structure) tells; 1 where it is absent or broken."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        # Offset of the first directory, behind the byte order and the number 42.
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        # A directory has its number of entries, then 12 bytes each.
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
            if tag == _ORIENTATION_TAG and kind in (3, 4):  # SHORT as the standard says, LONG as some cameras write
                # The value itself stands at byte 8 of an entry, as it fits into 4 bytes.
                (value,) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", exif, entry + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
