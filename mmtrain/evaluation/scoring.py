"""The scores of one part with their intervals, and those of the baselines beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mmtrain.evaluation.baselines import BaselineScores, dummy_baseline
from mmtrain.evaluation.bootstrap import BootstrapInfo, Resampling
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.metrics.score import Score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
MOST_IN_A_MATRIX = 100
"""Classes up to which metrics.json has the whole confusion matrix, which grows with their square."""


@dataclass(frozen=True)
class TargetScores:
    """How well one target was predicted on one part."""

    target: str
    task: str
    rows: int
    unknown: int
    """Rows left out because training did not have their class, or the answer is missing."""
    scores: tuple[Score, ...]
    baselines: tuple[BaselineScores, ...]
    """The one that looks at no column first."""
    baseline_notes: tuple[str, ...] = ()
    """In sentences: which baselines are not there, and why."""
    classes: tuple[str, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """Rows of each true class (first index) that were predicted as each class, for class targets."""
    drawing: BootstrapInfo | None = None
    """What the intervals of `scores` come from, where they have any."""
    drawn: BootstrapScores | None = field(default=None, repr=False, compare=False)
    """The rows and draws behind the intervals."""
    unknown_labels: Mapping[str, int] = field(default_factory=dict)
    """Of several labels, those that are not known of all `rows`, each with the number of rows that its scores leave out."""
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
            **({"unknown_labels": dict(self.unknown_labels)} if self.unknown_labels else {}),
            "scores": {score.name: score.plain() for score in self.scores},
            **({"interval": self.drawing.plain()} if self.drawing else {}),
            "baselines": [baseline.plain() for baseline in self.baselines],
            **({"baseline_notes": list(self.baseline_notes)} if self.baseline_notes else {}),
            **self._plain_confusion(),
            **self.analyses,
        }

    def _plain_confusion(self) -> dict[str, Any]:
        """The matrix; of many classes the cells that have rows, of which there are no more than rows."""
        if not self.confusion:
            return {}
        if len(self.classes) <= MOST_IN_A_MATRIX:
            return {"classes": list(self.classes), "confusion": [list(row) for row in self.confusion]}
        matrix = np.array(self.confusion, dtype=np.int64)
        true, called = np.nonzero(matrix)
        return {"classes": list(self.classes), "confusion_pairs": np.stack([true, called, matrix[true, called]], axis=1).tolist()}


def score_target(key: str, target: FittedTarget, truth: Array, prediction: Array, resampling: Resampling | None = None) -> TargetScores:
    """Scores of the rows whose answer training knows; `unknown` counts the others, which no score speaks of.

    They have intervals where `resampling` says how to draw the rows.
    """
    known = target.known_rows(truth)
    rows = EvalSet.of(target, truth, prediction, None if resampling is None else resampling.groups)
    scores, drawn, drawing = target.all_scores(rows.truth, rows.prediction), None, None
    if resampling is not None and len(rows):
        drawn = BootstrapScores(rows, resampling.bootstrap(known))
        scores, drawing = tuple(drawn.scores.values()), resampling.drawing(drawn.bootstrap)
    confusion = _confusion(rows) if target.has_classes else ()
    return TargetScores(
        key,
        target.task,
        len(rows),
        int((~known).sum()),
        scores,
        (dummy_baseline(key, target, len(rows)).scored(key, rows.truth),),
        classes=target.columns if confusion else (),
        confusion=confusion,
        drawing=drawing,
        drawn=drawn,
        unknown_labels=_unknown_labels(rows),
    )


def _unknown_labels(rows: EvalSet) -> dict[str, int]:
    if not rows.target.has_labels:
        return {}
    counts = (rows.truth < 0).sum(axis=0).tolist()
    return {name: count for name, count in zip(rows.target.columns, counts, strict=True) if count}


def _confusion(rows: EvalSet) -> tuple[tuple[int, ...], ...]:
    from mmtrain.metrics import confusion_matrix

    places = {name: code for code, name in enumerate(rows.target.columns)}
    codes = np.array([places[name] for name in rows.target.decide(rows.prediction)], dtype=np.int64)
    return tuple(map(tuple, confusion_matrix(rows.truth, codes, count=len(places)).tolist()))


def main_score(monitor: str, target: FittedTarget, names: Collection[str], prefix: str = "") -> str:
    """Of the scores called `names`, the one that chose the best epoch (`monitor`: `validation_auc`), else the main metric of the task.

    `prefix` is what the target's scores begin with behind the part, where there are several targets.
    """
    monitored = monitor.partition("_")[2]
    if monitored.startswith(prefix) and monitored.removeprefix(prefix) in names:
        return monitored.removeprefix(prefix)
    return target.main_metric if target.main_metric in names else next(iter(names))


def main_scores(monitor: str, targets: Mapping[str, FittedTarget], results: Mapping[str, TargetScores]) -> dict[str, str]:
    """`main_score` of every target."""
    prefix = "{}_" if len(results) > 1 else ""
    return {
        key: main_score(monitor, targets[key], [score.name for score in result.scores], prefix.format(key))
        for key, result in results.items()
    }


def score_name(part: str, results: Mapping[str, TargetScores]) -> dict[str, Score]:
    """`<part>_<score>`, with several targets `<part>_<target>_<score>`."""
    several = len(results) > 1
    return {f"{part}_{f'{key}_' if several else ''}{score.name}": score for key, result in results.items() for score in result.scores}
