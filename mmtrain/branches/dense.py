"""`architecture: mlp` and `architecture: linear`: dense layers over numbers, categories and TF-IDF texts together."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Tensor, Units, Width, branch
from mmtrain.specs import TensorSpec


def embedding_width(size: int) -> int:
    """Width of a learned embedding: min(50, (codes + 1) // 2), the rule of thumb of Howard and Gugger (fastai, 2020)."""
    return min(50, (size + 1) // 2)


def embed_or_pass(tensor: Tensor, spec: TensorSpec) -> Tensor:
    """A vector (batch, width) from a `vector` or an `index`: one-hot, or a learned embedding."""
    import keras

    if spec.kind == "vector":
        return tensor
    if spec.one_hot:
        return keras.layers.Flatten()(keras.layers.CategoryEncoding(spec.size, output_mode="one_hot")(tensor))
    return keras.layers.Flatten()(keras.layers.Embedding(spec.size, spec.width or embedding_width(spec.size))(tensor))


def project_inputs(inputs: list[Tensor], specs: list[TensorSpec], units: int) -> Tensor:
    """A dense layer (batch, units) on all inputs side by side.

    Computed as a sum of one product per input, so that a TF-IDF vector need never be built.
    """
    import keras

    from mmtrain.layers.network import BagProjection

    bags = [(tensor, spec) for tensor, spec in zip(inputs, specs, strict=True) if spec.kind == "bag"]
    vectors = [embed_or_pass(tensor, spec) for tensor, spec in zip(inputs, specs, strict=True) if spec.kind != "bag"]
    sums = [
        BagProjection(idf=list(spec.idf), units=units, use_bias=not vectors and not number)(tensor)
        for number, (tensor, spec) in enumerate(bags)
    ]  # one bias for the whole sum
    if vectors:
        together = vectors[0] if len(vectors) == 1 else keras.layers.Concatenate()(vectors)
        sums.append(keras.layers.Dense(units)(together))
    return sums[0] if len(sums) == 1 else keras.layers.Add()(sums)


@branch("vector", "index", "bag")
def mlp(
    inputs: list[Tensor],
    specs: list[TensorSpec],
    *,
    units: Annotated[Units, Field(min_length=1, description="Widths of the dense layers.")] = (64,),
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.0,
) -> Tensor:
    """Dense layers of these widths, each followed by the activation and dropout. Categories are embedded first."""
    import keras

    vector = project_inputs(inputs, specs, units[0])
    for number, width in enumerate(units):
        if number:
            vector = keras.layers.Dense(width)(vector)
        vector = keras.layers.Activation(activation)(vector)
        if dropout:
            vector = keras.layers.Dropout(dropout)(vector)
    return vector


@branch("vector", "index", "bag")
def linear(
    inputs: list[Tensor], specs: list[TensorSpec], *, units: Annotated[Width, Field(description="Width of the dense layer.")] = 16
) -> Tensor:
    """One dense layer without activation."""
    return project_inputs(inputs, specs, units)
