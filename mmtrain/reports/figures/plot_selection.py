"""Selection of the plots of a target on a part, with names, captions and alternative texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mmtrain.errors import counted
from mmtrain.metrics.labels.auc import threshold_counts
from mmtrain.reports.blocks import Cell, Plot, Table, number
from mmtrain.reports.figures import plots
from mmtrain.reports.figures.plot_style import FigureWriter
from mmtrain.reports.figures.probability_plots import BINS, CLASS_BINS, counts_by_class, several_classes, two_classes
from mmtrain.reports.figures.target_plots import quantile_coverage, survival_curves
from mmtrain.reports.report_data import TargetResultView
from mmtrain.reports.wording import count, decimals, format_interval, format_score, rows_called
from mmtrain.targets.decides import UNCHOSEN

MOST_NAMED = 12
"""Maximum number of classes that the description of a plot lists."""
MOST_STRIPS = 40
"""Maximum number of classes with histograms; each takes a quarter of an inch."""
CURVE_STEPS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
"""False positive rates, and recalls, in the numbers of a curve."""


def of_target(view: TargetResultView, writer: FigureWriter) -> tuple[Plot, ...]:
    """Return the plots that the task of a target names. The part must have `rows`."""
    return tuple(plot for name in view.target.plots for plot in PLOTS[name](view, writer))


def threshold_curves(view: TargetResultView, writer: FigureWriter) -> tuple[Plot, ...]:
    """Draw ROC, precision and recall, and scores by threshold; nothing unless both classes occur."""
    positive, threshold = view.target.columns[1], view.target.decision_threshold or UNCHOSEN
    codes = view.target.parse_truth({"truth": view.texts("truth")})
    truth = codes[codes >= 0].astype(np.int64)  # negative codes are unknown answers
    probability = view.numbers(f"probability_{positive}")[codes >= 0]
    # With one class only, no curve is defined.
    if not 0 < truth.sum() < len(truth):
        return ()
    on = f"of {view.key} on the {rows_called(view)}"
    drawn = []
    alt = f"ROC curve {on}; the area under it is {_score(view, 'auc')}, random guessing has 0.500."
    figure = plots.roc(truth, probability, threshold)
    plot = writer.add(figure, _name("roc", view), title="ROC curve", alt=alt, caption=f"AUC {_score(view, 'auc')}.")
    drawn.append(replace(plot, numbers=_curve_numbers(truth, probability)))
    alt = f"Precision-recall curve {on}; the average precision is {_score(view, 'pr_auc')}, random guessing has {truth.mean():.3f}."
    figure = plots.precision_recall(truth, probability, threshold)
    caption = f"PR-AUC {_score(view, 'pr_auc')}."
    drawn.append(writer.add(figure, _name("precision_recall", view), title="Precision and recall", alt=alt, caption=caption))
    rates = f"sensitivity {_score(view, 'sensitivity')} and specificity {_score(view, 'specificity')}"
    alt = f"Sensitivity, specificity and precision {on} over the threshold; the one in use, {threshold:.3g}, gives {rates}."
    figure = plots.thresholds(truth, probability, threshold)
    caption = f"A row is called {positive} at the threshold or above."
    return (*drawn, writer.add(figure, _name("thresholds", view), title="Thresholds", alt=alt, caption=caption))


def _curve_numbers(truth: npt.NDArray[np.int64], probability: npt.NDArray[np.float64]) -> Table:
    """Tabulate the highest sensitivity at each of `CURVE_STEPS` false positive rates, with the precision there."""
    hits, alarms = (np.append(0, counts) for counts in threshold_counts(truth, probability))
    rows = []
    for rate in CURVE_STEPS:
        # The last threshold that has at most this rate: hits never fall as the threshold does.
        place = int(np.searchsorted(alarms, rate * alarms[-1], side="right")) - 1
        called = hits[place] + alarms[place]
        precision = decimals(float(hits[place] / called)) if called else "undefined"
        rows.append((number(f"{rate:g}"), number(decimals(float(hits[place] / hits[-1]))), number(precision)))
    return Table("Points of the curves", ("False positive rate, at most", "Sensitivity", "Precision"), tuple(rows))


def probability_histograms(view: TargetResultView, writer: FigureWriter) -> tuple[Plot, ...]:
    """Draw how the predicted probabilities of each true class are distributed; nothing for more than `MOST_STRIPS` classes."""
    classes = view.target.columns
    codes = view.target.parse_truth({"truth": view.texts("truth")})
    known = codes >= 0  # negative codes are unknown answers
    codes = codes[known].astype(np.int64)
    if len(classes) > MOST_STRIPS or not len(codes):
        return ()
    on = f"of {view.key} on the {rows_called(view)}"
    if len(classes) == 2:
        counts = counts_by_class(codes, view.numbers(f"probability_{classes[1]}")[known], 2, BINS)
        figure = two_classes(counts, classes, view.target.decision_threshold or UNCHOSEN)
        words = f"Histograms of the probability of {classes[1]} {on}, a histogram for the rows of each class."
        caption = "Shares of the rows of each class. The less the two overlap, the better the model separates the classes."
    else:
        given = np.stack([view.numbers(f"probability_{name}")[known] for name in classes], axis=1)
        counts = counts_by_class(codes, given[np.arange(len(codes)), codes], len(classes), CLASS_BINS)
        figure = several_classes(counts, classes)
        words = f"Histograms of the probability of the true class {on}, a strip for each class."
        caption = "The darker, the larger the share of the class; rows on the left are missed with confidence."
    alt = f"{words} {_means(counts, classes)}"
    numbers = _histogram_numbers(counts, classes)
    plot = writer.add(figure, _name("probabilities", view), title="Probabilities by true class", alt=alt, caption=caption)
    return (replace(plot, numbers=numbers),)


def _means(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> str:
    """Return the share of rows in the upper half of the histogram, class by class, of few classes."""
    half = counts.shape[1] // 2
    shares = [(name, int(row[half:].sum()), int(row.sum())) for name, row in zip(classes, counts, strict=True)][:MOST_NAMED]
    return f"At 0.5 or above: {', '.join(f'{above} of {rows} rows of {name}' for name, above, rows in shares)}."


def _histogram_numbers(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> Table:
    """Tabulate a histogram: a row per bin of two classes, a row per class of several."""
    bins = counts.shape[1]
    names = [f"{place / bins:.2g} to {(place + 1) / bins:.2g}" for place in range(bins)]
    if len(classes) == 2:
        rows = [(Cell(name), *(number(count(int(one))) for one in pair)) for name, pair in zip(names, counts.T, strict=True)]
        return Table("Rows by predicted probability", ("Probability", *classes), tuple(rows))
    lines = [(Cell(name), *(number(count(int(one))) for one in row)) for name, row in zip(classes, counts, strict=True)]
    return Table("Rows by the probability of their true class", ("Class", *names), tuple(lines))


def reliability(view: TargetResultView, writer: FigureWriter) -> tuple[Plot, ...]:
    """Draw the reliability curves of the uncalibrated and of the calibrated probabilities."""
    calibration = view.result.calibration
    if calibration is None:
        return ()
    # Uncalibrated first, so that its colour is the same with and without calibration.
    curves = {"network": calibration.before.bins} | ({} if calibration.after is None else {"calibrated": calibration.after.bins})
    error = format_interval("ece", calibration.final.ece)
    on = f"of {view.key} on the {rows_called(view)}"
    alt = f"Reliability curve {on}: observed frequency by predicted probability; the expected calibration error is {error}."
    fewest = min(one.rows for one in calibration.before.bins)
    caption = f"On the diagonal, a predicted 30 % comes true in 30 % of cases. Each point has at least {counted(fewest, 'row')}."
    return (writer.add(plots.reliability(curves), _name("reliability", view), title="Reliability", alt=alt, caption=caption),)


def residuals(view: TargetResultView, writer: FigureWriter) -> tuple[Plot, ...]:
    """Draw predicted against true values, and residuals."""
    truth, prediction = view.numbers("truth"), view.numbers(view.target.compared_column)
    known = ~np.isnan(truth)
    truth, prediction = truth[known], prediction[known]
    if not len(truth):
        return ()
    on = f"of {view.key} on the {rows_called(view)}"
    error = prediction - truth
    alt = f"Predicted against true values {on}; R² is {_score(view, 'r2')}."
    first = writer.add(plots.predicted_and_true(truth, prediction), _name("predicted_and_true", view), title="Predicted and true", alt=alt)
    low, high = format_score("mae", float(error.min())), format_score("mae", float(error.max()))
    alt = f"Residuals {on}: predicted minus true values, from {low} to {high}, mean {format_score('mae', float(error.mean()))}."
    caption = "A pattern here is something the model has not learned."
    second = writer.add(plots.residuals(truth, prediction), _name("residuals", view), title="Residuals", alt=alt, caption=caption)
    return first, second


def of_confusion(view: TargetResultView, matrix: npt.NDArray[np.int64], classes: Sequence[str], writer: FigureWriter) -> Plot:
    """Draw the confusion matrix, (classes, classes), rows by true class."""
    right = ""
    # Read aloud, a large matrix would take minutes.
    if len(classes) <= MOST_NAMED:
        correct = [f"{matrix[place, place]} of {matrix[place].sum()} rows of {name}" for place, name in enumerate(classes)]
        right = f"; correct are {', '.join(correct)}"
    alt = f"Confusion matrix of {view.key}, {counted(len(classes), 'row')} and columns{right}."
    caption = "Rows are true classes, columns predicted ones; the darker, the larger the share of the true class."
    return writer.add(plots.confusion(matrix, classes), _name("confusion", view), title="Confusion matrix", alt=alt, caption=caption)


PLOTS: dict[str, Callable[[TargetResultView, FigureWriter], tuple[Plot, ...]]] = {
    function.__name__: function
    for function in (threshold_curves, probability_histograms, reliability, residuals, quantile_coverage, survival_curves)
}
"""Functions that a task may name in its `plots`; custom tasks add their own."""


def _name(plot: str, view: TargetResultView) -> str:
    """Name the file of a plot: `roc_test`, with several targets `roc_diagnosis_test`."""
    return f"{plot}_{view.prefix}{view.part.label}"


def _score(view: TargetResultView, name: str) -> str:
    return format_interval(name, view.scores[name]) if name in view.scores else "undefined"
