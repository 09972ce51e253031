"""WordPiece, the tokenizer of BERT and its family (Devlin et al. 2018, arXiv:1810.04805, section 3): rules, vocabulary and pieces.

A text becomes pieces in two steps. Each character is cleaned on its own: control characters go, blanks become spaces, letters are
lower-cased and lose their accents, punctuation and Chinese characters get spaces around them. What stands between spaces is a word.
A word is cut into the longest pieces of the vocabulary from left to right; pieces inside of a word have the prefix `##`; a word that
cannot be cut is unknown as a whole.

The first step looks at single characters, so it is a table from code point to text. `mmtrain.layers.tokenizers.wordpiece` reads texts
by that table and the vocabulary, in tables, requests and exports alike.

Texts that spell a special token, such as a literal `[CLS]`, are words like any other: a cell of a table gives no commands to the encoder.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from mmtrain.text.tokenizers.pieces import PieceTokenizer

PREFIX = "##"
LONGEST_WORD = 100
"""Words of more characters are unknown, as in the library `tokenizers`."""
TABLE_SIZE = 0x2FA20
"""Code points of the table: the planes with letters and Chinese characters that BERT parts. Of those above, vocabularies have none."""
ABOVE = "\U0010ffff"
"""Stands for every code point above the table: a character that no vocabulary has, so that its word is unknown."""

_BLANKS = frozenset("\t\n\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(point) for point in range(0x2000, 0x200B)}
"""Unicode's property White_Space without the control characters U+000B, U+000C and U+0085, which are removed before."""
_REMOVED = ("Cc", "Cf", "Co", "Cs")
"""Categories that are removed. Not Cn, unassigned: the reference keeps characters that are newer than its tables."""
_CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
"""Blocks whose characters are words of their own, as in the library `tokenizers`; BERT's first code parts 0x2B820 to 0x2B91F as well."""
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
"""ASCII that counts as punctuation, with symbols such as `$` and `^`, which Unicode has in other categories."""


class CleaningRules(BaseModel):
    """Treatment of single characters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lower_case: bool = True
    strip_accents: bool = True
    split_chinese: bool = True


@lru_cache(maxsize=4)
def character_table(rules: CleaningRules) -> tuple[str, ...]:
    """Return what becomes of every code point below `TABLE_SIZE`, spaces around words of one character included. Takes 0.3 s."""
    return tuple(_replacement(chr(point), rules) for point in range(TABLE_SIZE))


def _replacement(character: str, rules: CleaningRules) -> str:
    if character in _BLANKS:
        return " "
    if character in "\0\ufffd" or unicodedata.category(character) in _REMOVED:
        return ""
    text = character
    if rules.strip_accents:
        text = "".join(part for part in unicodedata.normalize("NFD", text) if unicodedata.category(part) != "Mn")
    if rules.lower_case:
        text = "".join(map(str.lower, text))  # one by one: in a whole text, lower-casing a sigma would look at its neighbours
    if rules.split_chinese and any(first <= ord(character) <= last for first, last in _CHINESE):
        return f" {text} "
    return "".join(f" {part} " if _is_punctuation(part) else part for part in text)


def _is_punctuation(character: str) -> bool:
    return character in _ASCII_PUNCTUATION or unicodedata.category(character).startswith("P")


class WordPiece(PieceTokenizer):
    """A vocabulary in the order of its ids, and the rules of its tokenizer.

    >>> tokenizer = WordPiece(pieces=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "##ing", "!"))
    >>> tokenizer.id_of["##ing"], tokenizer.padding
    (5, '[PAD]')
    """

    method: Literal["wordpiece"] = "wordpiece"
    rules: CleaningRules = CleaningRules()
    unknown: str = "[UNK]"
    first: str = "[CLS]"
    last: str = "[SEP]"
    padding: str = "[PAD]"
