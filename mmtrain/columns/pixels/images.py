"""`role: images`: several images per row, in an order without meaning.

A row names its images as a list in one cell (`a.png; b.png`, or JSON), in several columns (`columns: [front, left]`), or as rows of a
second table (`column: views.path`, see `mmtrain.data.tables.joined_file`). Encoded as kind `set`: (batch, most, height, width, channels),
members sorted by file, places without an image all zeros. So the order of the names changes no bit of what the network reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from mmtrain.columns.base import Guess, role
from mmtrain.columns.cells import CellError, ImageCells
from mmtrain.columns.fitted_column import CellAttribution, EncodingDescription, RawInput
from mmtrain.columns.pixels.fitted_image import FittedImage, file_bytes
from mmtrain.columns.pixels.image import Image
from mmtrain.columns.pixels.pixel_input import Slice, levels_of
from mmtrain.errors import counted
from mmtrain.specs import Kind, Pool, SetSpec, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile

Most = Annotated[int, Field(ge=1, le=256)]


class FittedImages(FittedImage):
    """Nothing is learned from images; this is how those of a row look in the store, and how many there are at most."""

    attributed_to: ClassVar[Literal["members"]] = "members"  # type: ignore[assignment]

    role: Literal["images"] = "images"  # type: ignore[assignment]
    most: Most
    pool: Pool
    separator: str
    slices: tuple[tuple[int, int], ...] = ()
    """Slices of each file that are members, see `ImageCells.slices`."""

    @property
    def spec(self) -> TensorSpec:  # type: ignore[override]
        """(batch, most, height, width, channels)."""
        return SetSpec(super().spec, self.most, self.pool)

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """The bytes of the image files of a row, empty for places without one; or the brightness of their pixels, NaN there."""
        one = super().raw_inputs(name)[name]
        return {name: RawInput((self.most,) if self.decodes_images else (self.most, *one.shape), one.dtype)}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """Return the bytes of image files, (rows, most), or what the saved model takes instead of a file.

        A cell is a list of bytes, of paths or of data URIs, or of pairs of these and a slice.
        """
        import numpy as np

        sources = np.full((len(cells), self.most), b"", dtype=object)
        chosen = np.full((len(cells), self.most), None, dtype=object)
        for row, cell in enumerate(cells):
            listed = cell if isinstance(cell, list | tuple) and not _has_slice(cell) else [cell]
            members = [one for member in listed for one in self._slices_of(member)]
            for place, (member, number) in enumerate(members[: self.most]):
                sources[row, place] = file_bytes(member) if self.decodes_images else member
                chosen[row, place] = number
        if self.decodes_images:
            return sources
        levels = np.full((*sources.shape, *self.layout.shape), np.nan, np.float32)
        for number in {None, *self.slices}:
            layout = self.layout if number is None else replace(self.layout, slice=number[0], slices=number[1])
            rows, places = np.nonzero(np.array([[one == number for one in row] for row in chosen], dtype=bool).reshape(chosen.shape))
            levels[rows, places] = levels_of([source or None for source in sources[rows, places]], layout)
        return levels

    def _slices_of(self, member: Any) -> list[tuple[Any, tuple[int, int] | None]]:
        """Return the members that a file gives, each with its slice; one that has a slice already is itself."""
        if _has_slice(member):
            return [member]
        return [(member, number) for number in self.slices] if self.slices and member else [(member, None)]

    def baseline_words(self, learned: Any) -> str:
        """Describe the baseline with its brightness."""
        return f"{super().baseline_words(learned)} in the place of each image"

    def attribute(self, cell: str, values: np.ndarray[Any, Any], entry: np.ndarray[Any, Any]) -> CellAttribution:
        """Divide among the images; `values` (most, height) belong to the rows of their pixels."""
        del cell  # its names are in another order
        shown = entry[0].any(axis=(1, 2, 3))
        names = [f"image {place + 1}" for place in range(self.most) if shown[place]]
        return CellAttribution(tuple(zip(names, values.sum(axis=1)[shown].tolist(), strict=True)))

    def learned_words(self, declared: Any, number: Any) -> str:
        """The layout, and the number of images."""
        return f"{super().learned_words(declared, number)}, at most {counted(self.most, 'image')} a row"

    def recipe(self) -> EncodingDescription:
        """Describe every step from files to the tensor."""
        one = super().recipe()
        members = (
            f"Up to {counted(self.most, 'image')}, sorted by the paths of their files, each once; of more, evenly spaced ones. "
            "Places behind the last image are all 0; the first value of an entirely black image is 1. Each image: "
        )
        return EncodingDescription("Several images.", members + one.encoded, "1 if there is at least one image, else 0.", None)

    def preprocessing(self) -> Any:
        """Decodes files; a third output is the status of each place."""
        from mmtrain.layers.image_decoding import EncodeImages

        return EncodeImages(most=self.most, image=super().preprocessing())


def _has_slice(member: Any) -> bool:
    """Return whether a member is a pair of a file and a slice."""
    return isinstance(member, tuple) and len(member) == 2 and isinstance(member[1], tuple)


@role("images", fitted=FittedImages)
class Images(Image):
    """Several images: each is read by the same network, and their vectors are pooled to one."""

    lists: ClassVar[bool] = True

    role: Literal["images"] = "images"  # type: ignore[assignment]
    columns: tuple[str, ...] = Field((), description="Headers with an image each, or a list, instead of one header.")
    separator: str = Field(
        ";", min_length=1, description="Text between two names in a cell. Lists of JSON or Python, `['a.png', 'b.png']`, need none."
    )
    most: Most = Field(8, description="Images of a row that are used; of more, evenly spaced ones in the order of their paths.")
    slice: Literal["", "middle"] | Slice | tuple[Slice, ...] = Field(  # type: ignore[assignment]
        "",
        description="Slice, page or frame of a file with several, from 0; middle is the default. Of a list, such as [10, 20, 30], each is "
        "an image of the row. Where it is given, a cell may also name folders: the files of one DICOM series, ordered by position.",
    )
    slices: int = Field(
        0,
        ge=0,
        le=256,
        description="Evenly spaced slices of each file that are images of the row, in the middle of as many equal parts of it. 0: see "
        "`slice`.",
    )
    pool: Pool = Field(
        "mean",
        description="How the vectors of a row's images become one. mean; max: of each number; attention: a weighted mean with learned "
        "weights (Ilse et al. 2018, arXiv:1802.04712), which `mmtrain explain` shows.",
    )
    encoder: None = Field(None, description="Not for several images: name the encoder in the branch, `architecture: pretrained`.")

    @model_validator(mode="after")
    def _columns_once(self) -> Images:
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("`columns` names a header twice.")
        if len(self.columns) > self.most:
            raise ValueError(
                f"`columns` has {len(self.columns)} headers, and {self.most} images are used. Set `most: {len(self.columns)}`."
            )
        return self

    @model_validator(mode="after")
    def _slices_once(self) -> Images:
        if isinstance(self.slice, tuple) and (not self.slice or len(set(self.slice)) < len(self.slice)):
            raise ValueError("`slice` lists each slice once, as [10, 20, 30].")
        if self.slices and self.slice != "":
            raise ValueError("`slice` and `slices` both say which slices are read. Leave one of them out.")
        if (count := len(self._slices)) > self.most:
            raise ValueError(f"a file gives {count} slices, and {self.most} images are used. Set `most: {count}`.")
        return self

    @property
    def _slices(self) -> tuple[tuple[int, int], ...]:
        """The slices of each file, see `ImageCells.slices`."""
        if isinstance(self.slice, tuple):
            return tuple((number, 0) for number in self.slice)
        return tuple((number, self.slices) for number in range(self.slices))

    @property
    def _has_slices(self) -> bool:
        """True if cells name files of several slices."""
        return self.slice != "" or self.slices > 0

    def reads(self) -> tuple[str, ...]:
        """The headers of `columns`, or `column`."""
        return self.columns or (self.column,)

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by cells that list names of image files."""
        from mmtrain.columns.pixels.image_cells import guess_several

        return guess_several(profile)

    @property
    def kind(self) -> Kind:
        """A set."""
        return "set"

    @property
    def image_cells(self) -> ImageCells:
        """Lists of paths."""
        one = super().image_cells
        return replace(one, most=self.most, separator=self.separator, slices=self._slices)

    def doubts(self, cells: pd.Series[str]) -> list[CellError]:
        """Return rows with more images than are used."""
        return _too_many([len(set(names)) for names in self.image_cells.names(cells)], self.most)

    def declared_spec(self) -> SetSpec:  # type: ignore[override]
        """Return the spec of the images."""
        return SetSpec(super().declared_spec(), self.most, self.pool)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedImages:
        """Learn what `Image.fit` learns, from each name of each row."""
        import pandas as pd

        names = (self.image_cells.names(piece) for piece in cells)
        flat = (pd.Series([name for row in rows for name in row], dtype="str") for rows in names)
        one = super().fit(flat).model_dump(exclude={"role"})
        return FittedImages(**one, most=self.most, pool=self.pool, separator=self.separator, slices=self._slices)


def _too_many(counts: Sequence[int], most: int) -> list[CellError]:
    import numpy as np

    rows = np.flatnonzero(np.array(counts, dtype=np.int64) > most)
    if not len(rows):
        return []
    what = f"the row lists {counts[rows[0]]} images, the largest {max(counts)}; {most} of each are used, evenly spaced by their paths."
    return [CellError(rows, what, f"Set `most: {max(counts)}` to use all.")]
