"""JPEG: the header, and the pixels at a whole part of their size."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.image_decoding import Layout
from mmtrain.layers.image_decoding.byte_reader import File, Header, Number, cut, either, facts, peek, read, spelled, walk
from mmtrain.layers.image_decoding.resize import PARTS, reduction

_APP1, _SOS = 0xE1, 0xDA
_LONE = {0, *range(0xD0, 0xDA)}
"""Markers that no length follows; 0 stands for bytes between the segments."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MARKERS = np.array([[marker not in _LONE, marker in _FRAMES] for marker in range(256)], np.int64)


def header(file: File) -> Any:
    """Segments up to the start of the scan; the first frame header, the first EXIF segment.

    Own: whether it is grey or colour with 8 bits, so that it can be made smaller while it is decoded.
    """

    def step(at: Any, _: Any, frame: Any, exif: Any) -> tuple[Any, ...]:
        head = tf.concat([cut(file, at, 4), peek(file, at + 4, 6)], axis=0)
        first, second, length, word = read(head, Number(0, 1), Number(1, 1), Number(2, 2, big=True), Number(4, 6))
        filling = tf.not_equal(first, 0xFF) | tf.equal(second, 0xFF)
        marker = either(filling, 0, second)
        has_length, is_frame = tf.unstack(tf.gather(_MARKERS, marker))
        is_exif = tf.equal(marker, _APP1) & tf.equal(word, spelled(b"Exif\0\0")) & (exif < 0)
        behind = at + either(filling, 1, 2 + length * has_length)
        behind = either((has_length > 0) & (length < 2), -1, behind)  # an error of the next step: the length counts its own two bytes
        return behind, marker, either((is_frame > 0) & (frame < 0), at, frame), either(is_exif, at, exif)

    _, _, frame, exif = walk(lambda _, marker, *__: tf.equal(marker, _SOS), step, 2, 0, -1, -1)
    coding, bits, *size, components = read(
        cut(file, frame + 1, 9), Number(0, 1), Number(3, 1), Number(4, 2, big=True), Number(6, 2, big=True), Number(8, 1)
    )
    (length,) = read(peek(file, exif + 2, 2), Number(0, 2, big=True))
    plain = (coding <= 0xC2) & tf.equal(bits, 8) & (tf.equal(components, 1) | tf.equal(components, 3))
    return facts(*size, plain, exif=(exif + 10, either(exif < 0, 0, exif + 2 + length)))


def pixels(file: File, head: Header, turn: Any, layout: Layout) -> Any:
    """(height, width, 3) uint8; one that is much larger than the layout comes at a half, a quarter or an eighth of its size."""
    part = either(head.details[0] > 0, reduction((head.height, head.width), turn, layout), 1)
    # How much smaller is an attribute of the operation, so there is one for each.
    sizes = [partial(tf.io.decode_jpeg, file.text, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE") for ratio in PARTS]
    return tf.switch_case(tf.argmax(tf.equal(part, PARTS), output_type=tf.int32), sizes)
