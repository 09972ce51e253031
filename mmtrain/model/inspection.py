"""A model file is looked through before Keras sees it, as it may come from a stranger.

What holds for a file that passes: opening it runs no code that came with it, imports nothing by a name it gives, unpickles
nothing, reads no other file, and takes no more memory than a small multiple of the file's size. What is not promised: that
the network is any good, that its calculation is small or quick, and that the libraries which read the file (HDF5, TensorFlow)
have no faults of their own.
"""

from __future__ import annotations

import io
import json
import math
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
from mmtrain.model.named_objects import wrong_objects

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
FILES = {"metadata.json", CONFIG, WEIGHTS}
PLAIN = "biufV"
"""Kinds of numbers that weights are made of, as NumPy calls them; V holds bfloat16."""
COPIES = 2
"""How many times its weights a network may be built with: of a wrapped layer Keras also builds the original, to copy it."""
CARE = "Do not use a file of unknown origin. Layers of your own are brought in with --code."


def inspect_model(path: Path) -> None:
    """Look through the file of a model. Raises RunError with what it holds that no model of ours does."""
    entries = archive.directory(path)
    problems = list(_wrong_entries(entries))
    if not problems:
        with archive.open_archive(path) as opened:
            config = _json(opened.read(CONFIG))
            problems = [f"{what}." for what in wrong_objects(config)] or list(_wrong_weights(opened.read(WEIGHTS)))
        problems = problems or list(_wrong_size(config, entries[WEIGHTS].file_size))
    if problems:
        unique = list(dict.fromkeys(problems))
        raise RunError([Problem(str(path), what, CARE) for what in unique[: archive.SHOWN]])


def _wrong_entries(entries: dict[str, zipfile.ZipInfo]) -> Iterator[str]:
    """Keras writes three entries and compresses none, so that a file cannot be larger inside than it is outside."""
    if missing := sorted(FILES - set(entries)):
        yield f"there is no {listed(missing)} in it, so it is no model."
    if strange := [repr(name) for name in sorted(set(entries) - FILES)]:
        yield f"it holds {listed(strange)}, which no model has."
    packed = [name for name, entry in entries.items() if entry.compress_type != zipfile.ZIP_STORED]
    if packed:
        yield f"it holds compressed files, which Keras never writes: {listed(packed)}."


def _json(content: bytes) -> Any:
    """None for what is no JSON, which is no object then."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _wrong_weights(content: bytes) -> Iterator[str]:
    """HDF5 can point into other files, unfold compressed values, and hold references and objects; weights do none of it."""
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            yield from _wrong_in_file(file)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        yield f"{WEIGHTS} cannot be read as weights: {first_line(error)}."


def _wrong_in_file(file: h5py.File) -> Iterator[str]:
    """Of an array that would not fit into the file HDF5 itself says so."""
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
    """Where in the file a group or an array begins."""
    return int(h5py.h5o.get_info(part.id).addr)


def _wrong_array(array: Any) -> str:
    if not isinstance(array, h5py.Dataset):
        return "is no array"
    if array.external or array.is_virtual:
        return "takes its values from another file"
    if array.dtype.kind not in PLAIN or array.dtype.names or array.dtype.hasobject:
        return "holds no numbers"
    if array.chunks is not None or array.id.get_storage_size() != array.nbytes:
        return "is compressed or not all there"
    return ""


def _wrong_size(config: Any, stored: int) -> Iterator[str]:
    """A few bytes of config.json can ask for any number of weights; a network that belongs to the file has those of the file."""
    try:
        with ThreadPoolExecutor(1) as thread:  # Keras keeps what it notes of a scope per thread: it ends with this one
            needed = thread.submit(_bytes_of_weights, config).result()
    except Exception as error:  # whatever it is that Keras, or a layer of someone's own, stumbles over: the file is the cause
        yield f"{CONFIG} describes no network: {first_line(error)}."
        return
    if needed > COPIES * stored:
        yield f"{CONFIG} asks for {format_bytes(needed)} of weights, and {WEIGHTS} has {format_bytes(stored)}."


def _bytes_of_weights(config: Any) -> int:
    """Of everything that the file has Keras build, in the network or beside it; no room is made here for a single weight."""
    with keras.StatelessScope(initialize_variables=False):
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    if not isinstance(model, keras.Model):
        raise TypeError("it is no model")
    # A layer that leads nowhere is built and forgotten: it is not among `model.variables`.
    built = get_global_attribute("uninitialized_variables", default=[])
    return sum(math.prod(weight.shape) * int(tf.as_dtype(weight.dtype).size) for weight in built)


def first_line(error: Exception) -> str:
    """What a library says of a file, without its full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
