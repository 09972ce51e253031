"""An image of one row: what each input adds to the answer, where in the images, and by which words.

Orange speaks for the answer, blue against it: two colours that nearly everyone can tell apart. Lengths are inches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.explanation import heatmaps, token_plot
from mmtrain.explanation.attribution import ColumnAttribution, RowExplanation, shorten
from mmtrain.explanation.heatmaps import AGAINST, FOR
from mmtrain.metrics.score import signed_difference
from mmtrain.reports.figures.plot_style import INK, QUIET, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, MARGIN = 8.4, 0.45
HEADER, BAR, TILE, LINE = 1.02, 0.27, 2.25, 0.26
"""Height of the header, of a bar, of an image, of a line of words."""
LONGEST_LABEL = 38
"""Letters of the name of a bar."""
MOST_BARS = 16
"""Columns with a bar of their own; those that add least are put together."""


@dataclass(frozen=True)
class _Block:
    """Something with a height that draws itself at (left, top) of the figure."""

    height: float
    draw: Any


def draw(row: RowExplanation) -> Figure:
    """The figure; call it, and save the figure, inside `drawing.style()`."""
    blocks = [_header(row), _bars(row)]
    blocks += [_images(row, share) for share in row.shares if share.column in row.images]
    blocks += [_words(share) for share in row.shares if share.reading]
    height = sum(block.height for block in blocks) + 0.3
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    top = height - 0.15
    for block in blocks:
        block.draw(figure, top)
        top -= block.height
    return figure


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    whole = figure.get_figheight()
    axes: Axes = figure.add_axes((left / WIDTH, (top - height) / whole, width / WIDTH, height / whole))
    return axes


def _write(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    figure.text(left / WIDTH, top / figure.get_figheight(), text, va="top", **style)


def _header(row: RowExplanation) -> _Block:
    chosen, found = row.chosen, row.attributed
    truth = f"true: {shorten(row.truth)}" if row.truth else "true answer not known"
    sure = "" if row.question.probability is None else f"   probability {row.question.probability:.3f}"
    answer = f"{truth}   predicted: {shorten(row.prediction)}"
    what = f"{row.question.words} is {_number(found.output)}, that of the baseline {_number(found.baseline_output)}{sure}"
    missing = f"   missing: {shorten(', '.join(row.missing), LONGEST_LABEL)}" if row.missing else ""

    def drawn(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top - 0.08, shorten(chosen.id, LONGEST_LABEL), fontsize=13, fontweight="bold")
        beside = f"{chosen.part}, {chosen.why}" if chosen.why else chosen.part
        figure.text(1 - MARGIN / WIDTH, (top - 0.12) / figure.get_figheight(), beside, va="top", ha="right", color=QUIET)
        _write(figure, MARGIN, top - 0.40, answer)
        _write(figure, MARGIN, top - 0.64, what + missing, color=QUIET)

    return _Block(HEADER, drawn)


def _bars(row: RowExplanation) -> _Block:
    ranked = row.strongest(len(row.shares))
    kept = ranked if len(ranked) <= MOST_BARS else ranked[: MOST_BARS - 1]
    bars = [_Bar(shorten(share.label, LONGEST_LABEL), share.attribution, share.missing) for share in kept]
    if rest := ranked[len(kept) :]:
        bars.append(_Bar(f"{len(rest)} other columns", sum(share.attribution for share in rest)))
    height, labels = BAR * len(bars), max(token_plot.width(bar.label) for bar in bars) + 0.15

    def drawn(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, "What each input adds", fontweight="bold")
        name = shorten(row.question.words, 34)
        _write(figure, WIDTH - MARGIN, top, f"orange adds to the {name},", color=FOR, ha="right", fontsize=9)
        _write(figure, WIDTH - MARGIN, top - 0.17, "blue takes away from it", color=AGAINST, ha="right", fontsize=9)
        _draw_bars(_axes(figure, MARGIN + labels, top - 0.42, WIDTH - 2 * MARGIN - labels, height), bars)
        _write(figure, MARGIN, top - 0.48 - height, _completeness(row), color=QUIET, fontsize=8.5)

    return _Block(height + 0.9, drawn)


@dataclass(frozen=True)
class _Bar:
    label: str
    value: float
    missing: bool = False


def _draw_bars(axes: Axes, bars: Sequence[_Bar]) -> None:
    values, places = np.array([bar.value for bar in bars]), np.arange(len(bars))
    reach = float(np.abs(values).max()) or 1.0
    axes.barh(places, values, color=[FOR if value > 0 else AGAINST for value in values], height=0.62)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    axes.set(xlim=(min(values.min(), 0) - 0.14 * reach, max(values.max(), 0) + 0.14 * reach), ylim=(len(bars) - 0.5, -0.5))
    decimals = max(0, 1 - int(np.floor(np.log10(reach)))) + 1
    for place, bar in enumerate(bars):
        side = 1 if bar.value >= 0 else -1
        text = signed_difference(f"{bar.value:+.{decimals}f}")
        text = text if text.strip("0.") else "0"
        axes.text(bar.value + 0.015 * reach * side, place, text, va="center", ha="left" if side > 0 else "right", color=QUIET, fontsize=8.5)
    axes.set_yticks(places, [bar.label for bar in bars])
    for label, bar in zip(axes.get_yticklabels(), bars, strict=True):
        label.set_color(QUIET if bar.missing else INK)
    axes.xaxis.set_visible(False)
    heatmaps.bare(axes)


def _completeness(row: RowExplanation) -> str:
    found = row.attributed
    steps = f"{found.steps:,} {'step' if found.steps == 1 else 'steps'}"
    total, difference = _number(found.total, 4), _number(found.difference, 4)
    return f"Together {total}; output less baseline {difference}: a gap of {found.gap:.2g} % after {steps}."


def _images(row: RowExplanation, share: ColumnAttribution) -> _Block:
    size = row.images[share.column].shape[:2]
    height, width = size[0] / max(size) * TILE, size[1] / max(size) * TILE
    found = heatmaps.tiles(row, share)
    edge = 1 if share.pixels is None else heatmaps.blocks(share.pixels)[1]
    note = f"integrated gradients: sums of {edge} × {edge} pixels" if found[-1].signed and edge > 1 else ""

    def drawn(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, shorten(share.column), fontweight="bold")
        _write(figure, WIDTH - MARGIN, top, note, color=QUIET, fontsize=8.5, ha="right")
        for number, tile in enumerate(found):
            left = MARGIN + number * (TILE + 0.35)
            _write(figure, left, top - 0.27, tile.name, color=QUIET, fontsize=9)
            heatmaps.draw(_axes(figure, left, top - 0.5, width, height), tile)
            if tile.heat is not None:
                heatmaps.draw_scale(_axes(figure, left, top - 0.58 - height, width, 0.09), tile)

    return _Block(height + 1.15, drawn)


def _words(share: ColumnAttribution) -> _Block:
    laid = token_plot.layout_words(share.reading, WIDTH - 2 * MARGIN)
    notes = [f"{laid.left_out:,} further words are not shown"] if laid.left_out else []
    notes += [f"{share.unread:,} words at the end are not read by the network"] if share.unread else []

    def drawn(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, f"{shorten(share.column)}: words as the network reads them", fontweight="bold")
        _write(figure, WIDTH - MARGIN, top, f"full colour: ±{_number(laid.strongest)}", color=QUIET, fontsize=8.5, ha="right")
        for word in laid.words:
            token_plot.write(figure, word, MARGIN + word.left, top - 0.36 - LINE * word.line)
        if notes:
            _write(figure, MARGIN, top - 0.32 - LINE * laid.lines, "; ".join(notes) + ".", color=QUIET, fontsize=8.5)

    return _Block(LINE * laid.lines + 0.5 + (0.2 if notes else 0), drawn)


def _number(value: float, digits: int = 3) -> str:
    return signed_difference(f"{value:#.{digits}g}".removesuffix("."))
