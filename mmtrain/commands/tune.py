"""`mmtrain tune`: a search over settings of an experiment, and `--resume`, from a stopped search to its end.

The run of a search holds the split, the columns and the experiment that all trials share, and its trials as child runs `trials/<number>`.
Settings that the experiment leaves to a trial on this device are decided once, for all trials: else noise of timing would become noise of
scores. Its results are `best.yaml`, `trials.csv` and `report.html`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.lock import lock_unless_in_use, run_lock
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run, now
from mmtrain.artifacts.search_results import SearchResult
from mmtrain.commands.fitting.tracking import track_finished, track_search
from mmtrain.config import Experiment
from mmtrain.config.sections.tune import Tune
from mmtrain.config.yaml_source import NotInFile, Origin
from mmtrain.data import encode
from mmtrain.data.tables.table import Table
from mmtrain.errors import Problem, RunError, UsageError
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import EncodedTable, assemble_training, encode_table
from mmtrain.pipeline.checks.validate import load_checked, load_experiment
from mmtrain.pipeline.prepare import split_rows
from mmtrain.pipeline.restore import restore_data
from mmtrain.pipeline.run_record import record_inputs
from mmtrain.pipeline.search.inner_folds import check_folds, inner_folds
from mmtrain.pipeline.search.nested import NestedSearch, outer_plan
from mmtrain.pipeline.search.proposal import propose_space
from mmtrain.pipeline.search.results import add_nested, write_results
from mmtrain.pipeline.search.run_search import Clock, SearchListeners, SearchProgress, assist_search, run_search
from mmtrain.pipeline.search.space import SearchSpace, load_space
from mmtrain.pipeline.search.study import require_optuna
from mmtrain.pipeline.search.trials import read_space, save_space
from mmtrain.pipeline.train_run import run_state
from mmtrain.splits.plan import SplitPlan
from mmtrain.system.worker_process import POLL_SECONDS

SEEN_FOLDS = (
    "Trials use the first fold. The other folds score rows that the search has seen, so a cross-validation of the best experiment is too "
    "optimistic; outer test rows (`split.test`) are in no trial."
)
UNSEEN_FOLDS = "Trials use the first fold, whose training and validation rows no other fold scores."
"""Of folds by time, whose first one has the earliest rows."""


@dataclass(frozen=True)
class Limits:
    """Limits of a search in place of those of the file; None for the file's."""

    trials: int | None = None
    minutes: float | None = None
    workers: int | None = None
    nested: bool | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a limit that allows no trial."""
        if faults := [(name, value) for name, value in vars(self).items() if value is not None and not value > 0]:
            raise UsageError([Problem(name, f"{value} is out of range.", "It has to be more than 0.") for name, value in faults])

    def applied(self, section: Tune) -> Tune:
        """Return the section with these limits."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return section.model_copy(update=given)


def tune(
    path: Path | NotInFile,
    *,
    overrides: Iterable[str] = (),
    output: Path = Path("runs"),
    limits: Limits | None = None,
    code: Sequence[Path] = (),
    listeners: SearchListeners | None = None,
) -> SearchResult:
    """Search the settings of the experiment in the file at `path`; everything is checked before the run folder is made.

    Args:
        path: The experiment file; without a section `tune`, a space is proposed for its columns.
        overrides: Values in place of those of the file.
        output: The folder that holds the runs.
        limits: Limits in place of those of the file.
        code: Files with registrations of the user, which worker processes import too.
        listeners: Functions that are called meanwhile.

    Raises:
        ConfigError: the experiment or its space has mistakes, or Optuna is not installed.
        DataError: the table or its images have mistakes.
        RunError: no trial was completed, or the run folder cannot be written.
        Interrupted: SIGINT or SIGTERM; the search can be resumed.

    """
    start, listeners = time.time(), listeners or SearchListeners()
    origin = Origin(path, tuple(overrides))
    experiment = load_experiment(origin)
    section = (limits or Limits()).applied(experiment.tune or Tune())
    require_optuna("mmtrain tune")
    section = section.model_copy(update={"space": section.space or propose_space(experiment)})
    assert section.space is not None  # noqa: S101
    space = load_space(origin, section.space, experiment)
    asked = limits is not None and limits.nested and section.folds is None
    check_folds(experiment, section, "--nested" if asked else origin.place("tune", "nested" if section.folds is None else "folds"))
    _, data, split = load_checked(path, origin.overrides, progress=listeners.progress, say=listeners.say)
    check_outer_plan(experiment, section, data.table, split)
    if len(split.partitions) > 1:  # trials are compared on the validation rows of one fold; its scored rows are in no trial
        listeners.say(describe_folds(split))
        split = SplitPlan.of(split.partitions[0], description=split.description)
    if section.folds is not None:  # before TensorFlow is started
        inner_folds(experiment, data.table, split.holdout, section.folds)
    start_tensorflow()
    fitted = encode.fit(experiment.columns, data.table, split.holdout.train, experiment.training.class_weights)
    table = encode_table(experiment, data, split.holdout, fitted, listeners.say)
    # The decisions of the trial on this device hold for all trials of the search.
    decided, training_data, tuning = assemble_training(table, listeners.say)
    space = space.frozen(decided)
    run = runs.create(experiment.name, output)
    with run_lock(run), run_state(run):
        record_inputs(run, decided.model_copy(update={"tune": section}), table, split, training_data, tuning)
        save_space(run, space)
        run.seal(SEARCH_FILE)
        return _search(run, space, section, table, Clock(start, 0.0, section.minutes), code, listeners)


