"""What metrics.json has of a target besides its scores and baselines."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from mmtrain.artifacts.schema_base import Count, Part, Ranged, ScoreName, Scores, Share, Value


class Bin(Part):
    """Statements of about the same probability."""

    rows: Count
    said: Share
    share: Share
    low: Share
    high: Share


class Reliability(Part):
    """How far probabilities are from what came true; an older mmtrain wrote values alone."""

    brier: Value | float
    ece: Value | float
    bins: list[Bin]


class Calibration(Part):
    """Of the network's own probabilities, and of calibrated ones."""

    method: str
    of: str
    bins: Count
    notes: list[str]
    before: Reliability
    after: Reliability | None = None
    temperatures: Annotated[list[float], Field(min_length=1)] | None = None


class Rates(Part):
    """Of the rows of each class that are called so."""

    sensitivity: float | None
    specificity: float | None


class Chosen(Rates):
    """On the validation rows on which a threshold was chosen."""

    rows: Count


class OperatingPoint(Rates):
    """A threshold, and how it fares."""

    aim_in_words: str
    positive: str
    threshold: Annotated[float, Field(gt=0, lt=1)]
    note: str
    validation: Chosen


class HeldBack(Part):
    """What a bound was fitted on."""

    model_config = ConfigDict(extra="forbid")

    rows: Count
    groups: Count | None


class Covered(Ranged):
    """How often the answer lies inside."""

    rows: Count
    value: float | None


class Conformal(Part):
    """Sets or intervals."""

    coverage: float
    fitted_on: HeldBack
    note: str
    found: Covered


class Sets(Conformal):
    """Of classes."""

    kind: Literal["sets"]
    mean_size: float
    empty: Count


class Intervals(Conformal):
    """Of numbers; without a width they are without end."""

    kind: Literal["intervals"]
    width: float | None


class Contribution(Part):
    """Of one input."""

    name: str
    branch: str
    whole_branch: bool
    losses: dict[ScoreName, Value]


class Contributions(Part):
    """What each input contributes."""

    main: ScoreName
    rows: Count
    permutations: Count
    permutations_asked: Count = 0
    confidence: float
    inputs: list[Contribution]
    left_out: list[str] | None = None


class Some(Part):
    """Some of the rows."""

    rows: Count
    groups: Count = 0
    scores: Scores


class Pattern(Some):
    """In which the same is missing; null stands for all other patterns."""

    missing: list[str] | None


class Masked(Some):
    """As they would be without a branch."""

    branch: str
    training_rows_without: Count
    losses: dict[ScoreName, Value]


class MissingPatterns(Part):
    """How rows fare without some inputs."""

    main: ScoreName
    confidence: float
    patterns: list[Pattern]
    masked: list[Masked]


class Subgroup(Some):
    """With one value of a column; null where it is missing."""

    name: str | None


class Gap(Ranged):
    """Between the best and the worst subgroup."""

    best: str | None
    worst: str | None
    value: float
    compared: Count


class Subgroups(Part):
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
