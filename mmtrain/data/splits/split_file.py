"""`split.csv`: the plan of a split, with a line for every row in every partition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mmtrain.data.tables.csv_text import csv_text
from mmtrain.errors import Problem, RunError
from mmtrain.splits.plan import UNUSED, USES, IntArray, Partition, SplitPlan

HEADER = ("row", "id", "fold", "part")
CHUNK_ROWS = 65_536
"""Rows that are written or read at once: all of a million rows would take 200 MB as texts."""
OUTER = ""
"""The fold of outer test rows, which are in no partition."""
RESTORE = "Restore the file from a copy of the run, or train again with `mmtrain fit`."


@dataclass(frozen=True, eq=False)
class WrittenSplit:
    """A plan as `split.csv` keeps it; the arrays have one entry per row of the table."""

    plan: SplitPlan
    rows: IntArray
    """Positions in the table's file, which may have rows that the table leaves out."""
    ids: pd.Series[str]
    """Text, empty where the table has no id column."""


def to_csv(plan: SplitPlan, rows: Sequence[int] | IntArray, ids: Callable[[IntArray], Sequence[str]] | None = None) -> Iterator[str]:
    """Yield the text of `split.csv` in chunks; `rows` are the positions of the table's rows in its file, `ids` names some of the rows."""
    of_file = np.asarray(rows, np.int64)
    # Code -1 is the last word.
    words = np.array([*USES, UNUSED], dtype=object)
    outer = np.full(len(of_file), -1, np.int64)
    # -1: rows that are in a partition and not outer test rows.
    outer[plan.test] = USES.index("test")
    header = True
    inside = outer < 0
    for fold, codes in [*((str(number), one.codes(len(of_file))) for number, one in enumerate(plan.partitions)), (OUTER, outer)]:
        used = np.flatnonzero(codes >= 0 if fold == OUTER else inside)
        for start in range(0, len(used), CHUNK_ROWS):
            lines = used[start : start + CHUNK_ROWS]
            texts = "" if ids is None else list(ids(lines))
            yield csv_text(pd.DataFrame({"row": of_file[lines], "id": texts, "fold": fold, "part": words[codes[lines]]}), header=header)
            header = False


def read_split(path: Path) -> WrittenSplit:
    """Read what `to_csv` wrote.

    Raises:
        RunError: the file is missing, or not such a table.

    """
    try:
        table = pd.concat(_chunks(path), ignore_index=True)
        rows, position = table["row"].to_numpy(), np.arange(len(table))
        ids = table["id"]
        if not (rows[1:] > rows[:-1]).all():  # several folds; sorting takes 40 bytes a line, more than all else that `fit` holds of it
            rows, first, position = np.unique(rows, return_index=True, return_inverse=True)
            ids = ids.iloc[first].reset_index(drop=True)
        fold, codes = table["fold"].to_numpy(), table["code"].to_numpy()
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise _unreadable(path, error) from error
    return WrittenSplit(_plan(path, len(rows), position, fold, codes), rows, ids)


def read_sizes(path: Path) -> dict[str, int]:
    """Count the rows of each part in the split of a hold-out, without the rows themselves: of five million, they take 250 MB.

    Raises RunError as `read_split` does, but does not see a row that is there twice.
    """
    counts = np.zeros(len(USES), np.int64)
    try:
        for chunk in _chunks(path, columns=("fold", "part")):
            counts += np.bincount(chunk["code"], minlength=len(USES) + 1)[: len(USES)]
    except (OSError, ValueError, KeyError, OverflowError) as error:
        raise _unreadable(path, error) from error
    return {use: int(count) for use, count in zip(USES, counts, strict=True) if use != "calibration" or count}


def _unreadable(path: Path, error: Exception) -> RunError:
    what = f"this file of the run cannot be read as a split ({type(error).__name__}: {error})."
    return RunError(Problem(str(path), what, RESTORE))


def _chunks(path: Path, columns: tuple[str, ...] = HEADER) -> Iterator[pd.DataFrame]:
    """Yield row, id, fold (-1: outer test rows) and the code of the part, line by line. Raises RunError for an unknown part."""
    lines = 0
    with pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8", usecols=columns.__contains__, chunksize=CHUNK_ROWS) as read:
        for chunk in read:
            codes = pd.Index([*USES, UNUSED]).get_indexer(pd.Index(chunk["part"])).astype(np.int8)
            if (codes < 0).any():
                place = int(np.argmax(codes < 0))
                # Lines count from 1, and the first one is the header.
                raise RunError(Problem(f"{path}:{lines + place + 2}", f"{chunk['part'].iloc[place]!r} is not a part.", RESTORE))
            numbers = {"fold": chunk["fold"].where(chunk["fold"] != OUTER, "-1").to_numpy(dtype=np.int32), "code": codes}
            if "row" in columns:
                numbers["row"] = chunk["row"].to_numpy(dtype=np.int64)
            yield chunk.drop(columns="part").assign(**numbers)
            lines += len(chunk)
    if not lines:
        raise ValueError("it has no rows")


def _plan(path: Path, count: int, position: IntArray, fold: IntArray, codes: IntArray) -> SplitPlan:
    """Return the plan of these lines. Raises RunError for a row that a partition has twice or not at all."""
    inside = fold >= 0
    test = np.sort(position[~inside])
    partitions, partial = [], False
    for number in np.unique(fold[inside]):
        lines = np.flatnonzero(fold == number)
        of_row = np.full(count, -1, np.int8)
        of_row[position[lines]] = codes[lines]
        # Any code that is not negative, so that the check below sees these rows as written; they are in no partition.
        of_row[test] = len(USES)
        # As many lines as rows, and no row without a line: every row has one.
        if len(lines) + len(test) != count or (of_row < 0).any():
            raise RunError(Problem(str(path), f"the file does not have every row once in fold {number}.", RESTORE))
        of_row[test] = -1
        partial |= bool((codes[lines] == len(USES)).any())
        partitions.append(Partition.from_codes(of_row))
    if not partitions:
        raise RunError(Problem(str(path), "the file has no rows to train on.", RESTORE))
    return SplitPlan(tuple(partitions), test, partial=partial)
