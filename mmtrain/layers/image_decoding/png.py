"""PNG: the header, and pixels of 8 or 16 bits."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.image_decoding.format_rules import PNG_ORDER, PNG_PALETTE, PNG_PARTS, PNG_PIXELS, PNG_TRANSPARENT, REFUSED
from mmtrain.layers.image_decoding.byte_reader import File, Number, cut, either, peek, read, required, spelled, walk
from mmtrain.layers.image_decoding.checksum import crc32
from mmtrain.layers.image_decoding.header import COLOUR_DEEP, GREY_DEEP, Header, facts

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
        (told,) = read(cut(file, at + 8 + length, 4), Number(0, 4, big=True))
        # The decoder looks at the checksums of the others itself.
        intact = tf.equal(crc32(file, at + 4, either(small, length + 4, 0)), told) | ~small
        is_exif = tf.equal(word, spelled(b"eXIf")) & (exif < 0)
        colours = either(tf.equal(word, spelled(b"PLTE")), length // 3, colours)
        # Elsewhere, and of another size, the decoder ignores it, and then gives an alpha that is none.
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
    return tf.cond(head.own[0] > 0, *(partial(tf.io.decode_png, file.text, channels=channels) for channels in (4, 3)))


def deep(file: File, background: float) -> Any:
    """Grey of 16 bits, (height, width, 1) float32; `background` where it is transparent."""
    found = tf.io.decode_png(file.text, channels=4, dtype=tf.uint16)
    return tf.where(found[..., 3:4] > 0, tf.cast(found[..., 0:1], tf.float32), background)
