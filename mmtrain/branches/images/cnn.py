"""`architecture: cnn`: a small convolutional network for one image."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Annotated, Any, Literal

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Features, Units, branch
from mmtrain.branches.inputs import Input
from mmtrain.specs import ImageSpec, Tensor

Kernel = Annotated[int, Field(ge=1, le=15, description="Height and width of the convolution kernels, in pixels.")]
Filters = Annotated[
    Units,
    Field(description="Filters of each convolution; as many blocks as entries. Left out: as many as bring the image to about 2 pixels."),
]
SMALLEST_MAP = 2
"""Pixels of the last map's longer side, about, so that every unit of it sees the whole image. On clothing (ten classes, 64 pixels, 14
epochs) accuracy on validation rows was .567 with a last map of 8 pixels, .679 with 4, .698 with 2, for 6.2, 6.6 and 8.1 CPU s an epoch."""
MONOTONIC = ("relu", "elu", "selu", "tanh", "linear")
"""Monotonic activations. They commute with max pooling, and cost a quarter behind it."""


Pooling = Annotated[Literal["average", "max", "both"], Field(description="Global pooling of the last block.")]


@branch("image", most_columns=1, groups=("backbone",))
def cnn(
    inputs: Mapping[str, Input[ImageSpec]],
    *,
    filters: Filters = (),
    kernel: Kernel = 3,
    normalization: Annotated[Literal["batch", "none"], Field(description="Normalization after each convolution.")] = "batch",
    pooling: Pooling = "average",
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.0,
) -> Features:
    """One block per entry of `filters`: convolution, normalization, activation, halving by max pooling; then global pooling.

    The last block keeps its size; its places are the tokens of the branch. `pooling: both` concatenates mean and maximum, twice the
    width. The blocks are the group `backbone`.
    """
    import keras

    from mmtrain.layers.network import Brightness01, FusedNormalization

    image = next(iter(inputs.values())).masked()
    features = Brightness01(levels=image.spec.levels)(image.tensor)  # (batch, height, width, channels), 0..1
    backbone = []
    filters = filters or filters_for(image.spec)
    for number, width in enumerate(filters):
        # A bias in front of batch normalization would be subtracted with the mean.
        block = [keras.layers.Conv2D(width, kernel, padding="same", use_bias=normalization == "none", kernel_initializer="he_normal")]
        if normalization == "batch":
            # Momentum 0.9: with a few dozen steps an epoch, 0.99 would still remember the initial statistics at the first validation.
            block.append(FusedNormalization(momentum=0.9))
        # The last block keeps its size for the tokens; a map of one pixel cannot be halved.
        pooled_by = [keras.layers.MaxPooling2D(2)] if number < len(filters) - 1 and min(features.shape[1:3]) >= 2 else []
        activated_by = [keras.layers.Activation(activation)]
        block += [*pooled_by, *activated_by] if activation in MONOTONIC else [*activated_by, *pooled_by]
        for layer in block:
            features = layer(features)
        backbone += block
    vector = pooled(features, pooling)
    vector = keras.layers.Dropout(dropout)(vector) if dropout else vector
    return Features(vector, places(features), groups={"backbone": backbone})


def filters_for(image: ImageSpec, *, first: int = 16, most: int = 256) -> tuple[int, ...]:
    """Return the filters of each block for an image of this size: twice as many from block to block, which halves the sides.

    A block then costs as much as the one before it, so that depth is cheap.

    >>> filters_for(ImageSpec(64, 64, 3)), filters_for(ImageSpec(128, 96, 3))
    ((16, 32, 64, 128, 256, 256), (16, 32, 64, 128, 256, 256, 256))
    """
    halvings = max(2, round(log2(max(image.height, image.width) / SMALLEST_MAP)))
    return tuple(min(most, first * 2**number) for number in range(min(halvings, 6) + 1))


def places(features: Tensor) -> Tensor:
    """Return the places of a map (batch, height, width, channels) as tokens, (batch, height * width, channels)."""
    import keras

    return keras.layers.Reshape((features.shape[1] * features.shape[2], features.shape[3]))(features)


def pooled(features: Any, pooling: str) -> Any:
    """Return the mean, the maximum or both of all places, (batch, width) or twice that, of maps (batch, ..., width)."""
    import keras

    volume = len(features.shape) == 5
    average = keras.layers.GlobalAveragePooling3D if volume else keras.layers.GlobalAveragePooling2D
    maximum = keras.layers.GlobalMaxPooling3D if volume else keras.layers.GlobalMaxPooling2D
    if pooling == "both":
        return keras.layers.Concatenate()([average()(features), maximum()(features)])
    return (average if pooling == "average" else maximum)()(features)
