"""`mmtrain fit`: from an experiment file to a run folder; and `--resume`, from a stopped run to its end.

`fit` is the path of the data as code: its steps have the numbers of the architecture page (`mmtrain/__init__.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.inspection_results import PartSummary
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.artifacts.run_schema.run_facts import TimePlan
from mmtrain.commands.report import finish, finish_trained
from mmtrain.config import Experiment
from mmtrain.config.load import REPEATS
from mmtrain.config.yaml_source import NotInFile
from mmtrain.data import encode
from mmtrain.data.images.store import Progress
from mmtrain.data.splits.summary import summarize
from mmtrain.errors import Problem, UsageError, counted, shell_command
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import EncodedTable, assemble_training, encode_table, tune_device
from mmtrain.pipeline.checks.requirements import make_callbacks, unguarded_fusion
from mmtrain.pipeline.checks.validate import load_checked
from mmtrain.pipeline.distillation.student import PREDICTIONS, is_distilled, record_costs, with_teacher
from mmtrain.pipeline.groups.results import finish_group
from mmtrain.pipeline.groups.workers import Processes, train_in_processes
from mmtrain.pipeline.prepare import LoadedData, Moved
from mmtrain.pipeline.restore import check_encoders_unchanged, restore_data, restore_plan
from mmtrain.pipeline.run_group import GROUP_FILES, GroupResult, RunGroup, is_group
from mmtrain.pipeline.run_record import RECORDED_FILES, record_inputs
from mmtrain.pipeline.time_budget import TimeBudget, assemble_within, fit_into_budget, untried
from mmtrain.pipeline.train_run import StopRule, TrainingResult, newest_checkpoint, run_state, train
from mmtrain.splits.plan import SplitPlan
from mmtrain.training.listeners.events import Listener

if TYPE_CHECKING:
    from mmtrain.training.auto_settings.autotune import TuningResult
    from mmtrain.training.listeners.callbacks import Named
    from mmtrain.training.training_data import TrainingData

CHECKED = "Data checked; starting TensorFlow."


@dataclass(frozen=True)
class Plan:
    """Summary of a training that is about to begin."""

    run: Run | None
    """None for a dry run."""
    rows: int
    dropped: int
    parts: tuple[PartSummary, ...]
    class_weights: dict[str, dict[str, float]]
    parameters: dict[str, int]
    """Trainable parameters of each branch, the fusion and each head."""


@dataclass(frozen=True)
class Listeners:
    """Functions that are called while a command runs; by default nothing happens."""

    watch: Listener = lambda _: None
    """Takes the events of the training."""
    announce: Callable[[Plan], None] = lambda _: None
    progress: Progress | None = None
    """Takes the number of images decoded so far."""
    say: Callable[[str], None] = lambda _: None
    """Takes sentences for the user."""


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
        processes: The processes that train the members of a group at the same time; by default this one.
        header: Comments at the top of config.yaml.
        start: The time from which `training.minutes` count, in seconds since 1970; by default now.

    Raises:
        UsageError: the split has no such fold, or a single training is asked for in several processes.
        ConfigError: the experiment has mistakes; the error lists all of them, and those of the data.
        DataError: the table or its images have mistakes.
        RunError: the training failed, or the run folder cannot be written.
        Interrupted: SIGINT or SIGTERM; the run has a checkpoint and its best model.

    """
    listeners, start = listeners or Listeners(), time.time() if start is None else start
    # Steps 1 to 3: the experiment, its table with its images, and the split of its rows.
    experiment, data, split = load_checked(path, overrides, progress=listeners.progress, say=listeners.say)
    check_fold(fold, split)
    check_processes(processes, is_group(experiment, split))
    listeners.say(CHECKED)
    start_tensorflow()  # takes 3 to 5 s, so it comes after all checks that do without it
    budget = TimeBudget(experiment.training.minutes, start) if experiment.training.minutes is not None else None
    if is_group(experiment, split):
        callbacks_of_member = lambda: make_callbacks(experiment.training.callbacks, path, overrides)  # noqa: E731
        group = _GroupOptions(fold, processes or Processes(), budget)
        return _fit_group(experiment, data, split, (output, header), group, callbacks_of_member, listeners)
    callbacks = make_callbacks(experiment.training.callbacks, path, overrides)
    # Steps 4 and 5: the columns learn from the training rows, then every row is encoded once.
    fitted = encode.fit(experiment.columns, data.table, split.holdout.train, experiment.training.class_weights)
    table = encode_table(experiment, data, split.holdout, fitted, listeners.say)
    # Step 6: the network, and the settings that the experiment leaves to a trial on this device.
    plan: TimePlan | None = None
    if budget is None:
        experiment, training_data, tuning = assemble_training(table, listeners.say)
    else:
        experiment, training_data, tuning, plan = assemble_within(table, budget, listeners.say)
    # Made as late as possible: a refused experiment leaves no empty run behind.
    run = runs.create(experiment.name, output)
    stop = None if budget is None else budget.stop_rule()
    options = TrainingOptions(callbacks, stop, header, lambda: run.update(time_plan=plan and plan.to_json()))
    return train_new(run, replace(table, experiment=experiment), split, (training_data, tuning), listeners, options)


