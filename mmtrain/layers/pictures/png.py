"""PNG: the header, and pixels of 8 or 16 bits."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from mmtrain.layers.pictures.binary import File, Number, cut, either, peek, read, spelled, walk
from mmtrain.layers.pictures.header import COLOUR_DEEP, GREY_DEEP, Header, facts


def header(file: File) -> Any:
    """Chunks up to the end; the first EXIF chunk. Own: whether pixels may be transparent."""

    def step(at: Any, _: Any, exif: Any, transparent: Any) -> tuple[Any, ...]:
        length, word = read(cut(file, at, 8), Number(0, 4, big=True), Number(4, 4))
        is_exif = tf.equal(word, spelled(b"eXIf")) & (exif < 0)
        return at + 12 + length, word, either(is_exif, at, exif), either(tf.equal(word, spelled(b"tRNS")), 1, transparent)

    _, _, exif, transparent = walk(lambda _, word, *__: tf.equal(word, spelled(b"IEND")), step, 8, 0, -1, 0)
    width, height, depth, colour = read(cut(file, 16, 10), Number(0, 4, big=True), Number(4, 4, big=True), Number(8, 1), Number(9, 1))
    (length,) = read(peek(file, tf.maximum(exif, 0), 4), Number(0, 4, big=True))
    bits = either(tf.equal(depth, GREY_DEEP) & tf.not_equal(colour, 0), COLOUR_DEEP, depth)
    return facts(height, width, (transparent > 0) | (colour >= 4), bits=bits, exif=(exif + 8, either(exif < 0, 0, exif + 8 + length)))


def pixels(file: File, head: Header) -> Any:
    """(height, width, 3) or, where they may be transparent, (height, width, 4) uint8."""
    return tf.cond(head.own[0] > 0, *(partial(tf.io.decode_png, file.text, channels=channels) for channels in (4, 3)))


def deep(file: File, background: float) -> Any:
    """Grey of 16 bits, (height, width, 1) float32; `background` where it is transparent."""
    found = tf.io.decode_png(file.text, channels=4, dtype=tf.uint16)
    return tf.where(found[..., 3:4] > 0, tf.cast(found[..., 0:1], tf.float32), background)
