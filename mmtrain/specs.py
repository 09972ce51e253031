"""Encoded tensors by kind: a branch knows the spec of its input, never a column or a role.

Many column roles fold into few kinds, which keeps roles times architectures from multiplying. A kind is a registered spec class with
the fields of that kind; all that the package asks of a kind stands in its class: shape and type, what an absent value looks like, and
the vector that a dense layer reads.

| kind | tensor of one batch | example |
|---|---|---|
| `vector` | (batch, width) float32 | a number and its missing indicator |
| `index` | (batch, 1) int32 codes, 0 = missing, 1 = unseen | a category |
| `tokens` | (batch, length) int32 ids in reading order, 0 = padding | a text read word by word |
| `bag` | (batch, length) int32 ids, sorted, 0 = padding | a text as TF-IDF |
| `pieces` | (batch, length) int32 ids of a pretrained vocabulary | a text for a pretrained encoder |
| `sequence` | (batch, length, width) float32, zeros behind the last step | a series of measurements |
| `image` | (batch, height, width, channels) uint8 or uint16 | an image |
| `volume` | (batch, depth, height, width, channels) uint8 or uint16 | the slices of a scan |
| `set` | (batch, most, height, width, channels) uint8 or uint16 | several images, in an order without meaning |

    >>> kinds["image"] is ImageSpec
    True
    >>> ImageSpec(height=64, width=48, channels=1).shape
    (64, 48, 1)
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, ClassVar, Literal, Self, TypeAlias, TypeVar

from mmtrain.registry import Registry

Kind: TypeAlias = str
"""The name of a registered spec class."""
Tensor: TypeAlias = Any
"""A symbolic Keras tensor; Keras itself is not imported on this floor."""
NumberEncoding: TypeAlias = Literal["auto", "none", "quantile", "piecewise_linear", "periodic"]
"""The form in which a network reads a number; `auto` leaves it to the architecture."""


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

    def to_vector(self, tensor: Tensor) -> Tensor:
        """Return the vector, (batch, width), that a dense layer reads. Raises NotImplementedError for kinds that have none."""
        raise NotImplementedError(f"The kind {self.kind!r} has no vector for a dense layer.")


SpecClass = TypeVar("SpecClass", bound=type[TensorSpec])
kinds: Registry[type[TensorSpec]] = Registry("kind")


def kind(spec: SpecClass) -> SpecClass:
    """Register a spec class under its `kind`. Raises ValueError when another class has that name."""
    kinds.add(spec.kind, spec)
    return spec


@kind
@dataclass(frozen=True)
class VectorSpec(TensorSpec):
    """Numbers: (batch, width) float32."""

    kind: ClassVar[Kind] = "vector"
    stack: ClassVar[str] = "numbers"

    width: int
    embed: NumberEncoding = "none"
    """Encoding of the first number in the network."""
    edges: tuple[float, ...] = ()
    """Edges of the bins of the first number, increasing, as it is encoded; without them it cannot be divided into bins."""
    ranks: tuple[float, ...] = ()
    """Rank among training rows at each edge, 0 to 1."""
    few_rows: bool = False
    """True if training rows are too few for bins, in most architectures."""

    @property
    def shape(self) -> tuple[int, ...]:
        """One axis of numbers."""
        return (self.width,)

    @property
    def dtype(self) -> str:
        """Always float32."""
        return "float32"

    def mask(self, tensor: Tensor, present: Tensor) -> tuple[Tensor, Self]:
        """Return zeros where absent, and behind them 1 where absent, else 0: zero is also the value of an average number."""
        from mmtrain.layers.network import MaskedColumn

        return MaskedColumn(flag=True)(tensor, present), replace(self, width=self.width + 1)

    def to_vector(self, tensor: Tensor) -> Tensor:
        """Return the numbers as they are."""
        return tensor


class _Codes(TensorSpec):
    """Integer codes or ids, looked up in a table of vectors."""

    @property
    def dtype(self) -> str:
        """Always int32."""
        return "int32"


@kind
@dataclass(frozen=True)
class IndexSpec(_Codes):
    """One of several categories: (batch, 1) codes below `size`; 0 is missing."""

    kind: ClassVar[Kind] = "index"
    stack: ClassVar[str] = "categories"

    size: int
    """Number of codes, that of a missing and that of an unseen category included."""
    one_hot: bool = False
    """True if the code becomes a one-hot vector instead of a learned embedding."""
    embedding_width: int = 0
    """Width of the learned embedding; 0 chooses it from `size`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """A single code."""
        return (1,)

    @property
    def vector_width(self) -> int:
        """Width of the vector that `to_vector` gives."""
        return self.size if self.one_hot else self.embedding_width or default_embedding_width(self.size)

    def to_vector(self, tensor: Tensor) -> Tensor:
        """Return the one-hot vector, (batch, size), or a learned embedding, (batch, width)."""
        import keras

        if self.one_hot:
            return keras.layers.Flatten()(keras.layers.CategoryEncoding(self.size, output_mode="one_hot")(tensor))
        return keras.layers.Flatten()(keras.layers.Embedding(self.size, self.vector_width)(tensor))


