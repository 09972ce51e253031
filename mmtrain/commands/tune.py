"""`mmtrain tune`: a search over settings of an experiment, and `--resume`, from a stopped search to its end.

The run of a search holds the split, the columns and the experiment that all trials share, and its trials as child runs `trials/<number>`.
Settings that the experiment leaves to a trial on this device are decided once, for all trials: else noise of timing would become noise of
scores. Its results are `best.yaml`, `trials.csv` and `report.html`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.lock import run_lock
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run, now
from mmtrain.artifacts.search_results import SearchResult, SettingChange, TrialResult
from mmtrain.config import Experiment
from mmtrain.config.monitors import direction_of
from mmtrain.config.tune import Tune
from mmtrain.config.yaml_source import NotInFile, Origin
from mmtrain.data import encode
from mmtrain.data.images.store import Progress, Say
from mmtrain.data.tables.csv_text import csv_text
from mmtrain.errors import Problem, RunError, UsageError, counted, shell_command
from mmtrain.layers.start import start_tensorflow
from mmtrain.pipeline.build import EncodedTable, assemble_training, encode_table
from mmtrain.pipeline.checks.validate import load_checked, load_experiment
from mmtrain.pipeline.restore import restore_data
from mmtrain.pipeline.run_record import record_inputs
from mmtrain.pipeline.search.proposal import propose_space
from mmtrain.pipeline.search.space import SearchSpace, load_space, search_score, value_at
from mmtrain.pipeline.search.study import Study, mend_journal, require_optuna
from mmtrain.pipeline.search.trials import (
    Search,
    corrected_choice,
    open_study,
    read_space,
    run_trials,
    save_space,
    trial_results,
    trial_table,
)
from mmtrain.pipeline.search.worker import wait, workers
from mmtrain.pipeline.train_run import run_state
from mmtrain.reports import search_page
from mmtrain.splits.plan import SplitPlan
from mmtrain.training.listeners.events import Event
from mmtrain.training.signals import Interrupted

if TYPE_CHECKING:
    import pandas as pd

BEST, TRIALS = "best.yaml", "trials.csv"
RESULT_SHARE, RESULT_SECONDS = 0.1, 6.0
"""Share of the minutes, and maximum number of seconds, reserved for the results: the page and its plots take 2 to 6 s."""
OF_FOLDS = (
    "Trials use the first fold. The other folds score rows that the search has seen, so a cross-validation of the best experiment is too "
    "optimistic; outer test rows (`split.test`) are in no trial."
)
ROUNDS = 2
"""Maximum number of attempts at the trials of worker processes that failed."""


@dataclass(frozen=True)
class SearchProgress:
    """A trial that has ended, and the search so far."""

    trial: TrialResult
    best: TrialResult | None
    ended: int
    """Number of trials that have ended."""
    trials: int
    """Maximum number of trials."""
    score: str


@dataclass(frozen=True)
class SearchListeners:
    """Functions that are called while a search runs; by default nothing happens."""

    trial: Callable[[SearchProgress], None] = lambda _: None
    began: Callable[[Run, tuple[str, ...]], None] = lambda _run, _keys: None
    """Takes the run and the keys of the space."""
    progress: Progress | None = None
    """Takes the number of images decoded so far."""
    say: Say = lambda _: None
    """Takes sentences for the user."""
    watch: Callable[[int, Event], None] = lambda _number, _event: None
    """Takes the number of a trial and the events of its training, without worker processes."""


@dataclass(frozen=True)
class Limits:
    """Limits of a search in place of those of the file; None for the file's."""

    trials: int | None = None
    minutes: float | None = None
    workers: int | None = None

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
    _, data, split = load_checked(path, origin.overrides, progress=listeners.progress, say=listeners.say)
    if len(split.partitions) > 1:  # trials are compared on the validation rows of one fold; its scored rows are in no trial
        split = SplitPlan.of(split.partitions[0], description=split.description)
        listeners.say(OF_FOLDS)
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
        return _run_search(run, space, section, table, _Clock(start, 0.0, section.minutes), code, listeners)


