"""The metrics that `extra_metrics` can name: tasks, directions, levels, and the module with the function of each.

    >>> parse("sensitivity_at_specificity@0.95", "binary")
    RequestedScore(name='sensitivity_at_specificity@0.95', metric='sensitivity_at_specificity', level=0.95)
    >>> parse("mcc", "regression")
    Traceback (most recent call last):
    ValueError: `mcc` is for `task: binary, multiclass or ordinal`. For `task: regression` there are mape, rmsle and pinball@LEVEL.

A function takes `(truth, prediction, target, level)` of the rows with a known answer, as the scores of a task do, and returns a function
of bootstrap counts: from (draws, rows) to (draws,), NaN where the metric is undefined.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from mmtrain.errors import did_you_mean, listed
from mmtrain.metrics.score import LEVEL, NO_NDCG, Metric, add_metric

if TYPE_CHECKING:
    import numpy as np

    from mmtrain.metrics.bootstrap_counts import Scorer

Level = Literal["none", "share", "rows"]
"""Level behind the @ of a name: none, a number between 0 and 1, or a whole number from 1."""


@dataclass(frozen=True)
class RequestedMetric:
    """A metric of some tasks: where it is undefined, and the modules that compute it."""

    metric: Metric
    modules: dict[str, str]
    """Module of `mmtrain.metrics.on_request` with the function, of the name of the metric, by task."""
    undefined: str
    """The reason for an undefined value, in a sentence."""
    level: Level = "none"

    @property
    def usage(self) -> str:
        """The name as `extra_metrics` takes it."""
        return self.metric.name if self.level == "none" else f"{self.metric.name}@LEVEL"

    def scorer(self, task: str) -> Any:
        """Import the function for a task."""
        return getattr(import_module(f"{__package__}.{self.modules[task]}"), self.metric.name)


class RequestedScore(NamedTuple):
    """A metric at a level; `name` is that of its score."""

    name: str
    metric: str
    level: float


_CLASSES = "The metric needs rows of every class it compares; this part does not have them."
_BINARY, _SEVERAL = {"binary": "classes"}, {"multiclass": "classes", "ordinal": "classes"}
_BOTH, _PER_CLASS_OR_LABEL = _BINARY | _SEVERAL, _SEVERAL | {"multilabel": "labels"}
_RANKED = {"ranking": "groups"}
_LABELS, _NUMBERS = {"multilabel": "labels"}, dict.fromkeys(("regression", "count", "gaussian", "quantiles"), "numbers")


def _share(name: str, title: str = "", *, minimum: float = 0.0, higher_is_better: bool = True, unbiased: bool = False) -> Metric:
    return Metric(name, higher_is_better=higher_is_better, title=title, minimum=minimum, maximum=1, unbiased=unbiased)


ON_REQUEST: dict[str, RequestedMetric] = {
    entry.metric.name: entry
    for entry in (
        RequestedMetric(
            _share("sensitivity_at_specificity", "Sensitivity at a specificity of {level}"), {"binary": "thresholds"}, _CLASSES, "share"
        ),
        RequestedMetric(
            _share("specificity_at_sensitivity", "Specificity at a sensitivity of {level}"), {"binary": "thresholds"}, _CLASSES, "share"
        ),
        RequestedMetric(
            _share("precision_at_k", "Precision at {level}"),
            {"binary": "thresholds", "multilabel": "labels"},
            "The metric needs as many rows, or labels, as its level says.",
            "rows",
        ),
        RequestedMetric(_share("ppv", "Positive predictive value"), _BINARY, "No row is predicted to be positive."),
        RequestedMetric(_share("npv", "Negative predictive value"), _BINARY, "No row is predicted to be negative."),
        RequestedMetric(
            _share("mcc", "Matthews correlation coefficient", minimum=-1),
            _BOTH,
            "The metric needs two classes, among the answers and among the predictions.",
        ),
        RequestedMetric(_share("cohen_kappa", "Cohen's kappa", minimum=-1), _BOTH, "Answers and predictions are one and the same class."),
        RequestedMetric(
            Metric("balanced_log_loss", higher_is_better=False, unbiased=True, minimum=0), _BOTH, "There are no rows with an answer."
        ),
        RequestedMetric(
            _share("top_k_accuracy", "Top-{level} accuracy", unbiased=True),
            _SEVERAL,
            "The level is not below the number of classes, so that every row would be right. Choose a smaller one.",
            "rows",
        ),
        RequestedMetric(_share("ndcg_at_k", "NDCG at {level}", unbiased=True), _RANKED, NO_NDCG, "rows"),
        *(
            RequestedMetric(_share(f"{mean}_{what}", f"{mean.capitalize()} {title}"), modules, _CLASSES)
            for mean, what, title, modules in (
                ("macro", "precision", "precision", _PER_CLASS_OR_LABEL),
                ("macro", "recall", "recall", _PER_CLASS_OR_LABEL),
                ("weighted", "precision", "precision", _PER_CLASS_OR_LABEL),
                ("weighted", "auc", "AUC", _PER_CLASS_OR_LABEL),
                ("weighted", "f1", "F1", _LABELS),
                ("weighted", "pr_auc", "PR-AUC", _LABELS),
                ("micro", "precision", "precision", _LABELS),
                ("micro", "recall", "recall", _LABELS),
                ("micro", "f1", "F1", _LABELS),
                ("micro", "auc", "AUC", _LABELS),
                ("micro", "pr_auc", "PR-AUC", _LABELS),
            )
        ),
        RequestedMetric(
            Metric("mape", higher_is_better=False, title="Mean absolute percentage error", unbiased=True, minimum=0),
            _NUMBERS,
            "The error in proportion to an answer of 0 is not a number.",
        ),
        RequestedMetric(
            Metric("rmsle", higher_is_better=False, title="Root mean squared logarithmic error", minimum=0),
            _NUMBERS,
            "The logarithm needs answers of 0 or more.",
        ),
        RequestedMetric(
            Metric(
                "pinball",
                higher_is_better=False,
                title="Pinball loss of the {level} quantile",
                in_target_unit=True,
                unbiased=True,
                minimum=0,
            ),
            _NUMBERS,
            "There are no rows.",
            "share",
        ),
    )
}
"""By the name of the metric."""
for _entry in ON_REQUEST.values():
    add_metric(_entry.metric, suggested=False)


def parse(name: str, task: str) -> RequestedScore:
    """Return the score that a name of `extra_metrics` means. Raises ValueError for one that this task does not have."""
    base, at, level = name.partition(LEVEL)
    entry = ON_REQUEST.get(base)
    here = [one.usage for one in ON_REQUEST.values() if task in one.modules]
    if entry is None or task not in entry.modules:
        what = f"there is no metric `{name}`." if entry is None else f"`{base}` is for `task: {listed(list(entry.modules), 'or')}`."
        hint = did_you_mean(base, [one.partition(LEVEL)[0] for one in here]) if entry is None else ""
        others = f"For `task: {task}` there are {listed(here, most=len(here))}." if here else "Leave it out."
        raise ValueError(f"{what} {hint or others}")
    if entry.level == "none":
        if at:
            raise ValueError(f"`{base}` has no level. Write `{base}`.")
        return RequestedScore(base, base, 0.0)
    return RequestedScore(name, base, _level(entry, level))


def _level(entry: RequestedMetric, text: str) -> float:
    try:
        level = float(text)
    except ValueError:
        level = float("nan")
    whole = entry.level == "rows"
    if (level >= 1 and level.is_integer()) if whole else 0 < level < 1:
        return level
    expected = "a whole number from 1" if whole else "a number between 0 and 1"
    example = f"{entry.metric.name}@{5 if whole else 0.95}"
    raise ValueError(f"`{entry.metric.name}` needs {expected} behind the @. Write `{example}`, for example.")


def requested_scorer(target: Any, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
    """Return the scores of `target.extra_metrics` of bootstrap draws, as a function of the counts (draws, rows)."""
    import numpy as np

    if not len(truth):
        return lambda counts: {name: np.full(len(counts), np.nan) for name in target.extra_metrics}
    asked = [parse(name, target.task) for name in target.extra_metrics]
    scorers = {one.name: ON_REQUEST[one.metric].scorer(target.task)(truth, prediction, target, one.level) for one in asked}
    return lambda counts: {name: score(counts) for name, score in scorers.items()}


def reason(name: str, rows: int) -> str:
    """Return why a score is undefined for a part with this number of rows."""
    return ON_REQUEST[name.partition(LEVEL)[0]].undefined if rows else "There are no rows to score."
