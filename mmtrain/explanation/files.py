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

ELEMENTS, COMPLETENESS = "explanations.csv", "completeness.csv"
ELEMENT_COLUMNS = ("row", "id", "explained", "column", "element", "attribution")
COMPLETENESS_COLUMNS = (
    "row", "id", "part", "why", "truth", "prediction", "probability", "explained", "output", "baseline_output", "difference",
    "sum_of_attributions", "gap_percent", "steps", "missing",
)  # fmt: skip


class ExplanationFiles:
    """Writer of the files in `folder`, row after row. In explanations.csv the lines of a row add up to its `sum_of_attributions`.

    They are made for spreadsheets: a cell that would run as a formula gets an apostrophe.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = [(folder / name).open("w", encoding="utf-8", newline="") for name in (ELEMENTS, COMPLETENESS)]
        self._elements, self._completeness = (csv.writer(CsvLines(file)) for file in self._files)
        self._elements.writerow(ELEMENT_COLUMNS)
        self._completeness.writerow(COMPLETENESS_COLUMNS)
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
