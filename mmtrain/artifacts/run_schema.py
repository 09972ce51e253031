"""run.json, data.json, network.json, position.json, and a line of metrics.jsonl."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from mmtrain.artifacts.schema_base import Count, Model, Time


class EvaluationRecord(Model):
    """A time that rows were scored."""

    part: str
    when: str
    table: str
    rows: Count = 0
    path: str = ""
    sha256: str = ""
    rows_of: dict[Literal["train", "validation", "test", "conformal"], Count] | None = None


class ExplanationRecord(Model):
    """A time that rows were explained; of another table than the run's, what it is called, and which it was."""

    part: str | None = None
    sha256: str | None = None


class Seconds(Model):
    """How long something took."""

    training: float


class ChildRecord(Model):
    """A child run as its parent knows it."""

    state: Literal["running", "finished", "failed", "interrupted"]
    plan: dict[str, Any]
    """What the child does otherwise than its parent."""


class RunFacts(Model):
    """run.json."""

    format: Count = 0
    state: Literal["running", "finished", "failed", "interrupted"]
    started: Time
    ended: Time | None = None
    trained: Time | None = None
    """When the training came to its own end; there until the report is written, too, and with it the run is finished."""
    resumed: list[str] | None = None
    versions: dict[str, str] | None = None
    files: dict[str, str] | None = None
    seconds: Seconds | None = None
    best_epoch: Count = 0
    stopped: str = ""
    error: str = ""
    evaluations: list[EvaluationRecord] | None = None
    explanations: list[ExplanationRecord] | None = None
    exports: list[Any] | None = None
    children: dict[str, ChildRecord] | None = None
    plan: dict[str, Any] | None = None
    """Of a child run; see `ChildRecord`."""


class Dropped(Model):
    """A row that is left out."""

    row: Count
    id: str
    reason: str


class Data(Model):
    """data.json."""

    table: str
    sha256: str
    rows: Count
    used: Count
    dropped: list[Dropped]
    answers: dict[str, dict[str, list[Count]]] | None = None
    images: dict[str, str] | None = None


class Sized(Model):
    """A part of the network: what it gives, and learns."""

    width: Count
    parameters: Count


class BranchInput(Model):
    """What a branch takes."""

    name: str
    kind: str
    shape: list[Count]


class Branch(Sized):
    """A branch."""

    name: str
    architecture: str
    inputs: Annotated[list[BranchInput], Field(min_length=1)]


class Fusion(Sized):
    """The fusion."""

    method: str


class Target(Sized):
    """A target."""

    name: str
    task: str


class Network(Model):
    """network.json."""

    branches: Annotated[list[Branch], Field(min_length=1)]
    fusion: Fusion
    targets: Annotated[list[Target], Field(min_length=1)]


class EpochLine(Model):
    """Of metrics.jsonl: losses, rates and scores beside the epoch."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float | None]

    epoch: Count


class EarlyStoppingState(Model):
    """How early stopping stands."""

    best: float | None
    best_epoch: Count
    waited: Count


class LearningRateState(Model):
    """How the learning rate stands."""

    improved: list[bool]


class Position(Model):
    """Where a training stands."""

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
