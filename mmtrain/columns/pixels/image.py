"""`role: image`: the path of one image per row.

Encoded as kind `image`: (batch, height, width, channels) uint8, or uint16 with `bits: 16`. Images are decoded once,
before training, into an image store; no file is read a second time. A masked image is all zeros. The saved
model takes the bytes of image files, and decodes them by the same rules; where training rows have files that TensorFlow cannot decode
(DICOM, NIfTI, TIFF, HEIC, AVIF), it takes the pixels that `mmtrain.image_decoding` makes of them instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt, model_validator

from mmtrain.columns.base import Guess, role
from mmtrain.columns.cells import ImageCells
from mmtrain.columns.input_column import ENCODER, ColumnEncoder
from mmtrain.columns.pixels.fitted_image import FittedImage
from mmtrain.columns.pixels.image_cells import MORE_ENDINGS, MORE_URIS, guess_images
from mmtrain.columns.pixels.pixel_input import Choice, Level, MissingOption, PixelColumn, Side, Slice, WindowOption, check_suffix
from mmtrain.image_decoding import MAX_PIXELS, Layout
from mmtrain.registry import Section
from mmtrain.specs import ImageSpec, Kind

if TYPE_CHECKING:
    import pandas as pd

    from mmtrain.columns.profile import Profile


class Augment(Section):
    """Random changes to the images of training rows, new in every epoch; never applied to validation or test rows."""

    flip: Literal["none", "horizontal", "vertical", "both"] = Field("none", description="Mirror each image with probability one half.")
    rotate: float = Field(0.0, ge=0, le=180, description="Turn by up to this many degrees either way.")
    shift: float = Field(0.0, ge=0, lt=1, description="Move by up to this share of the width and of the height.")
    zoom: float = Field(0.0, ge=0, lt=1, description="Enlarge or shrink by up to this share.")
    brightness: float = Field(0.0, ge=0, lt=1, description="Add up to this share of full brightness, or take it away.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Stretch or flatten the contrast by up to this share.")

    color: float = Field(
        0.0, ge=0, lt=1, description="Multiply red, green and blue, each with a factor of its own, by up to this share more or less."
    )
    erase: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Cover a rectangle of every other image with grey, with sides of up to this share of the image's "
        "(random erasing, Zhong et al. 2020, arXiv:1708.04896).",
    )
    shear: float = Field(0.0, ge=0, lt=90, description="Slant sideways by up to this many degrees either way.")
    channel_shift: float = Field(
        0.0, ge=0, lt=1, description="Add up to this share of full brightness to each channel, or take it away, to each another."
    )
    fill: Literal["nearest", "reflect", "wrap", "constant"] = Field(
        "nearest",
        description="What moves in from beyond the edge. nearest: the edge itself; reflect: the mirrored image; wrap: its other side; "
        "constant: `fill_value`.",
    )
    fill_value: float = Field(0.0, ge=0, le=1, description="Brightness of `fill: constant`, 0 black to 1 white.")
    policy: Literal["none", "rand_augment", "trivial_augment"] = Field(
        "none",
        description="Changes drawn from a list, besides the others. rand_augment: `operations` ones of strength `magnitude` (Cubuk et al. "
        "2020, arXiv:1909.13719); trivial_augment: one of random strength (Müller and Hutter 2021, arXiv:2103.10158). Both without "
        "equalizing histograms.",
    )
    operations: int = Field(2, ge=1, le=8, description="Changes to an image by `policy: rand_augment`.")
    magnitude: int = Field(9, ge=0, le=30, description="Their strength, 0 to 30.")

    @property
    def changes_images(self) -> bool:
        """Return whether anything is changed at all."""
        return self.moves or self.recolours

    @property
    def moves(self) -> bool:
        """Return whether pixels change their place."""
        return self.flip != "none" or max(self.rotate, self.shift, self.zoom, self.shear) > 0 or self.policy != "none"

    @property
    def recolours(self) -> bool:
        """Return whether pixels change their value."""
        return max(self.brightness, self.contrast, self.color, self.erase, self.channel_shift) > 0 or self.policy != "none"


@role("image", fitted=FittedImage)
class Image(PixelColumn):
    """An image: JPEG, PNG, BMP, GIF (first frame), WebP (first frame), TIFF, AVIF or HEIC, turned upright by its EXIF data.

    Or a slice of a DICOM or NIfTI file, in the window of its values.
    """

    role: Literal["image"] = "image"
    suffix: Annotated[str, AfterValidator(check_suffix)] = Field(
        "",
        description="What cells lack to be file names, `.jpg` for instance: the cell `ISIC_0001` then names ISIC_0001.jpg. "
        "Cells that end in it already stay as they are. Upper and lower case differ.",
    )
    size: tuple[Side, Side] = Field(
        (128, 128),
        description="Height and width in pixels that every image is brought to. "
        "A JPEG of twice the size or more is made smaller while it is decoded.",
    )
    channels: Annotated[Literal[1, 3, 4], Choice] = Field(3, description="1 grey, 3 colour, 4 colour with transparency.")
    bits: Annotated[Literal[8, 16], Choice] = Field(8, description="16 keeps the depth of 16-bit grey images.")
    window: WindowOption = "auto"
    slice: Literal["", "middle"] | Slice = Field(
        "",
        description="Slice, page or frame of a file with several, from 0; middle is the default. Where it is given, a cell may also name "
        "a folder: the files of one DICOM series, which are ordered by position.",
    )
    resize: Literal["stretch", "crop", "pad"] = Field(
        "stretch",
        description="stretch: ignore the proportions; crop: fill and cut what sticks out; pad: fit and fill the rest with `background`.",
    )
    background: tuple[Level, Level, Level] = Field(
        (255, 255, 255), description="Red, green and blue under transparent pixels and in padding."
    )
    max_pixels: PositiveInt = Field(MAX_PIXELS, description="Larger images are refused before they are decoded.")
    missing: MissingOption = "error"
    augment: Augment = Augment()
    encoder: ColumnEncoder | None = ENCODER

    @model_validator(mode="after")
    def _deep_images_are_grey(self) -> Image:
        if self.bits == 16 and self.channels != 1:
            raise ValueError("`bits: 16` goes with `channels: 1`.")
        if self.window != "auto" and self.channels == 4:
            raise ValueError("`window` goes with `channels: 1` or `channels: 3`.")
        return self

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by the ends of paths."""
        return guess_images(profile)

    @property
    def kind(self) -> Kind:
        """An image, or the numbers of its encoder."""
        return "vector" if self.encoder else "image"

    @property
    def image_cells(self) -> ImageCells:
        """Paths without `suffix`, and the size, channels and depth of images in the store."""
        number = self.slice if isinstance(self.slice, int) else None
        layout = Layout(self.size, self.channels, self.bits, self.resize, self.background, self.max_pixels, self.window, number)
        return ImageCells(layout, self.suffix, folders=self._has_slices)

    @property
    def _has_slices(self) -> bool:
        """True if cells name files of several slices."""
        return self.slice != ""

    @property
    def augmentation(self) -> Augment | None:
        """The section `augment`, if it changes anything."""
        return self.augment if self.augment.changes_images else None

    def declared_spec(self) -> ImageSpec:
        """Return the spec of the pixels."""
        return ImageSpec(*self.size, self.channels, self.bits)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedImage:
        """Learn nothing but whether TensorFlow can decode the files, by their names and by the options."""
        layout = self.image_cells.layout
        # No sample of a file that TensorFlow decodes is negative.
        scanned = isinstance(self.window, tuple) and self.window[0] < 0
        more = scanned or self._has_slices or self.suffix.lower().endswith(MORE_ENDINGS)
        for piece in cells:
            # A cell that holds a file may have megabytes: both ends of it say enough.
            starts, ends = piece.str.lstrip().str[:30].str.lower(), piece.str.rstrip().str[-10:].str.lower()
            more = more or bool(ends.str.endswith(MORE_ENDINGS).any() or starts.str.startswith(MORE_URIS).any())
        return FittedImage(
            height=self.size[0],
            width=self.size[1],
            channels=self.channels,
            bits=self.bits,
            resize=self.resize,
            background=self.background,
            max_pixels=self.max_pixels,
            window=self.window,
            slice=layout.slice,
            takes="pixels" if more else "files",
        )
