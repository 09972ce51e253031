"""Words of a text in lines, each coloured by its attribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmtrain.explanation.attribution import ElementAttribution, shorten
from mmtrain.reports.figures.plot_style import FIRST, INK, SECOND

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = 9.5
"""Points."""
GAP = 0.07
"""Inches between words."""
MOST_WORDS = 250
LONGEST_WORD = 40
"""Maximum number of characters of a word that are shown."""


@dataclass(frozen=True)
class PlacedWord:
    """A word with its position; `strength` -1..1 is its attribution relative to the strongest word of the text."""

    text: str
    strength: float
    line: int
    left: float
    """Inches."""


@dataclass(frozen=True)
class WordLayout:
    """A text in lines."""

    words: tuple[PlacedWord, ...]
    lines: int
    strongest: float
    left_out: int
    """Number of words beyond `MOST_WORDS`."""


def layout_words(reading: Sequence[ElementAttribution], room: float) -> WordLayout:
    """Place the words in reading order, in lines that are `room` inches wide."""
    strongest = max((abs(element.attribution) for element in reading), default=0.0) or 1.0
    words: list[PlacedWord] = []
    line, left = 0, 0.0
    for element in reading[:MOST_WORDS]:
        text = shorten(element.name, LONGEST_WORD)
        wide = width(text)
        # A word wider than the room stands alone in its line.
        if left and left + wide > room:
            line, left = line + 1, 0.0
        words.append(PlacedWord(text, element.attribution / strongest, line, left))
        left += wide + GAP
    return WordLayout(tuple(words), line + 1, strongest, max(0, len(reading) - MOST_WORDS))


def width(text: str) -> float:
    """Measure a text, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    wide, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family="DejaVu Sans", size=SIZE), ismath=False)
    return float(wide) / 72  # points per inch


def write(figure: Figure, word: PlacedWord, left: float, top: float) -> None:
    """Write a word on the figure, inches from its lower left corner."""
    colour = SECOND if word.strength > 0 else FIRST
    # Colour by transparency: weak words stay pale.
    box = {"boxstyle": "round,pad=0.14,rounding_size=0.2", "facecolor": colour, "edgecolor": "none", "alpha": 0.6 * abs(word.strength)}
    across, up = figure.get_size_inches()
    figure.text(left / across, top / up, word.text, va="baseline", fontsize=SIZE, color=INK, bbox=box)
