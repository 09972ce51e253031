"""The contract of a branch, and the registry of architectures.

A branch is a function `(inputs, *, options) -> Features` over `{column: Input}`. An input is the encoded tensor of a column, its
presence and its spec; the branch knows no column and no role. The keyword-only parameters are its options in the experiment file.

    @branch("image", most_columns=1, groups=("backbone", "head"))
    def small(inputs, *, width: Annotated[int, Field(ge=1)] = 32) -> Features:
        image = next(iter(inputs.values())).masked()
        convolution, dense = keras.layers.Conv2D(8, 3), keras.layers.Dense(width)
        maps = convolution(keras.ops.cast(image.tensor, "float32") / image.spec.levels)
        vector = dense(keras.layers.GlobalAveragePooling2D()(maps))
        return Features(vector, groups={"backbone": [convolution], "head": [dense]})

The branch itself masks what is absent. Where every column of a branch is absent, the fusion goes without the branch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from mmtrain.errors import Problem, UsageError, listed
from mmtrain.registry import OneOf, Registry, Section, options_of, section_for
from mmtrain.specs import Kind, Tensor, TensorSpec, kinds

Width = Annotated[int, Field(ge=1, le=16_384)]
Units = tuple[Width, ...]
Rate = Annotated[float, Field(ge=0, lt=1)]
Activation = Literal["relu", "gelu", "silu", "tanh", "elu", "selu", "linear"]
ActivationOption = Annotated[Activation, Field(description="Activation function of the layers.")]
DropoutOption = Annotated[Rate, Field(description="Dropout rate: the share of values that are set to 0 at random during training.")]


Spec = TypeVar("Spec", bound=TensorSpec)


@dataclass(frozen=True, eq=False)
class Input(Generic[Spec]):
    """One encoded column as a branch receives it."""

    tensor: Tensor
    """(batch, *spec.shape), of type `spec.dtype`."""
    present: Tensor | None
    """(batch, 1) float32, 0 where the column is absent; None where nothing can be absent while the branch is present."""
    spec: Spec

    def masked(self) -> Input[Spec]:
        """Return the input with the absent value of its kind wherever the column is absent; the spec may be another (`spec.mask`)."""
        if self.present is None:
            return self
        tensor, spec = self.spec.mask(self.tensor, self.present)
        return Input(tensor, None, spec)


@dataclass(frozen=True, eq=False)
class Features:
    """The output of a branch."""

    vector: Tensor
    """(batch, width)."""
    tokens: Tensor | None = None
    """(batch, length, width) for a fusion that attends to single tokens; a token of zeros is padding, as for `keras.layers.Masking`."""
    groups: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Layers by the name of their parameter group, such as `backbone` and `head`; stages of the training address them."""


class Branch(Section):
    """Options of every branch, whatever its architecture."""

    columns: tuple[str, ...] = Field(min_length=1, description="Keys under `columns` that this branch reads.")
    architecture: str = Field(description="The network of the branch. Left out: known from the columns.")

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the parameter groups inside the branch."""
        return architectures[self.architecture].groups

    def build(self, inputs: Mapping[str, Input[Any]]) -> Features:
        """Call the architecture's function with the options of this section.

        Raises UsageError when it returns anything but `Features` with the groups that it is registered with.
        """
        features = architectures[self.architecture].build(inputs, **options_of(self, Branch))
        where = f"architecture {self.architecture}"
        if not isinstance(features, Features):
            fix = "Return `Features(vector)`, from mmtrain.branches; it may also have `tokens` and `groups`."
            raise UsageError(Problem(where, f"the function returned {type(features).__name__}, not Features.", fix))
        if set(features.groups) != set(self.groups):
            what = f"it returned the parameter groups {_names(features.groups)}, and is registered with {_names(self.groups)}."
            listing = "".join(f'"{name}", ' for name in features.groups)
            raise UsageError(Problem(where, what, f"Register it with `@branch(..., groups=({listing.strip()}))`, or return those."))
        return features


def _names(groups: Sequence[str] | Mapping[str, Any]) -> str:
    return listed(list(groups)) if groups else "none"


@dataclass(frozen=True)
class Architecture:
    """A registered branch function, what it takes, and the parameter groups it names."""

    build: Callable[..., Features]
    kinds: tuple[Kind, ...]
    most_columns: int | None
    groups: tuple[str, ...]
    section: type[Branch]


architectures: Registry[Architecture] = Registry("architecture")


def branch(
    *takes: Kind, most_columns: int | None = None, groups: tuple[str, ...] = (), name: str = ""
) -> Callable[[Callable[..., Features]], Callable[..., Features]]:
    """Register a function as an architecture.

    Args:
        takes: Kinds of the tensors it can read.
        most_columns: Largest number of columns in one branch; None for any.
        groups: Names of the parameter groups that it returns.
        name: Name in the experiment file; by default that of the function.

    Raises ValueError for an unknown kind, TypeError for an option without type or default, UsageError for a function of another shape.
    """
    if not takes or not set(takes) <= set(kinds):
        raise ValueError(f"A branch takes one or more of the kinds {', '.join(kinds)}; received {takes}.")

    def register(function: Callable[..., Features]) -> Callable[..., Features]:
        key = name or function.__name__
        _check_signature(key, function)
        section = section_for(key, function, Branch)
        architectures.add(key, Architecture(function, takes, most_columns, groups, section))
        return function

    return register


def _check_signature(key: str, function: Callable[..., Features]) -> None:
    """Raise UsageError unless the function has one positional parameter; before, branches took two lists."""
    parameters = inspect.signature(function).parameters.values()
    positional = [one.name for one in parameters if one.kind not in (one.KEYWORD_ONLY, one.VAR_KEYWORD)]
    if len(positional) != 1:
        what = f"a branch takes its inputs as one map; this one takes ({', '.join(positional)})."
        shape = f"Write `def {function.__name__}(inputs, *, ...)`"
        fix = f"{shape}, read `inputs[column].tensor`, `.present` and `.spec`, return `Features(vector)`."
        raise UsageError(Problem(f"architecture {key}", what, fix))


def default_architecture(kind: Kind) -> str:
    """Return the architecture of a branch that names none, from the kind of its first column: the first one registered for it.

    Where none is registered for the kind, return the first of all, so that the check of kinds reports it.
    """
    return next((name for name, entry in architectures.items() if kind in entry.kinds), next(iter(architectures)))


AnyBranch = Annotated[Branch, OneOf("architecture", lambda: {name: entry.section for name, entry in architectures.items()})]
