"""Named groups of weights, and an optimizer that updates only those of a stage, each at its own learning rate.

A group is a layer of the network with everything inside it, `branches.scan`, `fusion` or `targets.diagnosis`, or one that a branch
names inside itself, `branches.scan.head`. A name also stands for all groups below it: `branches` for every branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmtrain.config.sections.training import Training, groups_below


class ParameterGroups:
    """The groups of one network. Weights that the network's own layers hold fixed stay fixed in every stage."""

    def __init__(self, layers: Mapping[str, Sequence[Any]], depths: Mapping[int, int] | None = None) -> None:
        """Take the layers of every group, and the `depths` of weights in encoders as `Models` has them."""
        self.layers, self._depths = layers, depths or {}
        self._inside = {group: _with_sublayers(members) for group, members in layers.items()}
        # What layers said before any stage: a user's branch may hold layers fixed for good.
        self._own_flags = {id(inner): inner.trainable for inside in self._inside.values() for inner in inside}
        # A layer with an adapter is trainable, and its kernel is not.
        flags = {id(one): (one, one.trainable) for inside in self._inside.values() for inner in inside for one in inner.variables}
        self._fixed = [variable for variable, trainable in flags.values() if not trainable]
        self._frozen = False

    def train_only(self, groups: Iterable[str] | None) -> None:
        """Freeze every group but these; None trains all. A frozen normalization uses its moving statistics, as Keras defines it."""
        # From a clean state: the next stage may train what the last one froze.
        if self._frozen:
            self._thaw(self.layers)
        self._frozen = groups is not None
        if groups is None:
            return
        trained = groups_below(groups, self.layers)
        for group, members in self.layers.items():
            if group not in trained:
                for layer in members:
                    layer.trainable = False
        # Freezing a branch has frozen the groups inside it as well.
        self._thaw([group for group in self.layers if group in trained])

    def _thaw(self, groups: Iterable[str]) -> None:
        for group in groups:
            for inner in self._inside[group]:  # outer layers first: they set what is inside them
                inner.trainable = self._own_flags[id(inner)]
        for variable in self._fixed:
            variable.trainable = False

    def factors(self, rates: Mapping[str, float], base: float, layer_decay: float = 1.0) -> list[tuple[Any, float]]:
        """Return each variable whose rate is not `base`, with its rate as a multiple of `base`.

        Of several names that mean a variable, the most specific one counts. Rates are multiplied by `layer_decay` for every block of a
        pretrained encoder that is behind the variable.
        """
        by_group = groups_below(rates, self.layers)
        factors: dict[int, tuple[Any, float]] = {}
        # Outer groups first, so that the rate of `branches.scan.head` overwrites that of `branches.scan`.
        for group in sorted(self.layers, key=lambda group: group.count(".")):
            if group in by_group:
                variables = [variable for layer in self.layers[group] for variable in layer.variables if variable.trainable]
                factors |= {id(variable): (variable, rates[by_group[group]] / base) for variable in variables}
        if layer_decay != 1:
            for variable in self._encoder_variables():
                _, factor = factors.get(id(variable), (variable, 1.0))
                factors[id(variable)] = variable, factor * layer_decay ** self._depths[id(variable)]
        return [(variable, factor) for variable, factor in factors.values() if factor != 1]

    def _encoder_variables(self) -> list[Any]:
        """Return the trained variables of pretrained encoders, each once."""
        trained = {id(one): one for layers in self.layers.values() for layer in layers for one in layer.trainable_variables}
        return [variable for key, variable in trained.items() if key in self._depths]


def _with_sublayers(layers: Sequence[Any]) -> list[Any]:
    """Return the layers and all that are inside them, outer layers first."""
    return [inner for layer in layers for inner in layer._flatten_layers(include_self=True)]


def optimizer_for(training: Training) -> Any:
    """Return the Keras optimizer; its rate is set before every step. In float16 the loss is scaled, so that gradients survive."""
    import keras

    grouped = any(isinstance(stage.learning_rate, dict) or stage.layer_decay != 1 for stage in training.stages)
    optimizer = training.optimizer.build(
        {
            "learning_rate": training.learning_rate,
            "global_clipnorm": training.clip_norm,
            "clipvalue": training.clip_value,
            "gradient_accumulation_steps": training.accumulate if training.accumulate > 1 else None,
            "use_ema": training.weight_average is not None,
            # Without an average the momentum is not used; 0.99 is Keras's default.
            "ema_momentum": training.weight_average or 0.99,
            "weight_decay": training.weight_decay or None,
        }
    )
    if grouped:
        # Any registered optimizer can have rates by group: the mix-in becomes a parent of its class at run time.
        optimizer.__class__ = type(f"Grouped{type(optimizer).__name__}", (_GroupRates, type(optimizer)), {})
    # Below 6e-8, the smallest number of float16, gradients would become 0.
    return keras.optimizers.LossScaleOptimizer(optimizer) if training.precision == "float16" else optimizer


def set_factors(optimizer: Any, factors: Iterable[tuple[Any, float]]) -> None:
    """Multiply the learning rate of these variables by their factors from the next compiled step on; that of others by 1."""
    # The LossScaleOptimizer of float16 keeps the real one inside.
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(inner, "rate_factors"):
        inner.rate_factors = {inner._var_key(variable): factor for variable, factor in factors}


class _GroupRates:
    """Mix-in of a Keras optimizer: a factor on the learning rate of single variables, in their update and in their weight decay.

    Factors are constants of the compiled step: it is compiled anew when they change, which is once per stage.
    """

    rate_factors: dict[str, float] = {}  # noqa: RUF012  # replaced as a whole, never changed

    def update_step(self: Any, gradient: Any, variable: Any, learning_rate: Any) -> None:
        factor = self.rate_factors.get(self._var_key(variable), 1.0)
        super().update_step(gradient, variable, learning_rate if factor == 1 else learning_rate * factor)  # type: ignore[misc]

    def _apply_weight_decay(self: Any, variables: Any) -> None:
        # Keras multiplies the decay by the rate of the optimizer, which is not that of the group.
        decay = self.weight_decay
        for variable in variables if decay is not None else ():
            self.weight_decay = decay * self.rate_factors.get(self._var_key(variable), 1.0)
            super()._apply_weight_decay([variable])  # type: ignore[misc]
        self.weight_decay = decay
