"""Penalized linear regression by the losses of the targets, solved by L-BFGS in the principal components of the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mmtrain.data.arrays import Array
from mmtrain.data.sampling import visits_of_rows
from mmtrain.targets import FittedTarget
from mmtrain.training.training_data import TrainingData

Matrix = NDArray[np.float64]

MOST_STEPS, GRADIENT, MEMORY = 20, 2e-3, 8
"""Steps of L-BFGS, the gradient (relative to that at zero) at which they end, and the pairs that it remembers."""
LEAST_VARIANCE = 1e-6
"""Least variance of a principal component, relative to the first one's; float32 features have no smaller ones."""


@dataclass(frozen=True)
class Labels:
    """Encoded labels and weights of some rows, and the losses of raw values, (rows, units of all targets side by side)."""

    targets: Mapping[str, FittedTarget]
    truth: Mapping[str, Array]
    weights: Mapping[str, Array]
    objective: Any = None
    """The compiled function of `_compile_objective`, which all parts of the rows share."""

    def __post_init__(self) -> None:
        """Prepare the objective, which is traced by its first call."""
        if self.objective is None:
            object.__setattr__(self, "objective", _compile_objective(self.targets))

    @classmethod
    def of(cls, data: TrainingData, rows: Array) -> Labels:
        """Return the labels of `rows`; rows without a known label have weight 0 where the training gives it to them.

        Where epochs draw rows by their class, weights are times the visits of a row: the same loss as that of the network.
        """
        # Label smoothing helps a network; a linear model has its penalty.
        targets = {key: target.without_smoothing() for key, target in data.fitted.targets.items()}
        truth = {key: data.arrays.targets[key][rows] for key in targets}
        visits = visits_of_rows(targets, data.arrays.targets, data.partition.train, rows)
        return cls(targets, truth, {key: data.arrays.weights[key][rows] * visits for key in targets})

    @property
    def units(self) -> int:
        """Number of raw values of a row."""
        return sum(target.raw_units for target in self.targets.values())

    def take(self, places: Array) -> Labels:
        """Return the labels at `places`."""
        truth, weights = ({key: values[places] for key, values in part.items()} for part in (self.truth, self.weights))
        return Labels(self.targets, truth, weights, self.objective)

    def tensors(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return labels and weights as tensors."""
        specs = {key: target.truth_spec for key, target in self.targets.items()}
        truth = {key: tf.constant(self.truth[key], specs[key].dtype) for key in specs}
        return truth, {key: tf.constant(self.weights[key], tf.float32) for key in specs}

    def row_losses(self, raw: Any) -> Any:
        """Return the weighted sum of the losses of all targets, (rows,) float32."""
        return _row_losses(self.targets, *self.tensors(), raw)


def _row_losses(targets: Mapping[str, FittedTarget], truth: Mapping[str, Any], weights: Mapping[str, Any], raw: Any) -> Any:
    total, first = 0.0, 0
    for key, target in targets.items():
        values = raw[:, first : first + target.raw_units]
        first += target.raw_units
        total = total + target.loss_weight * target.weighted_losses(truth[key], values, weights[key])
    return total


def _compile_objective(targets: Mapping[str, FittedTarget]) -> Any:
    """Return the compiled penalized loss of a regression, with its gradient by the scaled solution.

    Compiled for any number of rows and components: a fit calls it some 300 times, and an eager call takes 14 ms of a small table.
    """
    specs = {key: target.truth_spec for key, target in targets.items()}
    matrix, vector = tf.TensorSpec((None, None), tf.float32), tf.TensorSpec((None,), tf.float32)
    truths = {key: tf.TensorSpec((None, *spec.shape), spec.dtype) for key, spec in specs.items()}
    signature = (matrix, matrix, tf.TensorSpec((), tf.float32), matrix, truths, dict.fromkeys(truths, vector))

    def objective(point: Any, factors: Any, rate: Any, scores: Any, truth: Any, weights: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(point)
            solution = point * factors
            raw = tf.matmul(scores, solution[:-1]) + solution[-1]
            width = sum(target.raw_units for target in targets.values())
            losses = _row_losses(targets, truth, weights, tf.ensure_shape(raw, (None, width)))
            value = tf.reduce_mean(losses) + 0.5 * rate * tf.reduce_sum(tf.square(solution[:-1]))
        return value, tape.gradient(value, point)

    return tf.function(objective, input_signature=signature, autograph=False)


class Regression:
    """A linear model of the raw values of all targets: the minimum of the mean loss of rows plus an L2 penalty.

    It is solved in the principal components of the centered features, scaled so that the penalized Hessian of a squared loss is the
    identity; that of a cross-entropy is bounded by it (Boehning and Lindsay 1988).
    """

    def __init__(self, features: Array, labels: Labels) -> None:
        """`features` are (rows, features) float32."""
        self.labels, self.center, self.rows = labels, features.mean(axis=0), len(features)
        self.tensors = labels.tensors()
        centered = features - self.center
        # The smaller of both products, (features, features) or (rows, rows): their eigenvalues are the same, but for zeros.
        wide = features.shape[1] > self.rows
        product = (centered @ centered.T if wide else centered.T @ centered).astype(np.float64) / self.rows
        values, vectors = np.linalg.eigh(product)
        significant = values > LEAST_VARIANCE * max(values[-1], LEAST_VARIANCE)
        self.variances, vectors = values[significant], vectors[:, significant]
        self.vectors = centered.T @ vectors / np.sqrt(self.rows * self.variances) if wide else vectors
        self.scores = tf.constant((centered @ self.vectors).astype(np.float32))
        self.solution: Matrix = np.zeros((len(self.variances) + 1, labels.units))
        """Weights of the components, and behind them the bias of centered features: where the next solution begins."""
        _, gradient = self._objective(0.0, np.ones((len(self.solution), 1)))(self.solution.reshape(-1))
        self.least = GRADIENT * float(np.abs(gradient).max())

    def solve(self, penalty: float) -> tuple[Matrix, Matrix]:
        """Return the weights, (features, units), and the bias, (units,)."""
        rate = penalty / self.rows
        scale = np.append(1 / np.sqrt(self.variances + rate), 1.0)[:, None]
        flat = minimize(self._objective(rate, scale), (self.solution / scale).reshape(-1), least=self.least)
        self.solution = flat.reshape(self.solution.shape) * scale
        weights = self.vectors @ self.solution[:-1]
        return weights, self.solution[-1] - self.center @ weights

    def _objective(self, rate: float, scale: Matrix) -> Callable[[Matrix], tuple[float, Matrix]]:
        """Return penalized loss and gradient as a function of the flat solution, divided by `scale`."""
        factors, penalty = tf.constant(scale.astype(np.float32)), tf.constant(rate, tf.float32)

        def objective(flat: Matrix) -> tuple[float, Matrix]:
            point = tf.constant(flat.reshape(self.solution.shape).astype(np.float32))
            value, gradient = self.labels.objective(point, factors, penalty, self.scores, *self.tensors)
            return float(value), gradient.numpy().astype(np.float64).reshape(-1)

        return objective


def minimize(objective: Callable[[Matrix], tuple[float, Matrix]], point: Matrix, *, least: float) -> Matrix:
    """Minimize a smooth function by L-BFGS with backtracking (Nocedal and Wright 2006, algorithms 7.5 and 3.1).

    `objective` returns value and gradient. It ends at a gradient of at most `least`, after `MOST_STEPS`, or where no step is lower.
    """
    value, gradient = objective(point)
    pairs: list[tuple[Matrix, Matrix]] = []
    for _ in range(MOST_STEPS):
        if np.abs(gradient).max() <= least:
            break
        direction = -_inverse_hessian(pairs, gradient)
        slope, step = float(direction @ gradient), 1.0
        for _ in range(6):
            candidate = point + step * direction
            lower, turned = objective(candidate)
            # The sufficient decrease of Armijo; a value that is not finite fails it, too.
            if lower <= value + 1e-4 * step * slope:
                break
            step /= 4
        else:
            break
        pairs = [*pairs[1 - MEMORY :], (candidate - point, turned - gradient)]
        # Without positive curvature the pair would not be that of a minimum.
        if pairs[-1][0] @ pairs[-1][1] <= 0:
            pairs.pop()
        gain, point, value, gradient = value - lower, candidate, lower, turned
        # More steps would change no score.
        if gain <= 1e-5 * abs(value):
            break
    return point


def _inverse_hessian(pairs: Sequence[tuple[Matrix, Matrix]], gradient: Matrix) -> Matrix:
    """Return the gradient times the inverse Hessian that pairs of steps and changes of the gradient suggest: the two-loop recursion."""
    result, factors = gradient.copy(), []
    for step, change in reversed(pairs):
        factors.append((step @ result) / (step @ change))
        result -= factors[-1] * change
    if pairs:
        step, change = pairs[-1]
        result *= (step @ change) / (change @ change)
    for (step, change), factor in zip(pairs, reversed(factors), strict=True):
        result += (factor - (change @ result) / (step @ change)) * step
    return result
