"""`architecture: cnn3d`: a small convolutional network for one volume."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Features, Units, branch
from mmtrain.branches.images.cnn import Pooling, pooled
from mmtrain.branches.inputs import Input
from mmtrain.specs import VolumeSpec

Kernel = Annotated[int, Field(ge=1, le=7, description="Depth, height and width of the convolution kernels, in voxels.")]
Filters = Annotated[Units, Field(description="Filters of each convolution; as many blocks as entries.")]
FILTERS = (16, 32, 64, 128)


@branch("volume", most_columns=1, groups=("backbone",))
def cnn3d(
    inputs: Mapping[str, Input[VolumeSpec]],
    *,
    filters: Filters = FILTERS,
    kernel: Kernel = 3,
    normalization: Annotated[Literal["batch", "none"], Field(description="Normalization after each convolution.")] = "batch",
    pooling: Pooling = "average",
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.0,
) -> Features:
    """One block per entry of `filters`: convolution, normalization, halving of the sides by max pooling, activation; then global pooling.

    A side is halved while it has two voxels or more, so that a volume of few slices keeps them. The last block keeps its size; its places
    are the tokens of the branch. The blocks are the group `backbone`.
    """
    import keras

    from mmtrain.layers.network import Brightness01, SharedNormalization

    volume = next(iter(inputs.values())).masked()
    features = Brightness01(levels=volume.spec.levels)(volume.tensor)  # (batch, depth, height, width, channels), 0..1
    backbone = []
    for number, width in enumerate(filters):
        # A bias in front of batch normalization would be subtracted with the mean.
        block = [keras.layers.Conv3D(width, kernel, padding="same", use_bias=normalization == "none", kernel_initializer="he_normal")]
        if normalization == "batch":
            block.append(SharedNormalization(momentum=0.9))  # as in `cnn`
        halved = tuple(2 if side >= 2 else 1 for side in features.shape[1:4])
        if number < len(filters) - 1 and max(halved) > 1:
            block.append(keras.layers.MaxPooling3D(halved))
        block.append(keras.layers.Activation(activation))
        for layer in block:
            features = layer(features)
        backbone += block
    vector = pooled(features, pooling)
    vector = keras.layers.Dropout(dropout)(vector) if dropout else vector
    depth, height, across, width = features.shape[1:]
    return Features(vector, keras.layers.Reshape((depth * height * across, width))(features), groups={"backbone": backbone})
