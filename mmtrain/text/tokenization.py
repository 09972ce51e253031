"""The definition of a word, once for learning, looking up and counting words: RE2 patterns, as TensorFlow and Arrow both read them."""

from unicodedata import normalize

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


def _base_letters() -> dict[int, int]:
    """Return the letter without accents of Latin and Greek letters, by code point; -1 for combining accents."""
    letters = {}
    for first, last in ((0xC0, 0x250), (0x1E00, 0x1F00), (0x370, 0x400), (0x1F00, 0x2000)):
        for point in range(first, last):
            base, *marks = map(ord, normalize("NFD", chr(point)))
            if marks:
                letters[point] = base
    return letters | dict.fromkeys(range(0x300, 0x370), -1)


BASE_LETTERS = _base_letters()
"""Letters that `accents: remove` changes: é to e, ώ to ω. Letters of other scripts stay, as й is a letter of its own; so do ø and ß, which
have no accent in Unicode."""

WORD_OR_OTHER = f"(?s)({WORD})|."
"""Replaced by `SPACED`, it leaves the words of a text, with blanks between them."""
SPACED = r"\1 "

CHARACTER = r"[\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}\x{FF70}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}][\p{M}\x{FF9E}\x{FF9F}]*"
"""A character of a script that puts no blanks between words, with its marks. Signs of long vowels and voiced sounds, which Unicode
gives to no script, count as Katakana."""

CHARACTER_PAIRS = (
    (f"((?:{CHARACTER})+)", "{\\1}"),
    (f"({CHARACTER})", r"\1 \1"),  # {abc} becomes {a ab bc c}
    (rf"\{{({CHARACTER}) {CHARACTER}\}}", r" \1 "),  # a run of one character
    (rf"\{{{CHARACTER} | {CHARACTER}\}}", " "),
)
"""Replacements, one after the other, that turn each run of such characters into its overlapping pairs: 日本語 into 日本 本語.

They follow `WORD_OR_OTHER`, after which no text holds a brace. On 6,000 Chinese reviews, pairs gave a linear model an accuracy of .82,
whole runs .66, the words of a dictionary .81.
"""
