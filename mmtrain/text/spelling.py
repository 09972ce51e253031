"""Spellings of the same name, once, for tables, findings and the exported model.

Blanks at the ends never make another name: they are cut off wherever a cell is read, and by the layer that looks categories up.
Names that differ otherwise by what people and spreadsheets write in several ways (`P7` and `p7`, `007`, `7` and `7.0`, two blanks
for one, composed and decomposed letters) stay different, but have the same key here, so that they can be pointed out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_RANGES = (
    *((0x09, 0x0D), (0x1C, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029)),
    *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
)
"""Unicode white space, as `str.isspace` has it."""

_INVISIBLE_RANGES = (
    (0xAD, 0xAD),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x2069),
    (0xFEFF, 0xFEFF),
)
"""Characters without width or ink, which come with text copied from pages and spreadsheets: joiners, marks of direction, soft hyphens."""

WHITE_SPACE, INVISIBLE = (
    "".join(chr(code) for first, last in ranges for code in range(first, last + 1)) for ranges in (_RANGES, _INVISIBLE_RANGES)
)
BLANKS = WHITE_SPACE + INVISIBLE
"""Characters that are cut off at both ends of a cell. None of these characters has a meaning in a character class."""

BLANK_ENDS = f"^[{BLANKS}]+|[{BLANKS}]+$"
"""The same as a pattern, for TensorFlow, whose own `strip` knows ASCII alone."""

FEW_TEXTS = 100
"""Distinct texts up to which Python's regular expressions are faster than Arrow's."""

ROUNDED = r"^[+-]?[0-9](?:[.,][0-9]+)?[eE]\+[0-9]{2,}$"
"""The form in which spreadsheets and floating-point columns write a long number: `1.23457E+14`."""

_REWRITTEN = (
    (f"[{INVISIBLE}]+", ""),
    (f"[{WHITE_SPACE.replace(' ', '')}]", " "),
    ("  +", " "),
    ("[\u2010-\u2015\u2212]", "-"),
    ("[\u2018\u2019\u201b\u2032]", "'"),
    ("\u00df", "ss"),
    ("\u03c2", "\u03c3"),
    # Numbers by their digits, never as floats: ids of 17 digits would fall together.
    (r"^\+?(-?)0*([0-9]+)(?:\.0*|(\.[0-9]*[1-9])0*)?$", r"\1\2\3"),
)
"""Characters with several spellings, and the spelling that a key has; patterns of RE2."""


def trimmed(texts: pa.Array) -> pa.Array:
    """Texts without the blanks at their ends."""
    import pyarrow.compute as pc

    # Most columns have no blank anywhere, which their bytes show in a twentieth of the time of trimming every cell.
    return texts if _is_printable_ascii(texts) else pc.utf8_trim(texts, characters=BLANKS)


def _is_printable_ascii(texts: pa.Array) -> bool:
    """Return whether large strings consist of the characters `!` to `~` only; False for any other array."""
    import numpy as np
    import pyarrow as pa

    if not isinstance(texts, pa.LargeStringArray) or not len(texts):
        return False
    _, offsets, characters = texts.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)
    first, last = int(bounds[texts.offset]), int(bounds[texts.offset + len(texts)])
    # Bytes below `!` wrap around to large ones, so that one comparison is enough.
    return first == last or not bool(
        (np.frombuffer(characters, dtype=np.uint8)[first:last] - np.uint8(ord("!")) > ord("~") - ord("!")).any()
    )


def keys(texts: pa.Array) -> pa.Array:
    """A key of each text, (n,) large_string; near spellings of one name have the same."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if (few := few_strings(texts)) is not None:
        return pa.array([_key(text) for text in few], pa.large_string())
    # ASCII texts have nothing to normalize, which is the slowest step.
    spelled = pc.utf8_lower(trimmed(texts.cast(pa.large_string())))
    if not pc.all(pc.string_is_ascii(spelled)).as_py():
        # Normalization may bring capitals, such as that of a script H, so lower case comes once more.
        spelled = trimmed(pc.utf8_lower(pc.utf8_normalize(spelled, form="NFKC")))
    for pattern, replacement in _REWRITTEN:
        # Looking for a pattern takes a tenth of the time of replacing it, and few names have any.
        holding = pc.fill_null(pc.match_substring_regex(spelled, pattern), False)
        if pc.any(holding).as_py():
            rewritten = pc.replace_substring_regex(spelled.filter(holding), pattern, replacement)
            spelled = pc.replace_with_mask(spelled, holding, rewritten)
    return spelled


def _key(text: str) -> str:
    """Return the key of an ASCII text."""
    spelled = text.strip(BLANKS).lower()
    for pattern, replacement in _REWRITTEN:
        spelled = re.sub(pattern, replacement, spelled)
    return spelled


def few_strings(texts: pa.Array) -> list[str] | None:
    """Return the texts as Python strings where they are few, ASCII and none missing: Arrow takes a millisecond to compile an expression."""
    if len(texts) > FEW_TEXTS or texts.null_count:
        return None
    strings: list[str] = texts.to_pylist()
    return strings if all(text.isascii() for text in strings) else None


def rounded(texts: pa.Array) -> pa.Array:
    """Return which texts are long numbers whose last digits a spreadsheet has rounded away; (n,) bool."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if (few := few_strings(texts)) is not None:
        return pa.array([re.search(ROUNDED, text) is not None for text in few], pa.bool_())
    return pc.match_substring_regex(texts, ROUNDED)
