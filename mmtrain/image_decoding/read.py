"""One image file to one array."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.image_decoding.colour import convert, grey, mend
from mmtrain.image_decoding.containers import Container, unpack
from mmtrain.image_decoding.decoded_image import ImageHeader, Layout, UnreadableImage, damaged_image, image_errors
from mmtrain.image_decoding.header import describe, open_container
from mmtrain.image_decoding.image_source import content
from mmtrain.image_decoding.resize import reduction, resize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

_DEEP_GREY = "I;16"
"""Pillow's mode for grey images of 16 bits."""


def read(source: Path | bytes, layout: Layout, *, writable: bool = True) -> NDArray[np.uint8 | np.uint16]:
    """The pixels of the image file `source`, or of its bytes, as (height, width, channels); of an animation, its first frame.

    Where they need not be `writable`, a copy is saved.

    Raises:
        UnreadableImage: the file is missing or damaged, larger than `layout.max_pixels`, or of a depth that does not fit.

    """
    pixels = _pixels(unpack(*content(source)), layout)
    return pixels if pixels.flags.writeable or not writable else pixels.copy()


def _pixels(container: Container, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    if container.plain is not None:
        mode, *(width, height) = container.plain
        header = describe(mode, (width, height), container)
        _check_pixels(header, layout)
        if container.flaw is not None:
            raise container.flaw
        # The target as the file has it, before it is turned upright: (width, height).
        target = layout.size if header.orientation >= 5 else layout.size[::-1]
        part = reduction((width, height), target, layout.resize)
        if (decoded := _decoded(container.data, mode, (width, height), part)) is not None:
            return _laid_out(decoded, header, layout)
    image = open_container(container)
    header = describe(image.mode, image.size, container)
    _check_pixels(header, layout)
    _check_bits(header, layout)
    if container.flaw is not None:
        raise container.flaw
    with image_errors(container.format):
        image.load()
        _check_palette(image, container)
        mend(image, header)
    return _laid_out(image, header, layout)


def _decoded(data: bytes, mode: str, size: tuple[int, int], part: int) -> Image | None:
    """A JPEG of `size` (width, height), at a `part` of it, straight from Pillow's decoder.

    Pillow's reader takes the file apart once more, which costs a third of decoding. None where this fails, for the reader to say why.
    """
    from PIL import Image

    width, height = (-(-side // part) for side in size)
    try:
        image = Image.new(mode, (width, height), None)  # not filled, as `Image.frombytes` would
        image.frombytes(data, "jpeg", mode, "", part, 0)
    except (ValueError, OSError, MemoryError):
        return None
    return image


def _laid_out(image: Image, header: ImageHeader, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    with image_errors(header.format):
        upright = _upright(image, header.orientation)
        return _deep(upright, layout) if layout.bits == 16 else _shallow(upright, layout)


def _check_pixels(header: ImageHeader, layout: Layout) -> None:
    pixels = header.width * header.height
    if pixels > layout.max_pixels:
        raise UnreadableImage(
            f"The image has {pixels:,} pixels, more than max_pixels {layout.max_pixels:,}.",
            "Use a smaller image, or raise max_pixels.",
        )


def _check_bits(header: ImageHeader, layout: Layout) -> None:
    if header.bits == 16 and header.mode != _DEEP_GREY:
        # Pillow would cut the samples to 8 bits without a word.
        raise UnreadableImage(
            "The image has 16 bits per sample and more than one channel; 16 bits are read from grey images only.",
            "Convert it to 8 bits per sample, or to grey.",
        )
    if header.bits == 16 and layout.bits == 8:
        raise UnreadableImage(
            "The image has 16 bits per sample, more than the 8 that are asked for.",
            "Set `bits: 16`." if layout.channels == 1 else "Set `bits: 16` and `channels: 1`.",
        )


def _check_palette(image: Image, container: Container) -> None:
    """No pixel is beyond the palette, where Pillow and TensorFlow would see different colours."""
    if container.colours:
        highest = max(number for number, times in enumerate(image.histogram()) if times)
        # Mode "1" has the levels 0 and 255 for its two colours.
        if (highest // 255 if image.mode == "1" else highest) >= container.colours:
            raise damaged_image(container.format)


def _upright(image: Image, orientation: int) -> Image:
    """Undo the turn or mirroring that EXIF orientation tells; before resizing, so that it stays exact."""
    if orientation == 1:
        return image
    from PIL.Image import Transpose

    undo = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(undo[orientation])


def _shallow(image: Image, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    """(height, width, channels) of uint8."""
    import numpy as np

    converted = convert(image, channels=layout.channels, background=layout.background)
    fill = {1: grey(layout.background), 3: layout.background, 4: (*layout.background, 255)}[layout.channels]
    scaled = resize(converted, layout.size, how=layout.resize, fill=fill)
    # A view of bytes: read-only, without a copy.
    return np.frombuffer(scaled.tobytes(), dtype=np.uint8).reshape(*layout.size, layout.channels)


def _deep(image: Image, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    """(height, width, 1) of uint16. Samples of 8 bits times 257, so that white is white: 255 * 257 = 65535."""
    import numpy as np
    from PIL import Image

    background = grey(layout.background) * 257
    if image.mode == _DEEP_GREY:
        samples = np.array(image, dtype=np.float32)
        if "transparency" in image.info:
            samples[samples == image.info["transparency"]] = background
    else:
        samples = np.array(convert(image, channels=1, background=layout.background), dtype=np.float32) * np.float32(257)
    # Float32 holds every whole number up to 2**24, so nothing is lost before the average is rounded.
    scaled = resize(Image.fromarray(samples), layout.size, how=layout.resize, fill=float(background))
    pixels: NDArray[np.uint16] = np.rint(np.asarray(scaled)).clip(0, 65535).astype(np.uint16)
    return pixels.reshape(*layout.size, 1)
