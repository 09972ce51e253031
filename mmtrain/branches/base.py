"""The contract of a branch, and the register of architectures.

A branch is a function `(inputs, specs, *, options) -> (batch, width)`. It gets the encoded tensors of its columns and what
may be known of them (`TensorSpec`), never a column or a role. Its keyword-only parameters are its options in the file.

A column with `missing: mask` that shares its branch with others arrives masked: where it is absent, a vector is all zeros and has a
last value of 1, codes and ids are those of a missing value, and an image is all zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field

from mmtrain.registry import OneOf, Registry, Section, options_of, section_for
from mmtrain.specs import Kind

Tensor: TypeAlias = Any
"""A symbolic Keras tensor; Keras itself is not imported on this floor."""

Width = Annotated[int, Field(ge=1, le=16_384)]
Units = tuple[Width, ...]
Rate = Annotated[float, Field(ge=0, lt=1)]
Activation = Literal["relu", "gelu", "silu", "tanh", "elu", "selu", "linear"]
ActivationOption = Annotated[Activation, Field(description="Activation function of the layers.")]
DropoutOption = Annotated[Rate, Field(description="Dropout rate: the share of values that are set to 0 at random during training.")]


class Branch(Section):
    """What every declared branch has, whatever its architecture."""

    columns: tuple[str, ...] = Field(min_length=1, description="Keys under `columns` that this branch reads.")
    architecture: str = Field(description="The network of the branch. Left out: known from the columns.")

    def build(self, inputs: list[Tensor], specs: list[Any]) -> Tensor:
        """Call the architecture's function with this section's options."""
        return architectures[self.architecture].build(inputs, specs, **options_of(self, Branch))


@dataclass(frozen=True)
class Architecture:
    """A registered branch function and what it takes."""

    build: Callable[..., Tensor]
    kinds: tuple[Kind, ...]
    most_columns: int | None
    section: type[Branch]


architectures: Registry[Architecture] = Registry("architecture")


def branch(*kinds: Kind, most_columns: int | None = None, name: str = "") -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Register a function as an architecture that takes tensors of these kinds, at most `most_columns` of them.

    Raises ValueError for a kind that does not exist, TypeError for an option without type or default.
    """
    unknown = set(kinds) - set(get_args(Kind))
    if unknown or not kinds:
        raise ValueError(f"A branch takes one or more of the kinds {', '.join(get_args(Kind))}; received {kinds}.")

    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        key = name or function.__name__
        section = section_for(key, function, Branch)
        architectures.add(key, Architecture(function, kinds, most_columns, section))
        return function

    return register


AnyBranch = Annotated[Branch, OneOf("architecture", lambda: {name: entry.section for name, entry in architectures.items()})]
