"""Metadata of the rows of a table: part of the split, group, classes and labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.finding import Level
from mmtrain.audit.label_index import LabelIndex
from mmtrain.audit.pairs import has_several
from mmtrain.columns.split_words import PARTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmtrain.splits.plan import Partition

LEFT_OUT = -1
TRAIN, VALIDATION, TEST = range(3)


@dataclass(frozen=True, eq=False)
class RowMetadata:
    """One entry per row of the table's file, rows that leave the table included."""

    rows: int
    parts: NDArray[np.int8] | None = None
    """(rows,): position in `PARTS`, -1 for a row that leaves the table; None where the rows could not be divided."""
    given: bool = False
    """True where the table says which part a row belongs to."""
    by_time: bool = False
    """True where the rows were divided in the order of time; where neither holds, they were divided at random."""
    groups: NDArray[np.int64] | None = None
    """(rows,): code of the group, -1 for a row without one; None where the table has no groups."""
    targets: tuple[LabelIndex, ...] = ()
    """The classes or labels of every target that has any."""

    @property
    def by_random(self) -> bool:
        """True where the rows were divided at random, so that every difference between the parts is random too."""
        return not self.given and not self.by_time

    def of_part(self, part: int) -> NDArray[np.int64]:
        """Return the rows of a part; none where the rows could not be divided."""
        return np.flatnonzero(self.parts == part) if self.parts is not None else np.empty(0, dtype=np.int64)

    @cached_property
    def for_answers(self) -> NDArray[np.int64]:
        """Rows whose answers checks may read: all but those of the test part."""
        return np.arange(self.rows) if self.parts is None else np.flatnonzero((self.parts == TRAIN) | (self.parts == VALIDATION))

    @cached_property
    def units(self) -> NDArray[np.int64]:
        """(rows,): code of the sampling unit, independent in tests: the group of a row, or the row itself without one."""
        if self.groups is None:
            return np.arange(self.rows)
        lone = self.groups < 0
        units = self.groups.copy()
        # Rows without a group are units of their own, with numbers behind those of the groups.
        units[lone] = self.groups.max(initial=-1) + 1 + np.arange(int(lone.sum()))
        return units

    def one_of_each(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return one of `rows` for every group among them, at random with a fixed seed: tests need independent rows."""
        if self.groups is None:
            return rows
        # The first row of each group may be special, the one of a first visit for instance.
        mixed = np.random.Generator(np.random.PCG64(0)).permutation(rows)
        _, first = np.unique(self.units[mixed], return_index=True)
        return np.sort(mixed[first])

    def spans(self, sets: NDArray[np.int64], values: NDArray[np.integer] | None) -> NDArray[np.bool_]:
        """Mark sets, given as (n, 2) of set and row, that hold rows with two different `values`; (sets,). Negative values are unknown."""
        count = int(sets[:, 0].max(initial=-1)) + 1
        if values is None or not count:
            return np.zeros(count, dtype=np.bool_)
        # Sets whose values are all unknown have nothing to disagree on.
        known = sets[values[sets[:, 1]] >= 0]
        return has_several(known[:, 0], values[known[:, 1]], count)


def shift_advice(metadata: RowMetadata, part: int, noun: str) -> tuple[Level, str, str]:
    """Return level, reason and remedy of `rows` or `texts` of a part that differ from those of training."""
    if metadata.by_time:
        fix = "Expect the same of newer ones, and train again as they come in; leave out a column whose values do not last."
        return "note", f"It changes with time: scores on {PARTS[part]} show how well the model predicts later {noun}.", fix
    differing = "part differs" if noun == "rows" else "texts differ"
    fix = f"Find out why the {differing}. If new rows will be like training, split the rows at random."
    return "warning", f"Scores on {PARTS[part]} are then of other {noun} than those of training.", fix


def part_codes(partition: Partition, rows: int) -> NDArray[np.int8]:
    """Return the parts of a partition as `RowMetadata.parts`, (rows,); calibration rows are drawn from validation and count as such."""
    codes = partition.codes(rows).astype(np.int8)
    codes[partition.calibration] = VALIDATION
    return codes


def split_names(codes: NDArray[np.integer]) -> list[str]:
    """Return the names of the parts in `codes`, in the order train, validation, test."""
    return [PARTS[code] for code in np.unique(codes) if code >= 0]
