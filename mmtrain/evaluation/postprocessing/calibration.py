"""Post-hoc calibration of probabilities, fitted on validation rows and stored as plain values.

| method | exclusive classes | labels |
|---|---|---|
| temperature | one T for all: softmax(log p / T) (Guo and others 2017, arXiv:1706.04599) | a T for each: sigmoid(logit p / T) |
| isotonic | an isotonic curve per class against the rest, then normalized (Zadrozny and Elkan 2002) | a curve for each |

With two classes only the curve of the positive one is fitted; the other probability is its complement. Temperature keeps the order of
rows and of classes; curves keep the order of rows, but make ties. Decisions always follow the uncalibrated probabilities.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mmtrain.metrics.labels.classification import CLIP
from mmtrain.registry import Section

Numbers = NDArray[np.float64]
Probabilities = NDArray[np.floating[Any]]
LOWEST, HIGHEST = 0.1, 10.0
"""Bounds of a temperature: its likelihood is highest at 0 if every validation row is right, and at infinity if the model is random."""
STEPS, TOLERANCE = 60, 1e-9
"""Maximum number of Newton's steps, and the slope per row and the step at which they end."""
FEW_ROWS = 1000
"""Rows from which isotonic curves do as well as parametric ones (Niculescu-Mizil and Caruana 2005)."""


class Temperature(Section):
    """Temperature scaling: above 1 probabilities become less confident, below 1 more."""

    method: Literal["temperature"] = "temperature"
    exclusive: bool
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = Field(description="One, or one per label.")

    def apply(self, probabilities: Probabilities) -> Numbers:
        """Calibrate probabilities, (rows, columns) to the same."""
        scaled = 1 / np.array(self.temperatures)
        if self.exclusive:
            return _softmax(_logarithms(probabilities) * scaled)
        return _sigmoid(_logits(probabilities) * scaled)


class Curve(Section):
    """A non-decreasing piecewise linear curve through points, constant beyond both ends."""

    at: tuple[float, ...] = Field(min_length=1)
    values: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _paired(self) -> Curve:
        if len(self.at) != len(self.values):
            raise ValueError("a curve has a value for each point")
        return self

    def __call__(self, probability: Probabilities) -> Numbers:
        """Interpolate probabilities, (rows,) to (rows,)."""
        return np.interp(probability.astype(np.float64), self.at, self.values)


class Isotonic(Section):
    """Isotonic regression: a non-decreasing curve per class or label."""

    method: Literal["isotonic"] = "isotonic"
    exclusive: bool
    curves: tuple[Curve, ...] = Field(description="One per class or label; of two classes that of the positive one.")

    def apply(self, probabilities: Probabilities) -> Numbers:
        """Calibrate probabilities, (rows, columns) to the same; a row to which all curves give 0 keeps its probabilities."""
        if self.exclusive and len(self.curves) == 1:
            # Two classes: the other probability is the complement, so that both sum to 1.
            positive = self.curves[0](probabilities[:, 1])
            return np.stack([1 - positive, positive], axis=1)
        scaled = np.stack([curve(column) for curve, column in zip(self.curves, probabilities.T, strict=True)], axis=1)
        if not self.exclusive:
            return scaled
        total = scaled.sum(axis=1, keepdims=True)
        # Normalized; where all curves give 0, there is nothing to divide, and the probabilities stay.
        return np.where(total > 0, scaled / np.where(total > 0, total, 1), probabilities)


Calibration = Annotated[Temperature | Isotonic, Field(discriminator="method")]


def fit_temperature(
    probabilities: Probabilities, true: NDArray[np.bool_], *, exclusive: bool, known: NDArray[np.bool_] | None = None
) -> Temperature:
    """Fit temperatures by maximum likelihood.

    `probabilities` and `true` are (rows, columns); if classes are `exclusive`, each row of `true` has one True. Otherwise every label
    has its own temperature, fitted on the cells that are `known`, (rows, columns), by default all; a label that all of these rows
    have, or none, keeps its probabilities.
    """
    if exclusive:
        return Temperature(exclusive=True, temperatures=(_most_likely_temperature(_logarithms(probabilities), true),))
    temperatures = []
    for column, logits in enumerate(_logits(probabilities).T):
        logit, has_label = _known_cells(column, known, logits, true[:, column])
        # A label is a class of two: sigmoid(logit / T) is the softmax of (0, logit) / T.
        # (rows, 2) logarithms up to a constant, which the softmax does not see
        two = np.stack([np.zeros_like(logit), logit], axis=1)
        both_occur = 0 < has_label.sum() < len(has_label)
        temperatures.append(_most_likely_temperature(two, np.stack([~has_label, has_label], axis=1)) if both_occur else 1.0)
    return Temperature(exclusive=False, temperatures=tuple(temperatures))


