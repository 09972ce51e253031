"""`mmtrain compare`: several runs on the same rows, from the predictions that their evaluations have saved.

No row is predicted and no row is scored that was not scored before, so this does not count as an evaluation of the test part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mmtrain.artifacts import runs
from mmtrain.artifacts.command_results import ComparedRun, ComparedTarget, Comparison
from mmtrain.artifacts.run_folder import SEARCH_FILE, Run
from mmtrain.artifacts.run_schema.run_facts import EvaluationRecord, RunFacts
from mmtrain.columns import Group, Id
from mmtrain.commands.comparison.compare_groups import CrossValidatedRun, compare_groups
from mmtrain.config import Experiment
from mmtrain.data.arrays import Array
from mmtrain.data.encode import Fitted
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.table import READ_CHUNK_ROWS
from mmtrain.data.tables.table_file import content_hash, table_exists
from mmtrain.errors import Problem, RunError, UsageError, listed, shell_command
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.comparison import compare_target
from mmtrain.evaluation.prediction_table import answers_as_text, parse_predictions
from mmtrain.pipeline.prepare import group_codes
from mmtrain.pipeline.restore import restore_training, search_without_model
from mmtrain.reports.report_data import predictions_of
from mmtrain.splits.plan import USES

NAMED = {"columns": "role", "branches": "architecture"}
"""Sections whose entries have names, and the setting that stands for a whole entry."""
MAX_DIFFERENT_ROWS = 3
"""Maximum number of rows with different answers that a message shows."""


@dataclass(frozen=True, eq=False)
class ScoredRun:
    """One run, and its predictions of the rows of a part."""

    run: Run
    experiment: Experiment
    fitted: Fitted
    look: EvaluationRecord
    """The last evaluation of this part."""
    looks: int
    """Number of evaluations of the run on rows of the test part."""
    rows: pd.DataFrame
    """Its predictions, every cell as text."""


def compare(which: Sequence[str], *, part: str = "test", output: Path = Path("runs")) -> Comparison:
    """Compare runs (see `runs.find`) on a part, or under the name of another table that all were scored on.

    Cross-validated runs are compared by their out-of-fold predictions. Without names, the two latest runs of different experiments.

    Raises UsageError for runs that cannot be compared, RunError for one that cannot be used.
    """
    chosen = [runs.find(name, output, group=True) for name in which] or runs.two_latest(output)
    folders = {run.folder for run in chosen}
    if len(folders) < max(2, len(chosen)):
        raise UsageError(Problem("mmtrain compare", "a comparison needs two or more different runs.", "Name each of them once."))
    groups = [run for run in chosen if run.is_group]
    if groups and len(groups) < len(chosen):
        have = "has" if len(groups) == 1 else "have"
        what = f"{listed([str(run) for run in groups])} {have} several trainings, and the other runs have one each."
        raise UsageError(Problem("mmtrain compare", what, "Compare runs with folds, or single trainings."))
    if groups:
        return _compare_groups(groups)
    _check_scored(chosen, part)
    scored = [_scored_run(run, part) for run in chosen]
    by_id = _by_id(scored)
    scored = [_same_rows(scored[0], other, by_id=by_id, part=part) for other in scored]
    keys, remarks = _same_targets(scored)
    _check_answers(scored, keys)
    resampling, ungrouped = _resampling(scored[0], part)
    return Comparison(
        part=part,
        runs=[ComparedRun(run=one.run, name=str(one.run), test_looks=one.looks) for one in scored],
        targets={key: _target(key, scored, resampling) for key in keys},
        settings=differing_settings([one.experiment for one in scored]),
        remarks=[*remarks, *ungrouped],
    )


def _compare_groups(groups: Sequence[Run]) -> Comparison:
    """Compare cross-validated runs."""
    every = [CrossValidatedRun.read(run) for run in groups]
    targets, remarks = compare_groups(every)
    return Comparison(
        part="out-of-fold",
        runs=[ComparedRun(run=run, name=str(run), test_looks=0) for run in groups],
        targets=targets,
        settings=differing_settings([one.experiment for one in every]),
        remarks=remarks,
    )


def differing_settings(experiments: Sequence[Experiment]) -> dict[str, list[Any]]:
    """Return the settings that differ between experiments, `branches.scan.filters` for example, with the value in each or None."""
    trees = [experiment.model_dump(mode="json") for experiment in experiments]
    # An entry that only some have would fill the list with all its defaults; its role or architecture says enough.
    for section, word in NAMED.items():
        shared = set.intersection(*(set(tree[section]) for tree in trees))
        for tree in trees:
            tree[section] = {key: entry if key in shared else entry[word] for key, entry in tree[section].items()}
    flat = [dict(_flat(tree)) for tree in trees]
    order = list(trees[0])
    # In the order of the sections of the file, entries in that of the first experiment that has them.
    keys = sorted({key: None for settings in flat for key in settings}, key=lambda key: order.index(key.partition(".")[0]))
    values = {key: [settings.get(key) for settings in flat] for key in keys}
    return {key: entries for key, entries in values.items() if any(value != entries[0] for value in entries)}


def _flat(tree: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{start}{key}.")
        else:
            yield f"{start}{key}", value


def _check_scored(chosen: Sequence[Run], part: str) -> None:
    """Raise UsageError for runs that have not been scored on the part since their training ended."""
    problems = []
    option = ("--part", part) if part in USES else ("--data", "TABLE")
    for run in chosen:
        if (run / SEARCH_FILE).is_file():
            problems.append(search_without_model(run))
            continue
        facts: RunFacts = run.read("run.json")
        look = _last_evaluation(facts, part)
        fix = f"Score it: {shell_command('evaluate', run.folder, *option)}"
        if look is None or not (run / f"predictions_{part}.csv").is_file():
            problems.append(Problem(str(run), f"the run has no predictions called '{part}'.", fix))
        # A run that was resumed may have another best model by now.
        elif look.when < max([facts.ended or "", *(facts.resumed or ())]):
            problems.append(Problem(str(run), f"its training went on after its predictions called '{part}' were made.", fix))
    if problems:
        raise UsageError(problems)


def _last_evaluation(facts: RunFacts, part: str) -> EvaluationRecord | None:
    looks = [look for look in facts.evaluations or () if look.part == part]
    return looks[-1] if looks else None


def _scored_run(run: Run, part: str) -> ScoredRun:
    experiment, fitted, _ = restore_training(run)
    facts: RunFacts = run.read("run.json")
    rows = predictions_of(run, part)
    look = _last_evaluation(facts, part)
    assert look is not None  # noqa: S101 (`_check_scored`)
    assert rows is not None  # noqa: S101
    return ScoredRun(run, experiment, fitted, look, sum(look.is_test_access for look in facts.evaluations or ()), rows)


def _by_id(scored: Sequence[ScoredRun]) -> bool:
    """Return True if rows are matched by their ids, since the tables are different files. Raises UsageError without ids."""
    first = scored[0]
    others = [one for one in scored[1:] if one.look.sha256 != first.look.sha256]
    if not others:
        return False
    if any(one.experiment.only(Id) is None for one in scored):
        what = f"it was scored on another table than {first.run}, and without a column of the role `id` its rows cannot be recognised."
        fix = "Score both on one table with `mmtrain evaluate RUN --data TABLE`, and compare them with --part and its name."
        raise UsageError([Problem(str(one.run), what, fix) for one in others])
    return True


def _same_rows(first: ScoredRun, other: ScoredRun, *, by_id: bool, part: str) -> ScoredRun:
    """`other` with its rows in the order of `first`. Raises UsageError when it has other rows."""
    key = "id" if by_id else "row"
    mine, theirs = other.rows[key], first.rows[key]
    shared = int(mine.isin(theirs).sum())
    # Both counts matter: a subset of the rows is another set of rows.
    if len(mine) != len(theirs) or shared < len(mine):
        what = f"only {shared:,} of its {len(mine):,} {part} rows are among the {len(theirs):,} of {first.run}."
        if shared == len(mine):
            what = f"it has only {shared:,} of the {len(theirs):,} {part} rows of {first.run}."
        fix = (
            "Train both with the same `split`, or score both on one table with `mmtrain evaluate RUN --data TABLE` "
            "and compare them with --part and its name."
        )
        raise UsageError(Problem(str(other.run), what, fix))
    # By label, as rows of another file come in another order.
    rows = other.rows.set_index(key, drop=False).loc[theirs].reset_index(drop=True)
    return ScoredRun(other.run, other.experiment, other.fitted, other.look, other.looks, rows)


def _same_targets(scored: Sequence[ScoredRun]) -> tuple[list[str], list[str]]:
    """Return the targets that all runs predict, and remarks on the others. Raises UsageError if there is none."""
    first = scored[0]
    keys, remarks = [], []
    for key in dict.fromkeys(key for one in scored for key in one.fitted.targets):
        without = [str(one.run) for one in scored if key not in one.fitted.targets]
        other = [str(one.run) for one in scored if key in one.fitted.targets and _kind(one, key) != _kind(first, key)]
        if without:
            remarks.append(f"{key} is not compared: {listed(without)} {'does' if len(without) == 1 else 'do'} not predict it.")
        elif other:
            remarks.append(f"{key} is not compared: its task or its classes in {listed(other)} differ from those in {first.run}.")
        else:
            keys.append(key)
    if not keys:
        raise UsageError([Problem("mmtrain compare", remark, "Compare runs that predict the same targets.") for remark in remarks])
    return keys, remarks


def _kind(one: ScoredRun, key: str) -> tuple[str, tuple[str, ...]] | None:
    target = one.fitted.targets.get(key)
    return None if target is None else (target.task, target.columns)


def _check_answers(scored: Sequence[ScoredRun], keys: Sequence[str]) -> None:
    """Raise UsageError unless all runs were scored with the same answers."""
    first, problems = scored[0], []
    for other in scored[1:]:
        for key in keys:
            mine, theirs = _answers(other, key), _answers(first, key)
            rows = (mine != theirs).to_numpy().nonzero()[0]
            if len(rows):
                shown = [f"{mine[row]!r} instead of {theirs[row]!r} for {other.rows['id'][row]}" for row in rows[:MAX_DIFFERENT_ROWS]]
                what = f"{len(rows):,} of {len(mine):,} answers to {key} differ from those of {first.run}: {listed(shown)}."
                problems.append(Problem(str(other.run), what, "Score both on the same table: mmtrain evaluate RUN --data TABLE"))
    if problems:
        raise UsageError(problems)


def _answers(one: ScoredRun, key: str) -> pd.Series[str]:
    """Return the labels as texts, unknown ones included."""
    try:
        return answers_as_text(one.rows, key, one.fitted.targets)
    except LookupError:
        raise _damaged(one) from None


def _target(key: str, scored: Sequence[ScoredRun], resampling: Resampling) -> ComparedTarget:
    read = [_read_predictions(one, key) for one in scored]
    return compare_target([one.fitted.targets[key] for one in scored], read[0][0], [predictions for _, predictions in read], resampling)


def _read_predictions(one: ScoredRun, key: str) -> tuple[Array, Array]:
    try:
        return parse_predictions(one.rows, key, one.fitted.targets)
    except (LookupError, ValueError):
        raise _damaged(one) from None


def _damaged(one: ScoredRun) -> RunError:
    path = one.run / f"predictions_{one.look.part}.csv"
    return RunError(Problem(str(path), "the file is damaged.", f"Score the run again: {shell_command('evaluate', one.run.folder)}"))


def _resampling(one: ScoredRun, part: str) -> tuple[Resampling, list[str]]:
    """Return the resampling of the rows, by group if the scored table still exists, and else a remark."""
    section, column = one.experiment.evaluation, one.experiment.only(Group)
    if column is None:
        return Resampling(section), []
    header, data = column.column, one.experiment.data
    path = data.table if part in USES else Path(one.look.path)  # empty in a packed run, which does not say where its tables were
    narrow = f"so the intervals treat all rows as independent; where rows have the same {header}, they are too narrow."
    if not table_exists(path) or content_hash(path) != one.look.sha256:
        return Resampling(section), [f"{one.look.table} is gone or has changed since it was scored, {narrow}"]
    file = open_table(path, data.missing_values, data.format, later=part not in USES)
    if header not in file.headers:
        return Resampling(section), [f"{path.name} has no column {header}, {narrow}"]
    cells = pd.concat([piece[header] for piece in file.pieces([header], size=READ_CHUNK_ROWS)], ignore_index=True)
    return Resampling(section, group_codes(cells.iloc[one.rows["row"].astype(int)]), header), []
