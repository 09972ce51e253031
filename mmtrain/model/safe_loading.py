"""Inspection of a model file before Keras opens it, as it may come from a stranger.

Guarantees for a file that passes: opening it runs no code that came with it, imports nothing by a name it gives, unpickles nothing,
reads no other file, and takes no more memory than a small multiple of the file's size. Not guaranteed: that the network is any good,
that its calculation is small or quick, and that the libraries which read the file (HDF5, TensorFlow) have no faults of their own.

Keras makes an object of everything in config.json that has a class name. It refuses Python code (`safe_mode`), but still imports modules
of its own and of some other packages by the names in the file, and makes layers that read files or start other programs. So the names
are looked up here first, in closed lists, without importing anything.
"""

from __future__ import annotations

import io
import json
import math
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import keras
import tensorflow as tf
from keras.src.backend.common.global_state import get_global_attribute

from mmtrain.artifacts import archive
from mmtrain.config.byte_size import format_bytes
from mmtrain.errors import Problem, RunError, listed

KERAS: dict[str, tuple[type, ...]] = {
    "keras.layers": (keras.layers.Layer,),
    "keras.initializers": (keras.initializers.Initializer,),
    "keras.regularizers": (keras.regularizers.Regularizer,),
    "keras.constraints": (keras.constraints.Constraint,),
    "keras.dtype_policies": (keras.dtype_policies.DTypePolicy, keras.dtype_policies.DTypePolicyMap),
    "keras": (keras.Model, keras.dtype_policies.DTypePolicy),
    "keras.src.models.functional": (keras.Model,),
    **{f"keras.src.ops.{name}": (keras.Operation,) for name in ("core", "image", "linalg", "math", "nn", "numpy")},
}
"""Modules that Keras writes into its files, and the base classes allowed from each."""

REFUSED = {
    "Lambda": "it holds Python code",
    "TFSMLayer": "it loads another file",
    "TorchModuleWrapper": "it unpickles",
    "JaxLayer": "it holds code",
    "FlaxLayer": "it holds code",
    "TextVectorization": "it can read any file",
    "StringLookup": "it can read any file",
    "IntegerLookup": "it can read any file",
    "STFTSpectrogram": "its tables can be of any size",
    "MelSpectrogram": "its tables can be of any size",
}
"""Layers of Keras that no branch uses and that can do more than calculate, with the reason."""

VALUE_CLASSES = ("__keras_tensor__", "__slice__", "__ellipsis__")
"""Plain values that are stored as objects. Arrays (`__numpy__`, `__tensor__`) are not allowed: their type sets their size."""

MOST_OBJECTS = 20_000
"""Objects in one network; an ordinary one has some hundreds."""


def wrong_objects(config: Any) -> Iterator[str]:
    """Yield a phrase for every object in config.json that is not allowed; covers everything that Keras would make an object of."""
    for count, entry in enumerate(_objects(config)):
        if count == MOST_OBJECTS:
            yield f"it is made of more than {MOST_OBJECTS:,} objects"
            return
        if what := _wrong(entry):
            yield what


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Yield everything with a class name, at any depth; without recursion, as a file could nest deeper than the stack."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value and "config" in value:
                yield value
            # A stack returns the last entry first; reversed, problems come in the order of the file.
            waiting += reversed(value.values())
        elif isinstance(value, list):
            waiting += reversed(value)


def _wrong(entry: dict[str, Any]) -> str:
    """Return why one object is not allowed; empty when it is."""
    name, module, registered = entry["class_name"], entry.get("module"), entry.get("registered_name")
    if name in VALUE_CLASSES:
        return ""
    quoted = f"`{module}.{name}`" if module else f"`{name}`"
    if not all(part is None or isinstance(part, str) for part in (name, module, registered)):
        return f"it names {quoted}, which is not a class"
    if entry.get("compile_config"):
        return f"it brings settings of a training with {quoted}"
    nodes = entry.get("inbound_nodes") or []
    if not isinstance(nodes, list) or any(not _takes_a_tensor(node) for node in nodes):
        return f"it calculates {quoted} of nothing while it is opened"
    # For a function, Keras writes its name into `config` and "function" into `class_name`.
    key = entry["config"] if name == "function" else registered or name
    registered_object = keras.saving.get_custom_objects().get(key) if isinstance(key, str) else None
    if registered_object is not None:
        return "" if _of_one_package(registered_object, module) else f"it names {quoted}, and `{key}` is not from there"
    return _wrong_in_keras(name, str(module), registered, quoted)


def _takes_a_tensor(node: Any) -> bool:
    """Return whether a call takes a tensor of the network; Keras executes any other call at once, however large its result."""
    return any(entry["class_name"] == "__keras_tensor__" for entry in _objects(node))


def _wrong_in_keras(name: str, module: str, registered: str | None, quoted: str) -> str:
    if name in REFUSED:
        return f"it holds {quoted}, which is refused: {REFUSED[name]}"
    if registered not in (None, name):
        return f"it names {quoted}, registered as `{registered}`, which is not known here"
    return "" if _is_of_keras(name, module) else f"it names {quoted}, which is not known here"


def _of_one_package(registered_object: Any, module: str | None) -> bool:
    """Return whether a registered class or function comes from the package that the file names; Keras itself does not check."""
    return module is not None and module.partition(".")[0] == registered_object.__module__.partition(".")[0]


