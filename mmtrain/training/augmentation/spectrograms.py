"""Random changes to the spectrograms of training recordings: shifts in time, noise, and the masks of SpecAugment.

The changes of a row follow from its own uniform random numbers, as those of images.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.columns.pixels.audio_augment import AudioAugment

LOW_32_BITS = 0xFFFFFFFF
"""Mask of the hashes, which are computed in int64, since not every device multiplies unsigned integers."""


def uniforms_for_spectrogram(how: AudioAugment) -> int:
    """Return how many uniform numbers a spectrogram takes: for the shift one, for the noise and for each mask two."""
    return (how.shift > 0) + 2 * (how.noise > 0) + 2 * len(_masks(how))


def augment_spectrograms(pixels: Any, uniforms: Any, how: AudioAugment, levels: int) -> Any:
    """Return changed spectrograms of the same type and shape, (batch, mels, frames, 1).

    Args:
        pixels: Integers from 0 to `levels`; frames are in the order of time.
        uniforms: (batch, `uniforms_for_spectrogram(how)`) uniform random numbers in [0, 1).
        how: Which changes, and how strong.
        levels: The value of full brightness, 255 or 65535.
    """
    values, first = tf.cast(pixels, tf.float32), 0
    if how.shift:
        values, first = _shifted(values, uniforms[:, 0], how.shift), 1
    if how.noise:
        deviation = uniforms[:, first] * how.noise * levels
        values = tf.clip_by_value(values + deviation[:, None, None, None] * _normal(uniforms[:, first + 1], values.shape[1:]), 0.0, levels)
        first += 2
    # As in the paper, whose spectrograms have a mean of 0, masked places become the mean.
    mean = tf.reduce_mean(values, axis=(1, 2, 3), keepdims=True)
    for axis, share in _masks(how):
        values = tf.where(_stripe(uniforms[:, first : first + 2], share, axis, values.shape), mean, values)
        first += 2
    return tf.cast(tf.round(values), pixels.dtype)


def _masks(how: AudioAugment) -> list[tuple[int, float]]:
    """Return the axis and the largest share of each mask."""
    times = [(2, how.time_mask)] * (how.time_masks if how.time_mask else 0)
    return times + [(1, how.frequency_mask)] * (how.frequency_masks if how.frequency_mask else 0)


def _shifted(values: Any, uniform: Any, share: float) -> Any:
    """Return spectrograms that begin up to `share` of their length later or earlier; silence moves in."""
    frames = values.shape[2]
    distance = tf.cast(tf.round((2.0 * uniform - 1.0) * share * frames), tf.int32)
    sources = tf.range(frames)[None] - distance[:, None]
    moved = tf.gather(values, tf.clip_by_value(sources, 0, frames - 1), axis=2, batch_dims=1)
    return tf.where(((sources >= 0) & (sources < frames))[:, None, :, None], moved, 0.0)


def _stripe(uniforms: Any, share: float, axis: int, shape: Any) -> Any:
    """Return the mask of a stripe across one axis, up to `share` of it wide, (batch, mels or 1, frames or 1, 1) bool."""
    width = uniforms[:, :1] * share
    start = uniforms[:, 1:] * (1.0 - width)
    places = (tf.range(shape[axis], dtype=tf.float32) + 0.5) / shape[axis]
    inside = (places >= start) & (places < start + width)
    return inside[:, None, :, None] if axis == 2 else inside[:, :, None, None]


def _normal(uniform: Any, shape: Any) -> Any:
    """Return standard normal numbers, (batch, *shape), that follow from one uniform number of each row alone.

    Each is a hash of the row's number and of its place: generators of TensorFlow would draw for the batch as a whole.
    """
    count = shape.num_elements()
    seed = tf.cast(uniform * 2.0**24, tf.int64)[:, None]
    # The finalizer `lowbias32` of Ellis (2018), twice.
    mixed = _mix((_mix(seed * 0x9E3779B9 & LOW_32_BITS) + tf.range(count, dtype=tf.int64)[None] * 0x85EBCA6B) & LOW_32_BITS)
    drawn = (tf.cast(mixed, tf.float32) + 0.5) / 2.0**32
    # No more than five deviations, where float32 rounds to 1.
    return tf.reshape(tf.clip_by_value(tf.math.ndtri(drawn), -5.0, 5.0), (-1, *shape))


def _mix(numbers: Any) -> Any:
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        numbers = tf.bitwise.bitwise_xor(numbers, tf.bitwise.right_shift(numbers, tf.cast(shift, tf.int64))) * factor & LOW_32_BITS
    return tf.bitwise.bitwise_xor(numbers, tf.bitwise.right_shift(numbers, tf.cast(16, tf.int64)))
