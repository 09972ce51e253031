"""Figure of one explained row: attributions of its columns as bars, of its images as heat maps, of its words as colours.

Orange is positive, blue negative: two colours that people with colour blindness can distinguish. Lengths are in inches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.artifacts.command_results import probability_change
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
"""Heights of the header, of a bar, of an image, and of a line of words."""
LONGEST_LABEL = 38
"""Maximum number of characters of the label of a bar."""
MOST_BARS = 16
"""Maximum number of bars; the columns with the smallest attributions share the last one."""


@dataclass(frozen=True)
class _Block:
    """A part of the figure with its height; `draw(figure, top)` draws it."""

    height: float
    draw: Any


def draw(row: RowExplanation) -> Figure:
    """Return the figure of a row; draw and save it inside `plot_style.style()`."""
    blocks = [_header(row), _bars(row)]
    blocks += [_images(row, column) for column in row.columns if column.column in row.images]
    blocks += [_words(column) for column in row.columns if column.reading]
    height = sum(block.height for block in blocks) + 0.3
    # Heights are known in inches, so matplotlib's own layout would only move what is placed.
    figure = new_figure(WIDTH, height)
    figure.set_layout_engine("none")
    top = height - 0.15
    for block in blocks:
        block.draw(figure, top)
        top -= block.height
    return figure


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    # Matplotlib places axes in fractions of the figure, from its lower left corner.
    whole = figure.get_figheight()
    axes: Axes = figure.add_axes((left / WIDTH, (top - height) / whole, width / WIDTH, height / whole))
    return axes


def _write(figure: Figure, left: float, top: float, text: str, **style: Any) -> None:
    figure.text(left / WIDTH, top / figure.get_figheight(), text, va="top", **style)


def _header(row: RowExplanation) -> _Block:
    selected, attributions = row.selected, row.attributions
    truth = f"true: {shorten(row.truth)}" if row.truth else "true answer unknown"
    probability = "" if row.selector.probability is None else f"probability {row.selector.probability:.3f}   "
    answer = f"{truth}   predicted: {shorten(row.prediction)}"
    what = f"{probability}{row.selector.words}: {_number(attributions.output)}, baseline: {_number(attributions.baseline_output)}"
    missing = f"   missing: {shorten(', '.join(row.missing), LONGEST_LABEL)}" if row.missing else ""

    def draw_header(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top - 0.08, shorten(selected.id, LONGEST_LABEL), fontsize=13, fontweight="bold")
        reason = f"{selected.part}, {selected.why}" if selected.why else selected.part
        figure.text(1 - MARGIN / WIDTH, (top - 0.12) / figure.get_figheight(), reason, va="top", ha="right", color=QUIET)
        _write(figure, MARGIN, top - 0.40, answer)
        _write(figure, MARGIN, top - 0.64, what + missing, color=QUIET)

    return _Block(HEADER, draw_header)


def _bars(row: RowExplanation) -> _Block:
    ranked = row.strongest(len(row.columns))
    shown = ranked if len(ranked) <= MOST_BARS else ranked[: MOST_BARS - 1]
    bars = [_Bar(shorten(column.label, LONGEST_LABEL), column.attribution, column.missing, column.deviation or 0.0) for column in shown]
    if rest := ranked[len(shown) :]:
        bars.append(_Bar(f"{len(rest)} other columns", sum(column.attribution for column in rest)))
    probability, explained = row.selector.probability, row.selector.words.partition("logit of ")[2]
    in_points = False
    # Deviations over trainings are those of logits.
    if probability is not None and explained and not any(bar.deviation for bar in bars):
        in_points, bars = True, [replace(bar, value=100 * probability_change(probability, bar.value)) for bar in bars]
    height, labels = BAR * len(bars), max(token_plot.width(bar.label) for bar in bars) + 0.15

    def draw_all(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, f"Contribution of each input{', in points of probability' if in_points else ''}", fontweight="bold")
        name = shorten(f"probability of {explained}" if in_points else row.selector.words, 34)
        _write(figure, WIDTH - MARGIN, top, f"orange increases the {name},", color=FOR, ha="right", fontsize=9)
        _write(figure, WIDTH - MARGIN, top - 0.17, "blue decreases it", color=AGAINST, ha="right", fontsize=9)
        _draw_bars(_axes(figure, MARGIN + labels, top - 0.42, WIDTH - 2 * MARGIN - labels, height), bars)
        unit = "In logits: sum" if in_points else "Sum"
        _write(figure, MARGIN, top - 0.48 - height, f"{unit} {_completeness(row)}", color=QUIET, fontsize=8.5)

    return _Block(height + 0.9, draw_all)


@dataclass(frozen=True)
class _Bar:
    label: str
    value: float
    missing: bool = False
    deviation: float = 0.0


def _draw_bars(axes: Axes, bars: Sequence[_Bar]) -> None:
    values, places = np.array([bar.value for bar in bars]), np.arange(len(bars))
    # Attributions may all be 0.
    reach = float(np.abs(values).max()) or 1.0
    axes.barh(places, values, color=[FOR if value > 0 else AGAINST for value in values], height=0.62)
    spread = np.array([bar.deviation for bar in bars])
    if spread.any():
        axes.errorbar(values, places, xerr=spread, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    # The y axis runs downwards, so that the first bar is on top; 14 % on both sides leave room for the numbers.
    ends = (values - spread).min(), (values + spread).max()
    axes.set(xlim=(min(ends[0], 0) - 0.14 * reach, max(ends[1], 0) + 0.14 * reach), ylim=(len(bars) - 0.5, -0.5))
    # Three significant digits for the longest bar, and the same number of decimals for all.
    decimals = max(0, 1 - int(np.floor(np.log10(reach)))) + 1
    for place, bar in enumerate(bars):
        side = 1 if bar.value >= 0 else -1
        text = signed_difference(f"{bar.value:+.{decimals}f}")
        text = text if text.strip("0.") else "0"
        axes.text(
            bar.value + (0.015 * reach + bar.deviation) * side,
            place,
            text,
            va="center",
            ha="left" if side > 0 else "right",
            color=QUIET,
            fontsize=8.5,
        )
    axes.set_yticks(places, [bar.label for bar in bars])
    for label, bar in zip(axes.get_yticklabels(), bars, strict=True):
        label.set_color(QUIET if bar.missing else INK)
    axes.xaxis.set_visible(False)
    heatmaps.bare(axes)


def _completeness(row: RowExplanation) -> str:
    attributions = row.attributions
    steps = f"{attributions.steps:,} {'step' if attributions.steps == 1 else 'steps'}"
    total, difference = _number(attributions.total, 4), _number(attributions.difference, 4)
    if len(row.trainings) > 1:
        steps += f"; means of {len(row.trainings)} trainings, lines: standard deviation"
    return f"{total}; output minus baseline {difference}: a gap of {attributions.gap:.2g} % with {steps}."


def _images(row: RowExplanation, column: ColumnAttribution) -> _Block:
    size = row.images[column.column].shape[:2]
    height, width = size[0] / max(size) * TILE, size[1] / max(size) * TILE
    tiles = heatmaps.image_tiles(row, column)
    edge = 1 if column.pixels is None else heatmaps.block_sums(column.pixels)[1]
    note = f"integrated gradients: sums of {edge} × {edge} pixels" if tiles[-1].signed and edge > 1 else ""

    def draw_tiles(figure: Figure, top: float) -> None:
        # Several images stand side by side, in the order of their names here.
        names = [element.name for element in column.elements] if column.to == "members" else []
        _write(figure, MARGIN, top, shorten(": ".join([column.column, *([", ".join(names)] if names else [])]), 90), fontweight="bold")
        _write(figure, WIDTH - MARGIN, top, "" if len(names) > 2 else note, color=QUIET, fontsize=8.5, ha="right")
        for number, tile in enumerate(tiles):
            left = MARGIN + number * (TILE + 0.35)
            _write(figure, left, top - 0.27, tile.name, color=QUIET, fontsize=9)
            heatmaps.draw(_axes(figure, left, top - 0.5, width, height), tile)
            if tile.heat is not None:
                heatmaps.draw_scale(_axes(figure, left, top - 0.58 - height, width, 0.09), tile)

    return _Block(height + 1.15, draw_tiles)


def _words(column: ColumnAttribution) -> _Block:
    layout = token_plot.layout_words(column.reading, WIDTH - 2 * MARGIN)
    notes = [f"{layout.left_out:,} further words are not shown"] if layout.left_out else []
    notes += [f"the network does not read the last {column.unread:,} words"] if column.unread else []

    def draw_words(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, f"{shorten(column.column)}: words as the network reads them", fontweight="bold")
        _write(figure, WIDTH - MARGIN, top, f"full colour: ±{_number(layout.strongest)}", color=QUIET, fontsize=8.5, ha="right")
        for word in layout.words:
            token_plot.write(figure, word, MARGIN + word.left, top - 0.36 - LINE * word.line)
        if notes:
            _write(figure, MARGIN, top - 0.32 - LINE * layout.lines, "; ".join(notes).capitalize() + ".", color=QUIET, fontsize=8.5)

    return _Block(LINE * layout.lines + 0.5 + (0.2 if notes else 0), draw_words)


def _number(value: float, digits: int = 3) -> str:
    return signed_difference(f"{value:#.{digits}g}".removesuffix("."))
