"""WebP: the first frame on its canvas.

TensorFlow 2.21 brings the process down with some animations (seen: a double free in `decode_webp`). So its decoder is only ever
given a file of one frame, made here of the parts of the file.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mmtrain.image_decoding.format_rules import REFUSED, WEBP_FLAGS, WEBP_LOSSLESS_MARK, WEBP_LOSSY_MARK, WEBP_ORDER, WEBP_OTHER, WEBP_PARTS
from mmtrain.layers.image_decoding.byte_reader import File, Header, Number, cut, either, facts, peek, read, required, spelled, text_of, walk

_PLACES = [[spelled(name) for name in names] for names in ((b"ANMF",) * 2, (b"ALPH",) * 2, (b"VP8 ", b"VP8L"), (b"EXIF",) * 2)]
"""Parts of a file: an animation's frame, transparency that is stored apart, pixels, lossy or lossless, and EXIF."""
_NUMBERS = [(0, 4), (4, 4), (8, 1), (11, 3), (8, 3), (9, 4), (15, 3), (12, 3), (11, 3), (8, 3), (17, 3), (14, 3), (16, 2), (14, 2)]
"""Name, length, flags, mark and first bits of a part, sides of lossless pixels; of canvas, place, frame and lossy pixels, height first."""
_LETTERS = [spelled(name) for name in (*WEBP_PARTS, b"VP8X")]
_PART = {letter: WEBP_ORDER.letters.index(letter) for letter in WEBP_ORDER.letters}
_STEPS = np.array(WEBP_ORDER.table(), np.int64)
_LEAST = np.array([{"X": 10, "M": 10, "I": 6, "F": 16, "L": 5, "Y": 10}.get(letter, 0) for letter in WEBP_ORDER.letters], np.int64)
"""Bytes that a part has at least."""
_OUTSIDE = np.array([letter in "IFXM" for letter in WEBP_ORDER.letters])
"""Parts that no frame may have."""


