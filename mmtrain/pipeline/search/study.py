"""The study of a search: Optuna's sampler and pruner over one append-only file in the run folder, shared by several processes.

Optuna proposes values by the tree-structured Parzen estimator (Bergstra et al. 2011), with the constant liar for trials that run at the
same time. Every change is a line of `journal.log`, so that a killed process loses the trials that it was running and nothing else.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Literal, Self

from mmtrain.artifacts.atomic_files import disk_errors
from mmtrain.errors import ConfigError, Problem
from mmtrain.layers.start import hidden
from mmtrain.pipeline.search.journal import JOURNAL, JOURNAL_LOCK, FileLock
from mmtrain.pipeline.search.space import SearchSpace, Setting

if TYPE_CHECKING:
    import optuna

STUDY_NAME = "search"
RANDOM_TRIALS = 8
"""Trials before the sampler models the scores; Optuna's default of 10 is half of a short search."""
FULL_TRIALS = 4
"""Trials that have to end before the median prunes one."""
SEED_STEP = 1_000
"""Added to the sampler's seed for every trial that the study has when it is opened; more than there are workers."""
IMPORTANT_QUANTILE = 0.25
"""Share of the trials that counts as good in the importance of settings; of 20 trials, 5."""

Outcome = Literal["complete", "pruned", "failed", "out of time", "lost", "running"]
ENDED: Mapping[Outcome, str] = {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "PRUNED", "out of time": "FAIL", "lost": "FAIL"}
"""Optuna's state for each outcome. A failed trial, one that diverged for example, counts as worse than all others, so that the sampler
avoids its values; one that was cut off says nothing about them."""
UNCOUNTED = ("lost", "out of time")
"""Outcomes of trials that are repeated when the search goes on."""


def require_optuna(place: str) -> None:
    """Raise ConfigError if Optuna is not installed."""
    from importlib.util import find_spec

    if find_spec("optuna") is None:
        raise ConfigError(Problem(place, "a search needs Optuna, which is not installed.", "Run `pip install 'mmtrain[tune]'`."))


