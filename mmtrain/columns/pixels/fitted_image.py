"""A column of images after training: how they look in the store, and their raw input."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import PositiveInt

from mmtrain.columns.fitted_column import CellAttribution, CellReader, EncodingDescription, FittedColumn, RawInput, RowSource
from mmtrain.columns.pixels.pixel_input import GREY, Level, Side, described_pixels, described_window, levels_of
from mmtrain.errors import counted
from mmtrain.image_decoding import Layout, Window
from mmtrain.image_decoding.data_uri import from_data_uri, is_data_uri
from mmtrain.registry import Section
from mmtrain.specs import ImageSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator


def file_bytes(cell: object) -> bytes:
    """Return the bytes of an image: those of the cell, or of the file at its path; none for anything else."""
    # Cells from Python; those of tables become images in `data.images`.
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, str) and is_data_uri(cell):
        return from_data_uri(cell)
    return Path(cell).read_bytes() if isinstance(cell, str | PathLike) and str(cell) else b""


PRESENT = "1 if there is an image, else 0."
SIZED = {
    "stretch": "stretched to this size",
    "crop": "brought to the smallest size of its proportions that covers this one, and cut to it in the middle",
    "pad": "brought to the largest size of its proportions that fits into this one, and put in the middle of the background {background}",
}
"""Descriptions of `resize`."""


class FittedImage(FittedColumn):
    """Nothing is learned from images; this is how they look in the store."""

    attributed_to: ClassVar[Literal["regions"]] = "regions"

    role: Literal["image"] = "image"
    height: Side
    width: Side
    channels: Literal[1, 3, 4]
    bits: Literal[8, 16]
    resize: Literal["stretch", "crop", "pad"]
    background: tuple[Level, Level, Level]
    max_pixels: PositiveInt
    window: Window = "auto"
    slice: int | None = None
    takes: Literal["files", "pixels"] = "files"
    """Raw input of the saved model: the bytes of files, or their pixels where TensorFlow cannot decode the files."""

    @property
    def spec(self) -> ImageSpec:
        """(batch, height, width, channels)."""
        return ImageSpec(self.height, self.width, self.channels, self.bits)

    @property
    def decodes_images(self) -> bool:
        """True unless the saved model takes pixels."""
        return self.takes == "files"

    @property
    def layout(self) -> Layout:
        """The layout of the pixels in the store."""
        size = (self.height, self.width)
        return Layout(size, self.channels, self.bits, self.resize, self.background, self.max_pixels, self.window, self.slice)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """The bytes of one image file, empty for missing; or its brightness, (height, width, channels) from 0 to 1, NaN for missing."""
        return {name: RawInput((1,), "string") if self.decodes_images else RawInput(self.spec.member.shape, "float32")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """Return the bytes of image files, (rows, 1), empty for missing; a cell holds them itself, or is the path of a file.

        Where the saved model takes pixels: their brightness, (rows, height, width, channels).
        """
        import numpy as np

        if not self.decodes_images:
            return levels_of(cells, self.layout)
        return np.array([[file_bytes(cell)] for cell in cells], dtype=object).reshape(-1, 1)

    def open(self, cells: CellReader) -> RowSource:
        """Return the image store: files are decoded once, before training."""
        return cells.images()

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Brightness and depth."""
        from mmtrain.columns.summaries.images import ImageAccumulator

        return ImageAccumulator(self.spec.member.levels, several=self.spec.several)

    def baseline(self, learned: Any) -> np.ndarray[Any, Any]:
        """Return a plain image as bright as training images are on average: a black one would explain nothing by dark places."""
        import numpy as np

        levels = self.spec.member.levels
        # The brightness of training images is 0 to 1.
        image = np.full((1, *self.spec.shape), round((GREY if learned is None else learned.brightness) * levels), dtype=self.spec.dtype)
        if self.channels == 4:
            image[..., 3] = levels  # opaque
        return image

    def baseline_words(self, learned: Any) -> str:
        """Describe the baseline with its brightness."""
        if learned is None:
            return "a plain grey image"
        return f"a plain image as bright as training images are on average, {100 * learned.brightness:.0f} %"

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution:  # noqa: ARG002
        """Divide among three by three regions: `values` (height, width) belong to pixels; all of it for a smaller image than that."""
        import numpy as np

        if min(values.shape) < 3:
            return CellAttribution((("all", float(values.sum())),))
        # Nine regions with names: bands from top to bottom, each cut from left to right.
        bands = zip(("top", "", "bottom"), np.array_split(values, 3, axis=0), strict=True)
        regions = [
            (f"{down} {across}".strip() or "centre", float(field.sum()))
            for down, band in bands
            for across, field in zip(("left", "", "right"), np.array_split(band, 3, axis=1), strict=True)
        ]
        return CellAttribution(tuple(regions))

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:  # noqa: ARG002
        """The layout."""
        size = f"{self.height} × {self.width} pixels"
        return f"nothing; images of {size}, {counted(self.channels, 'channel')}, {self.bits} bits"

    def recipe(self) -> EncodingDescription:
        """Describe every step from a file to pixels, to be repeated in another program."""
        if not self.decodes_images:
            return EncodingDescription("An image.", described_pixels(self.spec.member, self.window), PRESENT, None)
        colours = {1: "grey by ITU-R BT.601", 3: "red, green, blue", 4: "red, green, blue, opacity"}[self.channels]
        background = list(self.background)
        laid = "" if self.channels == 4 else f", transparent pixels laid on the background {background}"
        encoded = (
            f"{self.height} x {self.width} pixels ({colours}), 0 dark to {2**self.bits - 1} bright: turned upright by EXIF{laid}, and "
            f"{SIZED[self.resize].format(background=background)}, bilinear with antialias (`Image.Resampling.BILINEAR` of Pillow). "
            "A JPEG that is at least 2, 4 or 8 times as large, both ways, is decoded at 1/2, 1/4 or 1/8 first (`Image.draft`). "
            f"{'Samples of 8 bits count 257 times. ' if self.bits == 16 and self.window == 'auto' else ''}"
            f"{'' if self.window == 'auto' else described_window(self.window) + ' '}All 0 without an image."
        )
        return EncodingDescription("An image.", encoded, PRESENT, None)

    def preprocessing(self) -> Any:
        """Decodes files; a third output is the status of each, see `mmtrain.layers.image_decoding.STATUS`."""
        from mmtrain.layers.image_decoding import EncodeImage, EncodePixels

        if not self.decodes_images:
            return EncodePixels(levels=self.spec.member.levels)

        return EncodeImage(
            height=self.height,
            width=self.width,
            channels=self.channels,
            bits=self.bits,
            resize=self.resize,
            background=self.background,
            max_pixels=self.max_pixels,
            window=self.window,
        )
