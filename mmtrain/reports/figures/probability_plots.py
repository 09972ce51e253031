"""Plots of predicted probabilities by true class. Each function returns a figure; call them inside `plot_style.style()`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmtrain.reports.figures.plot_style import FIRST, INK, SECOND, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

BINS = 20
"""Bins of the histogram of two classes."""
CLASS_BINS = 10
"""Bins of each class of several."""


def counts_by_class(codes: Codes, probability: Numbers, classes: int, bins: int) -> Codes:
    """Count rows by true class and bin of equal width from 0 to 1, (classes, bins); the last bin includes 1."""
    place = np.minimum((probability * bins).astype(np.int64), bins - 1)
    counts = np.bincount(codes * bins + place, minlength=classes * bins)
    return counts.reshape(classes, bins).astype(np.int64)


def two_classes(counts: Codes, classes: Sequence[str], threshold: float) -> Figure:
    """Draw the histogram of the probability of the positive class for the rows of each class; `counts` is (2, bins)."""
    figure = new_figure(3.5, 3.3)
    axis = figure.subplots()
    edges = np.linspace(0, 1, counts.shape[1] + 1)
    for colour, row, name in zip((FIRST, SECOND), counts, classes, strict=True):
        # Shares of the class: a rare class would be invisible next to a frequent one.
        axis.stairs(row / max(1, row.sum()), edges, fill=True, color=colour, alpha=0.35)
        axis.stairs(row / max(1, row.sum()), edges, color=colour, linewidth=1.4, label=name[:18])
    axis.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (3, 3)), label=f"threshold {threshold:.3g}")
    axis.set(xlim=(0, 1), xlabel=f"probability of {classes[1][:18]}", ylabel="share of the class")
    axis.legend(loc="lower left", bbox_to_anchor=(-0.1, 1), ncols=2, borderaxespad=0.2, fontsize=8)
    return figure


def several_classes(counts: Codes, classes: Sequence[str]) -> Figure:
    """Draw for each class the histogram of the probability that its rows give to it, as a strip; `counts` is (classes, bins)."""
    from matplotlib.colors import to_rgba

    figure = new_figure(3.5, max(3.3, 0.9 + 0.2 * len(classes)))
    axis = figure.subplots()
    shades = np.empty((*counts.shape, 4))
    shades[:] = to_rgba(FIRST)
    shades[..., 3] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axis.imshow(shades, interpolation="nearest", aspect="auto", extent=(0, 1, len(classes) - 0.5, -0.5))
    axis.set_yticks(range(len(classes)), [name if len(name) <= 16 else f"{name[:15]}…" for name in classes])
    axis.set(xlabel="probability given to the true class")
    axis.grid(visible=False)
    return figure
