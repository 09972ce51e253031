"""The parts of a WebP file, checked by the same rules as in an exported model."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mmtrain.image_decoding.decoded_image import cut_short, damaged_image
from mmtrain.image_decoding.format_rules import (
    WEBP_EXTENDED,
    WEBP_FLAGS,
    WEBP_LOSSLESS_MARK,
    WEBP_LOSSY_MARK,
    WEBP_ORDER,
    WEBP_OTHER,
    WEBP_PARTS,
)


def webp_exif(data: bytes) -> bytes:
    """Return the TIFF structure of the EXIF part, empty without one. Raises UnreadableImage for parts that contradict each other."""
    # The length counts from byte 8 on.
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise cut_short("WEBP")
    if not WEBP_ORDER.holds(_letters(data, end)):
        raise damaged_image("WEBP")
    exif = next((data[at + 8 : at + 8 + length] for name, at, length in _chunks(data, 12, end) if name == b"EXIF"), b"")
    return exif.removeprefix(b"Exif\0\0")


def _chunks(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and length of each chunk between two places."""
    while at < end:
        name, length = struct.unpack_from("<4sI", data, at)
        # Chunks of odd length are followed by a byte of padding.
        if at + 8 + length + length % 2 > end:
            raise damaged_image("WEBP")
        yield name, at, length
        at += 8 + length + length % 2


def _letters(data: bytes, end: int) -> Iterator[str]:
    """Yield the letter of each part, for `WEBP_ORDER`. Images have the size of the canvas or of their frame; frames lie on the canvas."""
    canvas = box = None
    for name, at, length in _chunks(data, 12, end):
        letter = WEBP_PARTS.get(name, WEBP_OTHER)
        if name == b"VP8X":
            # Bit 1 of the flags says that the image moves.
            letter = WEBP_EXTENDED[data[at + 8] >> 1 & 1]
            _require(not data[at + 8] & ~WEBP_FLAGS)
            # Three bytes each, less one.
            canvas = 1 + _little(data, at + 12, 3), 1 + _little(data, at + 15, 3)
            box = canvas if letter == "X" else (0, 0)
        _require(letter not in "YL" or _fits(data, at, length, box))
        _require(length >= {"X": 10, "M": 10, "I": 6, "F": 16}.get(letter, 0))
        yield letter
        if letter == "F":
            # Left and top are in steps of two pixels, width and height less one.
            left, top, width, height = (_little(data, at + 8 + place, 3) for place in (0, 3, 6, 9))
            _require(canvas is not None and 2 * left + width < canvas[0] and 2 * top + height < canvas[1])
            for inner, place, size in _chunks(data, at + 24, at + 8 + length + length % 2):
                letter = WEBP_PARTS.get(inner, WEBP_OTHER)
                _require(letter in "AYLo" and inner != b"VP8X")
                _require(letter not in "YL" or _fits(data, place, size, (1 + width, 1 + height)))
                yield letter


def _fits(data: bytes, at: int, length: int, box: tuple[int, int] | None) -> bool:
    """Return whether the pixels at a place have a head that decoders take, and the width and height of `box`, if there is one."""
    if data[at + 3] == ord("L"):
        # Lossless: 14 bits for each side, less one, behind the mark.
        sides = _little(data, at + 9, 4)
        size = 1 + sides % 2**14, 1 + sides // 2**14 % 2**14
        sound = length >= 5 and data[at + 8] == WEBP_LOSSLESS_MARK and sides < 2**29
    else:
        # Lossy: three bytes of flags and length, three of the mark, two for each side.
        bits, mark, width, height = (_little(data, at + 8 + place, count) for place, count in ((0, 3), (3, 3), (6, 2), (8, 2)))
        size = width % 2**14, height % 2**14
        shown = bits & 0b10001 == 0b10000 and bits >> 1 & 7 <= 3  # a key frame of a known profile
        sound = length >= 10 and shown and bits >> 5 < length and mark == WEBP_LOSSY_MARK and min(size) > 0
    return sound and box in (None, size)


def _little(data: bytes, at: int, count: int) -> int:
    return int.from_bytes(data[at : at + count], "little")


def _require(condition: bool) -> None:
    if not condition:
        raise damaged_image("WEBP")
