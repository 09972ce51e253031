"""WebP: the first frame on its canvas.

TensorFlow 2.21 brings the process down with some animations (seen: a double free in `decode_webp`). So its decoder is only ever
given a file of one frame, made here of the parts of the file.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from mmtrain.layers.pictures.binary import byte, is_at, little, little_text, walk


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
        length = tf.cast(little(data, at + 4, 4), tf.int32)
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

    end = tf.cast(little(data, 4, 4), tf.int32)  # of the whole, less 8
    _, frame, alpha, image, exif = walk(lambda at, *_: at <= end, step, 12, -1, -1, -1, -1)
    size = tf.cond(is_at(data, image, b"VP8L"), lambda: _lossless_size(data, image), lambda: _lossy_size(data, image))
    place = tf.cond(frame < 0, _nothing, lambda: (2 * little(data, frame + 11, 3), 2 * little(data, frame + 8, 3)))
    told = tf.cond(is_at(data, 12, b"VP8X"), lambda: (little(data, 27, 3) + 1, little(data, 24, 3) + 1), _nothing)
    canvas = tuple(tf.maximum(told[side], place[side] + size[side]) for side in (0, 1))
    return Frame(alpha, image, exif, size, place, (canvas[0], canvas[1]))


def _nothing() -> tuple[Any, Any]:
    return tf.constant(0, tf.int64), tf.constant(0, tf.int64)


def _lossless_size(data: Any, at: Any) -> tuple[Any, Any]:
    sides = little(data, at + 9, 4)
    return sides // 2**14 % 2**14 + 1, sides % 2**14 + 1


def _lossy_size(data: Any, at: Any) -> tuple[Any, Any]:
    return little(data, at + 16, 2) % 2**14, little(data, at + 14, 2) % 2**14


def exif_of(data: Any, frame: Frame) -> Any:
    """The TIFF structure; empty where there is none."""
    at = frame.exif
    start = at + 8 + tf.where(is_at(data, at + 8, b"Exif\0\0"), 6, 0)
    return tf.cond(at < 0, lambda: tf.zeros((0,), tf.uint8), lambda: data[start : at + 8 + tf.cast(little(data, at + 4, 4), tf.int32)])


def first_frame(text: Any, data: Any) -> Any:
    """(height, width, 4) uint8."""
    frame = frame_of(data)
    found = tf.io.decode_webp(_alone(text, data, frame))[0]  # of (frames, height, width, channels)
    pixels = tf.cond(
        _may_be_transparent(data) & tf.equal(tf.shape(found)[2], 4),
        lambda: tf.ensure_shape(found, (None, None, 4)),
        lambda: tf.pad(found[..., :3], [[0, 0], [0, 0], [0, 1]], constant_values=tf.constant(255, tf.uint8)),
    )
    sides = tf.cast(tf.stack(frame.canvas), tf.int32)
    before = tf.cast(tf.stack(frame.place), tf.int32)
    around = tf.stack([before, sides - before - tf.shape(pixels)[:2]], axis=1)
    return tf.pad(pixels, tf.concat([around, [[0, 0]]], axis=0))


def _may_be_transparent(data: Any) -> Any:
    """As the file's head says, if there is one."""
    return tf.cond(is_at(data, 12, b"VP8X"), lambda: tf.not_equal(byte(data, 20) & 0x10, 0), lambda: tf.constant(True))


def _alone(text: Any, data: Any, frame: Frame) -> Any:
    """A file of the first frame's pixels and their transparency, and nothing else."""

    def chunk(at: Any) -> Any:
        length = tf.cast(little(data, at + 4, 4), tf.int32)
        return tf.strings.substr(text, at, 8 + length + length % 2)

    def with_alpha() -> Any:
        height, width = frame.size
        head = tf.strings.join([b"VP8X\x0a\0\0\0\x10\0\0\0", little_text(width - 1, 3), little_text(height - 1, 3)])
        return tf.strings.join([head, chunk(frame.alpha), chunk(frame.image)])

    body = tf.cond(frame.alpha < 0, lambda: chunk(frame.image), with_alpha)
    return tf.strings.join(["RIFF", little_text(4 + tf.strings.length(body), 4), "WEBP", body])
