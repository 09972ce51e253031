"""Train, validation and test: which rows of the table each part has, and how a split is kept.

Where conformal prediction is asked for, a fourth part, `conformal`, is taken from the validation rows. As a part of its own it is
out of reach of whatever reads `validation`: stopping, the best epoch, calibration, the threshold, the check of an export.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
TextPerRow: TypeAlias = "Sequence[Any] | npt.NDArray[Any] | pd.Series[Any] | pd.Categorical[Any]"
HEADER = ("row", "id", "part")
PIECE = 65_536
"""Rows that are written or read at once: all of a million rows would take 200 MB as texts."""
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

    def codes(self) -> npt.NDArray[np.int8]:
        """Part of each row, as a position in `EVERY_PART`; (rows,)."""
        codes = np.empty(sum(len(positions) for _, positions in self.items()), np.int8)
        for code, (_, positions) in enumerate(self.items()):
            codes[positions] = code
        return codes

    def names(self) -> npt.NDArray[np.str_]:
        """Part of each row; (rows,)."""
        return np.array(EVERY_PART)[self.codes()]


@dataclass(frozen=True, eq=False)
class WrittenSplit:
    """A split as `split.csv` keeps it; the arrays have one entry per row of the table."""

    parts: Parts
    rows: IntArray
    """Positions in the table's file, which may have rows that the table leaves out."""
    ids: pd.Series[str]
    """Text, empty where the table has no id column."""


def to_csv(parts: Parts, rows: Sequence[int] | IntArray, ids: Callable[[IntArray], Sequence[str]] | None = None) -> Iterator[str]:
    """The text of `split.csv`, in pieces; `rows` are the positions of the table's rows in its file, `ids` says what some are called."""
    codes, named = parts.codes(), np.array(EVERY_PART, dtype=object)
    for start in range(0, max(len(codes), 1), PIECE):
        own = np.arange(start, min(start + PIECE, len(codes)))
        texts = "" if ids is None else list(ids(own))
        table = pd.DataFrame({"row": np.asarray(rows, np.int64)[own], "id": texts, "part": named[codes[own]]})
        yield csv_text(table, header=not start)


def read_split(path: Path) -> WrittenSplit:
    """Read what `to_csv` wrote.

    Raises:
        RunError: the file is missing, or not such a table.

    """
    fix = "Restore the file from a copy of the run, or train again with `mmtrain fit`."
    rows: list[IntArray] = []
    ids: list[pd.Series[str]] = []
    codes: list[IntArray] = []
    try:
        with pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8", chunksize=PIECE) as pieces:
            for table in pieces:
                rows.append(table["row"].to_numpy(dtype=np.int64))
                ids.append(table["id"])
                codes.append(pd.Index(EVERY_PART).get_indexer(pd.Index(table["part"])).astype(np.int64))
                if (codes[-1] < 0).any():
                    place = int(np.argmax(codes[-1] < 0))
                    line = sum(map(len, codes[:-1])) + place + 2
                    raise RunError(Problem(f"{path}:{line}", f"{table['part'].iloc[place]!r} is not a part.", fix))
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise RunError(
            Problem(str(path), f"this file of the run cannot be read as a split ({type(error).__name__}: {error}).", fix)
        ) from error
    nothing: IntArray = np.empty(0, dtype=np.int64)
    named = pd.concat(ids, ignore_index=True) if ids else pd.Series([], dtype="str")
    return WrittenSplit(Parts.from_codes(np.concatenate([nothing, *codes])), np.concatenate([nothing, *rows]), named)
