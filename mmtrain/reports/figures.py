"""Which plots a target gets on a part, with their names, captions and descriptions for those who do not see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mmtrain.reports import plots
from mmtrain.reports.blocks import Picture
from mmtrain.reports.contents import Judged
from mmtrain.reports.drawing import Gallery
from mmtrain.reports.words import counted, limits, rows_called, shown
from mmtrain.targets.binary import FittedBinary
from mmtrain.targets.regression import FittedRegression

MOST_NAMED = 12
"""Classes up to which a description says how each of them fared."""


def of_target(judged: Judged, gallery: Gallery) -> tuple[Picture, ...]:
    """The plots that need predictions; none for a task that has no plots. The part must have `rows`."""
    if isinstance(judged.target, FittedBinary):
        return of_binary(judged, judged.target, gallery)
    if isinstance(judged.target, FittedRegression):
        return of_regression(judged, gallery)
    return ()


def of_binary(judged: Judged, target: FittedBinary, gallery: Gallery) -> tuple[Picture, ...]:
    """ROC and precision-recall where both classes occur, reliability where there is any row."""
    codes = target.truth({target.column: judged.texts("truth")})
    truth = codes[codes >= 0].astype(np.int64)
    probability = judged.numbers(f"probability_{target.classes[1]}")[codes >= 0]
    if not len(truth):
        return ()
    on = f"of {judged.key} on the {rows_called(judged)}"
    found = []
    if 0 < truth.sum() < len(truth):
        alt = f"ROC curve {on}; the area under it is {_score(judged, 'auc')}, guessing has 0.500."
        figure = plots.roc(truth, probability, target.threshold)
        found.append(gallery.add(figure, _name("roc", judged), title="ROC curve", alt=alt, caption=f"AUC {_score(judged, 'auc')}."))
        alt = f"Precision-recall curve {on}; the average precision is {_score(judged, 'pr_auc')}, guessing has {truth.mean():.3f}."
        figure = plots.precision_recall(truth, probability, target.threshold)
        caption = f"PR-AUC {_score(judged, 'pr_auc')}."
        found.append(gallery.add(figure, _name("precision_recall", judged), title="Precision and recall", alt=alt, caption=caption))
    alt = f"Reliability curve {on}: share of {target.classes[1]} by predicted probability, and how many rows each point stands for."
    caption = f"On the line, rows said to be {target.classes[1]} with 30 % are so in 30 % of cases."
    figure = plots.reliability(truth, probability)
    return (*found, gallery.add(figure, _name("reliability", judged), title="Reliability", alt=alt, caption=caption))


def of_regression(judged: Judged, gallery: Gallery) -> tuple[Picture, ...]:
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
    low, high = shown("mae", float(error.min())), shown("mae", float(error.max()))
    alt = f"Residuals {on}: predicted less true values, from {low} to {high}, mean {shown('mae', float(error.mean()))}."
    caption = "A pattern here is something the model has not learned."
    second = gallery.add(plots.residuals(truth, prediction), _name("residuals", judged), title="Residuals", alt=alt, caption=caption)
    return first, second


def of_confusion(judged: Judged, matrix: npt.NDArray[np.int64], classes: Sequence[str], gallery: Gallery) -> Picture:
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


def _score(judged: Judged, name: str) -> str:
    score = judged.scores.get(name, {})
    if score.get("value") is None:
        return "undefined"
    return f"{shown(name, score['value'])}{f' ({limits(name, score)})' if 'low' in score else ''}"
