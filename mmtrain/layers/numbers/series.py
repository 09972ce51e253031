"""Preprocessing of series: lists of numbers in the order of time, to steps of equal shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mmtrain.layers.encoding import Encode, presence
from mmtrain.layers.numbers.number_lists import parse_lists

ROUNDING = 1e-9
MOST_PLACES = 2.0**40
"""Maximum number of steps between the first and the last value of a row."""


@keras.saving.register_keras_serializable(package="mmtrain")
class EncodeSequence(Encode):
    """(batch, columns) lists to (batch, length, width) float32, and presence: a step a row, zeros behind the last one.

    The columns are those of values, in the order of `center`, and with `timed` one of times behind them. A step has its values, `(value -
    center) / scale` or 0 where there is none, then 1 or 0 for each value that is there, then with `timed` and without `step`
    ln(1 + time since the step before). With a `step`, values between two multiples of it, counted from the first time of the row, are one
    step with their mean. Times without any value are not steps; in a grid, and without times, they are zeros. Of more than `length` steps
    the last ones are kept, with `from_start` the first.
    """

    def __init__(
        self,
        *,
        length: int,
        center: Sequence[float],
        scale: Sequence[float],
        timed: bool,
        step: float,
        from_start: bool,
        masked: bool,
        **kwargs: Any,
    ) -> None:
        settings: dict[str, Any] = {"length": length, "center": list(center), "scale": list(scale), "timed": timed, "step": step}
        super().__init__({**settings, "from_start": from_start, "masked": masked}, **kwargs)
        self._width = 2 * len(settings["center"]) + int(timed and not step)

    def call(self, raw: Any) -> tuple[Any, Any]:
        settings = self.settings
        channels = len(settings["center"])
        values, observed, times, _ = steps(
            raw, channels, timed=settings["timed"], step=settings["step"], most=settings["length"], from_start=settings["from_start"]
        )
        center, scale = (np.array(settings[name], np.float64) for name in ("center", "scale"))
        scaled = tf.cast(tf.where(observed, (values - center) / scale, tf.zeros_like(values)), tf.float32)
        pieces = [scaled, tf.cast(observed, tf.float32)]
        if settings["timed"] and not settings["step"]:
            there = tf.reduce_any(observed, axis=2)
            follows = there & tf.pad(there[:, :-1], [[0, 0], [1, 0]])
            since = tf.math.log1p(tf.maximum(times - tf.pad(times[:, :-1], [[0, 0], [1, 0]]), 0))
            pieces.append(tf.where(follows, tf.cast(since, tf.float32), 0.0)[:, :, None])
        encoded = tf.ensure_shape(tf.concat(pieces, axis=2), (None, settings["length"], self._width))
        known = tf.reduce_any(observed, axis=(1, 2))[:, None]
        return encoded, presence(known, settings["masked"])

    def compute_output_spec(self, raw: Any) -> tuple[Any, Any]:
        shape = (raw.shape[0], self.settings["length"], self._width)
        return keras.KerasTensor(shape, "float32"), keras.KerasTensor((raw.shape[0], 1), "float32")


def steps(raw: Any, channels: int, *, timed: bool, step: float, most: int, from_start: bool) -> tuple[Any, Any, Any, Any]:
    """Return values (n, most, channels) float64, which are there, their times (n, most), and the number of steps of each row, (n,).

    Lists of one row that differ in length are read up to the longest; the number of steps is that before any is cut off.
    """
    lists = [parse_lists(raw[:, place]) for place in range(channels + int(timed))]
    longest = tf.reduce_max(tf.stack([one.bounding_shape(axis=1) for one in lists]))
    dense = tf.stack([_padded(one, longest) for one in lists], axis=2)
    values, times = dense[:, :, :channels], dense[:, :, channels] if timed else tf.zeros_like(dense[:, :, 0])
    observed = tf.math.is_finite(values) & tf.math.is_finite(times)[:, :, None]
    there = tf.reduce_any(observed, axis=2)  # (n, places)
    places = tf.broadcast_to(tf.range(tf.cast(longest, tf.int64))[None, :], tf.shape(there, tf.int64))
    if timed and not step:
        # Events without a value are left out, so that the time since the step before is that since the last value.
        places = tf.cumsum(tf.cast(there, tf.int64), axis=1) - 1
    if step:
        first = tf.reduce_min(tf.where(there, times, np.inf), axis=1, keepdims=True)
        # 0.3 / 0.1 is a little less than 3.
        since = tf.floor((times - first) / step + ROUNDING)
        places = tf.cast(tf.where(there, tf.clip_by_value(since, 0, MOST_PLACES), 0), tf.int64)
    count = tf.reduce_max(tf.where(there, places + 1, 0), axis=1)
    # A list may be empty: the largest of no numbers is the smallest number.
    count = tf.maximum(count, 0)
    begin = tf.zeros_like(count) if from_start else tf.maximum(count - most, 0)
    position = places - begin[:, None]
    there &= (position >= 0) & (position < most)
    rows = tf.range(tf.size(count, tf.int64))[:, None]
    # Each row has `most` segments, and one behind all others takes what is left out.
    segments = tf.reshape(tf.where(there, rows * most + position, tf.size(count, tf.int64) * most), (-1,))

    def sum_by_step(numbers: Any, width: int) -> Any:
        summed = tf.math.unsorted_segment_sum(tf.reshape(numbers, (-1, width)), segments, tf.size(count, tf.int64) * most + 1)
        return tf.reshape(summed[:-1], (-1, most, width))

    counts = sum_by_step(tf.cast(observed, tf.float64), channels)
    sums = sum_by_step(tf.where(observed, values, tf.zeros_like(values)), channels)
    moments = sum_by_step(tf.where(there, times, tf.zeros_like(times)), 1)[:, :, 0]
    return tf.math.divide_no_nan(sums, counts), counts > 0, moments, count


def _padded(lists: Any, width: Any) -> Any:
    """Return ragged lists as (n, width), with NaN behind the last number."""
    dense = lists.to_tensor(default_value=np.float64("nan"))
    return tf.pad(dense, [[0, 0], [0, width - tf.shape(dense, tf.int64)[1]]], constant_values=np.float64("nan"))


@keras.saving.register_keras_serializable(package="mmtrain")
class StepFlags(keras.layers.Layer):  # type: ignore[misc]
    """(batch, length, width) steps to (batch, length) int32: 1 for a step with a value, else 0. The flags are behind `channels` values."""

    def __init__(self, *, channels: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels = channels

    def call(self, steps: Any) -> Any:
        return tf.cast(tf.reduce_any(steps[:, :, self.channels : 2 * self.channels] > 0, axis=2), tf.int32)

    def compute_output_spec(self, steps: Any) -> Any:
        return keras.KerasTensor(steps.shape[:2], "int32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "channels": self.channels}
