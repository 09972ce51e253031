"""`mmtrain fit`: from an experiment file to a run folder; and `--resume`, from a stopped run to its end.

`fit` is the path of the data as code: its steps have the numbers of the architecture page (`mmtrain/__init__.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.inspection_results import PartSummary
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.report import finish, finish_trained
from mmtrain.config import Experiment
from mmtrain.config.yaml_source import NotInFile
from mmtrain.data import encode
from mmtrain.data.images.store import Progress
from mmtrain.data.splits.summary import summarize
from mmtrain.errors import Problem, UsageError
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import assemble_training, encode_table
from mmtrain.pipeline.checks.requirements import make_callbacks
from mmtrain.pipeline.checks.validate import load_checked
from mmtrain.pipeline.prepare import LoadedData, Moved
from mmtrain.pipeline.restore import check_encoders_unchanged, restore_data
from mmtrain.pipeline.run_record import RECORDED_FILES, record_inputs
from mmtrain.pipeline.train_run import TrainingResult, newest_checkpoint, run_state, train
from mmtrain.training.events import Listener

if TYPE_CHECKING:
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
    path: Path | NotInFile, *, overrides: Iterable[str] = (), output: Path = Path("runs"), listeners: Listeners | None = None
) -> TrainingResult:
    """Train the experiment in the file at `path`; everything is checked before the run folder is made.

    Raises:
        ConfigError: the experiment has mistakes; the error lists all of them, and those of the data.
        DataError: the table or its images have mistakes.
        RunError: the training failed, or the run folder cannot be written.
        Interrupted: SIGINT or SIGTERM; the run has a checkpoint and its best model.

    """
    listeners = listeners or Listeners()
    # Steps 1 to 3: the experiment, its table with its images, and the split of its rows.
    experiment, data, split = load_checked(path, overrides, progress=listeners.progress, say=listeners.say)
    listeners.say(CHECKED)
    start_tensorflow()  # takes 3 to 5 s, so it comes after all checks that do without it
    callbacks = make_callbacks(experiment.training.callbacks, path, overrides)
    # Steps 4 and 5: the columns learn from the training rows, then every row is encoded once.
    fitted = encode.fit(experiment.columns, data.table, split.holdout.train, experiment.training.class_weights)
    table = encode_table(experiment, data, split.holdout, fitted, listeners.say)
    # Step 6: the network, and the settings that the experiment leaves to a trial on this device.
    experiment, training_data, tuning = assemble_training(table, listeners.say)
    # Made as late as possible: a refused experiment leaves no empty run behind.
    run = runs.create(experiment.name, output)
    with run_lock(run), run_state(run):
        record_inputs(run, experiment, table, split, training_data, tuning)
        listeners.announce(training_plan(run, experiment, data, training_data))
        # Steps 7 and 8: the training, then what is fitted on validation rows for its best model.
        result = train(run, training_data, experiment.evaluation, listeners.watch, callbacks=callbacks)
        # Step 9: the report. The test part is scored by `evaluate` alone.
        finish(run, experiment, training_data.fitted)
    return result


def resume(
    which: str | None, *, output: Path = Path("runs"), listeners: Listeners | None = None, moved: Moved | None = None
) -> TrainingResult:
    """Continue a run that was interrupted or killed from its newest whole checkpoint, as if it had never stopped.

    `moved` gives the present places of its table and its images.

    Raises UsageError for a run that is finished, has nothing to continue from, or is trained by another process, DataError if its data
    have changed.
    """
    run = runs.find(which, output)
    with run_lock(run):
        return _resume(run, listeners or Listeners(), moved or Moved())


def _resume(run: Run, listeners: Listeners, moved: Moved) -> TrainingResult:
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
    check_encoders_unchanged(run, experiment.branches, fitted)
    table = encode_table(experiment, data, partition, fitted, listeners.say)
    experiment, training_data, _ = assemble_training(table, listeners.say)
    with run_state(run):
        run.reopen(RECORDED_FILES)
        listeners.announce(training_plan(run, experiment, data, training_data))
        result = train(run, training_data, experiment.evaluation, listeners.watch, checkpoint, callbacks)
        finish(run, experiment, training_data.fitted)
    return result


def _check_resumable(run: Run) -> None:
    """Raise UsageError for a run that is finished, or that was stopped before its inputs were recorded."""
    fix = "Train again with `mmtrain fit CONFIG`."
    if run.state == "finished":
        raise UsageError(Problem(str(run.folder), "the run is finished; there is nothing to resume.", fix))
    if not all(name in run.read_json("run.json").get("files", {}) for name in RECORDED_FILES):
        raise UsageError(Problem(str(run.folder), "the run was stopped before its training began.", fix))


def training_plan(run: Run | None, experiment: Experiment, data: LoadedData, training_data: TrainingData) -> Plan:
    """Summarize a training that is about to begin."""
    weights = {
        key: target.class_weights for key, target in training_data.fitted.targets.items() if len(set(target.class_weights.values())) > 1
    }
    parts = summarize(experiment.columns, data.table, training_data.partition)
    return Plan(run, len(data.table), len(data.table.dropped), parts, weights, training_data.models.parameters())
