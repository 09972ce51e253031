"""Facts of a run and of its table: run.json and data.json."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

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


class TimePlan(Model):
    """Number of epochs that fits into `training.minutes`, from speeds measured before the training."""

    minutes: float
    """Wall time of the whole command, for all its trainings."""
    trainings: Count = 1
    """Number of trainings that share the minutes."""
    epochs: Count
    """Epochs of each training."""
    most_epochs: Count
    """Epochs that the experiment allows."""
    seconds_per_epoch: float
    """Measured, with validation and checkpoints, on average over the stages."""


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


class SoupRecord(Model):
    """Epochs whose weights the model has the mean of."""

    epochs: Annotated[list[Count], Field(min_length=1)]
    """One epoch where no other one helped."""
    tried: Count
    """Number of epochs that were tried."""
    score: str
    """The monitored score."""
    best: float
    """Score of the best epoch alone."""
    value: float
    """Score of the mean."""


class Costs(Model):
    """Size of one or several networks, and the time that they take."""

    parameters: Count
    """Parameters outside of frozen encoders."""
    bytes: Count
    """Size of the saved models."""
    seconds: float
    """For 1,000 rows on this machine: of the networks alone, without reading and encoding rows."""


class DistillationRecord(Model):
    """Teacher of a training, and the part of its predictions in the loss."""

    teacher: str
    """Its run."""
    trainings: Count
    """Number of trainings whose mean it predicts."""
    soft: Literal["out_of_fold", "mean"]
    """Predictions of training rows: of trainings that have not seen the row, or of all of them."""
    weight: float
    """Part of the distance from the teacher in the loss; the rest is that of the answers."""
    temperature: float
    """Divisor of the logits of both, in that part."""
    rows: Count
    """Number of training rows with a prediction of the teacher."""
    thresholds: dict[str, float] = Field(default_factory=dict)
    """Decision threshold that the teacher chose, by target."""
    costs: Costs
    """Costs of a prediction of the teacher."""
    student: Costs | None = None
    """Costs of a prediction of this run, after the training."""


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
    workers: int | None = None
    """Number of processes that shared each batch, those of the last resume; None for one."""
    trial: TuningRecord | None = None
    time_plan: TimePlan | None = None
    """With `training.minutes`: the number of epochs that fits."""
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
    soup: SoupRecord | None = None
    """Epochs whose weights were averaged, see `training.soup`."""
    distillation: DistillationRecord | None = None
    """Teacher of a training, see `mmtrain distill`."""
    stopped: str = ""
    """Reason for which the training ended before its last epoch."""
    error: str = ""
    """The error that ended a failed training."""
    deadline: float | None = None
    """Time in seconds since 1970 at which the trials of a search end, of its last resume; None without a limit."""
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
