"""`architecture: cnn`: a small convolutional network for one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Features, Input, Units, branch
from mmtrain.specs import ImageSpec

Kernel = Annotated[int, Field(ge=1, le=15, description="Height and width of the convolution kernels, in pixels.")]
MONOTONIC = ("relu", "elu", "selu", "tanh", "linear")
"""Monotonic activations. They commute with max pooling, and cost a quarter behind it."""


@branch("image", most_columns=1, groups=("backbone",))
def cnn(
    inputs: Mapping[str, Input[ImageSpec]],
    *,
    filters: Annotated[Units, Field(min_length=1, description="Filters of each convolution; as many blocks as entries.")] = (16, 32, 64),
    kernel: Kernel = 3,
    normalization: Annotated[Literal["batch", "none"], Field(description="Normalization after each convolution.")] = "batch",
    pooling: Annotated[Literal["average", "max", "both"], Field(description="Global pooling of the last block.")] = "average",
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.0,
) -> Features:
    """One block per entry of `filters`: convolution, normalization, activation, halving by max pooling; then global pooling.

    The last block keeps its size. `pooling: both` concatenates mean and maximum, twice the width. The blocks are the group `backbone`.
    """
    import keras

    from mmtrain.layers.network import Brightness01, FusedNormalization

    image = next(iter(inputs.values())).masked()
    features = Brightness01(levels=image.spec.levels)(image.tensor)  # (batch, height, width, channels), 0..1
    backbone = []
    for number, width in enumerate(filters):
        block = [keras.layers.Conv2D(width, kernel, padding="same", use_bias=normalization == "none", kernel_initializer="he_normal")]
        if normalization == "batch":
            # Momentum 0.9: with a few dozen steps an epoch, 0.99 would still remember the initial statistics at the first validation.
            block.append(FusedNormalization(momentum=0.9))
        pooled_by = [keras.layers.MaxPooling2D(2)] if number < len(filters) - 1 and min(features.shape[1:3]) >= 2 else []
        activated_by = [keras.layers.Activation(activation)]
        block += [*pooled_by, *activated_by] if activation in MONOTONIC else [*activated_by, *pooled_by]
        for layer in block:
            features = layer(features)
        backbone += block
    pooled = []
    if pooling in ("average", "both"):
        pooled.append(keras.layers.GlobalAveragePooling2D()(features))
    if pooling in ("max", "both"):
        pooled.append(keras.layers.GlobalMaxPooling2D()(features))
    vector = pooled[0] if len(pooled) == 1 else keras.layers.Concatenate()(pooled)  # (batch, width)
    return Features(keras.layers.Dropout(dropout)(vector) if dropout else vector, groups={"backbone": backbone})
