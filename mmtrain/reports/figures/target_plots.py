"""Plots of quantiles and of survival curves, with names, captions and alternative texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mmtrain.metrics.survival import kaplan_meier
from mmtrain.reports.blocks import Plot
from mmtrain.reports.figures.plot_style import FIRST, INK, QUIET, SECOND, FigureWriter, new_figure
from mmtrain.reports.report_data import Numbers, TargetResultView
from mmtrain.reports.wording import percent, rows_called

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (3.5, 3.3)
"""Inches, as other plots of targets."""
SURVIVAL_GROUPS = ("shortest", "middle", "longest")
"""Thirds of the rows, by predicted time."""


def quantile_coverage(view: TargetResultView, writer: FigureWriter) -> tuple[Plot, ...]:
    """Draw the share of answers below each predicted quantile, over its level."""
    truth, quantiles = view.numbers("truth"), _predictions(view)
    known = ~np.isnan(truth)
    if not known.any():
        return ()
    levels = np.array(dict(view.target)["levels"])
    observed = (truth[known, None] <= quantiles[known]).mean(axis=0)
    figure = new_figure(*SIZE)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=(0, (3, 3)), label="perfect")
    axis.plot(levels, observed, "o-", color=FIRST, label="model")
    axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="level of the quantile", ylabel="share of answers below it")
    axis.legend(loc="upper left")
    words = ", ".join(f"{percent(share)} below the {level:g} quantile" for level, share in zip(levels, observed.tolist(), strict=True))
    alt = f"Coverage of the quantiles of {view.key} on the {rows_called(view)}: {words}."
    caption = "On the diagonal, as many answers lie below each quantile as its level says."
    return (writer.add(figure, f"quantile_coverage_{view.prefix}{view.part.label}", title="Coverage", alt=alt, caption=caption),)


def survival_curves(view: TargetResultView, writer: FigureWriter) -> tuple[Plot, ...]:
    """Draw the observed (Kaplan-Meier) and the mean predicted survival of thirds of the rows, by predicted time."""
    truth, curves = view.target.parse_truth({"truth": view.texts("truth").replace("", None).astype("str")}), _predictions(view)
    known = view.target.known_rows(truth)
    if known.sum() < len(SURVIVAL_GROUPS):
        return ()
    truth, curves = truth[known], curves[known]
    edges = np.array(dict(view.target)["edges"])
    expected = view.target.predict_label(curves)
    groups = np.array_split(np.argsort(expected, kind="stable"), len(SURVIVAL_GROUPS))
    figure, words = _draw_curves(truth, curves, edges, groups)
    alt = (
        f"Survival of {view.key} on the {rows_called(view)}, observed and predicted, in three groups by predicted time. "
        f"At {edges[-1]:g}: {'; '.join(words)}."
    )
    caption = "Steps: Kaplan-Meier estimates. Dashed: mean predicted curves. Groups: thirds of the rows, by predicted time."
    name = f"survival_{view.prefix}{view.part.label}"
    return (writer.add(figure, name, title="Survival curves", alt=alt, caption=caption),)


def _draw_curves(truth: Numbers, curves: Numbers, edges: Numbers, groups: list[np.ndarray]) -> tuple[Figure, list[str]]:
    """Return the figure, and the survival of each group at the last time in words."""
    figure = new_figure(*SIZE)
    axis = figure.subplots()
    words = []
    for rows, name, colour in zip(groups, SURVIVAL_GROUPS, (SECOND, INK, FIRST), strict=True):
        observed = kaplan_meier(truth[rows, 0], truth[rows, 1] > 0.5)
        within = observed.times <= edges[-1]
        across = np.concatenate([[0.0], observed.times[within], edges[-1:]])
        up = np.concatenate([[1.0], observed.values[within], observed.at(edges[-1:])])
        axis.plot(across, up, drawstyle="steps-post", color=colour, linewidth=1.4, label=f"{name} third")
        axis.plot(edges, curves[rows].mean(axis=0), color=colour, linewidth=1, linestyle=(0, (4, 2)))
        words.append(f"{name} third {percent(float(up[-1]))} observed, {percent(float(curves[rows, -1].mean()))} predicted")
    axis.set(ylim=(-0.03, 1.03), xlabel="time", ylabel="share without the event")
    axis.legend(loc="best", fontsize=8)
    return figure, words


def _predictions(view: TargetResultView) -> Numbers:
    """Return the predictions of the rows, (rows, units)."""
    names = (*view.target.number_columns, "prediction")
    return np.asarray(view.target.parse_outputs({name: view.texts(name) for name in names}), dtype=np.float64)
