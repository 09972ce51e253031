"""Cells with several numbers, such as `[0.5, 1, null]`."""

import math
import re

from mmtrain.export.runners.encoding.numeric import LARGEST, NUMBER

AROUND = re.compile(r"""[\[\](){}"']+""")
BETWEEN = re.compile(r"[,;\s]+", re.ASCII)


def numbers_of(text: str | None) -> list[float]:
    """Return the numbers of a cell, NaN in the place of other words and of numbers beyond float32."""
    words = BETWEEN.sub(" ", AROUND.sub(" ", text or "")).split(" ")
    values = (float(word) if NUMBER.fullmatch(word) else math.nan for word in words if word)
    return [value if abs(value) <= LARGEST else math.nan for value in values]
