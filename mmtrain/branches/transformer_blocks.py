"""Transformer blocks over a sequence of tokens, for images cut into patches, texts read word by word and tables of a token per column."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from mmtrain.specs import Tensor

TokenWidth = Annotated[int, Field(ge=4, le=2048, description="Width of a token.")]
Blocks = Annotated[int, Field(ge=1, le=48, description="Number of transformer blocks.")]
Heads = Annotated[int, Field(ge=1, le=64, description="Attention heads.")]


def transformer_blocks(
    tokens: Tensor,
    blocks: int,
    heads: int,
    dropout: float,
    mask: Tensor | None = None,
    *,
    attention_dropout: float | None = None,
    factor: float = 2.0,
) -> tuple[Tensor, list[Any]]:
    """Return tokens (batch, length, width) after `blocks` blocks that are normalized first (arXiv:2002.04745), and their layers.

    Where `mask`, (batch, 1, length), is 0, a token is not attended to. `attention_dropout` is the rate for the attention weights, by
    default `dropout`; the hidden layer of a block is `factor` times as wide as a token.
    """
    import keras

    width, layers = tokens.shape[-1], []
    hidden_width, rate = max(1, int(width * factor)), dropout if attention_dropout is None else attention_dropout
    for _ in range(blocks):
        # Width of a head, rounded down; the output projection brings their concatenation back to the width of a token.
        attend, before = keras.layers.MultiHeadAttention(heads, max(1, width // heads), dropout=rate), keras.layers.LayerNormalization()
        normal = before(tokens)
        tokens = keras.layers.Add()([tokens, attend(normal, normal, **({} if mask is None else {"attention_mask": mask}))])
        expand, between = keras.layers.Dense(hidden_width, activation="gelu"), keras.layers.LayerNormalization()
        hidden, contract = expand(between(tokens)), keras.layers.Dense(width)
        tokens = keras.layers.Add()([tokens, contract(keras.layers.Dropout(dropout)(hidden) if dropout else hidden)])
        layers += [before, attend, between, expand, contract]
    last = keras.layers.LayerNormalization()
    return last(tokens), [*layers, last]
