"""One score: its value and how sure that is, or the reason why it has none; and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import SupportsFloat

from mmtrain.errors import did_you_mean, listed


@dataclass(frozen=True)
class Metric:
    """A score that a task gives: `name` in files and options, `title` for readers; left out, it follows from the name."""

    name: str
    higher_is_better: bool
    title: str = ""
    in_target_unit: bool = False
    """Shown with three significant digits; all others with three decimals."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", self.title or self.name.replace("_", " ").capitalize())


_METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", higher_is_better=True),
        Metric("auc", higher_is_better=True, title="AUC"),
        Metric("balanced_accuracy", higher_is_better=True),
        Metric("brier", higher_is_better=False, title="Brier score"),
        Metric("ece", higher_is_better=False, title="Expected calibration error"),
        Metric("f1", higher_is_better=True),
        Metric("hamming_loss", higher_is_better=False),
        Metric("log_loss", higher_is_better=False),
        Metric("loss", higher_is_better=False),
        Metric("macro_auc", higher_is_better=True, title="Macro AUC"),
        Metric("macro_f1", higher_is_better=True, title="Macro F1"),
        Metric("macro_pr_auc", higher_is_better=True, title="Macro PR-AUC"),
        Metric("mae", higher_is_better=False, title="Mean absolute error", in_target_unit=True),
        Metric("median_absolute_error", higher_is_better=False, in_target_unit=True),
        Metric("pr_auc", higher_is_better=True, title="PR-AUC"),
        Metric("r2", higher_is_better=True, title="R²"),
        Metric("rmse", higher_is_better=False, title="Root mean squared error", in_target_unit=True),
        Metric("sensitivity", higher_is_better=True),
        Metric("specificity", higher_is_better=True),
        Metric("subset_accuracy", higher_is_better=True),
        Metric("weighted_f1", higher_is_better=True, title="Weighted F1"),
    )
}
METRICS: Mapping[str, Metric] = MappingProxyType(_METRICS)
"""Every known score, and the training loss, by name. For the score of one label, `auc[beach]`, ask `metric_of`."""

BINARY = ("auc", "pr_auc", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "log_loss", "brier")
MULTICLASS = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "log_loss")
MULTILABEL = ("macro_auc", "macro_pr_auc", "macro_f1", "subset_accuracy", "hamming_loss", "log_loss")
REGRESSION = ("mae", "rmse", "r2", "median_absolute_error")
"""What each module of `mmtrain.metrics` computes, in the order in which it is shown."""
EACH_LABEL = ("auc", "pr_auc", "f1")
"""What `mmtrain.metrics.multilabel` computes for each label, `auc[beach]`."""


def metrics_named(names: Iterable[str]) -> tuple[Metric, ...]:
    """Return the known metrics with these names."""
    return tuple(METRICS[name] for name in names)


@dataclass(frozen=True)
class Interval:
    """Where a score would lie for all rows of this kind, at a stated confidence."""

    low: float
    high: float

    def plain(self) -> dict[str, float]:
        """For metrics.json."""
        return asdict(self)


@dataclass(frozen=True)
class Score:
    """One number of a part, or why there is none; `auc[beach]` is the AUC of the label `beach`.

    Either `value` is finite, or it is None and `undefined` says why in a whole sentence. `note` says what a reader of the value must know.
    """

    name: str
    value: float | None
    undefined: str = ""
    note: str = ""
    interval: Interval | None = None

    def __post_init__(self) -> None:
        higher_is_better(self.name)
        if (self.value is None) != bool(self.undefined) or not math.isfinite(self.value or 0.0):
            raise ValueError(f"The score '{self.name}' needs a finite value or a reason; it has {self.value} and '{self.undefined}'.")

    def plain(self) -> dict[str, float | str | None]:
        """For metrics.json, under its name: the value with its interval, and what is to be said of it."""
        limits = {} if self.interval is None else self.interval.plain()
        said = {"undefined": self.undefined, "note": self.note}
        return {"value": self.value, **limits, **{key: text for key, text in said.items() if text}}


def add_metric(metric: Metric) -> None:
    """Make a metric known; `@task` does it for those that a task states.

    Raises:
        ValueError: another metric has this name.
    """
    known = _METRICS.setdefault(metric.name, metric)
    if known.higher_is_better != metric.higher_is_better:
        raise ValueError(f"The score '{metric.name}' is known, and better when it is {'higher' if known.higher_is_better else 'lower'}.")


def metric_of(score: str) -> Metric:
    """Return the metric of a score, whose name comes without its part (`validation_`); `auc[beach]` is an `auc`.

    Raises:
        ValueError: there is no such score.
    """
    base = score.partition("[")[0]
    if base not in METRICS:
        hint = did_you_mean(base, METRICS) or f"The scores are {listed(list(METRICS), most=len(METRICS))}."
        raise ValueError(f"There is no score '{score}'. {hint} A task of your own states its scores as `metrics`.")
    return METRICS[base]


def higher_is_better(score: str) -> bool:
    """The direction of a score. Raises ValueError as `metric_of` does."""
    return metric_of(score).higher_is_better


def signed_difference(text: str) -> str:
    """A number as a person reads it: with a real minus sign, and no sign on a zero."""
    if not text.startswith(("-", "+")):
        return text
    if not any(digit in text for digit in "123456789"):
        return text[1:]
    return text.replace("-", "−", 1) if text.startswith("-") else text


def value_or_reason(name: str, value: SupportsFloat, undefined: str, *, note: str = "") -> Score:
    """The score, with its note; where the value is NaN, the reason."""
    return Score(name, None, undefined) if math.isnan(float(value)) else Score(name, float(value), note=note)


def without_rows(names: Sequence[str]) -> tuple[Score, ...]:
    """Every score of a part that is empty."""
    return tuple(Score(name, None, "There are no rows to score.") for name in names)
