"""Branches as a sequence that attends to itself and to the tokens of branches."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mmtrain.branches.transformer_blocks import Heads, transformer_blocks
from mmtrain.fusions.base import CommonWidth, Features, fusion, masked, same_width
from mmtrain.specs import Tensor, layer_names


@fusion
def attention(
    features: Features,
    present: Features,
    tokens: Features,
    *,
    width: CommonWidth = 64,
    heads: Heads = 4,
) -> Tensor:
    """Features attend to each other and to all tokens (Vaswani et al. 2017, arXiv:1706.03762), then the mean of the features.

    Absent branches and padding are never attended to.
    """
    from mmtrain.layers.fusion import FeatureAttention

    aligned = same_width(masked(features, present), width)
    sequences = _aligned_tokens(tokens, present, width)
    return FeatureAttention(width=width, heads=heads)(aligned, present, *([sequences] if sequences else []))


@fusion
def transformer(
    features: Features,
    present: Features,
    tokens: Features,
    *,
    width: CommonWidth = 64,
    heads: Heads = 4,
    layers: Annotated[int, Field(ge=1, le=24, description="Transformer layers.")] = 2,
) -> Tensor:
    """A learned summary token and the features attend to each other and to all tokens, layer by layer; the summary is the output.

    Pre-normalization as in ViT (arXiv:2010.11929). Absent branches and padding are never attended to.
    """
    from mmtrain.layers.fusion import BranchTokens

    aligned = same_width(masked(features, present), width)
    sequences = _aligned_tokens(tokens, present, width)
    sequence, mask = BranchTokens(width=width)(aligned, present, *([sequences] if sequences else []))
    # The summary token is the first; (batch, width).
    return transformer_blocks(sequence, layers, heads, 0.0, mask)[0][:, 0]


def _aligned_tokens(tokens: Features, present: Features, width: int) -> Features:
    """Return tokens (batch, length, width); without a bias, so that padding stays zero."""
    import keras

    names = layer_names(tokens, "align_tokens_")
    return {key: keras.layers.Dense(width, use_bias=False, name=names[key])(tensor) for key, tensor in masked(tokens, present).items()}
