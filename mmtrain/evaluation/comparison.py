"""Several predictions of the same rows, compared in pairs: every draw of the bootstrap has the same rows for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmtrain.evaluation.bootstrap import Drawing, Resampling
from mmtrain.evaluation.delong import DeLong, delong
from mmtrain.evaluation.scoring import known_rows
from mmtrain.named_score import Score
from mmtrain.targets import FittedTarget
from mmtrain.targets.binary import FittedBinary

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Against:
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
    drawing: Drawing
    scores: tuple[tuple[Score, ...], ...]
    """Of each run, in their order."""
    against: tuple[Against, ...]
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
    known = known_rows(truth)
    truth, bootstrap = truth[known], resampling.bootstrap(known)
    said = [prediction[known] for prediction in predictions]
    scores = [target.scores(truth, one) for target, one in zip(targets, said, strict=True)]
    drawn = [bootstrap.scores(target, truth, one) for target, one in zip(targets, said, strict=True)]
    stated = tuple(bootstrap.stated(*pair) for pair in zip(scores, drawn, strict=True))
    against = []
    for one, mine, values in list(zip(said, scores, drawn, strict=True))[1:]:
        differences = tuple(
            bootstrap.difference(ours, theirs, values[ours.name] - drawn[0][ours.name])
            for theirs, ours in zip(scores[0], mine, strict=True)
        )
        groups = None if resampling.groups is None else resampling.groups[known]
        binary = isinstance(targets[0], FittedBinary)
        against.append(Against(differences, delong(truth, said[0].reshape(-1), one.reshape(-1), groups) if binary else None))
    return ComparedTarget(key, targets[0].task, len(truth), resampling.drawing(bootstrap), stated, tuple(against))
