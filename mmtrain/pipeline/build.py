"""From checked data to a training: the encoded table, settings that fit this device, and the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mmtrain import config
from mmtrain.config import Experiment
from mmtrain.config.sections.training import UNTRIED, Stage, Training, group_names, tuned_epochs, tuning_stages
from mmtrain.data import encode
from mmtrain.data.arrays import Arrays
from mmtrain.data.images.store import Say
from mmtrain.errors import listed
from mmtrain.fusions import FusionSection
from mmtrain.pipeline.checks.shareable import batch_normalizations
from mmtrain.pipeline.prepare import LoadedData, groups
from mmtrain.splits.plan import Partition
from mmtrain.system.memory import release_unused
from mmtrain.training.listeners.events import Detail

if TYPE_CHECKING:
    from mmtrain.model.encoder_inputs import Components
    from mmtrain.model.models import Models
    from mmtrain.training.auto_settings.autotune import TuningResult
    from mmtrain.training.encoder_features.feature_cache import FeatureEstimate
    from mmtrain.training.training_data import TrainingData
    from mmtrain.training.workers.collective import Alone


@dataclass(frozen=True, eq=False)
class EncodedTable:
    """A table encoded once, for one training or for many; row i of every array is row i of `data.table`."""

    experiment: Experiment
    data: LoadedData
    partition: Partition
    fitted: encode.Fitted
    """The columns, fitted on the training rows of `partition`."""
    arrays: Arrays
    components: Mapping[str, Components] = field(default_factory=dict)
    """Principal components of the features of columns with an `encoder`, fitted on the same rows; known where `arrays` has features."""

    def for_child(self, experiment: Experiment, partition: Partition | None, say: Say) -> EncodedTable:
        """Return the table for a training with another experiment, or on another partition of the rows.

        Columns are fitted again only if their rows or options differ, and encoded again only if the fit differs. Images are never
        decoded again, so `experiment` must have those of this table.
        """
        columns = experiment.inputs
        declared = all(self.experiment.columns.get(key) == column for key, column in experiment.columns.items())
        # The same rows and the same options give the same fit: nothing is learned or encoded again.
        if partition is None and declared and experiment.training.class_weights == self.experiment.training.class_weights:
            return replace(self, experiment=experiment, fitted=self.fitted.of(columns), arrays=self.arrays.of(columns))
        rows = partition or self.partition
        fitted = encode.fit(experiment.columns, self.data.table, rows.train, experiment.training.class_weights)
        # A fit that came out the same gives the same codes.
        learned = [key for key, column in fitted.columns.items() if column != self.fitted.columns.get(key)]
        fresh = encode.encode(
            experiment.columns, fitted.of(learned), self.data.table, self.data.stores, cache=experiment.data.cache, say=say
        )
        # Columns that were left alone keep their arrays; new ones come from `fresh`.
        known = self.arrays.of([key for key in columns if key not in learned])
        inputs, present = {**known.inputs, **fresh.inputs}, {**known.present, **fresh.present}
        specs = {key: fitted.columns[key].spec for key in columns}
        arrays = replace(fresh, inputs={key: inputs[key] for key in columns}, present={key: present[key] for key in columns}, specs=specs)
        return EncodedTable(experiment, self.data, rows, fitted, arrays)


def encode_table(experiment: Experiment, data: LoadedData, partition: Partition, fitted: encode.Fitted, say: Say) -> EncodedTable:
    """Encode every row of a table by the columns fitted on its training rows."""
    release_unused()  # of the split and the fit
    arrays = encode.encode(experiment.columns, fitted, data.table, data.stores, cache=experiment.data.cache, say=say)
    release_unused()
    return EncodedTable(experiment, data, partition, fitted, arrays)


def assemble_network(experiment: Experiment, fitted: encode.Fitted, components: Mapping[str, Components] | None = None) -> Models:
    """Assemble the network of an experiment with initial weights drawn with Keras's random seed; `components` are as for `assemble`."""
    from mmtrain.model.assemble import assemble

    return assemble(
        experiment.branches,
        experiment.columns,
        experiment.fusion,
        fitted,
        name=experiment.name,
        components=components,
        balance_targets=experiment.training.balance_targets == "uncertainty",
    )


