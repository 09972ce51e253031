"""Trials of a search: child runs `trials/<number>` that share the split, the columns and the image stores of the search's run.

Each trial is a training on the train rows of the split, scored on its validation rows. Test rows are in no partition of a trial.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mmtrain.artifacts.atomic_files import atomic_write, disk_errors
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.artifacts.search_results import TrialResult
from mmtrain.config import Experiment
from mmtrain.config.monitors import direction_of
from mmtrain.config.sections.tune import Tune
from mmtrain.data.images.store import Say
from mmtrain.errors import ConfigError, MmtrainError, Problem, RunError, counted, did_you_mean, listed
from mmtrain.pipeline.build import EncodedTable
from mmtrain.pipeline.child_run import ChildPlan, train_child
from mmtrain.pipeline.search.experiment_tree import value_at
from mmtrain.pipeline.search.inner_folds import for_trials
from mmtrain.pipeline.search.space import SearchSpace, Setting, search_score
from mmtrain.pipeline.search.study import Outcome, Study, Trial, outcome_of
from mmtrain.pipeline.train_run import TrainingResult
from mmtrain.training.listeners.events import Ended, EpochBegan, EpochEnded, Event, StepsBegan

if TYPE_CHECKING:
    from mmtrain.training.training_data import TrainingData

PRUNED = "pruned: "
"""Beginning of the reason for which a pruned training ended."""
VALIDATION_FILE = "validation.npz"
"""Predictions of the validation rows by a complete trial, in a file of NumPy: an array per target, in their order."""
MOST_ROWS = 20_000
"""Validation rows up to which predictions are kept: with more, the best of some dozen scores is hardly too optimistic."""


@dataclass(frozen=True, eq=False)
class TrialPlan(ChildPlan):
    """The plan of a trial, which keeps its predictions of the validation rows in place of its model."""

    keep_model: bool = False

    def write_results(self, child: Run, table: EncodedTable, data: TrainingData, result: TrainingResult) -> None:  # noqa: ARG002
        """Write the predictions of the kept epoch, for the correction of the best score; a pruned trial is not a candidate for it."""
        from mmtrain.model import model_file
        from mmtrain.training import checkpoints

        rows = data.partition.validation
        if result.ended.reason.startswith(PRUNED) or len(rows) > MOST_ROWS:
            return
        checkpoints.load(child / "checkpoints", "best", data.models.stored)
        predictions = model_file.predict(data.models.predictor, data.arrays, rows)
        with disk_errors(child / VALIDATION_FILE), atomic_write(child / VALIDATION_FILE, ".npz") as temporary:
            np.savez(temporary, *(predictions[key] for key in data.fitted.targets))


class OutOfTimeError(RunError):
    """Error that cuts off a trial when the minutes of the search are over."""


@dataclass(frozen=True, eq=False)
class Search:
    """A search in one of its processes."""

    run: Run
    space: SearchSpace
    section: Tune
    tables: tuple[EncodedTable, ...]
    """A table for each training of a trial, see `trial_tables`; encoded once in every process."""
    study: Study
    deadline: float | None = None
    """Time at which trials are cut off, in seconds since 1970; None for no limit."""
    say: Say = lambda _: None
    first_worker: int = 0
    """Number of the first worker of this process, which is part of the seed: no two workers draw the same values."""
    watch: Callable[[int, Event], None] = lambda _number, _event: None
    """Takes the number of a trial in this process and the events of its training."""

    def name_of(self, trial: int, fold: int) -> str:
        """Return the name of the child run of a training."""
        return f"trials/{trial}" if len(self.tables) == 1 else f"trials/{trial}-fold-{fold}"

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
    steps = training.epochs if section.folds is None else section.folds
    return Study(
        run.folder, maximize=maximize, pruner=section.pruner, seed=training.seed + worker, steps=steps, folds=section.folds is not None
    )


def save_space(run: Run, space: SearchSpace) -> None:
    """Write the space into the run of a search, without the places of its data, which may move."""
    tree = {key: value for key, value in space.tree.items() if key != "data"}
    settings = [asdict(setting) for setting in space.settings]
    facts = {"tree": tree, "settings": settings, "values": dict(space.values), "row_choices": dict(space.row_choices)}
    run.write_json(SEARCH_FILE, facts)


def read_space(run: Run, experiment: Experiment) -> SearchSpace:
    """Return the space of a search, with the data of `experiment`. Raises RunError if the file is damaged."""
    stored = run.read_json(SEARCH_FILE)
    tree = {**stored["tree"], "data": json.loads(experiment.data.model_dump_json())}
    settings = tuple(Setting(**{**one, "choices": tuple(one["choices"])}) for one in stored["settings"])
    space = SearchSpace(tree, run.folder / "config.yaml", settings, experiment, stored["values"], stored.get("row_choices", {}))
    return replace(space, experiment=space.trial_experiment({}))


def run_trials(search: Search, ended: Callable[[], None] = lambda: None) -> None:
    """Run trials in this process until there are enough or the time is up; `ended` is called after each.

    Raises Interrupted on SIGINT or SIGTERM.
    """
    while not search.time_is_up and (trial := search.study.ask(search.section.trials)) is not None:
        with trial:
            _run_trial(search, trial)
        ended()


def _run_trial(search: Search, trial: Trial) -> None:
    values = trial.suggest(search.space)
    course = _Course(search, trial)
    began = time.perf_counter()
    outcome: Outcome = "failed"
    reason = ""
    try:
        experiment = for_trials(search.space.trial_experiment(values)).untried()
        for fold, table in enumerate(search.tables):
            course.begin()
            # With one seed, first weights that happen to be good would be so in every fold, and choose a rate too low to change them.
            of_fold = experiment.decided(seed=experiment.training.seed + fold)
            plan = TrialPlan(search.name_of(trial.number, fold), of_fold, {"settings": values})
            train_child(search.run, plan, table, course.listen, search.say, course.stop)
            shutil.rmtree(search.run / plan.name / "checkpoints", ignore_errors=True)
            if course.fold_ended():
                break
        outcome = "pruned" if course.pruned else "complete" if course.mean is not None else "failed"
        reason = course.pruned or ("" if course.mean is not None else f"{search.score} is undefined in the kept epoch")
    except OutOfTimeError:
        outcome, reason = "out of time", "the minutes of the search were over"
    # Values that exclude each other, or a training that diverged or had too little memory: the search goes on.
    except (ConfigError, RunError) as error:
        if _is_full_disk(error):
            raise
        reason = error.problems[0].what
    trial.end(outcome, course.mean, seconds=round(time.perf_counter() - began, 3), values=values, reason=reason, **course.facts)


def _is_full_disk(error: MmtrainError) -> bool:
    return isinstance(error.__cause__, OSError)


class _Course:
    """Listener of the trainings of a trial: it records scores, prunes, and watches the time."""

    def __init__(self, search: Search, trial: Trial) -> None:
        self._search, self._trial = search, trial
        self._score: float | None = None
        """The optimized score at the kept epoch of the present training."""
        self._best_epoch = 0
        self._scores: list[float | None] = []
        """Of the trainings that have ended."""
        self._best_epochs: list[int] = []
        self._epochs = 0
        self.pruned = ""

    def begin(self) -> None:
        """Begin the next training."""
        self._score, self._best_epoch = None, 0

    def listen(self, event: Event) -> None:
        """Record the scores. Raises OutOfTimeError before a step after the deadline."""
        self._search.watch(self._trial.number, event)
        if isinstance(event, StepsBegan | EpochBegan) and self._search.time_is_up:
            raise OutOfTimeError(Problem(f"trial {self._trial.number}", "the minutes of the search are over."))
        if isinstance(event, EpochEnded):
            self._epochs += 1
            value = self._value(event.scores)
            if event.is_best:
                self._score, self._best_epoch = value, event.epoch
            # With folds, a trial is compared after a whole training: part of the noise of one is that of its rows.
            if len(self._search.tables) == 1 and value is not None and self._trial.report(event.epoch, value):
                self.pruned = f"{self._search.score} was {value:.4g} in epoch {event.epoch}"
        elif isinstance(event, Ended):
            self._best_epoch = event.best_epoch

    def fold_ended(self) -> bool:
        """Record the training that has ended; return True if the trial ends with it."""
        self._scores.append(self._score)
        self._best_epochs.append(self._best_epoch)
        mean, done, folds = self.mean, len(self._scores), len(self._search.tables)
        if mean is None or done == folds:
            return True
        if self._trial.report(done, mean):
            self.pruned = f"{self._search.score} was {mean:.4g} after {counted(done, 'fold')} of {folds}"
        return bool(self.pruned)

    @property
    def mean(self) -> float | None:
        """The mean score of the trainings that have ended; None before the first, and where one is undefined."""
        known = [score for score in (self._scores or [self._score]) if score is not None]
        return sum(known) / len(known) if known and len(known) == max(1, len(self._scores)) else None

    @property
    def facts(self) -> dict[str, Any]:
        """Facts for trials.csv."""
        best_epochs = self._best_epochs or [self._best_epoch]
        facts = {"best_epoch": round(sum(best_epochs) / len(best_epochs)), "epochs": self._epochs}
        return facts if len(self._search.tables) == 1 else {**facts, "fold_scores": self._scores}

    def stop(self, event: Event) -> str:
        """Return the reason to end the training with this epoch; `listen` gets each event first."""
        return f"{PRUNED}{self.pruned}" if self.pruned and isinstance(event, EpochEnded) else ""

    def _value(self, scores: dict[str, float | None]) -> float | None:
        name = self._search.score
        if name not in scores:
            hint = did_you_mean(name, scores) or f"There are {listed(list(scores))}."
            raise ConfigError(Problem("tune.score", f"no epoch has a score {name!r}.", hint))
        return scores[name]


def trial_results(study: Study, space: SearchSpace) -> list[TrialResult]:
    """Return all trials of a study."""
    file_tree = space.experiment.model_dump(mode="json")
    results = []
    for trial in study.trials():
        facts, outcome = trial.user_attrs, str(outcome_of(trial))
        is_own = bool(facts.get("own", False))
        settings = dict(facts.get("values", {}))
        if is_own:
            settings = {one.key: value_at(file_tree, one.path) for one in space.settings if space.applies(one, {})}
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
                fold_scores=facts.get("fold_scores", []),
            )
        )
    return results
