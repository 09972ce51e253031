"""`role: embedding`: a vector of numbers in each cell, `[0.1, 0.2]`, a list of a Parquet file, or the name of a .npy file.

Encoded as kind `vector`: (batch, width) float32; with `missing: mean` a further number is 1 where the vector is missing. All vectors
have the width of the first one, which is checked in every row.

    >>> import pandas as pd
    >>> column = Embedding(column="face")
    >>> [(fault.rows.tolist(), fault.what) for fault in column.faults(pd.Series(["[1, 2]", "[1, 2, 3]"], dtype="str"))]
    [([1], 'the vector has 3 numbers, and that of the first row 2.')]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from mmtrain.columns.base import Content, Evidence, Guess, role
from mmtrain.columns.cells import CellError, CellWarning, missing_cell_error, rows_by_value
from mmtrain.columns.input_column import InputColumn
from mmtrain.columns.numbers import LARGEST
from mmtrain.columns.vectorizers.fitted_embedding import SUFFIX, FittedEmbedding, read_vector, with_files
from mmtrain.errors import DataError, Problem, counted
from mmtrain.specs import Kind

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from mmtrain.columns.profile import Profile

MISSING = {"mean": "use the training mean", "mask": "leave the vector out of that row", "drop": "leave the row out"}
WRITE = "Write the same number of numbers in every cell, as [0.1, 0.2], or leave the cell empty."


@role("embedding", fitted=FittedEmbedding)
class Embedding(InputColumn):
    """A vector, such as the output of a pretrained network."""

    content: ClassVar[Content] = "vectors"

    role: Literal["embedding"] = "embedding"
    width: int = Field(0, ge=0, le=65_536, description="Numbers of each vector. 0: as many as the first one has.")
    folder: str = Field(
        "",
        description="Folder of the .npy files that cells name, each with one vector. It is relative to the folder in which a command runs, "
        "and cells cannot name files outside of it.",
    )
    normalize: Literal["standard", "unit", "none"] = Field(
        "standard",
        description="standard: mean 0 and standard deviation 1 of each number in training rows; unit: each vector has length 1, then "
        "standard; none: as it is.",
    )
    missing: Literal["mean", "mask", "error", "drop"] = Field(
        "mean",
        description="mean: the training mean and an indicator; mask: the branch goes without; error: refuse; drop: leave the row out.",
    )

    @classmethod
    def guess(cls, profile: Profile) -> Guess | None:
        """Guess by lists of equally many numbers in brackets."""
        lengths = list_lengths(profile)
        if len(lengths) != 1:
            return None
        return Guess(role="embedding", evidence=Evidence.LISTS, reason=f"vectors of {counted(lengths.pop(), 'number')}")

    @property
    def kind(self) -> Kind:
        """Always a vector."""
        return "vector"

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Files that cannot be read, words among numbers, vectors of another width, and missing cells where those are refused."""
        import numpy as np

        from mmtrain.text.number_lists import split_numbers

        faults = missing_cell_error(cells, self.missing, MISSING)
        filled = np.flatnonzero(cells.notna().to_numpy())
        if not len(filled):
            return faults or [CellError(np.arange(1), "no row has a vector.", "Remove the column from the file, or fill it in.")]
        if len(bad := self._unreadable_files(cells, filled)):
            what = f"{cells.iloc[bad[0]]!r} {read_vector(cells.iloc[bad[0]], self.folder)[1]}."
            return [*faults, CellError(bad, what, "Name .npy files with one vector each, and set `folder` to the folder that they are in.")]
        counts, words = self._counts(cells)
        if len(bad := filled[words[filled] > 0]):
            large = not np.isnan(split_numbers(self._texts(cells.iloc[bad[:1]]))[0]).any()
            what = f"{shown_list(cells.iloc[bad[0]])} has {'a number that is too large' if large else 'something that is not a number'}."
            return [*faults, CellError(bad, what, WRITE)]
        width = self.width or int(next((count for count in counts[filled] if count), 0))
        if not width:
            return [*faults, CellError(filled, "no row has a vector.", "Remove the column from the file, or fill it in.")]
        if len(bad := filled[counts[filled] != width]):
            expected = f"`width` is {width}" if self.width else f"that of the first row {width}"
            faults.append(CellError(bad, f"the vector has {counted(int(counts[bad[0]]), 'number')}, and {expected}.", WRITE))
        return faults

    def _unreadable_files(self, cells: pd.Series[str], filled: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        names = cells.iloc[filled].str.endswith(SUFFIX).to_numpy(dtype=bool)
        bad = [row for row, named in zip(filled.tolist(), names, strict=True) if named and read_vector(cells.iloc[row], self.folder)[1]]
        return np.array(bad, dtype=np.int64)

    def _counts(self, cells: pd.Series[str]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the numbers and words of each cell, and how many of them the layer cannot read, (rows,) each."""
        import numpy as np

        from mmtrain.text.number_lists import split_numbers

        values, ends = split_numbers(self._texts(cells))
        counts = np.diff(ends, prepend=0)
        bad = ~(np.abs(values) <= LARGEST)
        return counts, np.bincount(np.repeat(np.arange(len(ends)), counts), weights=bad, minlength=len(ends))

    def _texts(self, cells: pd.Series[str]) -> pd.Series[str]:
        import pandas as pd

        return pd.Series(with_files(cells.fillna("").to_numpy(dtype=object), self.folder), dtype="str")

    def remarks(self, cells: pd.Series[str], raw: np.ndarray[Any, Any], encoded: np.ndarray[Any, Any]) -> list[CellWarning]:
        """Refuse vectors of another width, as in training."""
        import numpy as np

        if not len(cells):
            return []
        counts, words = self._counts(cells)
        width = encoded.shape[1] - int(self.missing == "mean")  # without the indicator
        bad = np.flatnonzero(cells.notna().to_numpy() & ((counts != width) | (words > 0)))
        remarks = [
            CellWarning(rows, f"{shown_list(cell)} is not a vector of {width} numbers", WRITE) for cell, rows in rows_by_value(cells, bad)
        ]
        return remarks + super().remarks(cells, raw, encoded)

    def fit(self, cells: Iterable[pd.Series[str]]) -> FittedEmbedding:
        """Width, and mean and deviation of each number in training rows. Raises DataError where no training row has a vector."""
        import numpy as np
        import tensorflow as tf

        from mmtrain.columns.categorical import texts
        from mmtrain.layers.numbers.number_lists import vectors
        from mmtrain.text.number_lists import split_numbers

        width, unit, rows, moments = self.width, self.normalize == "unit", 0, _VectorMoments()
        for piece in cells:
            rows += len(piece)
            if not width and len(filled := np.flatnonzero(piece.notna().to_numpy())):
                width = int(split_numbers(self._texts(piece.iloc[filled[:1]]))[1][0])
            if width:
                read = tf.constant(with_files(texts(piece), self.folder), tf.string)
                values, known = (one.numpy() for one in vectors(read, width, unit_length=unit))
                moments.add(values[known[:, 0]])
        if not width:
            raise DataError(Problem(self.column, "no training row has a vector.", "State the `width`, or leave the column out."))
        mean, deviation = np.broadcast_to(moments.mean, width), np.broadcast_to(moments.deviation, width)
        scaled = self.normalize != "none"
        return FittedEmbedding(
            width=width,
            folder=self.folder,
            unit_length=unit,
            center=tuple(mean.tolist()) if scaled else (0.0,) * width,
            # A number that is the same in every row is 0 everywhere, not rounding noise divided by itself.
            scale=tuple(np.where(deviation > 1e-9 * np.abs(mean), deviation, 1.0).tolist()) if scaled else (1.0,) * width,
            fill=(0.0,) * width if scaled or self.missing == "mask" else tuple(mean.tolist()),
            indicator=self.missing == "mean",
            masked=self.missing == "mask",
            missing=rows - moments.count,
        )


class _VectorMoments:
    """Mean and standard deviation of each number of vectors that come in chunks, as `Moments` has them of one number."""

    def __init__(self) -> None:
        self.count = 0
        # Arrays of the width from the first chunk on.
        self.mean: Any = 0.0
        self._squares: Any = 0.0

    def add(self, vectors: np.ndarray[Any, Any]) -> None:
        """Add some, (n, width)."""
        if not len(vectors):
            return
        mean, total = vectors.mean(axis=0), self.count + len(vectors)
        shift = mean - self.mean
        # Squares of deviations: the mean square less the squared mean is rounding noise for numbers that hardly differ.
        self._squares = self._squares + ((vectors - mean) ** 2).sum(axis=0) + shift**2 * (self.count * len(vectors) / total)
        self.mean = self.mean + shift * (len(vectors) / total)
        self.count = total

    @property
    def deviation(self) -> Any:
        """Standard deviation of each number, (width,); 0 without any vector."""
        return (self._squares / max(self.count, 1)) ** 0.5


def list_lengths(profile: Profile) -> set[int]:
    """Return the different lengths of lists of numbers in brackets among frequent cells; none where some cell is not such a list."""
    import numpy as np
    import pandas as pd

    from mmtrain.text.number_lists import split_numbers

    values = profile.values
    if not values or not all(value.startswith("[") and value.endswith("]") for value in values):
        return set()
    numbers, ends = split_numbers(pd.Series(values, dtype="str"))
    counts = np.diff(ends, prepend=0)
    mostly_numbers = np.isfinite(numbers).mean() > 0.5 if len(numbers) else False
    return set(counts.tolist()) if mostly_numbers and counts.max() > 1 else set()


def shown_list(cell: str) -> str:
    """Return the beginning of a list in quotes."""
    return repr(cell if len(cell) <= 40 else f"{cell[:37]}...")
