"""The vocabulary of a pretrained encoder: pieces of words in the order of their ids, and the special ones around a text."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from pydantic import BaseModel, ConfigDict, model_validator

OWN_PADDING = "<padding>"
"""Piece behind the vocabulary of models that pad with a piece that ends texts as well, so that its id tells padding from texts."""


class PieceTokenizer(BaseModel):
    """Base of tokenizers. Each has a `method`, and a reader in `mmtrain.layers.tokenizers` that finds the pieces of texts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pieces: tuple[str, ...]
    unknown: str
    first: str
    """Piece in front of every text; empty for none."""
    last: str
    """Piece behind every text; empty for none."""
    padding: str

    @model_validator(mode="after")
    def _has_special_pieces(self) -> PieceTokenizer:
        for name in (self.unknown, self.first, self.last, self.padding):
            if name and name not in self.id_of:
                raise ValueError(f"the vocabulary has no piece {name!r}")
        return self

    @cached_property
    def id_of(self) -> Mapping[str, int]:
        """Id of each piece; where a vocabulary has one twice, the later id, as the library `tokenizers` reads it."""
        return {piece: number for number, piece in enumerate(self.pieces)}

    @property
    def framing(self) -> tuple[int, ...]:
        """Ids of the pieces that stand around every text."""
        return tuple(self.id_of[name] for name in (self.first, self.last) if name)


class MergedPieces(PieceTokenizer):
    """Base of tokenizers that merge neighbouring pieces, always the pair that stands first in the list of merges."""

    merges: tuple[str, ...]
    """The pairs, with a space between both pieces."""

    @model_validator(mode="after")
    def _has_pieces_of_merges(self) -> MergedPieces:
        for merge in self.merges:
            left, _, right = merge.partition(" ")
            if not {left, right, left + right} <= self.id_of.keys():
                raise ValueError(f"the vocabulary lacks a piece of the merge {merge!r}")
        return self

    @cached_property
    def id_triples(self) -> tuple[tuple[int, int, int], ...]:
        """Ids of left piece, right piece and merged piece of every merge, in their order."""
        id_of: Mapping[str, int] = self.id_of
        parts = (merge.partition(" ")[::2] for merge in self.merges)
        return tuple((id_of[left], id_of[right], id_of[left + right]) for left, right in parts)
