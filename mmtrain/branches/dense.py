"""`architecture: mlp` and `architecture: linear`: dense layers over numbers, categories and TF-IDF texts together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import ActivationOption, DropoutOption, Features, Input, Units, Width, branch, stacked
from mmtrain.specs import IndexSpec, Tensor, TensorSpec


def project_inputs(inputs: Mapping[str, Input[TensorSpec]], units: int) -> Tensor:
    """Return a dense layer, (batch, units), on all inputs concatenated; absent columns are masked.

    Computed as a sum of one product per text, so that a TF-IDF vector need never be built.
    """
    import keras

    together = stacked(inputs)
    vectors = [together.numbers] if together.numbers is not None else []
    if together.codes is not None:
        vectors.append(code_vectors(together.codes, together.code_specs))
    products: list[Tensor] = []
    for one in together.others:  # a single bias for the whole sum
        products.append(one.spec.project(one.tensor, units, use_bias=not vectors and not products))
    if vectors:
        products.append(keras.layers.Dense(units)(vectors[0] if len(vectors) == 1 else keras.layers.Concatenate()(vectors)))
    return products[0] if len(products) == 1 else keras.layers.Add()(products)


def code_vectors(codes: Tensor, specs: Sequence[IndexSpec]) -> Tensor:
    """Return the vectors of all codes, (batch, columns), side by side."""
    from mmtrain.layers.stacks import CodeVectors

    return CodeVectors(
        sizes=[spec.size for spec in specs], widths=[spec.vector_width for spec in specs], one_hot=[spec.one_hot for spec in specs]
    )(codes)


@branch("vector", "index", "bag")
def mlp(
    inputs: Mapping[str, Input[TensorSpec]],
    *,
    units: Annotated[Units, Field(min_length=1, description="Widths of the dense layers.")] = (64,),
    activation: ActivationOption = "relu",
    dropout: DropoutOption = 0.0,
) -> Features:
    """Dense layers of these widths, each followed by the activation and dropout. Categories are embedded first."""
    import keras

    vector = project_inputs(inputs, units[0])
    for number, width in enumerate(units):
        if number:
            vector = keras.layers.Dense(width)(vector)
        vector = keras.layers.Activation(activation)(vector)
        if dropout:
            vector = keras.layers.Dropout(dropout)(vector)
    return Features(vector)


@branch("vector", "index", "bag")
def linear(
    inputs: Mapping[str, Input[TensorSpec]], *, units: Annotated[Width, Field(description="Width of the dense layer.")] = 16
) -> Features:
    """One dense layer without activation."""
    return Features(project_inputs(inputs, units))
