"""Integrated gradients (Sundararajan, Taly and Yan 2017, arXiv:1703.01365) of all inputs of a row at once.

Attributions are (input - baseline) times the average gradient along the straight path from the baseline to the row. Completeness: they
sum to f(row) - f(baseline). The number of steps is doubled until the completeness error is below 1 %, or the maximum is reached.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mmtrain.artifacts.command_results import MAX_CONVERGENCE_DELTA
from mmtrain.data.encode import Array
from mmtrain.explanation.explained_output import OutputSelector
from mmtrain.explanation.hooks import ActivationHook, Change, HookedModel

FIRST_STEPS, MAX_STEPS = 32, 1024
"""Initial and maximum number of integration steps. With piecewise-linear networks, 1,024 steps are rarely off by more than 1 %."""
CHUNK_POINTS, CHUNK_VALUES = 64, 2_000_000
"""Points that are computed at once, and the values of their images: the maps of a network take many times their memory."""


@dataclass(frozen=True)
class Attributions:
    """Attributions of the activations at every hook, without the batch axis."""

    attributions: Mapping[ActivationHook, Array]
    output: float
    baseline_output: float
    steps: int

    @property
    def difference(self) -> float:
        """Output minus baseline output: the sum that exact attributions have."""
        return self.output - self.baseline_output

    @property
    def total(self) -> float:
        """Sum of all attributions."""
        return float(sum(values.sum() for values in self.attributions.values()))

    @property
    def gap(self) -> float:
        """Completeness error in percent of the difference; if columns cancel out, of a hundredth of their absolute sum."""
        moved = sum(abs(float(values.sum())) for values in self.attributions.values())
        measure = max(abs(self.difference), moved / 100)
        return 100 * abs(self.total - self.difference) / measure if measure else 0.0


def integrated_gradients(
    network: HookedModel,
    row: Mapping[str, Array],
    baseline: Mapping[str, Array],
    question: OutputSelector,
    *,
    held: Collection[str],
    steps: int | None,
) -> Attributions:
    """The attributions of one encoded row, every array of which has a first axis of 1.

    `baseline` are the encoded values at which columns of numbers and of images begin; categories and words begin at the zero
    vector. Columns in `held` stay as they are in the row. With `steps` None as many are taken as are needed, at most `MAX_STEPS`.
    """
    line = _Path(network, row, baseline, question, held)
    count = steps or FIRST_STEPS
    found = line.attributed(count)
    while steps is None and found.gap > MAX_CONVERGENCE_DELTA and count < MAX_STEPS:
        count *= 2
        found = line.attributed(count)
    return found


class _Path:
    """The line from the baseline to one row."""

    def __init__(
        self, network: HookedModel, row: Mapping[str, Array], baseline: Mapping[str, Array], question: OutputSelector, held: Collection[str]
    ) -> None:
        self._network = network
        self._row = row
        self._question = question
        ends, starts = network.seen(row), network.seen({**row, **baseline})
        self._start = {
            tap: starts[tap] if tap.column in baseline else np.zeros_like(end) for tap, end in ends.items() if tap.column not in held
        }
        self._way = {tap: ends[tap] - start for tap, start in self._start.items()}
        self._baseline_output, self._output = (float(value) for value in self._points(np.array([0.0, 1.0]))[0])

    def attributed(self, steps: int) -> Attributions:
        """Integrate by the midpoint rule with this many steps."""
        sums = {tap: np.zeros(way.shape[1:], dtype=np.float64) for tap, way in self._way.items()}
        at_once = self._network.rows_at_once(CHUNK_POINTS, CHUNK_VALUES)
        for shares in _pieces((np.arange(steps) + 0.5) / steps, at_once):
            for tap, gradient in self._points(shares)[1].items():
                sums[tap] += gradient.sum(axis=0, dtype=np.float64)
        attributions = {tap: self._way[tap][0].astype(np.float64) * total / steps for tap, total in sums.items()}
        return Attributions(attributions, self._output, self._baseline_output, steps)

    def _points(self, shares: Array) -> tuple[Array, dict[ActivationHook, Array]]:
        """Output (points,) and gradients (points, ...) at these shares of the way."""
        points: dict[ActivationHook, tf.Tensor] = {}

        def moving(tap: ActivationHook) -> Change:
            def move(_: tf.Tensor) -> tf.Tensor:
                along = shares.reshape(-1, *(1 for _ in self._way[tap].shape[1:])).astype(np.float32)
                points[tap] = tf.constant(self._start[tap] + along * self._way[tap])
                tape.watch(points[tap])
                return points[tap]

            return move

        rows = {name: np.repeat(values, len(shares), axis=0) for name, values in self._row.items()}
        with tf.GradientTape(watch_accessed_variables=False) as tape, self._network.changed({tap: moving(tap) for tap in self._way}):
            raw = self._network.raw(rows)[self._question.target][:, self._question.unit] * self._question.sign
        found = tape.gradient(raw, list(points.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return raw.numpy(), {tap: gradient.numpy() for tap, gradient in zip(points, found, strict=True)}


def _pieces(values: Array, size: int) -> Iterator[Array]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
