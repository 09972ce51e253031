"""The definition of a word, once for learning, looking up and counting words: RE2 patterns, as TensorFlow and Arrow both read them."""

LETTERS = r"\p{L}\p{M}\p{N}'"
"""Letters, marks, digits and the apostrophe, of every script."""

BETWEEN_WORDS = f"[^{LETTERS}]+"
"""The separator of words before signs were words, for runs of that time."""

VARIANTS = r"[\x{FE0E}\x{FE0F}]"
"""True if an emoji is shown in colour: the same word either way, so these are taken out first."""

_JOINED = r"\p{S}[\p{M}\x{1F3FB}-\x{1F3FF}\x{E0020}-\x{E007F}]*"
"""A sign (Unicode's symbols: images, currency, mathematics, music) with what changes its looks: tone of skin, tags, keycap."""
_EMOTICON = r"\B[:;=]['-]?(?:[()\[\]/\\|*]|[dpo]\b)|[:;]['-]?\)|\B</?3\b"
SIGN = "|".join(
    [
        r"[#*]\x{20E3}",  # keycaps; those of digits are words anyway
        _EMOTICON,
        r"[\x{1F1E6}-\x{1F1FF}]{2}",  # a flag
        r"[$+<=>^`|~]+",  # those of ASCII come in rows: ++, <=, ====
        rf"{_JOINED}(?:\x{{200D}}{_JOINED})*",  # a family, a profession
    ]
)

WORD = f"(?:{SIGN}|[{LETTERS}]+)"
"""A word of a lower-cased text without `VARIANTS`; everything else is thrown away."""

ASCII_WORD = rf"{_EMOTICON}|[$+<=>^`|~]+|[A-Za-z0-9']+"
"""`WORD` in a text of nothing but ASCII, for Python's own expressions."""

WORD_OR_OTHER = f"(?s)({WORD})|."
"""Replaced by `SPACED`, it leaves the words of a text, with blanks between them."""
SPACED = r"\1 "
