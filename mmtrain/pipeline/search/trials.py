"""Trials of a search: child runs `trials/<number>` that share the split, the columns and the image stores of the search's run.

Each trial is a training on the train rows of the split, scored on its validation rows. Test rows are in no partition of a trial.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.artifacts.search_results import TrialResult
from mmtrain.config import Experiment
from mmtrain.config.monitors import direction_of
from mmtrain.config.tune import Tune
from mmtrain.data.images.store import Say
from mmtrain.errors import ConfigError, MmtrainError, Problem, RunError, did_you_mean, listed
from mmtrain.pipeline.build import EncodedTable
from mmtrain.pipeline.child_run import ChildPlan, train_child
from mmtrain.pipeline.search.space import SearchSpace, Setting, search_score, value_at
from mmtrain.pipeline.search.study import Outcome, Study, Trial, outcome_of
from mmtrain.training.events import Ended, EpochBegan, EpochEnded, Event, StepsBegan


class OutOfTimeError(RunError):
    """The minutes of the search are over; the trial is cut off."""


@dataclass(frozen=True, eq=False)
class Search:
    """A search in one of its processes."""

    run: Run
    space: SearchSpace
    section: Tune
    table: EncodedTable
    """Encoded once in every process."""
    study: Study
    deadline: float | None = None
    """Time at which trials are cut off, in seconds since 1970; None for no limit."""
    say: Say = lambda _: None
    watch: Callable[[int, Event], None] = lambda _number, _event: None
    """Takes the number of a trial in this process and the events of its training."""

    @property
    def score(self) -> str:
        """The optimized score."""
        return search_score(self.space.experiment)

    @property
    def time_is_up(self) -> bool:
        """True if no trial may run any more."""
        return self.deadline is not None and time.time() >= self.deadline


def open_study(run: Run, space: SearchSpace, section: Tune, worker: int = 0) -> Study:
    """Open the study of a search, or begin it; each `worker` draws other values."""
    training = space.experiment.training
    maximize = direction_of(search_score(space.experiment)) == "maximize"
    return Study(run.folder, maximize=maximize, pruner=section.pruner, seed=training.seed + worker, epochs=training.epochs)


def save_space(run: Run, space: SearchSpace) -> None:
    """Write the space into the run of a search, without the places of its data, which may move."""
    tree = {key: value for key, value in space.tree.items() if key != "data"}
    run.write_json(SEARCH_FILE, {"tree": tree, "settings": [asdict(setting) for setting in space.settings], "values": dict(space.values)})


def read_space(run: Run, experiment: Experiment) -> SearchSpace:
    """Return the space of a search, with the data of `experiment`. Raises RunError if the file is damaged."""
    stored = run.read_json(SEARCH_FILE)
    tree = {**stored["tree"], "data": json.loads(experiment.data.model_dump_json())}
    settings = tuple(Setting(**{**one, "choices": tuple(one["choices"])}) for one in stored["settings"])
    space = SearchSpace(tree, run.folder / "config.yaml", settings, experiment, stored["values"])
    return replace(space, experiment=space.trial_experiment({}))


def trial_table(table: EncodedTable, space: SearchSpace) -> EncodedTable:
    """Return the table of the trials: without its test rows in the partition, and with the experiment that trials vary."""
    partition = replace(table.partition, test=table.partition.test[:0])
    return replace(table, experiment=for_trials(space.experiment), partition=partition)


def for_trials(experiment: Experiment) -> Experiment:
    """Return the experiment without callbacks, trackers and logs of TensorBoard, and without its search."""
    return experiment.decided(tensorboard=False, callbacks=(), trackers=()).model_copy(update={"tune": None})


def run_trials(search: Search, ended: Callable[[], None] = lambda: None) -> None:
    """Run trials in this process until there are enough or the time is up; `ended` is called after each.

    Raises Interrupted on SIGINT or SIGTERM.
    """
    while not search.time_is_up and (trial := search.study.ask(search.section.trials)) is not None:
        _run_trial(search, trial)
        ended()


def _run_trial(search: Search, trial: Trial) -> None:
    values = trial.suggest(search.space)
    course = _Course(search, trial)
    began = time.perf_counter()
    outcome: Outcome = "failed"
    reason = ""
    try:
        plan = ChildPlan(
            f"trials/{trial.number}",
            for_trials(search.space.trial_experiment(values)).untried(),
            {"settings": values},
            keep_model=False,
        )
        train_child(search.run, plan, search.table, course.listen, search.say, course.stop)
        outcome = "pruned" if course.pruned else "complete" if course.score is not None else "failed"
        reason = course.pruned or ("" if course.score is not None else f"{search.score} is undefined in the kept epoch")
    except OutOfTimeError:
        outcome, reason = "out of time", "the minutes of the search were over"
    # Values that exclude each other, or a training that diverged or had too little memory: the search goes on.
    except (ConfigError, RunError) as error:
        if _is_full_disk(error):
            raise
        reason = error.problems[0].what
    shutil.rmtree(search.run / f"trials/{trial.number}" / "checkpoints", ignore_errors=True)
    facts = {"values": values, "best_epoch": course.best_epoch, "epochs": course.epochs, "reason": reason}
    trial.end(outcome, course.score, seconds=round(time.perf_counter() - began, 3), **facts)


def _is_full_disk(error: MmtrainError) -> bool:
    return isinstance(error.__cause__, OSError)


class _Course:
    """Follows the training of a trial: its scores, whether it is worth going on, and the time."""

    def __init__(self, search: Search, trial: Trial) -> None:
        self._search, self._trial = search, trial
        self.score: float | None = None
        """The optimized score at the kept epoch."""
        self.best_epoch = self.epochs = 0
        self.pruned = ""

    def listen(self, event: Event) -> None:
        """Record the scores. Raises OutOfTimeError before a step after the deadline."""
        self._search.watch(self._trial.number, event)
        if isinstance(event, StepsBegan | EpochBegan) and self._search.time_is_up:
            raise OutOfTimeError(Problem(f"trial {self._trial.number}", "the minutes of the search are over."))
        if isinstance(event, EpochEnded):
            self.epochs = event.epoch
            value = self._value(event.scores)
            if event.is_best:
                self.score, self.best_epoch = value, event.epoch
            if value is not None and self._trial.report(event.epoch, value):
                self.pruned = f"{self._search.score} was {value:.4g} in epoch {event.epoch}"
        elif isinstance(event, Ended):
            self.best_epoch = event.best_epoch

    def stop(self, event: Event) -> str:
        """Return the reason to end the training with this epoch; `listen` gets each event first."""
        return f"pruned: {self.pruned}" if self.pruned and isinstance(event, EpochEnded) else ""

    def _value(self, scores: dict[str, float | None]) -> float | None:
        name = self._search.score
        if name not in scores:
            hint = did_you_mean(name, scores) or f"There are {listed(list(scores))}."
            raise ConfigError(Problem("tune.score", f"no epoch has a score {name!r}.", hint))
        return scores[name]


def trial_results(study: Study, space: SearchSpace) -> list[TrialResult]:
    """Return all trials of a study."""
    own = space.experiment.model_dump(mode="json")
    results = []
    for trial in study.trials():
        facts, outcome = trial.user_attrs, str(outcome_of(trial))
        is_own = bool(facts.get("own", False))
        settings = dict(facts.get("values", {}))
        if is_own:
            settings = {one.key: value_at(own, one.path) for one in space.settings if space.applies(one, {})}
        results.append(
            TrialResult(
                trial=trial.number,
                outcome=outcome,
                score=facts.get("score"),
                best_epoch=facts.get("best_epoch", 0),
                epochs=facts.get("epochs", 0),
                seconds=float(facts.get("seconds", 0.0)),
                settings=settings,
                own=is_own,
                reason=facts.get("reason", ""),
            )
        )
    return results
