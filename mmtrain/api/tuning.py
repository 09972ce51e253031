"""`mmtrain.tune`: a search over settings of an experiment, and its result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mmtrain.api import progress as progress_display
from mmtrain.api.inputs import ExperimentLike, Overrides, PathOrText, TableLike, as_path, as_table, experiment_argument, named_as_given
from mmtrain.api.notebook import Report, Result
from mmtrain.api.results import TrainedRun

if TYPE_CHECKING:
    from mmtrain.artifacts.search_results import SearchResult
    from mmtrain.cli.views.training_progress import Display
    from mmtrain.config import Experiment
    from mmtrain.pipeline.search.run_search import SearchListeners


def tune(
    experiment: ExperimentLike,
    table: TableLike | None = None,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    workers: int | None = None,
    nested: bool = False,
    images: PathOrText | None = None,
    overrides: Overrides = (),
    output: PathOrText = "runs",
    progress: bool = True,
) -> Search:
    """Search better settings for an experiment: trials with other values, compared on validation rows.

    The section `tune` of the experiment names the settings and their values; without it, a few that suit the columns are varied. The
    first trial has the experiment's own values. Rows of the test split are never used.

    Args:
        experiment: A path, a dictionary of the file's shape, or an `Experiment`.
        table: A path or a DataFrame, in place of the experiment's `data.table`.
        trials: Maximum number of trials, in place of `tune.trials`.
        minutes: Maximum duration, in place of `tune.minutes`.
        workers: Processes that train at the same time, in place of `tune.workers`.
        nested: Repeat the search in outer folds, and score what it finds on rows that it has not seen.
        images: The folder that image cells are relative to, in place of `data.images`.
        overrides: Values in place of those of the experiment: `{"tune.pruner": "none"}`.
        output: The folder that holds the runs.
        progress: Show the progress.

    Returns:
        The search: `trials` and `importance` as DataFrames, `best`, the best experiment, `fit` to train it.

    Raises:
        ConfigError: the experiment or its space has mistakes, or Optuna is not installed.
        DataError: the table or its images have mistakes.
        RunError: no trial was completed.
        KeyboardInterrupt: the search was interrupted; `mmtrain tune --resume` continues it.

    Example:
        search = mmtrain.tune("clinic.yaml", minutes=30)
        search.fit().evaluate()

    """
    from mmtrain.commands.tune import Limits
    from mmtrain.commands.tune import tune as run_search

    request = experiment_argument(experiment, overrides)
    file = None if table is None else as_table(table, output)
    request = request.on(file, images)
    with named_as_given(file), progress_display.watching(progress) as shown:
        limits = Limits(trials, minutes, workers, nested or None)
        result = run_search(request.source, overrides=request.overrides, output=as_path(output), limits=limits, listeners=_listeners(shown))
    return Search(result)


def _listeners(shown: Display) -> SearchListeners:
    from mmtrain.pipeline.search.run_search import SearchListeners

    return SearchListeners(trial=lambda one: shown.say(one.line()), progress=shown.images, say=shown.say)


class Search(Result):
    """A search over settings of an experiment: its trials and the best of them."""

    def __init__(self, done: SearchResult) -> None:
        self._done = done
        self.folder: Path = done.run.folder
        self.score: str = done.score
        """The optimized score of validation rows."""
        self.best_score: float | None = done.best.score
        """Its value in the best trial; the best of many scores is too optimistic."""
        self.own_score: float | None = done.own_score
        """Its value with the experiment's own settings; None if that trial was not completed."""

        self.corrected_score: float | None = None if done.corrected is None else done.corrected.value
        """The score of the best trial, corrected for its choice on the rows that score it; None where it cannot be computed."""

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial: outcome, score, epochs, seconds and a column for each setting, None where a trial does not have it."""
        from mmtrain.pipeline.search.results import trials_table

        keys = list(dict.fromkeys(key for one in self._done.trials for key in one.settings))
        return trials_table(self._done.trials, keys, self._done.score)

    @property
    def nested(self) -> pd.DataFrame:
        """One row per outer fold: `fold, trials, best, score`, the last on rows that the search of the fold has not seen."""
        folds = [] if self._done.nested is None else self._done.nested.folds
        return pd.DataFrame([(one.fold, one.trials, one.best, one.score) for one in folds], columns=["fold", "trials", "best", "score"])

    @property
    def importance(self) -> pd.DataFrame:
        """Share of each setting in what distinguishes good trials (PED-ANOVA): `setting, share`; empty where there are few trials."""
        return pd.DataFrame(list(self._done.importance.items()), columns=["setting", "share"])

    @property
    def changes(self) -> pd.DataFrame:
        """Settings of the best trial that differ from the experiment: `setting, before, after`."""
        rows = [{"setting": key, "before": one.before, "after": one.after} for key, one in self._done.changes.items()]
        return pd.DataFrame(rows, columns=["setting", "before", "after"], dtype=object)

    @cached_property
    def best(self) -> Experiment:
        """The experiment of the best trial, every default written out."""
        from mmtrain import config

        return config.load(self._done.experiment)

    @property
    def report(self) -> Report:
        """The report of the search; a notebook shows the page."""
        return Report(self._done.report)

    def fit(self, *, output: PathOrText | None = None, progress: bool = True) -> TrainedRun:
        """Train the best experiment; see `mmtrain.fit`. `output` is by default the folder of the search."""
        from mmtrain.api.experiments import fit

        folder = self.folder.parent.parent if output is None else output
        return fit(self._done.experiment, output=folder, progress=progress)

    def resume(self, *, trials: int | None = None, minutes: float | None = None, progress: bool = True) -> Search:
        """Continue the search with more trials or minutes in all; see `mmtrain tune --resume`."""
        from mmtrain.commands.tune import Limits
        from mmtrain.commands.tune import resume as go_on

        with progress_display.watching(progress) as shown:
            return Search(go_on(str(self.folder), limits=Limits(trials, minutes), listeners=_listeners(shown)))

    def _title(self) -> str:
        return f"mmtrain search {self.folder}"

    def _lines(self) -> Iterable[str]:
        from mmtrain.reports.pages.search_page import count_outcomes, describe_correction
        from mmtrain.reports.wording import decimals

        best = "" if self.best_score is None else f"; best {self.score} {decimals(self.best_score)} in trial {self._done.best.trial}"
        file_score = "" if self.own_score is None else f", the experiment's own settings {decimals(self.own_score)}"
        return (f"{count_outcomes(self._done.trials)}{best}{file_score}", *describe_correction(self._done))

    def _tables(self) -> Mapping[str, pd.DataFrame]:
        return {"Changes": self.changes.map(str), "Importance": self.importance}
