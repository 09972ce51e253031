"""The losses of an epoch, summed one call behind the device so that it never waits, and the error where one is not finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmtrain.data.arrays import Array, Arrays
from mmtrain.errors import Problem, RunError, listed
from mmtrain.training.training_data import TrainingData
from mmtrain.training.workers.collective import WISHES, Wishes


class NotFinite(Exception):  # noqa: N818 (an event of training; `divergence_error` makes the error of it)
    """Raised when the loss `value` of step `step` of the epoch, counted from 0, is not finite."""

    def __init__(self, step: int, value: float) -> None:
        super().__init__(step, value)
        self.step, self.value = step, value


class LossAccumulator:
    """`sums` of losses over `rows` of the first `step` steps of an epoch."""

    def __init__(self, sums: Mapping[str, float], rows: int, step: int) -> None:
        self.sums, self.rows, self.step = dict(sums), rows, step
        self.wishes = Wishes()
        """Wishes of the workers in the last call that was waited for; none in one process."""
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
        # (steps,) each; the device computes in float32, sums over an epoch are kept in float64.
        values = {name: loss.numpy().astype(np.float64) for name, loss in losses.items()}
        steps = len(values["loss"])
        if WISHES[0] in values:
            self.wishes = Wishes.of_sums(*(float(values.pop(name).max()) for name in WISHES))
        bad = np.flatnonzero(~np.isfinite(values["loss"]))
        if len(bad):
            raise NotFinite(self.step + int(bad[0]), float(values["loss"][bad[0]]))
        for name, means in values.items():
            for mean in means.tolist():  # one by one, so that rounding does not depend on the steps per call
                # All batches of a call have the same number of rows.
                self.sums[name] = self.sums.get(name, 0.0) + mean * (rows // steps)
        self.rows += rows
        self.step += steps


def divergence_error(data: TrainingData, where: str, what: str, which: str, rows: Array) -> RunError:
    """Return the error that ends the training in `where`: `what` happened, on `which` rows.

    All training rows are searched for a cause, as a row that upsets the weights in one step shows in the loss of the next.
    """
    suspects = [f"{name} {value:g} ({data.place(row)})" for name, value, row in suspicious(data.arrays, rows)]
    seen = f"Unusual in {which}: {listed(suspects, most=5)}." if suspects else f"No number in {which} is unusual."
    rate = float(data.training.learning_rate)
    fix = f"Lower training.learning_rate (now {rate:g}); normalize numbers; look for outliers."
    return RunError(Problem(where, f"{what} {seen}", fix))


def suspicious(arrays: Arrays, rows: Array) -> list[tuple[str, float, int]]:
    """Return inputs and weights of `rows` that are not finite or above 1000, as (name, absolute value, row); the two largest of each."""
    outliers = []
    weights = {f"weight of {key}": values[rows] for key, values in arrays.weights.items()}
    # The type of one row is enough: images and tokens are integers and are not gathered here.
    inputs = {key: source.take(rows) for key, source in arrays.inputs.items() if np.issubdtype(source.take(rows[:1]).dtype, np.floating)}
    for name, values in [*inputs.items(), *weights.items()]:
        # (rows,) largest absolute value in any position of a row
        largest = np.abs(values.reshape(len(rows), -1).astype(np.float64)).max(axis=1)
        # NaN counts as the most suspicious value.
        largest[np.isnan(largest)] = np.inf
        for place in np.argsort(-largest, kind="stable")[:2]:
            if largest[place] > 1e3:
                outliers.append((name, float(largest[place]), int(rows[place])))
    return outliers
