"""Budget of wall time, `training.minutes`: the number of epochs that fit into it, decided once and written into the run.

The speed of steps, validation and checkpoints is measured on a network that is thrown away. The number of epochs that follows takes the
place of `training.epochs`, so that the learning rate runs its whole schedule, and a training that is resumed does the same as one that was
never stopped. A machine that becomes slower meanwhile is met by a rule that ends the training early; the best epoch is kept as always.
A resumed run has the minutes anew, from the start of its command: those of a killed process are not known.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.artifacts.run_schema.run_facts import TimePlan
from mmtrain.config import Experiment
from mmtrain.config.sections.training import Training
from mmtrain.pipeline.build import EncodedTable, assemble_training
from mmtrain.pipeline.train_run import StopRule
from mmtrain.reports.training import describe_time_plan
from mmtrain.training.listeners.events import EpochEnded, Event

if TYPE_CHECKING:
    from mmtrain.training.auto_settings.autotune import TuningResult
    from mmtrain.training.epoch_speed import StageSpeed
    from mmtrain.training.training_data import TrainingData

PLANNED_SHARE = 0.98
"""Share of the remaining time that epochs are planned for: measured speeds are off by some per cent."""
TOLERANCE = 0.05
"""Share of the minutes by which a training may exceed them before it is ended early."""
REPORT_SECONDS = 6.0
"""Seconds reserved for the report and its plots, which take 3 to 6 s."""
SAVING_SECONDS = 1.5
"""Seconds reserved per training for its model, its postprocessing and its predictions."""


@dataclass(frozen=True)
class TimeBudget:
    """The minutes of a `fit`, from its start on, for one training or for several that share them."""

    minutes: float
    start: float
    """Start of the command, in seconds since 1970."""

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.start + 60 * self.minutes - time.time()

    def rule_of_next(self, trainings: int) -> StopRule:
        """Return the rule for the next of `trainings` that are left: each has an equal share of the time until the report."""
        seconds = (self.left - REPORT_SECONDS) / trainings
        return TimeBudget(seconds / 60, time.time()).stop_rule(reserve=SAVING_SECONDS)

    def stop_rule(self, reserve: float = REPORT_SECONDS + SAVING_SECONDS) -> StopRule:
        """Return a rule that ends a training before an epoch that would exceed the minutes, with `reserve` seconds for what follows."""
        end = self.start + 60 * self.minutes * (1 + TOLERANCE) - reserve

        def reason(event: Event) -> str:
            # The first epoch compiles, so that its duration says nothing about the second one.
            following = event.seconds if isinstance(event, EpochEnded) and event.epoch > 1 else 0.0
            return "another epoch would exceed the minutes" if isinstance(event, EpochEnded) and time.time() + following > end else ""

        return reason


def fit_into_budget(
    table: EncodedTable, budget: TimeBudget, say: Callable[[str], None], *, trainings: int = 1
) -> tuple[Experiment, TimePlan]:
    """Return the experiment of `table` with the number of epochs that fits into the budget, at most its own, and the plan.

    Args:
        table: The table of the training, or of the first of several; no setting of its experiment is `auto`.
        budget: The time that is left for all of them.
        say: Takes the plan in a sentence.
        trainings: Number of trainings.

    """
    from mmtrain.training.device import forget_networks

    begun = time.perf_counter()
    _, data, _ = assemble_training(table, lambda _: None)
    # Building a network takes as long for the training itself.
    building = time.perf_counter() - begun
    speeds, epochs = _measure(data)
    forget_networks()
    fixed = building + sum(one.compilation for one in speeds) + SAVING_SECONDS
    seconds = PLANNED_SHARE * (budget.left - REPORT_SECONDS) / trainings - fixed
    training, plan = plan_epochs(table.experiment.training, epochs, seconds, budget.minutes)
    plan = plan.model_copy(update={"trainings": trainings})
    say(describe_time_plan(plan))
    return table.experiment.model_copy(update={"training": training}), plan


def assemble_within(
    table: EncodedTable, budget: TimeBudget, say: Callable[[str], None]
) -> tuple[Experiment, TrainingData, TuningResult, TimePlan]:
    """Do what `assemble_training` does, with the number of epochs that fits into the budget, and return the plan, too."""
    # The settings decide on the speed, so they are chosen first.
    experiment, _, tuning = assemble_training(table, say)
    experiment, plan = fit_into_budget(replace(table, experiment=experiment), budget, say)
    experiment, data, _ = assemble_training(replace(table, experiment=experiment), lambda _: None)
    return experiment, data, tuning, plan


def plan_epochs(training: Training, epochs: list[float], seconds: float, minutes: float) -> tuple[Training, TimePlan]:
    """Return the section with as many epochs as fit into `seconds`, at least one of each stage, and the plan.

    Args:
        training: The section with the maximum number of epochs.
        epochs: Seconds of an epoch of each stage.
        seconds: Time for all epochs.
        minutes: The minutes that the experiment gives.

    >>> from mmtrain.config.sections.training import Stage, Training
    >>> training = Training.model_construct(epochs=30, stages=())
    >>> plan_epochs(training, [2.0], 35.0, minutes=1)[0].epochs
    17
    >>> training = Training.model_construct(epochs=30, stages=(Stage(epochs=24), Stage(epochs=6)))
    >>> [stage.epochs for stage in plan_epochs(training, [1.0, 6.0], 30.0, minutes=1)[0].stages]
    [12, 3]
    """
    counts = [stage.epochs for stage in training.stages] or [training.epochs]
    whole = sum(count * one for count, one in zip(counts, epochs, strict=True))
    # One factor for all stages: each keeps its share of the training.
    factor = min(1.0, max(0.0, seconds) / whole) if whole else 1.0
    fitting = [max(1, math.floor(count * factor + 1e-9)) for count in counts]
    stages = tuple(stage.model_copy(update={"epochs": count}) for stage, count in zip(training.stages, fitting, strict=False))
    plan = TimePlan(minutes=minutes, epochs=sum(fitting), most_epochs=training.epochs, seconds_per_epoch=round(whole / training.epochs, 3))
    # Without the minutes: a run that is repeated has the same epochs, on another machine, too.
    return training.with_settings(epochs=sum(fitting), stages=stages, minutes=None), plan


def _measure(data: TrainingData) -> tuple[list[StageSpeed], list[float]]:
    """Return the speed of each stage, and the seconds of an epoch of each with its validation and its checkpoints."""
    from mmtrain.training.epoch_speed import SHORT_EPOCH, measure_checkpoint, measure_stages, rehearse_epochs
    from mmtrain.training.step import TrainStep

    steps = TrainStep(data.training, data.columns, data.fitted, data.models)
    with tempfile.TemporaryDirectory(prefix="mmtrain-") as folder:
        speeds = measure_stages(data, steps)
        checkpoint = measure_checkpoint(data, steps, Path(folder) / "checkpoints")
        epochs = [one.epoch + checkpoint for one in speeds]
        if len(epochs) == 1 and epochs[0] < SHORT_EPOCH and (rehearsed := rehearse_epochs(data, steps, Path(folder) / "rehearsal")):
            epochs = [rehearsed]
    return speeds, epochs


def untried(table: EncodedTable) -> EncodedTable:
    """Return the table with an experiment without open settings and without a trial of fusions, whose speed stands for all trainings."""
    experiment = table.experiment.untried()
    fusion = experiment.fusion.model_copy(update={"trial": ()})
    return replace(table, experiment=experiment.model_copy(update={"fusion": fusion}))