@dataclass(frozen=True)
class TrainingOptions:
    """What a new training has next to its inputs."""

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
        record_inputs(run, experiment, table, split, training_data, tuning, options.header)
        training_data = with_teacher(run, training_data, table.data.table)
        listeners.announce(training_plan(run, experiment, table.data, training_data))
        # Steps 7 and 8: the training, then what is fitted on validation rows for its best model.
        result = train(run, training_data, experiment.evaluation, listeners.watch, callbacks=options.callbacks, stop=options.stop)
        record_costs(run, training_data)
        if note := unguarded_fusion(experiment):
            listeners.say(note)
        # Step 9: the report. The test part is scored by `evaluate` alone.
        finish(run, experiment, training_data.fitted)
    return result


@dataclass(frozen=True)
class _GroupOptions:
    """The members of a group that are to be trained, the processes that train them, and the time that they have."""

    fold: int | None
    processes: Processes
    budget: TimeBudget | None = None
    moved: Moved = field(default_factory=Moved)


def _fit_group(
    experiment: Experiment,
    data: LoadedData,
    split: SplitPlan,
    new: tuple[Path, str],
    options: _GroupOptions,
    callbacks: Callable[[], Sequence[Named]],
    listeners: Listeners,
) -> GroupResult:
    """Train every fold and seed: steps 4 to 8 for each of them on one table, and step 9 for all together.

    `new` is the folder that holds the runs, and the comments at the top of config.yaml.
    """
    (output, header), fold, budget = new, options.fold, options.budget
    partition = split.trainings[fold or 0]
    fitted = encode.fit(experiment.columns, data.table, partition.train, experiment.training.class_weights)
    table = encode_table(experiment, data, partition, fitted, listeners.say)
    # Once for all of them: a trial takes seconds, and no row decides on it.
    experiment, tuning = tune_device(table, listeners.say)
    plan: TimePlan | None = None
    if budget is not None:
        trainings = len(split.trainings) * experiment.training.seeds if fold is None else experiment.training.seeds
        settled = untried(replace(table, experiment=experiment))
        fitting, plan = fit_into_budget(settled, budget, listeners.say, trainings=trainings)
        experiment = experiment.decided(epochs=fitting.training.epochs, stages=fitting.training.stages, minutes=None)
    table = replace(table, experiment=experiment)
    run = runs.create(experiment.name, output)
    group = RunGroup(run, experiment, data, split, callbacks)
    with run_lock(run), run_state(run):
        group.record(tuning, header)
        run.update(time_plan=plan and plan.to_json())
        return _train_group(group, options, listeners, table)


def _train_group(group: RunGroup, options: _GroupOptions, listeners: Listeners, table: EncodedTable | None = None) -> GroupResult:
    """Train the members that are left, and finish the group unless only those of one fold were to be trained."""
    run, data, fold = group.run, group.data, options.fold
    parts = summarize(group.experiment.columns, data.table, group.plan)
    listeners.announce(Plan(run, len(data.table), len(data.table.dropped), parts, {}, {}))
    if options.processes.count > 1:
        del table  # every process encodes its own
        train_in_processes(group, replace(options.processes, budget=options.budget), fold, options.moved, listeners.say)
    else:
        group.train(fold, table, listeners.watch, listeners.say, None if options.budget is None else options.budget.rule_of_next)
    if not group.is_complete:
        run.update(state="interrupted", error=f"only fold {fold} was to be trained")
        return GroupResult(run, None)
    return GroupResult(run, finish_group(run, group.experiment))


def check_fold(fold: int | None, split: SplitPlan) -> None:
    """Raise UsageError if the split has no such fold."""
    count = len(split.partitions) if len(split.partitions) > 1 else 0
    if fold is not None and not 0 <= fold < count:
        what = f"the split has {counted(count, 'fold')}, numbered from 0." if count else "the split has no folds."
        fix = f"Name one from 0 to {count - 1}." if count else "Set `split.folds`, or leave --fold out."
        raise UsageError(Problem(f"--fold {fold}", what, fix))


def check_processes(processes: Processes | None, group: bool) -> None:
    """Raise UsageError for several processes that would share one training."""
    if processes is not None and processes.count > 1 and not group:
        what = "the experiment is one training, which uses all cores itself."
        raise UsageError(Problem(f"--workers {processes.count}", what, "Leave --workers out, or set `split.folds` or `training.seeds`."))


