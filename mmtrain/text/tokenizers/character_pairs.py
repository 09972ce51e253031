"""Byte-pair encoding of characters, as SentencePiece has it with `model_type: bpe`: the tokenizer of Gemma and SigLIP 2.

Spaces become U+2581. The pieces of a text are its characters at first; a character that the vocabulary lacks is the bytes of its UTF-8
text, each of which has a piece. Neighbouring pieces are merged as in `byte_pairs`, over spaces as well where a merge says so; those of
Gemma never join a letter with the space behind it.

Some pieces, such as several line breaks in a row or the tags of HTML, are found before anything else, the longest first.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from mmtrain.text.tokenizers.pieces import MergedPieces

SPACE = "\u2581"
"""Stands for a space."""


class CharacterPairs(MergedPieces):
    """A vocabulary with a piece for each byte, the pairs of pieces that are merged, and those that no merge makes.

    >>> pieces = ("<pad>", "<eos>", "<unk>", "l", "o", "lo", *(f"<0x{byte:02X}>" for byte in range(256)))
    >>> CharacterPairs(pieces=pieces, merges=("l o",)).id_triples
    ((3, 4, 5),)
    """

    method: Literal["character_pairs"] = "character_pairs"
    whole: tuple[str, ...] = ()
    """Texts that are a piece wherever they stand, whatever their neighbours are."""
    lower_case: bool = False
    """True if the rest of a text is lower-cased."""
    unknown: str = "<unk>"
    first: str = ""
    last: str = "<eos>"
    padding: str = "<pad>"

    @property
    def byte_pieces(self) -> tuple[str, ...]:
        """The piece of each byte."""
        return tuple(f"<0x{byte:02X}>" for byte in range(256))

    @model_validator(mode="after")
    def _has_bytes(self) -> CharacterPairs:
        for piece in (*self.byte_pieces, *self.whole):
            if piece not in self.id_of:
                raise ValueError(f"the vocabulary has no piece {piece!r}")
        return self
