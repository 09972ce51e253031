"""`role: image`: the path of one image per row.

Encoded as kind `image`: (batch, height, width, channels) uint8, or uint16 with `bits: 16`. Images are decoded once,
before training, into an image store; no file is read a second time. A masked image is all zeros. The saved
model takes the bytes of image files, and decodes them by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, model_validator

from mmtrain.columns.base import ENCODER, ColumnEncoder, Content, Guess, role
from mmtrain.columns.cells import ImageCells
from mmtrain.columns.fitted_column import CellAttribution, CellReader, EncodingDescription, FittedColumn, RawInput, RowSource
from mmtrain.columns.image_cells import guess_images
from mmtrain.columns.input_column import InputColumn
from mmtrain.errors import counted
from mmtrain.image_decoding import MAX_PIXELS, Layout
from mmtrain.image_decoding.data_uri import from_data_uri, is_data_uri
from mmtrain.registry import Section
from mmtrain.specs import ImageSpec, Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile
    from mmtrain.columns.summaries.base import Accumulator

Side = Annotated[int, Field(ge=1, le=4096)]
Level = Annotated[int, Field(ge=0, le=255)]
Choice = BeforeValidator(lambda value: int(value) if isinstance(value, str) and value.isdecimal() else value)
"""Scalars of the file are text until a field says otherwise; pydantic's Literal compares without converting."""


def _suffix(text: str) -> str:
    """The end of a file's name. Without a dot it would be taken for an ending that it is not."""
    if text and "." not in text:
        raise ValueError(f"expected the end of file names with its dot; found {text!r}. Write `.{text}`.")
    if "/" in text or text != text.strip() or not text.isprintable():
        raise ValueError(f"{text!r} is not the end of a file name. Write what every cell lacks, `.jpg` for instance.")
    return text


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

    @property
    def changes_images(self) -> bool:
        """Return whether anything is changed at all."""
        return self.moves or self.recolours

    @property
    def moves(self) -> bool:
        """Return whether pixels change their place."""
        return self.flip != "none" or self.rotate > 0 or self.shift > 0 or self.zoom > 0

    @property
    def recolours(self) -> bool:
        """Return whether pixels change their value."""
        return self.brightness > 0 or self.contrast > 0 or self.color > 0 or self.erase > 0


def _file_bytes(cell: object) -> bytes:
    # Cells from Python; those of tables become images in `data.images`.
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, str) and is_data_uri(cell):
        return from_data_uri(cell)
    return Path(cell).read_bytes() if isinstance(cell, str | PathLike) and str(cell) else b""


GREY = 0.5
"""Brightness of a baseline where that of training images is not known."""
SIZED = {
    "stretch": "stretched to this size",
    "crop": "brought to the smallest size of its proportions that covers this one, and cut to it in the middle",
    "pad": "brought to the largest size of its proportions that fits into this one, and put in the middle of the background {background}",
}
"""Descriptions of `resize`."""


