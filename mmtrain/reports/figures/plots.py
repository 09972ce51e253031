"""Plots of scores and training. Each function returns a figure; call them inside `plot_style.style()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmtrain.artifacts.analysis_results import ReliabilityBin
from mmtrain.artifacts.run_schema.progress_records import EpochLine
from mmtrain.metrics.labels.auc import threshold_counts
from mmtrain.reports.figures.plot_style import FIRST, INK, QUIET, SECOND, new_figure
from mmtrain.reports.wording import HasInterval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

SMALL = (3.5, 3.3)
"""Inches; three stand side by side on a wide page, and the letters stay readable on a phone."""
POINTS = 400
"""Maximum number of points of a curve; more would not be visible."""
DOTS = 1500
"""Maximum number of dots of a scatter plot as vectors; more are drawn as pixels, which keeps the report small."""
MOST_WRITTEN = 12
"""Maximum number of classes for a confusion matrix with numbers in its cells."""
MOST_TICKS = 60
"""Maximum number of class names next to a confusion matrix; with more classes only every second has one, every third, ..."""


def learning_curves(epochs: Sequence[EpochLine], monitor: str, best_epoch: int) -> Figure:
    """Draw losses, the score that chose the best epoch (unless it is one of the losses), and the learning rate, over epochs."""
    from matplotlib.ticker import MaxNLocator

    panels = [("loss", {"training": "train_loss", "validation": "validation_loss"})]
    # Losses have a panel already.
    if monitor not in ("train_loss", "validation_loss"):
        panels.append((monitor.replace("_", " "), {"": monitor}))
    panels.append(("learning rate", {"": "learning_rate"}))
    figure = new_figure(5.4, 0.5 + 1.45 * len(panels))
    axes: Sequence[Axes] = figure.subplots(len(panels), 1, sharex=True)
    numbers = np.array([line.epoch for line in epochs], dtype=np.float64)
    for axis, (name, lines) in zip(axes, panels, strict=True):
        for colour, (label, key) in zip((SECOND, FIRST) if len(lines) > 1 else (FIRST,), lines.items(), strict=True):
            values = _column(epochs, key)
            # Markers of many epochs would hide the line.
            marker = {"marker": "o", "markersize": 3.5} if len(epochs) <= 40 else {}
            axis.plot(numbers, values, color=colour, label=label, **marker)  # type: ignore[arg-type]
        axis.set_ylabel(name)
        axis.locator_params(axis="y", nbins=4)  # a panel is an inch high
        if best_epoch:
            axis.axvline(best_epoch, color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="best epoch")
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2)  # above, where no curve runs
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    # A single point has no range of its own.
    if len(epochs) == 1:
        axes[-1].set_xlim(numbers[0] - 1, numbers[0] + 1)
    # From 0 on, since a rate has a true zero.
    axes[-1].set_ylim(0, 1.1 * float(np.nanmax(_column(epochs, "learning_rate"))))
    return figure


def _column(epochs: Sequence[EpochLine], key: str) -> Numbers:
    """Return a value of every epoch, (epochs,); NaN, a gap in the line, if it has none."""
    values = [line.values.get(key) for line in epochs]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def roc(truth: Codes, probability: Numbers, threshold: float) -> Figure:
    """Draw the ROC curve, with a dot at the threshold in use. Both classes must occur."""
    hits, alarms = threshold_counts(truth, probability)
    figure, axis = _square()
    axis.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="random")
    # From (0, 0): no row is called positive at an infinite threshold.
    axis.plot(*_thinned(np.append(0, alarms / alarms[-1]), np.append(0, hits / hits[-1])), color=FIRST, label="model")
    called = probability >= threshold
    axis.plot([called[truth == 0].mean()], [called[truth == 1].mean()], "o", color=SECOND, markersize=6, label=f"threshold {threshold:.3g}")
    axis.set(xlabel="false positive rate (1 − specificity)", ylabel="true positive rate (sensitivity)")
    axis.legend(loc="lower right")
    return figure


def precision_recall(truth: Codes, probability: Numbers, threshold: float) -> Figure:
    """Draw precision over recall, in steps as in average precision (no interpolation). There must be a positive row."""
    hits, alarms = threshold_counts(truth, probability)
    precision, recall = hits / (hits + alarms), hits / hits[-1]
    figure, axis = _square()
    axis.axhline(float(truth.mean()), color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="random")
    # steps-pre: the precision of a threshold extends back to the recall of the previous one, as average precision sums it.
    axis.plot(*_thinned(np.append(0, recall), np.append(precision[0], precision)), color=FIRST, drawstyle="steps-pre", label="model")
    called = probability >= threshold
    # At a threshold above every probability no row is called positive, and precision is undefined.
    if called.any():
        axis.plot([called[truth == 1].mean()], [truth[called].mean()], "o", color=SECOND, markersize=6, label=f"threshold {threshold:.3g}")
    axis.set(xlabel="recall (sensitivity)", ylabel="precision")
    axis.legend(loc="best")
    return figure


def thresholds(truth: Codes, probability: Numbers, threshold: float) -> Figure:
    """Draw sensitivity, specificity and precision over the threshold, with a line at the one in use. Both classes must occur."""
    hits, alarms = threshold_counts(truth, probability)
    levels = np.unique(probability)[::-1]
    figure, axis = _square()
    lines = {
        "sensitivity": (FIRST, hits / hits[-1]),
        "specificity": (SECOND, 1 - alarms / alarms[-1]),
        "precision": (QUIET, hits / (hits + alarms)),
    }
    for label, (colour, values) in lines.items():
        # steps-post: levels descend, and a threshold between two of them acts like the higher one.
        axis.plot(*_thinned(levels, values), color=colour, label=label, drawstyle="steps-post")
    axis.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (3, 3)), label=f"threshold {threshold:.3g}")
    axis.set(xlabel="threshold", ylabel="share")
    axis.legend(loc="lower left", bbox_to_anchor=(-0.1, 1), ncols=2, borderaxespad=0.2, fontsize=8)  # above, where no curve runs
    return figure


def reliability(curves: Mapping[str, Sequence[ReliabilityBin]]) -> Figure:
    """Draw the observed frequency over the predicted probability, in bins with intervals (Murphy and Winkler 1977)."""
    figure, axis = _square()
    axis.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="perfect")
    for colour, (label, bins) in zip((FIRST, SECOND), curves.items(), strict=False):
        predicted, share, low, high = (np.array([getattr(one, name) for one in bins]) for name in ("said", "share", "low", "high"))
        errors = np.stack([share - low, high - share])
        axis.errorbar(predicted, share, yerr=errors, fmt="o-", color=colour, markersize=4, linewidth=1.2, elinewidth=0.8, label=label)
    axis.set(xlabel="predicted probability", ylabel="observed frequency")
    axis.legend(loc="upper left")
    return figure


def confusion(matrix: Codes, classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix (classes, classes), rows by true class, shaded by the share of the true class."""
    from matplotlib.colors import to_rgba

    count = len(classes)
    side = float(np.clip(2.2 + 0.55 * count, 3.3, 8))
    figure = new_figure(side + 0.2, side)
    axis = figure.subplots()
    # The floor keeps an empty class from dividing by 0.
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    shades = np.empty((count, count, 4))
    # One colour, and the share as its opacity: so it works on a light and a dark page.
    shades[:] = to_rgba(FIRST)
    shades[..., 3] = 0.7 * share  # below 1, so that numbers stay readable
    axis.imshow(shades, interpolation="nearest")
    # Rounded up, so that there are never more than `MOST_TICKS`.
    places = range(0, count, -(-count // MOST_TICKS))
    names = [_short(classes[place]) for place in places]
    axis.set_xticks(places, names, rotation=0 if count <= 3 else 60, ha="center" if count <= 3 else "right", rotation_mode="anchor")
    axis.set_yticks(places, names)
    # Names of many classes get small before they are left out.
    if count > MOST_WRITTEN:
        axis.tick_params(labelsize=6 if count <= 40 else 4)
    for row, column in np.ndindex(count, count) if count <= MOST_WRITTEN else ():
        axis.text(column, row, f"{matrix[row, column]:,}", ha="center", va="center", color=INK)
    axis.set(xlabel="predicted", ylabel="true")
    axis.grid(visible=False)
    return figure


def predicted_and_true(truth: Numbers, prediction: Numbers) -> Figure:
    """Draw a dot per row; on the line both are equal."""
    figure = new_figure(*SMALL)
    axis = figure.subplots()
    low, high = min(truth.min(), prediction.min()), max(truth.max(), prediction.max())
    axis.plot([low, high], [low, high], color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="equal")
    _dots(axis, truth, prediction)
    axis.set(xlabel="true", ylabel="predicted")
    axis.legend(loc="upper left")
    return figure


def residuals(truth: Numbers, prediction: Numbers) -> Figure:
    """Draw prediction minus truth over the prediction; a pattern is something that the model has not learned."""
    figure = new_figure(*SMALL)
    axis = figure.subplots()
    axis.axhline(0, color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    _dots(axis, prediction, prediction - truth)
    axis.set(xlabel="predicted", ylabel="predicted − true")
    return figure


def ranges(names: Sequence[str], estimates: Sequence[HasInterval], label: str, *, reference: float | None, bars: bool = False) -> Figure:
    """Draw values with their intervals, the first on top: as bars from 0, or as dots with a line at the `reference`."""
    figure = new_figure(5.4, 0.75 + 0.28 * len(names))
    axis = figure.subplots()
    places = np.arange(len(names))
    values = np.array([one.value for one in estimates], dtype=np.float64)
    if reference is not None:
        axis.axvline(reference, color=QUIET, linewidth=1, linestyle=(0, (3, 3)))
    if bars:
        axis.barh(places, values, height=0.6, color=FIRST, alpha=0.6)
    else:
        axis.plot(values, places, "o", color=FIRST, markersize=5)
    for place, one in zip(places, estimates, strict=True):
        if one.low is not None and one.high is not None:
            axis.plot([one.low, one.high], [place, place], color=INK if bars else FIRST, linewidth=1.4)
    axis.set_yticks(places, [_short(name, 28) for name in names])
    # Upside down, so that the first name is on top.
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(label)
    return figure


def _dots(axis: Axes, across: Numbers, up: Numbers) -> None:
    many = len(across) > DOTS
    axis.plot(across, up, "o", color=FIRST, markersize=1.5 if many else 3.5, markeredgewidth=0, alpha=0.3 if many else 0.6, rasterized=many)
    axis.locator_params(axis="x", nbins=4)  # large numbers would overlap


def _square() -> tuple[Figure, Axes]:
    figure = new_figure(*SMALL)
    axis = figure.subplots()
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    return figure, axis


def _thinned(across: Numbers, up: Numbers) -> tuple[Numbers, Numbers]:
    """Thin a curve to at most `POINTS` points, both ends included."""
    if len(across) <= POINTS:
        return across, up
    # `unique`: close points may round to the same place.
    shown = np.unique(np.linspace(0, len(across) - 1, POINTS).astype(np.int64))
    return across[shown], up[shown]


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
