"""Selection of the plots of a target on a part, with names, captions and alternative texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from mmtrain.errors import counted
from mmtrain.reports.blocks import Plot
from mmtrain.reports.figures import plots
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.wording import format_interval, format_score, rows_called
from mmtrain.targets.base import UNCHOSEN

MOST_NAMED = 12
"""Classes up to which a description says how each of them fared."""


def of_target(judged: TargetResultView, gallery: FigureWriter) -> tuple[Plot, ...]:
    """The plots next to its scores, those that its task names. The part must have `rows`."""
    return tuple(plot for name in judged.target.plots for plot in PLOTS[name](judged, gallery))


def threshold_curves(judged: TargetResultView, gallery: FigureWriter) -> tuple[Plot, ...]:
    """ROC, precision and recall, and what each threshold gives, where both of two classes occur."""
    positive, threshold = judged.target.columns[1], judged.target.decision_threshold or UNCHOSEN
    codes = judged.target.parse_truth({"truth": judged.texts("truth")})
    truth = codes[codes >= 0].astype(np.int64)
    probability = judged.numbers(f"probability_{positive}")[codes >= 0]
    if not 0 < truth.sum() < len(truth):
        return ()
    on = f"of {judged.key} on the {rows_called(judged)}"
    found = []
    alt = f"ROC curve {on}; the area under it is {_score(judged, 'auc')}, guessing has 0.500."
    figure = plots.roc(truth, probability, threshold)
    found.append(gallery.add(figure, _name("roc", judged), title="ROC curve", alt=alt, caption=f"AUC {_score(judged, 'auc')}."))
    alt = f"Precision-recall curve {on}; the average precision is {_score(judged, 'pr_auc')}, guessing has {truth.mean():.3f}."
    figure = plots.precision_recall(truth, probability, threshold)
    caption = f"PR-AUC {_score(judged, 'pr_auc')}."
    found.append(gallery.add(figure, _name("precision_recall", judged), title="Precision and recall", alt=alt, caption=caption))
    gives = f"sensitivity {_score(judged, 'sensitivity')} and specificity {_score(judged, 'specificity')}"
    alt = f"Sensitivity, specificity and precision {on} over the threshold; the one in use, {threshold:.3g}, gives {gives}."
    figure = plots.thresholds(truth, probability, threshold)
    caption = f"A row is called {positive} from the threshold on."
    return (*found, gallery.add(figure, _name("thresholds", judged), title="Thresholds", alt=alt, caption=caption))


def reliability(judged: TargetResultView, gallery: FigureWriter) -> tuple[Plot, ...]:
    """Draw the reliability curve of the network's own probabilities and of the calibrated ones."""
    found = judged.result.calibration
    if found is None:
        return ()
    curves = {"network": found.before.bins} | ({} if found.after is None else {"calibrated": found.after.bins})
    error = format_interval("ece", found.final.ece)
    on = f"of {judged.key} on the {rows_called(judged)}"
    alt = f"Reliability curve {on}: share that came true by predicted probability; the expected calibration error is {error}."
    fewest = min(one.rows for one in found.before.bins)
    caption = f"On the line, what is said with 30 % comes true in 30 % of cases. {counted(fewest, 'row')} or more to a point."
    return (gallery.add(plots.reliability(curves), _name("reliability", judged), title="Reliability", alt=alt, caption=caption),)


def residuals(judged: TargetResultView, gallery: FigureWriter) -> tuple[Plot, ...]:
    """Predicted against true, and residuals."""
    truth, prediction = judged.numbers("truth"), judged.numbers("prediction")
    known = ~np.isnan(truth)
    truth, prediction = truth[known], prediction[known]
    if not len(truth):
        return ()
    on = f"of {judged.key} on the {rows_called(judged)}"
    error = prediction - truth
    alt = f"Predicted against true values {on}; R² is {_score(judged, 'r2')}."
    first = gallery.add(
        plots.predicted_and_true(truth, prediction), _name("predicted_and_true", judged), title="Predicted and true", alt=alt
    )
    low, high = format_score("mae", float(error.min())), format_score("mae", float(error.max()))
    alt = f"Residuals {on}: predicted less true values, from {low} to {high}, mean {format_score('mae', float(error.mean()))}."
    caption = "A pattern here is something the model has not learned."
    second = gallery.add(plots.residuals(truth, prediction), _name("residuals", judged), title="Residuals", alt=alt, caption=caption)
    return first, second


def of_confusion(judged: TargetResultView, matrix: npt.NDArray[np.int64], classes: Sequence[str], gallery: FigureWriter) -> Plot:
    """The confusion matrix, (classes, classes), rows by true class."""
    right = ""
    if len(classes) <= MOST_NAMED:
        found = [f"{matrix[place, place]} of {matrix[place].sum()} rows of {name}" for place, name in enumerate(classes)]
        right = f"; right are {', '.join(found)}"
    alt = f"Confusion matrix of {judged.key}, {counted(len(classes), 'row')} and columns{right}."
    caption = "True classes downwards, predicted ones across; the darker, the larger the share of the true class."
    return gallery.add(plots.confusion(matrix, classes), _name("confusion", judged), title="Confusion matrix", alt=alt, caption=caption)


PLOTS: dict[str, Callable[[TargetResultView, FigureWriter], tuple[Plot, ...]]] = {
    made.__name__: made for made in (threshold_curves, reliability, residuals)
}
"""What a task may name as one of its `plots`; a task of a user's own adds its functions."""


def _name(plot: str, judged: TargetResultView) -> str:
    """`roc_test`, with several targets `roc_diagnosis_test`."""
    return f"{plot}_{judged.prefix}{judged.part.label}"


def _score(judged: TargetResultView, name: str) -> str:
    return format_interval(name, judged.scores[name]) if name in judged.scores else "undefined"
