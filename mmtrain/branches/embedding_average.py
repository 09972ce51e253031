"""`architecture: embedding_average`: the mean of a text's word vectors, learned from scratch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Tensor, Units, branch
from mmtrain.specs import TensorSpec


@branch("tokens", most_columns=1)
def embedding_average(
    inputs: list[Tensor],
    specs: list[TensorSpec],
    *,
    width: Annotated[int, Field(ge=1, le=4096, description="Width of the word vectors.")] = 64,
    units: Annotated[Units, Field(description="Widths of the dense layers after the average; [] for none.")] = (),
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.0,
) -> Tensor:
    """A vector per word, averaged over the words of the text (Iyyer et al. 2015, deep averaging network), then dense layers."""
    import keras

    from mmtrain.layers.network import TokenAverage

    ids = inputs[0]  # (batch, length)
    vector = TokenAverage()(ids, keras.layers.Embedding(specs[0].size, width)(ids))  # (batch, width)
    for size in units:
        vector = keras.layers.Dense(size, activation=activation)(vector)
    return keras.layers.Dropout(dropout)(vector) if dropout else vector
