"""Unicode's canonical composition: an accent behind its letter, or the parts of a Hangul syllable, as one character.

    >>> compositions()[ord("e"), 0x301] == ord("é")
    True

Neighbours are composed, from left to right. Unlike in Unicode's NFC, a mark that composes with no letter keeps those behind it from
composing with the letter: texts of natural languages have no such marks.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from mmtrain.text.tokenizers.wordpiece import TABLE_SIZE

HANGUL, LEADING, VOWEL, TRAILING = 0xAC00, 0x1100, 0x1161, 0x11A7
"""First syllable, leading consonant and vowel, and the place before the first trailing consonant (Unicode, section 3.12)."""


@lru_cache(maxsize=1)
def compositions() -> Mapping[tuple[int, int], int]:
    """Return the code point that two neighbouring ones compose to."""
    pairs: dict[tuple[int, int], int] = {}
    for point in range(TABLE_SIZE):
        parts = unicodedata.decomposition(chr(point)).split()
        # One part is another character; `<` marks another look. Some characters with two parts are excluded from composition.
        if len(parts) == 2 and not parts[0].startswith("<") and unicodedata.normalize("NFC", chr(point)) == chr(point):
            pairs[int(parts[0], 16), int(parts[1], 16)] = point
    for number in range(19 * 21):
        syllable = HANGUL + number * 28
        pairs[LEADING + number // 21, VOWEL + number % 21] = syllable
        pairs |= {(syllable, TRAILING + last): syllable + last for last in range(1, 28)}
    return pairs


@lru_cache(maxsize=1)
def canonical_replacements() -> Mapping[str, str]:
    """Return the replacement by NFC of every single character that it changes."""
    changed = ((chr(point), unicodedata.normalize("NFC", chr(point))) for point in range(TABLE_SIZE))
    return {character: text for character, text in changed if text != character}
