"""BMP without compression; TensorFlow's own decoder takes the numbers of a palette for greys."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.layers.pictures.binary import cut, little, peek, required

_OS2 = 12
"""Size of the old header, with sides of two bytes and colours of three."""
_RAW, _BIT_FIELDS = 0, 3
"""Kinds of compression that are none."""
_ALPHA_FROM = 56
"""Size of the first header that has a mask for alpha."""


def size(data: Any) -> tuple[Any, Any]:
    """Height and width; int64. The height is negative in files whose top row comes first."""
    old = _is_old(data)
    return tf.where(old, little(data[20:22]), tf.abs(_signed_height(data))), tf.where(old, little(data[18:20]), little(data[18:22]))


def _is_old(data: Any) -> Any:
    return tf.equal(little(cut(data, 14, 4)), _OS2)


def _signed_height(data: Any) -> Any:
    told = little(peek(data, 22, 4))
    return tf.where(told >= 2**31, told - 2**32, told)


def bmp(data: Any) -> Any:
    """(height, width, 4) uint8."""
    old = _is_old(data)
    depth = tf.where(old, little(peek(data, 24, 2)), little(peek(data, 28, 2)))
    compression = tf.where(~old, little(peek(data, 30, 4)), _RAW)
    known = tf.reduce_any(tf.equal(depth, [1, 4, 8, 16, 24, 32])) & (
        tf.equal(compression, _RAW) | (tf.equal(compression, _BIT_FIELDS) & (depth >= 16))
    )
    (depth,) = required(known, [depth])
    pixels = tf.cond(depth <= 8, lambda: _of_palette(data, depth), lambda: _of_masks(data, depth, tf.equal(compression, _BIT_FIELDS)))
    return tf.reverse(pixels, tf.boolean_mask([0], [old | (_signed_height(data) > 0)]))  # the last row comes first


def _rows(data: Any, depth: Any) -> tuple[Any, Any]:
    """Bytes of the rows, (height, bytes), which are whole numbers of four, and the width in pixels."""
    height, width = size(data)
    stride = (width * depth + 31) // 32 * 4
    return tf.reshape(cut(data, little(data[10:14]), height * stride), tf.stack([height, stride])), width


def _of_palette(data: Any, depth: Any) -> Any:
    rows, width = _rows(data, depth)
    most = tf.bitwise.left_shift(tf.constant(1, tf.int64), depth)
    shifts = tf.cast(tf.range(8 - depth, -1, -depth), tf.uint8)
    numbers = tf.bitwise.right_shift(rows[..., None], shifts) & tf.cast(most - 1, tf.uint8)  # (height, bytes, pixels of a byte)
    numbers = tf.reshape(numbers, tf.stack([tf.shape(rows)[0], -1]))[:, :width]
    old = _is_old(data)
    length = tf.where(old, tf.constant(3, tf.int64), 4)
    told = tf.where(~old, little(peek(data, 46, 4)), 0)
    count = tf.minimum(tf.where(tf.equal(told, 0), most, told), most)
    palette = tf.reshape(cut(data, 14 + little(data[14:18]), count * length), tf.stack([count, length]))[:, 2::-1]
    colours = tf.pad(palette, [[0, most - count], [0, 1]], constant_values=tf.constant(255, tf.uint8))
    return tf.gather(tf.ensure_shape(colours, (None, 4)), tf.cast(numbers, tf.int32))


def _of_masks(data: Any, depth: Any, told: Any) -> Any:
    rows, width = _rows(data, depth)
    count = depth // 8
    samples = tf.reshape(rows[:, : width * count], tf.stack([tf.shape(rows, tf.int64)[0], width, count]))
    weights = tf.constant([1, 256, 256**2, 256**3], tf.int64)[:count]
    pixels = tf.reduce_sum(tf.cast(samples, tf.int64) * weights, axis=2)
    plain = tf.where(tf.equal(depth, 16), tf.constant([0x7C00, 0x3E0, 0x1F, 0], tf.int64), [0xFF0000, 0xFF00, 0xFF, 0])
    masks = tf.where(told, _told_masks(data), plain)
    lowest = tf.maximum(masks & -masks, 1)
    # The bits of each mask stretched to 0..255, rounded down; (height, width, 4).
    found = (pixels[..., None] & masks) // lowest * 255 // tf.maximum(masks // lowest, 1)
    return tf.cast(tf.where([True, True, True, False] | tf.not_equal(masks, 0), found, 255), tf.uint8)


def _told_masks(data: Any) -> Any:
    """Red, green, blue and, from the third header on, alpha; no mask at all means those of blue, green, red and alpha."""
    alpha = tf.where(little(data[14:18]) >= _ALPHA_FROM, little(peek(data, 66, 4)), 0)
    told = tf.stack([*(little(peek(data, 54 + 4 * place, 4)) for place in range(3)), alpha])
    return tf.where(tf.reduce_all(tf.equal(told, 0)), tf.constant([0xFF0000, 0xFF00, 0xFF, 0xFF000000], tf.int64), told)
