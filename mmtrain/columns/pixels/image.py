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
from mmtrain.columns.pixels.image_augment import Augment
from mmtrain.columns.pixels.image_cells import MORE_ENDINGS, MORE_URIS, guess_images
from mmtrain.columns.pixels.pixel_input import Choice, Level, MissingOption, PixelColumn, Side, Slice, WindowOption, check_suffix
from mmtrain.image_decoding import MAX_PIXELS, Layout
from mmtrain.specs import ImageSpec, Kind

if TYPE_CHECKING:
    import pandas as pd

    from mmtrain.columns.profile import Profile


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
