"""Attributions of one row, from which tables and figures are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmtrain.artifacts.command_results import ExplainedRow
from mmtrain.data.encode import Array, Fitted
from mmtrain.explanation.explained_output import Method, OutputSelector
from mmtrain.targets import FittedTarget

if TYPE_CHECKING:
    from mmtrain.explanation.integrated_gradients import Attributions

NO_LABEL = "no label"
LONGEST = 40
"""Letters of a cell that are shown."""


@dataclass(frozen=True)
class RowInputs:
    """One row as the table has it, cells by column, empty where missing; and as the network gets it, `(1, ...)` by input."""

    texts: Mapping[str, str]
    encoded: Mapping[str, Array]
    empty: frozenset[str] = frozenset()
    """Columns whose cell is empty."""

    @classmethod
    def of(cls, cells: Mapping[str, str | None], encoded: Mapping[str, Array]) -> RowInputs:
        """From cells that are None where missing."""
        texts = {key: cell or "" for key, cell in cells.items()}
        return cls(texts, encoded, frozenset(key for key, cell in cells.items() if cell is None))

    def missing(self, fitted: Fitted) -> set[str]:
        """Columns of which the row has nothing: empty, absent, or a text without words."""
        found = set(self.empty)
        for key, column in fitted.columns.items():
            if column.says_nothing(self.encoded[key]) or not self.encoded[f"{key}_present"][0, 0]:
                found.add(key)
        return found


@dataclass(frozen=True)
class ElementAttribution:
    """A part of a cell that has an attribution of its own: a word, a region of an image, or all of it."""

    name: str
    attribution: float


@dataclass(frozen=True)
class ColumnAttribution:
    """Attribution of one input column, which is the sum of its elements."""

    column: str
    to: Literal["cells", "words", "regions"]
    """Parts of a cell that elements stand for."""
    cell: str
    missing: bool
    elements: tuple[ElementAttribution, ...]
    reading: tuple[ElementAttribution, ...] = ()
    """The words of a text in reading order, with what each adds; only those that the network reads."""
    unread: int = 0
    """Words at the end of a text that the network does not read."""
    pixels: Array | None = field(default=None, compare=False)
    """What each pixel adds, (height, width)."""

    @property
    def attribution(self) -> float:
        """Attribution of the whole column."""
        return sum(element.attribution for element in self.elements)

    @property
    def label(self) -> str:
        """The column and its cell, as short as a figure needs it."""
        if self.missing:
            return f"{self.column}: missing"
        if self.to == "regions":
            return self.column
        if self.to == "words":
            words = len(self.reading) + self.unread
            return f"{self.column}: {words} {'word' if words == 1 else 'words'}"
        return f"{self.column}: {shorten(self.cell)}"


@dataclass(frozen=True)
class SelectedRow:
    """A row that is explained, and why."""

    row: int
    """Position in the file, 0 for the first row under the header."""
    id: str
    part: str
    why: str


@dataclass(frozen=True)
class RowExplanation:
    """One row: its answer, what is explained of it, and by what."""

    chosen: SelectedRow
    truth: str
    """Empty where it is not known."""
    prediction: str
    question: OutputSelector
    attributed: Attributions
    shares: tuple[ColumnAttribution, ...]
    images: Mapping[str, Array] = field(default_factory=dict, compare=False)
    """Pixels of each image that is there, (height, width, channels), 0..1."""
    cams: Mapping[str, Array] = field(default_factory=dict, compare=False)
    """Grad-CAM of each image that has it, (height, width) in the size of its maps."""
    method: Method = "both"
    """Which heat maps its figure has, where there are any to choose from."""

    @property
    def missing(self) -> list[str]:
        """Inputs that the row does not have."""
        return [share.column for share in self.shares if share.missing]

    def strongest(self, most: int) -> list[ColumnAttribution]:
        """The columns that add or take away most."""
        return sorted(self.shares, key=lambda share: -abs(share.attribution))[:most]

    def result(self, image: Path) -> ExplainedRow:
        """Return what `--json` shows of the row, whose figure is at `image`."""
        found = self.attributed
        return ExplainedRow(
            row=self.chosen.row,
            id=self.chosen.id,
            part=self.chosen.part,
            why=self.chosen.why,
            truth=self.truth,
            prediction=self.prediction,
            probability=self.question.probability,
            explained=self.question.words,
            output=found.output,
            baseline_output=found.baseline_output,
            difference=found.difference,
            sum_of_attributions=found.total,
            gap_percent=found.gap,
            steps=found.steps,
            missing=self.missing,
            attributions={share.column: share.attribution for share in self.shares},
            image=image,
        )


def shorten(text: str, most: int = LONGEST) -> str:
    """Cut a text to one line of at most `most` printable characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"


def describe(target: FittedTarget, answer: Any) -> str:
    """An answer as `FittedTarget.spoken` or `decide` gives it; empty where it is not known, which of labels it always is."""
    if isinstance(answer, str):
        return NO_LABEL if target.has_labels and not answer else answer
    return "" if answer != answer else f"{float(answer):.6g}"  # noqa: PLR0124 (NaN)
