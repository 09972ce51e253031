"""From checked data to what a training works on: a table encoded once, settings that fit this device, a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.images.store import Say
from mmtrain.pipeline.prepare import LoadedData, groups
from mmtrain.splits.plan import Partition

if TYPE_CHECKING:
    from mmtrain.training.autotune import TuningResult
    from mmtrain.training.training_data import TrainingData


@dataclass(frozen=True, eq=False)
class EncodedTable:
    """A table encoded once, for one training or for many; row i of every array is row i of `data.table`."""

    experiment: Experiment
    data: LoadedData
    partition: Partition
    fitted: encode.Fitted
    """What the training rows of `partition` taught the columns."""
    arrays: encode.Arrays

    def for_child(self, experiment: Experiment, partition: Partition | None, say: Say) -> EncodedTable:
        """Return the table for a training with another experiment, or on another partition of the rows.

        Columns are fitted again only where other rows or other options teach them, and encoded again only where they then learned
        something else. Images are never decoded again, so `experiment` has those of this table.
        """
        columns = experiment.inputs
        declared = all(self.experiment.columns.get(key) == column for key, column in experiment.columns.items())
        if partition is None and declared and experiment.training.class_weights == self.experiment.training.class_weights:
            return replace(self, experiment=experiment, fitted=self.fitted.of(columns), arrays=self.arrays.of(columns))
        rows = partition or self.partition
        fitted = encode.fit(experiment.columns, self.data.table, rows.train, experiment.training.class_weights)
        learned = [key for key, column in fitted.columns.items() if column != self.fitted.columns.get(key)]
        fresh = encode.encode(
            experiment.columns, fitted.of(learned), self.data.table, self.data.stores, cache=experiment.data.cache, say=say
        )
        known = self.arrays.of([key for key in columns if key not in learned])
        inputs, present = {**known.inputs, **fresh.inputs}, {**known.present, **fresh.present}
        arrays = replace(fresh, inputs={key: inputs[key] for key in columns}, present={key: present[key] for key in columns})
        return EncodedTable(experiment, self.data, rows, fitted, arrays)


def encode_table(experiment: Experiment, data: LoadedData, partition: Partition, fitted: encode.Fitted, say: Say) -> EncodedTable:
    """Encode every row of a table by what its training rows taught."""
    arrays = encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache, say=say)
    return EncodedTable(experiment, data, partition, fitted, arrays)


def assemble_training(table: EncodedTable, say: Callable[[str], None]) -> tuple[TrainingData, TuningResult]:
    """Decide what the experiment leaves to a trial on this device, and assemble the network, whose weights follow from the seed.

    The experiment of the training data has nothing open any more.
    """
    from mmtrain.model.assemble import assemble
    from mmtrain.model.memory_errors import step_oom_errors
    from mmtrain.training.device import forget_networks, prepare
    from mmtrain.training.training_data import TrainingData

    with step_oom_errors(table.experiment.name, table.experiment.training.batch_size):
        decision = _decide_settings(table)
    for reason in decision.reasons:
        say(reason)
    if decision.reasons:  # of networks that were tried
        forget_networks()
    experiment, training = decision.experiment, decision.experiment.training
    prepare(training.seed, deterministic=training.deterministic, precision=training.precision)
    network = assemble(experiment, table.fitted)
    codes = groups(experiment, table.data.table)
    return TrainingData(experiment, table.fitted, table.arrays, table.partition, network, table.data.table.place, codes), decision


def _decide_settings(table: EncodedTable) -> TuningResult:
    """Decide the batch size first, since the rest depends on it."""
    from mmtrain.training.autotune import largest_batch_size, tune_settings

    experiment, rows = table.experiment, table.partition.train
    if experiment.training.batch_size != "auto":
        return tune_settings(experiment, table.fitted, table.arrays, rows)
    size, reason = largest_batch_size(experiment, table.fitted, table.arrays, rows)
    decision = tune_settings(experiment.decided(batch_size=size), table.fitted, table.arrays, rows)
    decision.reasons.insert(0, reason)
    return decision
