"""Files of an explanation: `explanations.csv`, `completeness.csv`, and a figure per row."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from types import TracebackType
from typing import Any

from mmtrain.artifacts.command_results import ExplainedRow
from mmtrain.data.tables.csv_text import CsvLines, for_spreadsheet
from mmtrain.explanation import figure
from mmtrain.explanation.attribution import RowExplanation
from mmtrain.reports.figures.plot_style import save, style

ELEMENTS, COMPLETENESS, TRAININGS = "explanations.csv", "completeness.csv", "trainings.csv"
ELEMENT_COLUMNS = ("row", "id", "explained", "column", "element", "attribution")
TRAINING_COLUMNS = ("row", "id", "explained", "training", "column", "attribution")
COMPLETENESS_COLUMNS = (
    "row", "id", "part", "why", "truth", "prediction", "probability", "explained", "output", "baseline_output", "difference",
    "sum_of_attributions", "gap_percent", "steps", "missing",
)  # fmt: skip


class ExplanationFiles:
    """Writer of the files in `folder`, row after row. In explanations.csv the lines of a row add up to its `sum_of_attributions`.

    Of a group of trainings, trainings.csv has the attribution of every column by each of them. All are made for spreadsheets: a cell that
    would run as a formula gets an apostrophe.
    """

    def __init__(self, folder: Path, *, group: bool = False) -> None:
        self._folder = folder
        heads = {ELEMENTS: ELEMENT_COLUMNS, COMPLETENESS: COMPLETENESS_COLUMNS} | ({TRAININGS: TRAINING_COLUMNS} if group else {})
        self._files = [(folder / name).open("w", encoding="utf-8", newline="") for name in heads]
        self._elements, self._completeness, *self._trainings = (csv.writer(CsvLines(file)) for file in self._files)
        for head, writer in zip(heads.values(), (self._elements, self._completeness, *self._trainings), strict=True):
            writer.writerow(head)
        self._rows = 0

    def __enter__(self) -> ExplanationFiles:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in self._files:
            file.close()

    def add(self, row: RowExplanation) -> ExplainedRow:
        """Write one row with its figure."""
        self._rows += 1
        start = (row.selected.row, row.selected.id, row.selector.words)
        for column in row.columns:
            for element in column.elements:
                self._elements.writerow(map(for_spreadsheet, (*start, column.column, element.name, _cell(element.attribution))))
        for writer in self._trainings:
            for training, attributions in row.trainings.items():
                for key, value in attributions.items():
                    writer.writerow(map(for_spreadsheet, (*start, training, key, _cell(value))))
        # Numbered, so that ids which differ only in replaced characters do not share a file.
        image = self._folder / f"{self._rows:02d}_{re.sub(r'[^A-Za-z0-9.-]+', '_', row.selected.id)[:60] or row.selected.row}.png"
        result = row.result(image)
        self._completeness.writerow([for_spreadsheet(_cell(getattr(result, name))) for name in COMPLETENESS_COLUMNS])
        with style():
            save(figure.draw(row), image)
        return result


def _cell(value: Any) -> Any:
    """Return a cell of the CSV: numbers with the seven digits of float32, lists separated by blanks."""
    return f"{value:.7g}" if isinstance(value, float) else " ".join(value) if isinstance(value, list) else value
