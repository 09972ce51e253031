"""The best epoch of a training, and the patience for a better one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mmtrain.config.sections.training import EarlyStopping
from mmtrain.data.arrays import Array

MOST_NOISY_ROWS = 2_000
"""Validation rows up to which `standard_errors` is followed: of more rows, differences beyond the noise are small, and row losses are
part of every checkpoint."""


@dataclass
class EarlyStopper:
    """Early stopping: the best epoch by the monitored score, and the patience for a better one; plain state, saved with checkpoints."""

    rule: EarlyStopping
    best: float | None = None
    """The monitored score of the best epoch."""
    best_epoch: int = 0
    """The epoch that is kept: with `standard_errors` a later one, if it is as good within the noise of the validation rows."""
    waited: int = 0
    """Epochs since the best score."""
    row_losses: list[float] = field(default_factory=list)
    """Losses of the validation rows at the best score; empty without `standard_errors`."""
    groups: Array | None = field(default=None, compare=False)
    """Codes of validation rows that belong together and count as one observation; None without groups."""

    def epoch_ended(self, epoch: int, value: float | None, row_losses: Sequence[float] | Array = ()) -> bool:
        """Record the score of an epoch, counted from 1. Return whether it is kept so far; one with an undefined score never is.

        `row_losses` are the losses of the validation rows, in the same order every epoch.
        """
        if self._improves(value):
            self.best, self.waited = value, 0
            few = self.rule.standard_errors and len(row_losses) <= MOST_NOISY_ROWS
            self.row_losses = [float(loss) for loss in row_losses] if few else []
        else:
            self.waited += 1
            if value is None or not self._equals_best(row_losses):
                return False
        self.best_epoch = epoch
        return True

    def _equals_best(self, row_losses: Sequence[float] | Array) -> bool:
        """Return whether the loss is above the best one by no more than the noise of the paired differences."""
        if len(self.row_losses) < 2 or len(row_losses) != len(self.row_losses):
            return False
        differences = np.asarray(row_losses, dtype=np.float64) - self.row_losses
        if self.groups is not None:
            # Sums of groups: rows of one group change together, so that theirs is one draw.
            differences = np.bincount(np.unique(self.groups, return_inverse=True)[1], weights=differences).astype(np.float64)
            if len(differences) < 2:
                return False
        error = differences.std(ddof=1) / len(differences) ** 0.5
        return bool(differences.mean() <= self.rule.standard_errors * error)

    def _improves(self, value: float | None) -> bool:
        if value is None or self.best is None:
            return value is not None
        gain = value - self.best if self.rule.direction == "maximize" else self.best - value
        return gain > self.rule.min_delta

    @property
    def reason(self) -> str:
        """The reason to stop once patience has run out, else empty."""
        if self.rule.patience is None or self.waited < self.rule.patience:
            return ""
        return self.rule.reason

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`."""
        self.best, self.best_epoch, self.waited = state["best"], state["best_epoch"], state["waited"]
        self.row_losses = list(state.get("row_losses", ()))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        state = {"best": self.best, "best_epoch": self.best_epoch, "waited": self.waited}
        return {**state, "row_losses": self.row_losses} if self.row_losses else state
