"""mixup and cutmix: each row is trained on as a mixture of itself and another row of its batch, with the answers of both.

With the share s of a row from a Beta(alpha, alpha) distribution, its loss is s times that of its own answer plus 1 - s times that of the
other row's. Of a cross-entropy and of a squared error this has the gradient of a mixed answer, it is defined for every other loss as
well, and an answer that a row lacks keeps its weight of 0.

| inputs | mixup (Zhang et al. 2018, arXiv:1710.09412) | cutmix (Yun et al. 2019, arXiv:1905.04899) |
|---|---|---|
| images | s of the row's pixels plus 1 - s of the other's | a rectangle of 1 - s of the area is the other's |
| numbers, features of encoders | the same mean | each column is the other's with probability 1 - s |
| categories, texts, series, sets | each column is the other's with probability 1 - s | the same exchange |

The exchange of columns is the cutmix of tables of Somepalli et al. (2021, arXiv:2106.01342). The share of a row follows from (seed, epoch,
row), the other row is the one before it in its batch, whose order is random: batches and resumed trainings stay exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.config.sections.mixing import Mix
from mmtrain.input_layout import InputLayout, presence_of

PIXELS, NUMBERS = ("image", "volume"), ("vector", "features")
"""Kinds of inputs whose values have a mean; the members of a set and the steps of a series are not of the same place in two rows."""
SHARED_UNIFORMS = 4
"""Uniform numbers of a row: whether it is mixed, its share, and the place of the rectangle."""
QUANTILES = 1025
"""Quantiles of the share, at even distances, between which it is interpolated."""


class Mixing:
    """Mixes the rows of a batch of the network's inputs."""

    def __init__(self, mix: Mix, layout: InputLayout) -> None:
        """`layout` is that of the inputs, as the network takes them."""
        self.mix = mix
        self.stacks = {stack.name: stack for stack in layout.stacks}
        self.kinds = {name: (self.stacks[name].specs[0] if name in self.stacks else layout.specs[name]).kind for name in layout.names}
        averaged = PIXELS if mix.method == "cutmix" else PIXELS + NUMBERS
        self.exchanged = [name for name, kind in self.kinds.items() if kind not in averaged]

    def _is_image(self, name: str) -> bool:
        return self.kinds[name] in PIXELS

    @property
    def uniforms(self) -> int:
        """Uniform numbers that a row takes."""
        return SHARED_UNIFORMS + sum(self._columns(name) for name in self.exchanged)

    def _columns(self, name: str) -> int:
        return len(self.stacks[name].columns) if name in self.stacks else 1

    def apply(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return a batch with mixed inputs; `other` has the labels of the other rows, and all weights are times the shares."""
        uniforms = batch["uniforms"][:, -self.uniforms :]
        share = self._shares(uniforms)
        cut, area = self._rectangles(uniforms, share)
        # The share of the answers follows the pixels that were really replaced.
        share = share if area is None else area
        inputs, first = dict(batch["inputs"]), SHARED_UNIFORMS
        for name in self.kinds:
            mine, presence = batch["inputs"][name], batch["inputs"][presence_of(name)]
            theirs, shown, others = _partner(mine), presence > 0, _partner(presence) > 0
            if name in self.exchanged:
                taken = uniforms[:, first : first + self._columns(name)] >= share[:, None]
                first += self._columns(name)
                inputs[name] = tf.where(self._over(name, taken, mine), theirs, mine)
                present = tf.where(taken, others, shown)
                inputs[presence_of(name)] = tf.cast(present, presence.dtype)
                continue
            both = self._over(name, shown & others, mine)
            mixed = self._cut(mine, theirs, cut) if cut is not None and self._is_image(name) else _mean(mine, theirs, share)
            inputs[name] = tf.where(both, mixed, mine)
        weights = {key: values * share for key, values in batch["weights"].items()}
        labels = {part: batch[part] for part in ("targets", "teacher") if part in batch}
        other = {part: {key: _partner(rows) for key, rows in values.items()} for part, values in labels.items()}
        other["weights"] = {key: _partner(values) * (1.0 - share) for key, values in batch["weights"].items()}
        return {**batch, "inputs": inputs, "weights": weights, "other": other}

    def _shares(self, uniforms: Any) -> Any:
        """Return the share of each row in its mixture, (batch,); 1 in rows that are not mixed."""
        place = uniforms[:, 1] * (QUANTILES - 1)
        below = tf.cast(place, tf.int32)
        quantiles = tf.constant(self._quantiles, tf.float32)
        low, high = tf.gather(quantiles, below), tf.gather(quantiles, tf.minimum(below + 1, QUANTILES - 1))
        share = low + (high - low) * (place - tf.cast(below, tf.float32))
        return tf.where(uniforms[:, 0] < self.mix.probability, share, tf.ones_like(share))

    @cached_property
    def _quantiles(self) -> Any:
        return beta_quantiles(self.mix.strength, QUANTILES)

    def _rectangles(self, uniforms: Any, share: Any) -> tuple[Any, Any]:
        """Return the edges of each row's rectangle as shares of height and width, (batch, 4), and the area outside of it; or None."""
        if self.mix.method == "mixup" or not any(map(self._is_image, self.kinds)):
            return None, None
        half = tf.sqrt(1.0 - share)[:, None] / 2.0
        center = uniforms[:, 2:4]
        start, end = tf.maximum(center - half, 0.0), tf.minimum(center + half, 1.0)
        sides = end - start
        return tf.concat([start, end], axis=1), 1.0 - sides[:, 0] * sides[:, 1]

    def _cut(self, mine: Any, theirs: Any, edges: Any) -> Any:
        """Return pixels, those in the rectangle from the other row; (batch, ..., height, width, channels)."""
        inside = []
        for axis, length in enumerate(mine.shape[-3:-1]):
            places = (tf.range(length, dtype=tf.float32) + 0.5) / float(length)
            inside.append((places >= edges[:, axis, None]) & (places < edges[:, axis + 2, None]))
        both = inside[0][:, :, None] & inside[1][:, None, :]
        shape = [-1, *[1] * (len(mine.shape) - 4), *mine.shape[-3:-1], 1]
        return tf.where(tf.reshape(both, shape), theirs, mine)

    def _over(self, name: str, mask: Any, values: Any) -> Any:
        """Return a mask of rows or of the columns of a stack, (batch, columns), so that it fits the values of the input."""
        stack = self.stacks.get(name)
        if stack is not None:
            places = [stack.positions[column] for column in stack.columns for _ in stack.values([column])]
            return tf.gather(mask, places, axis=1)
        return tf.reshape(tf.reduce_all(mask, axis=1), [-1, *[1] * (len(values.shape) - 1)])


def _partner(rows: Any) -> Any:
    """Return the row before each row of a batch, of the first row the last one."""
    return tf.roll(rows, 1, axis=0)


def _mean(mine: Any, theirs: Any, share: Any) -> Any:
    """Return the weighted mean of two tensors, in their type; of pixels rounded to the nearest level."""
    factor = tf.reshape(share, [-1, *[1] * (len(mine.shape) - 1)])
    mixed = tf.cast(mine, tf.float32) * factor + tf.cast(theirs, tf.float32) * (1.0 - factor)
    return tf.cast(mixed if mine.dtype.is_floating else tf.round(mixed), mine.dtype)


def beta_quantiles(alpha: float, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return `count` quantiles of a Beta(alpha, alpha) distribution at even distances, from 0 to 1.

    The distribution function on the left half, with t = s ** (1 / alpha), is the integral of (1 - s ** (1 / alpha)) ** (alpha - 1) / alpha,
    which is smooth where the density has a pole; the right half is its mirror image.
    """
    ends = np.linspace(0, 0.5**alpha, 4097)
    values = (1 - ends ** (1 / alpha)) ** (alpha - 1)
    # Trapezoids, scaled so that the half has the probability 1/2.
    area = np.append(0, np.cumsum((values[1:] + values[:-1]) / 2))
    half = np.interp(np.linspace(0, 0.5, count // 2 + 1), area / area[-1] / 2, ends) ** (1 / alpha)
    return np.concatenate([half, 1 - half[-2::-1]])
