"""Voxels in the axes of the patient, at the spacing and the size of a layout.

All volumes come in one orientation, whichever way the scanner stored them: slices from the feet to the head, rows from the front to the
back, columns from the patient's right to the left. An axial slice then looks as radiology shows it. In the words of NIfTI the axes are
brought to the nearest of RAS; laid out for the eye, two of them run the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Any

from mmtrain.image_decoding.decoded_image import Layout, UnreadableImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TARGETS = ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Directions of slices, rows and columns in the coordinates of DICOM: x to the patient's left, y to the back, z to the head."""
FINEST, COARSEST = 1e-6, 1e3
"""Distances of voxels in mm, a molecule and a metre, beyond which a file states none: rounding would make a black volume of it."""


def canonical_axes(directions: NDArray[Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the order of the axes and those to be reversed afterwards, for an array whose axis i runs along `directions[i]` (3, 3).

    The nearest axes are taken: an oblique volume is not rotated.

    >>> import numpy as np
    >>> canonical_axes(np.array([(1.0, 0, 0), (0, -1, 0), (0, 0, 1)]))
    ((2, 1, 0), (1,))
    """
    import numpy as np

    cosines = np.asarray(directions, np.float64) @ np.array(TARGETS).T
    order = max(permutations(range(3)), key=lambda axes: sum(abs(cosines[axis, place]) for place, axis in enumerate(axes)))
    return order, tuple(place for place, axis in enumerate(order) if cosines[axis, place] < 0)


def oriented(values: NDArray[Any], directions: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return the volume (..., first three axes in any orientation) in the axes of the patient, a view, and the order of its axes."""
    import numpy as np

    order, reversed_axes = canonical_axes(directions)
    return np.flip(np.transpose(values, (*order, *range(3, values.ndim))), reversed_axes), order


def resample(
    values: NDArray[Any], levels: Callable[[NDArray[Any]], NDArray[np.float32]], spacing: Sequence[float], layout: Layout
) -> NDArray[np.float32]:
    """Return a volume (slices, height, width, channels) at the depth and size of the layout, trilinear with antialias.

    `levels` makes brightness of one slice, so that no more than one is there as floats. Without `layout.spacing` the volume is stretched,
    or fits into the size or covers it in its proportions in mm; with it, it is brought to that spacing, and cut or padded with 0.
    """
    import numpy as np

    target = (layout.depth, *layout.size)
    scaled = _scaled_sides(values.shape[:3], spacing, target, layout)
    along = [_weights(*sides) for sides in zip(values.shape[:3], scaled, target, strict=True)]
    volume = np.zeros((*target, layout.channels), np.float32)
    for number, plane in enumerate(values):
        depths = np.flatnonzero(along[0][:, number])
        if not len(depths):
            continue
        # (channels, height, width) times the weights of rows and columns
        small = along[1] @ np.moveaxis(levels(plane), -1, 0) @ along[2].T
        volume[depths] += along[0][depths, number, None, None, None] * np.moveaxis(small, 0, -1)
    return volume


def _scaled_sides(sides: Sequence[int], spacing: Sequence[float], target: Sequence[int], layout: Layout) -> tuple[int, ...]:
    """Return the sides of the whole volume in voxels of the result, before it is cut or padded to `target`.

    Raises:
        UnreadableImage: the spacing decides them and is none.

    """
    if not layout.spacing and layout.resize == "stretch":
        return tuple(target)
    if not all(FINEST < step < COARSEST for step in spacing):  # nor NaN
        what = "The file does not say how far apart its voxels are, or not in a way that can be true."
        raise UnreadableImage(what, "Save it with its spacing, or set `resize: stretch` and no `spacing`.")
    lengths = [side * step for side, step in zip(sides, spacing, strict=True)]  # mm
    if layout.spacing:
        steps: Sequence[float] = layout.spacing
    else:
        each = [length / side for length, side in zip(lengths, target, strict=True)]
        steps = [max(each) if layout.resize == "pad" else min(each)] * 3
    return tuple(max(1, int(length / step + 0.5)) for length, step in zip(lengths, steps, strict=True))


def _weights(side: int, scaled: int, target: int) -> NDArray[np.float32]:
    """Return the weights (target, side) of an axis that is resized to `scaled` and cut or padded in the middle, rows of zeros outside.

    Triangles as in Pillow's BILINEAR: as wide as the step when the axis is made shorter, so that nothing is left out.
    """
    import numpy as np

    step = side / scaled
    places = np.arange(target) - (target - scaled) // 2
    centers = (places + 0.5) * step
    reach = max(step, 1.0)
    weights = np.maximum(1 - np.abs(np.arange(side) + 0.5 - centers[:, None]) / reach, 0)
    weights[(places < 0) | (places >= scaled)] = 0
    total = weights.sum(axis=1, keepdims=True)
    normal: NDArray[np.float32] = np.divide(weights, total, out=np.zeros_like(weights), where=total > 0).astype(np.float32)
    return normal
