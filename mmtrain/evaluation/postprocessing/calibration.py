"""Post-hoc calibration of probabilities, fitted on validation rows and stored as plain values.

| method | exclusive classes | labels |
|---|---|---|
| temperature | one T for all: softmax(log p / T) (Guo and others 2017, arXiv:1706.04599) | a T for each: sigmoid(logit p / T) |
| isotonic | a rising curve for each class against the rest, then divided by their sum (Zadrozny and Elkan 2002) | a curve for each |

Of two classes a single curve, that of the positive one, is fitted: the other probability is the rest. Temperature keeps the order
of rows and of classes; curves keep the order of rows, but for ties. What the model decides always follows its own probabilities.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mmtrain.metrics.classification import CLIP
from mmtrain.registry import Section

Numbers = NDArray[np.float64]
Probabilities = NDArray[np.floating[Any]]
COLDEST, HOTTEST = 0.1, 10.0
"""Where every validation row is right the likeliest temperature is 0, and where the model knows nothing it is infinite."""
STEPS, CLOSE = 60, 1e-9
FEW = 1000
"""Rows from which on isotonic curves do as well as simpler ones (Niculescu-Mizil and Caruana 2005)."""


class Temperature(Section):
    """Temperatures above 1 make probabilities less sure, below 1 surer."""

    method: Literal["temperature"] = "temperature"
    exclusive: bool
    temperatures: tuple[Annotated[float, Field(gt=0)], ...] = Field(description="One, or one per label.")

    def apply(self, probabilities: Probabilities) -> Numbers:
        """(rows, columns) to the same."""
        scaled = 1 / np.array(self.temperatures)
        if self.exclusive:
            return _softmax(_logarithms(probabilities) * scaled)
        return _sigmoid(_logits(probabilities) * scaled)


class Curve(Section):
    """A rising line through points, level beyond both ends."""

    at: tuple[float, ...] = Field(min_length=1)
    values: tuple[float, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _paired(self) -> Curve:
        if len(self.at) != len(self.values):
            raise ValueError("a curve has a value for each point")
        return self

    def __call__(self, probability: Probabilities) -> Numbers:
        """(rows,) to (rows,)."""
        return np.interp(probability.astype(np.float64), self.at, self.values)


class Isotonic(Section):
    """Rising curves."""

    method: Literal["isotonic"] = "isotonic"
    exclusive: bool
    curves: tuple[Curve, ...] = Field(description="One per class or label; of two classes that of the positive one.")

    def apply(self, probabilities: Probabilities) -> Numbers:
        """(rows, columns) to the same; where all curves of a row say 0, its probabilities stay."""
        if self.exclusive and len(self.curves) == 1:
            positive = self.curves[0](probabilities[:, 1])
            return np.stack([1 - positive, positive], axis=1)
        found = np.stack([curve(column) for curve, column in zip(self.curves, probabilities.T, strict=True)], axis=1)
        if not self.exclusive:
            return found
        total = found.sum(axis=1, keepdims=True)
        return np.where(total > 0, found / np.where(total > 0, total, 1), probabilities)


Calibration = Annotated[Temperature | Isotonic, Field(discriminator="method")]


def fit_temperature(
    probabilities: Probabilities, true: NDArray[np.bool_], *, exclusive: bool, known: NDArray[np.bool_] | None = None
) -> Temperature:
    """The likeliest temperatures; all arguments are (rows, columns), `true` has one per row where classes are exclusive.

    Of labels, those cells count that are `known`, by default all. A label that all of its rows have, or none, keeps its probabilities.
    """
    if exclusive:
        return Temperature(exclusive=True, temperatures=(_likeliest(_logarithms(probabilities), true),))
    temperatures = []
    for column, said in enumerate(_logits(probabilities).T):
        logit, has = _of_known(column, known, said, true[:, column])
        two = np.stack([np.zeros_like(logit), logit], axis=1)
        told = 0 < has.sum() < len(has)
        temperatures.append(_likeliest(two, np.stack([~has, has], axis=1)) if told else 1.0)
    return Temperature(exclusive=False, temperatures=tuple(temperatures))


def fit_isotonic(
    probabilities: Probabilities, true: NDArray[np.bool_], *, exclusive: bool, known: NDArray[np.bool_] | None = None
) -> Isotonic:
    """The rising curves with the least squared error; all arguments are (rows, columns), as `fit_temperature` has them.

    A label that is known of no row keeps its probabilities.
    """
    columns = [1] if exclusive and probabilities.shape[1] == 2 else range(probabilities.shape[1])
    curves = []
    for column in columns:
        said, has = _of_known(column, known, probabilities[:, column].astype(np.float64), true[:, column])
        curves.append(isotonic_fit(said, has) if len(said) else Curve(at=(0.0, 1.0), values=(0.0, 1.0)))
    return Isotonic(exclusive=exclusive, curves=tuple(curves))


def _of_known(column: int, known: NDArray[np.bool_] | None, said: Numbers, true: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.bool_]]:
    """Return the probabilities and the truth of one column, for the rows where the truth is known."""
    return (said, true) if known is None else (said[known[:, column]], true[known[:, column]])


def notes(calibration: Calibration, rows: int) -> tuple[str, ...]:
    """Return what a reader has to know of the fit, in sentences."""
    found = []
    if isinstance(calibration, Isotonic) and rows < FEW:
        found.append(f"Isotonic curves follow chance where there are few rows, and here are {rows:,}; temperature needs fewer.")
    if isinstance(calibration, Temperature) and not {COLDEST, HOTTEST}.isdisjoint(calibration.temperatures):
        found.append(f"Temperatures are kept between {COLDEST:g} and {HOTTEST:g}; the validation rows would have gone beyond.")
    return tuple(found)


def isotonic_fit(at: Numbers, true: NDArray[np.bool_]) -> Curve:
    """Least squares under the condition that the curve never falls, by pooling adjacent violators (Ayer and others 1955).

    Rows with equal `at` are one point. Only the ends of each level stretch are kept.
    """
    points, place = np.unique(at, return_inverse=True)
    weights = np.bincount(place).astype(np.float64)
    means = np.bincount(place, weights=true) / weights
    blocks: list[tuple[float, float, int]] = []  # mean, weight, how many points
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        block = (mean, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            before = blocks.pop()
            together = before[1] + block[1]
            block = ((before[0] * before[1] + block[0] * block[1]) / together, together, before[2] + block[2])
        blocks.append(block)
    last = np.cumsum([count for *_, count in blocks]) - 1
    first = np.append(0, last[:-1] + 1)
    ends = np.stack([first, last], axis=1).reshape(-1)
    levels = np.repeat([min(1.0, max(0.0, mean)) for mean, *_ in blocks], 2)
    kept = np.append(True, ends[1:] != ends[:-1])
    return Curve(at=tuple(points[ends][kept].tolist()), values=tuple(levels[kept].tolist()))


def _likeliest(logarithms: Numbers, true: NDArray[np.bool_]) -> float:
    """The temperature with the lowest log loss; (rows, columns), one true in each row.

    The loss is convex in 1 / T, so Newton's steps, halved towards the side where the minimum lies when they leave it, find it.
    """
    low, high, sharpness = 1 / HOTTEST, 1 / COLDEST, 1.0
    told = logarithms[true].sum()
    for _ in range(STEPS):
        shares = _softmax(logarithms * sharpness)
        mean = (shares * logarithms).sum(axis=1)
        slope = mean.sum() - told
        if abs(slope) <= CLOSE * len(true):
            break
        bend = (shares * np.square(logarithms - mean[:, None])).sum()
        low, high = (low, sharpness) if slope > 0 else (sharpness, high)
        step = sharpness - slope / bend if bend > 0 else sharpness
        step = step if low < step < high else (low + high) / 2
        if abs(step - sharpness) < CLOSE:
            break
        sharpness = step
    return float(np.round(1 / sharpness, 6))


def _logarithms(probabilities: Probabilities) -> Numbers:
    return np.log(np.maximum(probabilities.astype(np.float64), CLIP))


def _logits(probabilities: Probabilities) -> Numbers:
    clipped = np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _softmax(logits: Numbers) -> Numbers:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _sigmoid(logits: Numbers) -> Numbers:
    return np.asarray(1 / (1 + np.exp(-logits)))
