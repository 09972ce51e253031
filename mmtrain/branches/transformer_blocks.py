"""Transformer blocks over a sequence of tokens, for images cut into patches and texts read word by word."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mmtrain.specs import Tensor

TokenWidth = Annotated[int, Field(ge=4, le=2048, description="Width of a token.")]
Blocks = Annotated[int, Field(ge=1, le=48, description="Number of transformer blocks.")]
Heads = Annotated[int, Field(ge=1, le=64, description="Attention heads.")]


def transformer_blocks(tokens: Tensor, blocks: int, heads: int, dropout: float, mask: Tensor | None = None) -> tuple[Tensor, list[Any]]:
    """Return tokens (batch, length, width) after `blocks` blocks that are normalized first (arXiv:2002.04745), and their layers.

    Where `mask`, (batch, 1, length), is 0, a token is not attended to.
    """
    import keras

    width, layers = tokens.shape[-1], []
    for _ in range(blocks):
        attend = keras.layers.MultiHeadAttention(heads, max(1, width // heads), dropout=dropout)
        expand, contract = keras.layers.Dense(2 * width, activation="gelu"), keras.layers.Dense(width)
        before, between = keras.layers.LayerNormalization(), keras.layers.LayerNormalization()
        normal = before(tokens)
        tokens = keras.layers.Add()([tokens, attend(normal, normal, **({} if mask is None else {"attention_mask": mask}))])
        hidden = expand(between(tokens))
        tokens = keras.layers.Add()([tokens, contract(keras.layers.Dropout(dropout)(hidden) if dropout else hidden)])
        layers += [before, attend, between, expand, contract]
    last = keras.layers.LayerNormalization()
    return last(tokens), [*layers, last]
