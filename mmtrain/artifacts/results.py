"""metrics.json and most_wrong_<part>.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from mmtrain.artifacts.analysis_results import (
    Calibration,
    MissingPatterns,
    PermutationImportance,
    PredictionIntervals,
    PredictionSets,
    RowSubset,
    Subgroups,
    ThresholdResult,
)
from mmtrain.artifacts.schema_base import Count, Model, Score, ScoreName, Scores


class BootstrapInfo(Model):
    """Where intervals come from."""

    model_config = ConfigDict(extra="forbid")

    confidence: float
    draws: Count
    unit: Literal["row", "group"]
    units: Count
    column: str = ""
    method: str = ""


class DummyBaselineResult(Model):
    """What an older mmtrain had beside the model."""

    name: str
    scores: Scores


class BaselineResult(DummyBaselineResult):
    """What stands beside the model."""

    kind: str
    label: str
    differences: dict[ScoreName, Score]


class TargetResult(Model):
    """Of one target on one part."""

    task: str
    rows: Count
    unknown_answers: Count
    unknown_labels: dict[str, Count] | None = None
    scores: Annotated[Scores, Field(min_length=1)]
    interval: BootstrapInfo | None = None
    baseline: DummyBaselineResult | None = None
    baselines: list[BaselineResult] | None = None
    baseline_notes: list[str] | None = None
    classes: list[str] | None = None
    confusion: list[list[Count]] | None = None
    confusion_pairs: list[tuple[Count, Count, Count]] | None = None
    """Of many classes, in place of the matrix: positions of the true and the predicted class, and their rows."""
    calibration: Calibration | None = None
    operating_point: ThresholdResult | None = None
    conformal: Annotated[PredictionSets | PredictionIntervals, Field(discriminator="kind")] | None = None
    contributions: PermutationImportance | None = None
    missing_patterns: MissingPatterns | None = None
    subgroups: list[Subgroups] | None = None

    @model_validator(mode="after")
    def _complete(self) -> TargetResult:
        """Whoever reads one score of some rows, or of a baseline, finds it there."""
        names = {name for name in self.scores if "[" not in name}
        beside = [one for one in (self.baseline, *(self.baselines or ())) if one is not None]
        if not beside or any(not one.scores.keys() >= self.scores.keys() for one in beside):
            raise ValueError("a baseline has the scores of the model")
        classes = len(self.classes or ())
        if self.confusion_pairs is None and {classes} != {len(self.confusion or ()), *map(len, self.confusion or ())}:
            raise ValueError("a confusion matrix has a row and a column for each class")
        if any(max(true, called) >= classes for true, called, _ in self.confusion_pairs or ()):
            raise ValueError("a confusion matrix has a row and a column for each class")
        if self.operating_point is not None and not names >= {"sensitivity", "specificity"}:
            raise ValueError("a threshold is of a target with sensitivity and specificity")
        analyses = [one for one in (self.contributions, self.missing_patterns, *(self.subgroups or ())) if one is not None]
        if not names >= {one.main for one in analyses}:
            raise ValueError("the main score is one of the scores")
        if any(not some.scores.keys() >= names for some in self._some()):
            raise ValueError("some of the rows have the scores of all rows")
        return self

    def _some(self) -> Iterator[RowSubset]:
        if self.missing_patterns is not None:
            yield from self.missing_patterns.patterns
            yield from self.missing_patterns.masked
        for column in self.subgroups or ():
            yield from column.subgroups


class Probability(Model):
    """Of two classes."""

    truth: float
    prediction: float


class WorstRow(Model):
    """One of the most wrong rows."""

    row: Count
    id: str
    truth: str | float
    prediction: str | float
    loss: float
    cells: dict[str, str]
    images: dict[str, str]
    probability: Probability | None = None
