"""`mmtrain fit --resume`: from a stopped run to its end."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.commands.fitting.fit_group import GroupOptions
from mmtrain.commands.fitting.resume_group import check_resumable, resume_group
from mmtrain.commands.fitting.shared_training import LocalWorkers, TrainedByFirst, follow, plan_sharing, record_workers
from mmtrain.commands.fitting.tracking import track_finished
from mmtrain.commands.fitting.training_listeners import CHECKED, Listeners, training_plan
from mmtrain.commands.report import finish, finish_trained
from mmtrain.config.yaml_source import Origin
from mmtrain.data import encode
from mmtrain.errors import Problem, UsageError, shell_command
from mmtrain.pipeline.build import assemble_training, encode_table
from mmtrain.pipeline.checks.requirements import make_callbacks
from mmtrain.pipeline.distillation.student import PREDICTIONS, is_distilled, record_costs, with_teacher
from mmtrain.pipeline.groups.run_group import GroupResult
from mmtrain.pipeline.groups.workers import Processes
from mmtrain.pipeline.prepare import Moved
from mmtrain.pipeline.restore import check_encoders_unchanged, restore_data
from mmtrain.pipeline.run_record import RECORDED_FILES
from mmtrain.pipeline.time_budget import TimeBudget
from mmtrain.pipeline.train_run import TrainingResult, newest_checkpoint, run_state, train
from mmtrain.system.cluster import Cluster, cluster_of_environment
from mmtrain.training.workers.join import join


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

    Of a group, finished trainings are kept, and the others are continued or begun: all of them, or those of one `fold`. While another
    process trains the group, this one trains next to it.

    `moved` gives the present places of its table and its images.

    Raises UsageError for a run that is finished, has nothing to continue from, or is trained by another process, DataError if its data
    have changed.
    """
    start = time.time()
    run = runs.find(which, output, group=True)
    if run.parent is not None:
        what = f"this is one training of the group {run.parent}."
        raise UsageError(Problem(str(run.folder), what, f"Resume the group: {shell_command('fit', '--resume', run.parent.folder)}"))
    cluster = cluster_of_environment()
    if run.is_group:
        group = GroupOptions(fold, processes or Processes(), budget_of(run, start), moved or Moved())
        return resume_group(run, group, cluster, listeners or Listeners())
    followed = cluster is not None and cluster.number > 0
    if followed and run.is_trained:
        raise TrainedByFirst(folder=str(run.folder))
    # Of several workers, the first one alone locks the run and prints.
    listeners = listeners if listeners is not None and not followed else Listeners()
    with nullcontext() if followed else run_lock(run):
        local_workers = _plan_sharing(run, processes or Processes(), cluster, listeners)
        if fold is not None:
            raise UsageError(Problem(f"--fold {fold}", f"the run {run.folder} has no folds.", "Leave --fold out."))
        if local_workers is None:
            return _resume(run, listeners, moved or Moved(), budget_of(run, start), cluster)
    # Without the lock, which the first worker takes.
    return local_workers.train(run.folder.parent, listeners.say)


def budget_of(run: Run, start: float) -> TimeBudget | None:
    """Return the minutes of a resumed run, which each command has anew, from `start` on; None for a run without."""
    plan = run.read("run.json").time_plan
    return None if plan is None else TimeBudget(plan.minutes, start)


def _resume(run: Run, listeners: Listeners, moved: Moved, budget: TimeBudget | None, cluster: Cluster | None) -> TrainingResult:
    if (run / SEARCH_FILE).is_file():
        raise UsageError(Problem(str(run.folder), "this is a search.", f"Resume it: {shell_command('tune', '--resume', run.folder)}"))
    # The process was stopped after the training: its report is missing, and neither data nor TensorFlow are needed for it.
    if run.is_trained and (run.state != "finished" or not (run / "report.html").is_file()):
        listeners.say("The training had ended; its report is written now.")
        with run_state(run):
            return finish_trained(run)
    check_resumable(run, RECORDED_FILES)
    # Of several workers, only the first one touches the run.
    checkpoint = newest_checkpoint(run, listeners.say) if cluster is None or not cluster.number else None
    experiment = moved.applied(config.load(run / "config.yaml"))
    data, partition = restore_data(run, experiment, progress=listeners.progress, say=listeners.say, exactly=True)
    listeners.say(CHECKED)
    workers = join(cluster)
    callbacks = make_callbacks(experiment.training.callbacks, run / "config.yaml")
    if callbacks:
        listeners.say("The callbacks start again: what they kept in memory is not part of a checkpoint.")
    fitted = encode.of_run(run, experiment.columns)
    # Before the features: a large table takes minutes to be read by an encoder.
    check_encoders_unchanged(run, experiment, fitted)
    table = encode_table(experiment, data, partition, fitted, listeners.say)
    experiment, training_data, _ = assemble_training(table, listeners.say, workers=workers)
    if not workers.is_first:
        follow(training_data, experiment.name)
    training_data = with_teacher(run, training_data, data.table)
    with run_state(run):
        record_workers(run, training_data, listeners.say)
        run.reopen([*RECORDED_FILES, *([PREDICTIONS] if is_distilled(run) else [])])
        listeners.announce(training_plan(run, experiment, data, training_data))
        stop = None if budget is None else budget.stop_rule()
        result = train(run, training_data, experiment.evaluation, listeners.watch, checkpoint, callbacks, stop)
        record_costs(run, training_data)
        finish(run, experiment, training_data.fitted)
        track_finished(run, experiment, listeners.say)
        workers.of_first(str(run.folder))
    return result


def _plan_sharing(run: Run, processes: Processes, cluster: Cluster | None, listeners: Listeners) -> LocalWorkers | None:
    """Return the workers to start for the rest of a training; None where this process continues it."""
    if run.is_trained or (run / SEARCH_FILE).is_file():
        return None
    if is_distilled(run):
        if cluster is None and not processes.given:
            return None
        what = "a student of `mmtrain distill` is trained in one process."
        raise UsageError(Problem(str(run.folder), what, "Leave --workers out, and unset TF_CONFIG."))
    check_resumable(run, RECORDED_FILES)
    path = run / "config.yaml"
    return plan_sharing(config.load(path), processes, cluster, Origin(path).place, listeners.say, group=False)
