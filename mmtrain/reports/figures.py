"""Which plots a target gets on a part, with their names, captions and descriptions for those who do not see them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mmtrain.errors import counted
from mmtrain.reports import plots
from mmtrain.reports.blocks import Plot
from mmtrain.reports.contents import Judged
from mmtrain.reports.decisions import measure
from mmtrain.reports.drawing import Gallery
from mmtrain.reports.words import ranged, rows_called, shown
from mmtrain.targets.base import UNCHOSEN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Codes = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

MOST_NAMED = 12
"""Classes up to which a description says how each of them fared."""


@dataclass(frozen=True)
class Plotted:
    """One target on one part, and what its plots are made of; each is read once."""

    judged: Judged
    gallery: Gallery

    @property
    def on(self) -> str:
        """What a plot is of, for descriptions."""
        return f"of {self.judged.key} on the {rows_called(self.judged)}"

    @cached_property
    def probability(self) -> tuple[Codes, Array] | None:
        """Codes and probability of the second of two classes, of rows with a known answer; None where not both classes occur."""
        target = self.judged.target
        codes = target.reread_truth({"truth": self.judged.texts("truth")})
        truth = codes[codes >= 0].astype(np.int64)
        both = 0 < truth.sum() < len(truth)
        return (truth, self.judged.numbers(f"probability_{target.columns[1]}")[codes >= 0]) if both else None

    @cached_property
    def numbers(self) -> tuple[Array, Array] | None:
        """True and predicted numbers of rows with a known answer; None where there are none."""
        truth, prediction = self.judged.numbers("truth"), self.judged.numbers("prediction")
        known = ~np.isnan(truth)
        return (truth[known], prediction[known]) if known.any() else None

    @property
    def threshold(self) -> float:
        """That of the positive class."""
        return UNCHOSEN if self.judged.target.decision_threshold is None else self.judged.target.decision_threshold

    def add(self, figure: Figure, name: str, *, title: str, alt: str, caption: str = "") -> Plot:
        """Put a figure into the gallery: `roc_test`, with several targets `roc_diagnosis_test`."""
        return self.gallery.add(figure, _name(name, self.judged), title=title, alt=alt, caption=caption)

    def score(self, name: str) -> str:
        """A score with its interval."""
        return ranged(name, self.judged.scores.get(name, {"value": None}))


def of_target(judged: Judged, gallery: Gallery) -> tuple[Plot, ...]:
    """The plots next to its scores, those that its task names. The part must have `rows`."""
    plotted = Plotted(judged, gallery)
    made = (PLOTS[name](plotted) for name in judged.target.plots)
    return tuple(plot for plot in made if plot is not None)


def roc(plotted: Plotted) -> Plot | None:
    """Sensitivity by specificity."""
    if plotted.probability is None:
        return None
    auc = plotted.score("auc")
    alt = f"ROC curve {plotted.on}; the area under it is {auc}, guessing has 0.500."
    return plotted.add(plots.roc(*plotted.probability, plotted.threshold), "roc", title="ROC curve", alt=alt, caption=f"AUC {auc}.")


def precision_recall(plotted: Plotted) -> Plot | None:
    """Precision by recall."""
    if plotted.probability is None:
        return None
    precision, share = plotted.score("pr_auc"), plotted.probability[0].mean()
    alt = f"Precision-recall curve {plotted.on}; the average precision is {precision}, guessing has {share:.3f}."
    figure = plots.precision_recall(*plotted.probability, plotted.threshold)
    return plotted.add(figure, "precision_recall", title="Precision and recall", alt=alt, caption=f"PR-AUC {precision}.")


def thresholds(plotted: Plotted) -> Plot | None:
    """What each threshold would give."""
    if plotted.probability is None:
        return None
    gives = f"sensitivity {plotted.score('sensitivity')} and specificity {plotted.score('specificity')}"
    alt = f"Sensitivity, specificity and precision {plotted.on} over the threshold; the one in use, {plotted.threshold:.3g}, gives {gives}."
    figure = plots.thresholds(*plotted.probability, plotted.threshold)
    caption = f"A row is called {plotted.judged.target.columns[1]} from the threshold on."
    return plotted.add(figure, "thresholds", title="Thresholds", alt=alt, caption=caption)


def reliability(plotted: Plotted) -> Plot | None:
    """Of the network's own probabilities and of the calibrated ones; nothing where an older evaluation did not look at them."""
    found = plotted.judged.result.get("calibration")
    if found is None:
        return None
    curves = {"network": found["before"]["bins"]} | ({"calibrated": found["after"]["bins"]} if "after" in found else {})
    error = ranged("ece", measure(found.get("after", found["before"]), "ece"))
    alt = f"Reliability curve {plotted.on}: share that came true by predicted probability; the expected calibration error is {error}."
    fewest = min(one["rows"] for one in found["before"]["bins"])
    caption = f"On the line, what is said with 30 % comes true in 30 % of cases. {counted(fewest, 'row')} or more to a point."
    return plotted.add(plots.reliability(curves), "reliability", title="Reliability", alt=alt, caption=caption)


def predicted_and_true(plotted: Plotted) -> Plot | None:
    """Predicted by true numbers."""
    if plotted.numbers is None:
        return None
    alt = f"Predicted against true values {plotted.on}; R² is {plotted.score('r2')}."
    return plotted.add(plots.predicted_and_true(*plotted.numbers), "predicted_and_true", title="Predicted and true", alt=alt)


def residuals(plotted: Plotted) -> Plot | None:
    """Predicted less true numbers."""
    if plotted.numbers is None:
        return None
    truth, prediction = plotted.numbers
    error = prediction - truth
    low, high, mean = (shown("mae", float(value)) for value in (error.min(), error.max(), error.mean()))
    alt = f"Residuals {plotted.on}: predicted less true values, from {low} to {high}, mean {mean}."
    caption = "A pattern here is something the model has not learned."
    return plotted.add(plots.residuals(truth, prediction), "residuals", title="Residuals", alt=alt, caption=caption)


PLOTS: dict[str, Callable[[Plotted], Plot | None]] = {
    made.__name__: made for made in (roc, precision_recall, thresholds, reliability, predicted_and_true, residuals)
}
"""What a task may name as one of its `plots`; a task of a user's own adds its functions."""


def of_confusion(judged: Judged, matrix: npt.NDArray[np.int64], classes: Sequence[str], gallery: Gallery) -> Plot:
    """The confusion matrix, (classes, classes), rows by true class."""
    right = ""
    if len(classes) <= MOST_NAMED:
        found = [f"{matrix[place, place]} of {matrix[place].sum()} rows of {name}" for place, name in enumerate(classes)]
        right = f"; right are {', '.join(found)}"
    alt = f"Confusion matrix of {judged.key}, {counted(len(classes), 'row')} and columns{right}."
    caption = "True classes downwards, predicted ones across; the darker, the larger the share of the true class."
    return gallery.add(plots.confusion(matrix, classes), _name("confusion", judged), title="Confusion matrix", alt=alt, caption=caption)


def _name(plot: str, judged: Judged) -> str:
    """`roc_test`, with several targets `roc_diagnosis_test`."""
    return f"{plot}_{judged.prefix}{judged.part.label}"