def _is_of_keras(name: str, module: str) -> bool:
    """Return whether Keras has the class in that very module, and it only calculates; nothing is imported to find out."""
    # `vars` instead of `getattr`: a lazy module would import what is asked for.
    class_ = vars(sys.modules[module]).get(name) if module in KERAS and module in sys.modules else None
    return isinstance(class_, type) and issubclass(class_, KERAS[module])


CONFIG, WEIGHTS = "config.json", "model.weights.h5"
FILES = {"metadata.json", CONFIG, WEIGHTS}
WEIGHT_KINDS = "biufV"
"""NumPy kinds of weights; V holds bfloat16."""
BUILD_COPIES = 2
"""Most times that building a network may allocate its weights: of a wrapped layer Keras also builds the original, to copy it."""
ORIGIN_FIX = "Do not use a file of unknown origin. Layers of your own are brought in with --code."


def inspect_model(path: Path) -> None:
    """Inspect the file of a model. Raises RunError with everything in it that no model of mmtrain has."""
    entries = archive.directory(path)
    problems = list(_wrong_entries(entries))
    if not problems:
        with archive.open_archive(path) as model_archive:
            config = _json(model_archive.read(CONFIG))
            problems = [f"{what}." for what in wrong_objects(config)] or list(_wrong_weights(model_archive.read(WEIGHTS)))
        problems = problems or list(_wrong_size(config, entries[WEIGHTS].file_size))
    if problems:
        unique = list(dict.fromkeys(problems))
        raise RunError([Problem(str(path), what, ORIGIN_FIX) for what in unique[: archive.SHOWN]])


def _wrong_entries(entries: dict[str, zipfile.ZipInfo]) -> Iterator[str]:
    """Yield problems of the archive: Keras writes three entries and compresses none, so content cannot be larger than the file."""
    if missing := sorted(FILES - set(entries)):
        yield f"there is no {listed(missing)} in it, so it is not a model."
    if strange := [repr(name) for name in sorted(set(entries) - FILES)]:
        yield f"it holds {listed(strange)}, which no model has."
    packed = [name for name, entry in entries.items() if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        yield f"it holds compressed files, which Keras never writes: {listed(packed)}."


def _json(content: bytes) -> Any:
    """Return the parsed content; None for invalid JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _wrong_weights(content: bytes) -> Iterator[str]:
    """Yield problems of the weights: HDF5 can point into other files, compress, and hold references and objects; weights do not."""
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            yield from _wrong_in_file(file)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        yield f"{WEIGHTS} cannot be read as weights: {first_line(error)}."


def _wrong_in_file(file: h5py.File) -> Iterator[str]:
    """Yield problems of groups and arrays. HDF5 itself reports an array that would not fit into the file."""
    waiting = [file["/"]]
    known = {_address(file["/"])}
    while waiting:
        group = waiting.pop()
        for name in group:
            where = f"{WEIGHTS} holds `{group.name.rstrip('/')}/{name}`, which"
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                yield f"{where} is a link to somewhere else."
                continue
            inside = group[name]
            if _address(inside) in known:  # a group may even hold itself
                yield f"{where} is there under another name."
            elif isinstance(inside, h5py.Group):
                waiting.append(inside)
            elif what := _wrong_array(inside):
                yield f"{where} {what}."
            known.add(_address(inside))


def _address(part: Any) -> int:
    """Return where in the file a group or an array begins."""
    return int(h5py.h5o.get_info(part.id).addr)


def _wrong_array(array: Any) -> str:
    if not isinstance(array, h5py.Dataset):
        return "is not an array"
    if array.external or array.is_virtual:
        return "takes its values from another file"
    if array.dtype.kind not in WEIGHT_KINDS or array.dtype.names or array.dtype.hasobject:
        return "does not hold numbers"
    # Chunks may be compressed, and a sparse array has more values than bytes in the file: either could fill the memory.
    if array.chunks is not None or array.id.get_storage_size() != array.nbytes:
        return "is compressed or incomplete"
    return ""


def _wrong_size(config: Any, stored: int) -> Iterator[str]:
    """Yield a problem when config.json asks for more weights than the file has: a few bytes there can ask for any number."""
    try:
        with ThreadPoolExecutor(1) as thread:  # Keras keeps the state of a scope per thread; it ends with this one
            needed = thread.submit(_bytes_of_weights, config).result()
    except Exception as error:  # any error of Keras or of a user's layer: the file is the cause
        yield f"{CONFIG} does not describe a network: {first_line(error)}."
        return
    if needed > BUILD_COPIES * stored:
        yield f"{CONFIG} asks for {format_bytes(needed)} of weights, and {WEIGHTS} has {format_bytes(stored)}."


def _bytes_of_weights(config: Any) -> int:
    """Return the bytes of all weights that the file makes Keras build, in the network or next to it; none is allocated here."""
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise TypeError("it is not a model")
    # A layer without a consumer is built too, but is not among `model.variables`.
    built = get_global_attribute("uninitialized_variables", default=[])
    return sum(math.prod(weight.shape) * int(tf.as_dtype(weight.dtype).size) for weight in built)


def first_line(error: Exception) -> str:
    """Return the first line of a library's message, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
