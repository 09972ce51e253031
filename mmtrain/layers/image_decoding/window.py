"""Samples to levels of brightness, with the arithmetic of `mmtrain.image_decoding.window`."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.image_decoding import Layout
from mmtrain.image_decoding.window import MOST_RANKED, TAILS


def to_levels(samples: Any, layout: Layout) -> Any:
    """Return (height, width, 1 or 3) float32 levels of samples of that shape."""
    if isinstance(layout.window, tuple):
        low, high = (np.float64(edge) for edge in layout.window)
    else:
        low, high = (tf.cast(edge, tf.float64) for edge in percentiles(samples))
    # The factor is rounded to float32 once, as NumPy rounds it.
    factor = tf.cast(layout.top / (high - low), tf.float32)
    # `tf.sort` forgets that the edges are scalars.
    levels = tf.clip_by_value((samples - tf.cast(low, tf.float32)) * factor, 0.0, float(layout.top))
    return tf.ensure_shape(levels, (None, None, layout.channels))


def percentiles(samples: Any) -> tuple[Any, Any]:
    """Return the samples at the ranks of `window: percentile`, low and high."""
    flat = tf.reshape(samples, [-1])
    flat = flat[:: tf.maximum(-(-tf.size(flat) // MOST_RANKED), 1)]
    ordered, last = tf.sort(flat), tf.size(flat, tf.int64) - 1
    cut = last * TAILS // 1000
    low, high = tf.gather(ordered, cut), tf.gather(ordered, last - cut)
    return low, tf.where(high > low, high, low + 1)
