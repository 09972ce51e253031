"""`architecture: resnet`, `dcn` and `realmlp`: deep networks for numbers and categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import Activation, ActivationOption, DropoutOption, Features, Rate, Units, Width, branch
from mmtrain.branches.inputs import Input, Stacked, stacked
from mmtrain.branches.tables.dense import AUTO, NormalizationOption, normalized
from mmtrain.branches.tables.encodings import (
    EmbeddingDropout,
    EmbeddingWidth,
    deep_vector,
    embed_codes,
    embed_numbers,
    encode_numbers,
    project_inputs,
    project_texts,
    summed,
)
from mmtrain.specs import Tensor, TensorSpec, VectorSpec

Blocks = Annotated[int, Field(ge=1, le=64, description="Number of blocks.")]


@branch("vector", "index", "bag")
def resnet(  # noqa: PLR0913 (options)
    inputs: Mapping[str, Input[TensorSpec]],
    *,
    width: Annotated[Width, Field(description="Width of the residual stream.")] = 192,
    blocks: Blocks = 2,
    factor: Annotated[float, Field(gt=0, le=8, description="Width of the hidden layer of a block, as a multiple of `width`.")] = 2.0,
    activation: ActivationOption = "relu",
    normalization: NormalizationOption = "layer",
    dropout: Annotated[Rate, Field(description="Dropout rate of the hidden layer of each block.")] = 0.1,
    residual_dropout: Annotated[Rate, Field(description="Dropout rate of the output of each block.")] = 0.0,
    embedding_width: EmbeddingWidth = 0,
    embedding_dropout: EmbeddingDropout = 0.0,
) -> Features:
    """A dense layer, then residual blocks of normalization, dense layer, activation and dense layer (Gorishniy et al. 2021).

    See arXiv:2106.11959. Numbers are encoded piecewise linearly where their `embed` is auto.
    """
    import keras

    vector = project_inputs(stacked(inputs), width, auto=AUTO, width=embedding_width, dropout=embedding_dropout)
    # Pre-activation: the residual stream itself is never normalized or cut.
    for _ in range(blocks):
        values = keras.layers.Dense(max(1, int(width * factor)), activation=activation)(normalized(vector, normalization))
        values = keras.layers.Dense(width)(keras.layers.Dropout(dropout)(values) if dropout else values)
        vector = keras.layers.Add()([vector, keras.layers.Dropout(residual_dropout)(values) if residual_dropout else values])
    return Features(keras.layers.Activation(activation)(normalized(vector, normalization)))


@branch("vector", "index", "bag")
def dcn(
    inputs: Mapping[str, Input[TensorSpec]],
    *,
    layers: Annotated[
        int, Field(ge=1, le=16, description="Number of cross layers; as many factors more a product of inputs can have.")
    ] = 2,
    rank: Annotated[int, Field(ge=0, le=4096, description="Rank of the matrix of a cross layer; 0: full.")] = 0,
    units: Annotated[Units, Field(description="Widths of the dense layers next to the cross layers; [] for none.")] = (128, 128),
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.0,
    embedding_width: EmbeddingWidth = 0,
    embedding_dropout: EmbeddingDropout = 0.0,
) -> Features:
    """Cross layers, which multiply inputs explicitly, next to dense layers (Wang et al. 2020, DCN-v2, arXiv:2008.13535).

    Numbers are encoded piecewise linearly where their `embed` is auto; TF-IDF texts are brought to 64 numbers first.
    """
    import keras

    from mmtrain.layers.tabular.blocks import Cross

    columns = stacked(inputs)
    vector = deep_vector(columns, auto=AUTO, width=embedding_width, dropout=embedding_dropout)
    texts = project_texts(columns, 64, use_bias=True)
    pieces = ([] if vector is None else [vector]) + ([summed(texts)] if texts else [])
    first = pieces[0] if len(pieces) == 1 else keras.layers.Concatenate()(pieces)
    crossed, values = first, first
    for _ in range(layers):
        # first * (W crossed + b) + crossed: every layer raises the degree of the products by one.
        crossed = Cross(rank=rank)(first, crossed)
    for width in units:
        values = keras.layers.Dense(width, activation=activation)(values)
        if dropout:
            values = keras.layers.Dropout(dropout)(values)
    return Features(keras.layers.Concatenate()([crossed, values]) if units else crossed)


@branch("vector", "index", "bag")
def realmlp(
    inputs: Mapping[str, Input[TensorSpec]],
    *,
    units: Annotated[Units, Field(min_length=1, description="Widths of the dense layers.")] = (256, 256, 256),
    activation: Annotated[Activation, Field(description="Activation function of the layers.")] = "silu",
    dropout: DropoutOption = 0.05,
    embedding_width: Annotated[int, Field(ge=1, le=512, description="Width of the vector of each number, itself among it.")] = 8,
    frequencies: Annotated[int, Field(ge=1, le=512, description="Learned frequencies of each number.")] = 16,
    sigma: Annotated[float, Field(gt=0, le=100, description="Standard deviation of the initial frequencies.")] = 1.0,
) -> Features:
    """An MLP with the architecture of RealMLP (Holzmüller et al. 2024, arXiv:2407.04491).

    Numbers are scaled by their median and quartiles and clipped smoothly; each is followed by a dense layer on cosines of learned
    frequencies and phases; the vector has a learned factor for each value. Numbers whose `embed` is not auto are encoded as it says.
    Defaults follow a trial on california (R2 .82; with the paper's SELU, frequencies of 0.1 and dropout of 0.15 it was .75 in 20
    epochs, where the paper has 256). The paper also trains with `label_smoothing: 0.1` of a class target and a falling learning rate.
    """
    import keras

    from mmtrain.layers.pretrained import ChannelScale

    columns = stacked(inputs)
    pieces: list[Tensor] = []
    if columns.numbers is not None:
        pieces = _robust_numbers(columns, embedding_width, frequencies, sigma)
    if columns.codes is not None:
        pieces.append(embed_codes(columns))
    terms: list[Tensor] = []
    normal = "lecun_normal" if activation == "selu" else "he_normal"
    if pieces:
        together = ChannelScale()(pieces[0] if len(pieces) == 1 else keras.layers.Concatenate()(pieces))
        terms = [keras.layers.Dense(units[0], kernel_initializer=normal)(together)]
    vector = summed(terms + project_texts(columns, units[0], use_bias=not terms))
    for number, width in enumerate(units):
        if number:
            vector = keras.layers.Dense(width, kernel_initializer=normal)(vector)
        vector = keras.layers.Activation(activation)(vector)
        if dropout:
            vector = keras.layers.Dropout(dropout)(vector)
    return Features(vector)


def _robust_numbers(columns: Stacked, width: int, frequencies: int, sigma: float) -> list[Tensor]:
    """Return numbers scaled and clipped, their periodic vectors, and what has another encoding, (batch, ...) each."""
    import keras

    from mmtrain.layers.tabular.blocks import ColumnDense
    from mmtrain.layers.tabular.number_encodings import Periodic, RobustScale

    auto = {
        place: spec
        for place, spec in zip(columns.first_numbers, columns.number_specs, strict=True)
        if spec.embed == "auto" and not spec.few_rows
    }
    encoded = encode_numbers(columns, "none", left_out=auto)
    pieces = [] if encoded.plain is None else [encoded.plain]
    for encoding, values in encoded.expanded:
        pieces.append(keras.layers.Flatten()(values if encoding == "quantile" else embed_numbers(encoding, values, width)))
    if auto:
        # From the quartiles that the edges of training rows give.
        scales = [robust_scale(spec) for spec in auto.values()]
        scaled = RobustScale(positions=list(auto), centers=[one for one, _ in scales], factors=[one for _, one in scales])(columns.numbers)
        pieces.append(scaled)
        if width > 1:
            cosines = Periodic(positions=range(len(auto)), frequencies=frequencies, sigma=sigma, phase=True)(scaled)
            pieces.append(keras.layers.Flatten()(ColumnDense(units=width - 1)(cosines)))
    return pieces


def robust_scale(spec: VectorSpec) -> tuple[float, float]:
    """Return the median of a column and 1 / (upper - lower quartile), of encoded numbers; with equal quartiles 2 / (maximum - minimum).

    Without edges, or for a constant column, the column's own scaling stays: 0 and 1.
    """
    import numpy as np

    if len(spec.edges) < 2:
        return 0.0, 1.0
    # Ranks rise from 0 to 1 with the edges: interpolated, they give any quantile.
    lower, median, upper = np.interp([0.25, 0.5, 0.75], spec.ranks, spec.edges)
    width = upper - lower if upper > lower else (spec.edges[-1] - spec.edges[0]) / 2
    return float(median), float(1 / width)
