"""Measured speed of a training on this device: seconds of a step, of a validation and of a checkpoint, for each stage.

A few steps are taken with a learning rate of 0, and of short epochs a few whole ones are trained. Both change the state of the optimizer
and of normalizations, so the network that is measured is thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from statistics import median

from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import RunError
from mmtrain.training.listeners.events import EpochEnded, Event
from mmtrain.training.signals import GracefulShutdown
from mmtrain.training.step import TrainStep
from mmtrain.training.training_data import TrainingData

TIMED_CALLS = 8
"""Smallest number of calls of the compiled step; the first one of each number of rows compiles and is not timed."""
TIMED_VALIDATION_BATCHES = 8
"""Number of batches of the validation part that are timed."""
REPETITIONS, ENOUGH_SECONDS = 4, 2.0
"""Number of times that a validation and a checkpoint are timed, of which the fastest counts, and the time after which no more are."""
CHECKPOINTS = 1.5
"""Checkpoints of an epoch: `last` always, and `best` in about half of the epochs."""
SHORT_EPOCH = 1.0
"""Seconds of an epoch up to which some are trained: single steps, timed one by one, made such epochs up to 1.6 times too long."""
REHEARSAL_SECONDS = 2.5
"""Seconds of epochs after which a rehearsal ends."""


@dataclass(frozen=True)
class StageSpeed:
    """Speed of one stage of a training."""

    epochs: int
    """Epochs of the stage."""
    steps: int
    """Steps of an epoch."""
    step: float
    """Seconds of a step."""
    validation: float
    """Seconds of predicting and scoring the validation part."""
    compilation: float
    """Seconds of the first calls, beyond those of later ones; a training pays them once."""

    @property
    def epoch(self) -> float:
        """Seconds of an epoch with its validation, without checkpoints."""
        return self.steps * self.step + self.validation


def measure_stages(data: TrainingData, steps: TrainStep) -> list[StageSpeed]:
    """Measure every stage; without encoders that a stage tunes, all stages have the speed of the first.

    Args:
        data: Rows and network; the network is of no use afterwards.
        steps: Steps of this network.

    """
    speeds: list[StageSpeed] = []
    for number, stage in enumerate(steps.stages.stages):
        if number and steps.whole.tuned:
            steps.enter_stage(number)
        if not number or steps.whole.tuned:
            speeds.append(_measure(data, steps, stage.epochs))
        else:
            speeds.append(StageSpeed(stage.epochs, speeds[0].steps, speeds[0].step, speeds[0].validation, compilation=0.0))
    return speeds


def measure_checkpoint(data: TrainingData, steps: TrainStep, folder: Path) -> float:
    """Measure the seconds in which an epoch writes its checkpoints, by writing one into an empty `folder`."""
    from mmtrain.training import checkpoints

    position = checkpoints.Position()
    return CHECKPOINTS * min(_durations(lambda: checkpoints.save(folder, "last", data.models.stored, steps.optimizer, position)))


def rehearse_epochs(data: TrainingData, steps: TrainStep, folder: Path) -> float | None:
    """Measure the seconds of an epoch with its validation and its checkpoints by training some in an empty `folder`.

    None if there are fewer than two: the first one may still compile. The network is of no use afterwards.
    """
    from mmtrain.training.loop import train

    seconds: list[float] = []
    interruption = GracefulShutdown()

    def listen(event: Event) -> None:
        if isinstance(event, EpochEnded):
            seconds.append(event.seconds)
            if sum(seconds[1:]) > REHEARSAL_SECONDS:
                interruption.after_epoch = "measured"

    with suppress(RunError):  # a loss that is not finite is reported by the training itself, which has a run
        train(replace(data, steps=steps), Run(folder), listen, interruption=interruption)
    return median(seconds[1:]) if len(seconds) > 1 else None


def _measure(data: TrainingData, steps: TrainStep, epochs: int) -> StageSpeed:
    needed_rows = TIMED_CALLS * steps.batch_size * steps.steps_per_call
    batches = steps.batches(data.arrays, data.partition.train[:needed_rows])
    taken: list[tuple[int, int]] = []
    seconds: dict[int, list[float]] = {}
    # By their number of rows: the first call of each compiles, as the only call of several steps in a short epoch and its last batch do.
    for number in count(1):
        for batch in batches.epoch(number):
            begun = time.perf_counter()
            steps.train(batch, [0.0] * batch.steps)["loss"].numpy()  # `numpy` waits for the device; a learning rate of 0 changes no weight
            seconds.setdefault(len(batch.rows), []).append(time.perf_counter() - begun)
            if number == 1:
                taken.append((len(batch.rows), batch.steps))
        if min(map(len, seconds.values())) > 1 and sum(map(len, seconds.values())) >= TIMED_CALLS:
            break
    # The median forgives a call that was disturbed.
    usual = {rows: median(times[1:]) for rows, times in seconds.items()}
    step = sum(usual[rows] for rows, _ in taken) / sum(steps_taken for _, steps_taken in taken)
    compilation = sum(max(0.0, times[0] - usual[rows]) for rows, times in seconds.items())
    validation, compilation_of_validation = _measure_validation(data, steps)
    steps_of_epoch = len(steps.batches(data.arrays, data.partition.train))
    return StageSpeed(epochs, steps_of_epoch, step, validation, compilation + compilation_of_validation)


def _measure_validation(data: TrainingData, steps: TrainStep) -> tuple[float, float]:
    """Measure the seconds of predicting and scoring the validation part, and those that its first time takes in addition."""
    from mmtrain.model.model_file import rows_at_once
    from mmtrain.training.validation import predict_rows

    rows = data.partition.validation[: TIMED_VALIDATION_BATCHES * rows_at_once(steps.models.network)]

    def validate() -> None:
        predictions = predict_rows(steps, data.arrays, rows)[1]
        for key, target in data.fitted.targets.items():
            truth = data.arrays.targets[key][rows]
            known = target.known_rows(truth)
            target.all_scores(truth[known], predictions[key][known])

    first, *others = _durations(validate, least=2)
    # Scaled up from the rows that were predicted to the whole part.
    return min(others) * len(data.partition.validation) / len(rows), max(0.0, first - min(others))


def _durations(call: Callable[[], None], least: int = 1) -> list[float]:
    """Return the seconds of up to `REPETITIONS` calls, of fewer where they are long, but of `least`."""
    durations: list[float] = []
    while len(durations) < least or (len(durations) < REPETITIONS and sum(durations) < ENOUGH_SECONDS):
        begun = time.perf_counter()
        call()
        durations.append(time.perf_counter() - begun)
    return durations


def mean_over_epochs(speeds: list[StageSpeed], seconds: Callable[[StageSpeed], float]) -> float:
    """Return the mean of `seconds` over all epochs of the training."""
    return sum(seconds(one) * one.epochs for one in speeds) / sum(one.epochs for one in speeds)
