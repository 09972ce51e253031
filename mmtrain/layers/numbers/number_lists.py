"""Preprocessing of cells that hold several numbers.

A cell is a list such as `[0.5, 1, null]`: brackets and quotes are left out, numbers are separated by commas, semicolons or blanks, and what
is not a number counts as missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtrain.layers.encoding import Encode, presence
from mmtrain.text.number_lists import AROUND, BETWEEN, NUMBER


def parse_lists(texts: Any) -> Any:
    """Return the numbers of texts (n,), ragged (n, any) float64, NaN in the place of other words and of numbers beyond float32."""
    spaced = tf.strings.regex_replace(tf.strings.regex_replace(texts, AROUND, " "), BETWEEN, " ")
    words = tf.strings.split(spaced)
    flat = words.flat_values
    numbers = tf.strings.to_number(tf.where(tf.strings.regex_full_match(flat, NUMBER), flat, "nan"), tf.float64)
    numbers = tf.where(tf.abs(numbers) <= np.finfo(np.float32).max, numbers, np.float64("nan"))
    return words.with_flat_values(numbers)


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeEmbedding(Encode):
    """(batch, 1) lists of `width` numbers to (batch, width) float32, and presence; a list of another length is missing.

    With `unit_length` each vector is divided by its length, in float64. Then `(value - center) / scale` is computed for each number and
    rounded once. `fill` are the encoded numbers of a missing vector; with `indicator`, 1 follows for a missing one, else 0.
    """

    def __init__(
        self,
        *,
        width: int,
        unit_length: bool,
        center: Sequence[float],
        scale: Sequence[float],
        fill: Sequence[float],
        indicator: bool,
        masked: bool,
        **kwargs: Any,
    ) -> None:
        settings = {"width": width, "unit_length": unit_length, "center": list(center), "scale": list(scale), "fill": list(fill)}
        super().__init__({**settings, "indicator": indicator, "masked": masked}, **kwargs)

    def call(self, raw: Any) -> tuple[Any, Any]:
        settings = self.settings
        values, known = vectors(tf.reshape(raw, (-1,)), settings["width"], unit_length=settings["unit_length"])
        center, scale, fill = (np.array([settings[name]], np.float64) for name in ("center", "scale", "fill"))
        encoded = tf.where(known, tf.cast((values - center) / scale, tf.float32), fill.astype(np.float32))
        if settings["indicator"]:
            encoded = tf.concat([encoded, 1.0 - tf.cast(known, tf.float32)], axis=1)
        return encoded, presence(known, settings["masked"])

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        width = self.settings["width"] + int(self.settings["indicator"])
        return keras.KerasTensor((raw.shape[0], width), "float32"), keras.KerasTensor((raw.shape[0], 1), "float32")


def vectors(texts: Any, width: int, *, unit_length: bool) -> tuple[Any, Any]:
    """Return the vectors of texts (n,), (n, width) float64, and which of them have `width` numbers, (n, 1)."""
    lists = parse_lists(texts)
    # One number more than the width: a longer list is not cut to a vector.
    dense = tf.ensure_shape(lists.to_tensor(default_value=np.float64("nan"), shape=(None, width + 1)), (None, width + 1))
    values = dense[:, :width]
    known = tf.equal(lists.row_lengths(), width)[:, None] & tf.reduce_all(tf.math.is_finite(values), axis=1, keepdims=True)
    if unit_length:
        length = tf.norm(values, axis=1, keepdims=True)
        known &= length > 0
        values = values / length
    return tf.where(known, values, tf.zeros_like(values)), known
