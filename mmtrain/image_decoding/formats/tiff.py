"""TIFF: by Pillow where it reads every sample of the only page, by tifffile (extra `tiff`) where it would cut either without a word.

Pillow 13.0 reads 16-bit colour as 8 bits, and of a stack the first page. Which reader is right follows from the tags, and not from what
is installed: the same file has the same pixels everywhere, or is refused.
"""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import ImageHeader, Layout, MissingReader, UnreadableImage, cut_short, damaged_image, image_errors
from mmtrain.image_decoding.formats.samples import Samples, check_voxels, chosen_slice, to_pixels
from mmtrain.image_decoding.lay_out import DEEP_GREY, check_bits, lay_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
ORIENTATION, CHANNELS, SUBFILE, SAMPLE_FORMAT = 274, 277, 254, 339
"""Tags of TIFF 6.0."""
BY_PILLOW = {1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000}
"""Compressions that Pillow reads: none, CCITT, LZW, JPEG, Deflate, PackBits, Zstandard."""
WIDTHS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Formats of `struct` by the type of a tag's value: BYTE, SHORT, LONG, LONG8."""
MOST_PAGES = 100_000
WHITE_IS_ZERO, PALETTE = 0, 3
"""Values of the tag PhotometricInterpretation."""


@dataclass(frozen=True)
class Page:
    """The tags of a page that decide who reads it."""

    width: int
    height: int
    bits: int
    channels: int
    compression: int
    photometric: int
    orientation: int
    real: bool
    """True for floats and signed numbers."""

    @property
    def mode(self) -> str:
        """Pillow's mode."""
        if self.real or self.bits > 16:
            return "F"
        return "RGB" if self.channels > 1 else DEEP_GREY if self.bits == 16 else "P" if self.photometric == PALETTE else "L"


def header(data: bytes) -> ImageHeader:
    """Return the header of the first page."""
    page = pages_of(data)[0]
    width, height = (page.width, page.height) if page.orientation < 5 else (page.height, page.width)
    return ImageHeader("TIFF", width, height, page.mode, min(page.bits, 16), page.orientation)


def pixels(data: bytes, layout: Layout) -> NDArray[Any]:
    """Return the pixels of one page, or of all as a volume."""
    pages = pages_of(data)
    page, found = pages[0], header(data)
    check_voxels((len(pages), found.height, found.width) if layout.depth else (found.height, found.width), layout)
    if page.mode in ("RGB", DEEP_GREY) and page.bits == 16 and layout.window == "auto" and not layout.depth:
        _check_depth(found, layout)
    first = 0 if layout.depth else chosen_slice(layout, len(pages), "page")
    by_pillow = len(pages) == 1 and page.compression in BY_PILLOW and (page.channels == 1 or (page.channels <= 4 and page.bits <= 8))
    if not by_pillow:
        if page.photometric == PALETTE:
            raise UnreadableImage(
                "The pages of the TIFF file are images with a palette, which are not read.", "Save them as colour images."
            )
        values = _by_tifffile(data, slice(None) if layout.depth else slice(first, first + 1))
        values = upright_pages(values, page.orientation)
        return _of_samples(values, layout, inverted=page.photometric == WHITE_IS_ZERO and page.channels == 1)
    with image_errors("TIFF"):
        image = _opened(data)
        image.load()  # which turns it upright
    # Pillow inverts white-is-zero for up to 8 bits only.
    deep = image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "LAB", "YCbCr")
    if deep or layout.depth:
        import numpy as np

        whole = np.asarray(image if deep else image.convert("RGB" if page.channels > 1 or image.mode == "P" else "L"))
        values = whole.reshape(1, *whole.shape[:2], -1)
        return _of_samples(values, layout, inverted=deep and page.photometric == WHITE_IS_ZERO)
    upright = ImageHeader("TIFF", image.size[0], image.size[1], image.mode, page.bits, 1)
    check_bits(upright, layout)
    return lay_out(image, upright, layout)


def _check_depth(found: ImageHeader, layout: Layout) -> None:
    """Refuse 16 bits as in every other format; in colour, where a window brings them to 8, they are read."""
    if found.mode == DEEP_GREY:
        check_bits(found, layout)
    else:
        fix = "Set `window: percentile`, or `window: [0, 65535]` for all of them."
        raise UnreadableImage("The image has 16 bits per sample and more than one channel.", fix)


def _of_samples(values: NDArray[Any], layout: Layout, *, inverted: bool) -> NDArray[Any]:
    """Return the pixels of samples (pages, height, width, channels); whole numbers of 8 and 16 bits have their full range as window."""
    full = {"uint8": (0.0, 255.0), "uint16": (0.0, 65535.0), "bool": (0.0, 1.0)}.get(values.dtype.name)
    if values.shape[-1] not in (1, 3):
        what = f"The image has {values.shape[-1]} channels per pixel; 1 and 3 are read."
        raise UnreadableImage(what, "Save the channels that matter as grey images, each in an image column of its own.")
    return to_pixels(Samples(values, full, inverted), layout)


