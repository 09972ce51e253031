"""Results of the analyses of one target: calibration, threshold, inputs, missing inputs and subgroups."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from mmtrain.metrics.score import Estimate, Score, ScoreName, Scores, with_names
from mmtrain.result_model import Count, Fraction, ResultModel, both_or_neither


class Proportion(ResultModel):
    """A proportion of rows, with the confidence interval of Wilson (1927)."""

    rows: Count
    value: float | None
    """From 0 to 1; null without rows."""
    low: Fraction
    high: Fraction


class ReliabilityBin(ResultModel):
    """Statements of similar probability, and the proportion of them that came true."""

    rows: Count
    """Number of statements."""
    said: Fraction
    """Their mean probability."""
    share: Fraction
    """The proportion of them that came true."""
    low: Fraction
    """Lower limit of the confidence interval of `share`."""
    high: Fraction
    """Upper limit of the confidence interval of `share`."""


class Reliability(ResultModel):
    """Difference between probabilities and the proportions that come true."""

    brier: Score
    """Mean squared error (Brier 1950): of the positive one of two classes, summed over several classes, averaged over labels."""
    ece: Score
    """Expected calibration error: the mean distance of `said` from `share` over the bins."""
    bins: list[ReliabilityBin]
    """The reliability curve."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {**values, **with_names({name: values[name] for name in ("brier", "ece") if name in values})}


class Calibration(ResultModel):
    """Reliability of the network's own probabilities and, where they were calibrated, of the calibrated ones."""

    method: str
    """`none`, `temperature` or `isotonic`."""
    bins: Count
    """Maximum number of bins."""
    binning: str
    """How statements are put into bins."""
    of: str
    """What is stated: the positive class, the most probable class, or every label."""
    notes: list[str]
    """Remarks on the fit, in sentences."""
    before: Reliability
    """Of the network's own probabilities."""
    temperatures: Annotated[list[float], Field(min_length=1)] | None = None
    """The fitted temperatures: one, or one per label."""
    after: Reliability | None = None
    """Of the calibrated probabilities."""

    @property
    def final(self) -> Reliability:
        """The reliability of the calibrated probabilities if there are any, else of the network's own."""
        return self.before if self.after is None else self.after


class ThresholdSelection(ResultModel):
    """Scores of the threshold on the validation rows on which it was chosen; null where a class had no row."""

    rows: Count
    positives: Count
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    f1: float | None


class ThresholdResult(ResultModel):
    """A decision threshold with its scores on validation rows and on the scored rows."""

    aim: str
    """The aim of the choice: `f1`, `youden`, `cost`, or a minimum such as `sensitivity>=0.95`."""
    aim_in_words: str
    """The aim for a sentence: `the highest F1`."""
    positive: str
    """The positive class."""
    threshold: Annotated[float, Field(gt=0, lt=1)]
    """A row is called positive from this probability on."""
    note: str
    validation: ThresholdSelection
    sensitivity: float | None
    """On the scored rows; null without a positive row."""
    specificity: float | None
    """On the scored rows; null without a negative row."""


class DecisionResult(ResultModel):
    """Decisions under a prior, and what they change on the scored rows."""

    prior: dict[str, float]
    """The share of each class that decisions assume."""
    given: dict[str, float]
    """Its share in training rows."""
    without: Scores
    """`accuracy` and `balanced_accuracy` if the most probable class were predicted."""
    differences: Scores
    """The scores of the decisions minus those; with intervals of the same draws."""


class InputImportance(ResultModel):
    """Drop of every score when the values of one input are shuffled among the rows."""

    name: str
    """Of the branch, or of the column."""
    branch: str
    columns: list[str]
    whole_branch: bool
    """True if all columns of the branch are shuffled together."""
    losses: dict[ScoreName, Estimate]
    """Drop by score, in the unit of the score; above 0 where the score becomes worse, whichever direction is better."""


class PermutationImportance(ResultModel):
    """Permutation importance of all inputs to one target."""

    main: ScoreName
    """The score that stands for the target."""
    rows: Count
    permutations: Count
    """How often each input was shuffled."""
    confidence: float
    draws: Count
    """Draws of the bootstrap for each shuffle."""
    inputs: list[InputImportance]
    permutations_asked: Count | None = None
    """How often each input should have been shuffled, where there was not enough time for it."""
    left_out: list[str] = Field(default_factory=list)
    """Inputs that were not reached in time."""


class RowSubset(ResultModel):
    """Scores of some of the rows."""

    rows: Count
    groups: Count | None = None
    """Number of groups, where the bootstrap draws groups."""
    scores: Scores


class MissingPattern(RowSubset):
    """Scores of the rows in which the same inputs are missing."""

    missing: list[str] | None
    """Keys of the missing columns, empty where nothing is missing; null stands for all rarer patterns together."""


class AblatedBranch(RowSubset):
    """Scores of all rows if one branch were absent from each of them."""

    branch: str
    training_rows_without: Count
    """Training rows in which the branch was absent; with 0 the network never learned to predict without it."""
    losses: dict[ScoreName, Estimate]
    """How much worse each score becomes, by score; above 0 where it becomes worse."""


class MissingPatterns(ResultModel):
    """Scores where inputs are missing."""

    main: ScoreName
    """The score that stands for the target."""
    confidence: float
    patterns: list[MissingPattern]
    """The most frequent first; none where nothing is missing in any row."""
    masked: list[AblatedBranch]
    """One for each branch that can be absent."""


class Subgroup(RowSubset):
    """Scores of the rows with one value of a column."""

    name: str | None
    """The value, or the range of values; null where the cell is missing."""


class Gap(ResultModel):
    """The subgroups with the best and the worst main score, and the distance between them."""

    best: str | None
    """Name of the best subgroup."""
    worst: str | None
    """Name of the worst subgroup."""
    value: float
    """The distance, 0 or more, whichever direction is better."""
    low: float | None = None
    high: float | None = None
    compared: Count
    """Number of subgroups that could be compared."""

    @model_validator(mode="after")
    def _limits(self) -> Gap:
        both_or_neither(self.low, self.high)
        return self


class Subgroups(ResultModel):
    """Scores of every subgroup of one column."""

    column: str
    """Header of the column."""
    main: ScoreName
    """The score that stands for the target."""
    confidence: float
    subgroups: list[Subgroup]
    gap: Gap | None
    """Null where no two subgroups can be compared."""

    @model_validator(mode="after")
    def _gap_of_subgroups(self) -> Subgroups:
        names = {one.name for one in self.subgroups if one.scores.get(self.main) and one.scores[self.main].value is not None}
        if self.gap is not None and not {self.gap.best, self.gap.worst} <= names:
            raise ValueError("a gap is between two subgroups with a score")
        return self


class AnalysisTable(ResultModel):
    """A table of an analysis that a file given with `--code` has registered."""

    head: Annotated[list[str], Field(min_length=1)]
    """Heading of every column; the first one names the rows."""
    rows: list[list[str | bool | int | float | None]]
    """Cells by row; null where a value is undefined."""
    caption: str = ""
    """Shown above the table; empty where the name of the analysis is."""
    note: str = ""
    """Shown below the table, a remark in a sentence."""

    @model_validator(mode="after")
    def _complete(self) -> AnalysisTable:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError("every row has a cell for each heading")
        return self
