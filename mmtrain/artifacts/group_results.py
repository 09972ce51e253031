"""cross_validation.json: scores of a group of trainings (folds, repeats, seeds), one value per member, with mean, spread and interval."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mmtrain.metrics.score import ScoreName
from mmtrain.result_model import Count, ResultModel, both_or_neither
from mmtrain.splits.folds import describe_folds


class Member(ResultModel):
    """One training of a group, a child run of it."""

    name: str
    """`<group>/<name>` of the child run: `folds/0`, `seeds/2`, `folds/0-seed-2`."""
    fold: Count
    """Number of the partition in split.csv; the numbers continue over repeats: fold 7 of 5 is fold 2 of repeat 1. 0 without folds."""
    repeat: Count = 0
    """Number of the repeat, from 0."""
    seed: Count = 0
    """Position of the seed, from 0; the seed of the training is that of the experiment plus this."""
    branch: str = ""
    """The branch that this training has alone; empty for all branches."""
    train_rows: Count = 0
    """Number of rows that the training learned from."""
    rows: Count = 0
    """Number of rows that were scored: those of the fold, which this member uses for nothing else."""


class MemberScores(ResultModel):
    """One score of every member, in the order of `CrossValidation.members`, and its summary.

    A member's value is null where its score is undefined; mean and deviation leave it out.
    """

    values: list[float | None]
    """Score of each member."""
    mean: float | None = None
    """Mean of the folds; with several seeds, of the means over seeds."""
    deviation: float | None = None
    """Sample standard deviation over folds (of means over seeds); without folds, over seeds. Null for fewer than two values."""
    estimate: float | None = None
    """Center of the interval: the mean of the folds or, for a score that is biased on few rows, the mean over repeats and seeds of the
    score of all rows together. Null without folds."""
    standard_error: float | None = None
    """Standard error of the estimate; null without an interval."""
    low: float | None = None
    """Lower limit of the confidence interval of the expected score."""
    high: float | None = None
    """Upper limit of that interval."""
    method: str = ""
    """Method of the interval, as a noun phrase; empty without one."""
    out_of_fold: float | None = None
    """The same score of all out-of-fold predictions together; null where it is undefined or there are none."""

    @model_validator(mode="after")
    def _limits(self) -> MemberScores:
        both_or_neither(self.low, self.high)
        return self


class TargetWeights(ResultModel):
    """Weights of configurations in the prediction of one target, and the evidence for them.

    A configuration is a seed, in a repeat, of the network or of a branch alone; its folds share its weight.
    """

    method: Literal["mean", "greedy"]
    """mean: the trainings of all branches count the same."""
    reason: str
    """Reason for the method, a sentence."""
    weights: Annotated[dict[str, float], Field(min_length=1)]
    """By configuration; together they are 1."""
    members: Annotated[list[float], Field(min_length=1)]
    """Weights of the trainings, in the order of run.json; together they are 1."""
    rows: Count
    """Number of rows that weights were chosen on."""
    losses: dict[str, float] = Field(default_factory=dict)
    """Loss of each configuration on these rows: log loss, or squared error of a number."""
    mean_loss: float | None = None
    """Loss of the mean of all trainings with all branches."""
    greedy_loss: float | None = None
    """Loss of greedy weights, of each part of the rows by weights that were chosen on the other parts."""


class EnsembleWeights(ResultModel):
    """ensemble.json: weights of the trainings of a group in their common prediction."""

    part: Literal["out of fold", "validation"]
    """Rows that weights were chosen on."""
    targets: Annotated[dict[str, TargetWeights], Field(min_length=1)]

    def member_weights(self) -> dict[str, list[float]]:
        """Return the weights of the trainings by target."""
        return {key: one.members for key, one in self.targets.items()}


ScoresOfMembers = Annotated[dict[ScoreName, MemberScores], Field(min_length=1)]


class CrossValidation(ResultModel):
    """Scores of a group of trainings on the rows that each of them left out."""

    folds: Count
    """Number of folds; 1 without folds."""
    repeats: Count = 1
    """Number of times that the rows were divided into folds."""
    seeds: Count = 1
    """Number of seeds of each fold."""
    members: Annotated[list[Member], Field(min_length=1)]
    """In the order of training: by fold, then by seed."""
    rows: Count
    """Number of rows with an out-of-fold prediction; without folds, of validation rows."""
    confidence: float = 0.95
    """Confidence level of the intervals."""
    part: str = "test"
    """Use of the scored rows in the partition of each member: `test`; `validation` for seeds alone, whose test part is not used."""
    main: dict[str, str]
    """Main score of each target, by which members are compared."""
    targets: dict[str, ScoresOfMembers]
    """Scores of the members by target and name."""
    predictions: str = ""
    """File with the out-of-fold predictions, predictions_oof.csv; empty without folds."""

    @property
    def trainings(self) -> str:
        """The folds and seeds in words, see `describe_folds`."""
        return describe_folds(self.folds, self.repeats, self.seeds)

    @model_validator(mode="after")
    def _complete(self) -> CrossValidation:
        """Check that every score has a value for each member."""
        count = len(self.members)
        if any(len(score.values) != count for scores in self.targets.values() for score in scores.values()):
            raise ValueError("a score has one value per member")
        if self.main.keys() != self.targets.keys() or any(name not in self.targets[key] for key, name in self.main.items()):
            raise ValueError("the main score of a target is one of its scores")
        return self
