"""Several predictions of the same rows, compared in pairs: every draw of the bootstrap has the same rows for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmtrain.evaluation.bootstrap import BootstrapInfo, Resampling
from mmtrain.evaluation.delong import DeLong, delong
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.metrics.score import Score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PairedDifference:
    """One prediction less the first."""

    differences: tuple[Score, ...]
    """Of every score, with the interval of the difference."""
    delong: DeLong | None
    """Of the AUC of a binary target."""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        found = {"differences": {score.name: score.plain() for score in self.differences}}
        return found | ({"delong": self.delong.plain()} if self.delong else {})


@dataclass(frozen=True)
class ComparedTarget:
    """One target as several runs predict it."""

    target: str
    task: str
    rows: int
    drawing: BootstrapInfo
    scores: tuple[tuple[Score, ...], ...]
    """Of each run, in their order."""
    against: tuple[PairedDifference, ...]
    """Of each run but the first."""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "task": self.task,
            "rows": self.rows,
            "interval": self.drawing.plain(),
            "scores": [{score.name: score.plain() for score in scores} for scores in self.scores],
            "against_first": [against.plain() for against in self.against],
        }


def compare_target(
    key: str, targets: Sequence[FittedTarget], truth: Array, predictions: Sequence[Array], resampling: Resampling
) -> ComparedTarget:
    """`targets` are what each run has learned of one target, `predictions` what each says of the same rows, whose answers are `truth`."""
    first, *others = (
        BootstrapScores(EvalSet.of(target, truth, prediction, resampling.groups), resampling.bootstrap(target.known_rows(truth)))
        for target, prediction in zip(targets, predictions, strict=True)
    )
    against = tuple(PairedDifference(other.less(first), _delong(first.rows, other.rows)) for other in others)
    scores = tuple(tuple(one.scores.values()) for one in (first, *others))
    return ComparedTarget(key, targets[0].task, len(first.rows), resampling.drawing(first.bootstrap), scores, against)


def _delong(first: EvalSet, other: EvalSet) -> DeLong | None:
    if not first.target.thresholdable:
        return None
    return delong(first.truth, first.prediction.reshape(-1), other.prediction.reshape(-1), first.groups)
