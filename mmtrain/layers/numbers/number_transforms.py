"""Clipping and transforms of raw numbers, for many columns at once; `mmtrain.columns.vectorizers.number_transforms` defines them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Transform = Mapping[str, Any]
"""`low` and `high`, bounds of the number; `method` with `power`, or `knots` and `scores`; each may be left out."""


class NumberTransforms:
    """(batch, columns) float64 to the same, each column by its own transform; one that is None stays as it is."""

    def __init__(self, transforms: Sequence[Transform | None]) -> None:
        given = [one or {} for one in transforms]
        self._low = np.array([one.get("low", -np.inf) for one in given])
        self._high = np.array([one.get("high", np.inf) for one in given])
        functions: dict[str, Callable[[Any, list[Transform]], Any]]
        functions = {"log1p": _log1p, "yeo_johnson": _yeo_johnson, "quantile": _quantile}
        self._groups = []
        order, end = np.arange(len(given)), len(given)
        for method, function in functions.items():
            places = [place for place, one in enumerate(given) if one.get("method") == method]
            if places:
                self._groups.append((function, places, [given[place] for place in places]))
                order[places] = end + np.arange(len(places))
                end += len(places)
        self._order = order

    def __call__(self, numbers: Any) -> Any:
        """Return the transformed numbers."""
        # An infinity is not a number that training could have had: bounds would make it one, so it is missing.
        clipped = tf.clip_by_value(numbers, self._low, self._high)
        numbers = tf.where(tf.math.is_finite(numbers), clipped, np.float64("nan"))
        if not self._groups:
            return numbers
        pieces = [numbers, *(function(tf.gather(numbers, places, axis=1), given) for function, places, given in self._groups)]
        return tf.gather(tf.concat(pieces, axis=1), self._order, axis=1)


def _log1p(numbers: Any, given: list[Transform]) -> Any:  # noqa: ARG001 (no numbers of its own)
    return tf.sign(numbers) * tf.math.log1p(tf.abs(numbers))


def _yeo_johnson(numbers: Any, given: list[Transform]) -> Any:
    power = np.array([one["power"] for one in given])
    return _power(tf.maximum(numbers, 0.0), power) - _power(tf.maximum(-numbers, 0.0), 2 - power)


def _power(numbers: Any, power: Any) -> Any:
    """Return ((numbers + 1) ** power - 1) / power, its limit for a power of 0."""
    logarithm = tf.math.log1p(numbers)
    safe = np.where(power == 0, 1.0, power)
    return tf.where(power == 0, logarithm, tf.math.expm1(safe * logarithm) / safe)


def _quantile(numbers: Any, given: list[Transform]) -> Any:
    """Interpolate between knots, found by bisection: the cost of a number grows with the logarithm of the knots."""
    most = max(len(one["knots"]) for one in given)
    knots, scores = (
        np.stack([np.pad(one[name], (0, most - len(one[name])), mode="edge") for one in given]) for name in ("knots", "scores")
    )
    last = np.array([[len(one["knots"]) - 2] for one in given])
    by_column = tf.transpose(numbers)  # (columns, batch)
    left = tf.searchsorted(tf.constant(knots), by_column, side="right") - 1
    left = tf.clip_by_value(left, 0, last)
    x0, x1, y0, y1 = (tf.gather(values, left + step, batch_dims=1) for values in (knots, scores) for step in (0, 1))
    share = tf.clip_by_value((by_column - x0) / (x1 - x0), 0.0, 1.0)
    return tf.transpose(y0 + share * (y1 - y0))
