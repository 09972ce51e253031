"""metrics.json and most_wrong_<part>.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from mmtrain.run_files.base import Count, Part, ScoreName, Share


class Ranged(Part):
    """What may have an interval, from `low` to `high`."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _two_ends(self) -> Ranged:
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval has two ends")
        return self


class Value(Ranged):
    """A difference."""

    value: float


class Score(Ranged):
    """A score; `undefined` says why it has no value."""

    value: float | None
    undefined: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _explained(self) -> Score:
        if self.value is None and not self.undefined:
            raise ValueError("a score without a value needs a reason")
        return self


Scores = dict[ScoreName, Score]


class Drawing(Part):
    """Where intervals come from."""

    model_config = ConfigDict(extra="forbid")

    confidence: float
    draws: Count
    unit: Literal["row", "group"]
    units: Count
    column: str = ""
    method: str = ""


class Blind(Part):
    """What an older mmtrain had beside the model."""

    name: str
    scores: Scores


class Baseline(Blind):
    """What stands beside the model."""

    kind: str
    label: str
    differences: dict[ScoreName, Score]


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
    confidence: float
    inputs: list[Contribution]


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


class Result(Part):
    """Of one target on one part."""

    task: str
    rows: Count
    unknown_answers: Count
    scores: Annotated[Scores, Field(min_length=1)]
    interval: Drawing | None = None
    baseline: Blind | None = None
    baselines: list[Baseline] | None = None
    baseline_notes: list[str] | None = None
    classes: list[str] | None = None
    confusion: list[list[Count]] | None = None
    calibration: Calibration | None = None
    operating_point: OperatingPoint | None = None
    conformal: Annotated[Sets | Intervals, Field(discriminator="kind")] | None = None
    contributions: Contributions | None = None
    missing_patterns: MissingPatterns | None = None
    subgroups: list[Subgroups] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Result:
        """Whoever reads one score of some rows, or of a baseline, finds it there."""
        names = {name for name in self.scores if "[" not in name}
        beside = [one for one in (self.baseline, *(self.baselines or ())) if one is not None]
        if not beside or any(not one.scores.keys() >= self.scores.keys() for one in beside):
            raise ValueError("a baseline has the scores of the model")
        if {len(self.classes or ())} != {len(self.confusion or ()), *map(len, self.confusion or ())}:
            raise ValueError("a confusion matrix has a row and a column for each class")
        if self.operating_point is not None and not names >= {"sensitivity", "specificity"}:
            raise ValueError("a threshold is of a target with sensitivity and specificity")
        analyses = [one for one in (self.contributions, self.missing_patterns, *(self.subgroups or ())) if one is not None]
        if not names >= {one.main for one in analyses}:
            raise ValueError("the main score is one of the scores")
        if any(not some.scores.keys() >= names for some in self._some()):
            raise ValueError("some of the rows have the scores of all rows")
        return self

    def _some(self) -> Iterator[Some]:
        if self.missing_patterns is not None:
            yield from self.missing_patterns.patterns
            yield from self.missing_patterns.masked
        for column in self.subgroups or ():
            yield from column.subgroups


class Probability(Part):
    """Of two classes."""

    truth: float
    prediction: float


class Wrong(Part):
    """One of the most wrong rows."""

    row: Count
    id: str
    truth: str | float
    prediction: str | float
    loss: float
    cells: dict[str, str]
    pictures: dict[str, str]
    probability: Probability | None = None