def _opened(data: bytes) -> Any:
    from PIL import Image, TiffImagePlugin

    Image.MAX_IMAGE_PIXELS = None
    # Pillow warns about tags that decide no pixel; set at each call, as tests and programs reset filters.
    warnings.filterwarnings("ignore", module=r"PIL\.TiffImagePlugin")
    return TiffImagePlugin.TiffImageFile(BytesIO(data))


def _by_tifffile(data: bytes, chosen: slice) -> NDArray[Any]:
    """Return the chosen pages, (pages, height, width, channels). Raises UnreadableImage for pages of different sizes."""
    try:
        import tifffile
    except ImportError as error:
        raise MissingReader("a TIFF image with 16-bit colours, several pages or a rare compression", "tiff") from error
    import numpy as np

    # tifffile logs what it mends, a line for each file.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    with image_errors("TIFF"):
        try:
            with tifffile.TiffFile(BytesIO(data)) as file:
                pages = list(_whole_pages(file))[chosen]
                planes, planar = [page.asarray() for page in pages], pages[0].planarconfig == 2
        except ValueError as error:  # a compression without its decoder
            if "imagecodecs" in str(error):
                raise MissingReader("a TIFF image of a rare compression", "tiff") from error
            raise
    if len({(plane.shape, plane.dtype) for plane in planes}) != 1:
        raise UnreadableImage("The pages of the TIFF file have different sizes or depths.", "Set `slice` to the page that matters.")
    values = np.stack(planes)
    if values.ndim == 3:
        return values[..., None]
    return np.moveaxis(values, 1, -1) if planar and values.ndim == 4 else values


def _whole_pages(file: Any) -> Iterator[Any]:
    # Bit 0 of the type of a page: a reduced copy of another.
    return (page for page in file.pages if not int(page.subfiletype) & 1)


def upright_pages(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn (pages, height, width, channels) upright by EXIF orientation 1 to 8."""
    import numpy as np

    turned = values.swapaxes(1, 2) if orientation >= 5 else values
    flips = {2: (2,), 3: (1, 2), 4: (1,), 6: (2,), 7: (1, 2), 8: (1,)}.get(orientation, ())
    return np.flip(turned, flips)


def pages_of(data: bytes) -> list[Page]:
    """Return the pages of a file, without reduced copies.

    Raises:
        UnreadableImage: the file is cut short or damaged.

    """
    try:
        pages = [_page(tags) for tags in _directories(data) if not tags.get(SUBFILE, 0) & 1]
    except (struct.error, OverflowError) as error:  # places behind the end; those of BigTIFF may not even fit into a C long
        raise cut_short("TIFF") from error
    if not pages or not pages[0].width or not pages[0].height:
        raise damaged_image("TIFF")
    return pages


def _page(tags: dict[int, int]) -> Page:
    turn = tags.get(ORIENTATION, 1)
    return Page(
        tags.get(WIDTH, 0),
        tags.get(HEIGHT, 0),
        tags.get(BITS, 1),
        tags.get(CHANNELS, 1),
        tags.get(COMPRESSION, 1),
        tags.get(PHOTOMETRIC, 1),
        turn if turn in range(1, 9) else 1,
        tags.get(SAMPLE_FORMAT, 1) in (2, 3),
    )


def _directories(data: bytes) -> Iterator[dict[int, int]]:
    """Yield the first value of each tag that is a whole number, directory by directory."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    count, entry, offset, inline = ("Q", 20, "Q", 8) if big else ("H", 12, "I", 4)
    (at,) = struct.unpack_from(f"{order}{offset}", data, 8 if big else 4)
    seen: set[int] = set()
    while at and at not in seen and len(seen) < MOST_PAGES:
        seen.add(at)
        (number,) = struct.unpack_from(f"{order}{count}", data, at)
        first = at + struct.calcsize(count)
        tags = {}
        for place in range(first, first + entry * number, entry):
            tag, kind, values = struct.unpack_from(f"{order}HH{offset}", data, place)
            if kind in WIDTHS:
                width = WIDTHS[kind]
                held = place + entry - inline
                # Values that do not fit into the entry are elsewhere.
                if values * struct.calcsize(width) > inline:
                    (held,) = struct.unpack_from(f"{order}{offset}", data, held)
                (tags[tag],) = struct.unpack_from(f"{order}{width}", data, held)
        yield tags
        (at,) = struct.unpack_from(f"{order}{offset}", data, first + entry * number)
