"""Facts of a run and its progress: run.json, data.json, network.json, position.json, and a line of metrics.jsonl."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from mmtrain.artifacts.group_results import Member
from mmtrain.result_model import Count, ResultModel


class Model(ResultModel):
    """Base of the parts of a file that is also read as plain values: a field that may be left out may not be null instead."""

    @model_validator(mode="before")
    @classmethod
    def _left_out_is_not_null(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for name, field in cls.model_fields.items():
                if name in values and values[name] is None and not field.is_required():
                    raise ValueError(f"`{name}` has no value")
        return values


def _with_zone(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time needs its zone")
    return text


Time = Annotated[str, AfterValidator(_with_zone)]


class EvaluationRecord(Model):
    """One evaluation: which rows were scored, and when."""

    part: str
    """The part, or the name under which another table was scored."""
    when: str
    """In UTC, ISO 8601."""
    rows: Count = 0
    table: str
    """File name of the table."""
    path: str = ""
    """Where the table was; a packed run does not say."""
    sha256: str = ""
    """Hash of the table's file."""
    rows_of: dict[str, Count] = Field(default_factory=dict)
    """For the run's own table scored as a whole: number of train, validation, test and calibration rows in it."""

    @property
    def is_test_access(self) -> bool:
        """True if rows of the test part were scored, as that part or within the whole table."""
        return self.part == "test" or self.rows_of.get("test", 0) > 0


class ExplanationRecord(Model):
    """One explanation of rows."""

    when: str = ""
    part: str | None = None
    """For another table than the run's: the name of the explanation."""
    sha256: str | None = None
    """For another table than the run's: the hash of its file."""
    rows: dict[str, Count] = Field(default_factory=dict)
    """Number of explained rows by part."""


class TuningRecord(Model):
    """Trial on the device, which decides precision, XLA and steps per call."""

    reasons: list[str]
    """Decisions with their reasons, in sentences."""
    seconds_per_step: dict[str, float]
    """By the settings that were tried."""


class Seconds(Model):
    """Durations in seconds."""

    training: float
    """Sum over all processes that trained the run."""


class ChildRecord(Model):
    """A child run as its parent records it."""

    state: Literal["running", "finished", "failed", "interrupted"]
    plan: dict[str, Any]
    """Differences of the child from its parent."""


class BranchAlone(Model):
    """A single branch, compared with the fusion of all on the same rows."""

    value: float | None
    """Its score; null where undefined."""
    gain: float | None = None
    """Difference from the score of the fusion, positive where the branch is better."""
    low: float | None = None
    """Lower limit of the confidence interval of the gain."""
    high: float | None = None
    """Upper limit of that interval."""


class FusionGuard(Model):
    """Choice between the fused prediction of a target and that of a single branch, on validation rows."""

    score: str
    """Name of the score that was compared."""
    rows: Count
    """Validation rows with a known label."""
    confidence: float
    """Confidence level of each interval, corrected for the number of branches."""
    fused: float | None
    """Score of the fused prediction; null where undefined."""
    branches: dict[str, BranchAlone]
    """Each branch alone; in rows without it, the fused prediction."""
    chosen: str = ""
    """The branch that answers in place of the fusion; left out if the fused prediction is kept."""


class LinearBaseChoice(Model):
    """Choice between the linear model that a network began with, the network, and the mean of both, on validation rows."""

    factor: float
    """Factor of what the network adds to the linear model: 0, 0.5 or 1."""
    rows: Count
    """Validation rows."""
    linear: float
    """Mean loss of the linear model."""
    mean: float
    """Mean loss of the mean of both."""
    network: float
    """Mean loss of the network."""


class RunFacts(Model):
    """State and history of a run."""

    format: Count = 0
    """Version of the run folder."""
    name: str = ""
    state: Literal["running", "finished", "failed", "interrupted"]
    started: Time
    ended: Time | None = None
    trained: Time | None = None
    """When the training ended by itself; kept until the report is written, which finishes the run."""
    resumed: list[str] | None = None
    """Times at which the training was resumed."""
    versions: dict[str, str] | None = None
    """Versions of Python, mmtrain and the packages that it uses."""
    seed: int | None = None
    deterministic: bool = False
    trial: TuningRecord | None = None
    files: dict[str, str] | None = None
    """SHA-256 of files that must not change any more."""
    seconds: Seconds | None = None
    epochs: Count = 0
    """Number of epochs trained."""
    best_epoch: Count = 0
    fusion_guard: dict[str, FusionGuard] | None = None
    """By target, after a training with auxiliary losses: the choice between the fusion and single branches."""
    linear_base: LinearBaseChoice | None = None
    """Kept share of the network's correction, after a training that began with a linear model."""
    stopped: str = ""
    """Reason for which the training ended before its last epoch."""
    error: str = ""
    """The error that ended a failed training."""
    evaluations: list[EvaluationRecord] | None = None
    explanations: list[ExplanationRecord] | None = None
    exports: list[Any] | None = None
    children: dict[str, ChildRecord] | None = None
    plan: dict[str, Any] | None = None
    """Of a child run; see `ChildRecord`."""
    members: list[Member] | None = None
    """Trainings of a group, one for each fold and seed."""


