"""Networks that read a text word by word: convolutions, a recurrent network and a transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import DropoutOption, Features, Width, branch
from mmtrain.branches.inputs import Input
from mmtrain.branches.texts.embedded_text import Embeddings, TrainEmbeddings, embed_text
from mmtrain.branches.transformer_blocks import Blocks, Heads, TokenWidth, transformer_blocks
from mmtrain.specs import TokenSpec

WordWidth = Annotated[int, Field(ge=1, le=4096, description="Width of the word vectors.")]
Windows = Annotated[
    tuple[Annotated[int, Field(ge=1, le=64)], ...],
    Field(min_length=1, description="Words that a filter sees at once, for each set of filters."),
]


@branch("tokens", most_columns=1, groups=("backbone",), name="text_cnn")
def text_cnn(
    inputs: Mapping[str, Input[TokenSpec]],
    *,
    width: WordWidth = 64,
    embeddings: Embeddings = "",
    train_embeddings: TrainEmbeddings = True,
    windows: Windows = (2, 3, 4),
    filters: Annotated[Width, Field(description="Filters of each set.")] = 64,
    dropout: DropoutOption = 0.0,
) -> Features:
    """Filters over some words in a row, and the strongest answer of each (Kim 2014, arXiv:1408.5882).

    Word vectors are the tokens of the branch; all layers are the group `backbone`.
    """
    import keras

    text = embed_text(inputs, width, embeddings, trainable=train_embeddings)
    words, embedding = text.words(), text.layer
    sets = [keras.layers.Conv1D(filters, window, padding="same", activation="relu") for window in windows]
    # In a window of padding alone, vectors of zeros, a filter gives ReLU of its bias.
    strongest = [keras.layers.GlobalMaxPooling1D()(layer(words)) for layer in sets]
    vector = strongest[0] if len(strongest) == 1 else keras.layers.Concatenate()(strongest)
    return Features(
        keras.layers.Dropout(dropout)(vector) if dropout else vector, words, groups={"backbone": [embedding, *sets]}, notes=text.notes
    )


@branch("tokens", most_columns=1, groups=("backbone",), name="text_gru")
def text_gru(
    inputs: Mapping[str, Input[TokenSpec]],
    *,
    width: WordWidth = 64,
    embeddings: Embeddings = "",
    train_embeddings: TrainEmbeddings = True,
    units: Annotated[Width, Field(description="Width of the state, in each direction.")] = 64,
    dropout: DropoutOption = 0.0,
) -> Features:
    """Reads the text forwards and backwards (Cho et al. 2014, arXiv:1406.1078); then the largest value of each part of the state.

    States are the tokens of the branch; all layers are the group `backbone`. ONNX and LiteRT exports repeat the
    cell for each of `max_length` words: long texts convert slowly.
    """
    import keras

    from mmtrain.layers.text_tokens import PaddingZeros, TokenMaximum

    text = embed_text(inputs, width, embeddings, trainable=train_embeddings)
    ids, words, embedding = text.ids, text.words(), text.layer
    read = keras.layers.Bidirectional(keras.layers.GRU(units, return_sequences=True))
    states = PaddingZeros()(ids, read(words))  # (batch, length, 2 * units)
    vector = TokenMaximum()(ids, states)
    return Features(
        keras.layers.Dropout(dropout)(vector) if dropout else vector, states, groups={"backbone": [embedding, read]}, notes=text.notes
    )


@branch("tokens", most_columns=1, groups=("backbone",), name="text_transformer")
def text_transformer(
    inputs: Mapping[str, Input[TokenSpec]],
    *,
    width: TokenWidth = 64,
    embeddings: Embeddings = "",
    train_embeddings: TrainEmbeddings = True,
    blocks: Blocks = 2,
    heads: Heads = 4,
    dropout: DropoutOption = 0.1,
) -> Features:
    """Words attend to each other (Vaswani et al. 2017, arXiv:1706.03762); then the mean of the words. Padding is never attended to.

    Words are the tokens of the branch; all layers are the group `backbone`.
    """
    from mmtrain.layers.network import TokenPositions
    from mmtrain.layers.text_tokens import PaddingZeros, TokenAverage, WordMask

    text = embed_text(inputs, width, embeddings, trainable=train_embeddings)
    ids, words, embedding = text.ids, text.words(), text.layer
    positions = TokenPositions()
    tokens, layers = transformer_blocks(positions(words), blocks, heads, dropout, WordMask()(ids))
    tokens = PaddingZeros()(ids, tokens)
    return Features(TokenAverage()(ids, tokens), tokens, groups={"backbone": [embedding, positions, *layers]}, notes=text.notes)
