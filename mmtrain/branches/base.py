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

Numbers and categories reach a branch as stacks, one tensor for all columns of a kind. `inputs[column]` cuts a column out of its
stack; `stacked(inputs)` gives all of them at once, so that the layers of a branch do not grow in number with the columns.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from mmtrain.errors import Problem, UsageError, listed
from mmtrain.input_layout import InputLayout
from mmtrain.registry import OneOf, Registry, Section, options_of, section_for
from mmtrain.specs import IndexSpec, Kind, Tensor, TensorSpec, VectorSpec, kinds

if TYPE_CHECKING:
    from mmtrain.encoders import Encoder

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


class Inputs(Mapping[str, Input[Any]]):
    """The inputs of a branch by column; a column of a stack is cut out of it when it is asked for."""

    def __init__(self, layout: InputLayout, tensors: Mapping[str, Tensor], present: Mapping[str, Tensor], masked: Sequence[str]) -> None:
        """Take the tensors by input of `layout`, and the presence of those columns among `masked`, (batch, masked columns)."""
        self.layout, self.tensors, self.present, self.masked = layout, tensors, present, tuple(masked)
        self._columns: dict[str, Input[Any]] = {}

    def __getitem__(self, column: str) -> Input[Any]:
        if column not in self._columns:
            self._columns[column] = self._cut_out(column)
        return self._columns[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layout.specs)

    def __len__(self) -> int:
        return len(self.layout.specs)

    def masked_of(self, name: str) -> tuple[str, ...]:
        """Return the masked columns of an input, in the order of their presence."""
        return masked_of(self.layout, name, self.masked)

    def unread(self) -> list[str]:
        """Return the masked columns whose presence no layer reads: values under the mask would reach the output."""
        cuts = {column: one.present for column, one in self._columns.items() if one.present is not None}
        # A presence that was only cut up counts as read when a layer reads one of the cuts.
        whole = {name: _is_read(present, besides=list(cuts.values())) for name, present in self.present.items()}
        return [
            column for column in self.masked if not whole[self.layout.name_of(column)] and not (column in cuts and _is_read(cuts[column]))
        ]

    def _cut_out(self, column: str) -> Input[Any]:
        name, spec = self.layout.name_of(column), self.layout.specs[column]
        stack = self.layout.stack_of.get(column)
        if stack is None:
            return Input(self.tensors[name], self.present.get(name), spec)
        from mmtrain.layers.stacks import TakePlaces

        masked = self.masked_of(name)
        # (batch, 1) of this column, from (batch, masked columns of the stack)
        present = TakePlaces(places=[masked.index(column)])(self.present[name]) if column in masked else None
        return Input(TakePlaces(places=stack.values([column]))(self.tensors[name]), present, spec)


def masked_of(layout: InputLayout, name: str, masked: Collection[str]) -> tuple[str, ...]:
    """Return those of the masked columns that are in an input of a branch, in the order of its stack."""
    stacks = {stack.name: stack.columns for stack in layout.stacks}
    return tuple(column for column in stacks.get(name, (name,)) if column in masked)


def _is_read(tensor: Tensor, besides: Sequence[Tensor] = ()) -> bool:
    """Return whether a layer reads a tensor, `besides` those that made these tensors of it."""
    makers = {id(made._keras_history.operation) for made in besides}
    # Private in Keras: the nodes that take the output of the operation which made this tensor.
    return any(id(node.operation) not in makers for node in tensor._keras_history.operation._outbound_nodes)


@dataclass(frozen=True, eq=False)
class Stacked:
    """The inputs of a branch with all numbers in one tensor and all codes in another."""

    numbers: Tensor | None
    """(batch, sum of the widths of `number_specs`) float32; None without any."""
    number_specs: tuple[VectorSpec, ...]
    """Specs of the columns with numbers, in order."""
    codes: Tensor | None
    """(batch, len(code_specs)) int32; None without any."""
    code_specs: tuple[IndexSpec, ...]
    """Specs of the columns with codes, in order."""
    others: tuple[Input[Any], ...] = ()
    """Inputs of other kinds, masked."""

    @property
    def first_numbers(self) -> tuple[int, ...]:
        """Position of the first number of each column in `numbers`; flags and further numbers follow it."""
        ends = accumulate((spec.width for spec in self.number_specs), initial=0)
        return tuple(ends)[:-1]


