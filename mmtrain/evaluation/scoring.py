"""The scores of one part, with those of the baseline beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mmtrain.named_score import Score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
MAIN = {"binary": "auc", "multiclass": "balanced_accuracy", "multilabel": "macro_auc", "regression": "rmse"}
"""The score that speaks for a target, unless the best epoch was chosen by another one."""
BASELINE = {"regression": "mean of the training rows", "multilabel": "share of each label in the training rows"}


@dataclass(frozen=True)
class TargetScores:
    """How well one target was predicted on one part."""

    target: str
    task: str
    rows: int
    unknown: int
    """Rows left out because training did not have their class, or the answer is missing."""
    scores: tuple[Score, ...]
    baseline: tuple[Score, ...]
    baseline_name: str
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows of each true class (first index) that were predicted as each class, for class targets."""
    analyses: Mapping[str, Any] = field(default_factory=dict)
    """What else was found out, as metrics.json has it, by name."""

    def with_analyses(self, found: Mapping[str, Any]) -> TargetScores:
        """The same, and what was found out besides."""
        return replace(self, analyses={**self.analyses, **found})

    def plain(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "task": self.task,
            "rows": self.rows,
            "unknown_answers": self.unknown,
            "scores": {score.name: _plain(score) for score in self.scores},
            "baseline": {"name": self.baseline_name, "scores": {score.name: _plain(score) for score in self.baseline}},
            **({"classes": list(self.classes), "confusion": [list(row) for row in self.confusion]} if self.confusion else {}),
            **self.analyses,
        }


def _plain(score: Score) -> dict[str, Any]:
    return {key: value for key, value in asdict(score).items() if key != "name" and (value != "" or key == "value")}


def score_target(key: str, target: FittedTarget, truth: Array, prediction: Array) -> TargetScores:
    """Scores of the rows whose answer training knows; `unknown` counts the others, which no score speaks of."""
    from mmtrain.scores import confusion_matrix

    known = known_rows(truth)
    truth, prediction = truth[known], prediction[known]
    confusion: Array = np.empty((0, 0), dtype=np.int64)
    if target.task in ("binary", "multiclass"):
        decided = target.decide(prediction)
        codes = np.array([target.columns.index(name) for name in decided], dtype=np.int64)
        confusion = confusion_matrix(truth, codes, count=len(target.columns))
    return TargetScores(
        key,
        target.task,
        len(truth),
        int((~known).sum()),
        target.scores(truth, prediction),
        target.scores(truth, target.baseline(len(truth))),
        BASELINE.get(target.task, "majority: class shares of the training rows"),
        target.columns if len(confusion) else (),
        tuple(tuple(int(count) for count in row) for row in confusion),
    )


def known_rows(truth: Array) -> Array:
    """Which rows have an answer that training knows: not -1, not NaN; (rows,) bool."""
    if truth.ndim > 1:
        return np.ones(len(truth), dtype=np.bool_)
    known: Array = ~np.isnan(truth) if np.issubdtype(truth.dtype, np.floating) else truth >= 0
    return known


def main_score(monitor: str, task: str, names: Collection[str], prefix: str = "") -> str:
    """Of the scores called `names`, the one that chose the best epoch (`monitor`: `validation_auc`), else the usual one of the task.

    `prefix` is what the target's scores begin with behind the part, where there are several targets.
    """
    monitored = monitor.partition("_")[2]
    if monitored.startswith(prefix) and monitored.removeprefix(prefix) in names:
        return monitored.removeprefix(prefix)
    usual = MAIN.get(task, "")
    return usual if usual in names else next(iter(names))


def named(part: str, results: Mapping[str, TargetScores]) -> dict[str, Score]:
    """`<part>_<score>`, with several targets `<part>_<target>_<score>`."""
    several = len(results) > 1
    return {f"{part}_{f'{key}_' if several else ''}{score.name}": score for key, result in results.items() for score in result.scores}
