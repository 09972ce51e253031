"""The losses of an epoch, added up one call behind the device, so that it never waits for being looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class NotFinite(Exception):  # noqa: N818 (an event of training; `divergence` makes the error of it)
    """The loss of step `step` (from 0) of the epoch is `value`."""

    def __init__(self, step: int, value: float) -> None:
        super().__init__(step, value)
        self.step, self.value = step, value


class LossAccumulator:
    """`sums` of losses over `rows` of the first `step` steps of an epoch."""

    def __init__(self, sums: Mapping[str, float], rows: int, step: int) -> None:
        self.sums, self.rows, self.step = dict(sums), rows, step
        self._waiting: tuple[int, Mapping[str, Any]] | None = None

    def add(self, rows: int, losses: Mapping[str, Any]) -> None:
        """Take the losses of a call on `rows` rows, (steps,) tensors of means over rows. Raises NotFinite of the call before."""
        self.settle()
        self._waiting = (rows, losses)

    def settle(self) -> None:
        """Wait for the newest call. Raises NotFinite."""
        if self._waiting is None:
            return
        rows, losses = self._waiting
        self._waiting = None
        values = {name: loss.numpy().astype(np.float64) for name, loss in losses.items()}
        steps = len(values["loss"])
        bad = np.flatnonzero(~np.isfinite(values["loss"]))
        if len(bad):
            raise NotFinite(self.step + int(bad[0]), float(values["loss"][bad[0]]))
        for name, means in values.items():
            for mean in means.tolist():  # one by one, so that the sum does not depend on how many steps a call takes
                self.sums[name] = self.sums.get(name, 0.0) + mean * (rows // steps)
        self.rows += rows
        self.step += steps
