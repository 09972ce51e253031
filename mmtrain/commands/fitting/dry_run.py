"""`mmtrain fit --dry-run`: run the first steps of a training and estimate its time, memory and disk. No run folder is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.artifacts.command_results import DryRun
from mmtrain.commands.fitting.training_listeners import CHECKED, Listeners, training_plan
from mmtrain.config.yaml_source import NotInFile
from mmtrain.data import encode
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import assemble_training, encode_table
from mmtrain.pipeline.checks.requirements import check_callbacks
from mmtrain.pipeline.checks.validate import load_checked
from mmtrain.pipeline.groups.members import is_group
from mmtrain.pipeline.prepare import LoadedData
from mmtrain.system.memory import available_memory, peak_memory

if TYPE_CHECKING:
    from mmtrain.training.encoder_features.feature_cache import FeatureEstimate
    from mmtrain.training.step import TrainStep
    from mmtrain.training.training_data import TrainingData


def dry_run(path: Path | NotInFile, *, overrides: Iterable[str] = (), listeners: Listeners | None = None) -> DryRun:
    """Check everything that `fit` checks, decode the images, and train on a few batches; no run folder is made.

    Raises ConfigError and DataError as `fit` does, RunError if a step does not fit into memory.
    """
    listeners = listeners or Listeners()
    experiment, data, split = load_checked(path, overrides, progress=listeners.progress, say=listeners.say)
    partition = split.trainings[0]
    if is_group(experiment, split):
        listeners.say("One of them, the first, is tried.")
    listeners.say(CHECKED)
    start_tensorflow()
    check_callbacks(experiment.training.callbacks, path, overrides)
    from mmtrain.model.memory_errors import step_oom_errors
    from mmtrain.training.epoch_speed import mean_over_epochs, measure_stages
    from mmtrain.training.step import TrainStep

    fitted = encode.fit(experiment.columns, data.table, partition.train, experiment.training.class_weights)
    table = encode_table(experiment, data, partition, fitted, listeners.say)
    estimates: list[FeatureEstimate] = []
    experiment, training_data, tuning = assemble_training(table, listeners.say, estimates)
    plan = training_plan(None, experiment, data, training_data)
    listeners.announce(plan)
    steps = TrainStep(experiment.training, experiment.columns, fitted, training_data.models)
    training = experiment.training
    with step_oom_errors(experiment.name, training.batch_size):
        speeds = measure_stages(training_data, steps)
    free = available_memory()
    return DryRun(
        rows={part.part: part.rows for part in plan.parts},
        parameters=plan.parameters,
        free_memory=free if isfinite(free) else None,
        settings={name: getattr(training, name) for name in ("batch_size", "precision", "jit", "steps_per_call")},
        reasons=list(tuning.reasons),
        steps=speeds[0].steps,
        epochs=training.epochs,
        seconds_of_features=sum(one.seconds for one in estimates),
        seconds_per_step=mean_over_epochs(speeds, lambda one: one.step),
        seconds_per_epoch=mean_over_epochs(speeds, lambda one: one.epoch),
        peak_memory=peak_memory.bytes(),
        disk=_disk(data, training_data, steps, estimates),
    )


def _disk(loaded: LoadedData, data: TrainingData, steps: TrainStep, estimates: Sequence[FeatureEstimate]) -> dict[str, int]:
    """Return the bytes of the image stores, of features, and of the run folder: three checkpoints and the model without small files."""
    stores = {f"images of {key}": store.nbytes for key, store in loaded.stores.items() if store.nbytes}
    features = {f"features of {one.column}": one.size for one in estimates}
    weights, state = (
        sum(variable.numpy().nbytes for variable in tensors) for tensors in (data.models.stored.variables, steps.optimizer.variables)
    )
    # Best, last and previous, and model.keras without optimizer state.
    return {**stores, **features, "run folder": 4 * weights + 3 * state}
