"""Whether the codes of a GIF can be followed, as `mmtrain.image_decoding.lzw` says."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.image_decoding.lzw import FEWEST_BITS, FULL, MOST_BITS, steps
from mmtrain.layers.image_decoding.byte_reader import File, byte

_BITS = range(FEWEST_BITS, MOST_BITS + 1)
_STEPS = np.array([[steps(bits, full=full) for full in (False, True)] for bits in _BITS], np.int32)
"""(bits, empty or full table, starts, widths or highest, codes)."""


def can_be_followed(file: File, start: Any, end: Any) -> Any:
    """Of the blocks from `start` on, behind the number of bits; the last, which is empty, ends at `end`."""
    bits = byte(file, start)
    known = (bits >= FEWEST_BITS) & (bits <= MOST_BITS)
    return known & _followed(_codes(file, start + 1, end), tf.clip_by_value(bits, FEWEST_BITS, MOST_BITS))


def _codes(file: File, start: Any, end: Any) -> Any:
    """The bytes of blocks without their lengths."""
    lengths = tf.TensorArray(tf.int64, size=0, dynamic_size=True, element_shape=())

    def step(at: Any, number: Any, found: Any) -> tuple[Any, Any, Any]:
        return at + 1 + byte(file, at), number + 1, found.write(number, at - start)

    places = tf.while_loop(lambda at, *_: at < end, step, (start, 0, lengths))[2].stack()
    is_length = tf.scatter_nd(places[:, None], tf.ones_like(places, tf.int32), tf.stack([end - start]))
    return tf.boolean_mask(file.data[start:end], tf.equal(is_length, 0))


def _followed(codes: Any, bits: Any) -> Any:
    total = 8 * tf.size(codes, tf.int64)
    digits = tf.cast(tf.pad(codes, [[0, 3]]), tf.int32)
    clear = tf.cast(tf.bitwise.left_shift(tf.constant(1, tf.int64), bits), tf.int32)
    tables = tf.gather(_STEPS, bits - FEWEST_BITS)  # (2, 3, codes)

    def step(start: Any, full: Any, _: Any, __: Any) -> tuple[Any, Any, Any, Any]:
        begins, widths, highest = tf.unstack(tf.gather(tables, full))
        at = start + tf.cast(begins, tf.int64)
        count = tf.math.count_nonzero(at + tf.cast(widths, tf.int64) <= total)
        at, widths, highest = at[:count], widths[:count], highest[:count]
        place, shift = at // 8, tf.cast(at % 8, tf.int32)
        three = tf.gather(digits, place) + 256 * tf.gather(digits, place + 1) + 256**2 * tf.gather(digits, place + 2)
        found = tf.bitwise.right_shift(three, shift) % tf.bitwise.left_shift(tf.ones_like(widths), widths)
        mark = tf.equal(found, clear) | tf.equal(found, clear + 1)
        stop = tf.where(tf.reduce_any(mark), tf.argmax(tf.cast(tf.concat([mark, [True]], axis=0), tf.int32)), count)
        sound = tf.reduce_all(found[:stop] <= highest[:stop])
        ended = (tf.equal(stop, count) & (count < FULL)) | tf.reduce_any(tf.equal(found[stop : stop + 1], clear + 1))
        last = tf.minimum(stop, FULL - 1)
        behind = start + tf.cast(tf.gather(tables[full, 0], last) + tf.gather(tables[full, 1], last), tf.int64)
        return behind, tf.cast(tf.equal(stop, FULL), tf.int64), sound, ended

    begun = (tf.constant(0, tf.int64), tf.constant(0, tf.int64), tf.constant(True), tf.constant(False))
    return tf.while_loop(lambda _, __, sound, ended: sound & ~ended, step, begun, parallel_iterations=1)[2]
