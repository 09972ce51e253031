"""Files of weights in the published formats, written without the libraries of those formats."""

import io
import json
import pickle
import struct
import zipfile
from typing import ClassVar

import numpy as np

SAFETENSORS = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "uint16": "BF16"}


def write_safetensors(path, arrays, change=lambda header: header):
    """A safetensors file of these arrays, by name; uint16 arrays are taken for the bytes of bfloat16. `change` may alter its table."""
    header, place, content = {"__metadata__": {"format": "pt"}}, 0, b""
    for name, array in arrays.items():
        header[name] = {"dtype": SAFETENSORS[str(array.dtype)], "shape": list(array.shape), "data_offsets": [place, place + array.nbytes]}
        content += np.ascontiguousarray(array).tobytes()
        place += array.nbytes
    table = json.dumps(change(header)).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(table)) + table + content)
    return path


class _Named:
    """A name that a pickle shall refer to, as `module.name`."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class _Rebuilt:
    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments


class _Storage:
    def __init__(self, kind, key, length):
        self.kind, self.key, self.length = kind, key, length


class _Pickler(pickle._Pickler):
    """Writes names without importing them, and storages as persistent ids, as torch.save does."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def persistent_id(self, value):
        if isinstance(value, _Storage):
            return ("storage", _Named("torch", value.kind), value.key, "cpu", value.length)
        return None

    def _save_named(self, value):
        self.write(pickle.GLOBAL + f"{value.module}\n{value.name}\n".encode())

    def _save_rebuilt(self, value):
        self.save(value.function)
        self.save(value.arguments)
        self.write(pickle.REDUCE)

    dispatch[_Named] = _save_named
    dispatch[_Rebuilt] = _save_rebuilt


STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage", "uint16": "BFloat16Storage"}


def _pickled(value):
    file = io.BytesIO()
    _Pickler(file, protocol=2).dump(value)
    return file.getvalue()


def _state(arrays, transposed=(), offset=0):
    """The state of a network as torch.save puts it into a pickle, and the storages by key."""
    state, storages = {}, {}
    for number, (name, array) in enumerate(arrays.items()):
        stored = np.array(array.T if name in transposed else array, order="C")
        key, strides = str(number), [step // array.itemsize for step in (stored.T if name in transposed else stored).strides]
        storages[key] = stored
        storage = _Storage(STORAGES[str(array.dtype)], key, stored.size)
        arguments = (storage, offset, tuple(array.shape), tuple(strides), False, {})
        state[name] = _Rebuilt(_Named("torch._utils", "_rebuild_tensor_v2"), arguments)
    return state, storages


def write_torch(path, arrays, *, wrapped="", extra=None, transposed=(), offset=0):
    """A PyTorch file, a zip archive: the arrays by name, under the key `wrapped` if given, next to `extra` things."""
    state, storages = _state(arrays, transposed, offset)
    content = {wrapped: state, **(extra or {})} if wrapped else {**state, **(extra or {})}
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", _pickled(content))
        archive.writestr("archive/byteorder", "little")
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
    return path


def write_legacy_torch(path, arrays):
    """The same as a stream, as PyTorch wrote it before version 1.6."""
    state, storages = _state(arrays)
    parts = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}, state, list(storages)]
    content = b"".join(map(_pickled, parts))
    path.write_bytes(content + b"".join(struct.pack("<q", array.size) + array.tobytes() for array in storages.values()))
    return path


NAMED = _Named


def resnet_arrays(widths=(4, 6), *, seed=0, stem=4, classes=3):
    """The arrays of a tiny ResNet of basic blocks, a stage for each width, in the naming of torchvision."""
    random, arrays = np.random.default_rng(seed), {}

    def convolution(name, norm, outputs, inputs, kernel):
        arrays[f"{name}.weight"] = random.normal(0, 0.5, (outputs, inputs, kernel, kernel)).astype(np.float32)
        for part in ("weight", "bias", "running_mean"):
            arrays[f"{norm}.{part}"] = random.normal(0.5, 0.5, outputs).astype(np.float32)
        arrays[f"{norm}.running_var"] = random.uniform(0.5, 2, outputs).astype(np.float32)
        arrays[f"{norm}.num_batches_tracked"] = np.array(7)

    convolution("conv1", "bn1", stem, 3, 7)
    inputs = stem
    for stage, width in enumerate(widths, start=1):
        name = f"layer{stage}.0"
        convolution(f"{name}.conv1", f"{name}.bn1", width, inputs, 3)
        convolution(f"{name}.conv2", f"{name}.bn2", width, width, 3)
        if stage > 1 or width != inputs:
            convolution(f"{name}.downsample.0", f"{name}.downsample.1", width, inputs, 1)
        inputs = width
    arrays["fc.weight"], arrays["fc.bias"] = np.ones((classes, inputs), np.float32), np.zeros(classes, np.float32)
    return arrays


def tiny_resnet(folder, **options):
    """A folder with a tiny ResNet as a hub gives it: config.json and model.safetensors."""
    path = folder / "tiny_resnet"
    write_safetensors(path / "model.safetensors", resnet_arrays(**options))
    (path / "config.json").write_text(json.dumps({"architecture": "resnet6"}), encoding="utf-8")
    return path
