"""AVIF, which Pillow reads, and HEIC, by pillow-heif: photos of phones."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import ImageHeader, Layout, MissingReader, UnreadableImage, image_errors
from mmtrain.image_decoding.lay_out import check_pixels, lay_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

ORIENTATION = 0x0112
"""Tag of EXIF."""


def header(data: bytes) -> ImageHeader:
    """Return the header of an AVIF or HEIC file."""
    return _opened(data)[1]


def pixels(data: bytes, layout: Layout) -> NDArray[Any]:
    """Return the pixels of an AVIF or HEIC file, with 8 bits; those of 10 or 12 bits are rounded by their decoder."""
    image, found = _opened(data)
    check_pixels(found, layout)
    with image_errors(found.format):
        loaded = image.to_pillow() if found.format == "HEIC" else image
        loaded.load()
    return lay_out(loaded, found, layout)


def _opened(data: bytes) -> tuple[Any, ImageHeader]:
    return _avif(data) if data[8:12] in (b"avif", b"avis") else _heic(data)


def _avif(data: bytes) -> tuple[Any, ImageHeader]:
    from PIL import features

    if not features.check("avif"):
        raise UnreadableImage("The file is an AVIF image, and this build of Pillow does not read AVIF.", "Install Pillow from a wheel.")
    from PIL import AvifImagePlugin

    with image_errors("AVIF"):
        image = AvifImagePlugin.AvifImageFile(BytesIO(data))
        # The file's own turns come as EXIF too; the pixels are not turned yet.
        turn = image.getexif().get(ORIENTATION, 1)
    turn = turn if turn in range(1, 9) else 1
    width, height = image.size if turn < 5 else image.size[::-1]
    return image, ImageHeader("AVIF", width, height, image.mode, 8, turn)


def _heic(data: bytes) -> tuple[Any, ImageHeader]:
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingReader("a HEIC image", "heif") from error
    with image_errors("HEIC"):
        # libheif turns the image itself, so that EXIF's orientation must not turn it once more (ISO/IEC 23008-12).
        image = pillow_heif.open_heif(BytesIO(data))
        return image, ImageHeader("HEIC", image.size[0], image.size[1], image.mode, 8, 1)
