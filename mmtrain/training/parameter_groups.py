"""Named groups of weights, and which of them a stage of the training updates, and how fast.

A group is a layer of the network with everything inside it: `branches.scan`, `fusion`, `targets.diagnosis`. A name also stands for
all groups below it: `branches` for every branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mmtrain.config import Experiment
from mmtrain.config.parameter_groups import group_names, groups_below
from mmtrain.model.assemble import NetworkLayerNames


class ParameterGroups:
    """The groups of one network. Weights that the network's own layers hold fixed stay fixed in every stage."""

    def __init__(self, core: Any, experiment: Experiment, names: NetworkLayerNames) -> None:
        layers = {f"branches.{key}": name for key, name in names.branches.items()}
        layers |= {"fusion": names.fusion} | {f"targets.{key}": name for key, name in names.heads.items()}
        self.layers = {group: core.get_layer(layers[group]) for group in group_names(experiment.branches, experiment.targets)}
        self._inside = [inner for layer in self.layers.values() for inner in layer._flatten_layers(include_self=True)]
        self._own_flags = [inner.trainable for inner in self._inside]
        self._frozen = False

    def train_only(self, groups: Iterable[str] | None) -> None:
        """Freeze every group but these; None trains all. A frozen normalization uses its moving statistics, as Keras defines it."""
        if self._frozen:
            for inner, flag in zip(self._inside, self._own_flags, strict=True):  # outer layers first: they set what is inside them
                inner.trainable = flag
        self._frozen = groups is not None
        if groups is None:
            return
        trained = groups_below(groups, self.layers)
        for group, layer in self.layers.items():
            if group not in trained:
                layer.trainable = False

    def factors(self, rates: Mapping[str, float], base: float) -> list[tuple[Any, float]]:
        """Return each trainable variable whose rate is not `base`, with its rate as a multiple of `base`.

        Of several names that mean a variable, the most specific one counts.
        """
        found: dict[str, float] = {}
        for name in sorted(rates, key=lambda name: name.count(".")):
            found |= dict.fromkeys(groups_below([name], self.layers), rates[name] / base)
        return [(variable, factor) for group, factor in found.items() if factor != 1 for variable in self.layers[group].trainable_variables]
