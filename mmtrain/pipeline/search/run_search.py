"""One search from its first trial, or from where it was stopped, to its results, in this process or in several."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from mmtrain.artifacts.lock import is_locked
from mmtrain.artifacts.run_folder import Run, now
from mmtrain.artifacts.search_results import SearchResult, TrialResult, best_trial
from mmtrain.config.load import format_setting
from mmtrain.config.monitors import direction_of
from mmtrain.config.sections.tune import Tune
from mmtrain.data.images.store import Progress, Say
from mmtrain.errors import Problem, RunError
from mmtrain.pipeline.build import EncodedTable
from mmtrain.pipeline.search.inner_folds import trial_tables
from mmtrain.pipeline.search.journal import mend_journal
from mmtrain.pipeline.search.results import write_results
from mmtrain.pipeline.search.space import SearchSpace, search_score
from mmtrain.pipeline.search.study import Study
from mmtrain.pipeline.search.trials import Search, open_study, run_trials, trial_results
from mmtrain.pipeline.search.worker import wait, workers
from mmtrain.reports.wording import score_text
from mmtrain.system.worker_process import POLL_SECONDS
from mmtrain.training.listeners.events import Event
from mmtrain.training.signals import Interrupted

RESULT_SHARE, RESULT_SECONDS = 0.1, 6.0
"""Share of the minutes, and maximum number of seconds, reserved for the results: the page and its plots take 2 to 6 s."""
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

    def line(self) -> str:
        """Return the line about the trial: `trial 3 (4/40)  complete  validation_auc 0.812  best 0.831 (trial 1)  ...`."""
        one, best = self.trial, self.best
        words = [f"trial {one.trial} ({self.ended}/{self.trials})", one.outcome]
        words += [] if one.score is None else [f"{self.score} {score_text(one.score)}"]
        words += [] if best is None else [f"best {score_text(best.score)} (trial {best.trial})"]
        # The last two keys of a setting say which it is, in the order of the space.
        settings = ", ".join(f"{'.'.join(key.split('.')[-2:])} {format_setting(value)}" for key, value in one.settings.items())
        words += [f"{one.seconds:.0f} s", "the file's own values" if one.own else settings]
        return "  ".join([*words, one.reason] if one.outcome == "failed" else words)


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
    """Takes the number of a trial and the events of its training; it is not called with several worker processes."""


@dataclass(frozen=True)
class Clock:
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


def run_search(
    run: Run,
    space: SearchSpace,
    section: Tune,
    table: EncodedTable,
    clock: Clock,
    code: Sequence[Path],
    listeners: SearchListeners,
    *,
    page: bool = True,
) -> SearchResult:
    """Run the trials that are left of the search in `run`, and write its results.

    Args:
        run: The run of the search, which has its inputs and its space.
        space: The settings that trials vary.
        section: Limits and rules.
        table: The encoded table; trials see its train and validation rows.
        clock: The time that the search has.
        code: Files with registrations of the user, which worker processes import.
        listeners: Functions that are called meanwhile.
        page: Write the report.

    Raises RunError if no trial was completed, Interrupted on SIGINT or SIGTERM.
    """
    run.update(deadline=clock.deadline)  # before the first trial, at which processes that assist read it
    mend_journal(run.folder)
    study = open_study(run, space, section)
    study.begin(space)
    study.repeat_lost()
    listeners.began(run, tuple(setting.key for setting in space.settings))
    reporter = _Reporter(study, space, section.trials, listeners)
    search = Search(run, space, section, trial_tables(table, space, section, listeners.say), study, clock.deadline, watch=listeners.watch)
    try:
        _run_trials(search, code, reporter)
        while _wait_for_others(search, reporter) and study.repeat_lost():
            _run_trials(search, code, reporter)
    except Interrupted:
        with suppress(RunError):  # without a complete trial there are no results yet
            write_results(search, clock.seconds, page=page)
        raise
    finally:
        # Also for a search that is interrupted, since its minutes count when it is resumed.
        with suppress(RunError):
            run.update(seconds={"training": round(clock.seconds, 3)})
    result = write_results(search, clock.seconds, page=page)
    run.update(state="finished", ended=now())
    return result


def assist_search(
    run: Run,
    space: SearchSpace,
    section: Tune,
    table: EncodedTable,
    deadline: float | None,
    code: Sequence[Path],
    listeners: SearchListeners,
) -> Search:
    """Run trials of a search that another process has begun, until no more are to be begun.

    `deadline` is that of this process, a time in seconds since 1970; None for that of the search. The other arguments are those of
    `run_search`.

    Raises RunError if its worker processes fail, Interrupted on SIGINT or SIGTERM.
    """
    number = crc32(f"{platform.node()} {os.getpid()}".encode()) % 2**30
    study = open_study(run, space, section, worker=number)
    while not study.has_begun() and is_locked(run):
        time.sleep(POLL_SECONDS)
    listeners.began(run, tuple(setting.key for setting in space.settings))
    tables = trial_tables(table, space, section, listeners.say)
    deadline = run.read("run.json").deadline if deadline is None else deadline
    search = Search(run, space, section, tables, study, deadline, first_worker=number, watch=listeners.watch)
    _run_trials(search, code, _Reporter(study, space, section.trials, listeners))
    return search


def _run_trials(search: Search, code: Sequence[Path], reporter: _Reporter) -> None:
    """Run trials in this process, or in several, until no more are to be begun."""
    if search.section.workers == 1:
        run_trials(search, reporter.report)
    else:
        _run_workers(search, code, reporter)


def _wait_for_others(search: Search, reporter: _Reporter) -> bool:
    """Wait for the trials of other processes; return whether there is time for more."""
    while search.study.is_running() and not search.time_is_up:
        reporter.report()
        time.sleep(POLL_SECONDS)
    reporter.report()
    return not search.time_is_up


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
                self.listeners.trial(SearchProgress(one, best_trial(results, direction_of(score)), ended, self.most, score))
