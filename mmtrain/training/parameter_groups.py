"""Named groups of weights: those that a stage of the training updates, and their learning rates.

A group is a layer of the network with everything inside it, `branches.scan`, `fusion` or `targets.diagnosis`, or one that a branch
names inside itself, `branches.scan.head`. A name also stands for all groups below it: `branches` for every branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmtrain.config.training import groups_below


class ParameterGroups:
    """The groups of one network. Weights that the network's own layers hold fixed stay fixed in every stage."""

    def __init__(self, layers: Mapping[str, Sequence[Any]]) -> None:
        self.layers = layers
        self._inside = {group: _with_sublayers(own) for group, own in layers.items()}
        self._own_flags = {id(inner): inner.trainable for inside in self._inside.values() for inner in inside}
        self._frozen = False

    def train_only(self, groups: Iterable[str] | None) -> None:
        """Freeze every group but these; None trains all. A frozen normalization uses its moving statistics, as Keras defines it."""
        if self._frozen:
            self._thaw(self.layers)
        self._frozen = groups is not None
        if groups is None:
            return
        trained = groups_below(groups, self.layers)
        for group, own in self.layers.items():
            if group not in trained:
                for layer in own:
                    layer.trainable = False
        # Freezing a branch has frozen the groups inside it as well.
        self._thaw([group for group in self.layers if group in trained])

    def _thaw(self, groups: Iterable[str]) -> None:
        for group in groups:
            for inner in self._inside[group]:  # outer layers first: they set what is inside them
                inner.trainable = self._own_flags[id(inner)]

    def factors(self, rates: Mapping[str, float], base: float) -> list[tuple[Any, float]]:
        """Return each variable whose rate is not `base`, with its rate as a multiple of `base`.

        Of several names that mean a variable, the most specific one counts.
        """
        by_group = groups_below(rates, self.layers)
        found: dict[int, tuple[Any, float]] = {}
        for group in sorted(self.layers, key=lambda group: group.count(".")):
            if group in by_group:
                variables = [variable for layer in self.layers[group] for variable in layer.variables if variable.trainable]
                found |= {id(variable): (variable, rates[by_group[group]] / base) for variable in variables}
        return [(variable, factor) for variable, factor in found.values() if factor != 1]


def _with_sublayers(layers: Sequence[Any]) -> list[Any]:
    """Return the layers and all that are inside them, outer layers first."""
    return [inner for layer in layers for inner in layer._flatten_layers(include_self=True)]
