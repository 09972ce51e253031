"""What a saved network may call by name. Keras makes an object of everything in config.json that has a class name.

Keras itself refuses Python code in the file (`safe_mode`), but it still imports modules of its own, and of some packages
beside it, by the names that the file gives, and makes layers that read files or start other programs. So the names are
looked up here first, in closed lists, without importing anything.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import keras

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
"""The modules that Keras writes into its files, and what may be taken from each."""

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
"""Layers of Keras that nothing here is made of, and that can do more than calculate."""

VALUES = ("__keras_tensor__", "__slice__", "__ellipsis__")
"""Plain values in the dress of objects. Arrays (`__numpy__`, `__tensor__`) are none of them: their type can blow them up."""

MOST_OBJECTS = 20_000
"""Of one network; an ordinary one has some hundreds."""


def wrong_objects(config: Any) -> Iterator[str]:
    """What config.json calls that it may not call, each in words; everything that Keras would make an object of is looked at."""
    for count, entry in enumerate(_objects(config)):
        if count == MOST_OBJECTS:
            yield f"it is made of more than {MOST_OBJECTS:,} objects"
            return
        if what := _wrong(entry):
            yield what


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Everything with a class name, wherever it is; without recursion, as the depth is the file's choice."""
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value and "config" in value:
                yield value
            waiting += reversed(value.values())
        elif isinstance(value, list):
            waiting += reversed(value)


def _wrong(entry: dict[str, Any]) -> str:
    """What is wrong with one object; empty when nothing is."""
    name, module, registered = entry["class_name"], entry.get("module"), entry.get("registered_name")
    if name in VALUES:
        return ""
    said = f"`{module}.{name}`" if module else f"`{name}`"
    if not all(part is None or isinstance(part, str) for part in (name, module, registered)):
        return f"it names {said}, which is no class"
    if entry.get("compile_config"):
        return f"it brings settings of a training with {said}"
    nodes = entry.get("inbound_nodes") or []
    if not isinstance(nodes, list) or any(not _takes_a_tensor(node) for node in nodes):
        return f"it calculates {said} of nothing while it is opened"
    key = entry["config"] if name == "function" else registered or name
    own = keras.saving.get_custom_objects().get(key) if isinstance(key, str) else None
    if own is not None:
        return "" if _of_one_package(own, module) else f"it names {said}, and `{key}` is not from there"
    return _wrong_in_keras(name, str(module), registered, said)


def _takes_a_tensor(node: Any) -> bool:
    """Whether a call in the network is of something in the network; Keras carries out any other at once, however large its result."""
    return any(entry["class_name"] == "__keras_tensor__" for entry in _objects(node))


def _wrong_in_keras(name: str, module: str, registered: str | None, said: str) -> str:
    if name in REFUSED:
        return f"it holds {said}, which is refused: {REFUSED[name]}"
    if registered not in (None, name):
        return f"it names {said}, registered as `{registered}`, which is not known here"
    return "" if _is_of_keras(name, module) else f"it names {said}, which is not known here"


def _of_one_package(own: Any, module: str | None) -> bool:
    """Whether a registered class or function comes from the package that the file says; Keras itself would not look."""
    return module is not None and module.partition(".")[0] == own.__module__.partition(".")[0]


def _is_of_keras(name: str, module: str) -> bool:
    """Whether Keras has the class, in that very module, and it only calculates. Nothing is imported to find out."""
    found = vars(sys.modules[module]).get(name) if module in KERAS and module in sys.modules else None
    return isinstance(found, type) and issubclass(found, KERAS[module])
