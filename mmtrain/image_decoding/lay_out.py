"""From an image of Pillow's to pixels of a layout: upright, in its channels, size and depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmtrain.image_decoding.colour import convert, grey
from mmtrain.image_decoding.decoded_image import ImageHeader, Layout, UnreadableImage, image_errors
from mmtrain.image_decoding.resize import resize
from mmtrain.image_decoding.window import chosen_window, place, to_channels, to_levels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

DEEP_GREY = "I;16"
"""Pillow's mode for grey images of 16 bits."""


def lay_out(image: Image, header: ImageHeader, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    """Return the pixels of a loaded image.

    Raises:
        UnreadableImage: Pillow fails on it.

    """
    with image_errors(header.format):
        upright = _upright(image, header.orientation)
        if layout.window != "auto":
            return _windowed(upright, layout)
        return _deep(upright, layout) if layout.bits == 16 else _shallow(upright, layout)


def check_pixels(header: ImageHeader, layout: Layout) -> None:
    """Refuse an image of more than `layout.max_pixels`."""
    pixels = header.width * header.height
    if pixels > layout.max_pixels:
        raise UnreadableImage(
            f"The image has {pixels:,} pixels, more than max_pixels {layout.max_pixels:,}.",
            "Use a smaller image, or raise max_pixels.",
        )


def check_bits(header: ImageHeader, layout: Layout) -> None:
    """Refuse samples of 16 bits in several channels, and in grey where the layout has 8 bits and no window for them."""
    if header.bits == 16 and header.mode != DEEP_GREY:
        # Pillow would cut the samples to 8 bits without a word.
        raise UnreadableImage(
            "The image has 16 bits per sample and more than one channel; 16 bits are read from grey images only.",
            "Convert it to 8 bits per sample, or to grey.",
        )
    if header.bits == 16 and layout.bits == 8 and layout.window == "auto":
        depth = "`bits: 16`" if layout.channels == 1 else "`bits: 16` and `channels: 1`"
        raise UnreadableImage(
            "The image has 16 bits per sample, more than the 8 that are asked for.",
            f"Set {depth} to keep them, or `window: percentile` or `window: [low, high]` to choose the values between black and white.",
        )


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


def _windowed(image: Image, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    """(height, width, channels); the window is in samples of the file, 0..255 or 0..65535."""
    import numpy as np

    if image.mode == DEEP_GREY:
        samples = _deep_samples(image, grey(layout.background) * 257)[..., None]
    else:
        colours = np.array(convert(image, channels=layout.channels, background=layout.background))
        samples = colours.reshape(*colours.shape[:2], layout.channels)
    levels = to_levels(samples, chosen_window(samples, layout.window, None), layout.top)
    return place(to_channels(levels, layout.channels, layout.top), layout)


def _deep_samples(image: Image, background: int) -> NDArray[np.float32]:
    """(height, width) of an image of 16 bits; the sample that is transparent becomes `background`."""
    import numpy as np

    samples = np.array(image, dtype=np.float32)
    if "transparency" in image.info:
        samples[samples == image.info["transparency"]] = background
    return samples


def _deep(image: Image, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    """(height, width, 1) of uint16. Samples of 8 bits times 257, so that white is white: 255 * 257 = 65535."""
    import numpy as np
    from PIL import Image

    background = grey(layout.background) * 257
    if image.mode == DEEP_GREY:
        samples = _deep_samples(image, background)
    else:
        samples = np.array(convert(image, channels=1, background=layout.background), dtype=np.float32) * np.float32(257)
    # Float32 holds every whole number up to 2**24, so nothing is lost before the average is rounded.
    scaled = resize(Image.fromarray(samples), layout.size, how=layout.resize, fill=float(background))
    pixels: NDArray[np.uint16] = np.rint(np.asarray(scaled)).clip(0, 65535).astype(np.uint16)
    return pixels.reshape(*layout.size, 1)
