"""Deal whole groups to parts so that every part has nearly its share of the rows and of each class.

The aim is that of scikit-learn's `StratifiedGroupKFold`, with shares of any size and at near-linear cost. What is kept
small is the chi-squared distance: (rows - wanted)^2 / wanted, summed over parts, over classes and over all rows together.

1. Large groups go before small ones, which then make up for what the large ones upset. Sizes are compared by powers of
   two and chance orders the rest, so that another seed gives another split.
2. Groups with the same rows of each class are alike. They are counted out to the parts in one go, so that the distance
   grows least; chance alone says which of them goes where. Rows without groups are groups of one: of these, nearly all
   are alike. Dividing by what is wanted fills the parts evenly; undivided, the largest groups would all go to train.
3. A part that got nothing of a class is given one of its groups from a part that has several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import fsum  # `sum` of floats gives other last digits from Python 3.12 on, and so another split
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from mmtrain.splits.plan import IntArray


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
        # A pair (group, class) as one number, so that one sort counts all cells.
        cells, rows = np.unique(groups * classes + labels, return_counts=True)
        return cls(cells // classes, cells % classes, rows.astype(np.int64))

    @classmethod
    def of_rows(cls, groups: IntArray, labels: IntArray) -> Tally:
        """The same where every row is a group of its own, without sorting a million of them; the codes of the groups ascend."""
        # A view of a single 1: no memory for a million rows.
        return cls(groups, labels, np.broadcast_to(np.int64(1), len(labels)))

    @property
    def groups(self) -> int:
        """Return the number of groups."""
        return int(self.group.max(initial=-1)) + 1

    @property
    def holders(self) -> IntArray:
        """Return the number of groups with rows of each class, (classes,)."""
        return np.bincount(self.label)

    def starts(self) -> IntArray:
        """Return the first cell of each group, and the end of the last group, (groups + 1,)."""
        return np.searchsorted(self.group, np.arange(self.groups + 1))

    def profiles(self) -> IntArray:
        """A code per group; groups with the same rows of each class have the same code."""
        if len(self.label) == self.groups:  # a cell each, as of a million rows without groups: no bytes are made for each
            return pd.factorize(self.label * (int(self.rows.max(initial=0)) + 1) + self.rows)[0].astype(np.int32)
        # The cells of each group as bytes, which are hashed at once; the arrays are ordered by group.
        packed = np.column_stack([self.label, self.rows]).tobytes()
        bounds = (self.starts() * (self.label.itemsize + self.rows.itemsize)).tolist()
        keys = np.empty(self.groups, dtype=object)
        keys[:] = [packed[start:end] for start, end in pairwise(bounds)]
        return pd.factorize(keys)[0]

    def sizes(self, groups: IntArray) -> npt.NDArray[np.floating[Any] | np.int64]:
        """Rows of some groups."""
        return self.rows[groups] if len(self.label) == self.groups else np.bincount(self.group, self.rows)[groups]

    def groups_with_class(self, part: IntArray, parts: int) -> IntArray:
        """Return the number of groups with rows of each class in every part, (parts, classes); `part` is (groups,)."""
        classes = len(self.holders)
        # Parts have 16 bits: 100 folds times 400 classes are more.
        cells = part[self.group].astype(np.int64) * classes + self.label
        return np.bincount(cells, minlength=parts * classes).reshape(parts, classes)


class Balance:
    """The distance of each part from its wanted rows, per class and (last column) over all classes.

    Plain lists: a few cells are looked at a time, where lists are several times faster than arrays. What has an entry for every
    group is an array: of a million rows without groups, lists would take 100 MB.
    """

    def __init__(self, tally: Tally, shares: npt.NDArray[np.float64]) -> None:
        total = np.bincount(tally.label, tally.rows)
        # (parts, classes + 1): the last column stands for all classes together.
        wanted = np.outer(shares, np.append(total, total.sum()))
        self.parts = range(len(shares))
        self.wanted: list[list[float]] = wanted.tolist()
        # The rows that a part still lacks count as negative excess.
        self.excess: list[list[float]] = (-wanted).tolist()
        self._starts, self._labels, self._rows = tally.starts(), tally.label, tally.rows

    def cells(self, group: int) -> list[tuple[int, int]]:
        """(class, rows) of a group, and (-1, all its rows)."""
        start, end = self._starts[group], self._starts[group + 1]
        rows = self._rows[start:end].tolist()
        return [*zip(self._labels[start:end].tolist(), rows, strict=True), (-1, sum(rows))]

    def growth(self, part: int, cells: list[tuple[int, int]], sign: int = 1) -> float:
        """Return by how much the distance of `part` grows when a group with these cells joins it; `sign` -1: leaves it."""
        excess, wanted = self.excess[part], self.wanted[part]
        # ((excess + rows)^2 - excess^2) / wanted, summed over the classes and the total; `fsum` makes ties exact.
        return fsum(rows * (rows + 2 * sign * excess[label]) / wanted[label] for label, rows in cells)

    def add(self, part: int, cells: list[tuple[int, int]], times: int = 1) -> None:
        """Count `times` groups with these cells in; below 0: out."""
        for label, rows in cells:
            self.excess[part][label] += times * rows

    def count_out(self, cells: list[tuple[int, int]], alike: int) -> list[int]:
        """Give `alike` groups with these cells to the parts and count them in; how many each part gets."""
        # Rounded to nine digits first: 0.7 * 10 may come out just below 7.
        counts = [int(round(ideal, 9)) for ideal in self._ideal(cells, alike)] if alike > 1 else [0 for _ in self.parts]
        for part in self.parts:
            self.add(part, cells, counts[part])
        # Hand out the rest of rounding down, one at a time to the part whose distance grows least.
        for _ in range(alike - sum(counts)):
            costs = [self.growth(part, cells) for part in self.parts]
            best = costs.index(min(costs))
            counts[best] += 1
            self.add(best, cells)
        return counts

    def _ideal(self, cells: list[tuple[int, int]], alike: int) -> list[float]:
        """Return the numbers of `count_out` if groups could be divided: those for which one more costs the same in every part.

        It saves asking for each of a million rows that are alike.
        """
        # n groups let the distance of a part grow by curve * n^2 + 2 * slope * n.
        curve = [fsum(rows * rows / self.wanted[part][label] for label, rows in cells) for part in self.parts]
        slope = [fsum(rows * self.excess[part][label] / self.wanted[part][label] for label, rows in cells) for part in self.parts]
        takers = list(self.parts)
        while True:
            # The level at which one more costs the same in all parts that take some; parts above it take none.
            level = (alike + fsum(slope[part] / curve[part] for part in takers)) / fsum(1 / curve[part] for part in takers)
            below = [part for part in takers if slope[part] <= level]
            if len(below) == len(takers):
                return [max(0.0, (level - slope[part]) / curve[part]) if part in takers else 0.0 for part in self.parts]
            takers = below


def deal(tally: Tally, shares: npt.NDArray[np.float64], generator: np.random.Generator) -> IntArray:
    """The part of each group; (groups,), an index into `shares`, which are above 0 and sum to 1."""
    # Ties are broken by this order alone.
    shuffled = generator.permutation(tally.groups).astype(np.int32)
    balance = Balance(tally, shares)
    dealt: IntArray = np.zeros(tally.groups, np.int16)
    for alike in _alike(tally, shuffled):
        counts = balance.count_out(balance.cells(int(alike[0])), len(alike))
        dealt[alike] = np.repeat(np.arange(len(counts), dtype=np.int16), counts)
    _give_every_part_every_class(tally, shuffled, dealt, balance)
    return dealt


def _alike(tally: Tally, shuffled: IntArray) -> Iterator[IntArray]:
    """Groups that are alike, in shuffled order; large groups first, among those of about a size the least common first."""
    profile = pd.factorize(tally.profiles()[shuffled])[0].astype(np.int32)
    common = np.bincount(profile)
    members = shuffled[np.argsort(profile, kind="stable")]
    ends = np.cumsum(common)
    # One member of each kind tells the size of all.
    sizes = tally.sizes(members[ends - common])
    # Powers of two, as the exponent of a float.
    magnitude = np.frexp(sizes)[1]
    for code in np.lexsort((common, -magnitude)).tolist():
        yield members[ends[code] - common[code] : ends[code]]


def _give_every_part_every_class(tally: Tally, shuffled: IntArray, part: IntArray, balance: Balance) -> None:
    """Rarest class first. A move never takes a part's last group of a class, so it never undoes another one."""
    groups_with = tally.groups_with_class(part, len(balance.parts))
    wanting = np.flatnonzero((groups_with == 0).any(axis=0))
    if not len(wanting):
        return
    # Position of each group in the random order.
    rank = np.argsort(shuffled)
    by_label = np.argsort(tally.label, kind="stable")
    bounds = np.append(0, np.cumsum(tally.holders))
    for label in wanting[np.argsort(tally.holders[wanting], kind="stable")].tolist():
        holders = tally.group[by_label[bounds[label] : bounds[label + 1]]]
        holders = holders[np.argsort(rank[holders])]
        for poor in np.flatnonzero(groups_with[:, label] == 0).tolist():
            _give_one(holders.tolist(), poor, part, balance, groups_with)


def _give_one(holders: list[int], poor: int, part: IntArray, balance: Balance, groups_with: IntArray) -> None:
    """Move the holder to `poor` that upsets the balance least; nothing where each is the last of a class in its part."""
    best: tuple[float, int] | None = None
    for group in holders:
        cells, giver = balance.cells(group), int(part[group])
        # The giver must keep a group of each class; the last cell is the total.
        if all(groups_with[giver, label] > 1 for label, _ in cells[:-1]):
            cost = balance.growth(poor, cells) + balance.growth(giver, cells, -1)
            best = (cost, group) if best is None or cost < best[0] else best
    if best is None:
        return
    group = best[1]
    cells, giver = balance.cells(group), int(part[group])
    labels = [label for label, _ in cells[:-1]]
    groups_with[giver, labels] -= 1
    groups_with[poor, labels] += 1
    balance.add(giver, cells, -1)
    balance.add(poor, cells)
    part[group] = poor
