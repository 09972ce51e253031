"""All tokenizers of pretrained encoders; `method` tells them apart in a columns.json and in a saved network."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from mmtrain.text.tokenizers.byte_pairs import BytePairs
from mmtrain.text.tokenizers.character_pairs import CharacterPairs
from mmtrain.text.tokenizers.unigram import Unigram
from mmtrain.text.tokenizers.wordpiece import WordPiece

Tokenizer = Annotated[WordPiece | BytePairs | CharacterPairs | Unigram, Field(discriminator="method")]
tokenizer_values: TypeAdapter[WordPiece | BytePairs | CharacterPairs | Unigram] = TypeAdapter(Tokenizer)
"""Reads a tokenizer from plain values. Raises ValidationError."""