def assemble_training(
    table: EncodedTable, say: Callable[[str], None], estimates: list[FeatureEstimate] | None = None, workers: Alone | None = None
) -> tuple[Experiment, TrainingData, TuningResult]:
    """Choose the settings that are `auto` by trials on this device, and assemble the network with weights drawn with the seed.

    In the returned experiment no setting is `auto`. With `estimates`, frozen encoders do not read the table: see `with_features`. Of
    several `workers`, the first one makes the trials: two that decide differently would compile different steps, and wait for each other.
    """
    from mmtrain.training.device import prepare
    from mmtrain.training.linear_base import fit_linear_base
    from mmtrain.training.training_data import TrainingData
    from mmtrain.training.workers.collective import Alone

    workers, chosen = workers or Alone(), table.experiment.training.jit
    table, tuning = _decide(table, say, estimates) if workers.is_first else (table, None)
    settled = config.from_json(workers.of_first(table.experiment.model_dump_json())) if workers.count > 1 else table.experiment
    if tuning is None:
        table, tuning = _decided(replace(table, experiment=settled), say)
    training, experiment = tuning.training, table.experiment
    # Seeded here, after the trials: initial weights do not depend on how many networks were tried.
    prepare(training.seed, deterministic=training.deterministic, precision=training.precision)
    models = assemble_network(experiment, table.fitted, table.components)
    if workers.count > 1 and chosen == "auto" and training.jit == "on" and batch_normalizations(models):
        # XLA compiles no sums over workers, which the moments of a batch need.
        training = training.with_settings(jit="off")
        experiment = experiment.model_copy(update={"training": training})
    codes = groups(experiment.columns, table.data.table)
    for note in models.notes:
        say(note)
    place = table.data.table.place
    data = TrainingData(training, experiment.columns, table.fitted, table.arrays, table.partition, models, place, codes, workers=workers)
    if sentence := fit_linear_base(data):
        say(sentence)
    return experiment, data, tuning


def _decide(table: EncodedTable, say: Callable[[str], None], estimates: list[FeatureEstimate] | None) -> tuple[EncodedTable, TuningResult]:
    """Return the table with the features of its encoders and an experiment without `auto`, and the trials that chose its settings."""
    from mmtrain.model.memory_errors import step_oom_errors
    from mmtrain.training.device import forget_networks

    table, choices = _choose_tuning(table)
    for choice in choices:  # before the encoders read all images and texts, which takes longer
        say(choice)
    table = _with_features(table, say, estimates)
    with step_oom_errors(table.experiment.name, table.experiment.training.batch_size):
        table, reasons = _choose_fusion(table, say)
        tuning = _tune_settings(table)
    tuning.reasons[:0] = reasons
    for reason in tuning.reasons:
        say(Detail(reason))
    tuning.reasons[:0] = choices
    if tuning.reasons:  # networks were built for the trials; their graphs would keep memory during the training
        forget_networks()
    return replace(table, experiment=table.experiment.model_copy(update={"training": tuning.training})), tuning


def _decided(table: EncodedTable, say: Callable[[str], None]) -> tuple[EncodedTable, TuningResult]:
    """Return what `_decide` does of an experiment that another worker has decided; features come from the cache that it has filled."""
    from mmtrain.training.auto_settings.autotune import TuningResult

    return _with_features(table, say), TuningResult(table.experiment.training)


def _with_features(table: EncodedTable, say: Callable[[str], None], estimates: list[FeatureEstimate] | None = None) -> EncodedTable:
    from mmtrain.training.encoder_features.frozen_features import fit_components

    arrays = _arrays_with_features(table, say, estimates)
    return replace(table, arrays=arrays, components=fit_components(arrays, table.experiment.columns, table.partition.train))


def tune_device(table: EncodedTable, say: Callable[[str], None]) -> tuple[Experiment, TuningResult]:
    """Return the experiment with the settings that fit this device, for several trainings on the table, and their trial.

    They are chosen once: tuning of encoders, precision, XLA, steps per call and batch size have the same answer for every fold. A learning
    rate or a fusion that is `auto` stays so, since rows decide on them.
    """
    from mmtrain.model.memory_errors import step_oom_errors
    from mmtrain.training.auto_settings.autotune import TuningResult

    table, choices = _choose_tuning(table)
    for choice in choices:
        say(choice)
    experiment, training = table.experiment, table.experiment.training
    rate = training.learning_rate
    tried = experiment.decided(learning_rate=UNTRIED["learning_rate"] if rate == "auto" else rate)
    if not tried.training.open_settings:
        return experiment, TuningResult(training, choices)
    arrays = _arrays_with_features(table, say)
    with step_oom_errors(experiment.name, training.batch_size):
        tuning = _tune_settings(replace(table, experiment=tried, arrays=arrays))
    for reason in tuning.reasons:
        say(Detail(reason))
    tuning.reasons[:0] = choices
    return experiment.model_copy(update={"training": tuning.training.with_settings(learning_rate=rate)}), tuning


