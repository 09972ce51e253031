"""One score: its value and how sure that is, or the reason why it has none; and which direction is better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import SupportsFloat

from mmtrain.errors import did_you_mean, listed

_DIRECTIONS = {
    "accuracy": True,
    "auc": True,
    "balanced_accuracy": True,
    "brier": False,
    "ece": False,
    "f1": True,
    "hamming_loss": False,
    "log_loss": False,
    "loss": False,
    "macro_auc": True,
    "macro_f1": True,
    "macro_pr_auc": True,
    "mae": False,
    "median_absolute_error": False,
    "pr_auc": True,
    "r2": True,
    "rmse": False,
    "sensitivity": True,
    "specificity": True,
    "subset_accuracy": True,
    "weighted_f1": True,
}
HIGHER_IS_BETTER: Mapping[str, bool] = MappingProxyType(_DIRECTIONS)
"""The direction of every score, and of the training loss. Ask with `higher_is_better`, which also knows the scores of one label."""

OF_TASK: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binary": ("auc", "pr_auc", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity", "log_loss", "brier"),
        "multiclass": ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_auc", "log_loss"),
        "multilabel": ("macro_auc", "macro_pr_auc", "macro_f1", "subset_accuracy", "hamming_loss", "log_loss"),
        "regression": ("mae", "rmse", "r2", "median_absolute_error"),
    }
)
"""The scores of each task of ours, in the order in which they are shown."""
EACH_LABEL = ("auc", "pr_auc", "f1")
"""Scores of one label of a multilabel target, `auc[beach]`."""


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


def add_score(name: str, *, higher: bool) -> None:
    """Make a score of a task of one's own known, `higher` if more of it is better. To be called where the task is registered."""
    if _DIRECTIONS.setdefault(name, higher) != higher:
        raise ValueError(f"The score '{name}' is known, and better when it is {'lower' if higher else 'higher'}.")


def higher_is_better(name: str) -> bool:
    """The direction of a score; `auc[beach]` has that of `auc`. The name comes without its part (`validation_`).

    Raises:
        ValueError: there is no such score.
    """
    base = name.partition("[")[0]
    if base not in HIGHER_IS_BETTER:
        hint = did_you_mean(base, HIGHER_IS_BETTER) or f"The scores are {listed(list(HIGHER_IS_BETTER), most=len(HIGHER_IS_BETTER))}."
        raise ValueError(f"There is no score '{name}'. {hint} One of a task of your own is made known with `add_score`.")
    return HIGHER_IS_BETTER[base]


def signed(text: str) -> str:
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
