"""Metrics, and scores: values with confidence intervals, or the reason for an undefined one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple, SupportsFloat

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from mmtrain.errors import did_you_mean, listed
from mmtrain.result_model import ResultModel, both_or_neither

LEVEL = "@"
"""Sign between the name of a metric and its level: `sensitivity_at_specificity@0.95`."""


@dataclass(frozen=True)
class Metric:
    """A metric of a task: `name` in files and options, `title` for readers, which by default follows from the name.

    The title of a metric with a level has `{level}` in its place.
    """

    name: str
    higher_is_better: bool
    title: str = ""
    in_target_unit: bool = False
    """Shown with three significant digits; all others with three decimals."""
    unbiased: bool = False
    """True if its expectation on a few rows is its value on many, as that of a mean over rows, or over pairs of rows of two classes."""
    minimum: float = -math.inf
    maximum: float = math.inf

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", self.title or self.name.replace("_", " ").capitalize())


_METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", higher_is_better=True, unbiased=True, minimum=0, maximum=1),
        Metric("auc", higher_is_better=True, title="AUC", unbiased=True, minimum=0, maximum=1),
        Metric("balanced_accuracy", higher_is_better=True, unbiased=True, minimum=0, maximum=1),
        Metric("brier", higher_is_better=False, title="Brier score", unbiased=True, minimum=0, maximum=1),
        Metric("ece", higher_is_better=False, title="Expected calibration error", minimum=0, maximum=1),
        Metric("f1", higher_is_better=True, minimum=0, maximum=1),
        Metric("hamming_loss", higher_is_better=False, unbiased=True, minimum=0, maximum=1),
        Metric("log_loss", higher_is_better=False, unbiased=True, minimum=0),
        Metric("loss", higher_is_better=False, unbiased=True),
        Metric("macro_auc", higher_is_better=True, title="Macro AUC", unbiased=True, minimum=0, maximum=1),
        Metric("macro_f1", higher_is_better=True, title="Macro F1", minimum=0, maximum=1),
        Metric("macro_pr_auc", higher_is_better=True, title="Macro PR-AUC", minimum=0, maximum=1),
        Metric("mae", higher_is_better=False, title="Mean absolute error", in_target_unit=True, unbiased=True, minimum=0),
        Metric("median_absolute_error", higher_is_better=False, in_target_unit=True, minimum=0),
        Metric("pr_auc", higher_is_better=True, title="PR-AUC", minimum=0, maximum=1),
        Metric("r2", higher_is_better=True, title="R²", maximum=1),
        Metric("rmse", higher_is_better=False, title="Root mean squared error", in_target_unit=True, minimum=0),
        Metric("sensitivity", higher_is_better=True, unbiased=True, minimum=0, maximum=1),
        Metric("specificity", higher_is_better=True, unbiased=True, minimum=0, maximum=1),
        Metric("subset_accuracy", higher_is_better=True, unbiased=True, minimum=0, maximum=1),
        Metric("weighted_f1", higher_is_better=True, title="Weighted F1", minimum=0, maximum=1),
    )
}
_UNSUGGESTED: set[str] = set()
"""Names that an error does not list, as they are too many."""
METRICS: Mapping[str, Metric] = MappingProxyType(_METRICS)
"""Every known metric, and the training loss, by name. For the score of one label, `auc[beach]`, use `metric_of`."""

BINARY = ("auc", "pr_auc", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "log_loss", "brier")
MULTICLASS = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "log_loss")
MULTILABEL = ("macro_auc", "macro_pr_auc", "macro_f1", "subset_accuracy", "hamming_loss", "log_loss")
REGRESSION = ("mae", "rmse", "r2", "median_absolute_error")
"""Scores of each module of `mmtrain.metrics`, in the order of tables."""
EACH_LABEL = ("auc", "pr_auc", "f1")
"""Scores that `mmtrain.metrics.labels.multilabel` computes for each label, `auc[beach]`."""


def metrics_named(names: Iterable[str]) -> tuple[Metric, ...]:
    """Return the known metrics with these names."""
    return tuple(METRICS[name] for name in names)


class Interval(NamedTuple):
    """Limits of a confidence interval."""

    low: float
    high: float


class Estimate(ResultModel):
    """A number with its confidence interval; without limits if the bootstrap gives none."""

    value: float
    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _limits(self) -> Estimate:
        both_or_neither(self.low, self.high)
        return self

    @property
    def interval(self) -> Interval | None:
        """The confidence interval, or None."""
        return None if self.low is None or self.high is None else Interval(self.low, self.high)


class Score(ResultModel):
    """A score of some rows, or the reason why there is none; `auc[beach]` is the AUC of the label `beach`.

    >>> Score("auc", 0.75, low=0.5, high=0.875).to_json()
    {'value': 0.75, 'low': 0.5, 'high': 0.875}
    >>> Score("auc", None, "Every row has the same class.").to_json()
    {'value': None, 'undefined': 'Every row has the same class.'}
    """

    name: str = Field(exclude=True)
    """The key of the score in JSON."""
    value: float | None
    """A finite number, or null where the score is undefined."""
    low: float | None = None
    """Lower limit of the confidence interval."""
    high: float | None = None
    """Upper limit of the confidence interval."""
    undefined: str = ""
    """The reason for an undefined value, in a sentence."""
    note: str = ""
    """A remark that qualifies the value, in a sentence."""

    def __init__(
        self,
        name: str,
        value: float | None = None,
        undefined: str = "",
        note: str = "",
        *,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        """Raises ValueError for an unknown score, and for one that has neither a finite value nor a reason, or both."""
        higher_is_better(name)
        if (value is None) != bool(undefined) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"The score '{name}' needs a finite value or a reason; it has {value} and '{undefined}'.")
        both_or_neither(low, high)
        super().__init__(name=name, value=value, low=low, high=high, undefined=undefined, note=note)

    @property
    def interval(self) -> Interval | None:
        """The confidence interval, or None."""
        return None if self.low is None or self.high is None else Interval(self.low, self.high)


def _known_score(name: str) -> str:
    higher_is_better(name)
    return name


def with_names(scores: Any) -> Any:
    """Give scores the names that are their keys in JSON; anything that is not a map of scores stays as it is."""
    if not isinstance(scores, dict):
        return scores
    return {name: _with_name(name, score) if isinstance(score, dict) else score for name, score in scores.items()}


def _with_name(name: Any, score: dict[Any, Any]) -> dict[str, Any]:
    # The constructor of `Score` takes no unknown keys.
    return {"name": name} | {key: score[key] for key in ("value", "low", "high", "undefined", "note") if key in score}


ScoreName = Annotated[str, AfterValidator(_known_score)]
Scores = Annotated[dict[ScoreName, Score], BeforeValidator(with_names)]
"""Scores by name, in the order in which they are shown."""


def add_metric(metric: Metric, *, suggested: bool = True) -> None:
    """Add a metric to `METRICS`; `@task` does it for those that a task names. Errors list the `suggested` ones.

    Raises:
        ValueError: a metric with this name is better in the other direction.
    """
    known = _METRICS.setdefault(metric.name, metric)
    if known.higher_is_better != metric.higher_is_better:
        raise ValueError(
            f"The score '{metric.name}' already exists, and is better when it is {'higher' if known.higher_is_better else 'lower'}."
        )
    if not suggested and known is metric:
        _UNSUGGESTED.add(metric.name)


def metric_of(score: str) -> Metric:
    """Return the metric of a score by its name without a part (`validation_`) or a level; `auc[beach]` is an `auc`.

    Raises:
        ValueError: there is no such metric.
    """
    base = score.partition("[")[0].partition(LEVEL)[0]
    if base not in METRICS:
        suggested = [name for name in METRICS if name not in _UNSUGGESTED]
        hint = did_you_mean(base, list(METRICS)) or f"The scores are {listed(suggested, most=len(suggested))}."
        raise ValueError(f"There is no score '{score}'. {hint} A custom task declares its scores as `metrics`.")
    return METRICS[base]


def higher_is_better(score: str) -> bool:
    """Return True if a score is better when it is higher. Raises ValueError as `metric_of` does."""
    return metric_of(score).higher_is_better


def signed_difference(text: str) -> str:
    """Replace the hyphen before a number by a minus sign, and drop the sign of a zero."""
    if not text.startswith(("-", "+")):
        return text
    if not any(digit in text for digit in "123456789"):
        return text[1:]
    return text.replace("-", "−", 1) if text.startswith("-") else text


NO_NDCG = "NDCG needs a group of two rows or more with a relevance above 0."
"""Reason for an undefined NDCG."""


def value_or_reason(name: str, value: SupportsFloat, undefined: str, *, note: str = "") -> Score:
    """Return the score with its note, or with the reason `undefined` if the value is NaN."""
    return Score(name, None, undefined) if math.isnan(float(value)) else Score(name, float(value), note=note)


def without_rows(names: Sequence[str]) -> tuple[Score, ...]:
    """Return undefined scores, for a part without rows."""
    return tuple(Score(name, None, "There are no rows to score.") for name in names)
