"""What a branch may know of the tensor it is given: a kind, a shape and a size, never a column or a role.

Many column roles fold into few kinds, which keeps roles times architectures from multiplying:

| kind | tensor of one batch | example |
|---|---|---|
| `vector` | (batch, width) float32 | a number and its missing indicator |
| `index` | (batch, 1) int32 codes, 0 = missing, 1 = unseen | a category |
| `tokens` | (batch, length) int32 ids in reading order, 0 = padding | a text read word by word |
| `bag` | (batch, length) int32 ids, sorted, 0 = padding | a text as TF-IDF |
| `image` | (batch, height, width, channels) uint8 or uint16 | an image |
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Literal

Kind = Literal["vector", "index", "tokens", "bag", "image"]


@dataclass(frozen=True)
class TensorSpec:
    """One encoded tensor, without its batch axis."""

    kind: Kind
    shape: tuple[int, ...]
    dtype: str
    size: int = 0
    """How many different codes or ids there are (`index`, `tokens`, `bag`)."""
    one_hot: bool = False
    """An `index` that wants to become a one-hot vector instead of a learned embedding."""
    width: int = 0
    """Width of a learned embedding (`index`); 0 leaves it to the branch."""
    idf: tuple[float, ...] = ()
    """Inverse document frequency of each id (`bag`), `size` values."""
    levels: int = 255
    """The value that stands for full brightness (`image`)."""


def layer_names(keys: Iterable[str], prefix: str = "") -> dict[str, str]:
    """A layer name for every key: TensorFlow allows letters, digits, `_`, `.` and `-` only, and no name twice."""
    names: dict[str, str] = {}
    for key in keys:
        plain = prefix + (re.sub(r"[^A-Za-z0-9_.-]+", "_", key).strip("_.-") or "unnamed")
        taken = set(names.values())
        names[key] = next(name for number in count(1) if (name := plain if number == 1 else f"{plain}_{number}") not in taken)
    return names
