"""Histogram of a column of a table by class; call it inside `plot_style.style()`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmtrain.artifacts.inspection_figures import ColumnHistogram
from mmtrain.reports.figures.plot_style import FIRST, QUIET, SECOND, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = (FIRST, SECOND, QUIET, "#1d7a4c", "#7b5cb8", "#a8860b")
"""Colours of the classes, in their order: all have a contrast of 3:1 on a light and on a dark page."""


def histogram(column: ColumnHistogram) -> Figure:
    """Draw shares of the rows of each class: lines over the bins of numbers, bars next to the values of any other column."""
    figure = new_figure(3.5, 2.6 if not column.values else max(2.6, 0.9 + 0.3 * len(column.values)))
    axis = figure.subplots()
    several = len(column.classes) > 1
    for place, (name, counts) in enumerate(zip(column.classes, column.counts, strict=True)):
        shares = np.array(counts) / max(1, sum(counts)) if several else np.array(counts)
        label, colour = name[:18], COLOURS[place % len(COLOURS)]
        if column.values:
            height = 0.8 / len(column.classes)
            axis.barh(np.arange(len(shares)) + (place + 0.5) * height - 0.4, shares, height=height, color=colour, label=label)
        else:
            axis.stairs(shares, column.edges, color=colour, linewidth=1.5, label=label)
    if column.values:
        axis.set_yticks(range(len(column.values)), [one if len(one) <= 16 else f"{one[:15]}…" for one in column.values])
        axis.set_ylim(len(column.values) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("share of the class" if several else "rows")
    else:
        axis.set(ylim=(0, None), ylabel="share of the class" if several else "rows")
        axis.locator_params(axis="x", nbins=5)
    if several:
        axis.legend(loc="lower left", bbox_to_anchor=(-0.1, 1), ncols=2, borderaxespad=0.2, fontsize=8)
    return figure
