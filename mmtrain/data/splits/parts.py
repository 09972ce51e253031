"""Train, validation and test: which rows of the table each part has, and how a split is kept.

Where conformal prediction is asked for, a fourth part, `conformal`, is taken from the validation rows. As a part of its own it is
out of reach of whatever reads `validation`: stopping, the best epoch, calibration, the threshold, the check of an export.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from mmtrain.columns.split_words import PARTS
from mmtrain.data.tables.csv_text import csv_text
from mmtrain.errors import Problem, RunError

IntArray = npt.NDArray[np.int64]
TextPerRow: TypeAlias = "Sequence[Any] | npt.NDArray[Any] | pd.Series[Any]"
HEADER = ("row", "id", "part")
CONFORMAL = "conformal"
EVERY_PART = (*PARTS, CONFORMAL)
"""What a row of `split.csv` may belong to; a table's own split column says one of `PARTS`."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Table positions (int64, ascending) of each part; disjoint, and together every row of the table."""

    train: IntArray
    validation: IntArray
    test: IntArray
    conformal: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    """Rows for nothing but the bound of conformal prediction; empty where that is not asked for."""

    @classmethod
    def from_codes(cls, codes: IntArray) -> Parts:
        """From the part of each row; (rows,), 0 = train, 1 = validation, 2 = test, 3 = conformal."""
        return cls(*(np.flatnonzero(codes == code).astype(np.int64) for code in range(len(EVERY_PART))))

    def __getitem__(self, part: str) -> IntArray:
        if part not in EVERY_PART:
            raise KeyError(part)
        positions: IntArray = getattr(self, part)
        return positions

    def items(self) -> Iterator[tuple[str, IntArray]]:
        """Names and positions in the order train, validation, test, and conformal where it has rows."""
        return ((part, self[part]) for part in EVERY_PART if part in PARTS or len(self[part]))

    def names(self) -> npt.NDArray[np.str_]:
        """Part of each row; (rows,)."""
        codes = np.empty(sum(len(positions) for _, positions in self.items()), np.int64)
        for code, (_, positions) in enumerate(self.items()):
            codes[positions] = code
        return np.array(EVERY_PART)[codes]


@dataclass(frozen=True, eq=False)
class WrittenSplit:
    """A split as `split.csv` keeps it; the arrays have one entry per row of the table."""

    parts: Parts
    rows: IntArray
    """Positions in the table's file, which may have rows that the table leaves out."""
    ids: npt.NDArray[np.object_]
    """Text, empty where the table has no id column."""


def to_csv(parts: Parts, rows: Sequence[int] | IntArray, ids: TextPerRow | None = None) -> str:
    """The text of `split.csv`; `rows` are the positions of the table's rows in its file."""
    table = pd.DataFrame({"row": np.asarray(rows, np.int64), "id": "" if ids is None else list(ids), "part": parts.names()})
    return csv_text(table)


def read_split(path: Path) -> WrittenSplit:
    """Read what `to_csv` wrote.

    Raises:
        RunError: the file is missing, or not such a table.

    """
    fix = "Restore the file from a copy of the run, or train again with `mmtrain fit`."
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        rows = table["row"].to_numpy(dtype=np.int64)
        ids = table["id"].to_numpy(dtype=object)
        codes = pd.Index(EVERY_PART).get_indexer(pd.Index(table["part"])).astype(np.int64)
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise RunError(
            Problem(str(path), f"this file of the run cannot be read as a split ({type(error).__name__}: {error}).", fix)
        ) from error
    if (codes < 0).any():
        line = int(np.argmax(codes < 0))
        raise RunError(Problem(f"{path}:{line + 2}", f"{table['part'].iloc[line]!r} is not a part.", fix))
    return WrittenSplit(Parts.from_codes(codes), rows, ids)
