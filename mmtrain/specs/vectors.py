"""Specs of float32 tensors: numbers, series, and features of encoders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, TypeAlias

from mmtrain.specs.base import Kind, Tensor, TensorSpec, kind

NumberEncoding: TypeAlias = Literal["auto", "none", "quantile", "piecewise_linear", "periodic"]
"""The form in which a network reads a number; `auto` leaves it to the architecture."""


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


@dataclass(frozen=True)
class SetFeatureSpec(FeatureSpec):
    """Features of the members of a set: (batch, most, views, width) float32, NaN in a place without a member."""

    kind: ClassVar[Kind] = "set_features"

    most: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Members, views and width."""
        return (self.most, self.views, self.width)


def feature_spec(spec: TensorSpec, width: int, views: int = 0) -> FeatureSpec:
    """Return the spec of features of this width, of an input and of its augmented `views`, in place of what an encoder reads.

    >>> from mmtrain.specs import ImageSpec, SetSpec
    >>> feature_spec(SetSpec(ImageSpec(8, 8, 3), most=5), 16).shape
    (5, 1, 16)
    """
    return SetFeatureSpec(width, 1 + views, most=spec.shape[0]) if spec.several else FeatureSpec(width, 1 + views)
