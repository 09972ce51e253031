"""Cells of one column: faults and remarks, words for missing values, and what all roles do with texts."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mmtrain.errors import counted
from mmtrain.image_decoding import Layout
from mmtrain.image_decoding.data_uri import is_data_uri
from mmtrain.text.label_lists import read_list

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class CellError:
    """A fault of some cells of one column; `rows` are positions in the table, the first one is shown."""

    rows: np.ndarray[Any, Any]
    what: str
    fix: str


@dataclass(frozen=True)
class ImageCells:
    """Cells that name image files, or hold them: how a cell becomes a path, and how its file is decoded."""

    layout: Layout
    suffix: str = ""
    """What cells lack to be file names."""
    folders: bool = False
    """True if a cell may name a folder of DICOM files, which are one series."""
    most: int = 0
    """Images of a row that are used, where cells list several; 0: a cell names one image."""
    separator: str = ""
    """Text between two names of a list."""
    slices: tuple[tuple[int, int], ...] = ()
    """Slices of each file that are members of a set: their number, and the number of evenly spaced ones among which it counts, or 0."""

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts of all members that one file gives."""
        return tuple(replace(self.layout, slice=number, slices=among) for number, among in self.slices) or (self.layout,)

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings, in lower case, of the names of files that can be read."""
        from mmtrain.columns.pixels.image_cells import IMAGE_ENDINGS, SOUND_ENDINGS

        return SOUND_ENDINGS if self.layout.spectrogram else tuple(f".{ending}" for ending in IMAGE_ENDINGS)

    def names(self, cells: pd.Series[str] | pd.DataFrame) -> list[list[str]]:
        """Return the names that each row lists, under one header or several."""
        import pandas as pd

        if not isinstance(cells, pd.DataFrame):
            listed = [[] if cell is None else self._listed(cell) for cell in cells.astype(object).where(cells.notna(), None)]
            return [[slice_name(name, *one) for name in names for one in self.slices] if self.slices else names for names in listed]
        by_header = [self.names(cells.iloc[:, place]) for place in range(cells.shape[1])]
        return [[name for names in row for name in names] for row in zip(*by_header, strict=True)]

    def _listed(self, cell: str) -> list[str]:
        # A data URI has a semicolon inside.
        if is_data_uri(cell):
            return [cell]
        names = read_list(cell) if cell.lstrip().startswith("[") else None
        return [name.strip() for name in (cell.split(self.separator) if names is None else names) if name.strip()]

    def choose(self, members: Sequence[int]) -> list[int]:
        """Return the members of a row that are used, given by numbers: each once, sorted, and of too many ones evenly spaced.

        >>> ImageCells(Layout((8, 8), 3), most=3).choose([5, 9, 5, 1, 7, 8])
        [1, 7, 9]
        """
        distinct = sorted(set(members))
        last, most = len(distinct) - 1, self.most
        if last < most:
            return distinct
        return (
            [distinct[last // 2]] if most == 1 else [distinct[(2 * place * last + most - 1) // (2 * (most - 1))] for place in range(most)]
        )


SLICE = re.compile(r"(?s)(.*) \[slice (\d+)(?: of (\d+))?\]")
"""Name of a slice of a file that several members of a set are made of."""
SLICE_MARK = re.compile(r" \[slice \d+(?: of \d+)?\](?=: )")
"""Part of a refusal that tells a slice from the others of its file."""


def slice_name(name: str, number: int, among: int) -> str:
    """Return the name of a slice, such as `ct.nii.gz [slice 3]`, or `ct.nii.gz [slice 1 of 4]` of evenly spaced ones, from 1.

    >>> slice_name("ct.nii.gz", 0, 4), split_slice("ct.nii.gz [slice 1 of 4]"), split_slice("a.png")
    ('ct.nii.gz [slice 1 of 4]', ('ct.nii.gz', (0, 4)), ('a.png', (-1, 0)))
    """
    return f"{name} [slice {number + 1} of {among}]" if among else f"{name} [slice {number}]"


def split_slice(name: str) -> tuple[str, tuple[int, int]]:
    """Return the name of a file, the number of the slice that is read, and that of evenly spaced ones; (-1, 0) without a slice."""
    match = SLICE.fullmatch(name)
    if match is None:
        return name, (-1, 0)
    among = int(match[3] or 0)
    return match[1], (int(match[2]) - bool(among), among)


LONGEST_REMARK = 300
"""Characters of a phrase about a cell."""


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST_REMARK else f"{text[: LONGEST_REMARK - 100]} ... {text[-95:]}"


@dataclass(frozen=True)
class CellWarning:
    """A remark on some cells of one column when their rows are predicted; `rows` are positions, `what` is a phrase.

    `fix` is a sentence where the cell is refused, so that its row cannot be predicted, and empty where it is predicted all the same.
    """

    rows: np.ndarray[Any, Any]
    what: str
    fix: str = ""

    # Frozen dataclasses are set through `object`.
    def __post_init__(self) -> None:
        # A cell may be a whole document, put into the wrong column; its beginning and its end tell that.
        object.__setattr__(self, "what", _shorten(self.what))
        object.__setattr__(self, "fix", _shorten(self.fix))


MISSING_WORDS = (
    *("na", "n/a", "#n/a", "<na>", "nan", "nat", "null", "none", "not available", "unknown", "missing"),
    *("n.a.", "n.a", "-nan", "(null)", "(blank)", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"),
    *("?", "-", "--", "."),
)
"""Words that stand for a missing value, in lower case: R, pandas, spreadsheets and people write them into cells that have none. The
formulas of a spreadsheet that failed are among them."""


MISSING_CELL_WARNINGS = {
    "median": ("missing, imputed", ""),
    "mean": ("missing, imputed", ""),
    "constant": ("missing, imputed", ""),
    "code": ("missing, has a code of its own", ""),
    "mask": ("masked, the cell is empty", ""),
    "error": ("the cell is empty", "Fill it in, or train with another `missing` than `error`."),
    "drop": ("the cell is empty", "Fill it in, or train with another `missing` than `drop`."),
}
"""The remark on an empty cell, and what would be right where it is refused, by the column's `missing`."""


