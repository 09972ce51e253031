"""Values with a unit, as a scanner stores them, to the pixels of an image or of a volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import Layout, UnreadableImage
from mmtrain.image_decoding.formats.volumes import resample
from mmtrain.image_decoding.window import chosen_window, place, quantize, to_channels, to_levels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Samples:
    """Decoded values, (slices, height, width, 1 or 3), in the unit of the file: Hounsfield units of CT, for instance.

    `window` is what the file says is to be seen; None where it says nothing. `inverted` means that low values are bright. `spacing` is
    the distance of neighbours in mm along the first three axes.
    """

    values: NDArray[Any]
    window: tuple[float, float] | None = None
    inverted: bool = False
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)


def chosen_slice(layout: Layout, slices: int, noun: str) -> int:
    """Return the number of the slice that an image is made of: that of the layout, or the middle one, the later of two.

    Of evenly spaced ones, those in the middle of equal parts; of a file with fewer slices, some several times.

    Raises UnreadableImage where the file has fewer; `noun` is its word for them, such as `frame`.
    """
    if layout.slices:
        return (2 * (layout.slice or 0) + 1) * slices // (2 * layout.slices)
    if layout.slice is None:
        return slices // 2
    if layout.slice >= slices:
        what = f"The file has {slices} {noun}{'s' if slices != 1 else ''}; `slice: {layout.slice}` counts from 0."
        raise UnreadableImage(what, f"Set `slice` to at most {slices - 1}, or to `middle`.")
    return layout.slice


def check_voxels(shape: Sequence[int], layout: Layout) -> None:
    """Refuse a volume (depth, height, width), or an image (height, width), of more than `layout.max_pixels`."""
    number = 1
    for side in shape:
        number *= int(side)
    if number > layout.max_pixels:
        unit, option = ("voxels", "max_voxels") if layout.depth else ("pixels", "max_pixels")
        noun = "volume" if layout.depth else "image"
        what = f"The {noun} has {number:,} {unit}, more than {option} {layout.max_pixels:,}."
        raise UnreadableImage(what, f"Use a smaller {noun}, or raise {option}.")


def to_pixels(samples: Samples, layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    """Return the pixels: the window first, then the size. An image is made of the first slice."""
    values = samples.values if layout.depth else samples.values[:1]
    window = chosen_window(values, layout.window, samples.window)

    def levels(plane: NDArray[Any]) -> NDArray[np.float32]:
        return to_channels(to_levels(plane, window, layout.top, inverted=samples.inverted), layout.channels, layout.top)

    if layout.depth:
        return quantize(resample(values, levels, samples.spacing, layout), layout)
    return place(levels(values[0]), layout)
