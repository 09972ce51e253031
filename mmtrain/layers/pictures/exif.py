"""The orientation that an EXIF part tells, and turning a picture upright by it; as `mmtrain.pixels` does."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.layers.pictures.binary import is_at

_ENTRY = 12
"""Bytes of one entry of a directory: tag 2, type 2, count 4, value 4."""


def orientation(exif: Any) -> Any:
    """1 to 8 of a TIFF structure (CIPA DC-008) in a vector of bytes; 1 where it is absent or broken. int32."""
    exif = tf.concat([exif, tf.zeros((14,), tf.uint8)], axis=0)  # what is not there is read as zero
    little, huge = is_at(exif, 0, b"II"), is_at(exif, 0, b"MM")
    return tf.where(little | huge, _of_directory(exif, little=little), 1)


def _of_directory(exif: Any, *, little: Any) -> Any:
    """Of the first directory; its entries are compared all at once."""
    length = tf.size(exif, out_type=tf.int64)
    start = _numbers(exif[4:8], little)
    start = tf.where(start + 2 <= length, start, length - 2)
    count = _numbers(exif[start : start + 2], little)
    count = tf.minimum(count, (length - start - 2) // _ENTRY)
    entries = tf.reshape(exif[start + 2 : start + 2 + count * _ENTRY], (-1, _ENTRY))  # (entries, 12)
    tag, kind = _numbers(entries[:, 0:2], little), _numbers(entries[:, 2:4], little)
    # SHORT as the standard says, LONG as some cameras write.
    value = tf.where(tf.equal(kind, 3), _numbers(entries[:, 8:10], little), _numbers(entries[:, 8:12], little))
    found = tf.boolean_mask(value, tf.equal(tag, 0x0112) & (tf.equal(kind, 3) | tf.equal(kind, 4)))
    first = tf.concat([found, [1]], axis=0)[0]
    return tf.cast(tf.where((first >= 1) & (first <= 8), first, 1), tf.int32)


def _numbers(digits: Any, little: Any) -> Any:
    """(..., bytes) to (...) int64."""
    ordered = tf.where(little, tf.reverse(digits, [-1]), digits)
    weights = tf.constant([256**3, 256**2, 256, 1], tf.int64)[-tf.shape(digits)[-1] :]
    return tf.reduce_sum(tf.cast(ordered, tf.int64) * weights, axis=-1)


def upright(pixels: Any, turn: Any) -> Any:
    """(height, width, channels) turned back from orientation `turn`: mirrored first, then the sides exchanged."""
    upside_down = tf.reduce_any(tf.equal(turn, [3, 4, 6, 7]))
    mirrored = tf.reduce_any(tf.equal(turn, [2, 3, 7, 8]))
    flipped = tf.reverse(pixels, tf.boolean_mask([0, 1], tf.stack([upside_down, mirrored])))
    return tf.ensure_shape(tf.transpose(flipped, tf.where(turn >= 5, [1, 0, 2], [0, 1, 2])), (None, None, pixels.shape[-1]))
