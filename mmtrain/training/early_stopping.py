"""Which epoch is the best, and when to stop waiting for a better one: plain state, easy to save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmtrain.config.training import EarlyStopping


@dataclass
class BestScore:
    """The best value of a score so far. An undefined score improves on nothing."""

    maximize: bool
    min_delta: float
    value: float | None = None

    def improves(self, value: float | None) -> bool:
        """Whether `value` is better than the best by more than `min_delta`."""
        if value is None:
            return False
        if self.value is None:
            return True
        gain = value - self.value if self.maximize else self.value - value
        return gain > self.min_delta

    def fresh(self) -> BestScore:
        """The same question, asked from the beginning."""
        return BestScore(self.maximize, self.min_delta)


def out_of_patience(rule: EarlyStopping) -> str:
    """Why a training ended before its last epoch, where no callback and no person stopped it."""
    return f"{rule.monitor} has not improved for {rule.patience} epochs"


@dataclass
class EarlyStopper:
    """Follows the monitored score from epoch to epoch."""

    rule: EarlyStopping
    best: BestScore = field(init=False)
    best_epoch: int = 0
    waited: int = 0

    def __post_init__(self) -> None:
        self.best = BestScore(self.rule.direction == "maximize", self.rule.min_delta)

    def epoch_ended(self, epoch: int, value: float | None) -> bool:
        """Tell the score of an epoch, counted from 1; True when it is the best so far."""
        if self.best.improves(value):
            self.best.value, self.best_epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def reason(self) -> str:
        """Why to stop, once patience has run out; empty before."""
        if self.rule.patience is None or self.waited < self.rule.patience:
            return ""
        return out_of_patience(self.rule)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.best.value, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]

    def state(self) -> dict[str, float | int | None]:
        """For a checkpoint."""
        return {"best": self.best.value, "best_epoch": self.best_epoch, "waited": self.waited}
