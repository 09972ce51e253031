"""Follow the rows of a table while they are predicted, to say at the end how they differ from those of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mmtrain.columns import FittedColumn
from mmtrain.columns.summaries import Statistics
from mmtrain.columns.summaries.base import Accumulator, SeenRows
from mmtrain.config.image_folder import SETTING
from mmtrain.data.images.locate import right_folder
from mmtrain.data.prediction_chunks import Chunk


@dataclass(frozen=True)
class Drift:
    """Something that has changed since training: the column's header, which sort of change, and a sentence."""

    column: str
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.column}: {self.text}"


class DriftMonitor:
    """Counts what passes, in memory that does not grow with the rows. `headers` says what a person calls each column.

    `setting` is what a person changes to have another images folder.
    """

    def __init__(
        self, fitted: Mapping[str, FittedColumn], headers: Mapping[str, str], learned: Statistics, *, setting: str = SETTING
    ) -> None:
        self._setting = setting
        self._headers = headers
        self._learned = learned.columns
        made = {key: column.accumulator(self._learned[key]) for key, column in fitted.items() if key in self._learned}
        self._accumulators: dict[str, Accumulator] = {key: one for key, one in made.items() if one is not None}

    def add(self, piece: Chunk) -> None:
        """Count the next rows."""
        for key, accumulator in self._accumulators.items():
            paths = [file.path for file in piece.files.get(key, ())]
            cells = piece.cells.get(self._headers[key])
            accumulator.add(SeenRows(cells, piece.raw.get(key), piece.inputs[key], piece.inputs[f"{key}_present"], paths))

    def drifts(self) -> list[Drift]:
        """Return everything that has changed, in the order of the columns."""
        hint = right_folder(self._setting)
        return [
            Drift(self._headers[key], kind, text)
            for key, accumulator in self._accumulators.items()
            for kind, text in accumulator.drift(self._learned[key], folder_hint=hint).items()
        ]