class FittedImage(FittedColumn):
    """Nothing is learned from images; this is how they look in the store."""

    attributed_to: ClassVar[Literal["regions"]] = "regions"
    decodes_images: ClassVar[bool] = True

    role: Literal["image"] = "image"
    height: Side
    width: Side
    channels: Literal[1, 3, 4]
    bits: Literal[8, 16]
    resize: Literal["stretch", "crop", "pad"]
    background: tuple[Level, Level, Level]
    max_pixels: PositiveInt

    @property
    def spec(self) -> ImageSpec:
        """(batch, height, width, channels)."""
        return ImageSpec(self.height, self.width, self.channels, self.bits)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """The bytes of one image file, empty for missing."""
        return {name: RawInput((1,), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """Return the bytes of image files, (rows, 1), empty for missing; a cell holds them itself, or is the path of a file."""
        import numpy as np

        return np.array([[_file_bytes(cell)] for cell in cells], dtype=object).reshape(-1, 1)

    def open(self, cells: CellReader) -> RowSource:
        """Return the image store: files are decoded once, before training."""
        return cells.images()

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Brightness and depth."""
        from mmtrain.columns.summaries.images import ImageAccumulator

        return ImageAccumulator(self.spec.levels)

    def baseline(self, learned: Any) -> np.ndarray[Any, Any]:
        """Return a plain image as bright as training images are on average: a black one would explain nothing by dark places."""
        import numpy as np

        levels = self.spec.levels
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
        colours = {1: "grey by ITU-R BT.601", 3: "red, green, blue", 4: "red, green, blue, opacity"}[self.channels]
        background = list(self.background)
        laid = "" if self.channels == 4 else f", transparent pixels laid on the background {background}"
        encoded = (
            f"{self.height} x {self.width} pixels ({colours}), 0 dark to {2**self.bits - 1} bright: turned upright by EXIF{laid}, and "
            f"{SIZED[self.resize].format(background=background)}, bilinear with antialias (`Image.Resampling.BILINEAR` of Pillow). "
            "A JPEG that is at least 2, 4 or 8 times as large, both ways, is decoded at 1/2, 1/4 or 1/8 first (`Image.draft`). "
            f"{'Samples of 8 bits count 257 times. ' if self.bits == 16 else ''}All 0 without an image."
        )
        return EncodingDescription("An image.", encoded, "1 if there is an image, else 0.", None)

    def preprocessing(self) -> Any:
        """Decodes files; a third output is the status of each, see `mmtrain.layers.image_decoding.STATUS`."""
        from mmtrain.layers.image_decoding import EncodeImage

        return EncodeImage(
            height=self.height,
            width=self.width,
            channels=self.channels,
            bits=self.bits,
            resize=self.resize,
            background=self.background,
            max_pixels=self.max_pixels,
        )


@role("image", fitted=FittedImage)
class Image(InputColumn):
    """An image: JPEG, PNG, BMP, GIF (first frame) or WebP (first frame), turned upright by its EXIF data."""

    content: ClassVar[Content] = "images"
    own_branch: ClassVar[bool] = True

    role: Literal["image"] = "image"
    suffix: Annotated[str, AfterValidator(_suffix)] = Field(
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
    resize: Literal["stretch", "crop", "pad"] = Field(
        "stretch",
        description="stretch: ignore the proportions; crop: fill and cut what sticks out; pad: fit and fill the rest with `background`.",
    )
    background: tuple[Level, Level, Level] = Field(
        (255, 255, 255), description="Red, green and blue under transparent pixels and in padding."
    )
    max_pixels: PositiveInt = Field(MAX_PIXELS, description="Larger images are refused before they are decoded.")
    missing: Literal["error", "drop", "mask"] = Field(
        "error",
        description="For an empty cell or a file that cannot be read. "
        "error: refuse; drop: leave the row out; mask: the branch goes without.",
    )
    augment: Augment = Augment()
    encoder: ColumnEncoder | None = ENCODER

    @model_validator(mode="after")
    def _deep_images_are_grey(self) -> Image:
        if self.bits == 16 and self.channels != 1:
            raise ValueError("`bits: 16` goes with `channels: 1`.")
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
    def empty_cells_drop_rows(self) -> bool:
        """Never: the file behind the cell decides as well, see `data.images.store`."""
        return False

    @property
    def image_cells(self) -> ImageCells:
        """Paths without `suffix`, and the size, channels and depth of images in the store."""
        layout = Layout(self.size, self.channels, self.bits, self.resize, self.background, self.max_pixels)
        return ImageCells(layout, self.suffix)

    @property
    def augmentation(self) -> Augment | None:
        """The section `augment`, if it changes anything."""
        return self.augment if self.augment.changes_images else None

    def declared_spec(self) -> ImageSpec:
        """Return the spec of the pixels."""
        return ImageSpec(*self.size, self.channels, self.bits)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedImage:  # noqa: ARG002
        """Nothing to learn."""
        return FittedImage(
            height=self.size[0],
            width=self.size[1],
            channels=self.channels,
            bits=self.bits,
            resize=self.resize,
            background=self.background,
            max_pixels=self.max_pixels,
        )
