"""A small image of stored pixels, for a person to recognise."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

QUALITY = 80
"""Of the JPEG; 96 pixels of a side take 1 to 8 kB."""


def thumbnail(pixels: npt.NDArray[Any], side: int) -> bytes:
    """JPEG of (height, width, channels) uint8 or uint16 pixels, neither side longer than `side`; smaller images keep their size.

    Of 16 bits the darkest becomes black and the brightest white; what is transparent becomes white.
    """
    from PIL import Image

    image = Image.fromarray(_eight_bits(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    if image.mode == "RGBA":
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image)
        image = canvas.convert("RGB")
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def _eight_bits(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    scaled: npt.NDArray[np.uint8] = np.rint((pixels - low) * (255 / max(high - low, 1))).astype(np.uint8)
    return scaled
