"""Random changes to training pictures, inside the compiled step.

All geometry is one affine transform and one resampling, all colour one multiplication and one addition. What happens to a
row follows from its own uniform numbers (`batches.chances`), eight per image column.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.columns.image import Augment

CHANCES = 8
"""Uniform numbers per picture: two flips, rotation, two shifts, zoom, brightness, contrast."""


def augmented(pixels: Any, chances: Any, how: Augment, levels: int) -> Any:
    """Changed pixels of the same type: (batch, height, width, channels), `chances` (batch, 8) in [0, 1)."""
    changed = tf.cast(pixels, tf.float32)
    if how.moves:
        changed = _moved(changed, chances, how)
    if how.recolours:
        changed = _recoloured(changed, chances, how, float(levels))
    return tf.cast(tf.clip_by_value(tf.round(changed), 0.0, float(levels)), pixels.dtype)


def _signed(chance: Any) -> Any:
    return chance * 2.0 - 1.0


def _moved(pixels: Any, chances: Any, how: Augment) -> Any:
    """Flip, rotate, zoom and shift about the centre; what comes in from outside repeats the edge."""
    shape = tf.shape(pixels)
    height, width = tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    one = tf.ones_like(chances[:, 0])
    flip_x = tf.where(chances[:, 0] < 0.5, -one, one) if how.flip in ("horizontal", "both") else one
    flip_y = tf.where(chances[:, 1] < 0.5, -one, one) if how.flip in ("vertical", "both") else one
    angle = _signed(chances[:, 2]) * how.rotate * 3.141592653589793 / 180.0
    shift_x = _signed(chances[:, 3]) * how.shift * width
    shift_y = _signed(chances[:, 4]) * how.shift * height
    scale = 1.0 / (1.0 + _signed(chances[:, 5]) * how.zoom)  # from a place in the result to a place in the source
    cosine, sine = tf.cos(angle) * scale, tf.sin(angle) * scale
    center_x, center_y = (width - 1.0) / 2.0, (height - 1.0) / 2.0
    a0, a1 = cosine * flip_x, -sine * flip_x
    b0, b1 = sine * flip_y, cosine * flip_y
    a2 = center_x - a0 * (center_x + shift_x) - a1 * (center_y + shift_y)
    b2 = center_y - b0 * (center_x + shift_x) - b1 * (center_y + shift_y)
    zero = tf.zeros_like(one)
    transforms = tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)  # (batch, 8)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels, transforms=transforms, output_shape=shape[1:3], interpolation="BILINEAR", fill_mode="NEAREST", fill_value=0.0
    )


def _recoloured(pixels: Any, chances: Any, how: Augment, levels: float) -> Any:
    """Contrast about the middle grey, then brightness: one multiplication and one addition."""
    contrast = (1.0 + _signed(chances[:, 7]) * how.contrast)[:, None, None, None]
    brightness = (_signed(chances[:, 6]) * how.brightness * levels)[:, None, None, None]
    return pixels * contrast + (levels / 2.0 * (1.0 - contrast) + brightness)
