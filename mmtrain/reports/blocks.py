"""Blocks of a report: plain values that `report.html` renders. Every text is escaped there; the markup of plots is not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

Tone = Literal["", "good", "bad", "quiet"]
SORTED_ROWS = 5
"""Rows from which sorting a table saves a reader time; fewer are seen at a glance."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    number: bool = False
    """Aligned to the right, with figures of equal width."""
    tone: Tone = ""
    share: float | None = None
    """Shades the cell, 0 to 1."""


@dataclass(frozen=True)
class Table:
    """Rows under headings; the first cell of a row names it."""

    kind: ClassVar[str] = "table"

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    over: str = ""
    """A heading over all columns but the first."""
    csv: str = ""
    """A file of the run that holds the same numbers in full."""
    matrix: bool = False
    """Many narrow columns, whose headings are written from bottom to top."""

    @property
    def is_sortable(self) -> bool:
        """True if a reader may sort the rows: enough of them, and not a matrix, whose rows and columns have one order."""
        return len(self.rows) >= SORTED_ROWS and not self.over

    @property
    def headings(self) -> tuple[Cell, ...]:
        """The headings, aligned as the column below them."""
        # A column of numbers alone: a heading over words is aligned like them. `all` of no rows is True, so empty
        # tables are excluded.
        numbers = [all(row[column].number for row in self.rows) for column in range(len(self.head))]
        return tuple(Cell(text, number=bool(self.rows) and number) for text, number in zip(self.head, numbers, strict=True))

    def without_empty_notes(self) -> Table:
        """Drop the last column if it is empty."""
        if any(row[-1].text for row in self.rows):
            return self
        return replace(self, head=self.head[:-1], rows=tuple(row[:-1] for row in self.rows))


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `strong` is its most important sentence."""

    kind: ClassVar[str] = "paragraph"

    text: str
    strong: str = ""
    after: str = ""
    tone: Tone = ""


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    kind: ClassVar[str] = "points"

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Flow:
    """Steps from left to right: numbers of rows, and what they count."""

    kind: ClassVar[str] = "flow"

    steps: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Mark:
    """A value on the ruler of a tile, from 0 at its left end to 1 at its right end."""

    at: float
    label: str


@dataclass(frozen=True)
class Ruler:
    """The score of a tile with its interval and that of the baseline, on a line from `start` to `end`."""

    start: str
    end: str
    score: Mark
    low: float | None
    high: float | None
    baseline: Mark | None
    alt: str
    """The same in words."""


@dataclass(frozen=True)
class Tile:
    """A number to be read first."""

    title: str
    value: str
    interval: str
    comparison: str
    tone: Tone
    ruler: Ruler | None
    in_rows: str = ""
    """The same in numbers of rows, a sentence or two."""


@dataclass(frozen=True)
class Tiles:
    """Numbers to be read first, side by side where there is room."""

    kind: ClassVar[str] = "tiles"

    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Plot:
    """A plot. `markup` is SVG that mmtrain generates and is not escaped; None if the report has no room for it."""

    file: str
    title: str
    alt: str
    caption: str = ""
    markup: str | None = None
    scrolls: bool = False
    """Keeps its size on a narrow page, and is scrolled there."""
    numbers: Table | None = None
    """The numbers that it draws, for readers who do not see it."""


@dataclass(frozen=True)
class Plots:
    """Plots side by side where there is room; `wide` plots stand alone."""

    kind: ClassVar[str] = "plots"

    plots: tuple[Plot, ...]
    wide: bool = False


@dataclass(frozen=True)
class ThresholdSlider:
    """A slider over thresholds of a binary target, which moves sensitivity, specificity and predictive values; it needs a script."""

    kind: ClassVar[str] = "slider"

    target: str
    positive: str
    """The positive class."""
    points: tuple[tuple[float, int, int], ...]
    """Ascending thresholds, each with the true positives and the false positives at or above it."""
    start: int
    """Place of the threshold in use."""
    positives: int
    """Rows of the positive class."""
    negatives: int


@dataclass(frozen=True)
class Thumbnail:
    """A small image of a row."""

    alt: str
    jpeg: str
    """Base64."""


@dataclass(frozen=True)
class Card:
    """One row of the table: its name, images, facts such as its prediction, and its cells by column."""

    name: str
    images: tuple[Thumbnail, ...]
    facts: tuple[tuple[str, Cell], ...]
    cells: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True)
class Cards:
    """Rows side by side where there is room."""

    kind: ClassVar[str] = "cards"

    caption: str
    cards: tuple[Card, ...]
    note: str = ""


@dataclass(frozen=True)
class Code:
    """Text shown as it is."""

    kind: ClassVar[str] = "code"

    text: str


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown on request."""

    kind: ClassVar[str] = "folded"

    summary: str
    blocks: tuple[Block, ...]


Block: TypeAlias = Table | Paragraph | Points | Flow | Tiles | Plots | ThresholdSlider | Cards | Code | Folded


@dataclass(frozen=True)
class Section:
    """Blocks under a heading, then sections one level below."""

    title: str
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...] = ()


def number(text: str, *, tone: Tone = "", share: float | None = None) -> Cell:
    """Return a cell with a number, or with a placeholder for one."""
    return Cell(text, number=True, tone=tone, share=share)