def resume(
    which: str | None,
    *,
    output: Path = Path("runs"),
    limits: Limits | None = None,
    code: Sequence[Path] = (),
    listeners: SearchListeners | None = None,
) -> SearchResult:
    """Continue a search that was interrupted or killed, or one that has ended with larger `limits`; only running trials are lost.

    Minutes of earlier processes count. Raises UsageError for a run that is not a search, or is in use by another process.
    """
    start, listeners = time.time(), listeners or SearchListeners()
    require_optuna("mmtrain tune")
    run = runs.find(which, output)
    if not (run / SEARCH_FILE).is_file() or not (run / "split.csv").is_file():
        what = "this run is not a search, or was stopped before its first trial."
        raise UsageError(Problem(str(run.folder), what, "Begin one with `mmtrain tune CONFIG`."))
    with run_lock(run):
        experiment = config.load(run / "config.yaml")
        section = (limits or Limits()).applied(experiment.tune or Tune())
        data, partition = restore_data(run, experiment, progress=listeners.progress, say=listeners.say, exactly=True)
        start_tensorflow()
        table = encode_table(experiment, data, partition, encode.of_run(run, experiment.columns), listeners.say)
        space = read_space(run, experiment)
        with run_state(run):
            seconds = (run.read_json("run.json").get("seconds") or {}).get("training", 0.0)
            run.update(state="running", ended=None, error=None)
            return _run_search(run, space, section, table, _Clock(start, seconds, section.minutes), code, listeners)


@dataclass(frozen=True)
class _Clock:
    """The time of a search."""

    start: float
    """Start of this process, in seconds since 1970."""
    before: float
    """Seconds of the processes before."""
    minutes: float | None

    @property
    def seconds(self) -> float:
        """Seconds so far, of all processes."""
        return self.before + time.time() - self.start

    @property
    def deadline(self) -> float | None:
        """Time at which the trials have to end, in seconds since 1970, so that the results are written within the minutes."""
        if self.minutes is None:
            return None
        allowed = 60 * self.minutes
        return self.start - self.before + allowed - min(RESULT_SECONDS, RESULT_SHARE * allowed)


def _run_search(
    run: Run, space: SearchSpace, section: Tune, table: EncodedTable, clock: _Clock, code: Sequence[Path], listeners: SearchListeners
) -> SearchResult:
    mend_journal(run.folder)
    study = open_study(run, space, section)
    study.begin(space)
    study.repeat_lost()
    listeners.began(run, tuple(setting.key for setting in space.settings))
    reporter = _Reporter(study, space, section.trials, listeners)
    search = Search(run, space, section, trial_table(table, space), study, clock.deadline, watch=listeners.watch)
    try:
        if section.workers == 1:
            run_trials(search, reporter.report)
        else:
            _run_workers(search, code, reporter)
    except Interrupted:
        with suppress(RunError):  # without a complete trial there are no results yet
            _write_results(search, clock)
        raise
    finally:
        # Also for a search that is interrupted, since its minutes count when it is resumed.
        with suppress(RunError):
            run.update(seconds={"training": round(clock.seconds, 3)})
    result = _write_results(search, clock)
    run.update(state="finished", ended=now())
    return result


def _run_workers(search: Search, code: Sequence[Path], reporter: _Reporter) -> None:
    """Run the trials in worker processes, and those of a process that failed once more."""
    failure = ""
    for _ in range(ROUNDS):
        with workers(search, code) as running:
            wait(running, search, reporter.report)
            failure = next((worker.failure for worker in running if worker.failure), "")
        if search.time_is_up or not search.study.repeat_lost():
            break
    if failure and any(one.outcome == "complete" for one in reporter.results()):
        reporter.listeners.say(f"warning: a worker process failed: {failure}")
    elif failure:
        raise RunError(Problem(str(search.run.folder), f"every worker process failed: {failure}"))


class _Reporter:
    """Reports every trial once it has ended."""

    def __init__(self, study: Study, space: SearchSpace, most: int, listeners: SearchListeners) -> None:
        self.study, self.space, self.most, self.listeners = study, space, most, listeners
        self.reported = {one.trial for one in self.results() if one.outcome != "running"}

    def results(self) -> list[TrialResult]:
        """Return all trials."""
        return trial_results(self.study, self.space)

    def report(self) -> None:
        """Report the trials that have ended since the last call."""
        results = self.results()
        for one in results:
            if one.outcome != "running" and one.trial not in self.reported:
                self.reported.add(one.trial)
                ended = sum(other.outcome in ("complete", "pruned", "failed") for other in results)
                score = search_score(self.space.experiment)
                self.listeners.trial(SearchProgress(one, best_trial(results, score), ended, self.most, score))


