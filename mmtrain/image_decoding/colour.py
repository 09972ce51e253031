"""Conversion of every mode of the five formats to grey, colour, or colour and alpha."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmtrain.image_decoding.decoded_image import ImageHeader

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode for each number of channels."""


@lru_cache
def grey(colour: tuple[int, int, int]) -> int:
    """The luma (ITU-R BT.601) of a colour, 0..255, by the arithmetic that Pillow uses for whole images."""
    from PIL import Image

    return Image.new("RGB", (1, 1), colour).convert("L").tobytes()[0]


def mend(image: Image, header: ImageHeader) -> None:
    """Set right, in place, what Pillow mistakes in a loaded image."""
    transparency = image.info.get("transparency")
    if header.format == "PNG" and image.mode == "L" and isinstance(transparency, int):
        # The samples were spread to 0..255 while reading, the transparent one was not; only its low bits count.
        most = (1 << header.bits) - 1
        image.info["transparency"] = (transparency & most) * 255 // most


def convert(image: Image, *, channels: int, background: tuple[int, int, int]) -> Image:
    """A mode of `MODES`.

    Transparent pixels lie on `background` with 1 and 3 channels and stay transparent with 4. Grey becomes colour by
    repetition, colour becomes grey by its luma (ITU-R BT.601).
    """
    from PIL import Image

    if image.has_transparency_data:
        image = image.convert("RGBA")
        if channels == 4:
            return image
        # Composed in RGBA: only there does Pillow blend by opacity.
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image).convert("RGB")
    elif image.mode == "CMYK":
        image = _inks(image).convert("RGB")
    # Converting to its own mode would copy the image.
    return image if image.mode == MODES[channels] else image.convert(MODES[channels])


def _inks(image: Image) -> Image:
    """Adobe stores inks inverted and marks the file so; Pillow inverts every file, marked or not."""
    from PIL import ImageChops

    return image if "adobe" in image.info else ImageChops.invert(image)
