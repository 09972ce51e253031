"""Features side by side, or brought to one width and merged value by value."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mmtrain.fusions.base import CommonWidth, Features, fusion, masked, merged, same_width
from mmtrain.specs import Tensor, layer_names


@fusion
def concatenate(features: Features, present: Features) -> Tensor:
    """All features side by side; zeros where one is absent."""
    import keras

    return merged(keras.layers.Concatenate(), masked(features, present))


@fusion
def add(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The sum of the features that are present, each brought to `width` first."""
    import keras

    # Masked again behind the dense layer, whose bias would stand for an absent branch.
    return merged(keras.layers.Add(), masked(same_width(masked(features, present), width), present))


@fusion
def multiply(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The product of the features that are present, each brought to `width` first; 1 where one is absent."""
    import keras

    aligned = same_width(masked(features, present), width, "ones")  # so that a product neither vanishes nor explodes at the start
    # The neutral element of a product.
    return merged(keras.layers.Multiply(), masked(aligned, present, fill=1.0))


@fusion
def average(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The mean of the features that are present, each brought to `width` first."""
    from mmtrain.layers.fusion import PresentMean

    return PresentMean()(same_width(masked(features, present), width), present)


@fusion
def maximum(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The largest value of each place among the features that are present, each brought to `width` first; 0 where none is."""
    from mmtrain.layers.fusion import PresentMaximum

    return PresentMaximum()(same_width(masked(features, present), width), present)


@fusion(units=())
def late(
    features: Features,
    present: Features,
    *,
    width: CommonWidth = 64,
    weights: Annotated[Literal["learned", "equal"], Field(description="Weights of the branches in their mean.")] = "learned",
) -> Tensor:
    """Each branch decides by itself, through a hidden layer of its own; the decisions of those present are averaged.

    A target's head is linear, so that the head of a mean is the mean of a head for each branch.
    """
    import keras

    from mmtrain.layers.fusion import WeightedMean

    hidden = {name: keras.layers.Activation("relu")(feature) for name, feature in same_width(masked(features, present), width).items()}
    names = layer_names(hidden, "decide_")
    decisions = {name: keras.layers.Dense(width, name=names[name])(feature) for name, feature in hidden.items()}
    return WeightedMean(learned=weights == "learned")(decisions, present)
