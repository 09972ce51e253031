"""`mmtrain runs`: all runs of a folder, from their files alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mmtrain.artifacts.group_results import MemberScores
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.artifacts.run_lists import RunEntry, RunList
from mmtrain.artifacts.run_schema.run_facts import EvaluationRecord, RunFacts
from mmtrain.artifacts.runs import run_folders
from mmtrain.errors import MmtrainError, Problem, UsageError, did_you_mean, listed
from mmtrain.evaluation import scoring
from mmtrain.metrics.score import Score
from mmtrain.pipeline.groups.results import CROSS_VALIDATION
from mmtrain.pipeline.search.experiment_tree import value_at
from mmtrain.pipeline.search.results import read_best
from mmtrain.targets import TaskTraits, tasks

FOLDS_PART = "folds"
"""Name, in place of that of a part, of the scores of cross-validation."""
VALIDATION = "validation"


def list_runs(name: str | None = None, *, output: Path = Path("runs")) -> RunList:
    """Return the runs under `output`, or those of a name, the latest first. Raises UsageError if there are none."""
    folders = run_folders(output)
    if name is not None:
        named = [folder for folder in folders if folder.parent.name == name]
        if not named:
            names = sorted({folder.parent.name for folder in folders})
            hint = did_you_mean(name, names) or (f"Under {output} there are {listed(names)}." if names else "Train one with `mmtrain fit`.")
            raise UsageError(Problem(name, f"there are no runs of this name under {output}.", hint))
        folders = named
    if not folders:
        raise UsageError(Problem(str(output), "the folder holds no runs.", "Train one with `mmtrain fit CONFIG`, or name its folder."))
    entries = [describe_run(Run(folder)) for folder in folders]
    return RunList(output=str(output), runs=sorted(entries, key=lambda one: one.started, reverse=True))


def describe_run(run: Run) -> RunEntry:
    """Return the entry of a run; one whose files cannot be read is `damaged`."""
    try:
        return _entry(run)
    except (MmtrainError, OSError, yaml.YAMLError) as error:
        problem = error.problems[0].what if isinstance(error, MmtrainError) else str(error)
        return RunEntry(
            run=run,
            name=str(run),
            kind="training",
            state="damaged",
            started="",
            minutes=None,
            parameters=0,
            epochs=0,
            monitor="",
            value=None,
            scored={},
            problem=problem,
        )


def _entry(run: Run) -> RunEntry:
    facts: RunFacts = run.read("run.json")
    is_search, is_group = (run / SEARCH_FILE).is_file(), bool(facts.members)
    tree = _tree(run)
    monitor = value_at(tree, ("training", "early_stopping", "monitor")) or ""
    if is_search:
        monitor, value, epochs = read_best(run, value_at(tree, ("tune", "score")) or monitor)
    else:
        value, epochs = best_epoch_scores(run, facts).get(monitor), facts.epochs
    looked = [look.part for look in facts.evaluations or () if _is_current(look, facts)]
    looked = [FOLDS_PART, *looked] if is_group else looked
    scored = {part: _first_score(run, part, monitor) for part in looked}
    networks = [] if is_search else [run.child(one.name) for one in facts.members or ()] or [run]
    return RunEntry(
        run=run,
        name=str(run),
        kind="search" if is_search else "group" if is_group else "training",
        state=facts.state,
        started=facts.started,
        minutes=None if facts.seconds is None else round(facts.seconds.training / 60, 3),
        parameters=sum(map(_parameters, networks)),
        epochs=epochs,
        monitor=monitor,
        value=value,
        scored={part: score for part, score in scored.items() if score is not None},
    )


def _parameters(run: Run) -> int:
    """Return the number of trained weights of a training; 0 where it is unknown."""
    if not (run / "network.json").is_file():
        return 0
    network = run.read("network.json")
    return sum(part.parameters for part in [*network.branches, network.fusion, *network.targets])


def best_epoch_scores(run: Run, facts: RunFacts) -> Mapping[str, float | None]:
    """Return the scores that were recorded in the best epoch, `validation_auc` and others; empty before it, and for a group."""
    lines = run.read_lines("metrics.jsonl")
    return next((line.values for line in lines if line.epoch == facts.best_epoch and line.step is None), {})


def _tree(run: Run) -> Any:
    """Return the values of config.yaml, without validation: a run may need files of `--code`."""
    return _read_yaml(str(run / "config.yaml"), (run / "config.yaml").stat().st_mtime_ns) if (run / "config.yaml").is_file() else {}


@lru_cache(maxsize=1000)
def _read_yaml(path: str, _changed: int) -> Any:
    return yaml.safe_load(Path(path).read_text(encoding="utf-8"))


def _is_current(look: EvaluationRecord, facts: RunFacts) -> bool:
    """Return False for an evaluation before the end of the training: a run that was resumed may have another best model by now."""
    return not any(look.when < moment for moment in (facts.ended or "", *(facts.resumed or ())))


def scores_of(run: Run, part: str) -> dict[str, dict[str, Score]]:
    """Return the scores of a run on a part by target and name; of a group, those of cross-validation. Empty if there are none."""
    if part != FOLDS_PART:
        results = run.read("metrics.json").get(part, {}) if (run / "metrics.json").is_file() else {}
        return {key: dict(result.scores) for key, result in results.items()}
    if not (run / CROSS_VALIDATION).is_file() or run.read(CROSS_VALIDATION).folds < 2:  # seeds alone are scored on validation rows
        return {}
    return {key: {name: _estimate(name, one) for name, one in scores.items()} for key, scores in run.read(CROSS_VALIDATION).targets.items()}


def validation_scores(run: Run) -> dict[str, dict[str, Score]]:
    """Return the scores on validation rows that the training has recorded, by target and name.

    They are those of the best epoch, for a run with several seeds their means. There are none for folds, which are scored on the rows
    that they leave out, and no losses, which depend on settings.
    """
    facts: RunFacts = run.read("run.json")
    if facts.members:
        if not (run / CROSS_VALIDATION).is_file() or run.read(CROSS_VALIDATION).folds > 1:
            return {}
        of_targets = run.read(CROSS_VALIDATION).targets
        return {key: {name: _estimate(name, one) for name, one in scores.items()} for key, scores in of_targets.items()}
    columns = value_at(_tree(run), ("columns",)) or {}
    # The longest first: `validation_a_b_auc` is a score of the target a_b.
    keys = sorted((key for key, column in columns.items() if column.get("role") == "target"), key=len, reverse=True)
    prefixes = {key: f"{VALIDATION}_{f'{key}_' if len(keys) > 1 else ''}" for key in keys}
    by_target: dict[str, dict[str, Score]] = {key: {} for key in columns if key in keys}
    for recorded, value in best_epoch_scores(run, facts).items():
        key = next((key for key in keys if recorded.startswith(prefixes[key])), None)
        if key is not None and (name := recorded.removeprefix(prefixes[key])) != "loss":
            by_target[key][name] = Score(name, value)
    return {key: scores for key, scores in by_target.items() if scores}


def _estimate(name: str, scores: MemberScores) -> Score:
    """Return the score that the interval belongs to, else the mean of the folds."""
    value = scores.mean if scores.estimate is None else scores.estimate
    return Score(name, value, low=scores.low, high=scores.high) if scores.low is not None else Score(name, value)


def _first_score(run: Run, part: str, monitor: str) -> Score | None:
    results = scores_of(run, part)
    if not results:
        return None
    key, scores = next(iter(results.items()))
    return scores[main_score(run, key, scores, monitor)]


def main_score(run: Run, key: str, scores: Mapping[str, Score], monitor: str) -> str:
    """Return the score that chose the best epoch if the target has it, else the main metric of its task."""
    task = value_at(_tree(run), ("columns", key, "task"))
    # A task of `--code` is not registered here. With several targets, the monitored score has the name of its target in front.
    prefix = "" if monitor.partition("_")[2] in scores else f"{key}_"
    target = tasks[task] if task in tasks else TaskTraits  # noqa: SIM401 (a registry has no `get`)
    return scoring.main_score(monitor, target, scores, prefix)


def started_at(entry: RunEntry) -> str:
    """Return the start of a run in local time, to the minute."""
    return datetime.fromisoformat(entry.started).astimezone().strftime("%Y-%m-%d %H:%M") if entry.started else "–"


def runs_table(listing: RunList) -> pd.DataFrame:
    """Return a list of runs as a table, one row per run and per part that it was scored on."""
    rows = []
    for one in listing.runs:
        facts = one.model_dump(mode="json", exclude={"scored", "problem", "run"}) | {"folder": str(one.run.folder)}
        scores = [
            {"part": part, "score": score.name, "score_value": score.value, "low": score.low, "high": score.high}
            for part, score in one.scored.items()
        ]
        rows += [facts | score for score in scores] or [facts]
    return pd.DataFrame(rows)
