"""Results of a search, as `tune --json`, `trials.csv` and the report show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from mmtrain.artifacts.command_results import CommandResult, FilePath, RunFolder
from mmtrain.metrics.score import higher_is_better
from mmtrain.result_model import Count, Fraction, ResultModel


class TrialResult(ResultModel):
    """One trial of a search."""

    trial: Count
    """Number of the trial, from 0; its child run is `trials/<number>`."""
    outcome: str
    """`complete`, `pruned`, `failed`, `out of time`, `lost` (its process ended) or `running`."""
    score: float | None
    """The optimized score on validation rows at the kept epoch; null before the first epoch."""
    best_epoch: Count
    """The kept epoch; with `tune.folds` the mean over the trainings, rounded."""
    epochs: Count
    """Number of epochs trained, of all trainings of the trial."""
    seconds: float
    """Duration of the training."""
    settings: dict[str, Any]
    """Values of the trial by dotted key; settings of architectures that it does not have are left out."""
    own: bool
    """True for the experiment file's own values."""
    reason: str = ""
    """Why the trial ended early or failed."""
    fold_scores: list[float | None] = Field(default_factory=list)
    """With `tune.folds`: the score of each training, whose mean is `score`; null where it is undefined."""


class SettingChange(ResultModel):
    """A setting of the best trial that differs from the experiment file."""

    before: Any
    """Its value in the file."""
    after: Any
    """Its value in the best trial."""


class CorrectedChoice(ResultModel):
    """Score of choosing the best trial, corrected for the choice: chosen on the drawn rows of a bootstrap, scored on the others."""

    score: str
    """Name of the score."""
    value: float
    """Mean score of the trial that is the best in a draw, on the validation rows that the draw leaves out."""
    own: float
    """Mean score of the experiment file's own values, which need no choice, on the same rows."""
    better: Fraction
    """Share of the draws in which the chosen trial is better than the file's own values."""
    draws: Count
    """Number of draws of the bootstrap."""
    low: float | None = None
    """Lower limit of the confidence interval of `value`: a percentile of the draws, which are scored on a third of the rows each."""
    high: float | None = None
    """Upper limit of that interval."""
    confidence: float = 0.95
    """Confidence level of the interval."""
    rows: Count = 0
    """Number of validation rows, of all trainings of a trial together."""

    @property
    def gain(self) -> float:
        """Corrected gain over the file's own values, in the unit of the score."""
        return self.value - self.own

    @property
    def improves(self) -> bool:
        """True if the choice is better than the file's own values once it is corrected."""
        return self.gain > 0 if higher_is_better(self.score) else self.gain < 0


class NestedFold(ResultModel):
    """One outer fold of nested cross-validation: a search, and the training of its best experiment."""

    fold: Count
    """Number of the fold, from 0."""
    trials: Count
    """Number of trials of its search."""
    best: float | None
    """Optimized score of its best trial, on validation rows of the search."""
    score: float | None
    """Score of its best experiment on the rows of the fold, which the search has not seen; null where it is undefined."""
    settings: dict[str, Any]
    """Values of its best trial by dotted key; empty for the file's own."""


class NestedScore(ResultModel):
    """Score of the search as a procedure: chosen and trained without the rows that score it."""

    target: str
    score: str
    """Name of the score."""
    value: float | None
    """Center of the interval: the mean over outer folds or, for a score that is biased on few rows, the score of all rows together."""
    low: float | None = None
    """Lower limit of the confidence interval."""
    high: float | None = None
    """Upper limit of that interval."""
    confidence: float = 0.95
    """Confidence level of the interval."""
    rows: Count
    """Number of rows that were scored."""
    best: float | None = None
    """Mean score of the best trials on the validation rows of their searches; null for a loss, whose unit may be another one."""
    optimism: float | None = None
    """Difference of that mean from the mean score on the outer rows, above 0 if it is better."""
    folds: list[NestedFold]
    report: FilePath
    """Report of the outer folds."""


class SearchResult(CommandResult):
    """`tune --json`: a search over settings of an experiment."""

    run: RunFolder
    score: str
    """The optimized score of validation rows."""
    direction: str
    """`maximize` or `minimize`."""
    trials: list[TrialResult]
    """Trials in the order in which they began."""
    best: TrialResult
    """The best complete trial."""
    own_score: float | None
    """Score of the experiment file's own values; null if that trial was not completed."""
    corrected: CorrectedChoice | None = None
    """Score of the best trial, corrected for the choice; left out with fewer than two complete trials, and where the score is undefined for
    most draws."""
    nested: NestedScore | None = None
    """With `tune.nested`: an honest score of what the search finds."""
    changes: dict[str, SettingChange]
    """Settings of the best trial that differ from the file, by dotted key."""
    importance: dict[str, float]
    """Share of each setting in what distinguishes good trials (PED-ANOVA), by dotted key, largest first; empty for too few trials."""
    experiment: FilePath
    """The best experiment, a file for `fit`."""
    table: FilePath
    """CSV file of the trials."""
    report: FilePath
    """The page of the report."""
    seconds: float
    """Duration of the search, all its processes from start to end."""


def rank_trials(trials: Sequence[TrialResult], direction: str) -> list[TrialResult]:
    """Return complete trials by their scores, the best first and the first of equal ones before the others, then the rest by number."""
    sign = -1.0 if direction == "maximize" else 1.0

    def rank(one: TrialResult) -> tuple[int, float, int]:
        return (1, 0.0, one.trial) if _is_incomplete(one) else (0, sign * (one.score or 0.0), one.trial)

    return sorted(trials, key=rank)


def best_trial(trials: Sequence[TrialResult], direction: str) -> TrialResult | None:
    """Return the complete trial with the best score, the first of equal ones; None without complete trials."""
    first = next(iter(rank_trials(trials, direction)), None)
    return None if first is None or _is_incomplete(first) else first


def _is_incomplete(trial: TrialResult) -> bool:
    return trial.outcome != "complete" or trial.score is None