def stacked(inputs: Mapping[str, Input[Any]]) -> Stacked:
    """Return the numbers and the codes of all columns, each as one tensor; absent columns are masked.

    A masked number is 0 where it is absent, and a flag of 1 follows it. The number of layers does not grow with that of columns.
    """
    numbers, number_specs = _stack_of(inputs, VectorSpec, flags=True)
    codes, code_specs = _stack_of(inputs, IndexSpec, flags=False)
    others = tuple(inputs[column].masked() for column, spec in _specs(inputs).items() if not isinstance(spec, VectorSpec | IndexSpec))
    return Stacked(numbers, number_specs, codes, code_specs, others)


def _specs(inputs: Mapping[str, Input[Any]]) -> Mapping[str, TensorSpec]:
    return inputs.layout.specs if isinstance(inputs, Inputs) else {column: one.spec for column, one in inputs.items()}


def _stack_of(inputs: Mapping[str, Input[Any]], kind: type[TensorSpec], *, flags: bool) -> tuple[Tensor | None, tuple[Any, ...]]:
    """Return the tensor of all columns of a kind and their specs, each one wider by its flag if it has one."""
    from mmtrain.layers.stacks import MaskStack

    # In the order of the layout, which sorts the columns of a stack.
    columns = sorted(column for column, spec in _specs(inputs).items() if isinstance(spec, kind))
    if not columns:
        return None, ()
    specs: list[Any] = [_specs(inputs)[column] for column in columns]
    # The stack is there already; a plain dict of inputs, as a test or a user passes, is put together.
    if isinstance(inputs, Inputs):
        name = inputs.layout.name_of(columns[0])
        tensor, present, masked = inputs.tensors[name], inputs.present.get(name), inputs.masked_of(name)
    else:
        shown = {column: inputs[column].present for column in columns if inputs[column].present is not None}
        tensor, present = _side_by_side([inputs[column].tensor for column in columns]), _side_by_side(list(shown.values()))
        masked = tuple(shown)
    if present is None:
        return tensor, tuple(specs)
    # Positions in the stack of the columns that can be absent.
    places = [columns.index(column) for column in masked]
    tensor = MaskStack(widths=[spec.shape[0] for spec in specs], masked=places, flags=flags)(tensor, present)
    for place in places if flags else ():
        specs[place] = replace(specs[place], width=specs[place].width + 1)
    return tensor, tuple(specs)


def _side_by_side(tensors: list[Tensor]) -> Tensor | None:
    from mmtrain.layers.stacks import SideBySide

    return SideBySide()(tensors) if len(tensors) > 1 else tensors[0] if tensors else None


@dataclass(frozen=True, eq=False)
class Features:
    """The output of a branch."""

    vector: Tensor
    """(batch, width), of an ensemble (batch, members, width)."""
    tokens: Tensor | None = None
    """(batch, length, width) for a fusion that attends to single tokens; a token of zeros is padding, as for `keras.layers.Masking`."""
    groups: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Layers by the name of their parameter group, such as `backbone` and `head`; stages of the training address them."""
    members: int = 0
    """Members of an ensemble inside the branch; 0 for none. Fusion, heads and losses see each member as a row of its own, and the
    prediction is the mean of the members'."""
    notes: tuple[str, ...] = ()
    """Sentences for the user about this network, printed before the training."""
    frozen: Tensor | None = None
    """(batch, width): the output of the frozen encoder that the branch is registered with. Trainings take it from the cache."""


