"""Return values of commands, which `--json` prints."""

from __future__ import annotations

import time
from math import exp
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
    """Number of evaluations of the test part, this one included; 0 if none of its rows was scored."""
    remarks: list[str]
    """Remarks on the run or the table without which the scores would be misread, in sentences."""
    targets: dict[str, TargetResult]
    main: dict[str, str] = Field(exclude=True)
    """The score that stands for each target."""
    predictions: FilePath
    """The CSV file of the predictions."""
    report: FilePath | None
    """The page of the report; a group has none of its evaluations."""


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
    detectable: dict[str, float] = Field(default_factory=dict)
    """Smallest true difference that a comparison of this precision shows in 80 % of cases, by score."""
    p: dict[str, float] = Field(default_factory=dict)
    """Two-sided p-value of the corrected resampled t-test of a difference of 0, by score; for cross-validated runs."""
    of_rows: Scores = Field(default_factory=dict)
    """Differences with intervals of a paired bootstrap of the out-of-fold rows; for cross-validated runs. These intervals hold for the
    trained models; those of `differences` hold for trainings on other rows, too."""


class ComparedTarget(ResultModel):
    """One target as several runs predict it."""

    task: str
    rows: Count
    interval: BootstrapInfo
    scores: list[Scores]
    """Of each run."""
    against_first: list[PairedDifference]
    """Of each run but the first."""
    method: str = ""
    """Method of the intervals of scores and differences; for cross-validated runs."""


class ComparedRun(CommandResult):
    """A run of a comparison."""

    run: RunFolder
    name: str
    test_looks: Count
    """Number of evaluations of its test part."""


class Comparison(CommandResult):
    """`compare --json`: several runs on the same rows; everything in the order of the runs."""

    part: str
    """The part, the name of another table, or `out-of-fold` for cross-validated runs."""
    runs: list[ComparedRun]
    targets: dict[str, ComparedTarget]
    settings: dict[str, list[Any]]
    """Settings that differ between the experiments, `branches.scan.filters` for example, with the value in every run or null.

    For a column or a branch that only some experiments have, the role or the architecture stands for all its settings.
    """
    remarks: list[str]


def probability_change(probability: float, attribution: float) -> float:
    """Return the probability minus the one without this attribution to its logit, while all other outputs stay as they are.

    It holds for a sigmoid and for a softmax, whose odds of one class change by the same factor. It is for one column at a time: the
    changes of several do not add up, as their attributions do.
    """
    # Of a probability that rounds to 0 or 1, the logit is finite.
    inside = min(max(probability, 1e-7), 1 - 1e-7)
    without = 1 / (1 + (1 - inside) / inside * exp(min(attribution, 500.0)))
    return probability - without


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
    """Empty if it is unknown."""
    prediction: str
    probability: float | None
    """The probability of the explained class or label; null for a number."""
    explained: str
    """Name of the explained output."""
    output: float
    baseline_output: float
    difference: float
    """`output` minus `baseline_output`; the attributions add up to it, apart from the gap."""
    sum_of_attributions: float
    gap_percent: float
    """Completeness error (convergence delta), in percent of the difference."""
    steps: Count
    """Steps of integrated gradients."""
    missing: list[str]
    """Columns whose cell is missing in the row."""
    attributions: dict[str, float]
    """By column; of several trainings of a group their mean."""
    trainings: list[str] = Field(default_factory=list)
    """Trainings of a group that explain the row: for an out-of-fold row, those that have not seen it. Empty for a single run."""
    deviations: dict[str, float] = Field(default_factory=dict)
    """By column, the standard deviation of the attribution over the trainings; empty for fewer than two of them."""
    image: FilePath
    """The figure of the row."""

    @property
    def complete(self) -> bool:
        """True if the completeness error is tolerated."""
        return self.gap_percent <= MAX_CONVERGENCE_DELTA

    @property
    def points(self) -> dict[str, float]:
        """Share of the probability, -1 to 1, that each column contributes by itself; empty where no logit of one class is explained."""
        if self.probability is None or "logit of " not in self.explained:
            return {}
        return {column: probability_change(self.probability, value) for column, value in self.attributions.items()}

    def strongest(self, most: int) -> dict[str, float]:
        """Return the `most` attributions of largest magnitude, by column; missing columns are left out."""
        ranked = sorted(self.attributions, key=lambda column: -abs(self.attributions[column]))[:most]
        return {column: self.attributions[column] for column in ranked if column not in self.missing}


class Explanation(CommandResult):
    """`explain --json`: rows that were explained."""

    run: RunFolder
    target: str
    baseline: dict[str, str]
    """The baseline of each column, in words."""
    rows: list[ExplainedRow]
    folder: FilePath
    seconds: float = Field(exclude=True)
    """Without the start of TensorFlow."""


class DryRun(ResultModel):
    """`fit --dry-run --json`: time, memory and disk that a whole training would take."""

    rows: dict[str, Count]
    """By part."""
    parameters: dict[str, Count]
    """Trained numbers, by part of the network."""
    free_memory: float | None
    """Free bytes of memory; null if the system does not say."""
    settings: dict[str, Any]
    """Batch size, precision, XLA and steps per call, as config.yaml of the run would have them."""
    reasons: list[str]
    """Reasons for these settings, in sentences."""
    steps: Count
    """Steps of an epoch."""
    epochs: Count
    """Epochs at most."""
    seconds_of_features: float = 0.0
    """Estimated time of frozen encoders for what the cache lacks, once before the first epoch."""
    seconds_per_step: float
    """Measured, without compilation."""
    seconds_per_epoch: float
    """With validation, without the checkpoint."""
    peak_memory: Count
    """Maximum number of bytes that the process held."""
    disk: dict[str, Count]
    """Bytes of the image stores, which exist already, and of the run folder at the end."""


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


class ListedOption(ResultModel):
    """An option of a name that the experiment file can use."""

    name: str
    values: str
    """The accepted values, in words."""
    default: str
    """The default as the file has it, `required`, or nothing for an option that may be left out."""
    description: str


class ListedName(ResultModel):
    """A name that the experiment file can use, such as an architecture."""

    name: str
    purpose: str
    """The purpose, with the source of a method."""
    options: list[ListedOption]


class ModelAtHand(ResultModel):
    """`models list --json`: an encoder that `model:` can name; weights with two towers, such as CLIP's, have one for each."""

    name: str
    kind: str
    """Kind of inputs: `image`, or `pieces` of texts; empty where the weights are of no known family."""
    family: str
    """Family of networks, such as `efficientnet`; empty where it is unknown."""
    parameters: Count
    """Numbers in the arrays that the encoder reads; 0 where the file does not name them, as that of Keras."""
    size: Count
    """Bytes of the weights on the disk, with those that the encoder does not read."""
    per_second: float | None = None
    """Images of 224 x 224 pixels, or texts of 64 pieces, that it reads in a second on this machine; left out where it was not measured."""
    memory: Count | None = None
    """Bytes of the weights and a batch of 16 in memory, measured with the speed."""
    path: FilePath
    problem: str
    """Why the weights cannot be used; empty where they can."""
