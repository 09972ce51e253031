"""Stretch, crop or pad to a size: bilinear with antialias, `Image.Resampling.BILINEAR` or `tf.image.resize(antialias=True)`.

The geometry is in whole numbers, so that an exported graph can repeat it: resize to `covering` and cut, or to `fitting` and pad.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

THUMBNAIL_QUALITY = 80
"""Quality of the JPEG: a thumbnail of 96 pixels a side takes 1 to 8 kB."""


def covering_size(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """The smallest size in the proportions of `size` that covers `target`; all three in one order of the sides."""
    first, second = size
    # Compared by products, so that no rounding decides which side covers.
    if first * target[1] >= second * target[0]:
        return max(target[0], _rounded(first * target[1], second)), target[1]
    return target[0], max(target[1], _rounded(second * target[0], first))


def fitting_size(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """The largest size in the proportions of `size` that fits into `target`, no side below one."""
    first, second = size
    if first * target[1] >= second * target[0]:
        return target[0], max(1, _rounded(second * target[0], first))
    return max(1, _rounded(first * target[1], second)), target[1]


def reduction(size: tuple[int, int], target: tuple[int, int], how: str) -> int:
    """Return the reduction of a JPEG of `size` while it is decoded: the largest of 8, 4, 2 and 1 that leaves enough to resize.

    Decoders leave out the finest waves then, which is both faster and without alias; all three in one order of the sides.
    """
    if how != "stretch":
        target = covering_size(size, target) if how == "crop" else fitting_size(size, target)
    # Whole multiples only, as decoders reduce by powers of two.
    least = min(size[0] // target[0], size[1] // target[1])
    return next(part for part in (8, 4, 2, 1) if part <= max(least, 1))


def _rounded(numerator: int, denominator: int) -> int:
    """The quotient to the nearest whole number, a half upwards."""
    return (2 * numerator + denominator) // (2 * denominator)


def resize(image: Image, size: tuple[int, int], *, how: str, fill: Any) -> Image:
    """`image` at `size` (height, width); the same pixels where it has that size already.

    Args:
        image: of mode L, RGB, RGBA or F. Pillow multiplies RGBA by its alpha before it averages, so the colours of invisible
            pixels do not bleed.
        size: height and width.
        how: `stretch`, `crop` or `pad`.
        fill: the value, in the mode of `image`, around a padded image.

    """
    from PIL import Image

    height, width = size
    target = (width, height)
    bilinear = Image.Resampling.BILINEAR
    if image.size == target:
        return image
    if how == "crop":
        # `box` is in pixels of the source and may be fractional.
        return image.resize(target, bilinear, box=_cut(image.size, target))
    if how == "stretch":
        return image.resize(target, bilinear)
    inner = fitting_size(image.size, target)
    canvas = Image.new(image.mode, target, fill)
    # In the middle; of an odd margin the larger half is right and below.
    canvas.paste(image.resize(inner, bilinear), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas


def _cut(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of an image of `size` that is left by covering `target` and cutting out the centre: left, top, right, bottom.

    Resizing this part alone gives the same pixels within one level (Pillow picks its passes by the size, and rounds between
    them), and never makes the covering image, which a strip of 1 x 50,000,000 pixels would blow up to terabytes.
    """
    cover = covering_size(size, target)
    left, top = ((cover[side] - target[side]) // 2 for side in (0, 1))
    across, down = size[0] / cover[0], size[1] / cover[1]
    return left * across, top * down, min(size[0], (left + target[0]) * across), min(size[1], (top + target[1]) * down)


def side_by_side(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return one image of those of several, (images, height, width, channels), that are not all zeros."""
    import numpy as np

    shown = [image for image in pixels if image.any()] or [pixels[0]]
    return np.concatenate(shown, axis=1)


def thumbnail(pixels: NDArray[Any], side: int) -> bytes:
    """Return the JPEG of `display_thumbnail`."""
    buffer = io.BytesIO()
    display_thumbnail(pixels, side).save(buffer, "JPEG", quality=THUMBNAIL_QUALITY, optimize=True)
    return buffer.getvalue()


def display_thumbnail(pixels: NDArray[Any], side: int) -> Image:
    """Return (height, width, channels) uint8 or uint16 pixels as an image of 8 bits, neither side longer than `side`, never enlarged.

    Of a volume, (depth, height, width, channels), it shows the middle slice.
    Of 16 bits the darkest becomes black and the brightest white; what is transparent becomes white.
    """
    from PIL import Image

    if pixels.ndim == 4:
        pixels = pixels[len(pixels) // 2]
    image: Image.Image = Image.fromarray(_eight_bits(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
    if image.mode == "RGBA":
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image)
        image = canvas.convert("RGB")
    image.thumbnail((side, side))
    return image


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    if pixels.dtype == np.uint8:
        return pixels
    low, high = float(pixels.min()), float(pixels.max())
    # At least 1: an image of one value stays black.
    scaled: NDArray[np.uint8] = np.rint((pixels - low) * (255 / max(high - low, 1))).astype(np.uint8)
    return scaled
