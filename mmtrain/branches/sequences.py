"""Networks that read a series step by step: convolutions, a recurrent network and a transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from mmtrain.branches.base import DropoutOption, Features, Width, branch
from mmtrain.branches.inputs import Input
from mmtrain.branches.transformer_blocks import Blocks, Heads, TokenWidth, transformer_blocks
from mmtrain.specs import SequenceSpec, Tensor


def _steps(inputs: Mapping[str, Input[SequenceSpec]]) -> tuple[Tensor, Tensor]:
    """Return which steps have a value, (batch, length) int32, and the steps, (batch, length, width)."""
    from mmtrain.layers.numbers.series import StepFlags

    (series,) = inputs.values()
    series = series.masked()
    return StepFlags(channels=series.spec.channels)(series.tensor), series.tensor


@branch("sequence", most_columns=1, groups=("backbone",), name="sequence_tcn")
def sequence_tcn(
    inputs: Mapping[str, Input[SequenceSpec]],
    *,
    width: Annotated[Width, Field(description="Filters of every convolution.")] = 64,
    blocks: Annotated[int, Field(ge=1, le=16, description="Blocks; the reach of a filter doubles with each of them.")] = 4,
    kernel: Annotated[int, Field(ge=2, le=64, description="Steps that a filter sees at once.")] = 3,
    dropout: DropoutOption = 0.1,
) -> Features:
    """Causal convolutions over steps that lie 1, 2, 4, ... apart, with residual connections (Bai et al. 2018, arXiv:1803.01271).

    The features are the largest value of each filter. Steps are the tokens of the branch; all layers are the group `backbone`.
    """
    import keras

    from mmtrain.layers.text_tokens import PaddingZeros, TokenMaximum

    flags, steps = _steps(inputs)
    first = keras.layers.Dense(width)
    layers = [first]
    states = PaddingZeros()(flags, first(steps))
    for block in range(blocks):
        values = states
        for _ in range(2):
            layers.append(keras.layers.Conv1D(width, kernel, padding="causal", dilation_rate=2**block, activation="relu"))
            values = layers[-1](values)
            values = keras.layers.Dropout(dropout)(values) if dropout else values
        states = PaddingZeros()(flags, keras.layers.Add()([states, values]))
    return Features(TokenMaximum()(flags, states), states, groups={"backbone": layers})


@branch("sequence", most_columns=1, groups=("backbone",), name="sequence_gru")
def sequence_gru(
    inputs: Mapping[str, Input[SequenceSpec]],
    *,
    units: Annotated[Width, Field(description="Width of the state, in each direction.")] = 64,
    dropout: DropoutOption = 0.0,
) -> Features:
    """Reads the series forwards and backwards (Cho et al. 2014, arXiv:1406.1078); then the largest value of each part of the state.

    States are the tokens of the branch; all layers are the group `backbone`. ONNX and LiteRT exports repeat the cell for each of `most`
    steps: long series convert slowly.
    """
    import keras

    from mmtrain.layers.text_tokens import PaddingZeros, TokenMaximum

    flags, steps = _steps(inputs)
    read = keras.layers.Bidirectional(keras.layers.GRU(units, return_sequences=True))
    states = PaddingZeros()(flags, read(steps))  # (batch, length, 2 * units)
    vector = TokenMaximum()(flags, states)
    return Features(keras.layers.Dropout(dropout)(vector) if dropout else vector, states, groups={"backbone": [read]})


@branch("sequence", most_columns=1, groups=("backbone",), name="sequence_transformer")
def sequence_transformer(
    inputs: Mapping[str, Input[SequenceSpec]],
    *,
    width: TokenWidth = 64,
    blocks: Blocks = 2,
    heads: Heads = 4,
    dropout: DropoutOption = 0.1,
) -> Features:
    """Steps attend to each other (Vaswani et al. 2017, arXiv:1706.03762); then the mean of the steps. Masked steps are never attended to.

    Steps are the tokens of the branch; all layers are the group `backbone`.
    """
    import keras

    from mmtrain.layers.network import TokenPositions
    from mmtrain.layers.text_tokens import PaddingZeros, TokenAverage, WordMask

    flags, steps = _steps(inputs)
    first, positions = keras.layers.Dense(width), TokenPositions()
    tokens, layers = transformer_blocks(positions(first(steps)), blocks, heads, dropout, WordMask()(flags))
    tokens = PaddingZeros()(flags, tokens)
    return Features(TokenAverage()(flags, tokens), tokens, groups={"backbone": [first, positions, *layers]})
