"""Words in lines, each on the colour of what it adds."""

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
MOST = 250
LONGEST_WORD = 40


@dataclass(frozen=True)
class Word:
    """A word in its place; `strength` -1..1 is what it adds beside the strongest word of the text."""

    text: str
    strength: float
    line: int
    left: float
    """Inches."""


@dataclass(frozen=True)
class PlacedWord:
    """A text in lines."""

    words: tuple[Word, ...]
    lines: int
    strongest: float
    left_out: int
    """Words past `MOST`."""


def layout_words(reading: Sequence[ElementAttribution], room: float) -> PlacedWord:
    """The words in reading order, in lines of so many inches."""
    strongest = max((abs(element.attribution) for element in reading), default=0.0) or 1.0
    found: list[Word] = []
    line, left = 0, 0.0
    for element in reading[:MOST]:
        text = shorten(element.name, LONGEST_WORD)
        wide = width(text)
        if left and left + wide > room:
            line, left = line + 1, 0.0
        found.append(Word(text, element.attribution / strongest, line, left))
        left += wide + GAP
    return PlacedWord(tuple(found), line + 1, strongest, max(0, len(reading) - MOST))


def width(text: str) -> float:
    """Inches that a text takes."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    wide, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family="DejaVu Sans", size=SIZE), ismath=False)
    return float(wide) / 72


def write(figure: Figure, word: Word, left: float, top: float) -> None:
    """Put a word on the figure, inches from its lower left corner."""
    colour = SECOND if word.strength > 0 else FIRST
    box = {"boxstyle": "round,pad=0.14,rounding_size=0.2", "facecolor": colour, "edgecolor": "none", "alpha": 0.6 * abs(word.strength)}
    across, up = figure.get_size_inches()
    figure.text(left / across, top / up, word.text, va="baseline", fontsize=SIZE, color=INK, bbox=box)
