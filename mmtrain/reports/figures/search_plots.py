"""Plots of a search: its course, the importance of settings, and the values of all trials. Call them inside `plot_style.style()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mmtrain.artifacts.search_results import TrialResult
from mmtrain.config.load import format_setting
from mmtrain.reports.figures.plot_style import FIRST, INK, QUIET, SECOND, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = npt.NDArray[np.float64]
MARKS = {"complete": ("o", FIRST), "pruned": ("x", QUIET)}
"""Marker and colour of the outcomes that have a score."""
MOST_LETTERS = 22
"""Length from which names on an axis are shortened."""
LOG_RATIO = 20.0
"""Ratio of the largest to the smallest value of a setting from which its axis is logarithmic."""


def history(trials: Sequence[TrialResult], score: str, *, maximize: bool) -> Figure:
    """Draw the score of every trial that has one, the best so far as a line, and that of the file's own values."""
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(7.2, 3.0)
    axis = figure.subplots()
    for outcome, (marker, colour) in MARKS.items():
        shown = [one for one in trials if one.outcome == outcome and one.score is not None]
        if shown:
            axis.plot([one.trial for one in shown], _scores(shown), marker, color=colour, markersize=5, label=outcome)
    complete = [one for one in trials if one.outcome == "complete" and one.score is not None]
    scores = _scores(complete)
    best = np.maximum.accumulate(scores) if maximize else np.minimum.accumulate(scores)
    axis.step([one.trial for one in complete], best, color=SECOND, where="post", linewidth=1.4, label="best so far")
    file_score = next((one.score for one in complete if one.own), None)
    if file_score is not None:
        axis.axhline(file_score, color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="experiment file")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="trial", ylabel=score.replace("_", " "))
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2)
    return figure


def importance(shares: Mapping[str, float]) -> Figure:
    """Draw the importance of each setting as a bar, the largest on top."""
    figure = new_figure(5.4, 0.75 + 0.28 * len(shares))
    axis = figure.subplots()
    places = np.arange(len(shares))
    axis.barh(places, list(shares.values()), height=0.6, color=FIRST, alpha=0.6)
    axis.set_yticks(places, [_shorten(key, 34) for key in shares])
    axis.set_ylim(len(shares) - 0.5, -0.5)
    axis.set_xlim(0, 1)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel("importance (shares, PED-ANOVA)")
    return figure


def parallel_coordinates(trials: Sequence[TrialResult], keys: Sequence[str], score: str, best: int, *, maximize: bool) -> Figure:
    """Draw a line for every complete trial through its value of each setting and its score; better ones are darker, the best coloured.

    A line passes by a setting that the trial does not have.
    """
    shown = [one for one in trials if one.outcome == "complete" and one.score is not None]
    axes = [*(_positions([one.settings.get(key) for one in shown]) for key in keys), _positions(list(_scores(shown)))]
    figure = new_figure(max(5.4, 1.35 * len(axes)), 3.6)
    axis = figure.subplots()
    lines = np.stack([positions for positions, _ in axes], axis=1)
    ranks = lines[:, -1] if maximize else 1 - lines[:, -1]
    # The best last, so that no other line covers it.
    for place in sorted(range(len(shown)), key=lambda place: (shown[place].trial == best, ranks[place])):
        is_best, known = shown[place].trial == best, np.flatnonzero(~np.isnan(lines[place]))
        colour, width, alpha = (SECOND, 2.2, 1.0) if is_best else (FIRST, 1.0, 0.15 + 0.6 * float(ranks[place]))
        axis.plot(known, lines[place][known], color=colour, linewidth=width, alpha=alpha, marker=".", markersize=4)
    _label_axes(axis, [*keys, score], [ticks for _, ticks in axes])
    return figure


def _scores(trials: Sequence[TrialResult]) -> Numbers:
    return np.array([one.score for one in trials], dtype=np.float64)


def _label_axes(axis: Axes, names: Sequence[str], ticks: Sequence[Sequence[tuple[float, str]]]) -> None:
    for place, labels in enumerate(ticks):
        axis.axvline(place, color=QUIET, linewidth=0.8)
        for height, text in labels:
            axis.annotate(_shorten(text, 14), (place, height), xytext=(3, 1), textcoords="offset points", fontsize=7, color=INK)
    axis.set_xticks(range(len(names)), [_break_lines(name) for name in names], fontsize=7.5)
    axis.set_yticks([])
    axis.set(xlim=(-0.15, len(names) - 0.5), ylim=(-0.05, 1.08))
    axis.grid(visible=False)
    for side in ("left", "bottom"):
        axis.spines[side].set_visible(False)
    axis.tick_params(length=0)


def _positions(values: Sequence[Any]) -> tuple[Numbers, list[tuple[float, str]]]:
    """Return the heights of values on an axis from 0 to 1, NaN where there is none, and the labels of the axis."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        if low == high:
            return np.where(np.isnan(numbers), np.nan, 0.5), [(0.5, f"{low:.3g}")]
        if low > 0 and high / low >= LOG_RATIO:
            numbers, low_end, high_end = np.log(numbers), np.log(low), np.log(high)
        else:
            low_end, high_end = low, high
        return (numbers - low_end) / (high_end - low_end), [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    texts = [None if value is None else format_setting(value) for value in values]
    choices = sorted({text for text in texts if text is not None})
    heights = {text: (place + 0.5) / len(choices) for place, text in enumerate(choices)}
    return np.array([np.nan if text is None else heights[text] for text in texts]), [(height, text) for text, height in heights.items()]


def _shorten(name: str, most: int = MOST_LETTERS) -> str:
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _break_lines(name: str) -> str:
    """Return a dotted key on several lines."""
    return "\n".join(_shorten(part, 16) for part in name.split("."))
