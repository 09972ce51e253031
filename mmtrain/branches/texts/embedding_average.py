"""`architecture: embedding_average`: the mean of a text's word vectors, learned from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Features, Units, branch
from mmtrain.branches.inputs import Input
from mmtrain.branches.texts.embedded_text import Embeddings, TrainEmbeddings, embed_text
from mmtrain.specs import TokenSpec


@branch("tokens", most_columns=1, groups=("backbone", "head"))
def embedding_average(
    inputs: Mapping[str, Input[TokenSpec]],
    *,
    width: Annotated[int, Field(ge=1, le=4096, description="Width of the word vectors.")] = 64,
    embeddings: Embeddings = "",
    train_embeddings: TrainEmbeddings = True,
    units: Annotated[Units, Field(description="Widths of the dense layers after the average; [] for none.")] = (),
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.0,
) -> Features:
    """A vector per word, averaged over the words of the text (Iyyer et al. 2015, deep averaging network), then dense layers.

    The word vectors are the group `backbone`, the dense layers the group `head`.
    """
    import keras

    from mmtrain.layers.text_tokens import TokenAverage

    text = embed_text(inputs, width, embeddings, trainable=train_embeddings)
    vector = TokenAverage()(text.ids, text.vectors)  # (batch, width)
    head = [keras.layers.Dense(size, activation=activation) for size in units]
    for layer in head:
        vector = layer(vector)
    vector = keras.layers.Dropout(dropout)(vector) if dropout else vector
    return Features(vector, groups={"backbone": [text.layer], "head": head}, notes=text.notes)
