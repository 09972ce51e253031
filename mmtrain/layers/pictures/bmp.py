"""BMP without compression; TensorFlow's own decoder takes the numbers of a palette for greys."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.layers.pictures.binary import cut, little

_OS2 = 12
"""Size of the old header, with sides of two bytes and colours of three."""
_MASKS = {16: (0x7C00, 0x3E0, 0x1F, 0), 24: (0xFF0000, 0xFF00, 0xFF, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
"""Which bits of a pixel are red, green, blue and alpha where the file does not say."""


def size(data: Any) -> tuple[Any, Any]:
    """Height and width; int64. The height is negative in files whose top row comes first."""
    found: tuple[Any, Any] = tf.cond(
        _is_old(data),
        lambda: (little(data, 20, 2), little(data, 18, 2)),
        lambda: (tf.abs(_signed(little(data, 22, 4))), little(data, 18, 4)),
    )
    return found


def _is_old(data: Any) -> Any:
    return tf.equal(little(data, 14, 4), _OS2)


def _signed(number: Any) -> Any:
    return tf.where(number >= 2**31, number - 2**32, number)


def bmp(data: Any) -> Any:
    """(height, width, 4) uint8."""
    depth = tf.cond(_is_old(data), lambda: little(data, 24, 2), lambda: little(data, 28, 2))
    compression = tf.cond(_is_old(data), lambda: tf.constant(0, tf.int64), lambda: little(data, 30, 4))
    by_palette = [(tf.equal(depth, bits), lambda bits=bits: _of_palette(data, bits)) for bits in (1, 4, 8)]
    by_masks = [(tf.equal(depth, bits), lambda bits=bits: _of_masks(data, bits, compression)) for bits in (16, 24, 32)]
    allowed = tf.equal(compression, 0) | (tf.equal(compression, 3) & (depth >= 16))
    known = tf.reduce_any([allowed & chosen for chosen, _ in [*by_palette, *by_masks]])
    with tf.control_dependencies([tf.debugging.assert_equal(known, True)]):
        pixels = tf.case([*by_palette, *by_masks])
    upwards = tf.cond(_is_old(data), lambda: tf.constant(True), lambda: _signed(little(data, 22, 4)) > 0)
    return tf.cond(upwards, lambda: tf.reverse(pixels, [0]), lambda: pixels)


def _rows(data: Any, depth: int) -> tuple[Any, Any]:
    """Bytes of the rows, (height, bytes), which are whole numbers of four, and the width in pixels."""
    height, width = size(data)
    stride = (width * depth + 31) // 32 * 4
    return tf.reshape(cut(data, little(data, 10, 4), height * stride), tf.stack([height, stride])), width


def _of_palette(data: Any, depth: int) -> Any:
    rows, width = _rows(data, depth)
    shifts = tf.constant(list(range(8 - depth, -1, -depth)), tf.int32)
    numbers = tf.bitwise.right_shift(tf.cast(rows, tf.int32)[..., None], shifts) & (2**depth - 1)  # (height, bytes, pixels of a byte)
    numbers = tf.reshape(numbers, tf.stack([tf.shape(rows)[0], -1]))[:, :width]
    start = little(data, 14, 4) + 14
    length = tf.cast(tf.where(_is_old(data), 3, 4), tf.int64)
    told = tf.cond(_is_old(data), lambda: tf.constant(0, tf.int64), lambda: little(data, 46, 4))
    most = tf.constant(2**depth, tf.int64)
    count = tf.minimum(tf.where(tf.equal(told, 0), most, told), most)
    palette = tf.reshape(cut(data, start, count * length), tf.stack([count, length]))[:, 2::-1]
    colours = tf.pad(palette, [[0, most - count], [0, 1]], constant_values=tf.constant(255, tf.uint8))
    return tf.gather(tf.ensure_shape(colours, (None, 4)), numbers)


def _of_masks(data: Any, depth: int, compression: Any) -> Any:
    rows, width = _rows(data, depth)
    samples = tf.cast(tf.reshape(rows[:, : width * (depth // 8)], tf.stack([tf.cast(tf.shape(rows)[0], tf.int64), width, depth // 8])), tf.int64)
    pixels = tf.reduce_sum(samples * tf.constant([256**place for place in range(depth // 8)], tf.int64), axis=2)
    plain = tf.constant(_MASKS[depth], tf.int64)
    masks = tf.unstack(tf.cond(tf.equal(compression, 3), lambda: _told_masks(data), lambda: plain), num=4)
    colours = [_sample(pixels, mask) for mask in masks[:3]]
    alpha = tf.cond(tf.equal(masks[3], 0), lambda: tf.fill(tf.shape(pixels), tf.constant(255, tf.int64)), lambda: _sample(pixels, masks[3]))
    return tf.cast(tf.stack([*colours, alpha], axis=2), tf.uint8)


def _told_masks(data: Any) -> Any:
    """Red, green, blue and, from the third header on, alpha; no mask at all means those of blue, green, red and alpha."""
    alpha = tf.cond(little(data, 14, 4) >= 56, lambda: little(data, 66, 4), lambda: tf.constant(0, tf.int64))
    told = tf.stack([little(data, 54, 4), little(data, 58, 4), little(data, 62, 4), alpha])
    return tf.where(tf.reduce_all(tf.equal(told, 0)), tf.constant([0xFF0000, 0xFF00, 0xFF, 0xFF000000], tf.int64), told)


def _sample(pixels: Any, mask: Any) -> Any:
    """The bits of `mask` stretched to 0..255, rounded down."""
    lowest = tf.maximum(mask & -mask, 1)
    return (pixels & mask) // lowest * 255 // tf.maximum(mask // lowest, 1)
