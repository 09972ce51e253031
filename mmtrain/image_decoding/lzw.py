"""True if the codes of a GIF can be followed (LZW): Pillow refuses a code before it is defined, TensorFlow makes something of it.

The width of a code follows from how many came before it since the table was cleared. So all codes up to the next clearing are looked at
at once, here and in `mmtrain.layers.image_decoding.gif`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

FULL = 4096
"""Codes of a full table, which stays as it is until it is cleared; as many are looked at at once."""
FEWEST_BITS, MOST_BITS = 2, 8
"""Bits of the numbers of colours."""


class Steps(NamedTuple):
    """Codes since the table was cleared, each array (`FULL`,); the first code has the number 0."""

    starts: np.ndarray[Any, np.dtype[np.int64]]
    """The bit with which each begins."""
    widths: np.ndarray[Any, np.dtype[np.int64]]
    highest: np.ndarray[Any, np.dtype[np.int64]]
    """The highest code that may come here, besides clearing and the end."""


@lru_cache
def steps(bits: int, *, full: bool) -> Steps:
    """Return the steps for colours of `bits` bits, from an empty or from a `full` table."""
    import numpy as np

    clear = 1 << bits
    number = np.arange(FULL, dtype=np.int64)
    # The table grows by one with every code but the first.
    known = np.full(FULL, FULL) if full else np.minimum(clear + 2 + np.maximum(number - 1, 0), FULL)  # before the code is read
    # A code needs the bits of the largest known number, at least one more than a colour, at most 12.
    widths = np.minimum(np.maximum(np.floor(np.log2(known)).astype(np.int64) + 1, bits + 1), 12)
    highest = known.copy()
    if not full:
        highest[0] = clear - 1  # nothing can be repeated yet
    return Steps(np.cumsum(widths) - widths, widths, highest)


def can_be_followed(codes: bytes, bits: int) -> bool:
    """Return whether no code comes before it is defined, up to the end code or the last code."""
    import numpy as np

    if not FEWEST_BITS <= bits <= MOST_BITS:
        return False
    # Three bytes more, so that the last code can be read like all others.
    digits = np.frombuffer(codes + bytes(3), np.uint8).astype(np.int64)
    clear, start, full = 1 << bits, 0, False
    while True:
        one = steps(bits, full=full)
        # Only codes that end within the data.
        count = int(np.searchsorted(start + one.starts + one.widths, 8 * len(codes), side="right"))
        at = start + one.starts[:count]
        # A code has at most 12 bits and begins at any of 8 in a byte, so three bytes hold it.
        three = digits[at >> 3] | digits[(at >> 3) + 1] << 8 | digits[(at >> 3) + 2] << 16
        read = three >> (at & 7) & (1 << one.widths[:count]) - 1
        marks = np.flatnonzero((read == clear) | (read == clear + 1))
        stop = int(marks[0]) if len(marks) else count
        if (read[:stop] > one.highest[:stop]).any():
            return False
        # The data ends, or the end code comes before a clearing.
        if stop == count < FULL or (stop < count and read[stop] == clear + 1):
            return True
        # On from the clearing, or with a full table, which grows no further.
        last = min(stop, FULL - 1)
        start, full = int(start + one.starts[last] + one.widths[last]), stop == FULL
