"""The orientation that an EXIF part tells, and turning an image upright by it; as `mmtrain.image_decoding` does."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.layers.image_decoding.byte_reader import Number, either, read, spelled, weights

_ENTRY = 12
"""Bytes of one entry of a directory: tag 2, type 2, count 4, value 4."""

_TURNS = range(9)
_MIRRORED = np.array([[turn in (3, 4, 6, 7), turn in (2, 3, 7, 8)] for turn in _TURNS])
"""For each orientation whether it turns the image upside down and whether it exchanges left and right."""
_SIDES = np.array([[1, 0, 2] if turn >= 5 else [0, 1, 2] for turn in _TURNS], np.int32)


def orientation(exif: Any, otherwise: Any) -> Any:
    """1 to 8 of a TIFF structure (CIPA DC-008) in a vector of bytes; `otherwise` where it is absent or broken. int64."""
    exif = tf.concat([exif, tf.zeros((14,), tf.uint8)], axis=0)  # what is not there is read as zero
    order, *starts = read(tf.slice(exif, [0], [8]), Number(0, 2), Number(4, 4), Number(4, 4, big=True))
    little = tf.equal(order, spelled(b"II"))
    # Of the first directory; its entries are compared all at once.
    length = tf.size(exif, tf.int64)
    start = tf.where(little, *starts)
    start = tf.where(start + 2 <= length, start, length - 2)
    count = tf.where(little, *read(tf.slice(exif, [start], [2]), Number(0, 2), Number(0, 2, big=True)))
    count = tf.minimum(count, (length - start - 2) // _ENTRY)
    entries = tf.reshape(tf.slice(exif, [start + 2], [count * _ENTRY]), (-1, _ENTRY))
    first = _told(entries, little)
    known = little | tf.equal(order, spelled(b"MM"))
    return tf.where(known & (first >= 1) & (first <= 8), first, otherwise)


def _told(entries: Any, little: Any) -> Any:
    """Return the orientation in the first entry that has one; 0 without any. `entries` are (entries, 12)."""
    places = ((0, 2), (2, 2), (8, 2), (8, 4))
    both = (weights([Number(*place, big) for place in places], _ENTRY).T for big in (False, True))
    digits = tf.pad(tf.cast(entries, tf.int64), [[0, 1], [0, 0]])  # the last tells nothing
    tag, kind, short, long = tf.unstack(tf.matmul(digits, tf.where(little, *both)), axis=1)
    # SHORT as the standard says, LONG as some cameras write.
    is_orientation = tf.equal(tag, 0x0112) & (tf.equal(kind, 3) | tf.equal(kind, 4))
    values = either(is_orientation, tf.where(tf.equal(kind, 3), short, long), 0)
    return tf.gather(values, tf.argmax(tf.cast(is_orientation, tf.int32)))


def upright(pixels: Any, turn: Any) -> Any:
    """(height, width, channels) turned back from orientation `turn`: mirrored first, then the sides exchanged."""
    flipped = tf.reverse(pixels, tf.reshape(tf.where(tf.gather(_MIRRORED, turn)), (-1,)))
    return tf.ensure_shape(tf.transpose(flipped, tf.gather(_SIDES, turn)), (None, None, pixels.shape[-1]))
