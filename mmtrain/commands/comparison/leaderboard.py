"""`mmtrain leaderboard`: the runs that were scored on the same rows, the best first, from their files alone.

Nothing is scored and no model is opened, so this does not count as an evaluation of the test part.
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
from mmtrain.commands.comparison.list_runs import FOLDS_PART, best_epoch_scores, describe_run, list_runs, main_score, scores_of
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
    """Return the runs that were scored on the same rows as a run, the best first.

    Args:
        which: The run (see `runs.find`); None for the latest one that was scored on the part.
        part: A part of the split, `folds`, or the name under which the runs scored another table; None for the test part, and for the
            folds of a run that has them, or where no run was scored on the test part.
        target: Key of the target; None for the first one.
        score: Name of the score; None for that which chose the best epoch of the first run, or the main metric.
        output: The folder that holds the runs.

    Raises:
        UsageError: no run was scored on the part, or it has no such target or score.
        RunError: the run is damaged.

    """
    entries = [one for one in list_runs(output=output).runs if one.kind != "search" and one.state != "damaged"]
    if which is not None:
        reference = describe_run(runs.find(which, output, group=True))
        if reference.kind == "search":
            raise UsageError(search_without_model(reference.run))
        part = part or (FOLDS_PART if _has_folds(reference.run) else "test")
        entries = [reference, *(one for one in entries if one.run.folder.resolve() != reference.run.folder)]
    else:
        scored_parts = {name for one in entries for name in one.scored}
        part = part or (FOLDS_PART if FOLDS_PART in scored_parts and "test" not in scored_parts else "test")
        usable = (one for one in entries if part in one.scored and _rows_if_readable(one.run, part))
        reference = next(usable, entries[0] if entries else None)  # type: ignore[assignment]
    if reference is None or not any(part in one.scored for one in entries):
        known = dict.fromkeys([*USES, FOLDS_PART, *(name for one in entries for name in one.scored)])
        meant = "" if part in known else did_you_mean(part, known)
        fix = meant or f"Score one: {how_to_score(None if reference is None else reference.run, part)}"
        raise UsageError(Problem(str(output), f"no run has scores called '{part}'.", fix))
    rows = _rows_of(reference.run, part)
    rows_of = {one.run.folder: _rows_if_readable(one.run, part) for one in entries}
    entries = [one for one in entries if rows_of[one.run.folder] is not None]
    same = [one for one in entries if rows_of[one.run.folder] == rows]
    scored = [one for one in same if part in one.scored]
    if not scored:
        fix = f"Score it: {how_to_score(reference.run, part)}"
        raise UsageError(Problem(reference.name, f"neither it nor another run on its rows has scores called '{part}'.", fix))
    key, name = _target_and_score(scored[0], part, target, score)
    results = {one.run.folder: scores_of(one.run, part) for one in scored}
    comparable = [one for one in scored if name in results[one.run.folder].get(key, {})]
    higher = higher_is_better(name)
    ranked = sorted(comparable, key=lambda one: _rank(results[one.run.folder][key][name], higher=higher))
    return Leaderboard(
        part=part,
        target=key,
        score=name,
        higher_is_better=higher,
        rows=_scored_rows(ranked[0].run, part, key),
        runs=_ranked_entries(ranked, key, name, results),
        unscored=[one for one in same if part not in one.scored and one.state != "running"],
        others=len(entries) - len(ranked) - sum(part not in one.scored for one in same),
    )


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
    return int(run.read(CROSS_VALIDATION).rows if part == FOLDS_PART else run.read("metrics.json")[part][key].rows)


def _target_and_score(entry: RunEntry, part: str, target: str | None, score: str | None) -> tuple[str, str]:
    results = scores_of(entry.run, part)
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
    ranked: list[RunEntry], key: str, name: str, results: Mapping[Path, Mapping[str, Mapping[str, Score]]]
) -> list[LeaderboardEntry]:
    experiments = [_experiment(one.run) for one in ranked]
    entries = []
    for one, experiment in zip(ranked, experiments, strict=True):
        facts, of_run = one.run.read("run.json"), results[one.run.folder]
        looks = [look for look in facts.evaluations or () if look.is_test_access]
        recorded = f"validation_{f'{key}_' if len(of_run) > 1 else ''}{name}"
        entries.append(
            LeaderboardEntry(
                run=one.run,
                name=one.name,
                score=of_run[key][name],
                monitor=one.monitor,
                value=one.value,
                validation=best_epoch_scores(one.run, facts).get(recorded),
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
