"""What metrics.json has of a target besides its scores and baselines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from mmtrain.artifacts.schema_base import Count, HasInterval, Model, Proportion, ScoreName, Scores, Value


class ReliabilityBin(Model):
    """Statements of about the same probability."""

    rows: Count
    said: Proportion
    share: Proportion
    low: Proportion
    high: Proportion


class Reliability(Model):
    """How far probabilities are from what came true; an older mmtrain wrote values alone."""

    brier: Value | float
    ece: Value | float
    bins: list[ReliabilityBin]


class Calibration(Model):
    """Of the network's own probabilities, and of calibrated ones."""

    method: str
    of: str
    bins: Count
    notes: list[str]
    before: Reliability
    after: Reliability | None = None
    temperatures: Annotated[list[float], Field(min_length=1)] | None = None


class Rates(Model):
    """Of the rows of each class that are called so."""

    sensitivity: float | None
    specificity: float | None


class ThresholdSelection(Rates):
    """On the validation rows on which a threshold was chosen."""

    rows: Count


class ThresholdResult(Rates):
    """A threshold, and how it fares."""

    aim_in_words: str
    positive: str
    threshold: Annotated[float, Field(gt=0, lt=1)]
    note: str
    validation: ThresholdSelection


class CalibrationHoldout(Model):
    """What a bound was fitted on."""

    model_config = ConfigDict(extra="forbid")

    rows: Count
    groups: Count | None


class Coverage(HasInterval):
    """How often the answer lies inside."""

    rows: Count
    value: float | None


class Conformal(Model):
    """Sets or intervals."""

    coverage: float
    fitted_on: CalibrationHoldout
    note: str
    found: Coverage


class PredictionSets(Conformal):
    """Of classes."""

    kind: Literal["sets"]
    mean_size: float
    empty: Count


class PredictionIntervals(Conformal):
    """Of numbers; without a width they are without end."""

    kind: Literal["intervals"]
    width: float | None


class InputImportance(Model):
    """Of one input."""

    name: str
    branch: str
    whole_branch: bool
    losses: dict[ScoreName, Value]


class PermutationImportance(Model):
    """What each input contributes."""

    main: ScoreName
    rows: Count
    permutations: Count
    permutations_asked: Count = 0
    confidence: float
    inputs: list[InputImportance]
    left_out: list[str] | None = None


class RowSubset(Model):
    """Some of the rows."""

    rows: Count
    groups: Count = 0
    scores: Scores


class MissingPattern(RowSubset):
    """In which the same is missing; null stands for all other patterns."""

    missing: list[str] | None


class AblatedBranch(RowSubset):
    """As they would be without a branch."""

    branch: str
    training_rows_without: Count
    losses: dict[ScoreName, Value]


class MissingPatterns(Model):
    """How rows fare without some inputs."""

    main: ScoreName
    confidence: float
    patterns: list[MissingPattern]
    masked: list[AblatedBranch]


class Subgroup(RowSubset):
    """With one value of a column; null where it is missing."""

    name: str | None


class Gap(HasInterval):
    """Between the best and the worst subgroup."""

    best: str | None
    worst: str | None
    value: float
    compared: Count


class Subgroups(Model):
    """The rows divided by a column."""

    column: str
    main: ScoreName
    confidence: float
    subgroups: list[Subgroup]
    gap: Gap | None

    @model_validator(mode="after")
    def _gap_of_subgroups(self) -> Subgroups:
        names = {one.name for one in self.subgroups if one.scores.get(self.main) and one.scores[self.main].value is not None}
        if self.gap is not None and not {self.gap.best, self.gap.worst} <= names:
            raise ValueError("a gap is between two subgroups with a score")
        return self
