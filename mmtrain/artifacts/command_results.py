"""Results of commands: what they return, and what `--json` prints."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainSerializer

from mmtrain.artifacts.results import BootstrapInfo, TargetResult
from mmtrain.artifacts.run_folder import Run
from mmtrain.metrics.score import Scores
from mmtrain.result_model import Count, ResultModel

MAX_CONVERGENCE_DELTA = 1.0
"""Tolerated completeness error of attributions, in percent."""
RunFolder = Annotated[Run, PlainSerializer(lambda run: str(run.folder), return_type=str)]
"""A run; its folder in JSON."""
FilePath = Annotated[Path, PlainSerializer(str, return_type=str)]


class CommandResult(ResultModel):
    """A result that may hold a run."""

    model_config = ConfigDict(arbitrary_types_allowed=True)


class EvaluationResult(CommandResult):
    """`evaluate --json`: the scores of one evaluation."""

    run: RunFolder
    part: str
    """The part, or the name under which another table was scored."""
    test_looks: Count
    """How often the test part has been scored by now, this time included; 0 where none of its rows was."""
    remarks: list[str]
    """What a reader of the scores must know of the run or the table, in sentences."""
    targets: dict[str, TargetResult]
    main: dict[str, str] = Field(exclude=True)
    """The score that stands for each target."""
    predictions: FilePath
    """The CSV file of the predictions."""
    report: FilePath
    """The page of the report."""


class DeLong(ResultModel):
    """The test of DeLong, DeLong and Clarke-Pearson (1988) of a difference of two AUCs."""

    difference: float
    """The AUC of the run minus that of the first run."""
    standard_error: float
    p: float
    """The two-sided p-value."""


class PairedDifference(ResultModel):
    """The scores of a run minus those of the first run, on the same rows."""

    differences: Scores
    delong: DeLong | None = None
    """Of the AUC of a binary target."""


class ComparedTarget(ResultModel):
    """One target as several runs predict it."""

    task: str
    rows: Count
    interval: BootstrapInfo
    scores: list[Scores]
    """Of each run."""
    against_first: list[PairedDifference]
    """Of each run but the first."""


class ComparedRun(CommandResult):
    """A run of a comparison."""

    run: RunFolder
    name: str
    test_looks: Count
    """How often its test part has been scored."""


class Comparison(CommandResult):
    """`compare --json`: several runs on the same rows; everything in the order of the runs."""

    part: str
    runs: list[ComparedRun]
    targets: dict[str, ComparedTarget]
    settings: dict[str, list[Any]]
    """What differs in the experiments: `branches.scan.filters`, with the value in every run, null where it has none.

    Of a column or a branch that not all have, the role or the architecture stands for all its settings.
    """
    remarks: list[str]


class ExplainedRow(ResultModel):
    """One explained row: its answer, and how much each input column adds to the explained output."""

    row: Count
    """Position in the table's file, from 0."""
    id: str
    part: str
    """The part of the split, or the name of another table."""
    why: str
    """Why the row was selected; empty where it was named."""
    truth: str
    """Empty where it is not known."""
    prediction: str
    probability: float | None
    """Of the explained class or label; null for a number."""
    explained: str
    """What the explained output is called."""
    output: float
    baseline_output: float
    difference: float
    """`output` minus `baseline_output`, which the attributions add up to but for the gap."""
    sum_of_attributions: float
    gap_percent: float
    """Completeness error (convergence delta), in percent of the difference."""
    steps: Count
    """Steps of integrated gradients."""
    missing: list[str]
    """Columns that the row does not have."""
    attributions: dict[str, float]
    """By column."""
    image: FilePath
    """The figure of the row."""

    @property
    def complete(self) -> bool:
        """Whether the completeness error is tolerable."""
        return self.gap_percent <= MAX_CONVERGENCE_DELTA

    def strongest(self, most: int) -> dict[str, float]:
        """Return the columns with the largest attributions, by size whatever their sign; a missing column is none of them."""
        ranked = sorted(self.attributions, key=lambda column: -abs(self.attributions[column]))[:most]
        return {column: self.attributions[column] for column in ranked if column not in self.missing}


class Explanation(CommandResult):
    """`explain --json`: rows that were explained."""

    run: RunFolder
    target: str
    baseline: dict[str, str]
    """What each column is compared with, in words."""
    rows: list[ExplainedRow]
    folder: FilePath
    seconds: float = Field(exclude=True)
    """Without the start of TensorFlow."""


class DryRun(ResultModel):
    """`fit --dry-run --json`: what a whole training would take."""

    rows: dict[str, Count]
    """By part."""
    parameters: dict[str, Count]
    """Trained numbers, by part of the network."""
    free_memory: float | None
    """Bytes that are left now; null where the system does not say."""
    settings: dict[str, Any]
    """Batch size, precision, XLA and steps per call, as config.yaml of the run would have them."""
    reasons: list[str]
    """Why these settings."""
    steps: Count
    """Steps of an epoch."""
    epochs: Count
    """Epochs at most."""
    seconds_per_step: float
    """Measured, without compilation."""
    seconds_per_epoch: float
    """With validation, without the checkpoint."""
    peak_memory: Count
    """The most bytes that the process held."""
    disk: dict[str, Count]
    """Bytes of the image stores, which are made already, and of the run folder at the end."""


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class CacheEntry(ResultModel):
    """`cache list --json`: an entry of the cache, or what is left of one."""

    folder: FilePath
    kind: str
    """`image store` or `encoded column`."""
    state: str
    """`complete`, `damaged`, `unfinished` or `being built`."""
    layout: str
    """`128 x 128 x 3, stretch`: height, width, channels; `note, 30 int32`: header and codes of a row; empty where it is unknown."""
    items: Count
    """Images or rows."""
    source: str
    """The folder of the first image, or the table."""
    size: Count
    """Bytes on the disk."""
    used: Annotated[float, PlainSerializer(_utc, return_type=str)]
    """When it was last used: seconds since 1970, in JSON UTC as ISO 8601."""
