"""Divide the rows of a table into train, validation and test.

| method | a row's part |
|---|---|
| `random` | chance |
| `stratified` | chance, with the same mix of classes in every part |
| `column` | what the table says; validation is taken from training rows where no row says validation |

Whatever the method, the rows of a group stay together, and a part with a fraction above 0 is never empty. The same rows,
options and seed give the same parts (`dealing` says how).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from mmtrain.columns.split_words import PARTS
from mmtrain.data.splits.dealing import Tally, deal
from mmtrain.data.splits.parts import IntArray, Parts, TextPerRow
from mmtrain.errors import DataError, Problem, counted, listed

__all__ = ["Method", "Parts", "Rows", "check_sound", "split"]

Method = Literal["random", "stratified", "column"]
TRAIN, VALIDATION, TEST = range(3)
TRIES = 20  # of 719 tables of 8 groups that could be dealt, one try missed 18, twenty missed 4
NAMED = 5  # classes or groups that a message names before it counts the rest


@dataclass(frozen=True)
class Rows:
    """What a split may know of the rows: how many, and one text per row where there is such a column."""

    count: int
    groups: TextPerRow | None = None
    labels: TextPerRow | None = None
    """Classes; None where the target has none."""
    given: TextPerRow | None = None
    """`train`, `validation` or `test`, for the method `column`."""

    def at(self, positions: IntArray) -> Rows:
        """Only these rows."""
        picked = [None if cells is None else values(cells)[positions] for cells in (self.groups, self.labels, self.given)]
        return Rows(len(positions), *picked)


def values(cells: TextPerRow) -> npt.NDArray[np.object_] | pd.Categorical[Any]:
    """Cells by position. Of a million rows, categories take a tenth of the time and of the memory of texts."""
    return cells if isinstance(cells, pd.Categorical) else np.asarray(cells, dtype=object)


def split(rows: Rows, *, method: Method, validation: float, test: float, seed: int) -> Parts:
    """Divide the rows; `validation` and `test` are fractions of all rows, 0 for a part that is to be empty.

    With the method `column`, `validation` is a fraction of the rows marked train, used where no row is marked
    validation, and a `test` above 0, whatever its size, asks that some rows are marked test.

    Raises:
        DataError: the rows cannot be divided so.

    """
    taken = validation if method == "column" else validation + test
    if min(validation, test) < 0 or taken >= 1:
        raise ValueError(f"validation {validation} and test {test} must be 0 or more and leave some rows to train.")
    if method == "column":
        codes = _as_given(rows, validation, test, seed)
    else:
        draw = _Draw.of(rows, stratified=method == "stratified")
        fractions = np.array([1 - validation - test, validation, test])
        if problems := draw.refusals(fractions):
            raise DataError(problems)
        codes = draw.codes(fractions, seed)
    parts = Parts.from_codes(codes)
    check_sound(parts, rows)
    return parts


def check_sound(parts: Parts, rows: Rows) -> None:
    """Look once more, by other means than the split used, that every row is in one part and every group in one.

    Raises:
        RuntimeError: some are not. That is a bug of ours, not something to be mended by a user.

    """
    times = np.bincount(np.concatenate([positions for _, positions in parts.items()]), minlength=rows.count)
    faults = [
        f"{counted(len(found), 'row')} in {where} (first: {found[0]})"
        for where, found in (("no part", np.flatnonzero(times == 0)), ("several parts", np.flatnonzero(times > 1)))
        if len(found)
    ]
    if rows.groups is not None:
        groups, names = pd.factorize(values(rows.groups))
        met = np.zeros(len(names), dtype=np.int64)
        for _, positions in parts.items():
            met += np.bincount(groups[positions], minlength=len(names)) > 0
        torn = np.flatnonzero(met > 1)
        if len(torn):
            faults.append(f"{counted(len(torn), 'group')} in several parts (first: {str(names[torn[0]])!r})")
    if faults:
        raise RuntimeError(f"The split is unsound: {', '.join(faults)}.")


@dataclass(frozen=True)
class _Draw:
    """Rows that chance divides. Without groups every row is a group; without strata there is one class."""

    group_of_row: IntArray
    tally: Tally
    noun: str
    classes: tuple[str, ...]
    """Names of the strata; none where chance alone decides."""
    marked: bool = False
    """Whether these are only the rows that the table marks train."""

    @classmethod
    def of(cls, rows: Rows, *, stratified: bool, marked: bool = False) -> _Draw:
        if stratified and rows.labels is None:
            raise ValueError("A stratified split needs labels.")
        groups = np.arange(rows.count) if rows.groups is None else _coded(rows.groups, rows.count, "groups")[0]
        labels, names = _coded(rows.labels, rows.count, "labels") if stratified and rows.labels is not None else (np.zeros_like(groups), ())
        if rows.groups is None:
            return cls(groups, Tally.of_rows(groups, labels), "row", names, marked)
        return cls(groups, Tally.of(groups, labels), "group", names, marked)

    def refusals(self, fractions: npt.NDArray[np.float64]) -> list[Problem]:
        """Too few rows or groups, in all or of a class."""
        parts = int(np.count_nonzero(fractions))
        if self.tally.groups < parts:
            return [self._too_few(parts)]
        if not self.classes:
            return []
        holders = self.tally.holders
        rare = np.flatnonzero(holders < parts)
        if not len(rare):
            return []
        where = " marked train" if self.marked else ""
        if len(rare) == 1:
            name = self.classes[rare[0]]
            what = f"class '{name}' has {counted(int(holders[rare[0]]), self.noun)}{where}, fewer than the {parts} parts."
        else:
            named = listed([f"'{self.classes[label]}' ({holders[label]})" for label in rare], most=NAMED)
            what = f"{len(rare)} classes have fewer {self.noun}s{where} than the {parts} parts: {named}."
        return [Problem("split", what, self._rare_fix(len(rare)))]

    def _rare_fix(self, classes: int) -> str:
        which = "it" if classes == 1 else "each"
        last = "mark the validation rows in the split column" if self.marked else "use `split: {method: random}`"
        return f"Merge {which} with another class, leave those rows out, or {last}."

    def _too_few(self, parts: int) -> Problem:
        found = counted(self.tally.groups, self.noun)
        if self.marked:
            what = f"{found} marked train cannot be divided into train and validation."
            return Problem("split", what, f"Mark more {self.noun}s train, or mark some validation.")
        what = f"the table has {found}, fewer than the {parts} parts."
        without_test = ", or set `test: 0`" if self.tally.groups > 1 and parts > 2 else ""
        return Problem("split", what, f"Add {self.noun}s{without_test}.")

    def codes(self, fractions: npt.NDArray[np.float64], seed: int) -> IntArray:
        """Part of each row; raises DataError when a class could not be brought into every part."""
        asked = np.flatnonzero(fractions)
        generator = np.random.Generator(np.random.PCG64(seed))
        absent = np.zeros(0, np.int64)
        for _ in range(TRIES):
            part = deal(self.tally, fractions[asked] / fractions.sum(), generator)
            absent = np.flatnonzero((self.tally.held(part, len(asked)) == 0).any(axis=0))
            if not len(absent):
                codes: IntArray = asked[part][self.group_of_row]
                return codes
        names = listed([f"'{self.classes[label]}'" for label in absent], most=NAMED)
        what = f"no way was found to deal the groups to {len(asked)} parts so that each part has some of class {names}."
        raise DataError(Problem("split", what, self._rare_fix(len(absent))))


def _as_given(rows: Rows, validation: float, test: float, seed: int) -> IntArray:
    if rows.given is None:
        raise ValueError("A split by column needs the parts given.")
    codes = _given_codes(rows.given, rows.count)
    problems = _given_problems(rows, codes, test)
    train = np.flatnonzero(codes == TRAIN)
    if validation == 0 or (codes == VALIDATION).any() or not len(train):
        if problems:
            raise DataError(problems)
        return codes
    draw = _Draw.of(rows.at(train), stratified=rows.labels is not None, marked=True)
    fractions = np.array([1 - validation, validation])
    problems += draw.refusals(fractions)
    if problems:
        raise DataError(problems)
    codes[train] = draw.codes(fractions, seed)
    return codes


def _given_codes(given: TextPerRow, count: int) -> IntArray:
    found, names = pd.factorize(values(given))
    codes = np.append(pd.Index(PARTS).get_indexer(pd.Index(np.asarray(names, dtype=object))), -1)[found].astype(np.int64)
    if len(codes) != count or (codes < 0).any():
        raise ValueError(f"given must be one of {listed(PARTS, 'or')} for each of the {count} rows.")
    return codes


def _given_problems(rows: Rows, codes: IntArray, test: float) -> list[Problem]:
    problems = []
    if not (codes == TRAIN).any():
        problems.append(Problem("split", "no row is marked train.", "Write train in the split column of the rows to learn from."))
    if test > 0 and not (codes == TEST).any():
        problems.append(Problem("split", "no row is marked test.", "Write test in the split column of some rows, or set `test: 0`."))
    if rows.groups is None:
        return problems
    groups, names = _coded(rows.groups, rows.count, "groups", in_order=False)
    met = Tally.of(groups, codes)
    torn = np.flatnonzero(np.bincount(met.group) > 1)
    if len(torn):
        named = listed([f"'{names[group]}'" for group in torn], most=NAMED)
        what = f"the split column tears {counted(len(torn), 'group')} apart: {named}."
        problems.append(Problem("split", what, "Mark all rows of a group for the same part."))
    return problems


def _coded(cells: TextPerRow, count: int, name: str, *, in_order: bool = True) -> tuple[IntArray, tuple[str, ...]]:
    """Codes (rows,) and names; in the order of their text, or of their first row."""
    codes, names = pd.factorize(values(cells), sort=in_order)
    if len(codes) != count or (codes < 0).any():
        raise ValueError(f"{name} must have a value for each of the {count} rows.")
    return codes.astype(np.int64), tuple(str(value) for value in names)