def missing_words(rows: int) -> str:
    """`missing in 12 training rows`."""
    return f"missing in {counted(rows, 'training row')}" if rows else "never missing"


def rows_by_value(cells: pd.Series[str], rows: np.ndarray[Any, Any]) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Return the different values of the cells at `rows`, each with its rows."""
    import numpy as np
    import pandas as pd

    if not len(rows):
        return []  # pandas takes longer over nothing than the network over the piece
    codes, names = pd.factorize(cells.iloc[rows])
    # `argsort` brings rows of one value together; the cumulated counts are where they end.
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    return [(str(name), places) for name, places in zip(names, np.split(rows[np.argsort(codes, kind="stable")], ends), strict=False)]


def concatenate(cells: Iterable[pd.Series[str]]) -> pd.Series[str]:
    """Return all chunks in one Series."""
    import pandas as pd

    pieces = list(cells)
    return pieces[0] if len(pieces) == 1 else pd.concat(pieces, ignore_index=True)


def is_word(cells: pd.Series[str], words: Collection[str]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return whether each cell is one of `words` (in lower case), in any case, (rows,); a missing cell is not."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not words:
        return np.zeros(len(cells), dtype=np.bool_)
    # Lower-cased by Arrow, without a Python string for each cell.
    lower = pc.utf8_lower(pa.array(cells, pa.large_string(), from_pandas=True))
    matches: np.ndarray[Any, np.dtype[np.bool_]] = pc.is_in(lower, value_set=pa.array(words, pa.large_string())).to_numpy(
        zero_copy_only=False
    )
    return matches


def intern_cells(cells: pd.Series[str]) -> pd.Categorical[str]:
    """Cells as codes and names, an empty string where missing: of a million cells of few different values, 1 to 4 MB."""
    import pandas as pd

    return pd.Categorical(cells.fillna("") if cells.isna().any() else cells)


def missing_cell_error(cells: pd.Series[str], policy: str, allowed: Mapping[str, str]) -> list[CellError]:
    """Return the fault of `missing: error` when a cell is missing; `allowed` describes the other policies for the fix."""
    import numpy as np

    rows = np.flatnonzero(cells.isna())
    if policy != "error" or not len(rows):
        return []
    ways = ["Fill it in", *(f"set `missing: {name}` to {effect}" for name, effect in allowed.items())]
    fix = f"{', '.join(ways[:-1])}, or {ways[-1]}."
    return [CellError(rows, "the cell is empty.", fix)]
