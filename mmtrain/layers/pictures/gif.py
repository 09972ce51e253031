"""GIF: the first frame on its screen."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mmtrain.layers.pictures.binary import byte, cut, little, text_of, walk

_EXTENSION, _CONTROL, _FRAME = 0x21, 0xF9, 0x2C


def size(data: Any) -> tuple[Any, Any]:
    """Height and width of the screen, or of the first frame where that sticks out; int64."""
    return _screen(data, _first(data)[0])


def _screen(data: Any, at: Any) -> tuple[Any, Any]:
    left, top, width, height = (little(cut(data, at + offset, 2)) for offset in (1, 3, 5, 7))
    return tf.maximum(little(data[8:10]), top + height), tf.maximum(little(data[6:8]), left + width)


def first_frame(text: Any, data: Any) -> Any:
    """(height, width, 4) uint8.

    TensorFlow decodes all frames and forgets which pixels were transparent. So its decoder is given a file with one frame
    and a palette that tells the number of each colour in red; the true palette is applied here.
    """
    at, clear = _first(data)
    flags = byte(data, at + 9)
    own = flags >= 0x80
    bits = tf.where(own, flags, byte(data, 10)) & 7
    count = tf.bitwise.left_shift(2, bits)
    palette = tf.reshape(cut(data, tf.where(own, at + 10, 13), 3 * count), (-1, 3))
    alpha = tf.where(tf.equal(tf.range(count), clear), 0, 255)[:, None]
    colours = tf.concat([palette, tf.cast(alpha, tf.uint8)], axis=1)
    numbers = _numbers(text, data, at, at + 10 + tf.where(own, 3 * count, 0), bits)
    before = tf.cast(tf.stack([little(data[at + 3 : at + 5]), little(data[at + 1 : at + 3])]), tf.int32)  # top and left
    behind = tf.cast(tf.stack(_screen(data, at)), tf.int32) - before - tf.shape(numbers)
    return tf.gather(colours, tf.pad(numbers, tf.stack([before, behind], axis=1), constant_values=tf.maximum(clear, 0)))


def _numbers(text: Any, data: Any, at: Any, raster: Any, bits: Any) -> Any:
    """The colours of the frame described `at`, by number; (height, width) int32."""
    count = tf.bitwise.left_shift(2, bits)
    palette = tf.stack([tf.range(count), tf.zeros([count], tf.int32), tf.zeros([count], tf.int32)], axis=1)
    sides = cut(data, at + 5, 4)
    interlaced = byte(data, at + 9) & 0x40
    parts = [
        "GIF89a",
        text_of(sides),
        text_of(tf.stack([0xF0 | bits, 0, 0])),
        text_of(tf.reshape(palette, (-1,))),
        b",\0\0\0\0",
        text_of(sides),
        text_of(interlaced[None]),
        tf.strings.substr(text, raster, _behind_blocks(data, raster + 1) - raster),
        ";",
    ]
    frame = tf.io.decode_image(tf.strings.join(parts), channels=3, expand_animations=False)
    return tf.cast(tf.ensure_shape(frame, (None, None, 3))[..., 0], tf.int32)


def _first(data: Any) -> tuple[Any, Any]:
    """Where the first frame's descriptor is, and its transparent colour or -1."""

    def step(at: Any, clear: Any) -> tuple[Any, Any]:
        head = tf.cast(cut(data, at, 7), tf.int32)  # shorter than a frame's descriptor, which is still to come
        extension = tf.equal(head[0], _EXTENSION)
        told = extension & tf.equal(head[1], _CONTROL) & tf.equal(head[3] & 1, 1)
        return tf.where(extension, _behind_blocks(data, at + 2, some=extension), at + 1), tf.where(told, head[6], clear)

    flags = byte(data, 10)
    start = 13 + tf.where(flags >= 0x80, 3 * tf.bitwise.left_shift(2, flags & 7), 0)
    at, clear = walk(lambda at, _: tf.not_equal(byte(data, at), _FRAME), step, start, -1)
    return at, clear


def _behind_blocks(data: Any, start: Any, *, some: Any = True) -> Any:
    """The end of the blocks from `start` on, of which the last is empty, if there are `some`."""
    (at,) = walk(lambda at: tf.not_equal(byte(data, at), 0) & some, lambda at: (at + 1 + byte(data, at),), start)
    return at + 1
