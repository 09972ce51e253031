"""`architecture: pretrained` of an image: a network with pretrained weights from local files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from mmtrain.branches.base import (
    ActivationOption,
    BlocksOption,
    DropoutOption,
    Features,
    MinutesOption,
    Pretrained,
    RankOption,
    Tune,
    TuneOption,
    Units,
    branch,
)
from mmtrain.branches.inputs import Input
from mmtrain.branches.tables.dense import Normalization, dense_head, normalization_layers
from mmtrain.specs import ImageSpec

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
    Field(
        ge=0, le=32, description="Augmented views of every image that the frozen encoder reads, by the column's `augment`; 0: the image."
    ),
]


def _pretrained(*, model: str, weights: str, tune: Tune, blocks: int, rank: int, minutes: float, views: int, **_: Any) -> Pretrained:
    return Pretrained(model, weights, views, tune, blocks, rank, minutes)


@branch("image", most_columns=1, groups=("backbone", "head"), pretrained=_pretrained)
def image_pretrained(  # noqa: PLR0913 (options)
    inputs: Mapping[str, Input[ImageSpec]],
    *,
    model: Model = "efficientnet_lite0",
    weights: Weights = "",
    tune: TuneOption = "none",
    blocks: BlocksOption = 3,
    rank: RankOption = 16,
    minutes: MinutesOption = 15.0,
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
    pretrained = Pretrained(model, weights, views, tune, blocks, rank, minutes)
    encoder = pretrained.load(image.spec, owner=column)
    vector = encoder.network(image.masked().tensor)
    norm = normalization_layers(normalization)
    for layer in norm:
        vector = layer(vector)
    vector, dense = dense_head(vector, units, activation, dropout)
    return Features(vector, groups={"backbone": [encoder.network], "head": [*norm, *dense]}, encoder=encoder)
