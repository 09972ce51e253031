"""Weight files of pretrained networks: safetensors and PyTorch, read without PyTorch and without executing anything of them.

A safetensors file is a length of eight bytes, a JSON table of names, types, shapes and offsets, and the numbers (little-endian). A
PyTorch file is a pickle next to the numbers: a zip archive since version 1.6, one stream before that. The pickle is read by an
unpickler that knows tensors, storages and OrderedDict; anything else in it is refused by name, as a pickle may call any function.

    >>> list(CONTAINERS)
    ['.safetensors', '.pth', '.pt', '.bin', '.h5']
"""

from __future__ import annotations

import io
import json
import math
import mmap
import pickle
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

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
LARGEST_HEADER = 100_000_000
"""Bytes of the JSON in a safetensors file; the limit of the format's own library."""
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""First two pickles of a PyTorch file of before version 1.6."""
WRAPPERS = ("state_dict", "model", "model_state_dict", "module", "teacher", "state_dict_ema")
"""Keys under which training programs put the weights in a file with other things."""


class WeightFile(ABC):
    """Named arrays in one file; an array is read when it is asked for."""

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
        except _NOT_READABLE as error:
            what = f"the file is damaged, or does not hold weights: {str(error).rstrip('.') or type(error).__name__}."
            raise RunError(Problem(str(self.path), what, "Fetch it again, or give another file.")) from error


_NOT_READABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    EOFError,
    RecursionError,
    OverflowError,
    MemoryError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,  # of `zipfile`, for an encrypted file or an unknown compression
)


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
        _check_whole((*shape, first, last))
        if not 0 <= first <= last <= len(self._bytes) - self._start or last - first != math.prod(shape) * _item_size(dtype):
            raise ValueError(f"`{name}` lies outside the file, or has another size than its shape")
        return dtype, shape, slice(self._start + first, self._start + last)

    def _values(self, name: str) -> Array:
        dtype, shape, place = self._entries[name]
        return _decode(self._bytes[place], dtype).reshape(shape)


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
        _check_whole((offset, *shape, *stride))
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
        _check_whole((length,))
        if kind != "storage" or dtype not in STORAGE_TYPES.values() or any(view):
            raise pickle.UnpicklingError("it refers to something other than a storage")
        return _Storage(dtype, str(key), length)


class TorchFile(WeightFile):
    """A PyTorch file of the state of a network, of either format."""

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
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != storage.length * _item_size(storage.dtype):
                raise ValueError(f"storage {storage.key} is compressed, or of another size than its tensors say")
            return _decode(np.frombuffer(archive.read(entry), np.uint8), storage.dtype)

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
            size = length * _item_size(known[key].dtype)
            if length != known[key].length or place + 8 + size > len(self._bytes):
                raise ValueError("it ends before its last number")
            places[key] = slice(place + 8, place + 8 + size)
            place += 8 + size
        return content, lambda storage: _decode(np.frombuffer(self._bytes, np.uint8)[places[storage.key]], storage.dtype)


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


def _decode(raw: Array, dtype: str) -> Array:
    """Return numbers from their bytes; those of bfloat16 as float32, which has the same exponent and 16 bits more behind it."""
    raw = np.ascontiguousarray(raw)
    return (raw.view("<u2").astype("<u4") << 16).view("<f4") if dtype == BFLOAT16 else raw.view(dtype)


def _item_size(dtype: str) -> int:
    return 2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize


def _check_whole(numbers: tuple[Any, ...]) -> None:
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ValueError("a shape or an offset is not a whole number from 0 on")


class KerasFile(WeightFile):
    """A file of weights that Keras has written, which Keras itself reads: HDF5 without code, whose arrays have no names of their own."""

    def _open(self) -> None:
        with self.path.open("rb") as file:
            if file.read(8) != b"\x89HDF\r\n\x1a\n":
                raise ValueError("it is not a file of HDF5")

    def _values(self, name: str) -> Array:
        raise KeyError(name)


CONTAINERS: Mapping[str, type[WeightFile]] = {
    ".safetensors": SafetensorsFile,
    ".pth": TorchFile,
    ".pt": TorchFile,
    ".bin": TorchFile,
    ".h5": KerasFile,
}
"""Readers by the end of a file's name."""


class Checkpoint:
    """The weights of one network, in one file or in shards, and the `config.json` next to them."""

    def __init__(self, place: Path, files: tuple[Path, ...], config: Mapping[str, Any]) -> None:
        """Open the `files` of weights at `place`, a file or a folder. Raises RunError for a damaged file or a name in two of them."""
        self.place = place
        self.config = config
        self._file_of: dict[str, WeightFile] = {}
        self.paths = files
        for path in files:
            weights = CONTAINERS[path.suffix](path)
            if twice := sorted(self._file_of.keys() & weights.shapes):
                raise RunError(Problem(str(path), f"the weight `{twice[0]}` is also in another file of the folder.", "Keep one of them."))
            self._file_of |= dict.fromkeys(weights.shapes, weights)
        self.shapes = {name: file.shapes[name] for name, file in self._file_of.items()}
        """Shape of every array by its name."""

    def read(self, name: str) -> Array:
        """Return one array as float32."""
        return self._file_of[name].read(name)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the files' bytes: of several, of their digests in order."""
        digests = []
        for path in self.paths:
            with path.open("rb") as file:
                digests.append(file_digest(file, "sha256").hexdigest())
        return digests[0] if len(digests) == 1 else sha256("\n".join(digests).encode()).hexdigest()