def header(file: File) -> Any:
    """The size of the canvas, or of the first frame where that sticks out.

    Own: where the first frame's transparency and pixels are, -1 where it lacks them, bytes of the pixels, its height and width as
    the pixels themselves tell, which no canvas can make smaller, its top and left, and whether the file says that it is opaque.
    """
    frame, alpha, image, exif = tf.unstack(_parts(file))
    numbers = Number(0, 1), Number(1, 4), Number(6, 4), Number(11, 2), Number(13, 2)
    letter, length, sides, wide, tall = read(peek(file, image + 3, 15), *numbers)
    lossless = tf.equal(letter, ord("L"))
    height = either(lossless, sides // 2**14 % 2**14 + 1, tall % 2**14)
    width = either(lossless, sides % 2**14 + 1, wide % 2**14)
    left, top = read(peek(file, frame + 8, 6), Number(0, 3), Number(3, 3))
    left, top = (either(frame < 0, 0, 2 * place) for place in (left, top))
    name, flags, *canvas = read(peek(file, 12, 18), Number(0, 4), Number(8, 1), Number(15, 3), Number(12, 3))
    extended = tf.equal(name, spelled(b"VP8X"))
    canvas = [tf.maximum(either(extended, side + 1, 0), least) for side, least in zip(canvas, (top + height, left + width), strict=True)]
    opaque = extended & tf.equal(flags & 0x10, 0)
    exif_length, mark = read(peek(file, exif + 4, 10), Number(0, 4), Number(4, 6))
    start = exif + 8 + either(tf.equal(mark, spelled(b"Exif\0\0")), 6, 0)
    end = either(exif < 0, 0, exif + 8 + _signed(exif_length))
    return facts(*canvas, alpha, image, length, height, width, top, left, opaque, exif=(start, end))


def _parts(file: File) -> Any:
    """Return the positions of the first frame, its transparency, its pixels and EXIF, -1 for none; (4,) int64. Parts out of order fail.

    The rules are those of `mmtrain.image_decoding.webp_parts`.
    """
    (size,) = read(peek(file, 4, 4), Number(0, 4))
    end = size + 8

    def step(at: Any, state: Any, frame_end: Any, canvas: Any, box: Any, positions: Any) -> tuple[Any, ...]:
        part = _part(file, at)
        inside = at < frame_end
        behind = at + 8 + part.length + part.length % 2
        sound = (behind <= either(inside, frame_end, end)) & (part.length >= tf.gather(_LEAST, part.letter))
        sound &= ~(inside & tf.gather(_OUTSIDE, part.letter))
        extended, moving, is_frame = (tf.equal(part.letter, _PART[letter]) for letter in "XMF")
        is_image = tf.equal(part.letter, _PART["Y"]) | tf.equal(part.letter, _PART["L"])
        sound &= ~is_image | (part.decodable & ((box[0] < 0) | tf.reduce_all(tf.equal(part.image, box))))
        sound &= ~(extended | moving) | tf.equal(part.flags & ~WEBP_FLAGS, 0)
        sound &= ~is_frame | tf.reduce_all(part.place + part.frame <= canvas)
        canvas = tf.where(extended | moving, part.canvas, canvas)
        frame_end = either(is_frame, behind, frame_end)
        after = either(is_frame, at + 24, behind)
        nothing = moving | ((box[0] >= 0) & tf.equal(after, frame_end))
        box = tf.where(extended, part.canvas, tf.where(is_frame, part.frame, tf.where(nothing, tf.constant(0, tf.int64), box)))
        state = either(sound, tf.gather_nd(_STEPS, tf.stack([state, part.letter])), REFUSED)
        first = (
            part.named
            & (positions < 0)
            & tf.concat([(positions[1:2] < 0) & (positions[2:3] < 0), positions[2:3] < 0, [True, True]], axis=0)
        )
        return after, state, frame_end, canvas, box, either(first, at, positions)

    begun = (12, 1, 0, [-1, -1], [-1, -1], [-1] * 4)
    _, state, *_, positions = walk(lambda at, state, *_: (at >= end) | tf.equal(state, REFUSED), step, *begun)
    whole_file = end - 1 <= file.last
    return required(whole_file & tf.reduce_any(tf.equal(state, sorted(WEBP_ORDER.ends))), positions)[0]


class _Part(NamedTuple):
    """One part of a file. Sizes and places are (2,), height or top first, and mean something for the parts that have them."""

    length: Any
    letter: Any
    """Its place in the letters of `WEBP_ORDER`."""
    flags: Any
    named: Any
    """(4,): which of the parts it is that `_parts` looks for."""
    canvas: Any
    place: Any
    frame: Any
    image: Any
    decodable: Any
    """True if decoders accept the header of the pixels."""


def _part(file: File, at: Any) -> _Part:
    digits = tf.concat([cut(file, at, 8), peek(file, at + 8, 12)], axis=0)
    sizes = tf.stack(read(digits, *(Number(*place) for place in _NUMBERS)))
    (name, length, flags, mark, bits, sides), pairs = tf.unstack(sizes[:6]), tf.reshape(sizes[6:], [4, 2])
    canvas, place, frame, lossy = tf.unstack(pairs * [[1], [2], [1], [1]] + [[1], [0], [1], [0]])
    of_name = tf.concat([tf.equal(name, _LETTERS), [True]], axis=0)
    letter = tf.gather([*(_PART[letter] for letter in WEBP_PARTS.values()), _PART["X"], _PART[WEBP_OTHER]], tf.argmax(of_name))
    letter = either(tf.equal(letter, _PART["X"]) & (flags & 2 > 0), _PART["M"], letter)
    lossless = tf.equal(letter, _PART["L"])
    image = tf.where(lossless, tf.stack([sides // 2**14, sides]) % 2**14 + 1, lossy % 2**14)
    shown = tf.equal(bits & 1, 0) & (bits // 2 % 8 <= 3) & (bits & 16 > 0) & (bits // 32 < length)
    lossy_sound = shown & tf.equal(mark, WEBP_LOSSY_MARK) & tf.reduce_all(image > 0)
    lossless_sound = tf.equal(flags, WEBP_LOSSLESS_MARK) & (sides < 2**29)
    return _Part(
        length,
        letter,
        flags,
        tf.reduce_any(tf.equal(name, _PLACES), axis=1),
        canvas,
        place,
        frame,
        image,
        tf.where(lossless, lossless_sound, lossy_sound),
    )


def _signed(number: Any) -> Any:
    """The number of four bytes with the sign that an int32 gives it: what is too large leads out of the file, to an error."""
    return tf.cast(tf.cast(number, tf.int32), tf.int64)


def pixels(file: File, head: Header) -> Any:
    """(height, width, 4) uint8."""
    alpha, image, length, height, width, top, left, opaque = tf.unstack(head.details)
    frame = tf.io.decode_webp(_alone(file, (alpha, image), length, (height, width)))[0]  # of (frames, height, width, channels)
    missing = (4 - tf.shape(frame)[2]) * [[0, 0], [0, 0], [0, 1]]
    frame = tf.pad(frame, missing, constant_values=tf.constant(255, tf.uint8))
    before = tf.stack([top, left, 0])
    behind = tf.stack([head.height, head.width, 4]) - before - tf.shape(frame, tf.int64)
    canvas = tf.pad(frame, tf.stack([before, behind], axis=1))
    return tf.ensure_shape(tf.bitwise.bitwise_or(canvas, tf.cast(tf.stack([0, 0, 0, 255 * opaque]), tf.uint8)), (None, None, 4))


def _alone(file: File, parts: tuple[Any, Any], length: Any, size: tuple[Any, Any]) -> Any:
    """A file of the first frame's pixels and their transparency, and nothing else."""
    alpha, image = parts
    (transparency,) = read(peek(file, alpha + 4, 4), Number(0, 4))

    def chunk(at: Any, length: Any) -> Any:
        length = _signed(length)
        return tf.strings.substr(file.text, tf.maximum(at, 0), either(at < 0, 0, 8 + length + length % 2))

    sides = (tf.stack(size[::-1]) - 1)[:, None] // [1, 256, 256**2] % 256
    head = tf.strings.join([b"VP8X\x0a\0\0\0\x10\0\0\0", text_of(tf.reshape(sides, (-1,)))])
    body = tf.strings.join([tf.where(alpha < 0, "", head), chunk(alpha, transparency), chunk(image, length)])
    total = (4 + tf.strings.length(body)) // [1, 256, 256**2, 256**3] % 256
    return tf.strings.join(["RIFF", text_of(total), "WEBP", body])
