"""A picture of one row: what each input adds to the answer, where in the pictures, and by which words.

Orange speaks for the answer, blue against it: two colours that nearly everyone can tell apart. Lengths are inches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.data.encode import Array
from mmtrain.explanation import words
from mmtrain.explanation.explained import Explained, Share, shortened
from mmtrain.reports.drawing import FIRST, INK, QUIET, SECOND, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FOR, AGAINST = SECOND, FIRST
WIDTH, MARGIN = 8.4, 0.45
HEADER, BAR, TILE, LINE = 1.02, 0.27, 2.25, 0.26
"""Height of the header, of a bar, of a picture, of a line of words."""
LABELS = 2.75
"""Width of the names of the bars."""
MOST_BARS = 16
"""Columns with a bar of their own; those that add least are put together."""


@dataclass(frozen=True)
class _Block:
    """Something with a height that draws itself at (left, top) of the figure."""

    height: float
    draw: Any


def draw(row: Explained) -> Figure:
    """The figure; call it, and save the figure, inside `drawing.style()`."""
    blocks = [_header(row), _bars(row)]
    blocks += [_pictures(row, share) for share in row.shares if share.column in row.pictures]
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


def _header(row: Explained) -> _Block:
    chosen, found = row.chosen, row.attributed
    truth = f"true: {shortened(row.truth)}" if row.truth else "true answer not known"
    sure = "" if row.question.probability is None else f"   probability {row.question.probability:.3f}"
    answer = f"{truth}   predicted: {shortened(row.prediction)}"
    what = f"{row.question.words} is {_number(found.output)}, that of the baseline {_number(found.baseline_output)}{sure}"
    missing = f"   missing: {shortened(', '.join(row.missing), 60)}" if row.missing else ""

    def drawn(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top - 0.08, shortened(chosen.id, 60), fontsize=13, fontweight="bold")
        beside = f"{chosen.part}, {chosen.why}" if chosen.why else chosen.part
        figure.text(1 - MARGIN / WIDTH, (top - 0.12) / figure.get_figheight(), beside, va="top", ha="right", color=QUIET)
        _write(figure, MARGIN, top - 0.40, answer)
        _write(figure, MARGIN, top - 0.64, what + missing, color=QUIET)

    return _Block(HEADER, drawn)


def _bars(row: Explained) -> _Block:
    ranked = row.strongest(len(row.shares))
    kept = ranked if len(ranked) <= MOST_BARS else ranked[: MOST_BARS - 1]
    bars = [(share.label, share.attribution, share.missing) for share in kept]
    if rest := ranked[len(kept) :]:
        bars.append((f"{len(rest)} other columns", sum(share.attribution for share in rest), False))
    height = BAR * len(bars)

    def drawn(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, "What each input adds", fontweight="bold")
        _legend(figure, top, row)
        axes = _axes(figure, MARGIN + LABELS, top - 0.3, WIDTH - 2 * MARGIN - LABELS, height)
        _draw_bars(axes, bars)

    return _Block(height + 0.55, drawn)


def _legend(figure: Figure, top: float, row: Explained) -> None:
    right, height = 1 - MARGIN / WIDTH, top / figure.get_figheight()
    figure.text(right, height, f"adds to the {shortened(row.question.words, 34)}", color=FOR, ha="right", va="top", fontsize=9)
    figure.text((MARGIN + LABELS) / WIDTH, height, "takes away from it", color=AGAINST, va="top", fontsize=9)


def _draw_bars(axes: Axes, bars: Sequence[tuple[str, float, bool]]) -> None:
    values = np.array([value for _, value, _ in bars])
    places = np.arange(len(bars))
    axes.barh(places, values, color=[FOR if value > 0 else AGAINST for value in values], height=0.62)
    axes.axvline(0, color=QUIET, linewidth=0.8)
    reach = max(float(np.abs(values).max()), 1e-12)
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    axes.set(xlim=(low - 0.2 * reach, high + 0.2 * reach), ylim=(len(bars) - 0.5, -0.5))
    for place, value, (_, _, missing) in zip(places, values, bars, strict=True):
        text = "0" if missing else f"{_number(value, sign=True)}"
        beyond = 0.02 * reach * (1 if value >= 0 else -1)
        axes.text(value + beyond, place, text, va="center", ha="left" if value >= 0 else "right", color=QUIET, fontsize=8.5)
    axes.set_yticks(places, [shortened(label, 38) for label, _, _ in bars])
    for label, (_, _, missing) in zip(axes.get_yticklabels(), bars, strict=True):
        label.set_color(QUIET if missing else INK)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_visible(False)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _pictures(row: Explained, share: Share) -> _Block:
    pixels = row.pictures[share.column]
    grey = _grey(pixels)
    side = pixels.shape[1] / max(pixels.shape[:2]) * TILE, pixels.shape[0] / max(pixels.shape[:2]) * TILE
    cam = row.cams.get(share.column)
    own = share.pixels if row.method != "grad_cam" or cam is None else None

    def drawn(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, f"{shortened(share.column)}", fontweight="bold")
        left = MARGIN
        tiles: list[tuple[str, Array | None]] = [("as the network sees it", None)]
        tiles += [("Grad-CAM: where it looks", cam)] if cam is not None else []
        tiles += [("integrated gradients", own)] if own is not None else []
        for name, heat in tiles:
            axes = _axes(figure, left, top - 0.55, *side)
            _write(figure, left, top - 0.28, name, color=QUIET, fontsize=9)
            _tile(axes, pixels if heat is None else grey, heat, signed=heat is own)
            if heat is not None:
                _scale(_axes(figure, left, top - 0.55 - side[1] - 0.08, side[0], 0.09), heat, signed=heat is own)
            left += TILE + 0.35

    return _Block(side[1] + 1.1, drawn)


def _tile(axes: Axes, pixels: Array, heat: Array | None, *, signed: bool) -> None:
    height, width = pixels.shape[:2]
    extent = (0, width, height, 0)
    axes.imshow(pixels, extent=extent, interpolation="nearest", cmap="gray", vmin=0, vmax=1)
    if heat is not None:
        shown = heat if signed else _enlarged(heat, (height, width))
        axes.imshow(_colours(shown / _limit(heat, signed=signed)), extent=extent, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(QUIET)
        spine.set_linewidth(0.6)


def _scale(axes: Axes, heat: Array, *, signed: bool) -> None:
    """The colours from the least to the most, with the numbers they stand for."""
    limit = _limit(heat, signed=signed)
    low = -1.0 if signed else 0.0
    axes.imshow(_colours(np.linspace(low, 1, 200)[None]), extent=(low, 1, 0, 1), aspect="auto", interpolation="nearest")
    ticks = [low, 0, 1] if signed else [0, 1]
    names = [f"−{limit:.2g}", "0", f"{limit:.2g} a pixel"] if signed else ["0", "most"]
    axes.set_xticks(ticks, names, fontsize=8)
    for label, where in zip(axes.get_xticklabels(), ["left", "center", "right"] if signed else ["left", "right"], strict=True):
        label.set_horizontalalignment(where)
    axes.set_yticks([])
    axes.tick_params(length=0, pad=2)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _limit(heat: Array, *, signed: bool) -> float:
    """What is drawn in full colour: of single pixels not the largest, beside which no other would be seen."""
    return float(np.quantile(np.abs(heat), 0.995) if signed else heat.max()) or 1.0


def _colours(heat: Array) -> Array:
    """(height, width) of -1..1 to (height, width, 4): the stronger, the less is seen of what lies below."""
    from matplotlib.colors import to_rgb

    strength = np.clip(np.abs(heat), 0, 1)
    colours = np.empty((*heat.shape, 4))
    colours[..., :3] = np.where(heat[..., None] > 0, to_rgb(FOR), to_rgb(AGAINST))
    colours[..., 3] = 0.9 * strength**0.8
    return colours


def _grey(pixels: Array) -> Array:
    """(height, width), pale, so that colours can be seen on it."""
    grey: Array = 0.35 + 0.65 * pixels[..., :3].mean(axis=-1)
    return grey


def _enlarged(heat: Array, size: tuple[int, int]) -> Array:
    """(height, width) brought to `size`, bilinear, as Grad-CAM's authors do."""
    import PIL.Image

    return np.asarray(PIL.Image.fromarray(heat).resize((size[1], size[0]), PIL.Image.Resampling.BILINEAR))


def _words(share: Share) -> _Block:
    laid = words.laid_out(share.reading, WIDTH - 2 * MARGIN)
    notes = [f"{laid.left_out:,} further words are not shown"] if laid.left_out else []
    notes += [f"{share.unread:,} words at the end are not read by the network"] if share.unread else []

    def drawn(figure: Figure, top: float) -> None:
        _write(figure, MARGIN, top, f"{shortened(share.column)}: words as the network reads them", fontweight="bold")
        for word in laid.words:
            words.write(figure, word, MARGIN + word.left, top - 0.36 - LINE * word.line)
        if notes:
            _write(figure, MARGIN, top - 0.32 - LINE * laid.lines, "; ".join(notes) + ".", color=QUIET, fontsize=8.5)

    return _Block(LINE * laid.lines + 0.6 + (0.2 if notes else 0), drawn)


def _number(value: float, *, sign: bool = False) -> str:
    text = f"{value:{'+' if sign else ''}.3g}"
    return text.replace("-", "−")