class Branch(Section):
    """Options of every branch, whatever its architecture."""

    columns: tuple[str, ...] = Field(min_length=1, description="Keys under `columns` that this branch reads.")
    architecture: str = Field(description="The network of the branch. Left out: known from the columns.")

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the parameter groups inside the branch."""
        return architectures[self.architecture].groups

    def pretrained(self) -> Pretrained | None:
        """Return the pretrained encoder that the branch begins with; None for one that is trained from the beginning."""
        describe = architectures[self.architecture].pretrained
        return None if describe is None else describe(**options_of(self, Branch))

    def build(self, inputs: Mapping[str, Input[Any]]) -> Features:
        """Call the architecture's function with the options of this section.

        Raises UsageError when it returns anything but `Features` with the groups that it is registered with.
        """
        # Options of the section without those of every branch.
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
class Pretrained:
    """The encoder that a branch begins with, by name and files, and whether the training changes it."""

    reference: str
    weights: str = ""
    frozen: bool = True
    views: int = 0
    """Augmented views of every row that are cached next to the row itself."""

    def load(self, spec: TensorSpec, *, owner: str) -> Encoder:
        """Return the encoder of inputs of this spec. Raises RunError for missing, damaged or other weights.

        `owner` is the column: networks of two columns are two, as Keras cannot save a layer in two branches.
        """
        from mmtrain.encoders import load_encoder

        return load_encoder(self.reference, spec, weights=self.weights, owner=owner, shared=self.frozen)


def frozen_columns(branches: Mapping[str, Branch]) -> dict[str, Pretrained]:
    """Return the columns that a frozen encoder alone reads, each with the encoder: in a training, its features take their place."""
    readers = Counter(column for branch in branches.values() for column in branch.columns)
    frozen = {}
    for branch in branches.values():
        pretrained = branch.pretrained()
        if pretrained is not None and pretrained.frozen and len(branch.columns) == 1 and readers[branch.columns[0]] == 1:
            frozen[branch.columns[0]] = pretrained
    return frozen


@dataclass(frozen=True)
class Architecture:
    """A registered branch function, what it takes, and the parameter groups it names."""

    build: Callable[..., Features]
    kinds: tuple[Kind, ...]
    most_columns: int | None
    groups: tuple[str, ...]
    section: type[Branch]
    pretrained: Callable[..., Pretrained] | None = None


architectures: Registry[Architecture] = Registry("architecture")


def branch(
    *takes: Kind,
    most_columns: int | None = None,
    groups: tuple[str, ...] = (),
    name: str = "",
    pretrained: Callable[..., Pretrained] | None = None,
) -> Callable[[Callable[..., Features]], Callable[..., Features]]:
    """Register a function as an architecture.

    Args:
        takes: Kinds of the tensors it can read.
        most_columns: Largest number of columns in one branch; None for any.
        groups: Names of the parameter groups that it returns.
        name: Name in the experiment file; by default that of the function.
        pretrained: Takes the options, and says which pretrained encoder the branch begins with.

    The keyword-only parameters are the options of the section, with their types and ranges:

        >>> @branch("vector", most_columns=1)
        ... def doubled(inputs, *, factor: Annotated[float, Field(gt=0)] = 2.0):
        ...     return Features(next(iter(inputs.values())).masked().tensor * factor)
        >>> section = architectures["doubled"].section(columns=("age",), architecture="doubled", factor=3)
        >>> section.build({"age": Input(1.5, None, VectorSpec(1))}).vector
        4.5

    Raises ValueError for an unknown kind, TypeError for an option without type or default, UsageError for a function of another shape.
    """
    if not takes or not set(takes) <= set(kinds):
        raise ValueError(f"A branch takes one or more of the kinds {', '.join(kinds)}; received {takes}.")

    def register(function: Callable[..., Features]) -> Callable[..., Features]:
        key = name or function.__name__
        _check_signature(key, function)
        section = section_for(key, function, Branch)
        architectures.add(key, Architecture(function, takes, most_columns, groups, section, pretrained))
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
