"""`mmtrain fit --resume` of a group: the first process continues it, and further ones, on any machine, train next to it.

They share the folder of the run. A training is locked by the process that has it, so that each is in one process. The process that has
the lock of the group writes the results; if it is lost, another one takes its place.
"""

from __future__ import annotations

import os
import time

from mmtrain import config
from mmtrain.artifacts.lock import is_locked, lock_unless_in_use
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.fitting.fit_group import GroupOptions, check_fold, finish_tracked_group, train_group, train_members
from mmtrain.commands.fitting.training_listeners import CHECKED, Listeners
from mmtrain.errors import Problem, UsageError
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.checks.requirements import make_callbacks
from mmtrain.pipeline.groups.run_group import GROUP_FILES, GroupResult, RunGroup
from mmtrain.pipeline.restore import restore_plan
from mmtrain.pipeline.train_run import run_state
from mmtrain.system.cluster import Cluster, gpu_of
from mmtrain.system.worker_process import POLL_SECONDS
from mmtrain.training.signals import at_once


def resume_group(run: Run, options: GroupOptions, cluster: Cluster | None, listeners: Listeners) -> GroupResult:
    """Train the members of a group that are left, together with other processes that do the same.

    Raises UsageError for a group that is finished or was stopped before its training began.
    """
    if cluster is not None and (gpu := gpu_of(cluster)) is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    group = None
    while True:
        with lock_unless_in_use(run) as is_first:
            if is_first and group is not None and run.state == "finished":
                return GroupResult(run, run.read("cross_validation.json"))
            if is_first:
                return _continue(run, options, listeners, group)
        if group is None:
            _wait_until_recorded(run)
            check_resumable(run, GROUP_FILES)
            group = _restore(run, options, listeners)
            listeners.say("Another process trains this group. This one trains what is left next to it, beginning at the end.")
        train_members(group, group.unfinished(options.fold)[::-1], options, listeners)
        if options.fold is not None:
            return GroupResult(run, None)
        _wait_for_others(group)


def check_resumable(run: Run, recorded: tuple[str, ...]) -> None:
    """Raise UsageError for a run that is finished, or that was stopped before its inputs were recorded."""
    fix = "Train again with `mmtrain fit CONFIG`."
    if run.state == "finished":
        raise UsageError(Problem(str(run.folder), "the run is finished; there is nothing to resume.", fix))
    if not is_recorded(run, recorded):
        raise UsageError(Problem(str(run.folder), "the run was stopped before its training began.", fix))


def is_recorded(run: Run, recorded: tuple[str, ...]) -> bool:
    """Return whether the inputs of a run are written and sealed."""
    files = run.read_json("run.json").get("files", {})
    return all(name in files for name in recorded)


def _continue(run: Run, options: GroupOptions, listeners: Listeners, group: RunGroup | None) -> GroupResult:
    """Train the members that are left, wait for those of other processes, and write the results."""
    check_resumable(run, GROUP_FILES)
    if run.is_trained:
        listeners.say("All trainings had ended; their results are written now.")
        with run_state(run):
            return finish_tracked_group(run, options.moved.applied(config.load(run / "config.yaml")), listeners)
    group = group or _restore(run, options, listeners)
    with run_state(run):
        run.reopen(GROUP_FILES)
        return train_group(group, options, listeners)


def _restore(run: Run, options: GroupOptions, listeners: Listeners) -> RunGroup:
    experiment = options.moved.applied(config.load(run / "config.yaml"))
    data, split = restore_plan(run, experiment, progress=listeners.progress, say=listeners.say, exactly=True)
    check_fold(options.fold, split)
    listeners.say(CHECKED)
    start_tensorflow()
    return RunGroup(run, experiment, data, split, lambda: make_callbacks(experiment.training.callbacks, run / "config.yaml"))


def _wait_until_recorded(run: Run) -> None:
    """Wait while another process, which has just begun the group, writes what it shares."""
    while is_locked(run) and not is_recorded(run, GROUP_FILES):
        time.sleep(POLL_SECONDS)


def _wait_for_others(group: RunGroup) -> None:
    """Wait until the process that has the lock of the group has ended, or a training is left that no process has."""
    left = group.unfinished()
    with at_once():
        while is_locked(group.run) and all(map(group.is_in_training, left)):
            time.sleep(POLL_SECONDS)
