"""`architecture: vit`: a small vision transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import DropoutOption, Features, branch
from mmtrain.branches.inputs import Input
from mmtrain.branches.transformer_blocks import Blocks, Heads, TokenWidth, transformer_blocks
from mmtrain.specs import ImageSpec

MOST_PATCHES = 196
"""Patches of an image where `patch` is left out, as in ViT of 224 pixels with patches of 16."""


@branch("image", most_columns=1, groups=("backbone",))
def vit(
    inputs: Mapping[str, Input[ImageSpec]],
    *,
    patch: Annotated[int, Field(ge=0, le=512, description="Height and width of a patch, in pixels; 0: at most 196 patches.")] = 0,
    width: TokenWidth = 64,
    blocks: Blocks = 4,
    heads: Heads = 4,
    dropout: DropoutOption = 0.0,
) -> Features:
    """The image is cut into patches, which attend to each other (Dosovitskiy et al. 2021, arXiv:2010.11929); then their mean.

    Patches are the tokens of the branch, and all layers the group `backbone`. From scratch it needs more images than a `cnn`.
    """
    import keras

    from mmtrain.layers.network import Brightness01, TokenPositions

    image = next(iter(inputs.values())).masked()
    side = patch or max(1, next(size for size in range(1, 513) if (image.spec.height // size) * (image.spec.width // size) <= MOST_PATCHES))
    # A patch larger than the image would leave no patch.
    side = min(side, image.spec.height, image.spec.width)
    cut, positions = keras.layers.Conv2D(width, side, strides=side), TokenPositions()
    patches = cut(Brightness01(levels=image.spec.levels)(image.tensor))  # (batch, rows, columns, width)
    tokens = positions(keras.layers.Reshape((patches.shape[1] * patches.shape[2], width))(patches))
    tokens, layers = transformer_blocks(tokens, blocks, heads, dropout)
    vector = keras.layers.GlobalAveragePooling1D()(tokens)
    return Features(vector, tokens, groups={"backbone": [cut, positions, *layers]})