def resume(
    which: str | None,
    *,
    output: Path = Path("runs"),
    limits: Limits | None = None,
    code: Sequence[Path] = (),
    listeners: SearchListeners | None = None,
) -> SearchResult:
    """Continue a search that was interrupted or killed, or one that has ended with larger `limits`; only running trials are lost.

    While another process runs the search, this one runs trials next to it, until the results are written. Minutes of earlier processes
    count.

    Raises UsageError for a run that is not a search, or whose nested search another process runs.
    """
    start, listeners = time.time(), listeners or SearchListeners()
    require_optuna("mmtrain tune")
    run = runs.find(which, output)
    if not (run / SEARCH_FILE).is_file() or not (run / "split.csv").is_file():
        what = "this run is not a search, or was stopped before its first trial."
        raise UsageError(Problem(str(run.folder), what, "Begin one with `mmtrain tune CONFIG`."))
    experiment = config.load(run / "config.yaml")
    section = (limits or Limits()).applied(experiment.tune or Tune())
    table, assisted = None, None
    while True:
        with lock_unless_in_use(run) as is_first:
            if is_first and assisted is not None and run.state == "finished":
                return write_results(assisted, _seconds(run))
            if is_first:
                clock = Clock(start, _seconds(run), section.minutes)
                # At once: a process that assists meanwhile would keep the deadline of the process before, which may be over.
                run.update(deadline=clock.deadline)
                table = table or _restore(run, experiment, listeners)
                with run_state(run):
                    run.update(state="running", ended=None, error=None)
                    return _search(run, read_space(run, experiment), section, table, clock, code, listeners)
        if section.nested:
            what = "another process runs this search, whose outer folds cannot be shared."
            raise UsageError(Problem(str(run.folder), what, "Wait until that has ended, or interrupt it first."))
        if assisted is None:
            listeners.say("Another process runs this search. This one runs trials next to it.")
            table = _restore(run, experiment, listeners)
            has_limit = limits is not None and limits.minutes is not None
            deadline = Clock(start, 0.0, section.minutes).deadline if has_limit else None
            assisted = assist_search(run, read_space(run, experiment), section, table, deadline, code, listeners)
        time.sleep(POLL_SECONDS)


def _seconds(run: Run) -> float:
    """Return the seconds that earlier processes have searched."""
    seconds: float = (run.read_json("run.json").get("seconds") or {}).get("training", 0.0)
    return seconds


def _restore(run: Run, experiment: Experiment, listeners: SearchListeners) -> EncodedTable:
    """Return the encoded table of a search."""
    data, partition = restore_data(run, experiment, progress=listeners.progress, say=listeners.say, exactly=True)
    start_tensorflow()
    return encode_table(experiment, data, partition, encode.of_run(run, experiment.columns), listeners.say)


def describe_folds(plan: SplitPlan) -> str:
    """Return a sentence on the rows of trials, and whether a cross-validation of their best experiment is too optimistic."""
    first, *others = plan.partitions
    seen = np.union1d(first.train, first.validation)
    return SEEN_FOLDS if any(np.isin(one.test, seen).any() for one in others) else UNSEEN_FOLDS


def check_outer_plan(experiment: Experiment, section: Tune, table: Table, plan: SplitPlan) -> None:
    """Raise DataError before the search if its outer folds cannot be divided."""
    if section.nested:
        outer_plan(experiment, table, plan)


def _search(
    run: Run, space: SearchSpace, section: Tune, table: EncodedTable, clock: Clock, code: Sequence[Path], listeners: SearchListeners
) -> SearchResult:
    """Run the search and, with `nested`, those of the outer folds, which share the minutes."""
    track, show = track_search(run, space.experiment, listeners.say), listeners.trial

    def ended(progress: SearchProgress) -> None:
        show(progress)
        track(progress)

    tracked = replace(listeners, trial=ended)  # trials of the outer folds have numbers of their own
    if not section.nested:
        result = run_search(run, space, section, table, clock, code, tracked)
        track_finished(run, space.experiment, listeners.say, model=False)
        return result
    # From the table again, and not from split.csv, which has one partition.
    plan = outer_plan(space.experiment, table.data.table, split_rows(space.experiment, table.data.table))
    minutes = None if clock.minutes is None else clock.minutes / (len(plan.partitions) + 1)
    clock_of_search, first = replace(clock, minutes=minutes), section.model_copy(update={"minutes": minutes})
    result = run_search(run, space, first, table, clock_of_search, code, tracked)
    run.update(state="running", ended=None)
    try:
        nested = NestedSearch(run, space, section, table, plan, clock, code, listeners).run()
    finally:
        with suppress(RunError):
            run.update(seconds={"training": round(clock.seconds, 3)})
    result = add_nested(result.model_copy(update={"seconds": round(clock.seconds, 1)}), nested, space, section.minutes)
    run.update(state="finished", ended=now())
    track_finished(run, space.experiment, listeners.say, model=False)
    return result
