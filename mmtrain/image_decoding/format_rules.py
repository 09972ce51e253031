"""Rules that a file has to keep, for both readers: in Python and in an exported graph.

Decoders forgive different things. What is refused by one and read by the other would be an image for training and none for the
exported model, so parts out of order are refused by both. An order is an automaton over letters, one for each part of a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

REFUSED = 0
"""The state without a way out; the automaton starts in 1."""


@dataclass(frozen=True)
class Order:
    """`steps[state - 1]` says for letters which state follows; every other letter is refused."""

    letters: str
    steps: tuple[dict[str, int], ...]
    ends: frozenset[int]

    def table(self) -> list[list[int]]:
        """The state that follows, by state and by place of the letter in `letters`."""
        return [[step.get(letter, REFUSED) for letter in self.letters] for step in ({}, *self.steps)]

    def holds(self, parts: Iterable[str]) -> bool:
        """Return whether these letters, one for each part of a file, are in order and complete."""
        state = 1
        for letter in parts:
            state = self.steps[state - 1].get(letter, REFUSED)
            if state == REFUSED:
                return False
        return state in self.ends


BMP_HEADER_SIZES = (12, 40, 52, 56, 64, 108, 124)
BMP_MOST_COLOURS = 65_536
"""Most colours of a palette that a header may state."""

PNG_PARTS = {b"IHDR": "H", b"PLTE": "P", b"IDAT": "D", b"IEND": "E"}
PNG_OTHERS = "ac"
"""Letters of parts with other names: ancillary ones, which begin with a small letter, and critical ones, which nobody could skip."""
PNG_ORDER = Order(
    "HPDEac",
    (
        {"H": 2},
        {"a": 2, "P": 3, "D": 4},
        {"a": 3, "D": 4},
        {"D": 4, "a": 5, "E": 6},
        {"a": 5, "E": 6},
        {},
    ),
    frozenset({6}),
)
"""One header first, at most one palette, pixels without anything between them."""
PNG_PIXELS = 4
"""The state from which on there are pixels."""
PNG_PALETTE = 3
"""The kind of colour of an image that cannot be without a palette."""
PNG_TRANSPARENT = {0: 2, 2: 6}
"""Bytes of a transparent colour, by kind of colour; with a palette there may be one for each of its colours."""

WEBP_PARTS = {b"ANIM": "I", b"ANMF": "F", b"ALPH": "A", b"VP8 ": "Y", b"VP8L": "L"}
WEBP_EXTENDED = "XM"
"""Letters of the header VP8X: of a still image, and of an animation."""
WEBP_FLAGS = 0x3E
"""The flags that the header VP8X may have: profile, transparency, EXIF, XMP and whether it moves."""
WEBP_OTHER = "o"
WEBP_LOSSY_MARK, WEBP_LOSSLESS_MARK = 0x2A019D, 0x2F
"""The first bytes of the pixels."""
WEBP_ORDER = Order(
    "IFAYLXMo",
    (
        {"Y": 2, "L": 2, "X": 3, "M": 6},
        {"o": 2},
        {"o": 3, "A": 4, "Y": 5, "L": 5},
        {"Y": 5},
        {"o": 5},
        {"o": 6, "I": 7},
        {"o": 7, "I": 7, "F": 8},
        {"A": 9, "Y": 10, "L": 10},
        {"Y": 10},
        {"o": 10, "I": 10, "F": 8},
    ),
    frozenset({2, 5, 10}),
)
"""One image; or frames behind the word that says that there are some, each with an image. Transparency comes directly before its image."""
