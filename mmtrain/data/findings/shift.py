"""Columns that are distributed otherwise in a given part than in training.

Where chance divided the rows, every difference is chance and nothing is said. One row of each group is compared; the chances are
corrected for all columns and parts (Holm 1979), and the difference has to be large besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mmtrain.columns.bookkeeping import PARTS
from mmtrain.data.findings.cells import Cells, Sheet
from mmtrain.data.findings.cohort import TEST, TRAIN, VALIDATION, Cohort
from mmtrain.data.findings.finding import Finding
from mmtrain.data.findings.significance import SURE, chi_square, holm, kolmogorov_smirnov
from mmtrain.data.surveys.guess import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGE = 0.1
"""The largest distance of two distributions, or of the shares of one category, that is let pass. A shift of a tenth of the rows moves
a score by a tenth at most."""
LEAST_ROWS = 20
MOST_CATEGORIES = 200


class Compared(NamedTuple):
    """A column in one part beside training."""

    cells: Cells
    part: int
    size: float
    chance: float
    told: str


def shift(sheet: Sheet, cohort: Cohort) -> list[Finding]:
    """Everything of this family; texts are compared word by word elsewhere."""
    if cohort.parts is None or not cohort.given:
        return []
    train = cohort.one_of_each(cohort.of_part(TRAIN))
    compared = []
    for part in (VALIDATION, TEST):
        other = cohort.one_of_each(cohort.of_part(part))
        if min(len(train), len(other)) >= LEAST_ROWS:
            for cells in sheet.of_role("numeric", "categorical", "target"):
                if cells.use.task != "multilabel":
                    compared.append(_compared(cells, part, train, other))
            for cells in sheet.of_role("numeric", "text", "image"):
                compared.append(_missing(cells, part, train, other))
    corrected = holm([one.chance for one in compared])
    found = []
    for one, chance in zip(compared, corrected, strict=True):
        if chance < SURE and one.size >= LARGE:
            what = f"{PARTS[one.part]} differs from training: {one.told}."
            why = f"Scores on {PARTS[one.part]} then judge other rows than those that were learned from."
            fix = "Find out why the part differs. If new rows will be like training, divide the rows by chance."
            found.append(Finding("warning", "shift", one.cells.header, what, why, fix))
    return found


def _missing(cells: Cells, part: int, train: NDArray[np.int64], other: NDArray[np.int64]) -> Compared:
    """How many cells are empty; of categories a missing one is a category."""
    missing = [int(cells.missing[rows].sum()) for rows in (train, other)]
    table = np.array([[count, len(rows) - count] for count, rows in zip(missing, (train, other), strict=True)])
    shares = missing[0] / len(train), missing[1] / len(other)
    told = f"{shares[1]:.0%} of the cells are empty, in training {shares[0]:.0%}"
    return Compared(cells, part, abs(shares[0] - shares[1]), chi_square(table), told)


def _compared(cells: Cells, part: int, train: NDArray[np.int64], other: NDArray[np.int64]) -> Compared:
    number = cells.use.role == "numeric" or cells.use.task == "regression"
    if number and cells.numbers is not None:
        here, there = (cells.numbers[rows][~np.isnan(cells.numbers[rows])] for rows in (train, other))
        size, chance = kolmogorov_smirnov(here, there)
        medians = [f"{np.median(values):.4g}" if len(values) else "nothing" for values in (there, here)]
        return Compared(cells, part, size, chance, f"the median is {medians[0]}, in training {medians[1]}; distance {size:.2f}")
    codes, names = cells.codes(np.concatenate([train, other]))
    codes = np.where(codes < MOST_CATEGORIES, codes + 1, MOST_CATEGORIES + 1)  # 0 is missing, a category like any other
    table = np.stack([np.bincount(part_codes, minlength=MOST_CATEGORIES + 2) for part_codes in (codes[: len(train)], codes[len(train) :])])
    shares = table / table.sum(axis=1, keepdims=True)
    most = int(np.abs(shares[0] - shares[1]).argmax())
    name = "missing" if most == 0 else "rare" if most > min(MOST_CATEGORIES, len(names)) else shown(names[most - 1])
    told = f"{name} in {shares[1, most]:.0%} of the rows, in training in {shares[0, most]:.0%}"
    return Compared(cells, part, float(np.abs(shares[0] - shares[1]).max()), chi_square(table), told)
