"""Options and raw inputs that images and volumes share.

A saved model takes pixels of image files that TensorFlow cannot decode: their brightness from 0 to 1, at the size and in the window of
the column.
"""

from __future__ import annotations

from abc import abstractmethod
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from mmtrain.columns.base import Content
from mmtrain.columns.fitted_column import CellReader, FittedColumn, RawInput, RowSource
from mmtrain.columns.input_column import InputColumn
from mmtrain.image_decoding import Layout, UnreadableImage, Window, read
from mmtrain.image_decoding.data_uri import from_data_uri, is_data_uri
from mmtrain.image_decoding.decoded_image import MissingReader
from mmtrain.specs import PixelSpec

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator

GREY = 0.5
"""Brightness of a baseline where that of training rows is not known."""

Side = Annotated[int, Field(ge=1, le=4096)]
Slice = Annotated[int, Field(ge=0, le=100_000)]
Level = Annotated[int, Field(ge=0, le=255)]
Choice = BeforeValidator(lambda value: int(value) if isinstance(value, str) and value.isdecimal() else value)
"""Scalars of the file are text until a field says otherwise; pydantic's Literal compares without converting."""


def check_suffix(text: str) -> str:
    """Return the end of a file's name. Without a dot it would be taken for an ending that it is not."""
    if text and "." not in text:
        raise ValueError(f"expected the end of file names with its dot; found {text!r}. Write `.{text}`.")
    if "/" in text or text != text.strip() or not text.isprintable():
        raise ValueError(f"{text!r} is not the end of a file name. Write what every cell lacks, `.jpg` for instance.")
    return text


def _window(window: Window) -> Window:
    if isinstance(window, tuple) and window[0] >= window[1]:
        raise ValueError(f"expected [low, high], low first; found [{window[0]:g}, {window[1]:g}].")
    return window


WindowOption = Annotated[
    Window,
    AfterValidator(_window),
    Field(
        description="Values between black and white. [low, high]: in the unit of the file, of CT Hounsfield units, [-160, 240] for "
        "instance; percentile: the 0.5th to the 99.5th percentile of each image; auto: of DICOM and NIfTI what the file says, else those "
        "percentiles, of all others the full range."
    ),
]
"""The option `window` of images and volumes."""


MissingOption = Annotated[
    Literal["error", "drop", "mask"],
    Field(
        description="For an empty cell or a file that cannot be read. "
        "error: refuse; drop: leave the row out; mask: the branch goes without."
    ),
]
"""The option `missing` of columns of files."""


class PixelColumn(InputColumn):
    """A column whose cells name files that become pixels."""

    content: ClassVar[Content] = "images"
    own_branch: ClassVar[bool] = True

    @property
    def empty_cells_drop_rows(self) -> bool:
        """Never: the file behind the cell decides as well, see `data.images.store`."""
        return False


def described_window(window: Window) -> str:
    """Describe a window in a sentence."""
    if isinstance(window, tuple):
        return f"Values up to {window[0]:g} are black, from {window[1]:g} on white, linear between."
    if window == "percentile":
        return "Black is the 0.5th percentile of the image's values, white the 99.5th, linear between."
    return "Black and white are those of the file's own window, without one the 0.5th and the 99.5th percentile, linear between."


def described_pixels(spec: PixelSpec, window: Window) -> str:
    """Describe pixels that a program cannot make of files without mmtrain."""
    sides = " x ".join(map(str, spec.shape[:-1]))
    return f"{sides} pixels, 0 dark to {spec.levels} bright, decoded by mmtrain. {described_window(window)} All 0 without an image."


RAW_PIXELS = (
    "The brightness of the pixels from 0 (black) to 1 (white), decoded by mmtrain, as TensorFlow cannot: `mmtrain.image_decoding.read` "
    "with the column's `layout`, divided by its `top`. NaN throughout if missing."
)
"""Description of a raw input of pixels."""


class FittedPixels(FittedColumn):
    """A column of files that TensorFlow cannot decode: the saved model takes their pixels, and nothing is learned from them."""

    attributed_to: ClassVar[Literal["regions"]] = "regions"
    noun: ClassVar[str] = "image"

    @property
    @abstractmethod
    def spec(self) -> PixelSpec:
        """The pixels in the store."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The layout of the pixels in the store."""

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """The brightness of the pixels, (*spec.shape) from 0 to 1, NaN for missing."""
        return {name: RawInput(self.spec.shape, "float32")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """Return the brightness of what cells name, (rows, *spec.shape)."""
        return levels_of(cells, self.layout)

    def open(self, cells: CellReader) -> RowSource:
        """Return the image store: files are decoded once, before training."""
        return cells.images()

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Brightness."""
        from mmtrain.columns.summaries.images import ImageAccumulator

        return ImageAccumulator(self.spec.levels)

    def baseline(self, learned: Any) -> np.ndarray[Any, Any]:
        """Return pixels of one level, as bright as those of training rows on average."""
        import numpy as np

        level = round((GREY if learned is None else learned.brightness) * self.spec.levels)
        return np.full((1, *self.spec.shape), level, dtype=self.spec.dtype)

    def baseline_words(self, learned: Any) -> str:
        """Describe the baseline with its brightness."""
        if learned is None:
            return f"a plain grey {self.noun}"
        return f"a plain {self.noun} as bright as training {self.noun}s are on average, {100 * learned.brightness:.0f} %"

    def preprocessing(self) -> Any:
        """Rounds brightness to the levels of the store."""
        from mmtrain.layers.image_decoding import EncodePixels

        return EncodePixels(levels=self.spec.levels)


def levels_of(cells: Iterable[object], layout: Layout) -> np.ndarray[Any, Any]:
    """Return the brightness of the images that cells name or hold, (cells, *layout.shape) float32 from 0 to 1, NaN without an image.

    Raises:
        MissingReader: the packages that read an image are not installed.

    """
    import numpy as np

    several = list(cells)
    levels = np.full((len(several), *layout.shape), np.nan, np.float32)
    for place, cell in enumerate(several):
        source = _source(cell)
        if source:
            try:
                levels[place] = read(source, layout).astype(np.float32) / np.float32(layout.top)
            except MissingReader:
                raise  # or every image would be missing, and each row be predicted without
            except UnreadableImage:  # reported where the store is built
                continue
    return levels


def _source(cell: object) -> Path | bytes | None:
    """Return what `mmtrain.image_decoding.read` takes for a cell; None for a missing one."""
    if isinstance(cell, bytes):
        return cell or None
    if isinstance(cell, str) and is_data_uri(cell):
        return from_data_uri(cell)
    return Path(cell) if isinstance(cell, str | PathLike) and str(cell) else None
