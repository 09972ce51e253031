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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mmtrain.branches.inputs import Input, specs_of
from mmtrain.errors import Problem, UsageError, listed
from mmtrain.registry import OneOf, Registry, Section, options_of, section_for
from mmtrain.specs import Kind, SetSpec, Tensor, TensorSpec, kinds

if TYPE_CHECKING:
    from mmtrain.encoders import Encoder

Width = Annotated[int, Field(ge=1, le=16_384)]
Units = tuple[Width, ...]
Rate = Annotated[float, Field(ge=0, lt=1)]
Activation = Literal["relu", "gelu", "silu", "tanh", "elu", "selu", "linear"]
ActivationOption = Annotated[Activation, Field(description="Activation function of the layers.")]
DropoutOption = Annotated[Rate, Field(description="Dropout rate: the share of values that are set to 0 at random during training.")]


@dataclass(frozen=True, eq=False)
class LinearInputs:
    """Inputs of a linear model of the answers: encoded numbers and the codes of categories."""

    numbers: Tensor | None
    """(batch, width) floats; None without any."""
    codes: Tensor | None
    """(batch, columns) int32; None without any."""
    sizes: tuple[int, ...] = ()
    """Number of codes of each column of `codes`."""
    plain: int = 0
    """Last values of `numbers` that are numbers as they are; those before them are their bins."""


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
    linear: LinearInputs | None = None
    """Inputs of a linear model that is fitted before the training, and whose errors the network then learns. It takes effect where the
    branch is the only one, without an encoder, and the fusion passes its vector on unchanged."""
    encoder: Encoder | None = None
    """The pretrained encoder that the branch is registered with, as `Pretrained.load` returned it; its network, called on the column, is
    a layer of the branch. While it is frozen, trainings take its output from the cache."""


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

    def encoders(self, columns: Mapping[str, Any]) -> dict[str, Pretrained]:
        """Return the pretrained encoders of the branch by column: the one that it begins with, and those of `columns`, always frozen."""
        begins_with, options = self.pretrained(), {column: columns[column].vector_encoder for column in self.columns}
        first = {} if begins_with is None else {self.columns[0]: begins_with}
        return first | {column: Pretrained(option.model, option.weights) for column, option in options.items() if option is not None}

    def build(self, inputs: Mapping[str, Input[Any]]) -> Features:
        """Call the architecture's function with the options of this section.

        Raises UsageError when it returns anything but `Features` with the groups that it is registered with.
        """
        # Options of the section without those of every branch.
        build = partial(architectures[self.architecture].build, **options_of(self, Branch))
        features = over_members(build, inputs) if any(isinstance(spec, SetSpec) for spec in specs_of(inputs).values()) else build(inputs)
        where = f"architecture {self.architecture}"
        if not isinstance(features, Features):
            fix = "Return `Features(vector)`, from mmtrain.branches; it may also have `tokens` and `groups`."
            raise UsageError(Problem(where, f"the function returned {type(features).__name__}, not Features.", fix))
        if self.pretrained() is not None and features.encoder is None:
            what = "it is registered with a pretrained encoder, and returned none."
            raise UsageError(Problem(where, what, "Return `Features(vector, encoder=encoder)`."))
        if set(features.groups) != set(self.groups):
            what = f"it returned the parameter groups {_names(features.groups)}, and is registered with {_names(self.groups)}."
            listing = "".join(f'"{name}", ' for name in features.groups)
            raise UsageError(Problem(where, what, f"Register it with `@branch(..., groups=({listing.strip()}))`, or return those."))
        return features


def over_members(build: Callable[..., Features], inputs: Mapping[str, Input[Any]]) -> Features:
    """Return the features of the only input, a set: `build` reads its members as a batch, and their vectors are pooled by row.

    The members' vectors are the tokens of the branch.
    """
    from mmtrain.layers.sets import AttentionPool, FlattenMembers, PoolMembers, SpreadMembers

    ((column, one),) = inputs.items()
    masked = one.masked()
    members, shown = FlattenMembers()(masked.tensor)
    features = build({column: Input(members, None, one.spec.member)})
    if not isinstance(features, Features) or features.members:
        return features
    tokens = SpreadMembers()(features.vector, shown)
    pool = AttentionPool() if one.spec.pool == "attention" else PoolMembers(pool=one.spec.pool)
    return replace(features, vector=pool(tokens, shown), tokens=tokens, linear=None)