def fit_isotonic(
    probabilities: Probabilities, true: NDArray[np.bool_], *, exclusive: bool, known: NDArray[np.bool_] | None = None
) -> Isotonic:
    """Fit the curves with the least squared error; the arguments are those of `fit_temperature`.

    A label that is not known for any row keeps its probabilities.
    """
    columns = [1] if exclusive and probabilities.shape[1] == 2 else range(probabilities.shape[1])
    curves = []
    for column in columns:
        probability, has_label = _known_cells(column, known, probabilities[:, column].astype(np.float64), true[:, column])
        curves.append(isotonic_fit(probability, has_label) if len(probability) else Curve(at=(0.0, 1.0), values=(0.0, 1.0)))
    return Isotonic(exclusive=exclusive, curves=tuple(curves))


def _known_cells(
    column: int, known: NDArray[np.bool_] | None, values: Numbers, true: NDArray[np.bool_]
) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the values and the truth of one column, for the rows whose truth is known."""
    return (values, true) if known is None else (values[known[:, column]], true[known[:, column]])


def notes(calibration: Calibration, rows: int) -> tuple[str, ...]:
    """Return warnings about a fit on this number of rows, in sentences."""
    sentences = []
    if isinstance(calibration, Isotonic) and rows < FEW_ROWS:
        sentences.append(f"Isotonic curves overfit on few rows, and here there are {rows:,}; temperature scaling needs fewer.")
    if isinstance(calibration, Temperature) and not {LOWEST, HIGHEST}.isdisjoint(calibration.temperatures):
        sentences.append(f"Temperatures are limited to {LOWEST:g} to {HIGHEST:g}; the validation rows would have gone beyond.")
    return tuple(sentences)


def isotonic_fit(at: Numbers, true: NDArray[np.bool_]) -> Curve:
    """Fit a non-decreasing curve by least squares with the pool-adjacent-violators algorithm (Ayer and others 1955).

    `at` (rows,) are probabilities; rows with equal ones form one point. Only the ends of each constant stretch are stored.

    >>> isotonic_fit(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True]))
    Curve(at=(0.1, 0.2, 0.3, 0.4), values=(0.0, 0.5, 0.5, 1.0))
    """
    # (points,) distinct probabilities, ascending; `place` says which point a row belongs to.
    points, place = np.unique(at, return_inverse=True)
    weights = np.bincount(place).astype(np.float64)
    means = np.bincount(place, weights=true) / weights
    blocks: list[tuple[float, float, int]] = []  # mean, weight, number of points
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        block = (mean, weight, 1)
        # Each point is pushed and popped at most once, so the loop is linear in the points.
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            together = before[1] + block[1]
            # Weighted mean of both blocks: the pooled level that minimizes the squared error.
            block = ((before[0] * before[1] + block[0] * block[1]) / together, together, before[2] + block[2])
        blocks.append(block)
    last = np.cumsum([count for *_, count in blocks]) - 1
    first = np.append(0, last[:-1] + 1)
    ends = np.stack([first, last], axis=1).reshape(-1)
    # Rounding may lead just outside of 0 to 1.
    levels = np.repeat([min(1.0, max(0.0, mean)) for mean, *_ in blocks], 2)
    distinct = np.append(True, ends[1:] != ends[:-1])  # a block of one point has it as both ends
    return Curve(at=tuple(points[ends][distinct].tolist()), values=tuple(levels[distinct].tolist()))


def _most_likely_temperature(logarithms: Numbers, true: NDArray[np.bool_]) -> float:
    """Return the temperature with the lowest log loss; both arguments are (rows, columns), one True in each row.

    The loss is convex in 1 / T, so Newton's method, safeguarded by bisection of the bracket, finds its minimum.
    """
    # Search in 1 / T, where the loss is convex.
    low, high, inverse = 1 / HIGHEST, 1 / LOWEST, 1.0
    of_truth = logarithms[true].sum()
    for _ in range(STEPS):
        probabilities = _softmax(logarithms * inverse)
        mean = (probabilities * logarithms).sum(axis=1)
        slope = mean.sum() - of_truth  # first derivative of the log loss by 1 / T
        if abs(slope) <= TOLERANCE * len(true):
            break
        curvature = (probabilities * np.square(logarithms - mean[:, None])).sum()  # second derivative: a variance, so never negative
        # The minimum lies where the slope changes its sign, which the bracket keeps enclosing.
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        step = inverse - slope / curvature if curvature > 0 else inverse
        # Newton may leave the bracket; bisection never does.
        step = step if low < step < high else (low + high) / 2
        if abs(step - inverse) < TOLERANCE:
            break
        inverse = step
    return float(np.round(1 / inverse, 6))  # six digits: the last ones depend on the machine


def _logarithms(probabilities: Probabilities) -> Numbers:
    return np.log(np.maximum(probabilities.astype(np.float64), CLIP))


def _logits(probabilities: Probabilities) -> Numbers:
    clipped = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _softmax(logits: Numbers) -> Numbers:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))  # the largest becomes 1, so that none overflows
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _sigmoid(logits: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-logits)))