class Dropped(Model):
    """A row that is left out."""

    row: Count
    """Position in the table's file, from 0."""
    id: str
    reason: str


class SplitRecord(Model):
    """Division of the rows into parts."""

    method: str = ""
    description: str = ""
    """In a sentence."""
    notes: list[str] = Field(default_factory=list)


class Data(Model):
    """The table of a run, and how its rows are used."""

    table: str
    """File name of the table."""
    sha256: str
    headers: list[str] = Field(default_factory=list)
    rows: Count
    """Rows of the file."""
    used: Count
    """Rows that remain after `missing: drop`."""
    dropped: list[Dropped]
    split: SplitRecord = SplitRecord()
    answers: dict[str, dict[str, list[Count]]] = Field(default_factory=dict)
    """Targets with classes or labels: rows of each class or label in each part."""
    images: dict[str, str] = Field(default_factory=dict)
    """Keys of the image stores, by column."""


class Sized(Model):
    """A part of the network."""

    width: Count
    """Size of its output vector."""
    parameters: Count
    """Number of trainable weights."""


class BranchEncoder(Model):
    """The pretrained encoder of a branch, or of a column that a branch reads as numbers."""

    model: str
    """Name of the model."""
    sha256: str
    """SHA-256 of the weights' files."""
    design: str = ""
    """Architecture of the network in a line; empty in runs of older versions."""
    frozen: bool
    """False where the training changed its weights."""
    parameters: Count
    """Number of all its weights."""


class BranchInput(Model):
    """Input of a branch."""

    name: str
    kind: str
    shape: list[Count]
    """Without the axis of rows."""
    encoder: BranchEncoder | None = None
    """The frozen encoder that makes numbers of the column."""


class Branch(Sized):
    """A branch."""

    name: str
    architecture: str
    inputs: Annotated[list[BranchInput], Field(min_length=1)]
    encoder: BranchEncoder | None = None

    @property
    def encoders(self) -> dict[str, BranchEncoder]:
        """The encoders by the column that each reads: that of the branch, and those of its columns."""
        known = {} if self.encoder is None else {self.inputs[0].name: self.encoder}
        return known | {one.name: one.encoder for one in self.inputs if one.encoder is not None}


class Fusion(Sized):
    """The fusion."""

    method: str


class Target(Sized):
    """A target."""

    name: str
    task: str


class Network(Model):
    """The network in brief."""

    branches: Annotated[list[Branch], Field(min_length=1)]
    fusion: Fusion
    targets: Annotated[list[Target], Field(min_length=1)]
    auxiliary_heads: dict[str, Count] | None = None
    """By branch: trainable weights of the heads by which it also predicts alone in training; they are in no count of the other parts."""

    @property
    def encoders(self) -> dict[str, BranchEncoder]:
        """The encoders by the column that each reads."""
        return {column: encoder for branch in self.branches for column, encoder in branch.encoders.items()}


class EpochLine(Model):
    """A line of metrics.jsonl: an epoch with its losses, learning rate and scores, by name; null where one is undefined."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    epoch: Count
    step: Count | None = None
    """The step at which an epoch was stopped; a whole epoch has none."""

    @property
    def values(self) -> dict[str, float | None]:
        """Everything but the epoch and the step, by name."""
        return self.__pydantic_extra__


class EarlyStoppingState(Model):
    """State of early stopping."""

    best: float | None
    best_epoch: Count
    waited: Count
    row_losses: list[float] = Field(default_factory=list)


class LearningRateState(Model):
    """State of the learning rate schedule."""

    improved: list[bool]


class Position(Model):
    """State of a training at a checkpoint."""

    epoch: Count
    step: Count
    rows: Count
    losses: dict[str, float]
    stopping: EarlyStoppingState
    learning_rate: LearningRateState
    best_scores: dict[str, float | None]


class Checkpoint(Model):
    """position.json."""

    position: Position
    sha256: dict[str, str]
    unchanged: dict[str, list[str]] = Field(default_factory=dict)
    """Arrays of weights.npz that are those of a pretrained encoder, and of optimizer.npz that are 0; they are not in the files."""