def resume(
    which: str | None,
    *,
    output: Path = Path("runs"),
    listeners: Listeners | None = None,
    moved: Moved | None = None,
    fold: int | None = None,
    processes: Processes | None = None,
) -> TrainingResult | GroupResult:
    """Continue a run that was interrupted or killed from its newest whole checkpoint, as if it had never stopped.

    Of a group, finished trainings are kept, and the others are continued or begun: all of them, or those of one `fold`.

    `moved` gives the present places of its table and its images.

    Raises UsageError for a run that is finished, has nothing to continue from, or is trained by another process, DataError if its data
    have changed.
    """
    run = runs.find(which, output, group=True)
    if run.parent is not None:
        what = f"this is one training of the group {run.parent}."
        raise UsageError(Problem(str(run.folder), what, f"Resume the group: {shell_command('fit', '--resume', run.parent.folder)}"))
    with run_lock(run):
        check_processes(processes, run.is_group)
        if run.is_group:
            return _resume_group(run, listeners or Listeners(), _GroupOptions(fold, processes or Processes(), moved=moved or Moved()))
        if fold is not None:
            raise UsageError(Problem(f"--fold {fold}", f"the run {run.folder} has no folds.", "Leave --fold out."))
        return _resume(run, listeners or Listeners(), moved or Moved())


def _resume_group(run: Run, listeners: Listeners, options: _GroupOptions) -> GroupResult:
    _check_resumable(run, GROUP_FILES)
    experiment = options.moved.applied(config.load(run / "config.yaml"))
    if run.is_trained:
        listeners.say("All trainings had ended; their results are written now.")
        with run_state(run):
            return GroupResult(run, finish_group(run, experiment))
    data, split = restore_plan(run, experiment, progress=listeners.progress, say=listeners.say, exactly=True)
    check_fold(options.fold, split)
    listeners.say(CHECKED)
    start_tensorflow()
    group = RunGroup(run, experiment, data, split, lambda: make_callbacks(experiment.training.callbacks, run / "config.yaml"))
    with run_state(run):
        run.reopen(GROUP_FILES)
        return _train_group(group, options, listeners)


def _resume(run: Run, listeners: Listeners, moved: Moved) -> TrainingResult:
    if (run / SEARCH_FILE).is_file():
        raise UsageError(Problem(str(run.folder), "this is a search.", f"Resume it: {shell_command('tune', '--resume', run.folder)}"))
    # The process was stopped after the training: its report is missing, and neither data nor TensorFlow are needed for it.
    if run.is_trained and (run.state != "finished" or not (run / "report.html").is_file()):
        listeners.say("The training had ended; its report is written now.")
        with run_state(run):
            return finish_trained(run)
    _check_resumable(run)
    checkpoint = newest_checkpoint(run, listeners.say)
    experiment = moved.applied(config.load(run / "config.yaml"))
    data, partition = restore_data(run, experiment, progress=listeners.progress, say=listeners.say, exactly=True)
    listeners.say(CHECKED)
    start_tensorflow()
    callbacks = make_callbacks(experiment.training.callbacks, run / "config.yaml")
    if callbacks:
        listeners.say("The callbacks start again: what they kept in memory is not part of a checkpoint.")
    fitted = encode.of_run(run, experiment.columns)
    # Before the features: a large table takes minutes to be read by an encoder.
    check_encoders_unchanged(run, experiment, fitted)
    table = encode_table(experiment, data, partition, fitted, listeners.say)
    experiment, training_data, _ = assemble_training(table, listeners.say)
    training_data = with_teacher(run, training_data, data.table)
    with run_state(run):
        run.reopen([*RECORDED_FILES, *([PREDICTIONS] if is_distilled(run) else [])])
        listeners.announce(training_plan(run, experiment, data, training_data))
        result = train(run, training_data, experiment.evaluation, listeners.watch, checkpoint, callbacks)
        record_costs(run, training_data)
        finish(run, experiment, training_data.fitted)
    return result


def _check_resumable(run: Run, recorded: Sequence[str] = RECORDED_FILES) -> None:
    """Raise UsageError for a run that is finished, or that was stopped before its inputs were recorded."""
    fix = "Train again with `mmtrain fit CONFIG`."
    if run.state == "finished":
        raise UsageError(Problem(str(run.folder), "the run is finished; there is nothing to resume.", fix))
    if not all(name in run.read_json("run.json").get("files", {}) for name in recorded):
        raise UsageError(Problem(str(run.folder), "the run was stopped before its training began.", fix))


def training_plan(run: Run | None, experiment: Experiment, data: LoadedData, training_data: TrainingData) -> Plan:
    """Summarize a training that is about to begin."""
    weights = {
        key: target.class_weights for key, target in training_data.fitted.targets.items() if len(set(target.class_weights.values())) > 1
    }
    parts = summarize(experiment.columns, data.table, training_data.partition)
    return Plan(run, len(data.table), len(data.table.dropped), parts, weights, training_data.models.parameters())
