"""Whole numbers out of a vector of bytes, and back. Reading past its end is an error, which makes the picture unreadable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_MOST_PARTS = 100_000
"""Segments, chunks or blocks of a file, so that none can keep the machine busy; those of a PNG have 8 kB as a rule."""


def byte(data: Any, at: Any) -> Any:
    """int32."""
    return tf.cast(tf.gather(data, at), tf.int32)


def big(data: Any, at: Any, count: int) -> Any:
    """`count` bytes from `at` on, the most significant first; int64, so that four bytes are never negative."""
    return _number(cut(data, at, count), [256**place for place in reversed(range(count))])


def little(data: Any, at: Any, count: int) -> Any:
    """`count` bytes from `at` on, the least significant first; int64."""
    return _number(cut(data, at, count), [256**place for place in range(count)])


def _number(digits: Any, weights: list[int]) -> Any:
    return tf.reduce_sum(tf.cast(digits, tf.int64) * tf.constant(weights, tf.int64))


def cut(data: Any, at: Any, count: Any) -> Any:
    """`count` bytes from `at` on; an error where there are fewer."""
    return tf.slice(data, [at], [count])


def is_at(data: Any, at: Any, word: bytes) -> Any:
    """Whether `word` stands at `at`; False where the data end before it does."""
    found = data[at : at + len(word)]
    return tf.cond(tf.equal(tf.size(found), len(word)), lambda: tf.reduce_all(tf.equal(found, list(word))), lambda: tf.constant(False))


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
    with tf.control_dependencies([tf.debugging.assert_equal(more(*end), False)]):
        return [tf.identity(value) for value in end]
