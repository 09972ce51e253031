"""The optimizer of a training, with learning rates per parameter group where a stage has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmtrain.config.training import Training


def optimizer_for(training: Training) -> Any:
    """Return the Keras optimizer; its rate is set before every step. In float16 the loss is scaled, so that gradients survive."""
    import keras

    grouped = any(isinstance(stage.learning_rate, dict) for stage in training.stages)
    optimizer = training.optimizer.build(
        {
            "learning_rate": training.learning_rate,
            "global_clipnorm": training.clip_norm,
            "clipvalue": training.clip_value,
            "gradient_accumulation_steps": training.accumulate if training.accumulate > 1 else None,
            "use_ema": training.weight_average is not None,
            "ema_momentum": training.weight_average or 0.99,
            "weight_decay": training.weight_decay or None,
        }
    )
    if grouped:
        optimizer.__class__ = type(f"Grouped{type(optimizer).__name__}", (_GroupRates, type(optimizer)), {})
    return keras.optimizers.LossScaleOptimizer(optimizer) if training.precision == "float16" else optimizer


def set_factors(optimizer: Any, factors: Iterable[tuple[Any, float]]) -> None:
    """Multiply the learning rate of these variables by their factors from the next compiled step on; that of others by 1."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if hasattr(inner, "rate_factors"):
        inner.rate_factors = {inner._var_key(variable): factor for variable, factor in factors}


class _GroupRates:
    """Mixed into a Keras optimizer: a factor on the learning rate of single variables, in their update and in their weight decay.

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
