"""The contracts of an optimizer, of a learning-rate schedule and of a loss, and their registries.

An optimizer is a function `(settings, *, options) -> keras.optimizers.Optimizer`; it passes `settings` on to Keras unchanged. A
schedule is a pure function `(position, *, options) -> float`, the factor on the learning rate at a position of the training. A loss
is a TensorFlow function `(target, truth, raw, *, options) -> (batch,)` of the fitted target, the encoded answers (batch, ...) and the raw
output (batch, units), and names the tasks it is for. The keyword-only parameters of each are its options in the file:

    >>> @schedule
    ... def linear_decay(position, *, final: Annotated[float, Field(ge=0, le=1)] = 0.0):
    ...     return 1 - (1 - final) * position.progress
    >>> section = schedules["linear_decay"].section(method="linear_decay", final=0.5)
    >>> section.factor_at(SchedulePosition(epoch=2.5, epochs=5))
    0.75

    @loss("regression")
    def log_cosh(target, truth, raw) -> tf.Tensor:
        distance = target.standardized(truth) - tf.reshape(raw, (-1,))
        return tf.math.log(tf.cosh(distance))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from mmtrain.registry import OneOf, Registry, Section, options_of, section_for


class OptimizerSection(Section):
    """Options of every optimizer."""

    method: str = Field(description="Name of the optimizer.")

    def build(self, settings: Mapping[str, Any]) -> Any:
        """Return the Keras optimizer with these `settings`: arguments that every Keras optimizer takes."""
        return optimizers[self.method].build(settings, **options_of(self, OptimizerSection))


@dataclass(frozen=True)
class SchedulePosition:
    """The position of a training, in epochs since the warm-up."""

    epoch: float
    """0 at the end of the warm-up; 2.5 is the middle of the third epoch after it."""
    epochs: float
    """Epochs from the end of the warm-up to the end of the stage."""
    improved: tuple[bool, ...] = ()
    """For each finished epoch of the stage, warm-up included, whether the monitored score improved."""

    @property
    def progress(self) -> float:
        """Share of the stage that is done, 0 to 1."""
        # A warm-up as long as the stage leaves 0 epochs.
        return min(1.0, self.epoch / max(1e-9, self.epochs))


class ScheduleSection(Section):
    """Options of every schedule: the learning rate is `learning_rate` times a factor."""

    method: str = Field(description="How the rate changes.")
    warmup_epochs: float = Field(0.0, ge=0, description="The rate rises from 0 in a straight line over these epochs.")

    def factor_at(self, position: SchedulePosition) -> float:
        """Return the factor on the learning rate, without the warm-up."""
        return float(schedules[self.method].build(position, **options_of(self, ScheduleSection)))


@dataclass(frozen=True)
class Optimizer:
    """A registered optimizer function."""

    build: Callable[..., Any]
    section: type[OptimizerSection]


@dataclass(frozen=True)
class Schedule:
    """A registered schedule function."""

    build: Callable[..., float]
    section: type[ScheduleSection]


class LossSection(Section):
    """Section `loss` of a target: replaces the loss of its task."""

    method: str = Field(description="Name of the loss.")


@dataclass(frozen=True)
class Loss:
    """A registered loss function and the tasks it is for."""

    build: Callable[..., Any]
    section: type[LossSection]
    tasks: tuple[str, ...]


optimizers: Registry[Optimizer] = Registry("optimizer")
schedules: Registry[Schedule] = Registry("schedule")
losses: Registry[Loss] = Registry("loss")


def optimizer(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function as `optimizer: <its name>`. Raises TypeError for an option without type or default."""
    optimizers.add(function.__name__, Optimizer(function, section_for(function.__name__, function, OptimizerSection)))
    return function


def schedule(function: Callable[..., float]) -> Callable[..., float]:
    """Register a function as `schedule: <its name>`. Raises TypeError for an option without type or default."""
    schedules.add(function.__name__, Schedule(function, section_for(function.__name__, function, ScheduleSection)))
    return function


def loss(*tasks: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as `loss: <its name>` of targets with these tasks. Raises TypeError for an option without type or default."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        losses.add(function.__name__, Loss(function, section_for(function.__name__, function, LossSection), tasks))
        return function

    return register


AnyOptimizer = Annotated[OptimizerSection, OneOf("method", lambda: {name: entry.section for name, entry in optimizers.items()})]
AnySchedule = Annotated[ScheduleSection, OneOf("method", lambda: {name: entry.section for name, entry in schedules.items()})]
AnyLoss = Annotated[LossSection, OneOf("method", lambda: {name: entry.section for name, entry in losses.items()})]
