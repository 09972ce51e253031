"""The contract of a fusion, and the registry of methods.

A fusion is a function `(features, present, *, options) -> (batch, width)` over {branch: (batch, width_i)} and
{branch: (batch, 1)}, present being 1 or 0. Whatever a fusion computes, the values of an absent branch never change its
output: every one begins by putting its neutral element in their place, and a contract test shows it for each.

A fusion with a third parameter, `(features, present, tokens, *, options)`, also receives {branch: (batch, length_i, width_i)} of those
branches that return tokens. A token of zeros is padding.

    >>> @fusion(units=())
    ... def scaled_sum(features, present, *, scale: Annotated[float, Field(gt=0)] = 1.0):
    ...     return scale * sum(masked(features, present).values())
    >>> section = fusions["scaled_sum"].section(method="scaled_sum", scale=2)
    >>> section.scale, section.units, section.reads_tokens
    (2.0, (), False)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, overload

from pydantic import Field, create_model

from mmtrain.branches.base import Activation, Rate, Units, Width
from mmtrain.registry import OneOf, Registry, Section, options_of, section_for
from mmtrain.specs import Tensor, layer_names

Features: TypeAlias = dict[str, Tensor]
CommonWidth = Annotated[Width, Field(description="The width to which the features of all branches are brought first.")]


class FusionSection(Section):
    """Options of every fusion: its method, and the dense layers behind it."""

    method: str = Field(description="How branches are joined.")
    trial: tuple[str, ...] = Field(
        (),
        description="Other methods, each of which is trained for 3 epochs before the training, as `method` is; one whose loss on "
        "validation rows is lower beyond noise takes its place. `fusion: auto` tries several against concatenate.",
    )
    units: Units = Field((64,), description="Widths of the dense layers after the fusion; [] for none.")
    activation: Activation = Field("relu", description="After each of those dense layers.")
    dropout: Rate = Field(0.0, description="After the fusion and after each of those dense layers.")
    modality_dropout: Rate = Field(
        0.0,
        description="Probability with which a branch is left out of a row during training, so that the others learn to do without it. "
        "One branch always stays.",
    )
    absent: Literal["zeros", "learned"] = Field(
        "zeros",
        description="Features of a branch without a value. zeros: the neutral element of the method; learned: a vector that is trained.",
    )
    auxiliary: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Weight of auxiliary losses in training: each branch also predicts alone, by a linear head of its own, and the mean of "
        "the losses of the branches, times this weight, is added to that of the fusion. After training, a branch that is better than the "
        "fusion on validation rows beyond noise answers in its place. 0: none.",
    )

    balance: Literal["none", "ogm", "ogm_ge"] = Field(
        "none",
        description="Slow down branches whose own head is more confident than those of the others, so that the others learn as well "
        "(arXiv:2203.15332); needs `auxiliary`. ogm: by the ratio of confidences; ogm_ge: with noise on the gradients, too.",
    )
    balance_strength: float = Field(0.3, gt=0, le=10, description="How much `balance` slows them down: 1 - tanh(strength * ratio).")

    @property
    def reads_tokens(self) -> bool:
        """True if the method attends to the tokens of branches."""
        return fusions[self.method].reads_tokens

    def build(self, features: Features, present: Features, tokens: Features | None = None) -> Tensor:
        """Call the method's function, then the dense layers: (batch, width)."""
        import keras

        features, present, tokens = self._prepared(features, present, tokens or {})
        given = (features, present, tokens) if self.reads_tokens else (features, present)
        vector = fusions[self.method].build(*given, **options_of(self, FusionSection))
        if self.dropout:
            vector = keras.layers.Dropout(self.dropout)(vector)
        for width in self.units:
            vector = keras.layers.Dense(width, activation=self.activation)(vector)
            if self.dropout:
                vector = keras.layers.Dropout(self.dropout)(vector)
        return vector

    def _prepared(self, features: Features, present: Features, tokens: Features) -> tuple[Features, Features, Features]:
        """Return the same with branches left out at random in training, and learned vectors in place of absent features."""
        from mmtrain.layers.fusion import LearnedAbsence, ModalityDropout

        if self.modality_dropout and len(features) > 1:
            present = dict(zip(present, ModalityDropout(rate=self.modality_dropout)(list(present.values())), strict=True))
        if self.absent == "learned":
            tokens = masked(tokens, present)  # the learned vector stands for the branch, its tokens stay padding
            filled = {name: LearnedAbsence()(feature, present[name]) for name, feature in features.items()}
            # Now every branch counts as present: its vector is learned where it has no value.
            features, present = ({name: pair[place] for name, pair in filled.items()} for place in (0, 1))
        return features, present, tokens


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


Function = TypeVar("Function", bound=Callable[..., Tensor])


@overload
def fusion(function: Function) -> Function: ...


@overload
def fusion(*, units: Units) -> Callable[[Function], Function]: ...


def fusion(function: Any = None, *, units: Units | None = None) -> Any:
    """Register a function as `method: <its name>`, as `@fusion` or `@fusion(units=())`.

    `units` is its default for the dense layers behind it. Raises TypeError for an option without type or default.
    """

    def register(build: Callable[..., Tensor]) -> Callable[..., Tensor]:
        base = FusionSection
        if units is not None:
            described = Field(units, description=FusionSection.model_fields["units"].description)
            base = create_model("FusionSection", __base__=FusionSection, units=(Units, described))
        fusions.add(build.__name__, Fusion(build, section_for(build.__name__, build, base)))
        return build

    return register if function is None else register(function)


AnyFusion = Annotated[FusionSection, OneOf("method", lambda: {name: entry.section for name, entry in fusions.items()})]


def masked(features: Features, present: Features, fill: float = 0.0) -> Features:
    """Return every feature with `fill` in the rows where it is absent."""
    from mmtrain.layers.fusion import Mask

    return {name: Mask(fill=fill)(feature, present[name]) for name, feature in features.items()}


def same_width(features: Features, width: int, bias: str = "zeros") -> Features:
    """Return every feature as (batch, width), through a dense layer of its own, whose biases are initialized as `bias`."""
    import keras

    names = layer_names(features, "align_")
    return {name: keras.layers.Dense(width, bias_initializer=bias, name=names[name])(feature) for name, feature in features.items()}


def merged(layer: Any, features: Features) -> Tensor:
    """Return the features merged by a layer that takes a list of two or more; a single one as it is."""
    tensors = list(features.values())
    return layer(tensors) if len(tensors) > 1 else tensors[0]
