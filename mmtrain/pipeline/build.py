"""From a checked experiment to what a training works on: encoded rows, settings that fit this device, a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.pipeline.prepare import LoadedData, groups
from mmtrain.splits.plan import Partition

if TYPE_CHECKING:
    from mmtrain.training.autotune import TuningResult
    from mmtrain.training.training_data import TrainingData


def build(
    experiment: Experiment, data: LoadedData, partition: Partition, fitted: encode.Fitted, say: Callable[[str], None]
) -> tuple[TrainingData, TuningResult]:
    """Encode the table, decide what the experiment leaves to a trial, and assemble the network, whose weights follow from the seed.

    The experiment of the material has nothing open any more.
    """
    from mmtrain.model.assemble import assemble
    from mmtrain.model.memory_errors import step_oom_errors
    from mmtrain.training.device import forget_networks, prepare
    from mmtrain.training.training_data import TrainingData

    arrays = encode.encode(experiment, fitted, data.table, data.stores, say=say)
    with step_oom_errors(experiment.name, experiment.training.batch_size):
        decision = _decided(experiment, fitted, arrays, partition)
    for reason in decision.reasons:
        say(reason)
    if decision.reasons:  # of networks that were tried
        forget_networks()
    training = decision.experiment.training
    prepare(training.seed, deterministic=training.deterministic, precision=training.precision)
    network = assemble(decision.experiment, fitted)
    return TrainingData(decision.experiment, fitted, arrays, partition, network, data.table.place, groups(experiment, data.table)), decision


def _decided(experiment: Experiment, fitted: encode.Fitted, arrays: encode.Arrays, partition: Partition) -> TuningResult:
    """The batch size first: the rest depends on it."""
    from mmtrain.training.autotune import tune_settings
    from mmtrain.training.batch_size import largest_batch_size

    if experiment.training.batch_size != "auto":
        return tune_settings(experiment, fitted, arrays, partition.train)
    size, reason = largest_batch_size(experiment, fitted, arrays, partition.train)
    sized = experiment.decided(batch_size=size)
    decision = tune_settings(sized, fitted, arrays, partition.train)
    decision.reasons.insert(0, reason)
    return decision
