"""`mmtrain fit`: from an experiment file to a run folder.

`fit` is the path of the data as code: its steps have the numbers of the architecture page (`mmtrain/__init__.py`). `resume` continues it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.artifacts import runs
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import TimePlan
from mmtrain.commands.fitting.fit_group import GroupOptions, check_fold, fit_group
from mmtrain.commands.fitting.shared_training import follow, plan_sharing, record_workers
from mmtrain.commands.fitting.tracking import track_finished
from mmtrain.commands.fitting.training_listeners import CHECKED, Listeners, training_plan
from mmtrain.commands.report import finish
from mmtrain.config.load import REPEATS
from mmtrain.config.yaml_source import NotInFile, Origin
from mmtrain.data import encode
from mmtrain.pipeline.build import EncodedTable, assemble_training, encode_table
from mmtrain.pipeline.checks.requirements import make_callbacks, unguarded_fusion
from mmtrain.pipeline.checks.shareable import check_network_shareable
from mmtrain.pipeline.checks.validate import load_checked
from mmtrain.pipeline.distillation.student import record_costs, with_teacher
from mmtrain.pipeline.groups.members import is_group
from mmtrain.pipeline.groups.run_group import GroupResult
from mmtrain.pipeline.groups.workers import Processes
from mmtrain.pipeline.run_record import record_inputs
from mmtrain.pipeline.time_budget import TimeBudget, assemble_within
from mmtrain.pipeline.train_run import StopRule, TrainingResult, run_state, train
from mmtrain.splits.plan import SplitPlan
from mmtrain.system.cluster import cluster_of_environment
from mmtrain.training.listeners.events import Detail
from mmtrain.training.workers.join import join

if TYPE_CHECKING:
    from mmtrain.training.auto_settings.autotune import TuningResult
    from mmtrain.training.listeners.callbacks import Named
    from mmtrain.training.training_data import TrainingData


def fit(
    path: Path | NotInFile,
    *,
    overrides: Iterable[str] = (),
    output: Path = Path("runs"),
    listeners: Listeners | None = None,
    fold: int | None = None,
    processes: Processes | None = None,
    header: str = REPEATS,
    start: float | None = None,
) -> TrainingResult | GroupResult:
    """Train the experiment in the file at `path`; everything is checked before the run folder is made.

    Args:
        path: The experiment file.
        overrides: Values in place of those of the file.
        output: The folder that holds the runs.
        listeners: Functions that are called meanwhile.
        fold: The fold to train of an experiment with folds, which is a group of trainings as one with seeds is; None for all.
        processes: The processes that train the members of a group at the same time, or share a single training; by default this one.
        header: Comments at the top of config.yaml.
        start: The time from which `training.minutes` count, in seconds since 1970; by default now.

    Raises:
        UsageError: the split has no such fold, or the environment names workers that cannot share the training.
        ConfigError: the experiment has mistakes; the error lists all of them, and those of the data.
        DataError: the table or its images have mistakes.
        RunError: the training failed, or the run folder cannot be written.
        Interrupted: SIGINT or SIGTERM; the run has a checkpoint and its best model.
        TrainedByFirst: the training is shared, and another process has made the run.

    """
    cluster, start = cluster_of_environment(), time.time() if start is None else start
    # Of several workers, the first one alone prints.
    listeners = listeners if listeners is not None and (cluster is None or not cluster.number) else Listeners()
    place = Origin(path, tuple(overrides)).place
    # Steps 1 to 3: the experiment, its table with its images, and the split of its rows.
    experiment, data, split = load_checked(path, overrides, progress=listeners.progress, say=listeners.say)
    check_fold(fold, split)
    local_workers = plan_sharing(experiment, processes or Processes(), cluster, place, listeners.say, group=is_group(experiment, split))
    if local_workers is not None:
        del data  # every worker reads its own
        local_workers.train(output / experiment.name, listeners.say)  # ends with TrainedByFirst
    listeners.say(CHECKED)
    workers = join(cluster)  # starts TensorFlow, which takes 3 to 5 s, so it comes after all checks that do without it
    budget = TimeBudget(experiment.training.minutes, start) if experiment.training.minutes is not None else None
    if is_group(experiment, split):
        callbacks_of_member = lambda: make_callbacks(experiment.training.callbacks, path, overrides)  # noqa: E731
        group = GroupOptions(fold, processes or Processes(), budget)
        return fit_group(experiment, data, split, (output, header), group, callbacks_of_member, listeners)
    callbacks = make_callbacks(experiment.training.callbacks, path, overrides)
    # Steps 4 and 5: the columns learn from the training rows, then every row is encoded once.
    fitted = encode.fit(experiment.columns, data.table, split.holdout.train, experiment.training.class_weights)
    table = encode_table(experiment, data, split.holdout, fitted, listeners.say)
    # Step 6: the network, and the settings that the experiment leaves to a trial on this device.
    plan: TimePlan | None = None
    if budget is None:
        experiment, training_data, tuning = assemble_training(table, listeners.say, workers=workers)
        if cluster is not None:
            check_network_shareable(experiment, training_data, place)
        if not workers.is_first:
            follow(training_data, experiment.name)
    else:
        experiment, training_data, tuning, plan = assemble_within(table, budget, listeners.say)
    # Made as late as possible: a refused experiment leaves no empty run behind.
    run = runs.create(experiment.name, output)
    stop = None if budget is None else budget.stop_rule()
    options = TrainingOptions(callbacks, stop, header, lambda: run.update(time_plan=plan and plan.to_json()))
    return train_new(run, replace(table, experiment=experiment), split, (training_data, tuning), listeners, options)


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a new training, next to its inputs."""

    callbacks: Sequence[Named] = ()
    stop: StopRule | None = None
    header: str = REPEATS
    """Comments at the top of config.yaml."""
    record: Callable[[], None] = lambda: None
    """Writes what has to be in the run before its inputs are recorded."""


def train_new(
    run: Run,
    table: EncodedTable,
    split: SplitPlan,
    assembled: tuple[TrainingData, TuningResult],
    listeners: Listeners,
    options: TrainingOptions,
) -> TrainingResult:
    """Train the assembled experiment of `table` in a new run: steps 7 to 9."""
    experiment, (training_data, tuning) = table.experiment, assembled
    with run_lock(run), run_state(run):
        options.record()
        record_workers(run, training_data)
        record_inputs(run, experiment, table, split, training_data, tuning, options.header)
        training_data = with_teacher(run, training_data, table.data.table)
        listeners.announce(training_plan(run, experiment, table.data, training_data))
        # Steps 7 and 8: the training, then what is fitted on validation rows for its best model.
        result = train(run, training_data, experiment.evaluation, listeners.watch, callbacks=options.callbacks, stop=options.stop)
        record_costs(run, training_data)
        if note := unguarded_fusion(experiment):
            listeners.say(Detail(note))
        # Step 9: the report. The test part is scored by `evaluate` alone.
        finish(run, experiment, training_data.fitted)
        track_finished(run, experiment, listeners.say)
        # Lets the other workers end, now that the run is whole: see `follow`.
        training_data.workers.of_first(str(run.folder))
    return result