def default_embedding_width(size: int) -> int:
    """Return min(50, (size + 1) // 2), the rule of thumb of Howard and Gugger (fastai, 2020).

    >>> default_embedding_width(10), default_embedding_width(10_000)
    (5, 50)
    """
    return min(50, (size + 1) // 2)


@kind
@dataclass(frozen=True)
class TokenSpec(_Codes):
    """A text in reading order: (batch, length) ids below `size`; 0 is padding, 1 a missing text."""

    kind: ClassVar[Kind] = "tokens"
    architecture_prefix: ClassVar[str] = "text"
    absent_first: ClassVar[int] = 1

    length: int
    size: int
    """Number of ids, the special ones included."""
    words: tuple[str, ...] = field(default=(), compare=False, repr=False)
    """The word of each of the last ids, in their order."""

    @property
    def shape(self) -> tuple[int, ...]:
        """An id per word."""
        return (self.length,)


@kind
@dataclass(frozen=True)
class BagSpec(_Codes):
    """A text as TF-IDF: (batch, length) ids, sorted; 0 is padding, 1 a missing text."""

    kind: ClassVar[Kind] = "bag"
    absent_first: ClassVar[int] = 1

    length: int
    idf: tuple[float, ...]
    """Inverse document frequency of each id."""

    @property
    def size(self) -> int:
        """Number of ids, the special ones included."""
        return len(self.idf)

    @property
    def shape(self) -> tuple[int, ...]:
        """An id per word."""
        return (self.length,)

    def project(self, tensor: Tensor, units: int, *, use_bias: bool) -> Tensor:
        """Return the TF-IDF vector, (batch, size), times a learned matrix: (batch, units). The vector itself is never built."""
        from mmtrain.layers.text_tokens import BagProjection

        return BagProjection(idf=list(self.idf), units=units, use_bias=use_bias)(tensor)


@dataclass(frozen=True)
class PixelSpec(TensorSpec):
    """Unsigned integers of `bits` bits, 0 for black."""

    height: int
    width: int
    channels: int
    bits: Literal[8, 16] = 8

    @property
    def dtype(self) -> str:
        """Either uint8 or uint16."""
        return f"uint{self.bits}"

    @property
    def levels(self) -> int:
        """The value of full brightness: 255 or 65535."""
        return int(2**self.bits) - 1


Pool: TypeAlias = Literal["mean", "max", "attention"]
"""The reduction of the vectors of a set's members to one vector."""


@kind
@dataclass(frozen=True)
class ImageSpec(PixelSpec):
    """Pixels: (batch, height, width, channels) unsigned integers of `bits` bits."""

    kind: ClassVar[Kind] = "image"
    architecture_prefix: ClassVar[str] = "image"

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width, channels."""
        return (self.height, self.width, self.channels)


@kind
@dataclass(frozen=True)
class VolumeSpec(PixelSpec):
    """Voxels: (batch, depth, height, width, channels) unsigned integers of `bits` bits."""

    kind: ClassVar[Kind] = "volume"

    depth: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Depth, height, width, channels."""
        return (self.depth, self.height, self.width, self.channels)


@kind
@dataclass(frozen=True)
class SetSpec(TensorSpec):
    """Up to `most` images: (batch, most, height, width, channels); a place without an image is all zeros.

    So a member is never all zeros: the first value of an entirely black image is 1, see `mmtrain.data.images.store`.
    """

    kind: ClassVar[Kind] = "set"
    several: ClassVar[bool] = True
    architecture_prefix: ClassVar[str] = "image"

    of: ImageSpec
    most: int
    pool: Pool = "mean"

    @property
    def shape(self) -> tuple[int, ...]:
        """Members, then the axes of one."""
        return (self.most, *self.of.shape)

    @property
    def member(self) -> ImageSpec:
        """One image."""
        return self.of

    @property
    def dtype(self) -> str:
        """The type of one member."""
        return self.of.dtype


@kind
@dataclass(frozen=True)
class SequenceSpec(TensorSpec):
    """A series: (batch, length, width) float32, zeros behind the last step.

    A step has `channels` numbers, then 1 or 0 for each of them that is there or not, and with `timed` its distance from the step before.
    """

    kind: ClassVar[Kind] = "sequence"
    architecture_prefix: ClassVar[str] = "sequence"

    length: int
    channels: int
    timed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Steps, and the numbers of each."""
        return (self.length, 2 * self.channels + int(self.timed))

    @property
    def dtype(self) -> str:
        """Always float32."""
        return "float32"


@kind
@dataclass(frozen=True)
class PieceSpec(_Codes):
    """A text in the pieces of a pretrained encoder: (batch, length) ids; `padding` is that of no piece."""

    kind: ClassVar[Kind] = "pieces"
    architecture_prefix: ClassVar[str] = "text"

    length: int
    size: int
    padding: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """An id per piece."""
        return (self.length,)


@dataclass(frozen=True)
class FeatureSpec(TensorSpec):
    """Features of a frozen encoder, in place of what it reads: (batch, views, width) float32; the first view is that of prediction.

    It is not a kind that a column declares: the training puts it in the place of a column's own spec.
    """

    kind: ClassVar[Kind] = "features"

    width: int
    views: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Views and width."""
        return (self.views, self.width)

    @property
    def dtype(self) -> str:
        """Always float32."""
        return "float32"


def layer_names(keys: Iterable[str], prefix: str = "") -> dict[str, str]:
    """A layer name for every key: TensorFlow allows letters, digits, `_`, `.` and `-` only, and no name twice."""
    names: dict[str, str] = {}
    for key in keys:
        plain = prefix + (re.sub(r"[^A-Za-z0-9_.-]+", "_", key).strip("_.-") or "unnamed")
        taken = set(names.values())
        # Different keys may have the same plain name.
        names[key] = next(name for number in count(1) if (name := plain if number == 1 else f"{plain}_{number}") not in taken)
    return names
