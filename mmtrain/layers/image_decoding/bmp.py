"""BMP without compression; TensorFlow's own decoder takes the numbers of a palette for greys."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.image_decoding.format_rules import BMP_HEADER_SIZES, BMP_MOST_COLOURS
from mmtrain.layers.image_decoding.byte_reader import File, Header, Number, cut, either, facts, peek, read, required
from mmtrain.layers.image_decoding.colour import by_strips

_OS2 = 12
"""Size of the old header, with sides of two bytes and colours of three."""
_RAW, _BIT_FIELDS = 0, 3
"""Kinds of compression that are none."""
_UPSIDE_DOWN = 4
"""The orientation, as EXIF counts, of files whose last row comes first."""
_ALPHA_FROM = 56
"""Size of the first header that has a mask for alpha."""
_MASKS = [
    [16, 0xF800, 0x7E0, 0x1F, 0],
    [16, 0x7C00, 0x3E0, 0x1F, 0],
    [24, 0xFF0000, 0xFF00, 0xFF, 0],
    [32, 0, 0, 0, 0],
    [32, 0xFF0000, 0xFF00, 0xFF, 0],
    [32, 0xFF0000, 0xFF00, 0xFF, 0xFF000000],
    [32, 0xFF000000, 0xFF0000, 0xFF00, 0],
    [32, 0xFF000000, 0xFF0000, 0xFF00, 0xFF],
    [32, 0xFF000000, 0xFF00, 0xFF, 0],
    [32, 0xFF000000, 0xFF00, 0xFF, 0xFF0000],
    [32, 0xFF, 0xFF00, 0xFF0000, 0xFF000000],
]
"""Bits of a pixel and the masks that go with them."""


def header(file: File) -> Any:
    """Own: the size of the header, where the pixels are, bits of a pixel, compression."""
    length, *old, height, width, depth, compression, start = read(
        tf.concat([cut(file, 14, 4), peek(file, 18, 16), peek(file, 10, 4)], axis=0),
        *(Number(0, 4), Number(6, 2), Number(4, 2), Number(10, 2)),
        *(Number(8, 4), Number(4, 4), Number(14, 2), Number(16, 4), Number(20, 4)),
    )
    upwards = height < 2**31  # a negative height means rows from the top down
    new = (either(upwards, height, 2**32 - height), width, depth, compression, upwards)
    is_old = tf.equal(length, _OS2)
    height, width, depth, compression, upwards = (either(is_old, *pair) for pair in zip((*old, _RAW, True), new, strict=True))
    return facts(height, width, length, start, depth, compression, turn=either(upwards > 0, _UPSIDE_DOWN, 1))


def pixels(file: File, head: Header) -> Any:
    """(height, width, 4) uint8."""
    length, start, depth, compression, *_ = tf.unstack(head.details)
    has_masks = tf.equal(compression, _BIT_FIELDS) & (depth >= 16)
    known = tf.reduce_any(tf.equal(depth, [1, 4, 8, 16, 24, 32])) & (tf.equal(compression, _RAW) | has_masks)
    known &= (head.height * head.width > 0) & (start >= 14 + length) & tf.reduce_any(tf.equal(length, BMP_HEADER_SIZES))
    (depth,) = required(known, depth)
    stride = (head.width * depth + 31) // 32 * 4  # bytes of a row, which are whole numbers of four
    rows = tf.reshape(cut(file, start, head.height * stride), [head.height, stride])
    return tf.cond(
        depth <= 8,
        lambda: _of_palette(rows, depth, head.width, *_palette(file, length, depth, start)),
        lambda: _of_masks(rows, depth, head.width, _masks(file, length, depth, has_masks)),
    )


def _palette(file: File, length: Any, depth: Any, start: Any) -> tuple[Any, Any]:
    """(colours, 4) uint8, and how many of them the file has; the others are never seen."""
    old = tf.equal(length, _OS2)
    (stated,) = read(peek(file, 46, 4), Number(0, 4))
    most = tf.bitwise.left_shift(tf.constant(1, tf.int64), depth)
    stated = either(old | tf.equal(stated, 0), most, stated)
    size = either(old, 3, 4)  # of a colour, in bytes
    (count,) = required((14 + length + stated * size <= start) & (stated <= BMP_MOST_COLOURS), tf.minimum(stated, most))
    colours = tf.reshape(cut(file, 14 + length, count * size), [count, size])[:, 2::-1]
    colours = tf.pad(colours, [[0, most - count], [0, 1]], constant_values=tf.constant(255, tf.uint8))
    return tf.ensure_shape(colours, (None, 4)), count


def _of_palette(rows: Any, depth: Any, width: Any, palette: Any, count: Any) -> Any:
    shifts = tf.cast(tf.range(8 - depth, -1, -depth), tf.uint8)
    most = tf.cast(tf.bitwise.left_shift(tf.constant(1, tf.int64), depth) - 1, tf.uint8)
    numbers = tf.bitwise.right_shift(rows[..., None], shifts) & most  # (height, bytes, pixels of a byte)
    numbers = tf.reshape(numbers, tf.stack([tf.shape(rows)[0], -1]))[:, :width, None]
    (numbers,) = required(tf.cast(tf.reduce_max(numbers), tf.int64) < count, numbers)
    return by_strips(lambda strip: tf.gather(palette, tf.cast(strip[:, 0], tf.int32)), numbers, 4)


def _masks(file: File, length: Any, depth: Any, has_masks: Any) -> Any:
    """Return the masks of red, green, blue and, from the third header on, alpha; without any, those of blue, green, red and alpha.

    Only those that Pillow reads; an error where it does not.
    """
    masks = tf.stack(read(peek(file, 54, 16), *(Number(4 * place, 4) for place in range(4))))
    with_alpha = (length >= _ALPHA_FROM) & tf.equal(depth, 32)
    masks = tf.where([True, True, True, False] | with_alpha, masks, tf.constant(0, tf.int64))
    known = tf.reduce_any(tf.reduce_all(tf.equal(tf.concat([depth[None], masks], axis=0), _MASKS), axis=1))
    (masks,) = required(known | ~has_masks, masks)
    masks = tf.where(
        tf.reduce_all(tf.equal(masks, tf.constant(0, tf.int64))), tf.constant([0xFF0000, 0xFF00, 0xFF, 0xFF000000], tf.int64), masks
    )
    plain = tf.where(tf.equal(depth, 16), tf.constant([0x7C00, 0x3E0, 0x1F, 0], tf.int64), [0xFF0000, 0xFF00, 0xFF, 0])
    return tf.where(has_masks, masks, plain)


def _of_masks(rows: Any, depth: Any, width: Any, masks: Any) -> Any:
    count = depth // 8
    samples = tf.reshape(rows[:, : width * count], [tf.shape(rows, tf.int64)[0], width, count])
    weights = tf.constant([1, 256, 256**2, 256**3], tf.int64)[:count]
    lowest = tf.maximum(masks & -masks, 1)

    def colours(strip: Any) -> Any:
        """The bits of each mask stretched to 0..255, rounded down; (pixels, 4)."""
        numbers = tf.reduce_sum(tf.cast(strip, tf.int64) * weights, axis=1, keepdims=True)
        samples = (numbers & masks) // lowest * 255 // tf.maximum(masks // lowest, 1)
        return tf.cast(tf.where([True, True, True, False] | tf.not_equal(masks, 0), samples, 255), tf.uint8)

    return by_strips(colours, samples, 4)
