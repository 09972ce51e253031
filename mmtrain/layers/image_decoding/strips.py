"""Large images in strips: what whole-number arithmetic needs besides an image never grows with the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

PIXELS = 1 << 18
"""Pixels of a strip. At 60 bytes each, the most that any step here takes, 16 MB."""


def by_strips(function: Callable[[Any], Any], pixels: Any, channels: int) -> Any:
    """`function` of (pixels, n) to (pixels, channels) uint8, which looks at each pixel alone, over (height, width, n)."""
    height, width = tf.unstack(tf.shape(pixels)[:2])
    flat = tf.reshape(pixels, [-1, pixels.shape[2] or tf.shape(pixels)[2]])
    strips = -(-tf.shape(flat)[0] // PIXELS)
    found = tf.TensorArray(tf.uint8, size=strips, element_shape=(None, channels), infer_shape=False)

    def step(number: Any, done: Any) -> tuple[Any, Any]:
        return number + 1, done.write(number, function(flat[number * PIXELS : (number + 1) * PIXELS]))

    done = tf.while_loop(lambda number, _: number < strips, step, (0, found), parallel_iterations=1)[1]
    return tf.ensure_shape(tf.reshape(done.concat(), [height, width, channels]), (None, None, channels))
