"""Follows the rows of a table while they are predicted, to say at the end how they differ from those of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from mmtrain.columns import FittedColumn
from mmtrain.columns.categorical import UNSEEN, FittedCategorical
from mmtrain.columns.numeric import parse_numbers
from mmtrain.config.image_folder import SETTING
from mmtrain.data.drift.drift import Drift, compare_columns, exceeds, range_drift
from mmtrain.data.drift.statistics import AnyStatistics, ImageAccumulator, NumericAccumulator, NumericStatistics, Statistics, accumulators
from mmtrain.data.encode import Array
from mmtrain.data.images.locate import right_folder
from mmtrain.data.prediction_chunks import Chunk
from mmtrain.errors import listed

LONGEST = 60
"""Characters of a cell that are shown."""


class DriftMonitor:
    """Counts what passes, in memory that does not grow with the rows. `headers` says what a person calls each column.

    `setting` is what a person changes to have another images folder.
    """

    def __init__(
        self, fitted: Mapping[str, FittedColumn], headers: Mapping[str, str], learned: Statistics, *, setting: str = SETTING
    ) -> None:
        self._setting = setting
        self._fitted = fitted
        self._headers = headers
        self._learned = learned.columns
        self._tallies = {key: tally for key, tally in accumulators(fitted).items() if key in self._learned}
        self._outside = dict.fromkeys(fitted, 0)
        self._no_number: dict[str, str] = {}
        self._other_type = dict.fromkeys(fitted, 0)
        self._of_numbers = {key: of_numbers for key, column in fitted.items() if (of_numbers := _of_numbers(column)) is not None}

    def add(self, piece: Chunk) -> None:
        """The next rows."""
        for key, tally in self._tallies.items():
            if isinstance(tally, NumericAccumulator):
                tally.add(piece.raw[key])
                self._see_words(key, piece)
                self._outside[key] += _outside(piece.raw[key], self._learned[key])
            elif isinstance(tally, ImageAccumulator):
                present = piece.inputs[f"{key}_present"]
                tally.count(present)
                tally.look(piece.inputs[key], present, piece.files[key])
            else:
                tally.add(piece.inputs[key])
                if key in self._of_numbers:
                    self._other_type[key] += self._of_other_type(key, piece)

    def _see_words(self, key: str, piece: Chunk) -> None:
        """The first cell that is no number, of those that are not empty."""
        unread = np.flatnonzero(np.isnan(piece.raw[key][:, 0]))
        if key not in self._no_number and len(unread) and len(cells := piece.cells[self._headers[key]].iloc[unread].dropna()):
            self._no_number[key] = str(cells.iloc[0])[:LONGEST]

    def _of_other_type(self, key: str, piece: Chunk) -> int:
        """Unseen cells that are numbers where all categories are words, or the other way round."""
        unseen = piece.cells[self._headers[key]].iloc[np.flatnonzero(piece.inputs[key][:, 0] == UNSEEN)]
        return int((np.isnan(parse_numbers(unseen)) == self._of_numbers[key]).sum())

    def drifts(self) -> list[Drift]:
        """Everything that is to be told, in the order of the columns."""
        found: list[Drift] = []
        for key, tally in self._tallies.items():
            header, before, now = self._headers[key], self._learned[key], tally.statistics()
            own = compare_columns(header, before, now)
            if isinstance(before, NumericStatistics) and not any(drift.kind == "unit" for drift in own):
                own += range_drift(header, before, self._outside[key], now.rows)
            if isinstance(tally, ImageAccumulator) and not now.rows:
                own = [replace(drift, text=f"{drift.text} Not one cell has an image: {right_folder(self._setting)}") for drift in own]
            if key in self._no_number:
                first = f"The first that cannot be read is {self._no_number[key]!r}."
                own = [replace(drift, text=f"{drift.text} {first}") if drift.kind == "missing" else drift for drift in own]
            if exceeds(self._other_type[key], now.rows, 0.5):
                own = [self._type_drift(key)]  # all else follows from it
            found += own
        return found

    def _type_drift(self, key: str) -> Drift:
        column = self._fitted[key]
        categories = column.categories if isinstance(column, FittedCategorical) else ()
        now, before = ("words", "numbers") if self._of_numbers[key] else ("numbers", "words")
        known = listed([repr(name) for name in categories], most=5)
        return Drift(self._headers[key], "type", f"most cells are {now}, where training saw {before}: {known}.")


def _outside(raw: Array, learned: AnyStatistics) -> int:
    """Numbers that training did not reach."""
    return int(((raw < learned.minimum) | (raw > learned.maximum)).sum()) if isinstance(learned, NumericStatistics) else 0


def _of_numbers(column: FittedColumn) -> bool | None:
    """Whether all categories are numbers; None where some are and some are not, and of other columns."""
    if not isinstance(column, FittedCategorical):
        return None
    known = ~np.isnan(parse_numbers(pd.Series(column.categories, dtype="str")))
    return bool(known[0]) if len(known) and (known == known[0]).all() else None
