"""The stages of a training: which epochs belong to each, what it trains, and at which rates."""

from __future__ import annotations

from itertools import accumulate

from mmtrain.config.training import Stage, Training
from mmtrain.training.lr_schedules import LearningRate


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
        base = stage.learning_rate if isinstance(stage.learning_rate, float) else self.training.learning_rate
        return LearningRate(self.training.schedule, base=base, epochs=stage.epochs)

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
