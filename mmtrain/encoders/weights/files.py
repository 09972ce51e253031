"""Files of weights: named arrays that are read when they are asked for, and the formats of safetensors and Keras.

A safetensors file is a length of eight bytes, a JSON table of names, types, shapes and offsets, and the numbers (little-endian).
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mmtrain.errors import Problem, RunError

Array = np.ndarray[Any, Any]
BFLOAT16 = "bfloat16"
"""NumPy has no such type; these are the upper two bytes of a float32."""
SAFETENSORS_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    **{f"{sign}{bits}": f"<{code}{bits // 8}" for sign, code in (("I", "i"), ("U", "u")) for bits in (8, 16, 32, 64)},
    "BOOL": "|b1",
}
LARGEST_HEADER = 100_000_000
"""Bytes of the JSON in a safetensors file; the limit of the format's own library."""


class WeightFile(ABC):
    """Named arrays in one file; an array is read when it is asked for."""

    damage: ClassVar[tuple[type[Exception], ...]] = (
        *(ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError),
        *(RecursionError, OverflowError, MemoryError),
    )
    """Errors of reading a file that is damaged or of another format."""

    def __init__(self, path: Path) -> None:
        """Open `path` and read the table of its arrays. Raises RunError for a file that is damaged or holds anything else."""
        self.path = path
        self.shapes: dict[str, tuple[int, ...]] = {}
        with self._locate_errors():
            self._open()

    @abstractmethod
    def _open(self) -> None:
        """Fill `shapes`. Raises ValueError, or another error of reading, for a file that is not of the format."""

    @abstractmethod
    def _values(self, name: str) -> Array:
        """Return the array of a name in `shapes`, in any type."""

    def read(self, name: str) -> Array:
        """Return an array of `shapes` as float32, in a copy of its own. Raises RunError when the file is damaged."""
        with self._locate_errors():
            return np.array(self._values(name), dtype=np.float32)

    @contextmanager
    def _locate_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RunError(Problem(str(self.path), f"the weights cannot be read: {error.strerror or error}.")) from error
        except self.damage as error:
            what = f"the file is damaged, or does not hold weights: {str(error).rstrip('.') or type(error).__name__}."
            raise RunError(Problem(str(self.path), what, "Fetch it again, or give another file.")) from error


class SafetensorsFile(WeightFile):
    """A safetensors file, mapped into memory."""

    def _open(self) -> None:
        self._bytes = np.memmap(self.path, dtype=np.uint8, mode="r")
        if len(self._bytes) < 8:
            raise ValueError("it is shorter than eight bytes")
        length = int(self._bytes[:8].view("<u8")[0])
        if length > min(LARGEST_HEADER, len(self._bytes) - 8):
            raise ValueError(f"its table would have {length:,} bytes")
        table = json.loads(self._bytes[8 : 8 + length].tobytes())
        self._start = 8 + length
        self._entries = {name: self._entry(name, entry) for name, entry in table.items() if name != "__metadata__"}
        self.shapes = {name: shape for name, (_, shape, _) in self._entries.items()}

    def _entry(self, name: str, entry: Mapping[str, Any]) -> tuple[str, tuple[int, ...], slice]:
        """Return type, shape and place of an array; its bytes must be in the file, and as many as the shape has."""
        if entry["dtype"] not in SAFETENSORS_TYPES:
            raise ValueError(f"`{name}` is of the type {entry['dtype']!r}, which is not read")
        dtype, shape, (first, last) = SAFETENSORS_TYPES[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
        check_whole((*shape, first, last))
        if not 0 <= first <= last <= len(self._bytes) - self._start or last - first != math.prod(shape) * item_size(dtype):
            raise ValueError(f"`{name}` lies outside the file, or has another size than its shape")
        return dtype, shape, slice(self._start + first, self._start + last)

    def _values(self, name: str) -> Array:
        dtype, shape, place = self._entries[name]
        return decode(self._bytes[place], dtype).reshape(shape)


class KerasFile(WeightFile):
    """A file of weights that Keras has written, which Keras itself reads: HDF5 without code, whose arrays have no names of their own."""

    def _open(self) -> None:
        with self.path.open("rb") as file:
            if file.read(8) != b"\x89HDF\r\n\x1a\n":
                raise ValueError("it is not a file of HDF5")

    def _values(self, name: str) -> Array:
        raise KeyError(name)


def decode(raw: Array, dtype: str) -> Array:
    """Return numbers from their bytes; those of bfloat16 as float32, which has the same exponent and 16 bits more behind it."""
    raw = np.ascontiguousarray(raw)
    return (raw.view("<u2").astype("<u4") << 16).view("<f4") if dtype == BFLOAT16 else raw.view(dtype)


def item_size(dtype: str) -> int:
    """Return the bytes of a number."""
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def check_whole(numbers: tuple[Any, ...]) -> None:
    """Raise ValueError unless all values of a file that stand for shapes and offsets are whole numbers from 0 on."""
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("a shape or an offset is not a whole number from 0 on")
