"""Fusions: the feature vectors of all branches to one vector.

A fusion is a function `(features, present, *, options) -> (batch, width)` over {branch: (batch, width_i)} and
{branch: (batch, 1)}, present being 1 or 0. Whatever a fusion computes, the values of an absent branch never change its
output: every one begins by putting its neutral element in their place, and a contract test shows it for each.

A fusion with a third parameter, `(features, present, tokens, *, options)`, also receives {branch: (batch, length_i, width_i)} of those
branches that return tokens. A token of zeros is padding.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import Field

from mmtrain.branches.base import Activation, Rate, Units, Width
from mmtrain.registry import OneOf, Registry, Section, options_of, section_for
from mmtrain.specs import Tensor, layer_names

Features: TypeAlias = dict[str, Tensor]
CommonWidth = Annotated[Width, Field(description="The width to which the features of all branches are brought first.")]


class FusionSection(Section):
    """Options of every fusion: its method, and the dense layers behind it."""

    method: str = Field(description="How branches are joined.")
    units: Units = Field((64,), description="Widths of the dense layers after the fusion; [] for none.")
    activation: Activation = Field("relu", description="After each of those dense layers.")
    dropout: Rate = Field(0.0, description="After the fusion and after each of those dense layers.")

    @property
    def reads_tokens(self) -> bool:
        """True if the method attends to the tokens of branches."""
        return fusions[self.method].reads_tokens

    def build(self, features: Features, present: Features, tokens: Features | None = None) -> Tensor:
        """Call the method's function, then the dense layers: (batch, width)."""
        import keras

        given = (features, present, tokens or {}) if self.reads_tokens else (features, present)
        vector = fusions[self.method].build(*given, **options_of(self, FusionSection))
        if self.dropout:
            vector = keras.layers.Dropout(self.dropout)(vector)
        for width in self.units:
            vector = keras.layers.Dense(width, activation=self.activation)(vector)
            if self.dropout:
                vector = keras.layers.Dropout(self.dropout)(vector)
        return vector


@dataclass(frozen=True)
class Fusion:
    """A registered fusion function."""

    build: Callable[..., Tensor]
    section: type[FusionSection]

    @property
    def reads_tokens(self) -> bool:
        """True if the function has a third positional parameter."""
        parameters = inspect.signature(self.build).parameters.values()
        return len([one for one in parameters if one.kind is not one.KEYWORD_ONLY]) > 2


fusions: Registry[Fusion] = Registry("fusion method")


def fusion(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Register a function as `method: <its name>`. Raises TypeError for an option without type or default."""
    fusions.add(function.__name__, Fusion(function, section_for(function.__name__, function, FusionSection)))
    return function


AnyFusion = Annotated[FusionSection, OneOf("method", lambda: {name: entry.section for name, entry in fusions.items()})]


def _masked(features: Features, present: Features, fill: float = 0.0) -> Features:
    """Return every feature with `fill` in the rows where it is absent."""
    from mmtrain.layers.network import Mask

    return {name: Mask(fill=fill)(feature, present[name]) for name, feature in features.items()}


def _same_width(features: Features, width: int, bias: str = "zeros") -> Features:
    """Return every feature as (batch, width), through a dense layer of its own, whose biases are initialized as `bias`."""
    import keras

    names = layer_names(features, "align_")
    return {name: keras.layers.Dense(width, bias_initializer=bias, name=names[name])(feature) for name, feature in features.items()}


def _merged(layer: Any, features: Features) -> Tensor:
    tensors = list(features.values())
    return layer(tensors) if len(tensors) > 1 else tensors[0]


@fusion
def concatenate(features: Features, present: Features) -> Tensor:
    """All features side by side; zeros where one is absent."""
    import keras

    return _merged(keras.layers.Concatenate(), _masked(features, present))


@fusion
def add(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The sum of the features that are present, each brought to `width` first."""
    import keras

    return _merged(keras.layers.Add(), _masked(_same_width(_masked(features, present), width), present))


@fusion
def multiply(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The product of the features that are present, each brought to `width` first; 1 where one is absent."""
    import keras

    aligned = _same_width(_masked(features, present), width, "ones")  # so that a product neither vanishes nor explodes at the start
    return _merged(keras.layers.Multiply(), _masked(aligned, present, fill=1.0))


@fusion
def average(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The mean of the features that are present, each brought to `width` first."""
    from mmtrain.layers.network import PresentMean

    return PresentMean()(_same_width(_masked(features, present), width), present)


@fusion
def maximum(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """The largest value of each place among the features that are present, each brought to `width` first; 0 where none is."""
    from mmtrain.layers.network import PresentMaximum

    return PresentMaximum()(_same_width(_masked(features, present), width), present)


@fusion
def gated(features: Features, present: Features, *, width: CommonWidth = 64) -> Tensor:
    """Each row decides how much of each feature it takes: gated multimodal units (Arevalo et al. 2017, arXiv:1702.01992)."""
    import keras

    masked = _masked(features, present)
    together = _merged(keras.layers.Concatenate(), masked)  # (batch, sum of widths)
    parts = {}
    for key, name in layer_names(masked).items():
        value = keras.layers.Dense(width, activation="tanh", name=f"value_{name}")(masked[key])
        gate = keras.layers.Dense(width, activation="sigmoid", name=f"gate_{name}")(together)
        parts[key] = keras.layers.Multiply()([value, gate])
    return _merged(keras.layers.Add(), _masked(parts, present))


@fusion
def attention(
    features: Features,
    present: Features,
    tokens: Features,
    *,
    width: CommonWidth = 64,
    heads: Annotated[int, Field(ge=1, le=64, description="Attention heads.")] = 4,
) -> Tensor:
    """Features attend to each other and to all tokens (Vaswani et al. 2017, arXiv:1706.03762), then the mean of the features.

    Absent branches and padding are never attended to.
    """
    import keras

    from mmtrain.layers.network import FeatureAttention

    aligned = _same_width(_masked(features, present), width)
    names = layer_names(tokens, "align_tokens_")
    # Without a bias, so that padding stays zero.
    sequences = {
        key: keras.layers.Dense(width, use_bias=False, name=names[key])(tensor) for key, tensor in _masked(tokens, present).items()
    }
    return FeatureAttention(width=width, heads=heads)(aligned, present, *([sequences] if sequences else []))
