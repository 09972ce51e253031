"""`mmtrain leaderboard`: the runs with scores on the same rows, the best first, from their files alone.

Runs are ranked by validation rows or folds, so that the test rows choose none: a test score stands next to that, if there is one. Nothing
is scored and no model is opened, so this does not count as an evaluation of the test part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mmtrain import config
from mmtrain.artifacts import runs
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_lists import Leaderboard, LeaderboardEntry, RunEntry
from mmtrain.commands.comparison.compare import differing_settings
from mmtrain.commands.comparison.list_runs import (
    FOLDS_PART,
    VALIDATION,
    describe_run,
    list_runs,
    main_score,
    scores_of,
    validation_scores,
)
from mmtrain.config import Experiment
from mmtrain.config.load import setting_cell
from mmtrain.data.splits.split_file import read_sizes, read_split
from mmtrain.errors import ConfigError, Problem, RunError, UsageError, did_you_mean, listed, shell_command
from mmtrain.metrics.score import Score, higher_is_better
from mmtrain.pipeline.groups.results import CROSS_VALIDATION
from mmtrain.pipeline.restore import search_without_model
from mmtrain.splits.plan import USES

IGNORED = ("name", "data", "tune")
"""Sections without a setting of the network or its training."""


def leaderboard(
    which: str | None = None, *, part: str | None = None, target: str | None = None, score: str | None = None, output: Path = Path("runs")
) -> Leaderboard:
    """Return the runs with scores on the same rows as a run, the best first.

    Args:
        which: The run (see `runs.find`); None for the latest one with scores on the part.
        part: A part of the split, `folds`, or the name under which the runs scored another table; None for the folds of a run that has
            them, else its validation rows.
        target: Key of the target; None for the first one.
        score: Name of the score; None for that which chose the best epoch of the first run, or the main metric.
        output: The folder that holds the runs.

    Raises:
        UsageError: no run has scores on the part, or it has no such target or score.
        RunError: the run is damaged.

    """
    entries = [one for one in list_runs(output=output).runs if one.kind != "search" and one.state != "damaged"]
    if which is not None:
        reference = describe_run(runs.find(which, output, group=True))
        if reference.kind == "search":
            raise UsageError(search_without_model(reference.run))
        entries = [reference, *(one for one in entries if one.run.folder.resolve() != reference.run.folder)]
    else:
        usable = (one for one in entries if _has_scores(one, part or _default_part(one)))
        reference = next(usable, entries[0] if entries else None)  # type: ignore[assignment]
    part = part or (VALIDATION if reference is None else _default_part(reference))
    if reference is None or not any(_has_scores(one, part) for one in entries):
        known = dict.fromkeys([*USES, FOLDS_PART, *(name for one in entries for name in one.scored)])
        meant = "" if part in known else did_you_mean(part, known)
        fix = meant or f"Score one: {how_to_score(None if reference is None else reference.run, part)}"
        raise UsageError(Problem(str(output), f"no run has scores called '{part}'.", fix))
    rows = _rows_of(reference.run, part)
    rows_of = {one.run.folder: _rows_if_readable(one.run, part) for one in entries}
    entries = [one for one in entries if rows_of[one.run.folder] is not None]
    same = [one for one in entries if rows_of[one.run.folder] == rows]
    results = _results(same, part)
    scored = [one for one in same if one.run.folder in results]
    if not scored:
        fix = f"Score it: {how_to_score(reference.run, part)}"
        raise UsageError(Problem(reference.name, f"neither it nor another run on its rows has scores called '{part}'.", fix))
    key, name = _target_and_score(scored[0], results[scored[0].run.folder], target, score)
    comparable = [one for one in scored if name in results[one.run.folder].get(key, {})]
    higher = higher_is_better(name)
    ranked = sorted(comparable, key=lambda one: _rank(results[one.run.folder][key][name], higher=higher))
    return Leaderboard(
        part=part,
        target=key,
        score=name,
        higher_is_better=higher,
        rows=_scored_rows(ranked[0].run, part, key),
        runs=_ranked_entries(ranked, part, {one.run.folder: results[one.run.folder][key][name] for one in ranked}, (key, name)),
        unscored=[one for one in same if one not in scored and one.state != "running"],
        others=len(entries) - len(ranked) - (len(same) - len(scored)),
    )


def _default_part(entry: RunEntry) -> str:
    # Never the test part: a choice by its scores makes those of the chosen run too good.
    return FOLDS_PART if _has_folds(entry.run) else VALIDATION


def _has_scores(entry: RunEntry, part: str) -> bool:
    recorded = part == VALIDATION and entry.state != "running" and bool(_recorded_scores(entry.run))
    return (part in entry.scored or recorded) and _rows_if_readable(entry.run, part) is not None


def _recorded_scores(run: Run) -> dict[str, dict[str, Score]]:
    """Return `validation_scores`; empty for a run that lost its files, so that the others are still shown."""
    try:
        return validation_scores(run)
    except RunError:
        return {}


def _results(entries: list[RunEntry], part: str) -> dict[Path, dict[str, dict[str, Score]]]:
    """Return the scores of the runs that have any, by folder.

    On validation rows they are those of the best epoch, which every run has; those of `evaluate`, with intervals, only if all runs have
    them. The two are not mixed, as `evaluate` scores calibrated probabilities.
    """
    if part == VALIDATION and not all(part in one.scored for one in entries):
        results = {one.run.folder: _recorded_scores(one.run) for one in entries if one.state != "running"}
    else:
        results = {one.run.folder: scores_of(one.run, part) for one in entries if part in one.scored}
    return {folder: scores for folder, scores in results.items() if scores}


def _has_folds(run: Run) -> bool:
    return len({member.fold for member in run.read("run.json").members or ()}) > 1


def how_to_score(run: Run | None, part: str) -> str:
    """Return the command that scores a run on a part; None for a run that is still to be trained.

    A run without rows in the part is scored on another table.
    """
    if part == FOLDS_PART:
        return shell_command(
            "fit", *(("--resume", run.folder) if run is not None and _has_folds(run) else ("CONFIG", "--set", "split.folds=5"))
        )
    by_part = part in USES and not (run is not None and _lacks(run, part))
    return shell_command("evaluate", *([] if run is None else [run.folder]), *(("--part", part) if by_part else ("--data", "TABLE")))


def _lacks(run: Run, part: str) -> bool:
    """Return whether the split of a run has no row in a part; False where the split cannot be read."""
    with suppress(RunError):
        return not read_sizes(run / "split.csv").get(part)
    return False


def _rank(score: Score, *, higher: bool) -> float:
    # An undefined score comes last.
    return float("inf") if score.value is None else -score.value if higher else score.value


def _scored_rows(run: Run, part: str, key: str) -> int:
    results = run.read("metrics.json") if (run / "metrics.json").is_file() else {}
    if part in results:
        return int(results[part][key].rows)
    return int(run.read(CROSS_VALIDATION).rows if (run / CROSS_VALIDATION).is_file() else read_sizes(run / "split.csv")[part])


def _target_and_score(
    entry: RunEntry, results: Mapping[str, Mapping[str, Score]], target: str | None, score: str | None
) -> tuple[str, str]:
    if target is not None and target not in results:
        hint = did_you_mean(target, results) or f"The targets are {listed(list(results))}."
        raise UsageError(Problem("--target", f"{entry.name} has no target {target!r}.", hint))
    key = target or next(iter(results))
    known = results[key]
    if score is not None and score not in known:
        raise UsageError(
            Problem("--score", f"{key} has no score {score!r}.", did_you_mean(score, known) or f"Its scores are {listed(list(known))}.")
        )
    return key, score or main_score(entry.run, key, known, entry.monitor)


def _ranked_entries(
    ranked: list[RunEntry], part: str, scores: Mapping[Path, Score], target_and_score: tuple[str, str]
) -> list[LeaderboardEntry]:
    experiments = [_experiment(one.run) for one in ranked]
    test_rows = _rows_if_readable(ranked[0].run, "test")
    entries = []
    for one, experiment in zip(ranked, experiments, strict=True):
        looks = [look for look in one.run.read("run.json").evaluations or () if look.is_test_access]
        # Test scores of other rows are not shown next to each other.
        has_test = part != "test" and "test" in one.scored and _rows_if_readable(one.run, "test") == test_rows
        recorded = _score_in(_recorded_scores(one.run), *target_and_score)
        entries.append(
            LeaderboardEntry(
                run=one.run,
                name=one.name,
                score=scores[one.run.folder],
                monitor=one.monitor,
                value=one.value,
                validation=None if recorded is None or one.run.read("run.json").members else recorded.value,
                test=_score_in(scores_of(one.run, "test"), *target_and_score) if has_test else None,
                minutes=one.minutes,
                parameters=one.parameters,
                test_looks=len(looks),
                differences=_differences(experiments[0], experiment),
            )
        )
    return entries


def _score_in(results: Mapping[str, Mapping[str, Score]], key: str, name: str) -> Score | None:
    return results.get(key, {}).get(name)


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
    """Return the identity of the rows of a part: the hash of the table, and that of the rows."""
    if part not in (*USES, FOLDS_PART):
        looks = [look for look in run.read("run.json").evaluations or () if look.part == part]
        return (looks[-1].sha256, "all") if looks else ("", str(run.folder))
    sealed = (run.read_json("run.json").get("files") or {}).get("split.csv")
    if sealed is None:
        return "", str(run.folder)
    return str(run.read("data.json").sha256), _part_digest(str(run / "split.csv"), sealed, part)


def _rows_if_readable(run: Run, part: str) -> tuple[str, str] | None:
    """Return the same; None for a run that lost its files, so that the others are still shown."""
    try:
        return _rows_of(run, part)
    except RunError:
        return None


@lru_cache(maxsize=1000)
def _part_digest(path: str, sealed: str, part: str) -> str:
    """Return the hash of the rows of a part in split.csv, whose own hash is `sealed`."""
    split = read_split(Path(path))
    partitions = split.plan.partitions
    if part == FOLDS_PART:
        positions = np.unique(np.concatenate([partition.test for partition in partitions]))
    elif len(partitions) > 1 and part == "test" and len(split.plan.test):
        # Outer test rows can be those of a run without folds.
        positions = split.plan.test
    elif len(partitions) > 1:
        return sealed
    else:
        positions = split.plan.holdout[part]
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
            # The same column where the score of the leaderboard has chosen the epoch.
            one.monitor: one.value,
            f"validation_{board.score}": one.validation,
            **({} if one.test is None else {f"test_{board.score}": one.test.value}),
            "minutes": one.minutes,
            "parameters": one.parameters,
            "test_evaluations": one.test_looks,
            **{key: setting_cell(one.differences[key]) for key in one.differences},
        }
        for one in board.runs
    ]
    table = pd.DataFrame(rows)
    return table[[*(name for name in table if name not in keys), *keys]]


def write_leaderboard_page(board: Leaderboard, path: Path) -> None:
    """Write a leaderboard as a page. Raises RunError when it cannot be written."""
    from mmtrain.artifacts.atomic_files import atomic_write, disk_errors
    from mmtrain.reports.pages.leaderboard_page import leaderboard_page

    with disk_errors(path), atomic_write(path) as temporary:
        temporary.write_text(leaderboard_page(board), encoding="utf-8")
