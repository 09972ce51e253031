"""Encodings of the stacked numbers of a branch: as they are, by bins, ranks or periods, or scaled robustly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mmtrain.layers.configured import ConfiguredLayer
from mmtrain.layers.stacks import take_places


class _OfNumbers(ConfiguredLayer):
    """Base of layers on some of the stacked numbers, those at `positions`: (batch, width) float32 in, computed in float32."""

    def __init__(self, settings: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(settings, autocast=False, **kwargs)

    def take(self, numbers: Any) -> Any:
        """Return the numbers at `positions`, (batch, columns) float32."""
        return take_places(ops.cast(numbers, "float32"), self.settings["positions"])

    def _spec(self, numbers: Any, *axes: int) -> Any:
        return keras.KerasTensor((numbers.shape[0], len(self.settings["positions"]), *axes), self.compute_dtype)


@keras.saving.register_keras_serializable(package="mmtrain")
class TakeNumbers(_OfNumbers):
    """The numbers at `positions` as they are, (batch, columns)."""

    def __init__(self, *, positions: Sequence[int], **kwargs: Any) -> None:
        super().__init__({"positions": list(positions)}, **kwargs)

    def call(self, numbers: Any) -> Any:
        return ops.cast(self.take(numbers), self.compute_dtype)

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers)


@keras.saving.register_keras_serializable(package="mmtrain")
class PiecewiseLinear(_OfNumbers):
    """Piecewise linear encoding (Gorishniy et al. 2022, arXiv:2203.05556): (batch, width) to (batch, columns, bins).

    A bin is 0 below its lower edge, 1 above its upper edge, and linear between them. Columns with fewer bins than the first axis
    has are padded by zeros. A number beyond the outer edges is encoded as the edge.
    """

    def __init__(self, *, positions: Sequence[int], edges: Sequence[Sequence[float]], **kwargs: Any) -> None:
        super().__init__({"positions": list(positions), "edges": [list(column) for column in edges]}, **kwargs)
        # n edges bound n - 1 bins.
        self.bins = max(len(column) for column in edges) - 1
        # A padded bin has slope 0, so it is 0 for every number.
        self._lower = np.zeros((len(edges), self.bins), np.float32)
        self._slope = np.zeros((len(edges), self.bins), np.float32)
        for number, column in enumerate(edges):
            ends = np.array(column, np.float32)
            self._lower[number, : len(ends) - 1] = ends[:-1]
            self._slope[number, : len(ends) - 1] = 1 / np.diff(ends)

    def encoded(self, numbers: Any) -> Any:
        """Return the bins, (batch, columns, bins) float32."""
        # (batch, columns, 1) against (columns, bins): each bin as the clipped position between its edges.
        return ops.clip((self.take(numbers)[:, :, None] - self._lower) * self._slope, 0.0, 1.0)

    def call(self, numbers: Any) -> Any:
        return ops.cast(self.encoded(numbers), self.compute_dtype)

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers, self.bins)


@keras.saving.register_keras_serializable(package="mmtrain")
class NormalScore(PiecewiseLinear):
    """The standard normal score of the rank among training rows: `scores` at the edges, linear between: (batch, columns, 1)."""

    def __init__(
        self, *, positions: Sequence[int], edges: Sequence[Sequence[float]], scores: Sequence[Sequence[float]], **kwargs: Any
    ) -> None:
        super().__init__(positions=positions, edges=edges, **kwargs)
        self.settings["scores"] = [list(column) for column in scores]
        self._first = np.array([column[0] for column in scores], np.float32)
        self._steps = np.zeros_like(self._lower)
        for number, column in enumerate(scores):
            self._steps[number, : len(column) - 1] = np.diff(column)

    def call(self, numbers: Any) -> Any:
        # The score at the first edge, and the rise within every bin up to the number.
        scores = self._first + ops.sum(self.encoded(numbers) * self._steps, axis=2)
        return ops.cast(scores, self.compute_dtype)[:, :, None]

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers, 1)


@keras.saving.register_keras_serializable(package="mmtrain")
class Periodic(_OfNumbers):
    """Cosines and sines of learned frequencies (Gorishniy et al. 2022): (batch, width) to (batch, columns, 2 * frequencies).

    Frequencies begin at random, normally distributed with the standard deviation `sigma`, in periods per standard deviation. With
    `phase` there are cosines of a learned frequency and phase alone, (batch, columns, frequencies) (Holzmüller et al. 2024).
    """

    def __init__(self, *, positions: Sequence[int], frequencies: int, sigma: float, phase: bool = False, **kwargs: Any) -> None:
        settings = {"positions": list(positions), "frequencies": frequencies, "sigma": sigma, "phase": phase}
        super().__init__(settings, **kwargs)

    def build(self, input_shape: Any) -> None:  # noqa: ARG002
        shape = (len(self.settings["positions"]), self.settings["frequencies"])
        spread = keras.initializers.RandomNormal(stddev=self.settings["sigma"])
        self.frequency = self.add_weight(name="frequency", shape=shape, initializer=spread)
        uniform = keras.initializers.RandomUniform(-math.pi, math.pi)
        self.phase = self.add_weight(name="phase", shape=shape, initializer=uniform) if self.settings["phase"] else None
        self.built = True

    def call(self, numbers: Any) -> Any:
        # Frequencies are in periods, angles in radians.
        angles = 2 * math.pi * self.take(numbers)[:, :, None] * ops.cast(self.frequency, "float32")
        if self.phase is not None:
            return ops.cast(ops.cos(angles + ops.cast(self.phase, "float32")), self.compute_dtype)
        return ops.cast(ops.concatenate([ops.cos(angles), ops.sin(angles)], axis=2), self.compute_dtype)

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers, self.settings["frequencies"] * (1 if self.settings["phase"] else 2))


@keras.saving.register_keras_serializable(package="mmtrain")
class RobustScale(_OfNumbers):
    """`clip((number - center) * factor)`, where clip(z) = z / sqrt(1 + (z / 3)^2) stays within 3 (arXiv:2407.04491): (batch, columns)."""

    def __init__(self, *, positions: Sequence[int], centers: Sequence[float], factors: Sequence[float], **kwargs: Any) -> None:
        super().__init__({"positions": list(positions), "centers": list(centers), "factors": list(factors)}, **kwargs)

    def call(self, numbers: Any) -> Any:
        centers, factors = (np.array(self.settings[name], np.float32) for name in ("centers", "factors"))
        scaled = (self.take(numbers) - centers) * factors
        return ops.cast(scaled * ops.rsqrt(1 + ops.square(scaled / 3)), self.compute_dtype)

    def compute_output_spec(self, numbers: Any) -> Any:
        return self._spec(numbers)
