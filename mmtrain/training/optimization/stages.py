"""The stages of a training, the parameter groups that each one trains, and the learning rate at every step."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from mmtrain.config.sections.training import Stage, Training
from mmtrain.optim import SchedulePosition, ScheduleSection


class LearningRate:
    """The learning rate as a function of the position in a stage. Its only state is which epochs improved the monitored score."""

    def __init__(self, schedule: ScheduleSection, *, base: float, epochs: int) -> None:
        self.schedule = schedule
        self.base = base
        self.epochs = epochs
        self.improved: tuple[bool, ...] = ()

    def at(self, position: float) -> float:
        """Return the rate at `position`, in epochs of the stage from 0: 2.5 is the middle of the third epoch."""
        warmup = self.schedule.warmup_epochs
        # Linear from 0 to 1 over the warm-up.
        rise = min(1.0, position / warmup) if warmup > 0 else 1.0
        # The schedule begins where the warm-up ends, and is that much shorter.
        since = SchedulePosition(max(0.0, position - warmup), self.epochs - warmup, self.improved)
        return self.base * rise * self.schedule.factor_at(since)

    def epoch_ended(self, *, improved: bool) -> None:
        """Record whether the epoch that has just ended improved the monitored score."""
        self.improved = (*self.improved, improved)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`."""
        self.improved = tuple(state["improved"])

    def state(self) -> dict[str, list[bool]]:
        """Return what a checkpoint holds."""
        return {"improved": list(self.improved)}


class Stages:
    """The stages in order, numbered from 0; without `training.stages` a single one that trains everything."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.stages = training.stages or (Stage(epochs=training.epochs),)
        self.ends = tuple(accumulate(stage.epochs for stage in self.stages))
        """The last epoch of each stage, counted from 1."""

    @property
    def last(self) -> int:
        """The number of the last stage."""
        return len(self.stages) - 1

    def of_epoch(self, epoch: int) -> int:
        """Return the stage of an epoch, counted from 1; the last stage for epochs after the end."""
        return next((number for number, end in enumerate(self.ends) if epoch <= end), self.last)

    def epochs_before(self, number: int) -> int:
        """Return how many epochs the stages before this one have."""
        return self.ends[number] - self.stages[number].epochs

    def learning_rate(self, number: int) -> LearningRate:
        """Return the learning rate of a stage: the schedule runs from the beginning to the end of each stage."""
        stage = self.stages[number]
        base = stage.learning_rate if isinstance(stage.learning_rate, float) else float(self.training.learning_rate)
        schedule = self.training.schedule
        if stage.warmup_epochs is not None:
            schedule = schedule.model_copy(update={"warmup_epochs": stage.warmup_epochs})
        return LearningRate(schedule, base=base, epochs=stage.epochs)

    def begins_with_best(self, number: int) -> bool:
        """Return whether a stage begins with the weights of the best epoch before it; there is none before the first stage."""
        return number > 0 and self.stages[number].begin_with == "best"

    def layer_decay(self, number: int) -> float:
        """Return the factor on learning rates from each block of a pretrained encoder to the one before it."""
        return self.stages[number].layer_decay

    def group_rates(self, number: int) -> dict[str, float]:
        """Return the learning rates of single parameter groups in a stage."""
        rates = self.stages[number].learning_rate
        return rates if isinstance(rates, dict) else {}

    def trained_groups(self, number: int) -> tuple[str, ...] | None:
        """Return the parameter groups that a stage trains, those of the stages before included; None for all."""
        names: list[str] = []
        for stage in self.stages[: number + 1]:
            if stage.unfreeze is None:
                return None
            names += stage.unfreeze
        return tuple(names)
