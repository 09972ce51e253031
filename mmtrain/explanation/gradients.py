"""Gradient methods: integrated gradients of all inputs of a row, and Grad-CAM of its images.

Integrated gradients (Sundararajan, Taly and Yan 2017, arXiv:1703.01365): attributions are (input - baseline) times the average gradient
along the straight path from the baseline to the row. Completeness: they sum to f(row) - f(baseline). The number of steps is doubled until
the completeness error is below 1 %, or the maximum is reached.

Grad-CAM (Selvaraju and others 2017, arXiv:1610.02391): the sum of the last maps of a convolutional branch, each weighted by its mean
gradient, without negative values. It shows where the evidence is, not how much: its values do not add up to the output.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mmtrain.artifacts.command_results import MAX_CONVERGENCE_DELTA
from mmtrain.data.arrays import Array
from mmtrain.explanation.hooks import ActivationHook, Change, HookedModel
from mmtrain.explanation.selection import OutputSelector

FIRST_STEPS, MAX_STEPS = 32, 1024
"""Initial and maximum number of integration steps. With piecewise-linear networks, 1,024 steps are rarely off by more than 1 %."""
CHUNK_POINTS, CHUNK_VALUES = 64, 2_000_000
"""Maximum number of points per batch, and of their image values: the maps of a network take many times their memory."""


@dataclass(frozen=True)
class Attributions:
    """Integrated gradients of a row: the attributions at every hook, without the batch axis, and the outputs that they explain."""

    by_hook: Mapping[ActivationHook, Array]
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
        return float(sum(values.sum() for values in self.by_hook.values()))

    @property
    def gap(self) -> float:
        """Completeness error in percent of the difference; if columns cancel out, of a hundredth of their absolute sum."""
        # Without this bound, a difference near 0 would give any error a huge percentage.
        moved = sum(abs(float(values.sum())) for values in self.by_hook.values())
        measure = max(abs(self.difference), moved / 100)
        return 100 * abs(self.total - self.difference) / measure if measure else 0.0


@dataclass(frozen=True)
class MeanAttributions:
    """Integrated gradients of a row by several networks, of which means are shown; they explain the mean of the outputs."""

    each: tuple[Attributions, ...]
    shares: tuple[float, ...]
    """Weight of each network, together 1."""

    @property
    def output(self) -> float:
        """The mean output."""
        return float(np.dot(self.shares, [one.output for one in self.each]))

    @property
    def baseline_output(self) -> float:
        """The mean output at the baselines, each network at its own."""
        return float(np.dot(self.shares, [one.baseline_output for one in self.each]))

    @property
    def steps(self) -> int:
        """Most steps of a network."""
        return max(one.steps for one in self.each)

    @property
    def difference(self) -> float:
        """Output minus baseline output."""
        return self.output - self.baseline_output

    @property
    def total(self) -> float:
        """Mean sum of all attributions."""
        return float(np.dot(self.shares, [one.total for one in self.each]))

    @property
    def gap(self) -> float:
        """Largest completeness error of a network, in percent: errors of opposite signs must not hide each other."""
        return max(one.gap for one in self.each)


def integrated_gradients(
    network: HookedModel,
    row: Mapping[str, Array],
    baseline: Mapping[str, Array],
    selector: OutputSelector,
    *,
    from_baseline: Collection[str],
    fixed: Collection[str],
    steps: int | None,
) -> Attributions:
    """Compute the attributions of one encoded row, `{input: (1, ...)}`.

    The path of columns in `from_baseline` (numbers and images) starts at their values in the row `baseline`; that of all others
    (categories and words) starts at the zero vector. Columns in `fixed` stay as they are in the row. Without `steps`, their number is
    doubled until the error is small enough.
    """
    path = _Path(network, row, baseline, selector, from_baseline, fixed)
    count = steps or FIRST_STEPS
    attributions = path.integrate(count)
    while steps is None and attributions.gap > MAX_CONVERGENCE_DELTA and count < MAX_STEPS:
        count *= 2
        attributions = path.integrate(count)
    return attributions


class _Path:
    """Straight path from the baseline to one row, in the space of the activations at the hooks."""

    def __init__(
        self,
        network: HookedModel,
        row: Mapping[str, Array],
        baseline: Mapping[str, Array],
        selector: OutputSelector,
        from_baseline: Collection[str],
        fixed: Collection[str],
    ) -> None:
        self._network = network
        self._row = row
        self._selector = selector
        ends, starts = network.activations(row), network.activations(baseline)
        # A hook whose columns are all fixed would have a path of length 0.
        moving = {hook: end for hook, end in ends.items() if not hook.places.keys() <= set(fixed)}
        self._start = {hook: _path_start(hook, starts[hook], end, from_baseline, fixed) for hook, end in moving.items()}
        self._change = {hook: ends[hook] - start for hook, start in self._start.items()}
        # Both ends, so that completeness compares with outputs of the network itself.
        self._baseline_output, self._output = (float(value) for value in self._points(np.array([0.0, 1.0]))[0])

    def integrate(self, steps: int) -> Attributions:
        """Integrate with the midpoint rule and this number of steps."""
        # The midpoint rule needs no end points, where kinks of the network often are. Sums of float32 gradients are in float64.
        sums = {hook: np.zeros(change.shape[1:], dtype=np.float64) for hook, change in self._change.items()}
        # Midpoints of `steps` equal intervals of [0, 1]
        alphas = (np.arange(steps) + 0.5) / steps
        size = self._network.batch_size(CHUNK_POINTS, CHUNK_VALUES)
        for start in range(0, steps, size):
            for hook, gradient in self._points(alphas[start : start + size])[1].items():
                # (points, ...) summed over the points of the chunk
                sums[hook] += gradient.sum(axis=0, dtype=np.float64)
        by_hook = {hook: self._change[hook][0].astype(np.float64) * total / steps for hook, total in sums.items()}
        return Attributions(by_hook, self._output, self._baseline_output, steps)

    def _points(self, alphas: Array) -> tuple[Array, dict[ActivationHook, Array]]:
        """Return the output (points,) and the gradients (points, ...) at positions 0 (baseline) to 1 (row) of the path."""
        points: dict[ActivationHook, tf.Tensor] = {}

        def moving(hook: ActivationHook) -> Change:
            def move(_: tf.Tensor) -> tf.Tensor:
                # (points, 1, ...) against (1, ...): one moved copy of the activation per point.
                along = alphas.reshape(-1, *(1 for _ in self._change[hook].shape[1:])).astype(np.float32)
                points[hook] = tf.constant(self._start[hook] + along * self._change[hook])
                tape.watch(points[hook])
                return points[hook]

            return move

        # All inputs, once per point; those that move are replaced at their hooks.
        rows = {name: np.repeat(values, len(alphas), axis=0) for name, values in self._row.items()}
        changes = {hook: moving(hook) for hook in self._change}
        # Variables are not watched: the gradients of weights are not needed and would take memory.
        with tf.GradientTape(watch_accessed_variables=False) as tape, self._network.changed(changes):
            raw = self._network.raw(rows)[self._selector.target][:, self._selector.unit] * self._selector.sign
        # ZERO: the output need not depend on every input, and None would have to be handled everywhere.
        gradients = tape.gradient(raw, list(points.values()), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return raw.numpy(), {hook: gradient.numpy() for hook, gradient in zip(points, gradients, strict=True)}


def _path_start(hook: ActivationHook, baseline: Array, row: Array, from_baseline: Collection[str], fixed: Collection[str]) -> Array:
    """Return the values (1, ...) at a hook where the path starts, from those of the baseline and of the row."""
    start = np.zeros_like(row)
    for column, places in hook.places.items():
        if column in fixed or column in from_baseline:
            start[:, places] = (row if column in fixed else baseline)[:, places]
    return start


def grad_cam(network: HookedModel, row: Mapping[str, Array], selector: OutputSelector) -> dict[str, Array]:
    """Compute a map (height, width) float32, non-negative, in the size of the last maps of each image column.

    Of a volume it is the map of the middle slice.

    Every array of `row` has a first axis of 1. Columns whose branch pools no maps over the whole image have none.
    """
    maps: dict[ActivationHook, tf.Tensor] = {}

    def watching(hook: ActivationHook) -> Change:
        def watch(values: tf.Tensor) -> tf.Tensor:
            tape.watch(values)
            maps[hook] = values
            return values

        return watch

    hooks = list(network.maps.values())
    with tf.GradientTape(watch_accessed_variables=False) as tape, network.changed({hook: watching(hook) for hook in hooks}):
        raw = network.raw(row)[selector.target][:, selector.unit] * selector.sign
    gradients = tape.gradient(raw, [maps[hook] for hook in hooks], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # Maps of a row of several images are a batch of their own; they stand side by side, as `side_by_side` has the images.
    cams = (
        np.concatenate([_weighted_activations(*one) for one in zip(maps[hook].numpy(), gradient.numpy(), strict=True)], axis=1)
        for hook, gradient in zip(hooks, gradients, strict=True)
    )
    return dict(zip(network.maps, cams, strict=True))


def attention(network: HookedModel, row: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights of the images of a row, (most,) with a sum of 1, of each column whose branch pools them by attention."""
    hooks = tuple(network.attention.values())
    weights = network.activations(row, hooks) if hooks else {}
    return {column: weights[hook][0] for column, hook in network.attention.items()}


def _weighted_activations(maps: Array, gradients: Array) -> Array:
    """Return the positive part of the weighted sum of maps; both arguments are (height, width, channels), with the depth first or not."""
    # Weights are the gradients averaged over positions, (channels,): equation 1 of the paper; then ReLU, equation 2.
    positions = tuple(range(gradients.ndim - 1))
    cam: Array = np.maximum((maps * gradients.mean(axis=positions)).sum(axis=-1), 0).astype(np.float32)
    return cam if cam.ndim == 2 else cam[len(cam) // 2]
