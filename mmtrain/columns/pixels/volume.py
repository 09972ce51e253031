"""`role: volume`: a scan of many slices per row: a NIfTI file, a DICOM file of several frames, a folder of DICOM files, or a TIFF stack.

Encoded as kind `volume`: (batch, depth, height, width, channels) uint8, or uint16 with `bits: 16`. In the order of MONAI: the axes of the
patient, the spacing, the window, the size. Decoded once, like images; a masked volume is all zeros. TensorFlow decodes none of these
formats, so that the saved model takes voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt

from mmtrain.columns.base import Evidence, Guess, role
from mmtrain.columns.cells import ImageCells
from mmtrain.columns.fitted_column import CellAttribution, EncodingDescription
from mmtrain.columns.pixels.image_cells import VOLUME_ENDINGS, guess_by_endings
from mmtrain.columns.pixels.pixel_input import (
    Choice,
    FittedPixels,
    MissingOption,
    PixelColumn,
    Side,
    WindowOption,
    check_suffix,
    described_pixels,
)
from mmtrain.errors import counted
from mmtrain.image_decoding import Layout, Window
from mmtrain.registry import Section
from mmtrain.specs import Kind, VolumeSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile

MAX_VOXELS = 300_000_000
"""Voxels of the largest volume that is decoded, about 1,100 slices of 512 x 512."""


def _check_spacing(steps: tuple[float, ...]) -> tuple[float, ...]:
    if len(steps) not in (0, 3):
        raise ValueError(f"expected 3 distances in mm, of slices, rows and columns; found {len(steps)}.")
    return steps


class FittedVolume(FittedPixels):
    """Nothing is learned from volumes; this is how they look in the store."""

    noun: ClassVar[str] = "volume"

    role: Literal["volume"] = "volume"
    depth: Side
    height: Side
    width: Side
    channels: Literal[1, 3]
    bits: Literal[8, 16]
    resize: Literal["stretch", "crop", "pad"]
    spacing: tuple[PositiveFloat, ...]
    window: Window
    max_voxels: PositiveInt

    @property
    def spec(self) -> VolumeSpec:
        """(batch, depth, height, width, channels)."""
        return VolumeSpec(self.height, self.width, self.channels, self.bits, depth=self.depth)

    @property
    def layout(self) -> Layout:
        """The layout of the voxels in the store."""
        return Layout(
            (self.height, self.width),
            self.channels,
            self.bits,
            self.resize,
            max_pixels=self.max_voxels,
            window=self.window,
            depth=self.depth,
            spacing=self.spacing,
        )

    @property
    def attributed_axes(self) -> int:
        """Depth, height and width."""
        return 3

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution:  # noqa: ARG002
        """Divide the attributions of voxels (depth, height, width) among the lower, middle and upper third of the slices."""
        import numpy as np

        if len(values) < 3:
            return CellAttribution((("all", float(values.sum())),))
        thirds = zip(("lower slices", "middle slices", "upper slices"), np.array_split(values, 3), strict=True)
        return CellAttribution(tuple((name, float(part.sum())) for name, part in thirds))

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """The layout."""
        size = f"{self.depth} × {self.height} × {self.width} voxels"
        return f"nothing; volumes of {size}, {counted(self.channels, 'channel')}, {self.bits} bits"

    def recipe(self) -> EncodingDescription:
        """Describe the voxels; no program makes them of a file without mmtrain."""
        axes = "Slices run from the feet to the head, rows to the back, columns to the patient's left."
        encoded = f"{described_pixels(self.spec, self.window)} {axes}"
        return EncodingDescription("A volume.", encoded, "1 if there is a volume, else 0.", None)


@role("volume", fitted=FittedVolume)
class Volume(PixelColumn):
    """A scan of many slices: NIfTI, DICOM with several frames, a folder of DICOM files (one series), or a TIFF stack.

    Every volume is brought to the same axes: slices from the feet to the head, rows from the front to the back, columns from the
    patient's right to the left.
    """

    role: Literal["volume"] = "volume"
    suffix: Annotated[str, AfterValidator(check_suffix)] = Field("", description="What cells lack to be names, `.nii.gz` for instance.")
    size: tuple[Side, Side, Side] = Field((32, 64, 64), description="Slices, height and width in voxels that every volume is brought to.")
    spacing: Annotated[tuple[PositiveFloat, ...], AfterValidator(_check_spacing)] = Field(
        (),
        description="Distance of slices, rows and columns in mm that every volume is brought to; it is then cut or padded with black in "
        "the middle to `size`. Left out: `resize` decides.",
    )
    channels: Annotated[Literal[1, 3], Choice] = Field(1, description="1 grey, 3 colour.")
    bits: Annotated[Literal[8, 16], Choice] = Field(8, description="16 keeps 65,536 levels of grey.")
    window: WindowOption = "auto"
    resize: Literal["stretch", "crop", "pad"] = Field(
        "stretch",
        description="stretch: ignore the proportions; crop: fill and cut what sticks out; pad: fit and fill the rest with black. "
        "Proportions are those in mm.",
    )
    max_voxels: PositiveInt = Field(MAX_VOXELS, description="Larger volumes are refused before they are decoded.")
    missing: MissingOption = "error"

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by the ends of paths."""
        return guess_by_endings(profile, "volume", Evidence.FILES, VOLUME_ENDINGS, profile.images, "NIfTI volumes")

    @property
    def kind(self) -> Kind:
        """A volume."""
        return "volume"

    @property
    def image_cells(self) -> ImageCells:
        """Paths without `suffix`, or folders, and the layout of volumes in the store."""
        return ImageCells(self.fit([]).layout, self.suffix, folders=True)

    def declared_spec(self) -> VolumeSpec:
        """Return the spec of the voxels."""
        return self.fit([]).spec

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedVolume:  # noqa: ARG002
        """Nothing to learn."""
        depth, height, width = self.size
        return FittedVolume(
            depth=depth,
            height=height,
            width=width,
            channels=self.channels,
            bits=self.bits,
            resize=self.resize,
            spacing=self.spacing,
            window=self.window,
            max_voxels=self.max_voxels,
        )
