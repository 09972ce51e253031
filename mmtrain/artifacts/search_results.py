"""Results of a search, as `tune --json`, `trials.csv` and the report show them."""

from __future__ import annotations

from typing import Any

from mmtrain.artifacts.command_results import CommandResult, FilePath, RunFolder
from mmtrain.result_model import Count, ResultModel


class TrialResult(ResultModel):
    """One trial of a search."""

    trial: Count
    """Number of the trial, from 0; its child run is `trials/<number>`."""
    outcome: str
    """`complete`, `pruned`, `failed`, `out of time`, `lost` (its process ended) or `running`."""
    score: float | None
    """The optimized score on validation rows at the kept epoch; null before the first epoch."""
    best_epoch: Count
    """The kept epoch."""
    epochs: Count
    """Number of epochs trained."""
    seconds: float
    """Duration of the training."""
    settings: dict[str, Any]
    """By dotted key: the values of the trial; settings of architectures that it does not have are left out."""
    own: bool
    """True for the experiment file's own values."""
    reason: str = ""
    """Why the trial ended early or failed."""


class SettingChange(ResultModel):
    """A setting of the best trial that differs from the experiment file."""

    before: Any
    """Its value in the file."""
    after: Any
    """Its value in the best trial."""


class SearchResult(CommandResult):
    """`tune --json`: a search over settings of an experiment."""

    run: RunFolder
    score: str
    """The optimized score of validation rows."""
    direction: str
    """`maximize` or `minimize`."""
    trials: list[TrialResult]
    """In the order of their beginnings."""
    best: TrialResult
    """The best complete trial."""
    own_score: float | None
    """Score of the experiment file's own values; null if that trial was not completed."""
    changes: dict[str, SettingChange]
    """By dotted key: settings of the best trial that differ from the file."""
    importance: dict[str, float]
    """By dotted key: share of what distinguishes good trials (PED-ANOVA), largest first; empty where there are too few trials."""
    experiment: FilePath
    """The best experiment, a file for `fit`."""
    table: FilePath
    """CSV file of the trials."""
    report: FilePath
    """The page of the report."""
    seconds: float
    """Duration of the search, all its processes from start to end."""