def _names(groups: Sequence[str] | Mapping[str, Any]) -> str:
    return listed(list(groups)) if groups else "none"


Tune = Literal["none", "lora", "last_blocks", "all", "auto"]
TuneOption = Annotated[
    Tune,
    Field(
        description="Weights of the encoder that the training changes. none: it is frozen, and its vectors are cached; lora: low-rank "
        "adapters in the last `blocks`, which the saved model has merged; last_blocks: those blocks; all. auto: lora if the time of a few "
        "steps says that it takes at most `minutes`, else none. Without `training.stages`, the last fifth of the epochs tunes; before, the "
        "encoder is frozen."
    ),
]
BlocksOption = Annotated[int, Field(ge=1, le=100, description="Blocks from the end that `tune: lora` and `tune: last_blocks` change.")]
RankOption = Annotated[int, Field(ge=1, le=1024, description="Rank of the adapters of `tune: lora`.")]
MinutesOption = Annotated[float, Field(gt=0, description="Maximum time of the tuning on this device with `tune: auto`, in minutes.")]


@dataclass(frozen=True)
class Pretrained:
    """The encoder that a branch begins with, by name and files, and the weights of it that the training changes."""

    reference: str
    weights: str = ""
    views: int = 0
    """Augmented views of every row that are cached next to the row itself, for the epochs in which the encoder is frozen."""
    tune: Tune = "none"
    blocks: int = 3
    rank: int = 16
    minutes: float = 15.0
    """Options of the branch, see `TuneOption` and those after it."""

    @property
    def frozen(self) -> bool:
        """True where no stage of the training changes the encoder."""
        return self.tune == "none"

    def load(self, spec: TensorSpec, *, owner: str) -> Encoder:
        """Return the encoder of inputs of this spec, with the weights trainable that are tuned: then it is new with each call.

        Of a set it is the encoder of its members.

        `owner` is the column: networks of two columns are two, as Keras cannot save a layer in two branches.

        Raises RunError for missing, damaged or other weights.
        """
        from mmtrain.encoders import load_encoder
        from mmtrain.encoders.tuning import tune

        encoder = load_encoder(self.reference, spec.member, weights=self.weights, owner=owner, shared=self.frozen)
        return tune(encoder, "lora" if self.tune == "auto" else self.tune, blocks=self.blocks, rank=self.rank)

    def load_frozen(self, spec: TensorSpec, *, owner: str) -> Encoder:
        """Return the encoder as `load` does, before any tuning: always the same one for an owner."""
        return replace(self, tune="none").load(spec, owner=owner)


def encoder_columns(branches: Mapping[str, Branch], columns: Mapping[str, Any]) -> dict[str, Pretrained]:
    """Return the columns that encoders alone read, each with its encoder: while it is frozen, its features take their place.

    They are those of `columns` with an `encoder` of their own, which is always frozen, and the only column of a branch that begins with
    an encoder.
    """
    readers = Counter(column for branch in branches.values() for column in branch.columns)
    return {
        column: pretrained
        for branch in branches.values()
        for column, pretrained in branch.encoders(columns).items()
        if columns[column].vector_encoder or (len(branch.columns) == 1 and readers[column] == 1)
    }


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
        takes: Kinds of the tensors it can read; one that reads a single image reads sets of images as well, see `over_members`.
        most_columns: Largest number of columns in one branch; None for any.
        groups: Names of the parameter groups that it returns.
        name: Name in the experiment file; by default that of the function.
        pretrained: Takes the options, and says which pretrained encoder the branch begins with.

    The keyword-only parameters are the options of the section, with their types and ranges:

        >>> from mmtrain.specs import VectorSpec
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
        # What reads an image reads each member of a set.
        kinds_read = (*takes, "set") if takes == ("image",) and most_columns == 1 else takes
        architectures.add(key, Architecture(function, kinds_read, most_columns, groups, section, pretrained))
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
