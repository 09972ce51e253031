"""Whole numbers out of a vector of bytes, and back.

Everything here is traced once per format and layer, so it does without branches, which each cost a graph of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_MOST_PARTS = 100_000
"""Segments, chunks or blocks of a file, so that none can keep the machine busy; those of a PNG have 8 kB as a rule."""


def cut(data: Any, at: Any, count: Any) -> Any:
    """`count` bytes from `at` on; an error, which makes the picture unreadable, where there are fewer."""
    return tf.slice(data, [at], [count])


def peek(data: Any, at: Any, count: int) -> Any:
    """`count` bytes from `at` on; anything where there are fewer."""
    return tf.gather(data, tf.clip_by_value(tf.cast(at, tf.int32) + tf.range(count), 0, tf.size(data) - 1))


def byte(data: Any, at: Any) -> Any:
    """int32; an error behind the end."""
    return tf.cast(cut(data, at, 1)[0], tf.int32)


def big(digits: Any) -> Any:
    """The most significant byte first; int64, so that four bytes are never negative."""
    return little(digits[::-1])


def little(digits: Any) -> Any:
    """The least significant byte first; int64."""
    weights = [256**place for place in range(8)]
    return tf.reduce_sum(tf.cast(digits, tf.int64) * tf.constant(weights[:-1], tf.int64)[: tf.size(digits)])


def is_at(data: Any, at: Any, word: bytes) -> Any:
    """Whether `word` stands at `at`."""
    return tf.reduce_all(tf.equal(peek(data, at, len(word)), list(word)))


def text_of(numbers: Any) -> Any:
    """A short vector of numbers 0..255 as one string."""
    letters = tf.constant([bytes([number]) for number in range(256)])
    return tf.strings.reduce_join(tf.gather(letters, tf.cast(numbers, tf.int32)))


def little_text(number: Any, count: int) -> Any:
    """A number as a string of `count` bytes, the least significant first."""
    weights = tf.constant([256**place for place in range(count)], tf.int64)
    return text_of(tf.cast(number, tf.int64) // weights % 256)


def walk(more: Callable[..., Any], step: Callable[..., Any], *state: Any) -> list[Any]:
    """`step` over `state` as long as there is `more`; an error where that takes more than `_MOST_PARTS`."""
    end = tf.while_loop(more, step, [tf.convert_to_tensor(value) for value in state], maximum_iterations=_MOST_PARTS)
    return required(~more(*end), end)


def required(condition: Any, values: Any) -> list[Any]:
    """`values`, or an error."""
    with tf.control_dependencies([tf.raw_ops.Assert(condition=condition, data=["The file is not as its format wants it."])]):
        return [tf.identity(value) for value in values]
