"""Learning rates: factors of the configured rate, as functions of the position in a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmtrain.config.experiment import CosineSchedule, ExponentialSchedule, PlateauSchedule, Schedule
from mmtrain.training.stopping import Best


class LearningRate:
    """The rate at every step. Only `plateau` has a state: how often the rate has been cut."""

    def __init__(self, schedule: Schedule, *, base: float, epochs: int, best: Best) -> None:
        self.schedule = schedule
        self.base = base
        self.epochs = epochs
        self.cut = 1.0
        self.waited = 0
        self.best = best.fresh()

    def at(self, position: float) -> float:
        """The rate at `position`, in epochs from 0: 2.5 is the middle of the third epoch."""
        return self.base * self._warmup(position) * self._factor(position)

    def _warmup(self, position: float) -> float:
        warmup = self.schedule.warmup_epochs
        return min(1.0, position / warmup) if warmup > 0 else 1.0

    def _factor(self, position: float) -> float:
        schedule = self.schedule
        since = max(0.0, position - schedule.warmup_epochs)
        if isinstance(schedule, CosineSchedule):
            share = min(1.0, since / max(1e-9, self.epochs - schedule.warmup_epochs))
            return schedule.final + (1 - schedule.final) * 0.5 * (1 + math.cos(math.pi * share))
        if isinstance(schedule, ExponentialSchedule):
            return float(schedule.decay**since)
        return self.cut

    def epoch_ended(self, value: float | None) -> None:
        """Tell the monitored score; `plateau` cuts the rate when it has not improved for long enough."""
        if not isinstance(self.schedule, PlateauSchedule):
            return
        if self.best.improves(value):
            self.best.value = value
            self.waited = 0
            return
        self.waited += 1
        if self.waited >= self.schedule.patience:
            self.cut = max(self.schedule.lowest, self.cut * self.schedule.factor)
            self.waited = 0

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.cut, self.waited, self.best.value = state["cut"], state["waited"], state["best"]

    def state(self) -> dict[str, float | int | None]:
        """For a checkpoint."""
        return {"cut": self.cut, "waited": self.waited, "best": self.best.value}
