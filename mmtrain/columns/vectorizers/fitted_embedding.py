"""A vector in each cell as training rows taught it: its width, and the scale of each of its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.categorical import texts
from mmtrain.columns.cells import missing_words
from mmtrain.columns.fitted_column import EncodingDescription, FittedColumn, RawInput
from mmtrain.registry import Section
from mmtrain.specs import VectorSpec

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.summaries.base import Accumulator

SUFFIX = ".npy"


class FittedEmbedding(FittedColumn):
    """Width, center and scale of vectors."""

    role: Literal["embedding"] = "embedding"
    width: int = Field(ge=1)
    folder: str = Field("", description="Folder of .npy files, as declared.")
    unit_length: bool
    center: tuple[float, ...]
    scale: tuple[float, ...]
    fill: tuple[float, ...] = Field(description="Encoded numbers of a missing vector.")
    indicator: bool
    masked: bool
    missing: int = Field(description="Training rows without a vector.")

    @property
    def spec(self) -> VectorSpec:
        """(batch, width) or, with the missing indicator, (batch, width + 1)."""
        return VectorSpec(self.width + int(self.indicator))

    def raw_inputs(self, name: str) -> dict[str, RawInput]:
        """One text with the numbers, empty for missing."""
        return {name: RawInput((1,), "string")}

    def raw(self, cells: pd.Series[str]) -> np.ndarray[Any, Any]:
        """(rows, 1) str; the names of .npy files become the numbers in them."""
        return with_files(texts(cells), self.folder)[:, None]

    def accumulator(self, learned: Any = None) -> Accumulator:  # noqa: ARG002
        """Size of the vectors."""
        from mmtrain.columns.summaries.vectors import EmbeddingAccumulator

        return EmbeddingAccumulator(indicator=self.indicator)

    def learned_words(self, declared: Section, number: Callable[[float], str]) -> str:
        """The width."""
        scaling = dict(declared).get("normalize")
        return f"vectors of {number(self.width)} numbers, normalize: {scaling}; {missing_words(self.missing)}"

    @property
    def named_cell(self) -> bool:
        """The numbers name nothing."""
        return False

    def recipe(self) -> EncodingDescription:
        """The scaling."""
        unit = "Divide the numbers by the length of the vector. " if self.unit_length else ""
        flag = ", then 1 if the vector is missing, else 0" if self.indicator else ""
        encoded = (
            f"{unit}(number - center) / scale for each number, with `center` and `scale` of columns.json, computed in float64 and "
            f"rounded to float32{flag}. A missing vector, or one of another length, is `fill`."
        )
        present = "1 if there is a vector, else 0." if self.masked else "Always 1."
        return EncodingDescription(f"{self.width} numbers, such as [0.1, 0.2].", encoded, present, str([0.5] * self.width))

    def preprocessing(self) -> Any:
        """Reads, scales and flags vectors."""
        from mmtrain.layers.numbers.number_lists import EncodeEmbedding

        names = ("width", "unit_length", "center", "scale", "fill", "indicator", "masked")
        return EncodeEmbedding(**{name: getattr(self, name) for name in names})


def with_files(cells: np.ndarray[Any, Any], folder: str) -> np.ndarray[Any, Any]:
    """Return texts with the numbers of .npy files in the place of their names; an empty text for a file that cannot be read."""
    import numpy as np

    rows = np.flatnonzero([cell.endswith(SUFFIX) for cell in cells])
    if len(rows):
        cells = cells.copy()
        for row in rows:
            values, _ = read_vector(cells[row], folder)
            cells[row] = " ".join(map(repr, values))
    return cells


def read_vector(name: str, folder: str) -> tuple[Sequence[float], str]:
    """Return the numbers of a .npy file below `folder`, or none and the reason why it cannot be read."""
    import numpy as np

    if not folder:
        return [], "is the name of a file, and the column has no `folder`"
    base = Path(folder).resolve()
    path = (base / name).resolve()
    # A request may name any file; those outside of the folder are nobody's business.
    if not path.is_relative_to(base):
        return [], "lies outside of `folder`"
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return [], "cannot be read as an array" if path.is_file() else "does not exist"
    if values.ndim != 1 or values.dtype.kind not in "fiu":
        return [], f"holds an array of shape {values.shape} and type {values.dtype}, not a vector of numbers"
    return values.astype(np.float64).tolist(), ""
