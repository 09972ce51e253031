"""GIF: the first frame on its screen."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from mmtrain.image_decoding.lzw import FEWEST_BITS, FULL, MOST_BITS, steps
from mmtrain.layers.image_decoding.byte_reader import File, Header, Number, byte, cut, either, facts, peek, read, required, text_of, walk
from mmtrain.layers.image_decoding.colour import by_strips

_BITS = range(FEWEST_BITS, MOST_BITS + 1)
_STEPS = np.array([[steps(bits, full=full) for full in (False, True)] for bits in _BITS], np.int32)
"""(bits, empty or full table, starts, widths or highest, codes)."""


def can_be_followed(file: File, start: Any, end: Any) -> Any:
    """Return whether the LZW codes in the blocks from `start` on are valid; the last block, which is empty, ends at `end`."""
    bits = byte(file, start)
    known = (bits >= FEWEST_BITS) & (bits <= MOST_BITS)
    return known & _followed(_codes(file, start + 1, end), tf.clip_by_value(bits, FEWEST_BITS, MOST_BITS))


def _codes(file: File, start: Any, end: Any) -> Any:
    """The bytes of blocks without their lengths."""
    lengths = tf.TensorArray(tf.int64, size=0, dynamic_size=True, element_shape=())

    def step(at: Any, number: Any, positions: Any) -> tuple[Any, Any, Any]:
        return at + 1 + byte(file, at), number + 1, positions.write(number, at - start)

    places = tf.while_loop(lambda at, *_: at < end, step, (start, 0, lengths))[2].stack()
    is_length = tf.scatter_nd(places[:, None], tf.ones_like(places, tf.int32), tf.stack([end - start]))
    return tf.boolean_mask(file.data[start:end], tf.equal(is_length, 0))


def _followed(codes: Any, bits: Any) -> Any:
    total = 8 * tf.size(codes, tf.int64)
    digits = tf.cast(tf.pad(codes, [[0, 3]]), tf.int32)
    clear = tf.cast(tf.bitwise.left_shift(tf.constant(1, tf.int64), bits), tf.int32)
    tables = tf.gather(_STEPS, bits - FEWEST_BITS)  # (2, 3, codes)

    def step(start: Any, full: Any, _: Any, __: Any) -> tuple[Any, Any, Any, Any]:
        begins, widths, highest = tf.unstack(tf.gather(tables, full))
        at = start + tf.cast(begins, tf.int64)
        count = tf.math.count_nonzero(at + tf.cast(widths, tf.int64) <= total)
        at, widths, highest = at[:count], widths[:count], highest[:count]
        place, shift = at // 8, tf.cast(at % 8, tf.int32)
        three = tf.gather(digits, place) + 256 * tf.gather(digits, place + 1) + 256**2 * tf.gather(digits, place + 2)
        codes_read = tf.bitwise.right_shift(three, shift) % tf.bitwise.left_shift(tf.ones_like(widths), widths)
        mark = tf.equal(codes_read, clear) | tf.equal(codes_read, clear + 1)
        stop = tf.where(tf.reduce_any(mark), tf.argmax(tf.cast(tf.concat([mark, [True]], axis=0), tf.int32)), count)
        sound = tf.reduce_all(codes_read[:stop] <= highest[:stop])
        ended = (tf.equal(stop, count) & (count < FULL)) | tf.reduce_any(tf.equal(codes_read[stop : stop + 1], clear + 1))
        last = tf.minimum(stop, FULL - 1)
        behind = start + tf.cast(tf.gather(tables[full, 0], last) + tf.gather(tables[full, 1], last), tf.int64)
        return behind, tf.cast(tf.equal(stop, FULL), tf.int64), sound, ended

    begun = (tf.constant(0, tf.int64), tf.constant(0, tf.int64), tf.constant(True), tf.constant(False))
    return tf.while_loop(lambda _, __, sound, ended: sound & ~ended, step, begun, parallel_iterations=1)[2]


_EXTENSION, _CONTROL, _FRAME, _END = 0x21, 0xF9, 0x2C, 0x3B


def header(file: File) -> Any:
    """The size of the screen, or of the first frame where that sticks out.

    Own: where the first frame's descriptor is, its transparent colour or -1, flags of the screen and of the frame,
    and top and left of the frame.
    """

    def step(at: Any, clear: Any) -> tuple[Any, Any]:
        first, second, size, flags, colour = read(cut(file, at, 7), *(Number(place, 1) for place in (0, 1, 2, 3, 6)))
        extension = tf.equal(first, _EXTENSION)
        control = extension & tf.equal(second, _CONTROL) & (size > 0)
        behind = either(extension, _behind_blocks(file, at + 2, some=extension), at + 1)
        behind = either(control & (size < 4), -1, behind)  # an error of the next step
        return behind, either(control & tf.equal(flags & 1, 1), colour, clear)

    width, height, flags = read(cut(file, 0, 11), Number(6, 2), Number(8, 2), Number(10, 1))
    start = 13 + either(flags >= 0x80, 3 * tf.bitwise.left_shift(tf.constant(2, tf.int64), flags & 7), 0)
    # What a step takes is shorter than a frame's descriptor, which is still to come.
    at, clear = walk(lambda at, _: tf.reduce_any(tf.equal(byte(file, at), [_FRAME, _END])), step, start, -1)
    (at,) = required(tf.equal(byte(file, at), _FRAME), at)
    descriptor = tf.concat([cut(file, at + 1, 8), peek(file, at + 9, 1)], axis=0)
    left, top, wide, tall, frame_flags = read(descriptor, *(Number(place, 2) for place in (0, 2, 4, 6)), Number(8, 1))
    return facts(tf.maximum(height, top + tall), tf.maximum(width, left + wide), at, clear, flags, frame_flags, top, left)


def pixels(file: File, head: Header) -> Any:
    """(height, width, 4) uint8.

    TensorFlow decodes all frames and forgets which pixels were transparent. So its decoder is given a file with one frame
    and a palette that tells the number of each colour in red; the true palette is applied here.
    """
    at, clear, screen, flags, top, left, *_ = tf.unstack(head.details)
    has_palette = flags >= 0x80
    (has_palette,) = required(has_palette | (screen >= 0x80), has_palette)
    bits = either(has_palette, flags, screen) & 7
    count = tf.bitwise.left_shift(tf.constant(2, tf.int64), bits)
    numbers = tf.range(count)
    palette = tf.reshape(cut(file, either(has_palette, at + 10, 13), 3 * count), (-1, 3))
    alpha = tf.cast(either(tf.equal(numbers, clear), 0, 255), tf.uint8)
    colours = tf.concat([palette, alpha[:, None]], axis=1)
    raster = at + 10 + either(has_palette, 3 * count, 0)
    frame = _frame(file, at, flags, bits, numbers, raster)
    before = tf.stack([top, left])
    behind = tf.stack([head.height, head.width]) - before - tf.shape(frame, tf.int64)
    place = tf.stack([before, behind], axis=1)
    screen_numbers = tf.pad(frame, place, constant_values=tf.cast(tf.maximum(clear, 0), tf.uint8))  # a byte each, until they are colours
    return by_strips(lambda strip: tf.gather(colours, tf.cast(strip[:, 0], tf.int32)), screen_numbers[..., None], 4)


def _frame(file: File, at: Any, flags: Any, bits: Any, numbers: Any, raster: Any) -> Any:
    """The colours of the frame described `at`, by number; (height, width) uint8."""
    sides = tf.cast(cut(file, at + 5, 4), tf.int64)
    palette = tf.reshape(tf.pad(numbers[:, None], [[0, 0], [0, 2]]), (-1,))
    parts = [list(b"GIF89a"), sides, tf.stack([0xF0 | bits, 0, 0]), palette, list(b",\0\0\0\0"), sides, [flags & 0x40]]
    end = _behind_blocks(file, raster + 1)
    (end,) = required(can_be_followed(file, raster, end), end)
    blocks = tf.strings.substr(file.text, raster, end - raster)
    alone = tf.strings.join([text_of(tf.concat(parts, axis=0)), blocks, ";"])
    decoded = tf.io.decode_image(alone, channels=3, expand_animations=False)
    return tf.ensure_shape(decoded, (None, None, 3))[..., 0]


def _behind_blocks(file: File, start: Any, *, some: Any = True) -> Any:
    """The end of the blocks from `start` on, of which the last is empty, if there are `some`."""
    (at,) = walk(lambda at: tf.equal(byte(file, at), 0) | ~tf.convert_to_tensor(some), lambda at: (at + 1 + byte(file, at),), start)
    return at + 1
