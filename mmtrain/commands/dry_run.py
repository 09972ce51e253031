"""`mmtrain fit --dry-run`: everything up to the first steps, and what a whole training would take. Nothing is trained or kept."""

from __future__ import annotations

import time
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from mmtrain.artifacts.command_results import DryRun
from mmtrain.columns import images_among
from mmtrain.commands.fit import CHECKED, Listeners, training_plan
from mmtrain.config.yaml_source import NotInFile
from mmtrain.data import encode
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import assemble_training, encode_table
from mmtrain.pipeline.requirements import check_callbacks
from mmtrain.pipeline.validate import load_checked
from mmtrain.system.memory import available_memory, peak_memory

if TYPE_CHECKING:
    from mmtrain.training.step import TrainStep
    from mmtrain.training.training_data import TrainingData

CALLS = 8
"""Calls of the compiled step, of which the first compiles and is not timed."""
JUDGED = 8
"""Pieces of the validation part that are timed."""


def dry_run(path: Path | NotInFile, *, overrides: Iterable[str] = (), listeners: Listeners | None = None) -> DryRun:
    """Check everything that `fit` checks, decode the images, train on a few batches and forget them; no run folder is made.

    Raises ConfigError and DataError as `fit` does.
    """
    listeners = listeners or Listeners()
    experiment, data, split = load_checked(path, overrides, progress=listeners.progress, say=listeners.say)
    partition = split.holdout
    listeners.say(CHECKED)
    start_tensorflow()
    check_callbacks(experiment, path, overrides)
    from mmtrain.model.memory_errors import step_oom_errors
    from mmtrain.training.step import TrainStep

    fitted = encode.fit(experiment.columns, data.table, partition.train, experiment.training.class_weights)
    table = encode_table(experiment, data, partition, fitted, listeners.say)
    experiment, training_data, tuning = assemble_training(table, listeners.say)
    intended = training_plan(None, experiment, data, training_data)
    listeners.announce(intended)
    steps = TrainStep(experiment.training, experiment.columns, fitted, training_data.models)
    training = experiment.training
    with step_oom_errors(experiment.name, training.batch_size):
        step, judging = _timed(training_data, steps)
    of_epoch, free = len(steps.batches(training_data.arrays, partition.train)), available_memory()
    return DryRun(
        rows={part.part: part.rows for part in intended.parts},
        parameters=intended.parameters,
        free_memory=free if isfinite(free) else None,
        settings={name: getattr(training, name) for name in ("batch_size", "precision", "jit", "steps_per_call")},
        reasons=list(tuning.reasons),
        steps=of_epoch,
        epochs=training.epochs,
        seconds_per_step=step,
        seconds_per_epoch=step * of_epoch + judging,
        peak_memory=peak_memory.bytes(),
        disk=_disk(training_data, steps),
    )


def _timed(data: TrainingData, steps: TrainStep) -> tuple[float, float]:
    """Seconds of a step, and of judging the validation part."""
    from mmtrain.model.model_file import rows_at_once
    from mmtrain.training.validation import predict_rows

    enough = CALLS * steps.batch_size * steps.steps_per_call
    taken = []
    for batch in steps.batches(data.arrays, data.partition.train[:enough]).epoch(1):
        begun = time.perf_counter()
        steps.train(batch, [0.0] * batch.steps)["loss"].numpy()
        taken.append((time.perf_counter() - begun) / batch.steps)
    rows = data.partition.validation[: JUDGED * rows_at_once(steps.models.network)]
    predict_rows(steps, data.arrays, rows)
    begun = time.perf_counter()
    predict_rows(steps, data.arrays, rows)
    judging = (time.perf_counter() - begun) * len(data.partition.validation) / len(rows)
    return median(taken[1:] or taken), judging


def _disk(data: TrainingData, steps: TrainStep) -> dict[str, int]:
    """Bytes of the image stores, and of the run folder: three checkpoints and the model; its small files do not count."""
    sources, images = data.arrays.inputs, images_among(data.columns)
    found = {f"images of {key}": sources[key].nbytes for key in images if sources[key].nbytes}
    weights, state = (
        sum(variable.numpy().nbytes for variable in kept) for kept in (data.models.network.variables, steps.optimizer.variables)
    )
    return {**found, "run folder": 4 * weights + 3 * state}
