"""Baselines: simpler predictors of the same rows, and the differences between the model's scores and theirs.

A difference has its own interval: model and baseline are scored on the same draws (paired bootstrap), so that the difficulty of single
rows cancels out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from mmtrain.artifacts.results import BaselineResult
from mmtrain.config.sections.evaluation import BaselineKind
from mmtrain.evaluation.evaluation_set import BootstrapScores
from mmtrain.metrics.score import Score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class BaselinePredictions:
    """Predictions of one baseline, per target."""

    kind: BaselineKind | Literal["member", "teacher"]
    """`member`: one training of a group; `teacher`: that of a distilled run."""
    label: str
    name: str
    targets: Mapping[str, FittedTarget]
    """With the decision thresholds of this baseline."""
    predictions: Mapping[str, Array]

    def of(self, rows: Array) -> BaselinePredictions:
        """Return the predictions of some rows: their positions, or (rows,) bool."""
        return replace(self, predictions={key: values[rows] for key, values in self.predictions.items()})

    def scored(self, key: str, truth: Array) -> BaselineResult:
        """Score one target without intervals; `truth` has the same rows, all with a known answer."""
        return self._result({score.name: score for score in self.targets[key].all_scores(truth, self.predictions[key])}, {})

    def against(self, key: str, model: BootstrapScores) -> BaselineResult:
        """Score one target with intervals, and subtract its scores from those of the `model` on the same rows."""
        # The same draws as those of the model, so that differences are paired.
        baseline = model.of(self.targets[key], self.predictions[key])
        return self._result(baseline.scores, model.minus(baseline))

    def _result(self, scores: dict[str, Score], differences: dict[str, Score]) -> BaselineResult:
        return BaselineResult(kind=self.kind, label=self.label, name=self.name, scores=scores, differences=differences)


def dummy_baseline(key: str, target: FittedTarget, rows: int) -> BaselinePredictions:
    """Return the baseline `majority`, a dummy classifier: it predicts the training class frequencies, whatever the row."""
    # With the threshold or the prior of the model the baseline would call every row positive.
    return BaselinePredictions("majority", *target.dummy, {key: target.without_decision()}, {key: target.baseline(rows)})