class Study:
    """The trials of a search, in the order of their beginnings."""

    def __init__(self, folder: Path, *, maximize: bool, pruner: str, seed: int, steps: int, folds: bool = False) -> None:
        """Open the study in a run folder, or begin it.

        Args:
            folder: The run folder, which holds the journal.
            maximize: True if larger scores are better.
            pruner: As in the section `tune`.
            seed: Seed of the sampler. With several workers the values depend on the order in which trials end, too.
            steps: Maximum number of reports of a trial: epochs or, with `folds`, trainings.
            folds: True if trials report the mean over their trainings so far, and not the score of an epoch.

        """
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._folder, self._lock = folder, FileLock(folder / f".{JOURNAL}.trials")
        with disk_errors(folder / JOURNAL):
            backend = JournalFileBackend(str(folder / JOURNAL), lock_obj=FileLock(folder / JOURNAL_LOCK))  # type: ignore[arg-type]
            self._study = optuna.create_study(
                study_name=STUDY_NAME,
                storage=JournalStorage(backend),
                pruner=_pruner(pruner, steps, folds=folds),
                direction="maximize" if maximize else "minimize",
                load_if_exists=True,
            )
        # A resumed search with the same seed would draw the same values again.
        seed += SEED_STEP * len(self._study.get_trials(deepcopy=False))
        with warnings.catch_warnings():
            # The constant liar is experimental in Optuna's words, and since version 2.8 unchanged.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=True)

    def begin(self, space: SearchSpace) -> None:
        """Make the file's own values the first trial, unless the study has trials already."""
        if not self._study.get_trials(deepcopy=False):
            stored = {key: _stored_value(space, key, value) for key, value in space.values.items()}
            self._study.enqueue_trial(stored, user_attrs={"own": True})

    def ask(self, most: int) -> Trial | None:
        """Begin the next trial; None if there are `most` trials already, not counting `UNCOUNTED`."""
        with self._exclusive():
            begun = sum(outcome_of(trial) not in (*UNCOUNTED, "waiting") for trial in self._study.get_trials(deepcopy=False))
            if begun >= most:
                return None
            trial = self._study.ask()
            return Trial(trial, self._study, self._lock_of(trial.number))

    def repeat_lost(self) -> int:
        """Ask again for the values of trials that were lost with their process or cut off; return their number."""
        from optuna.trial import TrialState

        with self._exclusive():
            for number in self._running():
                if not self._lock_of(number).is_held():
                    self._study.tell(number, state=TrialState.FAIL)
                    self._lock_of(number).remove()
            trials = self._study.get_trials(deepcopy=False)
            repeated = {trial.user_attrs.get("repeats") for trial in trials}
            lost = [trial for trial in trials if outcome_of(trial) in UNCOUNTED and trial.number not in repeated]
            for trial in lost:
                attributes = {name: trial.user_attrs[name] for name in ("own",) if name in trial.user_attrs}
                self._study.enqueue_trial(trial.params, user_attrs={**attributes, "repeats": trial.number})
        return len(lost)

    def is_running(self) -> bool:
        """Return whether any process runs a trial."""
        return any(self._lock_of(number).is_held() for number in self._running())

    def has_begun(self) -> bool:
        """Return whether the study has any trial."""
        return bool(self._study.get_trials(deepcopy=False))

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """Return all trials that have begun."""
        return [trial for trial in self._study.get_trials(deepcopy=False) if outcome_of(trial) != "waiting"]

    def importance(self) -> dict[str, float]:
        """Return the share of each setting in what distinguishes good trials, largest first; empty where there are too few trials.

        PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255): the difference between the values of the best quarter of the trials and those
        of all, summing to 1.
        """
        from optuna.trial import TrialState

        # For other measures than this one, Optuna would import it: 1.5 s.
        with hidden(("sklearn",)):
            from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(complete) < 2 * RANDOM_TRIALS or len({trial.value for trial in complete}) < 2:
            return {}
        evaluator = PedAnovaImportanceEvaluator(target_quantile=IMPORTANT_QUANTILE, evaluate_on_local=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a setting of one architecture only has few trials, which the figures show
            shares = get_param_importances(self._study, evaluator=evaluator)
        return {key: float(share) for key, share in shares.items()} if all(map(math.isfinite, shares.values())) else {}

    def _running(self) -> list[int]:
        """Return the numbers of the trials without an end in the journal; their processes may be lost."""
        from optuna.trial import TrialState

        return [trial.number for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]

    def _lock_of(self, trial: int) -> FileLock:
        """Return the lock that the process of a trial holds while it runs."""
        return FileLock(self._folder / f".trial-{trial}.lock")

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other workers from beginning a trial in the block, so that their number never exceeds the limit."""
        self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()


class Trial:
    """A trial that runs in this process; a context manager with a lock that shows this to other processes."""

    def __init__(self, trial: optuna.trial.Trial, study: optuna.Study, lock: FileLock) -> None:
        self._trial, self._study, self._lock = trial, study, lock
        lock.acquire()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def number(self) -> int:
        """Its number, from 0."""
        return self._trial.number

    @property
    def is_own(self) -> bool:
        """True for the trial of the file's own values."""
        return bool(self._trial.user_attrs.get("own", False))

    def suggest(self, space: SearchSpace) -> dict[str, Any]:
        """Return values of the settings, those that choose a section first; options of other sections are left out.

        The trial of the file's own values changes nothing, also where the space does not include them.
        """
        values: dict[str, Any] = {}
        for setting in sorted(space.settings, key=lambda one: not one.chooses_section):
            if (self.is_own and setting.key not in space.values) or not space.applies(setting, {} if self.is_own else values):
                continue
            value = self._suggest(setting)
            if not self.is_own:
                values[setting.key] = value
        return values

    def _suggest(self, setting: Setting) -> Any:
        if setting.choices:
            # Optuna compares choices by equality and stores texts and numbers only.
            return json.loads(self._trial.suggest_categorical(setting.key, [json.dumps(choice) for choice in setting.choices]))
        if setting.whole:
            return self._trial.suggest_int(setting.key, int(setting.low), int(setting.high), log=setting.log)
        return setting.number(self._trial.suggest_float(setting.key, setting.low, setting.high, log=setting.log))

    def report(self, epoch: int, score: float) -> bool:
        """Record the score of an epoch; return True if the trial should end with it."""
        self._trial.report(score, epoch)
        return self._trial.should_prune()

    def end(self, outcome: Outcome, score: float | None = None, **facts: Any) -> None:
        """Record the outcome, with the score of a complete trial, and facts for `trials.csv`."""
        from optuna.trial import TrialState

        for name, fact in {"outcome": outcome, "score": score, **facts}.items():
            self._trial.set_user_attr(name, fact)
        self._study.tell(self._trial, score if outcome == "complete" else None, state=TrialState[ENDED[outcome]])
        self._lock.remove()


def outcome_of(trial: optuna.trial.FrozenTrial) -> Outcome | Literal["waiting"]:
    """Return the outcome of a trial; one that has ended without any was lost with its process."""
    if trial.state.name == "WAITING":
        return "waiting"
    outcome: Outcome = trial.user_attrs.get("outcome", "lost") if trial.state.is_finished() else "running"
    return outcome


def _stored_value(space: SearchSpace, key: str, value: Any) -> Any:
    setting = next(one for one in space.settings if one.key == key)
    return json.dumps(value) if setting.choices else value


def _pruner(name: str, steps: int, *, folds: bool) -> optuna.pruners.BasePruner:
    import optuna

    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=max(1, steps // 9), max_resource=steps)
    if name == "none":
        return optuna.pruners.NopPruner()
    # Not in the first third of the epochs: networks with small rates are slow at first, and schedules gain most at their end.
    first = 1 if folds else max(2, steps // 3)
    value_until = _mean_until if folds else _best_until

    class MedianOfAll(optuna.pruners.BasePruner):
        """Prune a trial whose best score so far, or with folds its mean so far, is worse than the median of all trials.

        Optuna's own rule compares with complete trials only, those that were never below it: on the clinic data it pruned 15 of 20.
        """

        def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
            step = trial.last_step
            if step is None or step < first:
                return False
            from optuna.trial import TrialState

            sign = 1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0
            ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
            others = [value_until(one, step, sign) for one in ended]
            return len(others) >= FULL_TRIALS and value_until(trial, step, sign) < median(others)

    return MedianOfAll()


def _best_until(trial: optuna.trial.FrozenTrial, epoch: int, sign: float) -> float:
    """Return the best score until an epoch times `sign`; a pruned trial keeps its own, one that failed is worse than all."""
    return max((sign * value for step, value in trial.intermediate_values.items() if step <= epoch), default=-math.inf)


def _mean_until(trial: optuna.trial.FrozenTrial, fold: int, sign: float) -> float:
    """Return the mean over the first folds times `sign`; a pruned trial keeps its last one, one that failed is worse than all."""
    means = trial.intermediate_values
    return sign * means[max(step for step in means if step <= fold)] if means else -math.inf
