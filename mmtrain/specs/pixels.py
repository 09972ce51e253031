"""Specs of pixels: an image, the slices of a scan, several images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from mmtrain.specs.base import Kind, TensorSpec, kind


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
