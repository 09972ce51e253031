"""`architecture: resnet` of an image: residual blocks of convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from mmtrain.branches.base import DropoutOption, Features, branch
from mmtrain.branches.images.cnn import Filters, filters_for, places
from mmtrain.branches.inputs import Input
from mmtrain.specs import ImageSpec, Tensor


@branch("image", most_columns=1, groups=("backbone",), name="image_resnet")
def image_resnet(
    inputs: Mapping[str, Input[ImageSpec]],
    *,
    filters: Filters = (),
    blocks: Annotated[int, Field(ge=1, le=16, description="Residual blocks for each entry of `filters`.")] = 1,
    dropout: DropoutOption = 0.0,
) -> Features:
    """Residual blocks of two convolutions each (He et al. 2016, arXiv:1512.03385; normalized first, as in arXiv:1603.05027).

    The first block of each entry of `filters` but the first halves the sides. The last map's places are the tokens; all layers but
    dropout are the group `backbone`.
    """
    import keras

    from mmtrain.layers.network import Brightness01, FusedNormalization

    image = next(iter(inputs.values())).masked()
    filters = filters or filters_for(image.spec)
    backbone: list[Any] = []

    def used(layer: Any) -> Any:
        backbone.append(layer)
        return layer

    def convolved(values: Tensor, width: int, kernel: int, stride: int = 1) -> Tensor:
        options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
        return used(keras.layers.Conv2D(width, kernel, strides=stride, **options))(values)

    def activated(values: Tensor) -> Tensor:
        return keras.layers.Activation("relu")(used(FusedNormalization(momentum=0.9))(values))

    features = convolved(Brightness01(levels=image.spec.levels)(image.tensor), filters[0], 3)
    for number, width in enumerate(filters):
        for block in range(blocks):
            # Halved once per entry of `filters`, in its first block, while there is something to halve.
            stride = 2 if number and not block and min(features.shape[1:3]) >= 2 else 1
            before = activated(features)
            changed = stride > 1 or features.shape[-1] != width
            # A convolution of 1 x 1 brings the shortcut to the shape of the block.
            shortcut = convolved(before, width, 1, stride) if changed else features
            inner = activated(convolved(before, width, 3, stride))
            features = keras.layers.Add()([shortcut, convolved(inner, width, 3)])
    features = activated(features)
    vector = keras.layers.GlobalAveragePooling2D()(features)
    return Features(keras.layers.Dropout(dropout)(vector) if dropout else vector, places(features), groups={"backbone": backbone})
