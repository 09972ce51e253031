"""Whole numbers out of the bytes of a file, and back.

Everything here is traced once per format and layer, and every operation costs time before the first image comes out. So the numbers
of one part of a file are read all at once, and words as numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

_MOST_PARTS = 100_000
"""Segments, chunks or blocks of a file, so that none can keep the machine busy; those of a PNG have 8 kB as a rule."""


class File(NamedTuple):
    """One file."""

    text: Any
    """All of it; a string."""
    data: Any
    """(bytes,) uint8."""
    last: Any
    """Position of the last byte; int64, like all positions in a file."""


def open_bytes(text: Any) -> File:
    """Return the file that has the bytes `text`."""
    data = tf.io.decode_raw(text, tf.uint8)
    return File(text, data, tf.size(data, tf.int64) - 1)


class Number(NamedTuple):
    """Position and size in bytes of an integer, from the beginning of a part."""

    start: int
    size: int
    big: bool = False
    """True if the most significant byte comes first."""


def spelled(word: bytes) -> int:
    """The number that is read, the least significant byte first, where `word` stands."""
    return int.from_bytes(word, "little")


def cut(file: File, at: Any, count: Any) -> Any:
    """`count` bytes from `at` on; an error, which makes the image unreadable, where there are fewer."""
    return tf.slice(file.data, [at], [count])


def peek(file: File, at: Any, count: int) -> Any:
    """`count` bytes from `at`, 0 or more, on; anything where there are fewer."""
    return tf.gather(file.data, tf.minimum(at + np.arange(count), file.last))


def byte(file: File, at: Any) -> Any:
    """int64; an error behind the end, as datasets gather on the CPU."""
    return tf.cast(tf.gather(file.data, at), tf.int64)


def read(digits: Any, *numbers: Number) -> list[Any]:
    """The numbers that stand in the vector `digits`, whose length is known; int64, so that four bytes are never negative."""
    return list(tf.unstack(tf.reduce_sum(tf.cast(digits, tf.int64) * weights(numbers, digits.shape[0]), axis=1)))


def weights(numbers: Sequence[Number], length: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(numbers, length) int64: how much each byte of a part of this length counts in each of the numbers."""
    factors = np.zeros((len(numbers), length), np.int64)
    for row, (start, size, big) in zip(factors, numbers, strict=True):
        powers = 256 ** np.arange(size)
        row[start : start + size] = powers[::-1] if big else powers
    return factors


def either(condition: Any, one: Any, other: Any) -> Any:
    """`one` where the condition holds, `other` elsewhere, numbers or truths; int64."""
    return tf.where(condition, whole(one), whole(other))


def whole(value: Any) -> Any:
    """A number or a truth as int64; known ones without an operation."""
    return tf.constant(int(value), tf.int64) if isinstance(value, int) else tf.cast(value, tf.int64)


def text_of(numbers: Any) -> Any:
    """A vector of numbers 0..255 as one string."""
    letters = tf.constant([bytes([number]) for number in range(256)])
    return tf.strings.reduce_join(tf.gather(letters, numbers))


def walk(ended: Callable[..., Any], step: Callable[..., Any], *state: Any) -> list[Any]:
    """`step` over `state`, numbers or vectors, until it has `ended`; an error where that takes more than `_MOST_PARTS`."""
    begun = [tf.cast(value, tf.int64) for value in state]
    end = tf.while_loop(lambda *now: ~ended(*now), step, begun, maximum_iterations=_MOST_PARTS)
    return required(ended(*end), *end)


def required(condition: Any, *values: Any) -> list[Any]:
    """`values`, or an error."""
    with tf.control_dependencies([tf.raw_ops.Assert(condition=condition, data=["The file is not as its format wants it."])]):
        return list(tf.identity_n(values))


SHALLOW, GREY_DEEP, COLOUR_DEEP = 8, 16, 48
"""8 bits a sample or fewer, 16 in one channel, 16 in more than one."""

_DETAILS = 8


class Header(NamedTuple):
    """All of them int64 scalars, but for `details`."""

    height: Any
    """Height as stored, before EXIF turns the image; likewise `width`."""
    width: Any
    bits: Any
    """`SHALLOW` or fewer, `GREY_DEEP` or `COLOUR_DEEP`."""
    exif: Any
    """Position of the TIFF structure."""
    exif_end: Any
    """The place behind it; 0 where there is none."""
    turn: Any
    """The orientation of a file without EXIF."""
    details: Any
    """(8,): what the decoder of the format wants to know; see the readers."""


def facts(height: Any, width: Any, *details: Any, bits: Any = SHALLOW, exif: tuple[Any, Any] = (0, 0), turn: Any = 1) -> Any:
    """A header as one vector, so that every format's has the same shape; int64."""
    values = tf.stack([whole(value) for value in (height, width, bits, *exif, turn, *details)])
    return tf.pad(values, [[0, _DETAILS - len(details)]])


def header(vector: Any) -> Header:
    """Return the header from the vector that `facts` made."""
    scalars, details = tf.split(vector, [6, _DETAILS])
    return Header._make([*tf.unstack(scalars), details])
