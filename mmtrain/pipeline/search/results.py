"""Results of a search: best.yaml, trials.csv and report.html, written when it ends and also when it is interrupted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.search_results import CorrectedChoice, NestedScore, SearchResult, SettingChange, TrialResult, best_trial
from mmtrain.config import Experiment
from mmtrain.config.monitors import direction_of
from mmtrain.config.sections.tune import Tune
from mmtrain.data.tables.csv_text import csv_text
from mmtrain.errors import Problem, RunError, counted, shell_command
from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.pipeline.prepare import groups
from mmtrain.pipeline.search.experiment_tree import value_at
from mmtrain.pipeline.search.space import SearchSpace, search_score
from mmtrain.pipeline.search.trials import VALIDATION_FILE, Search, trial_results
from mmtrain.reports.pages import search_page
from mmtrain.targets import FittedTarget

if TYPE_CHECKING:
    import pandas as pd

BEST, TRIALS = "best.yaml", "trials.csv"


def write_results(search: Search, seconds: float, *, page: bool = True) -> SearchResult:
    """Write best.yaml, trials.csv and, with `page`, the report of a search that has taken `seconds`.

    Raises RunError if no trial was completed.
    """
    run, space, section = search.run, search.space, search.section
    results, score = trial_results(search.study, space), search.score
    best = best_trial(results, direction_of(score))
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
        seconds=round(seconds, 1),
    )
    run.write_text(BEST, config.to_yaml(experiment, run.folder, header=_header(result)))
    run.write_text(TRIALS, csv_text(trials_table(results, keys, score), spreadsheet=True))
    if page:
        search_page.write_page(run, result, _ranges(space), section.minutes)
    return result


def add_nested(result: SearchResult, nested: NestedScore, space: SearchSpace, minutes: float | None) -> SearchResult:
    """Return the result with its nested score, which best.yaml and the report then tell, too."""
    result = result.model_copy(update={"nested": nested})
    run, best = result.run, config.load(result.run / BEST)
    run.write_text(BEST, config.to_yaml(best, run.folder, header=_header(result)))
    search_page.write_page(run, result, _ranges(space), minutes)
    return result


def _ranges(space: SearchSpace) -> dict[str, search_page.SettingRange | None]:
    """Return the ranges of the settings by key; None for choices."""
    return {
        one.key: None if one.choices else search_page.SettingRange(float(one.number(one.low)), float(one.number(one.high)), one.log)
        for one in space.settings
    }


def read_best(run: Run, score: str) -> tuple[str, float | None, int]:
    """Return the optimized score of a search, its best value and the number of trials, from trials.csv; without it None and 0.

    `score` is its name as the experiment gives it, which may leave it to the search.
    """
    import pandas as pd

    if not (run / TRIALS).is_file():
        return score, None, 0
    table = pd.read_csv(run / TRIALS)
    score = score if score in table else str(table.columns[2])
    values = table.loc[table["outcome"] == "complete", score].dropna()
    best = None if values.empty else float(values.max() if direction_of(score) == "maximize" else values.min())
    return score, best, len(table)


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
        *(f"  {key}: {config.format_setting(one.before)} -> {config.format_setting(one.after)}" for key, one in result.changes.items()),
    ]
    return "".join(f"# {line}\n" for line in lines)


def corrected_choice(search: Search, results: Sequence[TrialResult]) -> CorrectedChoice | None:
    """Return the score of the best trial, corrected for its choice; None where it cannot be computed.

    Trials are compared as the search compares them: complete ones, by the optimized score or, for a loss, by the log loss.
    """
    complete = [one for one in results if one.outcome == "complete"]
    file_trial = next((place for place, one in enumerate(complete) if one.own), None)
    optimized = optimized_score(search.space.experiment, search.tables[0].fitted.targets)
    files = [[search.run / search.name_of(one.trial, fold) / VALIDATION_FILE for fold in range(len(search.tables))] for one in complete]
    if file_trial is None or len(complete) < 2 or optimized is None or not all(file.is_file() for some in files for file in some):
        return None
    from mmtrain.evaluation.selection_bias import ScoredPart, correct_choice

    key, score = optimized
    position = list(search.tables[0].fitted.targets).index(key)
    parts, rows = [], []
    for fold, table in enumerate(search.tables):
        target, validation = table.fitted.targets[key], table.partition.validation
        truth = table.arrays.targets[key][validation]
        known = target.known_rows(truth)
        parts.append(ScoredPart(target, truth[known], [np.load(some[fold])[f"arr_{position}"][known] for some in files]))
        rows.append(validation[known])
    scored, codes = np.concatenate(rows), groups(search.tables[0].experiment.columns, search.tables[0].data.table)
    section = search.space.experiment.evaluation
    bootstrap = Bootstrap(
        len(scored),
        groups=None if codes is None else codes[scored],
        draws=section.draws,
        confidence=section.confidence,
        seed=section.seed,
    )
    return correct_choice(parts, file_trial, score, bootstrap)


def optimized_score(experiment: Experiment, targets: Mapping[str, FittedTarget]) -> tuple[str, str] | None:
    """Return the target and the name of the optimized score; of a loss, the log loss of the first target, None if it has none."""
    name = search_score(experiment).removeprefix("validation_")
    for key, target in targets.items():
        known = {*(metric.name for metric in target.all_metrics), *target.extra_metrics}
        plain = name.removeprefix(f"{key}_") if len(targets) > 1 else name
        if plain.partition("[")[0] in known and (len(targets) == 1 or name.startswith(f"{key}_")):
            return key, plain
        if name.endswith("loss") and "log_loss" in known:
            return key, "log_loss"
    return None


def trials_table(results: Sequence[TrialResult], keys: Sequence[str], score: str) -> pd.DataFrame:
    """Return the trials as a table: a row per trial, a column per setting, empty where a trial does not have the setting."""
    import pandas as pd

    folds = any(one.fold_scores for one in results)
    rows = [
        {
            "trial": one.trial,
            "outcome": one.outcome,
            score: one.score,
            "best_epoch": one.best_epoch,
            "epochs": one.epochs,
            "seconds": one.seconds,
            **({"fold_scores": ", ".join("" if value is None else f"{value:.6g}" for value in one.fold_scores)} if folds else {}),
            **{key: config.setting_cell(one.settings.get(key)) for key in keys},
            "reason": one.reason,
        }
        for one in results
    ]
    # As objects: a whole number stays one where other trials do not have the setting.
    return pd.DataFrame(rows, dtype=object)
