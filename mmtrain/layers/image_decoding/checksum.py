"""The checksum of a part of a PNG (CRC-32), which TensorFlow's decoder looks at only where pixels depend on it."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.layers.image_decoding.byte_reader import File

_BLOCK = 256
"""Bytes that are looked at at once."""
_POLYNOMIAL = 0xEDB88320


def _contributions() -> np.ndarray[Any, np.dtype[np.int8]]:
    """(8 * `_BLOCK`, 32): which bits of the checksum each bit of a block turns over; a checksum is linear over bits."""
    rows = np.zeros((_BLOCK, 8), np.uint64)
    rows[-1] = [_shifted(1 << bit) for bit in range(8)]
    for place in range(_BLOCK - 2, -1, -1):
        rows[place] = [_shifted(int(value)) for value in rows[place + 1]]
    return (rows.reshape(-1, 1) >> np.arange(32, dtype=np.uint64) & 1).astype(np.int8)


def _shifted(value: int) -> int:
    """The checksum's register eight bits further on."""
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TURNED = _contributions()


def crc32(file: File, at: Any, count: Any) -> Any:
    """Of `count` bytes, four or more, from `at` on; int64. Where they are not all there, any number."""
    blocks = -(-count // _BLOCK)
    first = at + count - blocks * _BLOCK  # zeros in front change nothing, so the first block may begin before the part

    def step(number: Any, register: Any) -> tuple[Any, Any]:
        places = first + number * _BLOCK + np.arange(_BLOCK)
        block = tf.where(places >= at, tf.gather(file.data, tf.clip_by_value(places, 0, file.last)), tf.constant(0, tf.uint8))
        begin = tf.where((places >= at) & (places < at + 4), tf.constant(255, tf.uint8), tf.constant(0, tf.uint8))
        block = tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(block, begin), tf.pad(register, [[0, _BLOCK - 4]]))
        bits = tf.bitwise.right_shift(block[:, None], np.arange(8, dtype=np.uint8)) & tf.constant(1, tf.uint8)
        total = tf.matmul(tf.cast(tf.reshape(bits, [1, -1]), tf.float32), tf.cast(_TURNED, tf.float32))  # below 2**24, so exact
        odd = tf.reshape(tf.cast(total, tf.int32) % 2, [4, 8])
        return number + 1, tf.cast(tf.reduce_sum(odd * 2 ** np.arange(8), axis=1), tf.uint8)

    start = (tf.constant(0, tf.int64), tf.zeros((4,), tf.uint8))
    register = tf.while_loop(lambda number, _: number < blocks, step, start, parallel_iterations=1)[1]
    return tf.reduce_sum((255 - tf.cast(register, tf.int64)) * 256 ** np.arange(4))
