"""The answers of a table as findings need them, target by target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.data.findings.cells import Cells, Sheet
from mmtrain.data.findings.cohort import Cohort

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Answer:
    """One target with one answer per row: a class or a number. Targets with several labels per row are not looked at."""

    header: str
    rows: NDArray[np.int64]
    """Whose answers are known and may be looked at: none of the test part."""
    labels: NDArray[np.int64] | None = None
    """(rows,) codes, none negative; None for a number."""
    classes: tuple[str, ...] = ()
    numbers: NDArray[np.float64] | None = None
    """(rows,)."""

    def at(self, kept: NDArray[np.int64]) -> Answer:
        """Only the rows at these positions in `rows`."""
        labels = None if self.labels is None else self.labels[kept]
        numbers = None if self.numbers is None else self.numbers[kept]
        return Answer(self.header, self.rows[kept], labels, self.classes, numbers)


def answers(sheet: Sheet, cohort: Cohort, tasks: Sequence[str] = ("binary", "multiclass", "regression")) -> list[Answer]:
    """The targets with these tasks that have two different answers at least."""
    found = []
    for cells in sheet.of_role("target"):
        if cells.use.task in tasks:
            answer = _answer(cells, cohort)
            if len(answer.rows):
                found.append(answer)
    return found


def _answer(cells: Cells, cohort: Cohort) -> Answer:
    rows = cohort.for_answers
    if cells.use.task == "regression" and cells.numbers is not None:
        rows = rows[~np.isnan(cells.numbers[rows])]
        numbers = cells.numbers[rows]
        return Answer(cells.header, rows if len(np.unique(numbers)) > 1 else rows[:0], numbers=numbers)
    rows = rows[~cells.missing[rows]]
    codes, names = cells.codes(rows)
    return Answer(cells.header, rows if len(names) > 1 else rows[:0], codes, tuple(names))
