"""What a row is compared with: an input that says as little as an input of its kind can."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmtrain.columns import FittedColumn
from mmtrain.data import encode
from mmtrain.data.drift.statistics import ImageStatistics, NumericStatistics, Statistics
from mmtrain.data.encode import Array, Fitted
from mmtrain.specs import ImageSpec, VectorSpec

GREY = 0.5
"""Where nothing is known of the brightness of training images."""


def baseline(fitted: Fitted, statistics: Statistics) -> dict[str, Array]:
    """The encoded values, (1, ...), at which columns of numbers and of images begin.

    A number begins at the training median; an image as a plain one, as bright as training images are on average: a black one would
    explain nothing by dark places. Numbers of which no median is known begin at 0. Categories and words begin at the zero vector.
    """
    found: dict[str, Array] = {}
    medians: dict[str, tuple[FittedColumn, float]] = {}
    for key, column in fitted.columns.items():
        known, spec = statistics.columns.get(key), column.spec
        if isinstance(spec, ImageSpec):
            found[key] = _plain(spec, known.brightness if isinstance(known, ImageStatistics) else GREY)
        elif isinstance(known, NumericStatistics):
            medians[key] = (column, known.quartiles[1])
        elif isinstance(spec, VectorSpec):
            found[key] = np.zeros((1, *spec.shape), dtype=spec.dtype)
    return found | _encoded(medians)


def words(fitted: Fitted, statistics: Statistics) -> dict[str, str]:
    """The same in words, by column."""
    found = {}
    for key, column in fitted.columns.items():
        known = statistics.columns.get(key)
        if isinstance(known, NumericStatistics):
            found[key] = f"the training median, {known.quartiles[1]:g}"
        elif isinstance(known, ImageStatistics):
            found[key] = f"a plain image as bright as training images are on average, {100 * known.brightness:.0f} %"
        else:
            kinds = {"image": "a plain grey image", "vector": "zero", "index": "no category"}
            found[key] = kinds.get(column.spec.kind, "no words")
    return found


def _plain(spec: ImageSpec, brightness: float) -> Array:
    """An image of one grey; opaque, where there is a channel of opacity."""
    image = np.full((1, *spec.shape), round(brightness * spec.levels), dtype=spec.dtype)
    if spec.shape[-1] == 4:
        image[..., 3] = spec.levels
    return image


def _encoded(numbers: dict[str, tuple[FittedColumn, float]]) -> dict[str, Array]:
    """Numbers as the columns' own preprocessing encodes them."""
    if not numbers:
        return {}
    import tensorflow as tf

    raw = {key: tf.constant(column.raw(pd.Series([repr(number)], dtype="str"))) for key, (column, number) in numbers.items()}
    found = encode.encoder({key: column for key, (column, _) in numbers.items()})(raw)
    return {key: found[key].numpy() for key in numbers}
