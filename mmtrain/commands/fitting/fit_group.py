"""Training of a group: every fold and seed of an experiment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain.artifacts import runs
from mmtrain.artifacts.group_results import Member
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import TimePlan
from mmtrain.commands.fitting.tracking import track_finished, track_group
from mmtrain.commands.fitting.training_listeners import Listeners, Plan
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.splits.summary import summarize
from mmtrain.errors import Problem, UsageError, counted
from mmtrain.pipeline.build import EncodedTable, encode_table, tune_device
from mmtrain.pipeline.groups.members import list_members
from mmtrain.pipeline.groups.results import finish_group
from mmtrain.pipeline.groups.run_group import GroupResult, RunGroup
from mmtrain.pipeline.groups.workers import Processes, train_in_processes, wait_for_others
from mmtrain.pipeline.prepare import LoadedData, Moved
from mmtrain.pipeline.time_budget import TimeBudget, fit_into_budget, untried
from mmtrain.pipeline.train_run import run_state
from mmtrain.splits.plan import SplitPlan

if TYPE_CHECKING:
    from mmtrain.training.listeners.callbacks import Named


@dataclass(frozen=True)
class GroupOptions:
    """The members of a group that are to be trained, the processes that train them, and the time that they have."""

    fold: int | None
    processes: Processes
    budget: TimeBudget | None = None
    moved: Moved = field(default_factory=Moved)


def fit_group(
    experiment: Experiment,
    data: LoadedData,
    split: SplitPlan,
    new: tuple[Path, str],
    options: GroupOptions,
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
        settled = untried(replace(table, experiment=experiment))
        fitting, plan = fit_into_budget(settled, budget, listeners.say, trainings=count_trainings(experiment, split, fold))
        experiment = experiment.decided(epochs=fitting.training.epochs, stages=fitting.training.stages, minutes=None)
    table = replace(table, experiment=experiment)
    run = runs.create(experiment.name, output)
    group = RunGroup(run, experiment, data, split, callbacks)
    with run_lock(run), run_state(run):
        group.record(tuning, header)
        run.update(time_plan=plan and plan.to_json())
        return train_group(group, options, listeners, table)


def count_trainings(experiment: Experiment, split: SplitPlan, fold: int | None) -> int:
    """Return the number of trainings of a group, or of one `fold`: for each seed one, and one for each branch that is trained alone."""
    members = list_members(split, experiment.training.seeds, experiment.member_branches)
    return sum(fold in (None, member.fold) for member in members)


def train_group(group: RunGroup, options: GroupOptions, listeners: Listeners, table: EncodedTable | None = None) -> GroupResult:
    """Train the members that are left, and finish the group unless only those of one fold were to be trained."""
    run, data, fold = group.run, group.data, options.fold
    parts = summarize(group.experiment.columns, data.table, group.plan)
    listeners.announce(Plan(run, len(data.table), len(data.table.dropped), parts, {}, {}))
    track_group(run, group.experiment, listeners.say)
    train_members(group, group.unfinished(fold), options, listeners, table)
    while wait_for_others(group, fold, listeners.say):
        train_members(group, group.unfinished(fold), options, listeners)
    if not group.is_complete:
        run.update(state="interrupted", error=f"only fold {fold} was to be trained")
        return GroupResult(run, None)
    return finish_tracked_group(run, group.experiment, listeners)


def train_members(
    group: RunGroup, members: Sequence[Member], options: GroupOptions, listeners: Listeners, table: EncodedTable | None = None
) -> None:
    """Train members, in this order, that no other process trains; with several processes, all that are left."""
    if options.processes.count > 1:
        del table  # every process encodes its own
        train_in_processes(group, replace(options.processes, budget=options.budget), options.fold, options.moved, listeners.say)
    else:
        group.train(members, table, listeners.watch, listeners.say, None if options.budget is None else options.budget.rule_of_next)


def finish_tracked_group(run: Run, experiment: Experiment, listeners: Listeners) -> GroupResult:
    """Write the results of a group whose trainings have all ended, and tell its trackers."""
    result, conclusions = finish_group(run, experiment)
    track_finished(run, experiment, listeners.say, result)
    return GroupResult(run, result, conclusions)


def check_fold(fold: int | None, split: SplitPlan) -> None:
    """Raise UsageError if the split has no such fold."""
    count = len(split.partitions) if len(split.partitions) > 1 else 0
    if fold is not None and not 0 <= fold < count:
        what = f"the split has {counted(count, 'fold')}, numbered from 0." if count else "the split has no folds."
        fix = f"Name one from 0 to {count - 1}." if count else "Set `split.folds`, or leave --fold out."
        raise UsageError(Problem(f"--fold {fold}", what, fix))


def check_processes(processes: Processes | None, group: bool) -> None:
    """Raise UsageError for several processes that would share one training whose command is not known."""
    if processes is not None and processes.count > 1 and not group and not processes.command:
        what = "a training by a preset has one process."
        raise UsageError(Problem(f"--workers {processes.count}", what, "Write its settings into the file, then leave --preset out."))
