"""From samples with a unit of their own to levels of brightness: the window of values between black and white.

A scanner stores more values than a screen shows: 16-bit grey, Hounsfield units of CT, floats of MR. A window [low, high] makes `low` and
everything below it black, `high` and everything above it white, and is linear between. `mmtrain.layers.image_decoding.window` repeats
the arithmetic in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.colour import grey
from mmtrain.image_decoding.decoded_image import Layout, Window
from mmtrain.image_decoding.resize import resize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TAILS = 5
"""Samples that are cut off at either end by `window: percentile`, per thousand: the 0.5th to the 99.5th percentile."""
MOST_RANKED = 2_000_000
"""Samples that are ranked; of more, every second, third, ... one is: sorting a volume of 80 million takes 6 s, and changes no level."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey, ITU-R BT.601."""


def percentile_window(samples: NDArray[Any]) -> tuple[float, float]:
    """Return the samples at the ranks `TAILS` of 1,000 from either end, of those that are finite; an image of one value is black."""
    import numpy as np

    flat = samples.reshape(-1)[:: -(-samples.size // MOST_RANKED)]
    flat = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    if not flat.size:
        return 0.0, 1.0
    # Whole numbers: no interpolation, so that a graph can repeat it.
    cut = (flat.size - 1) * TAILS // 1000
    ranks = cut, flat.size - 1 - cut
    part = np.partition(flat, ranks)
    low, high = float(part[ranks[0]]), float(part[ranks[1]])
    return low, high if high > low else low + 1.0


def chosen_window(samples: NDArray[Any], window: Window, default: tuple[float, float] | None) -> tuple[float, float]:
    """Return low and high: those of the layout, else those of the file (`default`), else the percentiles of the samples."""
    if isinstance(window, tuple):
        return window
    return percentile_window(samples) if default is None or window == "percentile" else default


def to_levels(samples: NDArray[Any], window: tuple[float, float], top: int, *, inverted: bool = False) -> NDArray[np.float32]:
    """Return samples as float32 levels, 0 (low and below) to `top` (high and above); `inverted`: the other way round. NaN becomes 0."""
    import numpy as np

    low, high = window
    # One subtraction, one product: a window as wide as the levels changes no whole number.
    # Float64 voxels beyond float32 become infinite, and white or black by the clip: nothing to warn of.
    with np.errstate(over="ignore", invalid="ignore"):
        levels: NDArray[np.float32] = (samples.astype(np.float32) - np.float32(low)) * np.float32(top / (high - low))
        levels = levels.clip(0, top)
    return np.nan_to_num(np.float32(top) - levels if inverted else levels)


def to_channels(levels: NDArray[np.float32], channels: int, top: int) -> NDArray[np.float32]:
    """Return grey or colour levels (..., 1 or 3) with `channels` of them: colour as grey, grey as colour, opaque with four."""
    import numpy as np

    if channels == 1:
        return levels if levels.shape[-1] == 1 else (levels @ np.array(LUMA, np.float32))[..., None]
    colour = levels if levels.shape[-1] == 3 else np.repeat(levels, 3, axis=-1)
    return colour if channels == 3 else np.concatenate([colour, np.full_like(colour[..., :1], top)], axis=-1)


def place(levels: NDArray[np.float32], layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    """Return levels (height, width, channels) as pixels at the size of the layout."""
    import numpy as np
    from PIL import Image

    scale = layout.top / 255
    colours = {1: (grey(layout.background),), 3: layout.background, 4: (*layout.background, 255)}[layout.channels]
    planes = [
        np.asarray(resize(Image.fromarray(levels[..., channel]), layout.size, how=layout.resize, fill=colour * scale))
        for channel, colour in enumerate(colours)
    ]
    return quantize(np.stack(planes, axis=-1), layout)


def quantize(levels: NDArray[np.float32], layout: Layout) -> NDArray[np.uint8 | np.uint16]:
    """Round levels to the whole numbers of the store."""
    import numpy as np

    pixels: NDArray[np.uint8 | np.uint16] = np.rint(levels).clip(0, layout.top).astype(layout.dtype)
    return pixels
