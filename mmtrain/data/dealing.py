"""Deal whole groups to parts so that every part has nearly its share of the rows and of each class.

The aim is that of scikit-learn's `StratifiedGroupKFold`, with shares of any size and at near-linear cost. Three steps:

1. Groups with the same rows of each class are alike: chance alone says which of them goes where, and each part gets
   its share of them, rounded down. Rows without groups are groups of one; for them this step does nearly everything.
2. The groups left over are placed one by one, large before small, where the summed chi-squared distance
   (rows - wanted)^2 / wanted over classes and all rows grows least. Dividing by what is wanted fills the parts evenly;
   undivided, the largest groups would all go to train. Sizes are compared by powers of two and chance orders the rest,
   so that another seed gives another split.
3. A part that got nothing of a class is given one of its groups from a part that has several.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

IntArray = npt.NDArray[np.int64]
UNPLACED = -1


@dataclass(frozen=True)
class Tally:
    """Rows of each class in each group: the cells that are not zero, ordered by group, then class; (cells,) each."""

    group: IntArray
    label: IntArray
    rows: IntArray

    @classmethod
    def of(cls, groups: IntArray, labels: IntArray) -> Tally:
        """Count rows; both arguments are (rows,) codes from 0 without gaps."""
        classes = int(labels.max(initial=0)) + 1
        cells, rows = np.unique(groups * classes + labels, return_counts=True)
        return cls(cells // classes, cells % classes, rows.astype(np.int64))

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return int(self.group.max(initial=-1)) + 1

    @property
    def holders(self) -> IntArray:
        """How many groups have rows of each class; (classes,)."""
        return np.bincount(self.label)

    def starts(self) -> IntArray:
        """Where the cells of each group begin, and where the last ones end; (groups + 1,)."""
        return np.searchsorted(self.group, np.arange(self.groups + 1))

    def profiles(self) -> IntArray:
        """A code per group; groups with the same rows of each class have the same code."""
        packed = np.column_stack([self.label, self.rows]).tobytes()
        bounds = (self.starts() * (self.label.itemsize + self.rows.itemsize)).tolist()
        keys = np.empty(self.groups, dtype=object)
        keys[:] = [packed[start:end] for start, end in pairwise(bounds)]
        return pd.factorize(keys)[0]

    def held(self, part: IntArray, parts: int) -> IntArray:
        """How many groups with rows of each class every part has; (parts, classes). `part` is (groups,)."""
        classes = len(self.holders)
        placed = part[self.group] != UNPLACED
        cells = part[self.group[placed]] * classes + self.label[placed]
        return np.bincount(cells, minlength=parts * classes).reshape(parts, classes)


class Balance:
    """How far each part is from its wanted rows, per class and (last column) over all classes.

    Plain lists: the greedy step looks at a few cells at a time, where lists are several times faster than arrays.
    """

    def __init__(self, tally: Tally, shares: npt.NDArray[np.float64], part: IntArray) -> None:
        classes, parts = len(tally.holders), len(shares)
        total = np.bincount(tally.label, tally.rows)
        wanted = np.outer(shares, np.append(total, total.sum()))
        placed = part[tally.group] != UNPLACED
        cells = part[tally.group[placed]] * classes + tally.label[placed]
        have = np.bincount(cells, tally.rows[placed], minlength=parts * classes).reshape(parts, classes)
        self.excess: list[list[float]] = (np.column_stack([have, have.sum(axis=1)]) - wanted).tolist()
        self.wanted: list[list[float]] = wanted.tolist()
        self._starts = tally.starts().tolist()
        self._labels = tally.label.tolist()
        self._rows = tally.rows.tolist()

    def cells(self, group: int) -> list[tuple[int, int]]:
        """(class, rows) of a group, and (-1, all its rows)."""
        start, end = self._starts[group], self._starts[group + 1]
        rows = self._rows[start:end]
        return [*zip(self._labels[start:end], rows, strict=True), (-1, sum(rows))]

    def growth(self, part: int, cells: list[tuple[int, int]], sign: int = 1) -> float:
        """How much the distance of `part` grows when a group with these cells joins it; `sign` -1: leaves it."""
        excess, wanted = self.excess[part], self.wanted[part]
        return sum(rows * (rows + 2 * sign * excess[label]) / wanted[label] for label, rows in cells)

    def add(self, part: int, cells: list[tuple[int, int]], sign: int = 1) -> None:
        """Count a group in; `sign` -1: out."""
        for label, rows in cells:
            self.excess[part][label] += sign * rows


def deal(tally: Tally, shares: npt.NDArray[np.float64], generator: np.random.Generator) -> IntArray:
    """The part of each group; (groups,), an index into `shares`, which are above 0 and sum to 1."""
    shuffled = generator.permutation(tally.groups)
    part = _deal_alike(tally, shares, shuffled)
    rest = shuffled[part[shuffled] == UNPLACED]
    balance = Balance(tally, shares, part)
    _place(tally, rest, part, balance)
    _give_every_part_every_class(tally, shuffled, part, balance)
    return part


def _deal_alike(tally: Tally, shares: npt.NDArray[np.float64], shuffled: IntArray) -> IntArray:
    profile = tally.profiles()[shuffled]
    alike = np.bincount(profile)
    # Rounded to nine digits first: 0.7 * 10 may come out just below 7.
    whole = np.floor(np.round(np.outer(alike, shares), 9)).astype(np.int64)
    quotas = np.column_stack([alike - whole.sum(axis=1), whole])
    part = np.empty(tally.groups, np.int64)
    part[shuffled[np.argsort(profile, kind="stable")]] = np.repeat(np.tile(np.arange(UNPLACED, len(shares)), len(alike)), quotas.ravel())
    return part


def _place(tally: Tally, rest: IntArray, part: IntArray, balance: Balance) -> None:
    sizes = np.bincount(tally.group, tally.rows)[rest]
    magnitude = np.frexp(sizes)[1]
    for group in rest[np.argsort(-magnitude, kind="stable")].tolist():
        cells = balance.cells(group)
        costs = [balance.growth(candidate, cells) for candidate in range(len(balance.wanted))]
        best = costs.index(min(costs))
        part[group] = best
        balance.add(best, cells)


def _give_every_part_every_class(tally: Tally, shuffled: IntArray, part: IntArray, balance: Balance) -> None:
    """Rarest class first. A move never takes a part's last group of a class, so it never undoes another one."""
    parts = len(balance.wanted)
    held = tally.held(part, parts)
    wanting = np.flatnonzero((held == 0).any(axis=0))
    if not len(wanting):
        return
    rank = np.argsort(shuffled)
    by_label = np.argsort(tally.label, kind="stable")
    bounds = np.append(0, np.cumsum(tally.holders))
    for label in wanting[np.argsort(tally.holders[wanting], kind="stable")].tolist():
        holders = tally.group[by_label[bounds[label] : bounds[label + 1]]]
        holders = holders[np.argsort(rank[holders])]
        for poor in np.flatnonzero(held[:, label] == 0).tolist():
            _give_one(holders.tolist(), poor, part, balance, held)


def _give_one(holders: list[int], poor: int, part: IntArray, balance: Balance, held: IntArray) -> None:
    """Move the holder to `poor` that upsets the balance least; nothing where each is the last of a class in its part."""
    best: tuple[float, int] | None = None
    for group in holders:
        cells, giver = balance.cells(group), int(part[group])
        if all(held[giver, label] > 1 for label, _ in cells[:-1]):
            cost = balance.growth(poor, cells) + balance.growth(giver, cells, -1)
            best = (cost, group) if best is None or cost < best[0] else best
    if best is None:
        return
    group = best[1]
    cells, giver = balance.cells(group), int(part[group])
    labels = [label for label, _ in cells[:-1]]
    held[giver, labels] -= 1
    held[poor, labels] += 1
    balance.add(giver, cells, -1)
    balance.add(poor, cells)
    part[group] = poor
