"""Lists of runs: `runs --json` and `leaderboard --json`."""

from __future__ import annotations

from typing import Any

from mmtrain.artifacts.command_results import CommandResult, RunFolder
from mmtrain.metrics.score import Score
from mmtrain.result_model import Count


class RunEntry(CommandResult):
    """One run of a list."""

    run: RunFolder
    name: str
    """Name and number, `clinic/3`."""
    kind: str
    """`training`, `group` for folds or seeds, `search` for a run of `mmtrain tune`."""
    state: str
    """`finished`, `interrupted`, `failed` or `running`; `damaged` if its files cannot be read."""
    started: str
    """Start of the training or the search in UTC, ISO 8601."""
    minutes: float | None
    """Duration of the training or the search; null before its end."""
    parameters: Count
    """Number of trained weights, of a group those of all trainings; 0 where it is unknown."""
    epochs: Count
    """Number of epochs trained; of a search, the number of its trials that have ended."""
    monitor: str
    """The score that chose the best epoch; of a search, the optimized score."""
    value: float | None
    """Its value in that epoch, or in the best trial; null before the first epoch."""
    scored: dict[str, Score]
    """Main score of the first target with its interval, by part or other table."""
    problem: str = ""
    """Why the run cannot be read."""


class RunList(CommandResult):
    """`runs --json`: runs in an output folder, the latest first."""

    output: str
    """Folder that holds the runs."""
    runs: list[RunEntry]


class LeaderboardEntry(CommandResult):
    """A run of a leaderboard."""

    run: RunFolder
    name: str
    """Name and number, `clinic/3`."""
    score: Score
    """The score on the part; of validation rows with an interval only where `evaluate` has scored all runs on them."""
    monitor: str
    """The score that chose the best epoch."""
    value: float | None
    """Its value in that epoch."""
    validation: float | None = None
    """The score of the leaderboard on validation rows in that epoch; null where epochs do not record it, and for groups."""
    test: Score | None = None
    """The same score on test rows, for information; null where the list is by them, and for a run that was not scored on the same ones."""
    minutes: float | None
    """Duration of the training."""
    parameters: Count
    """Number of trained weights."""
    test_looks: Count
    """Number of evaluations of its test part."""
    differences: dict[str, Any]
    """Settings that differ from those of the best run, by dotted key; empty for that run itself."""


class Leaderboard(CommandResult):
    """`leaderboard --json`: runs with scores on the same rows, the best first."""

    part: str
    """The part, or the name under which the runs scored another table."""
    target: str
    score: str
    """Name of the score by which they are sorted."""
    higher_is_better: bool
    """True if larger values of the score are better."""
    rows: Count
    """Number of rows of the part."""
    runs: list[LeaderboardEntry]
    unscored: list[RunEntry]
    """Runs with the same rows that have not been scored on them since their training."""
    others: Count
    """Number of other runs in the folder: other rows, other targets, or no model."""
