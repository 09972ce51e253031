"""`mmtrain runs` and `mmtrain leaderboard`: all runs of a folder, and those that were scored on the same rows, from their files alone.

Nothing is scored and no model is opened, so neither counts as an evaluation of the test part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.artifacts.run_lists import Leaderboard, LeaderboardEntry, RunEntry, RunList
from mmtrain.artifacts.run_schema import EvaluationRecord, RunFacts
from mmtrain.commands.compare import differing_settings
from mmtrain.config import Experiment
from mmtrain.config.monitors import direction_of
from mmtrain.data.splits.split_file import read_split
from mmtrain.errors import ConfigError, MmtrainError, Problem, UsageError, did_you_mean, listed, shell_command
from mmtrain.metrics.score import Score, higher_is_better
from mmtrain.splits.plan import USES
from mmtrain.targets import tasks

IGNORED = ("name", "data", "tune")
"""Sections that say nothing about a network."""


def list_runs(name: str | None = None, *, output: Path = Path("runs")) -> RunList:
    """Return the runs under `output`, or those of a name, the latest first. Raises UsageError if there are none."""
    folders = list(_run_folders(output))
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


def _run_folders(output: Path) -> Iterator[Path]:
    """Yield the folders of numbered runs; `latest` is a link to one of them, and child runs belong to their parents."""
    for path in output.glob("*/*/run.json"):
        folder = path.parent
        if folder.name.isdecimal() and not folder.is_symlink() and Run(folder).parent is None:
            yield folder


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
    is_search = (run / SEARCH_FILE).is_file()
    tree = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")) if (run / "config.yaml").is_file() else {}
    monitor = _at(tree, "training", "early_stopping", "monitor") or ""
    if is_search:
        monitor, value, epochs = _search_course(run, _at(tree, "tune", "score") or monitor)
    else:
        best = next((line for line in run.read_lines("metrics.jsonl") if line.epoch == facts.best_epoch and line.step is None), None)
        value, epochs = (None if best is None else best.values.get(monitor)), facts.epochs
    scored = {look.part: _first_score(run, look.part, monitor) for look in facts.evaluations or () if _is_current(look, facts)}
    network = run.read("network.json") if (run / "network.json").is_file() and not is_search else None
    parts = [] if network is None else [*network.branches, network.fusion, *network.targets]
    return RunEntry(
        run=run,
        name=str(run),
        kind="search" if is_search else "training",
        state=facts.state,
        started=facts.started,
        minutes=None if facts.seconds is None else round(facts.seconds.training / 60, 3),
        parameters=sum(part.parameters for part in parts),
        epochs=epochs,
        monitor=monitor,
        value=value,
        scored={part: score for part, score in scored.items() if score is not None},
    )


def _at(tree: Any, *keys: str) -> Any:
    for key in keys:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _search_course(run: Run, score: str) -> tuple[str, float | None, int]:
    """Return the score of a search, its best value and the number of trials, from its table; it is written when the search ends."""
    if not (run / "trials.csv").is_file():
        return score, None, 0
    table = pd.read_csv(run / "trials.csv")
    score = score if score in table else str(table.columns[2])
    values = table.loc[table["outcome"] == "complete", score].dropna()
    best = None if values.empty else float(values.max() if direction_of(score) == "maximize" else values.min())
    return score, best, len(table)


def _is_current(look: EvaluationRecord, facts: RunFacts) -> bool:
    """Return False for an evaluation before the end of the training: a run that was resumed may have another best model by now."""
    return not any(look.when < moment for moment in (facts.ended or "", *(facts.resumed or ())))


def _first_score(run: Run, part: str, monitor: str) -> Score | None:
    results = run.read("metrics.json").get(part) if (run / "metrics.json").is_file() else None
    if not results:
        return None
    key, result = next(iter(results.items()))
    score: Score = result.scores[_main_score(key, result, monitor)]
    return score


def _main_score(key: str, result: TargetResult, monitor: str) -> str:
    """Return the score that chose the best epoch if the target has it, else the main metric of its task."""
    words = monitor.partition("_")[2].removeprefix(f"{key}_")
    if words in result.scores:
        return words
    main = getattr(tasks[result.task], "main_metric", "") if result.task in tasks else ""
    return main if main in result.scores else next(iter(result.scores))


def leaderboard(
    which: str | None = None, *, part: str = "test", target: str | None = None, score: str | None = None, output: Path = Path("runs")
) -> Leaderboard:
    """Return the runs that were scored on the same rows as a run, the best first.

    Args:
        which: The run (see `runs.find`); None for the latest one that was scored on the part.
        part: A part of the split, or the name under which the runs scored another table.
        target: Key of the target; None for the first one.
        score: Name of the score; None for that which chose the best epoch of the first run, or the main metric.
        output: The folder that holds the runs.

    Raises:
        UsageError: no run was scored on the part, or there is no such target or score.
        RunError: the run is damaged.

    """
    entries = [one for one in list_runs(output=output).runs if one.kind == "training" and one.state != "damaged"]
    if which is not None:
        reference = describe_run(runs.find(which, output))
        entries = [reference, *(one for one in entries if one.run.folder.resolve() != reference.run.folder)]
    else:
        reference = next((one for one in entries if part in one.scored), entries[0] if entries else None)  # type: ignore[assignment]
    if reference is None or not any(part in one.scored for one in entries):
        option = ("--part", part) if part in USES else ("--data", "TABLE")
        fix = f"Score one: {shell_command('evaluate', *([] if reference is None else [reference.run.folder]), *option)}"
        raise UsageError(Problem(str(output), f"no run has scores called '{part}'.", fix))
    rows = _rows_of(reference.run, part)
    same = [one for one in entries if _rows_of(one.run, part) == rows]
    scored = [one for one in same if part in one.scored]
    if not scored:
        fix = f"Score it: {shell_command('evaluate', reference.run.folder, '--part', part)}"
        raise UsageError(Problem(reference.name, f"neither it nor another run on its rows has scores called '{part}'.", fix))
    key, name = _target_and_score(scored[0], part, target, score)
    results = {one.name: one.run.read("metrics.json")[part] for one in scored}
    comparable = [one for one in scored if name in getattr(results[one.name].get(key), "scores", {})]
    higher = higher_is_better(name)
    ranked = sorted(comparable, key=lambda one: _rank(results[one.name][key].scores[name], higher=higher))
    return Leaderboard(
        part=part,
        target=key,
        score=name,
        higher_is_better=higher,
        rows=results[ranked[0].name][key].rows,
        runs=_ranked_entries(ranked, {one.name: results[one.name][key].scores[name] for one in ranked}),
        unscored=[one for one in same if part not in one.scored and one.state != "running"],
        others=len(entries) - len(ranked) - sum(part not in one.scored for one in same),
    )


def _rank(score: Score, *, higher: bool) -> float:
    # An undefined score comes last.
    return float("inf") if score.value is None else -score.value if higher else score.value


def _target_and_score(entry: RunEntry, part: str, target: str | None, score: str | None) -> tuple[str, str]:
    results = entry.run.read("metrics.json")[part]
    if target is not None and target not in results:
        hint = did_you_mean(target, results) or f"The targets are {listed(list(results))}."
        raise UsageError(Problem("--target", f"{entry.name} has no target {target!r}.", hint))
    key = target or next(iter(results))
    known = results[key].scores
    if score is not None and score not in known:
        raise UsageError(
            Problem("--score", f"{key} has no score {score!r}.", did_you_mean(score, known) or f"Its scores are {listed(list(known))}.")
        )
    return key, score or _main_score(key, results[key], entry.monitor)


def _ranked_entries(ranked: list[RunEntry], scores: Mapping[str, Score]) -> list[LeaderboardEntry]:
    experiments = [_experiment(one.run) for one in ranked]
    entries = []
    for one, experiment in zip(ranked, experiments, strict=True):
        looks = [look for look in one.run.read("run.json").evaluations or () if look.is_test_access]
        entries.append(
            LeaderboardEntry(
                run=one.run,
                name=one.name,
                score=scores[one.name],
                monitor=one.monitor,
                value=one.value,
                minutes=one.minutes,
                parameters=one.parameters,
                test_looks=len(looks),
                differences=_differences(experiments[0], experiment),
            )
        )
    return entries


def _experiment(run: Run) -> Experiment | None:
    """Return the experiment of a run; None for one that needs files of `--code`."""
    try:
        return config.load(run / "config.yaml")
    except ConfigError:
        return None


def _differences(best: Experiment | None, other: Experiment | None) -> dict[str, Any]:
    if best is None or other is None or best is other:
        return {}
    differing = differing_settings([best, other])
    return {key: values[1] for key, values in differing.items() if key.partition(".")[0] not in IGNORED}


def _rows_of(run: Run, part: str) -> tuple[str, str]:
    """Return what is the same for runs with the same rows: the hash of the table, and that of the rows of the part."""
    if part not in USES:
        looks = [look for look in run.read("run.json").evaluations or () if look.part == part]
        return (looks[-1].sha256, "all") if looks else ("", str(run.folder))
    sealed = (run.read_json("run.json").get("files") or {}).get("split.csv")
    if sealed is None:
        return "", str(run.folder)
    return str(run.read("data.json").sha256), _part_digest(str(run / "split.csv"), sealed, part)


@lru_cache(maxsize=1000)
def _part_digest(path: str, sealed: str, part: str) -> str:
    """Return the hash of the rows of a part in split.csv, whose own hash is `sealed`."""
    split = read_split(Path(path))
    try:
        positions = split.plan.holdout[part]
    except ValueError:  # several folds
        return sealed
    return hashlib.sha256(split.rows[positions].tobytes()).hexdigest()


def leaderboard_table(board: Leaderboard) -> pd.DataFrame:
    """Return a leaderboard as a table: a row per run, a column for each setting that differs."""
    keys = list(dict.fromkeys(key for one in board.runs for key in one.differences))
    rows = [
        {
            "run": one.name,
            board.score: one.score.value,
            "low": one.score.low,
            "high": one.score.high,
            one.monitor: one.value,
            "minutes": one.minutes,
            "parameters": one.parameters,
            "test_evaluations": one.test_looks,
            **{key: _cell(one.differences[key]) for key in one.differences},
        }
        for one in board.runs
    ]
    table = pd.DataFrame(rows)
    return table[[*(name for name in table if name not in keys), *keys]]


def _cell(value: Any) -> Any:
    from mmtrain.reports.search_page import format_setting

    return format_setting(value) if isinstance(value, list | dict) else value


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


def write_leaderboard_page(board: Leaderboard, path: Path) -> None:
    """Write a leaderboard as a page. Raises RunError when it cannot be written."""
    from mmtrain.artifacts.atomic_files import atomic_write, disk_errors
    from mmtrain.reports.leaderboard_page import leaderboard_page

    with disk_errors(path), atomic_write(path) as temporary:
        temporary.write_text(leaderboard_page(board), encoding="utf-8")
