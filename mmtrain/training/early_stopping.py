"""Early stopping: the best epoch by a monitored score, and the patience for a better one. Plain state, saved with checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmtrain.config.training import EarlyStopping


@dataclass
class BestScore:
    """The best value of a score so far. An undefined score is never an improvement."""

    maximize: bool
    min_delta: float
    value: float | None = None

    def improves(self, value: float | None) -> bool:
        """Return whether `value` is better than the best by more than `min_delta`."""
        if value is None:
            return False
        if self.value is None:
            return True
        gain = value - self.value if self.maximize else self.value - value
        return gain > self.min_delta

    def fresh(self) -> BestScore:
        """Return the same criterion without any value yet."""
        return BestScore(self.maximize, self.min_delta)


def out_of_patience(rule: EarlyStopping) -> str:
    """Return the reason of a training that early stopping ended."""
    return f"{rule.monitor} has not improved for {rule.patience} epochs"


@dataclass
class EarlyStopper:
    """Tracks the monitored score from epoch to epoch."""

    rule: EarlyStopping
    best: BestScore = field(init=False)
    best_epoch: int = 0
    waited: int = 0

    def __post_init__(self) -> None:
        self.best = BestScore(self.rule.direction == "maximize", self.rule.min_delta)

    def epoch_ended(self, epoch: int, value: float | None) -> bool:
        """Record the score of an epoch, counted from 1. Return whether it is the best so far."""
        if self.best.improves(value):
            self.best.value, self.best_epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def reason(self) -> str:
        """The reason to stop once patience has run out, else empty."""
        if self.rule.patience is None or self.waited < self.rule.patience:
            return ""
        return out_of_patience(self.rule)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`."""
        self.best.value, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]

    def state(self) -> dict[str, float | int | None]:
        """Return what a checkpoint holds."""
        return {"best": self.best.value, "best_epoch": self.best_epoch, "waited": self.waited}
