"""From the bytes of a file to its pixels as they are stored: (height, width, channels) uint8, or float32 for 16 bits or a window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.image_decoding import Layout
from mmtrain.image_decoding.colour import grey
from mmtrain.layers.image_decoding import bmp, gif, jpeg, png, webp
from mmtrain.layers.image_decoding.byte_reader import GREY_DEEP, File, Header, header, peek, required
from mmtrain.layers.image_decoding.colour import opaque, transparent

_READERS = (jpeg.header, png.header, bmp.header, gif.header, webp.header)
"""A format's number is its place here."""
_MARKS = (
    (0, b"\xff\xd8\xff"),
    (1, b"\x89PNG\r\n\x1a\n"),
    (2, b"BM"),
    (3, b"GIF87a"),
    (3, b"GIF89a"),
    (4, b"RIFF\0\0\0\0WEBP"),
)
"""First bytes of the files of each format; a zero stands for any byte."""


def kind(file: File) -> Any:
    """The number of a file's format, told by its first bytes, int32; an error where it is none."""
    marks = np.array([list(mark.ljust(12, b"\0")) for _, mark in _MARKS], np.uint8)
    matches = tf.reduce_all(tf.equal(peek(file, 0, 12), marks) | (marks == 0), axis=1)
    number = tf.gather([number for number, _ in _MARKS], tf.argmax(tf.cast(matches, tf.int32)))
    return required(tf.reduce_any(matches), number)[0]


def header_of(file: File, number: Any) -> Header:
    """Return the header of a file of the format `number`."""
    return header(tf.switch_case(number, [partial(reader, file) for reader in _READERS]))


def pixels_of(file: File, number: Any, head: Header, turn: Any, layout: Layout) -> Any:
    """`number` is that of the format, `turn` the orientation that EXIF tells."""
    decoders: list[Callable[[], Any]] = [
        lambda: jpeg.pixels(file, head, turn, layout),
        *(partial(decoder, file, head) for decoder in (png.pixels, bmp.pixels, gif.pixels, webp.pixels)),
    ]

    def shallow() -> Any:
        samples = _flat(tf.switch_case(number, decoders), layout)
        if layout.window != "auto":
            return tf.cast(samples, tf.float32)
        # Samples of 8 bits times 257, so that white is white.
        return tf.cast(samples, tf.float32) * 257 if layout.bits == 16 else samples

    def deep() -> Any:
        samples = tf.repeat(png.deep(file, float(grey(layout.background) * 257)), layout.channels, axis=2)
        return tf.ensure_shape(samples, (None, None, layout.channels))

    if layout.bits == 8 and layout.window == "auto":
        return shallow()
    return tf.cond(tf.equal(head.bits, GREY_DEEP), deep, shallow)


def _flat(pixels: Any, layout: Layout) -> Any:
    """From 3 or 4 channels, of which the fourth is alpha, to the layout's."""
    channels = layout.channels
    flat = tf.cond(
        tf.equal(tf.shape(pixels)[2], 4),
        lambda: transparent(tf.ensure_shape(pixels, (None, None, 4)), channels, layout.background),
        lambda: opaque(tf.ensure_shape(pixels, (None, None, 3)), channels),
    )
    return tf.ensure_shape(flat, (None, None, channels))
