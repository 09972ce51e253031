"""`architecture: ft_transformer`: a transformer whose tokens are the columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import Features, Rate, branch
from mmtrain.branches.inputs import Input, stacked
from mmtrain.branches.tables.dense import AUTO
from mmtrain.branches.tables.encodings import embed_codes, encode_numbers
from mmtrain.branches.transformer_blocks import Blocks, Heads, TokenWidth, transformer_blocks
from mmtrain.specs import Tensor, TensorSpec


@branch("vector", "index")
def ft_transformer(
    inputs: Mapping[str, Input[TensorSpec]],
    *,
    width: TokenWidth = 64,
    blocks: Blocks = 2,
    heads: Heads = 4,
    factor: Annotated[float, Field(gt=0, le=8, description="Width of the hidden layer of a block, as a multiple of `width`.")] = 2.0,
    attention_dropout: Annotated[Rate, Field(description="Dropout rate of the attention weights.")] = 0.1,
    dropout: Annotated[Rate, Field(description="Dropout rate of the hidden layer of each block.")] = 0.1,
) -> Features:
    """Each column becomes a token; tokens attend to each other (Gorishniy et al. 2021, FT-Transformer, arXiv:2106.11959).

    The features are those of a token of its own. Numbers are encoded piecewise linearly where their `embed` is auto. Layers are
    normalized at their input. The cost grows with the square of the columns.
    """
    import keras

    from mmtrain.layers.tabular.blocks import FirstToken

    tokens = FirstToken()(_tokens(inputs, width))
    tokens, _ = transformer_blocks(tokens, blocks, heads, dropout, attention_dropout=attention_dropout, factor=factor)
    return Features(keras.layers.Activation("relu")(tokens[:, 0]), tokens[:, 1:])


def _tokens(inputs: Mapping[str, Input[TensorSpec]], width: int) -> Tensor:
    """Return (batch, tokens, width): one token per number, flag and category."""
    import keras

    from mmtrain.layers.tabular.blocks import ColumnDense

    columns = stacked(inputs)
    pieces: list[Tensor] = []
    if columns.numbers is not None:
        encoded = encode_numbers(columns, AUTO)
        pieces = [ColumnDense(units=width, shared=encoding == "periodic")(values) for encoding, values in encoded.expanded]
        if encoded.plain is not None:
            plain = keras.layers.Reshape((encoded.plain.shape[-1], 1))(encoded.plain)
            pieces.append(ColumnDense(units=width)(plain))
    if columns.codes is not None:
        pieces.append(keras.layers.Reshape((-1, width))(embed_codes(columns, width)))
    return pieces[0] if len(pieces) == 1 else keras.layers.Concatenate(axis=1)(pieces)