def _arrays_with_features(table: EncodedTable, say: Say, estimates: list[FeatureEstimate] | None = None) -> Arrays:
    from mmtrain.training.encoder_features.frozen_features import with_features
    from mmtrain.training.optimization.stages import Stages

    experiment = table.experiment
    # A first stage that trains all groups tunes every encoder from the beginning: no stage reads features of these.
    tuned = Stages(experiment.training).trained_groups(0) is not None
    stores, cache = table.data.stores, experiment.data.cache
    return with_features(table.arrays, experiment.branches, experiment.columns, stores, cache, say, tuned=tuned, estimates=estimates)


def _choose_tuning(table: EncodedTable) -> tuple[EncodedTable, list[str]]:
    """Return the table with the encoders that are tuned by `tune: auto`, and the reasons; the same table where nothing is tried."""
    from mmtrain.training.auto_settings.tuning_trial import choose_tuning, open_branches

    experiment, training = table.experiment, table.experiment.training
    encoders = open_branches(experiment.branches)
    if not encoders:
        return table, []
    of_columns = {key: (experiment.branches[key].columns[0], pretrained) for key, pretrained in encoders.items()}
    # Stages that are given are not shortened.
    epochs = (training.stages[-1].epochs,) * 2 if training.stages else (1, tuned_epochs(training.epochs))
    choice = choose_tuning(of_columns, training, epochs, table.arrays, table.partition)
    chosen = {
        key: branch.model_copy(update={"tune": "lora" if key in choice.tuned else "none"})
        for key, branch in experiment.branches.items()
        if key in encoders
    }
    branches = {**experiment.branches, **chosen}
    if choice.tuned and not training.stages:
        groups = group_names({key: branch.groups for key, branch in branches.items()}, experiment.targets)
        tuned = {f"branches.{key}.backbone": "lora" for key in choice.tuned}
        stages = tuning_stages(training.epochs, groups, tuned, choice.epochs)
        training = training.with_settings(stages=tuple(Stage.model_validate(stage) for stage in stages))
    return replace(table, experiment=experiment.model_copy(update={"branches": branches, "training": training})), list(choice.reasons)


def _choose_fusion(table: EncodedTable, say: Callable[[str], None]) -> tuple[EncodedTable, list[str]]:
    """Return the table with the fusion that a trial chose, and the reason; the same table where nothing is tried."""
    from mmtrain.training.auto_settings.fusion_trial import EPOCHS, candidates, choose_fusion
    from mmtrain.training.step import TrainStep

    experiment = table.experiment
    if not experiment.fusion.trial or len(experiment.branches) < 2:
        return table, []

    def make_step(fusion: FusionSection, training: Training) -> TrainStep:
        tried = experiment.model_copy(update={"fusion": fusion})
        return TrainStep(training, tried.columns, table.fitted, assemble_network(tried, table.fitted, table.components))

    names = [one.method for one in candidates(experiment.fusion)]
    say(f"Trying {len(names)} fusions for {EPOCHS} epochs each: {listed(names, most=20)}.")
    codes = groups(experiment.columns, table.data.table)
    chosen, reason = choose_fusion(experiment.fusion, experiment.training, make_step, table.arrays, table.partition, codes)
    return replace(table, experiment=experiment.model_copy(update={"fusion": chosen})), [reason]


def _tune_settings(table: EncodedTable) -> TuningResult:
    """Choose the batch size first, since the rest depends on it, then the learning rate, which depends on nothing else."""
    from mmtrain.training.auto_settings.autotune import largest_batch_size, tune_settings
    from mmtrain.training.auto_settings.learning_rate_test import find_learning_rate
    from mmtrain.training.step import TrainStep

    experiment, rows = table.experiment, table.partition.train
    training = experiment.training

    def make_step(settings: Training) -> TrainStep:
        return TrainStep(settings, experiment.columns, table.fitted, assemble_network(experiment, table.fitted, table.components))

    def make_largest_step(settings: Training) -> TrainStep:
        # Encoders that the last stage tunes take nearly all of the time and the memory.
        steps = make_step(settings)
        if steps.whole.tuned:
            steps.enter_stage(steps.stages.last)
        return steps

    reasons = []
    if training.batch_size == "auto":
        size, reason = largest_batch_size(training, make_largest_step, table.arrays, rows, where=experiment.name)
        training, reasons = training.with_settings(batch_size=size), [reason]
    if training.learning_rate == "auto":
        rate, reason = find_learning_rate(training, make_step, table.arrays, rows)
        training, reasons = training.with_settings(learning_rate=rate), [*reasons, reason]
    tuning = tune_settings(training, make_largest_step, table.arrays, rows)
    tuning.reasons[:0] = reasons
    return tuning
