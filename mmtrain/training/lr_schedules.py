"""The learning rate at every step: the rate of the stage, its warm-up, and the factor of its schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
        rise = min(1.0, position / warmup) if warmup > 0 else 1.0
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
