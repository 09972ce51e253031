"""Products of features, through factors of low rank: no tensor of all products is built."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mmtrain.fusions.base import CommonWidth, Features, fusion, masked, merged, same_width
from mmtrain.specs import Tensor, layer_names

Rank = Annotated[int, Field(ge=1, le=256, description="Products that are added up; more can tell apart more combinations.")]


@fusion
def low_rank(features: Features, present: Features, *, width: CommonWidth = 64, rank: Rank = 4) -> Tensor:
    """Products over all branches, by a tensor of low rank (Liu et al. 2018, arXiv:1806.00064); a factor of 1 where one is absent."""
    import keras

    from mmtrain.layers.fusion import RankSum

    shown = masked(features, present)
    names = layer_names(shown, "align_")
    # The bias is the 1 that the paper appends to each feature; from ones, a product neither vanishes nor explodes at the start.
    factors = {key: keras.layers.Dense(rank * width, bias_initializer="ones", name=names[key])(feature) for key, feature in shown.items()}
    # (batch, rank * width): products of `rank` factors, which RankSum adds up to (batch, width).
    return RankSum(rank=rank)(merged(keras.layers.Multiply(), masked(factors, present, fill=1.0)))


@fusion
def bilinear(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The sum of the features and of the products of every two of them, each brought to `width` first.

    Bilinear pooling by one factor for each branch, as in a factorization machine (Rendle 2010; He and Chua 2017, arXiv:1708.05027): the
    cost is linear in the branches.
    """
    import keras

    from mmtrain.layers.fusion import PairProducts

    shown = masked(features, present)
    aligned = masked(same_width(shown, width), present)
    # Sums first; products of pairs come on top.
    total = merged(keras.layers.Add(), aligned)
    if len(shown) == 1:
        return total
    names = layer_names(shown, "pair_")
    factors = {key: keras.layers.Dense(width, name=names[key])(feature) for key, feature in shown.items()}
    return keras.layers.Add()([total, PairProducts()(masked(factors, present))])
