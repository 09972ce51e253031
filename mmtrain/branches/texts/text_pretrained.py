"""`architecture: pretrained` of a text: a transformer with pretrained weights from local files."""

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
from mmtrain.branches.tables.dense import dense_head
from mmtrain.specs import PieceSpec

Model = Annotated[
    str,
    Field(
        description="Name of a model, such as all-minilm-l6-v2, or folder with config.json, weights and tokenizer. Nothing is downloaded; "
        "`mmtrain models list` shows the models at hand."
    ),
]


def _pretrained(*, model: str, tune: Tune, blocks: int, rank: int, minutes: float, **_: Any) -> Pretrained:
    return Pretrained(model, tune=tune, blocks=blocks, rank=rank, minutes=minutes)


@branch("pieces", most_columns=1, groups=("backbone", "head"), pretrained=_pretrained)
def text_pretrained(  # noqa: PLR0913 (options)
    inputs: Mapping[str, Input[PieceSpec]],
    *,
    model: Model = "all-minilm-l6-v2",
    tune: TuneOption = "none",
    blocks: BlocksOption = 3,
    rank: RankOption = 16,
    minutes: MinutesOption = 15.0,
    units: Annotated[Units, Field(description="Widths of dense layers behind the encoder; empty: its vector as it is.")] = (),
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.2,
) -> Features:
    """The vector of a pretrained transformer, normalized, then dense layers. A frozen one reads every text once; its vectors are cached.

    The layers of the network are the group `backbone`, those behind it `head`. Its text column has `vectorize: pieces`.
    """
    import keras

    ((column, text),) = inputs.items()
    encoder = Pretrained(model, tune=tune, blocks=blocks, rank=rank, minutes=minutes).load(text.spec, owner=column)
    vector = encoder.network(text.masked().tensor)
    # Vectors of length 1 have values near 0.05, which a dense layer with the usual learning rates would take long to make use of.
    vector = keras.layers.LayerNormalization(center=False, scale=False)(vector)
    vector, head = dense_head(vector, units, activation, dropout)
    return Features(vector, groups={"backbone": [encoder.network], "head": head}, encoder=encoder)