def best_trial(results: Sequence[TrialResult], score: str) -> TrialResult | None:
    """Return the complete trial with the best score, the first of equal ones; None without complete trials."""
    complete = [one for one in results if one.outcome == "complete" and one.score is not None]
    sign = -1.0 if direction_of(score) == "maximize" else 1.0
    return min(complete, key=lambda one: sign * (one.score or 0.0), default=None)


def _write_results(search: Search, clock: _Clock) -> SearchResult:
    """Write best.yaml, trials.csv and the report. Raises RunError if no trial was completed."""
    run, space, section = search.run, search.space, search.section
    results, score = trial_results(search.study, space), search.score
    best = best_trial(results, score)
    if best is None:
        raise RunError(_no_complete_trial(run, results, section))
    file_trial = next((one for one in results if one.own and one.outcome == "complete"), None)
    experiment = space.trial_experiment({} if best.own else best.settings).model_copy(update={"tune": None})
    keys = [setting.key for setting in space.settings]
    result = SearchResult(
        run=run,
        score=score,
        direction=direction_of(score),
        trials=results,
        best=best,
        own_score=None if file_trial is None else file_trial.score,
        corrected=corrected_choice(search, results),
        changes=_changes(space, experiment),
        importance=search.study.importance(),
        experiment=run / BEST,
        table=run / TRIALS,
        report=run / "report.html",
        seconds=round(clock.seconds, 1),
    )
    run.write_text(BEST, config.to_yaml(experiment, run.folder, header=_header(result)))
    run.write_text(TRIALS, csv_text(trials_table(results, keys, score), spreadsheet=True))
    search_page.write_page(run, result, keys, section.minutes)
    return result


def _no_complete_trial(run: Run, results: Sequence[TrialResult], section: Tune) -> Problem:
    failed = next((one.reason for one in results if one.outcome == "failed" and one.reason), "")
    if failed:
        return Problem(str(run.folder), f"every trial failed; the first one: {failed}", "Try the experiment alone: `mmtrain fit`.")
    allowed = "" if section.minutes is None else f" within {section.minutes:g} minutes"
    fix = f"Give it more time: {shell_command('tune', '--resume', run.folder, '--minutes', 'MINUTES')}"
    return Problem(str(run.folder), f"no trial was completed{allowed}.", fix)


def _changes(space: SearchSpace, best: Experiment) -> dict[str, SettingChange]:
    trees = [experiment.model_dump(mode="json") for experiment in (space.experiment, best)]
    values = {setting.key: [value_at(tree, setting.path) for tree in trees] for setting in space.settings}
    return {key: SettingChange(before=before, after=after) for key, (before, after) in values.items() if before != after}


def _header(result: SearchResult) -> str:
    """Return the comments at the top of best.yaml."""
    best, best_score = result.best, f"{result.score} {result.best.score:.4g}"
    file_score = "" if result.own_score is None or best.own else f"; the file's own values: {result.own_score:.4g}"
    lines = [
        f"Search {result.run}, the best of {counted(len(result.trials), 'trial')}: trial {best.trial}, {best_score} on validation rows"
        f"{file_score}.",
        *search_page.describe_correction(result),
        "Changed, from the experiment file to this one:" if result.changes else "Nothing is changed: the experiment file is the best.",
        *(
            f"  {key}: {search_page.format_setting(one.before)} -> {search_page.format_setting(one.after)}"
            for key, one in result.changes.items()
        ),
    ]
    return "".join(f"# {line}\n" for line in lines)


def trials_table(results: Sequence[TrialResult], keys: Sequence[str], score: str) -> pd.DataFrame:
    """Return the trials as a table: a row per trial, a column per setting, empty where a trial does not have the setting."""
    import pandas as pd

    rows = [
        {
            "trial": one.trial,
            "outcome": one.outcome,
            score: one.score,
            "best_epoch": one.best_epoch,
            "epochs": one.epochs,
            "seconds": one.seconds,
            **{key: _cell(one.settings.get(key)) for key in keys},
            "reason": one.reason,
        }
        for one in results
    ]
    # As objects: a whole number stays one where other trials do not have the setting.
    return pd.DataFrame(rows, dtype=object)


def _cell(value: Any) -> Any:
    return search_page.format_setting(value) if isinstance(value, list | dict) else value
