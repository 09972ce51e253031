"""Progress of a training: a line of metrics.jsonl for every epoch, and position.json of a checkpoint."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from mmtrain.artifacts.run_schema.run_facts import Model
from mmtrain.result_model import Count


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
    best_epochs: list[list[float]] = Field(default_factory=list)
    """The best epochs with their scores, of a training with `soup`."""


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
