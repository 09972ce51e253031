"""Scores of one part with their intervals, next to those of the dummy baseline."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmtrain.artifacts.results import TargetResult
from mmtrain.evaluation.baselines import dummy_baseline
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.targets import FittedTarget, TaskTraits

Array = np.ndarray[Any, Any]
MATRIX_CLASSES = 100
"""Maximum number of classes for a dense confusion matrix in metrics.json, which grows with their square."""


@dataclass(frozen=True)
class ScoredTarget:
    """The result of one target on one part, and the rows and draws behind it for further analyses."""

    result: TargetResult
    bootstrap_scores: BootstrapScores | None = field(repr=False, compare=False)
    """None without a bootstrap, or if no row has a known answer."""


def score_target(key: str, target: FittedTarget, truth: Array, prediction: Array, resampling: Resampling | None = None) -> ScoredTarget:
    """Score the rows with a known answer; `unknown_answers` of the result counts the others. With `resampling`, scores have intervals.

    `truth` (rows, ...) is encoded by the target, with its code for unknown answers; `prediction` (rows, units) is that of the network.
    """
    known = target.known_rows(truth)
    rows = EvalSet.of(target, truth, prediction, None if resampling is None else resampling.groups)
    bootstrap = BootstrapScores(rows, resampling.bootstrap(known)) if resampling is not None and len(rows) else None
    scores = {score.name: score for score in target.all_scores(rows.truth, rows.prediction)} if bootstrap is None else bootstrap.scores
    result = TargetResult(
        task=target.task,
        rows=len(rows),
        unknown_answers=int((~known).sum()),
        unknown_labels=_unknown_labels(rows),
        scores=scores,
        interval=None if bootstrap is None or resampling is None else resampling.info(bootstrap.bootstrap),
        baselines=[dummy_baseline(key, target, len(rows)).scored(key, rows.truth)],
        **(confusion_fields(rows) if target.has_classes else {}),
    )
    return ScoredTarget(result, bootstrap)


def _unknown_labels(rows: EvalSet) -> dict[str, int]:
    if not rows.target.has_labels:
        return {}
    # -1 stands for a label that is not known in a row.
    counts = (rows.truth < 0).sum(axis=0).tolist()
    return {name: count for name, count in zip(rows.target.columns, counts, strict=True) if count}


def confusion_fields(rows: EvalSet) -> dict[str, Any]:
    """Return the classes and the confusion matrix; sparse for many classes, so that it has at most one cell per row."""
    from mmtrain.metrics import confusion_matrix

    classes = list(rows.target.columns)
    codes = {name: code for code, name in enumerate(classes)}
    predicted = np.array([codes[name] for name in rows.target.predict_label(rows.prediction)], dtype=np.int64)
    matrix = confusion_matrix(rows.truth, predicted, count=len(classes))
    if len(classes) <= MATRIX_CLASSES:
        return {"classes": classes, "confusion": matrix.tolist()}
    cells = np.nonzero(matrix)
    # (pairs, 3): true class, predicted class, rows
    return {"classes": classes, "confusion_pairs": np.stack([*cells, matrix[cells]], axis=1).tolist()} if len(rows) else {}


def main_score(monitor: str, target: TaskTraits | type[TaskTraits], names: Collection[str], prefix: str = "") -> str:
    """Return the score that chose the best epoch (`monitor`: `validation_auc`) if it is among `names`, else the main metric of the task.

    With several targets, `prefix` stands before the name of the score in `monitor`: `ill_` in `validation_ill_auc`.
    """
    monitored = monitor.partition("_")[2]
    if monitored.startswith(prefix) and monitored.removeprefix(prefix) in names:
        return monitored.removeprefix(prefix)
    return target.main_metric if target.main_metric in names else next(iter(names))


def main_scores(monitor: str, targets: Mapping[str, FittedTarget], results: Mapping[str, TargetResult]) -> dict[str, str]:
    """Return the `main_score` of every target."""
    prefix = "{}_" if len(results) > 1 else ""
    return {key: main_score(monitor, targets[key], result.scores, prefix.format(key)) for key, result in results.items()}
