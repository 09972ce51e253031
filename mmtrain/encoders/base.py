"""Pretrained encoders: the contract of a family. `mmtrain.encoders.loading` loads the network of a model by its name.

An encoder is a Keras model from one encoded input, as a branch receives it, to a vector, (batch, width). A family builds the networks of
one design from a checkpoint: it recognizes the checkpoint, builds the layers, and lists for every layer the arrays it is made of. Reading,
the comparison of names and shapes, and the errors are the same for all families. Nothing is downloaded unless a user asks for it.

    @family("image")
    class Plain(Family):
        def recognize(self, checkpoint: Checkpoint, name: str) -> Any:
            return checkpoint.config.get("architecture") == "plain" or None

        def build(self, architecture: Any, spec: TensorSpec) -> Built:
            image, dense = keras.Input(spec.shape, dtype=spec.dtype), keras.layers.Dense(8)
            network = keras.Model(image, dense(keras.layers.Flatten()(image)))
            return Built(network, [Slot(dense, {"fc.weight": (8, 12), "fc.bias": (8,)}, lambda kernel, bias: [kernel.T, bias])])
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from mmtrain.errors import Problem, RunError
from mmtrain.registry import Registry
from mmtrain.specs import Kind, TensorSpec

if TYPE_CHECKING:
    from mmtrain.encoders.weights import Checkpoint

PREPROCESSOR, OPEN_CLIP = "preprocessor", "open_clip"
OTHER_CONFIGS = {PREPROCESSOR: "preprocessor_config.json", OPEN_CLIP: "open_clip_config.json"}
"""Files next to config.json, by the key of a checkpoint's config under which they are."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """A network with pretrained weights."""

    name: str
    """Name of the model, such as `efficientnet_lite0`."""
    network: Any
    """Keras model from the encoded input to the vector, (batch, width)."""
    width: int
    fingerprint: str
    """SHA-256 of the weights' files."""
    blocks: Sequence[Sequence[Any]] = ()
    """The layers with weights, from the input to the output, in groups that are tuned together."""
    design: str = ""
    """The architecture in a line: with the fingerprint, all that the features depend on but the input."""


@dataclass(frozen=True, eq=False)
class Slot:
    """The weights of one layer, and the arrays of a checkpoint that they are made of."""

    layer: Any
    """A Keras layer that is built."""
    arrays: Mapping[str, tuple[int, ...]]
    """Shape in the checkpoint of every array by its name."""
    convert: Callable[..., list[Any]]
    """Takes the arrays in this order, float32, and returns the values of `layer.weights`."""


@dataclass(frozen=True, eq=False)
class Built:
    """A network that a family has built, without its weights."""

    network: Any
    """Keras model as that of an `Encoder`."""
    slots: Sequence[Slot]
    """The weights of every layer that has any; empty where the family has put them in already."""
    blocks: Sequence[Sequence[Any]] = ()
    """The layers with weights, as those of an `Encoder`."""


class Family(ABC):
    """Networks of one design."""

    unused: ClassVar[tuple[str, ...]] = ()
    """Regular expressions of names of arrays that checkpoints of the family have and encoders do not need, such as `classifier[.].*`."""
    packages: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Python packages with weights, by name of the model: the package, and the path of the file that it installs."""
    hubs: ClassVar[Mapping[str, str]] = {}
    """Repositories of a model hub with weights, by name of the model; for messages, and for `mmtrain models download`."""
    has_text_tower: ClassVar[bool] = False
    """True for image towers whose vectors share a space with those of a text tower in the same checkpoint."""
    name: str = ""
    """The name that the family is registered under, set by `@family`."""
    kind: Kind = ""
    """The kind of input, set by `@family`."""

    def ignores(self, name: str) -> bool:
        """Return whether an array of a checkpoint is one that encoders do not need."""
        return any(re.fullmatch(pattern, name) for pattern in self.unused)

    @abstractmethod
    def recognize(self, checkpoint: Checkpoint, name: str) -> Any:
        """Return the architecture of a checkpoint as `build` takes it, or None when it is of another family.

        `name` is the name of the model that the user gave, or of the folder or file. May raise ValueError or TypeError for a config.json
        with other values than the family's.
        """

    def check(self, architecture: Any, spec: TensorSpec) -> None:  # noqa: B027 (most take inputs of any size)
        """Raise ValueError for inputs that a network of this architecture cannot read; without TensorFlow."""

    @abstractmethod
    def build(self, architecture: Any, spec: TensorSpec) -> Built:
        """Return the network of inputs of this spec, which `check` has seen, computed in float32. May raise ValueError, too."""


FamilyClass = TypeVar("FamilyClass", bound=type[Family])
families: Registry[Family] = Registry("family")


def family(kind: Kind, name: str = "") -> Callable[[FamilyClass], FamilyClass]:
    """Register a class as a family of encoders of inputs of `kind`; by default under the name of its module."""

    def register(class_: FamilyClass) -> FamilyClass:
        entry = class_()
        entry.name, entry.kind = name or class_.__module__.rpartition(".")[2], kind
        families.add(entry.name, entry)
        return class_

    return register


def read_json(path: Path, fix: str = "Fetch the model again.") -> Any:
    """Return the content of a JSON file of a model; None where it does not exist. Raises RunError for a damaged one, with `fix`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(Problem(str(path), f"it cannot be read as JSON: {error}.", fix)) from error


def read_json_map(path: Path, fix: str = "Fetch the model again.") -> dict[str, Any]:
    """Return the map in a JSON file; an empty one where it does not exist, or holds anything else. Raises as `read_json`."""
    values = read_json(path, fix)
    return values if isinstance(values, dict) else {}
