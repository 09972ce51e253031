"""Members of an ensemble as rows: branches with members next to branches without, heads of members, and the mean of their predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from mmtrain.errors import Problem, UsageError, listed
from mmtrain.fusions.base import masked
from mmtrain.layers.numbers.prediction_scales import Exponential, QuantileInverse
from mmtrain.layers.stacks import TakePlaces
from mmtrain.layers.tabular.members import FoldMembers, MemberMean, UnfoldMembers
from mmtrain.targets import FittedTarget


@dataclass(frozen=True)
class Base:
    """The place of a target's raw values by a linear model, among the last `width` values of the vector."""

    first: int
    width: int


@dataclass(frozen=True)
class Ensemble:
    """Members inside the network, such as those of `tabm`, as rows of fusion and heads: these know nothing of them.

    Every member reads the same features of a branch without members.
    """

    members: int
    branches: frozenset[str] = frozenset()
    """Branches whose features have an axis of members, (batch, members, width)."""

    @classmethod
    def of(cls, members: Mapping[str, int]) -> Ensemble:
        """Return the ensemble of these branches. Raises UsageError for branches with different numbers of members."""
        # 0 members: an ordinary branch, whose features all members share.
        counts = {key: count for key, count in members.items() if count}
        if len(set(counts.values())) > 1:
            what = f"branches have different numbers of members: {listed([f'{key} {count}' for key, count in counts.items()])}."
            raise UsageError(Problem("branches", what, "Give them the same number, or build one of them without members."))
        return cls(next(iter(counts.values()), 0), frozenset(counts))

    def fold(self, features: Mapping[str, Any]) -> dict[str, Any]:
        """Return the features of every branch with members as rows, (batch * members, ...)."""
        if not self.members:
            return dict(features)
        return {key: FoldMembers(members=self.members, shared=key not in self.branches)(tensor) for key, tensor in features.items()}

    def fold_shared(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return presence or tokens, which members share, (batch * members, ...)."""
        return {key: FoldMembers(members=self.members, shared=True)(tensor) if self.members else tensor for key, tensor in tensors.items()}

    def unfold(self, vector: Any) -> Any:
        """Return (batch, members, width) of (batch * members, width)."""
        # Of the tensor's own type: in mixed precision, raw values stay float32.
        return UnfoldMembers(members=self.members, dtype=vector.dtype)(vector) if self.members else vector

    def head(self, target: FittedTarget, vector: Any, name: str, base: Base | None = None) -> Any:
        """Return the raw values of a target, with members (batch, members, raw_units), through one layer or model with this name.

        With a `base`, they are the sum of its values and of those of the head on the rest of the vector.
        """
        if not self.members and base is None:
            return target.head(vector, name)
        given = keras.Input(vector.shape[1:], dtype=vector.dtype)
        rows = FoldMembers(members=self.members, shared=False)(given) if self.members else given
        raw = target.head(rows, "head") if base is None else _on_base(target, rows, base)
        return keras.Model(given, self.unfold(raw), name=name)(vector)

    def branch_head(self, branch: str, target: FittedTarget, vector: Any, present: Any, name: str) -> Any:
        """Return the raw values of a target by one branch alone, through one model of its vector and presence with this name."""
        given, shown = keras.Input(vector.shape[1:], dtype=vector.dtype), keras.Input((1,), dtype=present.dtype)
        feature = masked({branch: given}, {branch: shown})[branch]  # an absent feature may be NaN, which a loss weight of 0 would keep
        # `Ensemble(0)` gives (batch, units), as a branch without members has one answer only.
        of_branch = self if branch in self.branches else Ensemble(0)
        return keras.Model([given, shown], of_branch.head(target, feature, "head"), name=name)([vector, present])

    @staticmethod
    def mean(activation: Any, name: str) -> Any:
        """Return the layer from the members' raw values to that of their mean prediction; of an unknown activation, to their mean."""
        # MemberMean inverts sigmoid, softmax and these two, to return the raw value of the mean prediction.
        own = getattr(activation, "mean_of_members", None)
        if own is not None:
            return own(name)
        link: Any
        for link, transform in (("exponential", Exponential), ("line", QuantileInverse)):
            if isinstance(activation, transform):
                return MemberMean(link=link, numbers=activation.settings, dtype="float32", name=name)
        function: Any = activation.get_config()["activation"] if isinstance(activation, keras.layers.Activation) else ""
        return MemberMean(link=function if function in ("sigmoid", "softmax") else "linear", dtype="float32", name=name)


def _on_base(target: FittedTarget, vector: Any, base: Base) -> Any:
    """Return the head on all of the vector but its last values, plus those of them that are the target's."""
    width = vector.shape[-1] - base.width
    raw = target.head(TakePlaces(places=range(width))(vector), "head")
    places = range(width + base.first, width + base.first + target.raw_units)
    return keras.layers.Add(dtype="float32")([raw, TakePlaces(places=places)(vector)])
