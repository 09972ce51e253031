"""SentencePiece's unigram model, the tokenizer of XLM-RoBERTa, E5 and SigLIP (Kudo 2018, arXiv:1804.10959; Kudo, Richardson 2018).

Characters are replaced first (`replacements`, close to Unicode's NFKC), and accents and Hangul composed. Then the text is divided at
spaces; a word begins with U+2581 in place of the space. Every piece has a score, the logarithm of its probability; a
word is cut into the pieces whose scores have the largest sum. A character that no piece begins with alone is unknown, with a score 10
below the lowest; neighbouring unknown characters are one unknown piece.

With the 250,000 pieces of multilingual-e5-small, 2,500 texts of ten scripts have the pieces that SentencePiece 0.2.3 finds. The library
`tokenizers` 0.23 differs from both in 151 of them, all with characters in parts, such as a letter and its accent: it composes clusters of
less than six bytes only, and of two entries that begin a cluster it takes the shorter one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from mmtrain.text.tokenizers.pieces import PieceTokenizer

SPACE = "\u2581"
"""Stands for the space in front of a word."""
UNKNOWN_PENALTY = 10.0
"""Difference of the lowest score of all pieces to that of an unknown character."""
Spaces = Literal["words", "collapsed", "kept"]
"""Spaces that are pieces of their own: none; one at the end of a text that ends with spaces; every one that no word follows."""


class Unigram(PieceTokenizer):
    """A vocabulary with scores, and the treatment of characters and spaces.

    >>> tokenizer = Unigram(pieces=("<s>", "<pad>", "</s>", "<unk>", "\u2581a", "b"), scores=(None, None, None, None, -1, -2))
    >>> tokenizer.unknown_score
    -12.0
    """

    method: Literal["unigram"] = "unigram"
    scores: tuple[float | None, ...]
    """Score of every piece; None for pieces that no text has, such as the special ones."""
    replacements: dict[str, str] = Field(default_factory=dict)
    """Replacements of single characters."""
    compose: bool = False
    """True if letters and the marks behind them are composed after that, as Unicode does."""
    lower_case: bool = False
    """True if texts are lower-cased before anything else."""
    removed: str = ""
    """Characters that are removed after that, such as punctuation."""
    spaces: Spaces = "words"
    unknown: str = "<unk>"
    first: str = "<s>"
    last: str = "</s>"
    padding: str = "<pad>"

    @model_validator(mode="after")
    def _has_scores(self) -> Unigram:
        if len(self.scores) != len(self.pieces):
            raise ValueError(f"it has {len(self.pieces):,} pieces and {len(self.scores):,} scores")
        if all(score is None for score in self.scores):
            raise ValueError("no piece has a score")
        return self

    @property
    def unknown_score(self) -> float:
        """Score of a character that no piece covers."""
        return min(score for score in self.scores if score is not None) - UNKNOWN_PENALTY


def read_replacements(charsmap: bytes) -> tuple[dict[str, str], bool]:
    """Return the replacements of single characters in SentencePiece's `precompiled_charsmap`, and True if it has sequences as well.

    The table is the length of a trie in bytes, the trie as units of 32 bits (a double array as in Darts-clone), and all replacements, each
    with a zero byte behind it. The 220,000 sequences of its `nmt_nfkc` are those that Unicode composes; they are not read one by one.
    Raises ValueError for anything else.
    """
    if len(charsmap) < 4:
        raise ValueError("the table of characters is cut off")
    (size,) = struct.unpack_from("<I", charsmap)
    if size % 4 or not 0 < size <= len(charsmap) - 4:
        raise ValueError("the table of characters has another length than it says")
    units, texts = struct.unpack_from(f"<{size // 4}I", charsmap, 4), charsmap[4 + size :]
    entries, sequences = {}, False
    for key, place, more in _trie_entries(units):
        end = texts.find(b"\0", place)
        if place >= 0 and end < 0:
            raise ValueError("the table of characters is cut off")
        if place >= 0:
            entries[key.decode("utf-8")] = texts[place:end].decode("utf-8")
        sequences |= more
    return entries, sequences


def _trie_entries(units: tuple[int, ...]) -> Iterator[tuple[bytes, int, bool]]:
    """Yield single characters of a trie in UTF-8, the value of each or -1, and True if longer entries begin with it.

    A unit has its label in bits 0-7, bit 8 for a value, and the offset of its children above.
    """
    children: dict[int, list[int]] = {}
    for node, unit in enumerate(units):
        if not unit >> 31:  # that bit marks values
            children.setdefault(node ^ unit & 0xFF, []).append(node)
    waiting = [(b"", 0)]
    while waiting:
        key, node = waiting.pop()
        unit = units[node]
        base = node ^ (unit >> 10 << ((unit & 0x200) >> 6))
        below = [child for child in children.get(base, ()) if units[child] & 0xFF]
        if key and len(key) == 1 + (key[0] >= 0xC0) + (key[0] >= 0xE0) + (key[0] >= 0xF0):
            yield key, units[base] & 0x7FFFFFFF if unit & 0x100 and base < len(units) else -1, bool(below)
        else:
            waiting += [(key + bytes([units[child] & 0xFF]), child) for child in below]
