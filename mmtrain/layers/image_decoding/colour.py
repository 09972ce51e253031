"""Colours by the whole-number arithmetic of Pillow's, so that pixels come out the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from mmtrain.image_decoding.colour import grey

PIXELS = 1 << 18
"""Pixels of a strip. At 60 bytes each, the most that any step here takes, 16 MB."""


def by_strips(function: Callable[[Any], Any], pixels: Any, channels: int) -> Any:
    """`function` of (pixels, n) to (pixels, channels) uint8, which looks at each pixel alone, over (height, width, n)."""
    height, width = tf.unstack(tf.shape(pixels)[:2])
    flat = tf.reshape(pixels, [-1, pixels.shape[2] or tf.shape(pixels)[2]])
    strips = -(-tf.shape(flat)[0] // PIXELS)
    empty = tf.TensorArray(tf.uint8, size=strips, element_shape=(None, channels), infer_shape=False)

    def step(number: Any, done: Any) -> tuple[Any, Any]:
        return number + 1, done.write(number, function(flat[number * PIXELS : (number + 1) * PIXELS]))

    done = tf.while_loop(lambda number, _: number < strips, step, (0, empty), parallel_iterations=1)[1]
    return tf.ensure_shape(tf.reshape(done.concat(), [height, width, channels]), (None, None, channels))


def opaque(pixels: Any, channels: int) -> Any:
    """(height, width, 3) uint8 with 1, 3 or 4 channels."""
    if channels == 1:
        return by_strips(_luma, pixels, 1)
    if channels == 4:
        return tf.pad(pixels, [[0, 0], [0, 0], [0, 1]], constant_values=tf.constant(255, tf.uint8))
    return pixels


def transparent(pixels: Any, channels: int, background: tuple[int, int, int]) -> Any:
    """(height, width, 4) uint8 with 1, 3 or 4 channels; with fewer than 4 it lies on `background`."""
    if channels == 4:
        return pixels
    return by_strips(lambda strip: _luma(_over(strip, background)) if channels == 1 else _over(strip, background), pixels, channels)


def _luma(pixels: Any) -> Any:
    """ITU-R BT.601 in 16 bits of fraction; (pixels, 1)."""
    wide = tf.cast(pixels, tf.int32)
    total = wide[..., 0:1] * 19595 + wide[..., 1:2] * 38470 + wide[..., 2:3] * 7471 + 0x8000
    return tf.cast(tf.bitwise.right_shift(total, 16), tf.uint8)


def _over(pixels: Any, background: tuple[int, int, int]) -> Any:
    """Porter and Duff's over (1984), with an opaque image below; (pixels, 3)."""
    wide = tf.cast(pixels, tf.int32)
    alpha = wide[..., 3:4]
    total = (wide[..., :3] * alpha + tf.constant(background, tf.int32) * (255 - alpha)) * 128 + 0x80 * 128
    shifted = tf.bitwise.right_shift(tf.bitwise.right_shift(total, 8) + total, 8)
    return tf.cast(tf.bitwise.right_shift(shifted, 7), tf.uint8)


def multiply_by_alpha(pixels: Any) -> Any:
    """Return (height, width, 4) uint8 with its colours multiplied by alpha, as they are averaged."""
    return by_strips(_multiplied, pixels, 4)


def _multiplied(pixels: Any) -> Any:
    wide = tf.cast(pixels, tf.int32)
    product = wide[..., :3] * wide[..., 3:4] + 128
    shifted = tf.bitwise.right_shift(tf.bitwise.right_shift(product, 8) + product, 8)
    return tf.concat([tf.cast(shifted, tf.uint8), pixels[..., 3:4]], axis=1)


def divide_by_alpha(pixels: Any) -> Any:
    """Return the inverse of `multiply_by_alpha`, up to rounding."""
    wide = tf.cast(pixels, tf.int32)
    alpha = wide[..., 3:4]
    quotient = tf.minimum(255 * wide[..., :3] // tf.maximum(alpha, 1), 255)
    colours = tf.where((alpha == 255) | (alpha == 0), wide[..., :3], quotient)
    return tf.concat([tf.cast(colours, tf.uint8), pixels[..., 3:4]], axis=2)


def fill(background: tuple[int, int, int], channels: int) -> tuple[int, ...]:
    """The pixel around a padded image."""
    return {1: (grey(background),), 3: background, 4: (*background, 255)}[channels]
