"""What stands beside the model: something simpler that answers for the same rows, and how far the model is from it.

A difference has an interval of its own: model and baseline are scored on the same drawn rows, so that what is hard about some rows
for both of them cancels out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mmtrain.config.evaluation import Baseline
from mmtrain.evaluation.bootstrap import Bootstrap, Values
from mmtrain.named_score import Score
from mmtrain.targets import FittedTarget
from mmtrain.targets.binary import UNCHOSEN, FittedBinary

Array = np.ndarray[Any, Any]
BLIND: Mapping[str, tuple[str, str]] = {
    "regression": ("mean", "mean of the training rows"),
    "multilabel": ("label shares", "share of each label in the training rows"),
}
"""Label and name of `majority`, by task; the others have that of classes."""


@dataclass(frozen=True)
class BaselineScores:
    """How well one baseline predicted one target."""

    kind: Baseline
    label: str
    """For the heading of a column: `scan alone`."""
    name: str
    """What it is, for a sentence."""
    scores: tuple[Score, ...]
    differences: tuple[Score, ...] = ()
    """Model minus baseline in every score; empty where the rows were not drawn."""

    def plain(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "kind": self.kind,
            "label": self.label,
            "name": self.name,
            "scores": {score.name: score.plain() for score in self.scores},
            "differences": {score.name: score.plain() for score in self.differences},
        }


@dataclass(frozen=True)
class Answers:
    """The predictions of one baseline for rows, per target."""

    kind: Baseline
    label: str
    name: str
    targets: Mapping[str, FittedTarget]
    """With the thresholds that were chosen for this baseline."""
    predictions: Mapping[str, Array]

    def of(self, rows: Array) -> Answers:
        """For some of the rows: their positions, or (rows,) bool."""
        return replace(self, predictions={key: values[rows] for key, values in self.predictions.items()})

    def scored(self, key: str, truth: Array) -> BaselineScores:
        """The scores of one target, without intervals; `truth` is of the same rows, all of them known."""
        return BaselineScores(self.kind, self.label, self.name, self.targets[key].scores(truth, self.predictions[key]))


@dataclass(frozen=True)
class Contest:
    """The model's predictions of one target for rows with a known answer, and the draws of these rows."""

    key: str
    target: FittedTarget
    truth: Array
    prediction: Array
    bootstrap: Bootstrap

    def against(self, others: Iterable[Answers]) -> tuple[BaselineScores, ...]:
        """The scores of baselines on the same rows, and the model's differences to them."""
        mine = self.target.scores(self.truth, self.prediction)
        drawn = self.bootstrap.scores(self.target, self.truth, self.prediction)
        return tuple(self._against(one, mine, drawn) for one in others)

    def _against(self, other: Answers, mine: Sequence[Score], drawn: Mapping[str, Values]) -> BaselineScores:
        theirs = other.scored(self.key, self.truth)
        values = self.bootstrap.scores(other.targets[self.key], self.truth, other.predictions[self.key])
        differences = tuple(
            self.bootstrap.difference(score, one, drawn[score.name] - values[score.name])
            for score, one in zip(mine, theirs.scores, strict=True)
        )
        return replace(theirs, scores=self.bootstrap.stated(theirs.scores, values), differences=differences)


def blind(key: str, target: FittedTarget, rows: int) -> Answers:
    """`majority`: someone who knows the training answers of a target and looks at no column."""
    label, name = BLIND.get(target.task, ("majority", "majority: class shares of the training rows"))
    return Answers("majority", label, name, {key: undecided(target)}, {key: target.baseline(rows)})


def undecided(target: FittedTarget) -> FittedTarget:
    """Without the threshold that was chosen for the model: it would have a baseline call every row the rarer class."""
    return target.model_copy(update={"threshold": UNCHOSEN}) if isinstance(target, FittedBinary) else target
