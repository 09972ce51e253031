"""WebP: the first frame on its canvas.

TensorFlow 2.21 brings the process down with some animations (seen: a double free in `decode_webp`). So its decoder is only ever
given a file of one frame, made here of the parts of the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.layers.pictures.binary import File, Number, cut, either, peek, read, spelled, text_of, walk
from mmtrain.layers.pictures.header import Header, facts

_NAMES = [[spelled(name) for name in (b"ANMF", b"ALPH", pixels, b"EXIF")] for pixels in (b"VP8 ", b"VP8L")]
"""Parts of a file: an animation's frame, transparency that is stored apart, pixels, lossy or lossless, and EXIF."""
_BEFORE = np.array([[1, 0, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]], bool)
"""For each part those that it has to come before: the first counts, and a frame and its transparency come before the pixels."""


def header(file: File) -> Any:
    """The size of the canvas, or of the first frame where that sticks out.

    Own: where the first frame's transparency and pixels are, -1 where it lacks them, bytes of the pixels, its height and width as
    the pixels themselves tell, which no canvas can make smaller, its top and left, and whether the file says that it is opaque.
    """
    frame, alpha, image, exif = tf.unstack(_parts(file))
    numbers = Number(0, 1), Number(1, 4), Number(6, 4), Number(11, 2), Number(13, 2)
    letter, length, sides, wide, tall = read(peek(file, image + 3, 15), *numbers)
    lossless = tf.equal(letter, ord("L"))
    height = either(lossless, sides // 2**14 % 2**14 + 1, tall % 2**14)
    width = either(lossless, sides % 2**14 + 1, wide % 2**14)
    left, top = read(peek(file, frame + 8, 6), Number(0, 3), Number(3, 3))
    left, top = (either(frame < 0, 0, 2 * place) for place in (left, top))
    name, flags, *canvas = read(peek(file, 12, 18), Number(0, 4), Number(8, 1), Number(15, 3), Number(12, 3))
    extended = tf.equal(name, spelled(b"VP8X"))
    canvas = [tf.maximum(either(extended, side + 1, 0), least) for side, least in zip(canvas, (top + height, left + width), strict=True)]
    opaque = extended & tf.equal(flags & 0x10, 0)
    told, mark = read(peek(file, exif + 4, 10), Number(0, 4), Number(4, 6))
    start = exif + 8 + either(tf.equal(mark, spelled(b"Exif\0\0")), 6, 0)
    end = either(exif < 0, 0, exif + 8 + _signed(told))
    return facts(*canvas, alpha, image, length, height, width, top, left, opaque, exif=(start, end))


def _parts(file: File) -> Any:
    """Where each of the parts is, or -1; (4,) int64."""

    def step(at: Any, found: Any) -> tuple[Any, Any]:
        name, length = read(cut(file, at, 8), Number(0, 4), Number(4, 4))
        first = tf.reduce_all((found < 0) | ~_BEFORE, axis=1) & tf.reduce_any(tf.equal(name, _NAMES), axis=0)
        behind = at + either(tf.equal(name, spelled(b"ANMF")), 24, 8 + length + length % 2)
        return _signed(behind), either(first, at, found)

    (end,) = read(peek(file, 4, 4), Number(0, 4))  # of the whole, less 8
    end = _signed(end)
    return walk(lambda at, _: at > end, step, 12, [-1] * 4)[1]


def _signed(number: Any) -> Any:
    """The number of four bytes with the sign that an int32 gives it: what is too large leads out of the file, to an error."""
    return tf.cast(tf.cast(number, tf.int32), tf.int64)


def pixels(file: File, head: Header) -> Any:
    """(height, width, 4) uint8."""
    alpha, image, length, height, width, top, left, opaque = tf.unstack(head.own)
    found = tf.io.decode_webp(_alone(file, (alpha, image), length, (height, width)))[0]  # of (frames, height, width, channels)
    missing = (4 - tf.shape(found)[2]) * [[0, 0], [0, 0], [0, 1]]
    found = tf.pad(found, missing, constant_values=tf.constant(255, tf.uint8))
    found = tf.bitwise.bitwise_or(found, tf.cast(tf.stack([0, 0, 0, 255 * opaque]), tf.uint8))
    before = tf.stack([top, left, 0])
    behind = tf.stack([head.height, head.width, 4]) - before - tf.shape(found, tf.int64)
    return tf.ensure_shape(tf.pad(found, tf.stack([before, behind], axis=1)), (None, None, 4))


def _alone(file: File, parts: tuple[Any, Any], length: Any, size: tuple[Any, Any]) -> Any:
    """A file of the first frame's pixels and their transparency, and nothing else."""
    alpha, image = parts
    (transparency,) = read(peek(file, alpha + 4, 4), Number(0, 4))

    def chunk(at: Any, length: Any) -> Any:
        length = _signed(length)
        return tf.strings.substr(file.text, tf.maximum(at, 0), either(at < 0, 0, 8 + length + length % 2))

    sides = (tf.stack(size[::-1]) - 1)[:, None] // [1, 256, 256**2] % 256
    head = tf.strings.join([b"VP8X\x0a\0\0\0\x10\0\0\0", text_of(tf.reshape(sides, (-1,)))])
    body = tf.strings.join([tf.where(alpha < 0, "", head), chunk(alpha, transparency), chunk(image, length)])
    total = (4 + tf.strings.length(body)) // [1, 256, 256**2, 256**3] % 256
    return tf.strings.join(["RIFF", text_of(total), "WEBP", body])
