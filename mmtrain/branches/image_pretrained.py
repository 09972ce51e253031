"""`architecture: pretrained` of an image: a network with pretrained weights from local files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Features, Pretrained, Units, branch
from mmtrain.branches.dense import Normalization, dense_head, normalization_layers
from mmtrain.branches.inputs import Input
from mmtrain.specs import ImageSpec

if TYPE_CHECKING:
    from mmtrain.encoders import Encoder

Model = Annotated[
    str,
    Field(
        description="Name of a model, such as efficientnet_lite0, folder with config.json and weights, or file of weights "
        "(.safetensors, .pth). Nothing is downloaded; `mmtrain models list` shows the models at hand."
    ),
]
Weights = Annotated[str, Field(description="File or folder of the weights, where `model` is a name that says the architecture only.")]
Views = Annotated[
    int,
    Field(ge=0, le=32, description="Augmented views of every image that a frozen encoder reads, by the column's `augment`; 0: the image."),
]


def _pretrained(*, model: str, weights: str, tune: str, views: int, **_: Any) -> Pretrained:
    return Pretrained(model, weights, tune == "none", views)


@branch("image", most_columns=1, groups=("backbone", "head"), pretrained=_pretrained)
def image_pretrained(  # noqa: PLR0913 (options)
    inputs: Mapping[str, Input[ImageSpec]],
    *,
    model: Model = "efficientnet_lite0",
    weights: Weights = "",
    tune: Annotated[
        Literal["none", "last_blocks", "all"],
        Field(
            description="Blocks of the encoder that the training changes; other than `none`, images go through it in every epoch. Give the "
            "group `backbone` of the branch a small rate of its own, in `training.stages`."
        ),
    ] = "none",
    blocks: Annotated[int, Field(ge=1, le=100, description="Blocks from the end that `tune: last_blocks` changes.")] = 3,
    views: Views = 0,
    normalization: Annotated[
        Normalization, Field(description="Normalization of the encoder's vector; batch: each of its numbers by those of training rows.")
    ] = "batch",
    units: Annotated[Units, Field(description="Widths of dense layers behind the encoder; empty: its vector as it is.")] = (),
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.2,
) -> Features:
    """The vector of a pretrained network, then dense layers. A frozen network reads every image once, and its vectors are cached.

    The layers of the network are the group `backbone`, those behind it `head`.
    """
    ((column, image),) = inputs.items()
    encoder = _pretrained(model=model, weights=weights, tune=tune, views=views).load(image.spec, owner=column)
    if tune != "none":
        unfreeze(encoder, blocks if tune == "last_blocks" else len(encoder.blocks))
    vector = frozen = encoder.network(image.masked().tensor)
    norm = normalization_layers(normalization)
    for layer in norm:
        vector = layer(vector)
    vector, dense = dense_head(vector, units, activation, dropout)
    return Features(vector, groups={"backbone": [encoder.network], "head": [*norm, *dense]}, frozen=frozen if tune == "none" else None)


def unfreeze(encoder: Encoder, blocks: int) -> None:
    """Make the last blocks of an encoder trainable. Batch normalization keeps its statistics and factors: those of few images are worse."""
    import keras

    tuned = {id(layer) for block in encoder.blocks[-blocks:] for layer in block}
    encoder.network.trainable = True
    for layer in encoder.network._flatten_layers(include_self=False):
        if layer.weights and not isinstance(layer, keras.Model):
            layer.trainable = id(layer) in tuned and not isinstance(layer, keras.layers.BatchNormalization)
