"""Files of weights of PyTorch, read without PyTorch and without executing anything of them.

A PyTorch file is a pickle next to the numbers: a zip archive since version 1.6, one stream before that. The pickle is read by an
unpickler that knows tensors, storages and OrderedDict; anything else in it is refused by name, as a pickle may call any function.
"""

from __future__ import annotations

import io
import mmap
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmtrain.encoders.weights.files import BFLOAT16, Array, WeightFile, check_whole, decode, item_size

STORAGE_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""First two pickles of a PyTorch file of before version 1.6."""
WRAPPERS = ("state_dict", "model", "model_state_dict", "module", "teacher", "state_dict_ema")
"""Keys under which training programs put the weights in a file with other things."""


@dataclass(frozen=True)
class _Storage:
    """The numbers that tensors of a PyTorch file are views of."""

    dtype: str
    key: str
    length: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage: element i, j, ... is at `offset + i * stride[0] + j * stride[1] + ...`."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def rebuild(cls, storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object) -> _Tensor:
        """Take the place of `torch._utils._rebuild_tensor_v2`. Raises ValueError for a view that leaves its storage."""
        shape, stride = tuple(shape), tuple(stride)
        check_whole((offset, *shape, *stride))
        last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True)) + 1
        if not isinstance(storage, _Storage) or (0 not in shape and last > storage.length):
            raise ValueError("a tensor lies outside its storage")
        return cls(storage, offset, shape, stride)

    def values(self, storage: Array) -> Array:
        """Return the numbers, a view of those of the storage."""
        if 0 in self.shape:
            return np.zeros(self.shape, storage.dtype)
        strides = tuple(step * storage.itemsize for step in self.stride)
        return np.lib.stride_tricks.as_strided(storage[self.offset :], self.shape, strides, writeable=False)


class _Unpickler(pickle.Unpickler):
    """Reads tensors, storages, OrderedDict and plain values; refuses any other name before anything is imported."""

    KNOWN: Mapping[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor.rebuild,
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        ("torch", "Size"): tuple,
        **{("torch", name): dtype for name, dtype in STORAGE_TYPES.items()},
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.KNOWN:
            raise pickle.UnpicklingError(f"it holds `{module}.{name}`, which is not a tensor; such an object could run any code")
        return self.KNOWN[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, length, *view = pid
        check_whole((length,))
        if kind != "storage" or dtype not in STORAGE_TYPES.values() or any(view):
            raise pickle.UnpicklingError("it refers to something other than a storage")
        return _Storage(dtype, str(key), length)


class TorchFile(WeightFile):
    """A PyTorch file of the state of a network, of either format."""

    # RuntimeError is `zipfile`'s for an encrypted file or an unknown compression.
    damage = (*WeightFile.damage, pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, RuntimeError)

    def _open(self) -> None:
        with self.path.open("rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        content, self._storage = self._archive() if zipfile.is_zipfile(self.path) else self._stream()
        self._tensors = _state(content)
        self.shapes = {name: tensor.shape for name, tensor in self._tensors.items()}

    def _values(self, name: str) -> Array:
        tensor = self._tensors[name]
        return tensor.values(self._storage(tensor.storage))

    def _archive(self) -> tuple[Any, Callable[[_Storage], Array]]:
        """Return the content of the zip archive, and what gives the numbers of a storage."""
        archive = zipfile.ZipFile(self.path)
        names = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        if len(names) != 1:
            raise ValueError("the archive has no `data.pkl`; a TorchScript file or an ordinary archive has no weights that can be read")
        prefix = names[0].removesuffix("data.pkl")
        if f"{prefix}byteorder" in archive.namelist() and archive.read(f"{prefix}byteorder") != b"little":
            raise ValueError("its numbers are big-endian")

        def numbers(storage: _Storage) -> Array:
            entry = archive.getinfo(f"{prefix}data/{storage.key}")
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != storage.length * item_size(storage.dtype):
                raise ValueError(f"storage {storage.key} is compressed, or of another size than its tensors say")
            return decode(np.frombuffer(archive.read(entry), np.uint8), storage.dtype)

        return _Unpickler(io.BytesIO(archive.read(names[0]))).load(), numbers

    def _stream(self) -> tuple[Any, Callable[[_Storage], Array]]:
        """Return the same of a file from before PyTorch 1.6: five pickles, then each storage behind its length."""
        if _unpickle(self._bytes) != LEGACY_MAGIC or _unpickle(self._bytes) != LEGACY_PROTOCOL:
            raise ValueError("it is neither a zip archive nor a file of PyTorch before 1.6")
        if not _unpickle(self._bytes).get("little_endian", True):
            raise ValueError("its numbers are big-endian")
        unpickler = _Unpickler(self._bytes)
        content = unpickler.load()
        known = {tensor.storage.key: tensor.storage for tensor in _state(content).values()}
        places, place = {}, 0
        keys = _unpickle(self._bytes)
        place = self._bytes.tell()
        for key in keys:
            length = int.from_bytes(self._bytes[place : place + 8], "little")
            if key not in known:
                raise ValueError(f"storage {key} belongs to no tensor")
            size = length * item_size(known[key].dtype)
            if length != known[key].length or place + 8 + size > len(self._bytes):
                raise ValueError("it ends before its last number")
            places[key] = slice(place + 8, place + 8 + size)
            place += 8 + size
        return content, lambda storage: decode(np.frombuffer(self._bytes, np.uint8)[places[storage.key]], storage.dtype)


def _unpickle(file: Any) -> Any:
    return _Unpickler(file).load()


def _state(content: Any) -> dict[str, _Tensor]:
    """Return the tensors by name of an unpickled file, which may hold them under a key next to other things."""
    for _ in range(2):
        if isinstance(content, dict) and not any(isinstance(value, _Tensor) for value in content.values()):
            content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), dict)), content)
    tensors = {name: value for name, value in content.items() if isinstance(value, _Tensor)} if isinstance(content, dict) else {}
    if not tensors:
        raise ValueError("it holds no tensors by name")
    if any(not isinstance(name, str) for name in tensors):
        raise ValueError("its tensors have no names")
    return tensors
