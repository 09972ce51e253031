"""The contract of a spec, and the registry of kinds."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from itertools import count
from typing import Any, ClassVar, Self, TypeAlias, TypeVar

from mmtrain.registry import Registry

Kind: TypeAlias = str
"""The name of a registered spec class."""
Tensor: TypeAlias = Any
"""A symbolic Keras tensor; Keras itself is not imported on this floor."""


class TensorSpec(ABC):
    """The description of one encoded tensor, without its batch axis; every kind is a frozen dataclass below this."""

    kind: ClassVar[Kind]
    absent_first: ClassVar[int] = 0
    """First value of an absent tensor; all others are 0."""
    stack: ClassVar[str] = ""
    """Name of the input that holds all columns of this kind side by side, see `mmtrain.input_layout`; empty: each is an input."""
    architecture_prefix: ClassVar[str] = ""
    """Prefix that names of architectures for this kind may have; experiment files may leave it out."""

    several: ClassVar[bool] = False
    """True for sets, whose members a network reads as a batch of their own, see `member`."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Axes of the tensor after the batch axis."""

    @property
    @abstractmethod
    def dtype(self) -> str:
        """NumPy name of the type of the values."""

    @property
    def member(self) -> Any:
        """Spec of what one network reads at a time: of a set that of its members."""
        return self

    def mask(self, tensor: Tensor, present: Tensor) -> tuple[Tensor, Self]:
        """Return `tensor` with the absent value of this kind where `present`, (batch, 1), is 0, and the spec of the result."""
        from mmtrain.layers.network import MaskedColumn

        return MaskedColumn(first=self.absent_first)(tensor, present), self


SpecClass = TypeVar("SpecClass", bound=type[TensorSpec])
kinds: Registry[type[TensorSpec]] = Registry("kind")


def kind(spec: SpecClass) -> SpecClass:
    """Register a spec class under its `kind`. Raises ValueError when another class has that name."""
    kinds.add(spec.kind, spec)
    return spec


def layer_names(keys: Iterable[str], prefix: str = "") -> dict[str, str]:
    """A layer name for every key: TensorFlow allows letters, digits, `_`, `.` and `-` only, and no name twice."""
    names: dict[str, str] = {}
    for key in keys:
        plain = prefix + (re.sub(r"[^A-Za-z0-9_.-]+", "_", key).strip("_.-") or "unnamed")
        taken = set(names.values())
        # Different keys may have the same plain name.
        names[key] = next(name for number in count(1) if (name := plain if number == 1 else f"{plain}_{number}") not in taken)
    return names
