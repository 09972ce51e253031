"""What the first bytes of a file say of its picture, before a pixel is decoded."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from mmtrain.layers.pictures import bmp, gif, webp
from mmtrain.layers.pictures.binary import big, byte, cut, is_at, walk

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
"""By number; the number after the last is that of anything else."""

GREY_DEEP, COLOUR_DEEP = 16, 48


class Header(NamedTuple):
    """All of them scalar tensors, but for `exif`."""

    height: Any
    """As stored, before EXIF turns the picture; int64 like `width`."""
    width: Any
    exif: Any
    """The TIFF structure, a vector of bytes; empty where there is none."""
    bits: Any
    """8 or fewer, `GREY_DEEP`, or `COLOUR_DEEP` for 16 bits in more than one channel; int32."""
    transparent: Any
    """Whether pixels may be transparent; said of PNG alone."""
    plain: Any
    """Whether it is a grey or colour JPEG of 8 bits, which can be made smaller while it is decoded."""


def kind(data: Any) -> Any:
    """The number of a file's format, told by its first bytes; int32."""
    known = [
        is_at(data, 0, b"\xff\xd8\xff"),
        is_at(data, 0, b"\x89PNG\r\n\x1a\n"),
        is_at(data, 0, b"BM"),
        is_at(data, 0, b"GIF87a") | is_at(data, 0, b"GIF89a"),
        is_at(data, 0, b"RIFF") & is_at(data, 8, b"WEBP"),
        tf.constant(True),
    ]
    return tf.argmax(tf.cast(tf.stack(known), tf.int32), output_type=tf.int32)


def header(data: Any, number: Any) -> Header:
    """Of a file of the format `number`."""
    readers = [
        lambda: _jpeg(data),
        lambda: _png(data),
        lambda: _header(bmp.size(data)),
        lambda: _header(gif.size(data)),
        lambda: _webp(data),
    ]
    return Header(*tf.switch_case(number, readers))


def _header(size: tuple[Any, Any], exif: Any = None, bits: Any = 8, *, transparent: Any = False, plain: Any = False) -> Header:
    exif = tf.zeros((0,), tf.uint8) if exif is None else exif
    return Header(*size, exif, tf.cast(bits, tf.int32), tf.cast(transparent, tf.bool), tf.cast(plain, tf.bool))


def _between(data: Any, start: Any, end: Any) -> Any:
    """Bytes from `start` to `end`; none where both are negative."""
    return data[tf.maximum(start, 0) : tf.maximum(end, 0)]


def _jpeg(data: Any) -> Header:
    """Segments up to the start of the scan; the first frame header, the first EXIF segment."""

    def step(at: Any, _: Any, frame: Any, exif: Any, exif_end: Any) -> tuple[Any, ...]:
        head = cut(data, at, 4)
        filling = tf.not_equal(head[0], 0xFF) | tf.equal(head[1], 0xFF)
        marker = tf.where(filling, 0, tf.cast(head[1], tf.int32))
        lone = tf.equal(marker, 0) | ((marker >= 0xD0) & (marker <= 0xD9))
        length = tf.where(lone, 0, tf.cast(big(head[2:]), tf.int32))
        behind = at + tf.where(filling, 1, 2 + length)
        is_frame = (marker >= 0xC0) & (marker <= 0xCF) & tf.reduce_all(tf.not_equal(marker, [0xC4, 0xC8, 0xCC])) & (frame < 0)
        is_exif = tf.equal(marker, 0xE1) & (exif < 0) & is_at(data, at + 4, b"Exif\0\0")
        return behind, marker, tf.where(is_frame, at, frame), tf.where(is_exif, at + 10, exif), tf.where(is_exif, behind, exif_end)

    _, _, frame, exif, end = walk(lambda _, marker, *__: tf.not_equal(marker, 0xDA), step, 2, 0, -1, -1, -1)
    size = big(cut(data, frame + 5, 2)), big(cut(data, frame + 7, 2))
    coding, bits, components = (byte(data, frame + place) for place in (1, 4, 9))
    plain = (coding <= 0xC2) & tf.equal(bits, 8) & (tf.equal(components, 1) | tf.equal(components, 3))
    return _header(size, _between(data, exif, end), plain=plain)


def _png(data: Any) -> Header:
    """Chunks up to the end; the first EXIF chunk."""

    def step(at: Any, _: Any, exif: Any, exif_end: Any, transparent: Any) -> tuple[Any, ...]:
        length = tf.cast(big(cut(data, at, 4)), tf.int32)
        is_exif = is_at(data, at + 4, b"eXIf") & (exif < 0)
        return (
            at + 12 + length,
            is_at(data, at + 4, b"IEND"),
            tf.where(is_exif, at + 8, exif),
            tf.where(is_exif, at + 8 + length, exif_end),
            transparent | is_at(data, at + 4, b"tRNS"),
        )

    _, _, exif, end, transparent = walk(lambda _, ended, *__: ~ended, step, 8, False, -1, -1, False)
    depth, colour = byte(data, 24), byte(data, 25)
    bits = tf.where(tf.equal(depth, 16) & tf.not_equal(colour, 0), COLOUR_DEEP, depth)
    return _header((big(data[20:24]), big(data[16:20])), _between(data, exif, end), bits, transparent=transparent | (colour >= 4))


def _webp(data: Any) -> Header:
    frame = webp.frame_of(data)
    return _header(frame.canvas, webp.exif_of(data, frame))
