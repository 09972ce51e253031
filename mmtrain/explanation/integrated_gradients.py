"""Integrated gradients (Sundararajan, Taly and Yan 2017, arXiv:1703.01365) of all inputs of a row at once.

All inputs go together in a straight line from the baseline to the row. The attribution of a value is its way times the mean of the
gradient along the line. Together the attributions are the difference of the outputs at both ends; how far they miss it tells how
well the mean was taken, so it is taken of more and more points until they miss it by little.
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

FIRST, MOST = 32, 1024
"""Points of the line that are begun with, and the most; of the ends of networks with kinks, 1,024 miss 1 % rarely."""
POINTS, VALUES = 64, 2_000_000
"""Points that are computed at once, and the values of their images: the maps of a network take many times their memory."""


@dataclass(frozen=True)
class Attributions:
    """What the values at every tap add to the output; shapes are those of the taps without the batch axis."""

    attributions: Mapping[ActivationHook, Array]
    output: float
    baseline_output: float
    steps: int

    @property
    def difference(self) -> float:
        """What is to be explained."""
        return self.output - self.baseline_output

    @property
    def total(self) -> float:
        """What is explained."""
        return float(sum(values.sum() for values in self.attributions.values()))

    @property
    def gap(self) -> float:
        """How far the total misses the difference, in per cent of it; where columns cancel each other, of a hundredth of what they move."""
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
    vector. Columns in `held` stay as they are in the row. With `steps` None as many are taken as are needed, at most `MOST`.
    """
    line = _Path(network, row, baseline, question, held)
    count = steps or FIRST
    found = line.attributed(count)
    while steps is None and found.gap > MAX_CONVERGENCE_DELTA and count < MOST:
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
        """By the midpoints of so many pieces."""
        sums = {tap: np.zeros(way.shape[1:], dtype=np.float64) for tap, way in self._way.items()}
        at_once = self._network.rows_at_once(POINTS, VALUES)
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
