"""A recording at another rate, by a windowed sinc."""

from __future__ import annotations

from math import ceil, gcd
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

ZEROS = 16
"""Zero crossings of the sinc on either side: the passband ends 0.93 of the way to the lower of both Nyquist frequencies."""
BETA = 8.6
"""Shape of the Kaiser window, for which what is folded back lies 90 dB below (Kaiser 1974)."""


def margin(source: int, target: int) -> int:
    """Return the samples on either side of a position, at the `source` rate, on which a value at the `target` rate depends."""
    return ceil(ZEROS * max(1.0, source / target)) + 1


def resample(samples: NDArray[Any], source: int, target: int, count: int) -> NDArray[Any]:
    """Return `count` samples at the rate `target` of a recording at the rate `source`.

    `samples` begin `margin` samples before the first moment, and end as many or more after the last one. Value k is the sum of samples
    times a sinc around the moment k / target, which lets pass what both rates can represent; its weights repeat every
    target / gcd(source, target) values.
    """
    import numpy as np

    if source == target:
        first = margin(source, target)
        return samples[first : first + count]
    divisor = gcd(source, target)
    up, down = target // divisor, source // divisor
    reach = margin(source, target)
    windows = np.lib.stride_tricks.sliding_window_view(samples, 2 * reach + 1)
    result = np.empty(count, np.float64)
    for first in range(min(up, count)):
        place, phase = divmod(first * down, up)
        values = windows[place::down] @ _weights(phase / up, reach, min(1.0, target / source))
        result[first::up] = values[: len(range(first, count, up))]
    return result


def _weights(after: float, reach: int, cutoff: float) -> NDArray[Any]:
    """Return the weights of the samples around a moment that lies `after` the middle one, in samples."""
    import numpy as np

    distance = np.arange(-reach, reach + 1) - after
    inside = np.clip(1 - (distance * cutoff / ZEROS) ** 2, 0, None)
    weights = np.sinc(cutoff * distance) * np.i0(BETA * np.sqrt(inside)) * (inside > 0)
    # A sum of 1, so that no phase is louder than another.
    normal: NDArray[Any] = weights / weights.sum()
    return normal
