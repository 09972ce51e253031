"""WebP: the first frame on its canvas.

TensorFlow 2.21 brings the process down with some animations (seen: a double free in `decode_webp`). So its decoder is only ever
given a file of one frame, made here of the parts of the file.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from mmtrain.layers.pictures.binary import byte, cut, is_at, little, little_text, peek, walk


class Frame(NamedTuple):
    """Where the first frame's parts are, -1 for those that it lacks; int32. And how large it is, and where on its canvas; int64."""

    alpha: Any
    """Transparency that is stored apart (ALPH)."""
    image: Any
    """Pixels, lossy (VP8) or lossless (VP8L)."""
    exif: Any
    size: tuple[Any, Any]
    """Height and width as the pixels themselves tell, which no canvas can make smaller."""
    place: tuple[Any, Any]
    """Top and left."""
    canvas: tuple[Any, Any]
    """Height and width of the canvas, or of the frame where that sticks out."""


def frame_of(data: Any) -> Frame:
    """The parts of a file."""

    def step(at: Any, frame: Any, alpha: Any, image: Any, exif: Any) -> tuple[Any, ...]:
        length = tf.cast(little(cut(data, at + 4, 4)), tf.int32)
        inside = is_at(data, at, b"ANMF")

        def first(known: Any, found: Any) -> Any:
            return tf.where((known < 0) & found, at, known)

        return (
            at + tf.where(inside, 24, 8 + length + length % 2),
            first(frame, inside & (image < 0)),
            first(alpha, is_at(data, at, b"ALPH") & (image < 0)),
            first(image, is_at(data, at, b"VP8 ") | is_at(data, at, b"VP8L")),
            first(exif, is_at(data, at, b"EXIF")),
        )

    end = tf.cast(little(cut(data, 4, 4)), tf.int32)  # of the whole, less 8
    _, frame, alpha, image, exif = walk(lambda at, *_: at <= end, step, 12, -1, -1, -1, -1)
    sides, lossless = little(peek(data, image + 9, 4)), is_at(data, image, b"VP8L")
    size = (
        tf.where(lossless, sides // 2**14 % 2**14 + 1, little(peek(data, image + 16, 2)) % 2**14),
        tf.where(lossless, sides % 2**14 + 1, little(peek(data, image + 14, 2)) % 2**14),
    )
    animated, extended = frame >= 0, is_at(data, 12, b"VP8X")
    place = tuple(tf.where(animated, 2 * little(peek(data, frame + offset, 3)), 0) for offset in (11, 8))
    told = tuple(tf.where(extended, little(peek(data, offset, 3)) + 1, 0) for offset in (27, 24))
    canvas = tuple(tf.maximum(told[side], place[side] + size[side]) for side in (0, 1))
    return Frame(alpha, image, exif, size, (place[0], place[1]), (canvas[0], canvas[1]))


def exif_of(data: Any, frame: Frame) -> Any:
    """The TIFF structure; empty where there is none."""
    start = frame.exif + 8 + tf.where(is_at(data, frame.exif + 8, b"Exif\0\0"), 6, 0)
    end = frame.exif + 8 + tf.cast(little(peek(data, frame.exif + 4, 4)), tf.int32)
    return data[tf.maximum(start, 0) : tf.where(frame.exif < 0, 0, end)]


def first_frame(text: Any, data: Any) -> Any:
    """(height, width, 4) uint8."""
    frame = frame_of(data)
    found = tf.io.decode_webp(_alone(text, data, frame))[0]  # of (frames, height, width, channels)
    opaque = is_at(data, 12, b"VP8X") & tf.equal(byte(data, 20) & 0x10, 0)  # so says the head of the file
    found = found[..., : tf.where(opaque, 3, 4)]
    missing = tf.stack([[0, 0], [0, 0], tf.stack([0, 4 - tf.shape(found)[2]])])
    pixels = tf.ensure_shape(tf.pad(found, missing, constant_values=tf.constant(255, tf.uint8)), (None, None, 4))
    sides = tf.cast(tf.stack(frame.canvas), tf.int32)
    before = tf.cast(tf.stack(frame.place), tf.int32)
    around = tf.stack([before, sides - before - tf.shape(pixels)[:2]], axis=1)
    return tf.pad(pixels, tf.concat([around, [[0, 0]]], axis=0))


def _alone(text: Any, data: Any, frame: Frame) -> Any:
    """A file of the first frame's pixels and their transparency, and nothing else."""

    def chunk(at: Any) -> Any:
        length = tf.cast(little(peek(data, at + 4, 4)), tf.int32)
        return tf.strings.substr(text, tf.maximum(at, 0), tf.where(at < 0, 0, 8 + length + length % 2))

    height, width = frame.size
    head = tf.strings.join([b"VP8X\x0a\0\0\0\x10\0\0\0", little_text(width - 1, 3), little_text(height - 1, 3)])
    body = tf.strings.join([tf.where(frame.alpha < 0, "", head), chunk(frame.alpha), chunk(frame.image)])
    return tf.strings.join(["RIFF", little_text(4 + tf.strings.length(body), 4), "WEBP", body])
