"""PNG: the header, and pixels of 8 or 16 bits."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.image_decoding.format_rules import PNG_ORDER, PNG_PALETTE, PNG_PARTS, PNG_PIXELS, PNG_TRANSPARENT, REFUSED
from mmtrain.layers.image_decoding.byte_reader import (
    COLOUR_DEEP,
    GREY_DEEP,
    File,
    Header,
    Number,
    cut,
    either,
    facts,
    peek,
    read,
    required,
    spelled,
    walk,
)

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
    """Return the CRC-32 of `count` bytes, four or more, from `at` on; int64. Any number for bytes behind the end of the file."""
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


_NAMES = [spelled(name) for name in PNG_PARTS]
_STEPS = np.array(PNG_ORDER.table(), np.int64)
_SIZES = np.array([PNG_TRANSPARENT.get(colour, -1) for colour in range(256)], np.int64)
_LAST = [REFUSED, *PNG_ORDER.ends]


def header(file: File) -> Any:
    """Chunks up to the end, which are in order and intact; the first EXIF chunk. Own: whether pixels may be transparent."""
    width, height, depth, colour = read(cut(file, 16, 10), Number(0, 4, big=True), Number(4, 4, big=True), Number(8, 1), Number(9, 1))
    of_palette = tf.equal(colour, PNG_PALETTE)

    def step(at: Any, state: Any, exif: Any, colours: Any, transparent: Any) -> tuple[Any, ...]:
        length, word, first = read(cut(file, at, 8), Number(0, 4, big=True), Number(4, 4), Number(4, 1))
        small = first >= ord("a")
        letter = tf.argmax(tf.concat([tf.equal(word, _NAMES), [small, ~small]], axis=0))
        (checksum,) = read(cut(file, at + 8 + length, 4), Number(0, 4, big=True))
        # The decoder looks at the checksums of the others itself.
        intact = tf.equal(crc32(file, at + 4, either(small, length + 4, 0)), checksum) | ~small
        is_exif = tf.equal(word, spelled(b"eXIf")) & (exif < 0)
        colours = either(tf.equal(word, spelled(b"PLTE")), length // 3, colours)
        # Elsewhere, and of another size, the decoder ignores it, and gives an alpha of no meaning.
        fits = tf.where(of_palette, (colours > 0) & (length > 0) & (length <= colours), tf.equal(length, tf.gather(_SIZES, colour)))
        counts = tf.equal(word, spelled(b"tRNS")) & fits & (state < PNG_PIXELS)
        state = either(intact, tf.gather_nd(_STEPS, tf.stack([state, letter])), REFUSED)
        return at + 12 + length, state, either(is_exif, at, exif), colours, either(counts, 1, transparent)

    _, state, exif, _, transparent = walk(lambda _, state, *__: tf.reduce_any(tf.equal(state, _LAST)), step, 8, 1, -1, 0, 0)
    (exif,) = required(tf.not_equal(state, REFUSED), exif)
    (length,) = read(peek(file, tf.maximum(exif, 0), 4), Number(0, 4, big=True))
    bits = either(tf.equal(depth, GREY_DEEP) & tf.not_equal(colour, 0), COLOUR_DEEP, depth)
    return facts(height, width, (transparent > 0) | (colour >= 4), bits=bits, exif=(exif + 8, either(exif < 0, 0, exif + 8 + length)))


def pixels(file: File, head: Header) -> Any:
    """(height, width, 3) or, where they may be transparent, (height, width, 4) uint8."""
    return tf.cond(head.details[0] > 0, *(partial(tf.io.decode_png, file.text, channels=channels) for channels in (4, 3)))


def deep(file: File, background: float) -> Any:
    """Grey of 16 bits, (height, width, 1) float32; `background` where it is transparent."""
    samples = tf.io.decode_png(file.text, channels=4, dtype=tf.uint16)
    return tf.where(samples[..., 3:4] > 0, tf.cast(samples[..., 0:1], tf.float32), background)
