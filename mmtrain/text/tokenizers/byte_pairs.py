"""Byte-level byte-pair encoding, the tokenizer of GPT-2, RoBERTa and CLIP (Radford et al. 2019, section 2.2; Sennrich et al. 2016).

A text is divided into words by the kind of its characters; a word is the bytes of its UTF-8 text. Neighbouring pieces of a word are
merged, always the pair that stands first in the list of merges, and of several places of that pair the first, until none is listed.
Every text has pieces, so nothing is unknown.

Two ways to divide texts are known. GPT-2's keeps all blanks: one space belongs to the word behind it. CLIP's composes accents (Unicode's
NFC), lower-cases, drops blanks, takes digits one by one, and marks the last byte of a word.

With the vocabularies of GPT-2 and CLIP, 2,500 texts of ten scripts have the pieces that the library `tokenizers` 0.23 finds, but for
texts that spell special tokens, which are words like any other here, and letters newer than the tables of RE2.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from mmtrain.text.tokenizers.pieces import MergedPieces

WordRule = Literal["gpt2", "clip"]
WORD_END = "</w>"
"""Suffix of the piece of a word's last byte, in CLIP's vocabulary."""


def byte_characters() -> tuple[str, ...]:
    """Return the character that stands for each byte in the vocabularies: the byte itself where it can be printed, else U+0100 onwards."""
    printed = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printed]
    return tuple(chr(byte) if byte in printed else chr(256 + others.index(byte)) for byte in range(256))


class BytePairs(MergedPieces):
    """A vocabulary, and the pairs of pieces that are merged, the first ones first.

    >>> tokenizer = BytePairs(pieces=("<s>", "</s>", *byte_characters(), "lo", "low"), merges=("l o", "lo w"), first="<s>", last="</s>")
    >>> [tokenizer.pieces[number] for number in tokenizer.id_triples[1]]
    ['lo', 'w', 'low']
    """

    method: Literal["byte_pairs"] = "byte_pairs"
    words: WordRule = "gpt2"
    leading_space: bool = False
    """True if a text is read as though a space stood in front of it."""
    unknown: str = ""
    first: str = "<s>"
    last: str = "</s>"
    padding: str = ""

    @model_validator(mode="after")
    def _has_bytes(self) -> BytePairs:
        for piece in (*self.byte_pieces, *self.last_byte_pieces):
            if piece not in self.id_of:
                raise ValueError(f"the vocabulary has no piece {piece!r} for a byte")
        return self

    @property
    def byte_pieces(self) -> tuple[str, ...]:
        """The piece of each byte inside of a word."""
        return byte_characters()

    @property
    def last_byte_pieces(self) -> tuple[str, ...]:
        """The piece of each byte at the end of a word."""
        return tuple(piece + (WORD_END if self.words == "clip" else "") for piece in byte_characters())
