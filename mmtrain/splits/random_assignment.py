"""Rows that are drawn at random: whole groups, stratified or not, and what makes a draw impossible."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from mmtrain.errors import DataError, Problem, counted, listed
from mmtrain.splits.group_allocation import Tally, deal
from mmtrain.splits.plan import IntArray, Rows, TextPerRow, by_position

TRIES = 20  # of 719 tables of 8 groups that could be dealt, one try missed 18, twenty missed 4
NAMED = 5  # classes or groups that a message names before it counts the rest


def check_shares(validation: float, test: float, taken: float) -> None:
    """Raise ValueError unless both are 0 or more and what they take leaves some rows; the experiment file is checked before that."""
    if min(validation, test) < 0 or taken >= 1:
        raise ValueError(f"validation {validation} and test {test} must be 0 or more and leave some rows to train.")


@dataclass(frozen=True)
class Draw:
    """Rows that are divided at random. Without groups every row is a group; without strata there is one class."""

    group_of_row: IntArray
    tally: Tally
    noun: str
    classes: tuple[str, ...]
    """Names of the strata; none for a draw that is not stratified."""
    marked: bool = False
    """True if these are only the rows that the table marks train."""

    @classmethod
    def of(cls, rows: Rows, *, stratified: bool, marked: bool = False) -> Draw:
        """Return the draw of these rows. Raises ValueError for a stratified one without labels."""
        if stratified and rows.labels is None:
            raise ValueError("A stratified split needs labels.")
        groups = np.arange(rows.count, dtype=np.int32) if rows.groups is None else coded(rows.groups, rows.count, "groups")[0]
        labels, names = coded(rows.labels, rows.count, "labels") if stratified and rows.labels is not None else (np.zeros_like(groups), ())
        if rows.groups is None:
            # Of ten million rows, 64 bits for each of a dozen arrays take a gigabyte.
            return cls(groups, Tally.of_rows(groups, labels.astype(np.int32)), "row", names, marked)
        return cls(groups, Tally.of(groups, labels), "group", names, marked)

    def refusals(self, fractions: npt.NDArray[np.float64], sides: str = "") -> list[Problem]:
        """Return the problem of too few rows or groups, in all or of a class, for parts with these shares.

        `sides` names the parts and their number, `5 folds`; by default they are the parts of a hold-out.
        """
        parts = int(np.count_nonzero(fractions))
        if self.tally.groups < parts:
            return [self._too_few(parts, sides)]
        if not self.classes:
            return []
        holders = self.tally.holders
        rare = np.flatnonzero(holders < parts)
        if not len(rare):
            return []
        where = " marked train" if self.marked else ""
        if len(rare) == 1:
            name = self.classes[rare[0]]
            what = f"class '{name}' has {counted(int(holders[rare[0]]), self.noun)}{where}, fewer than the {sides or f'{parts} parts'}."
        else:
            named = listed([f"'{self.classes[label]}' ({holders[label]})" for label in rare], most=NAMED)
            what = f"{len(rare)} classes have fewer {self.noun}s{where} than the {sides or f'{parts} parts'}: {named}."
        return [Problem("split", what, self._rare_fix(len(rare)))]

    def _rare_fix(self, classes: int) -> str:
        which = "it" if classes == 1 else "each"
        last = "mark the validation rows in the split column" if self.marked else "use `split: {method: random}`"
        return f"Merge {which} with another class, leave those rows out, or {last}."

    def _too_few(self, parts: int, sides: str) -> Problem:
        count = counted(self.tally.groups, self.noun)
        if sides:
            return Problem("split", f"there are {count}, fewer than the {sides}.", f"Add {self.noun}s, or lower `split.folds`.")
        if self.marked:
            what = f"{count} marked train cannot be divided into train and validation."
            return Problem("split", what, f"Mark more {self.noun}s train, or mark some validation.")
        what = f"the table has {count}, fewer than the {parts} parts."
        without_test = ", or set `test: 0`" if self.tally.groups > 1 and parts > 2 else ""
        return Problem("split", what, f"Add {self.noun}s{without_test}.")

    def codes(self, fractions: npt.NDArray[np.float64], seed: int | tuple[int, ...]) -> IntArray:
        """Part of each row; raises DataError when a class could not be brought into every part.

        Different tuples of numbers as `seed` give independent draws.
        """
        parts = np.flatnonzero(fractions)
        generator = np.random.Generator(np.random.PCG64(seed))
        absent = np.zeros(0, np.int64)
        for _ in range(TRIES):
            # Parts without a share are left out of the deal and keep no rows.
            part = deal(self.tally, fractions[parts] / fractions.sum(), generator)
            absent = np.flatnonzero((self.tally.groups_with_class(part, len(parts)) == 0).any(axis=0))
            if not len(absent):
                # From the dealt parts to their codes, from groups to rows.
                codes: IntArray = parts.astype(np.int8)[part][self.group_of_row]
                return codes
        names = listed([f"'{self.classes[label]}'" for label in absent], most=NAMED)
        what = f"no way was found to deal the groups to {len(parts)} parts so that each part has some of class {names}."
        raise DataError(Problem("split", what, self._rare_fix(len(absent))))


def coded(cells: TextPerRow, count: int, name: str, *, in_order: bool = True) -> tuple[IntArray, tuple[str, ...]]:
    """Codes (rows,) and names; in the order of their text, or of their first row."""
    codes, names = pd.factorize(by_position(cells), sort=in_order)
    if len(codes) != count or (codes < 0).any():
        raise ValueError(f"{name} must have a value for each of the {count} rows.")
    return codes.astype(np.int64), tuple(str(value) for value in names)
