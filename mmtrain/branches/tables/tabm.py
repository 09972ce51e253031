"""`architecture: tabm`: an ensemble of MLPs that share their weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Features, Units, branch
from mmtrain.branches.inputs import Input, stacked
from mmtrain.branches.tables.dense import AUTO, LinearPath
from mmtrain.branches.tables.encodings import (
    EmbeddingDropout,
    EmbeddingWidth,
    deep_vector,
    linear_inputs,
    linear_path,
    project_texts,
    summed,
    with_every_bin,
)
from mmtrain.specs import Tensor, TensorSpec

TEXT_WIDTH = 64
"""Numbers that TF-IDF texts become before the members, which would otherwise need a factor of their own for every word."""


@branch("vector", "index", "bag")
def tabm(  # noqa: PLR0913 (options)
    inputs: Mapping[str, Input[TensorSpec]],
    *,
    members: Annotated[int, Field(ge=2, le=64, description="Networks in the ensemble.")] = 8,
    units: Annotated[Units, Field(min_length=1, description="Widths of the dense layers of a member.")] = (192, 192),
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.1,
    embedding_width: EmbeddingWidth = 0,
    embedding_dropout: EmbeddingDropout = 0.0,
    linear: Annotated[
        LinearPath, Field(description="Width of a linear path next to the members, on numbers, bins, categories and texts; 0 for none.")
    ] = 32,
    base: Annotated[
        Literal["linear", "none"],
        Field(
            description="linear: before the training, a ridge or logistic regression of the same inputs is fitted to training rows, and "
            "the members learn its residuals. It takes effect with up to 10,000 training rows, where the branch is the only one, without "
            "texts, and `fusion.units` is []."
        ),
    ] = "linear",
) -> Features:
    """Members share the matrices of their dense layers and have factors of their own (Gorishniy et al. 2024, arXiv:2410.24210).

    Each member is trained by its own loss, and the prediction is the mean of theirs, also of a transformed number in its own unit.
    Numbers are encoded piecewise linearly where their `embed` is auto, whatever the number of rows, and are read as they are as well.
    Members share a linear path, so that without layers behind the fusion (`fusion: {units: []}`) the network contains a generalized
    additive model.
    """
    import keras

    from mmtrain.layers.tabular.members import ForMembers, MemberDense

    columns = with_every_bin(stacked(inputs))
    vector = deep_vector(columns, auto=AUTO, width=embedding_width, dropout=embedding_dropout, numbers_too=True)
    texts = project_texts(columns, TEXT_WIDTH, use_bias=True)
    pieces: list[Tensor] = ([] if vector is None else [vector]) + ([summed(texts)] if texts else [])
    values = pieces[0] if len(pieces) == 1 else keras.layers.Concatenate()(pieces)
    for number, width in enumerate(units):
        # Random signs in the first layer make the members differ from the start (arXiv:2410.24210, section 3).
        values = keras.layers.Activation(activation)(MemberDense(units=width, members=members, signs=not number)(values))
        if dropout:
            values = keras.layers.Dropout(dropout)(values)
    inputs_of_linear = linear_inputs(columns, auto=AUTO, numbers_too=True)
    if linear:
        # Nearly zero, as weights that training rows leave undecided would keep their random start. Not zero: behind a fitted linear
        # model the heads are zero, and of a product of two zeros neither ever gets a gradient.
        start = keras.initializers.RandomNormal(stddev=1e-3)
        path = summed(linear_path(columns, linear, auto=AUTO, inputs=inputs_of_linear, start=start))
        values = keras.layers.Concatenate()([values, ForMembers(members=members)(path)])
    return Features(values, members=members, linear=None if base == "none" or texts else inputs_of_linear)
