"""Comparison of cross-validated runs: their out-of-fold predictions, paired by row and fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmtrain import config
from mmtrain.artifacts.command_results import ComparedTarget, PairedDifference
from mmtrain.artifacts.group_results import CrossValidation
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import Data
from mmtrain.config import Experiment
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.data import encode
from mmtrain.errors import Problem, UsageError, listed, shell_command
from mmtrain.evaluation.bootstrap import Bootstrap, Resampling
from mmtrain.evaluation.cross_validation import NADEAU_BENGIO, CrossValidated, Draws, Estimate, estimate_differences, estimate_scores
from mmtrain.evaluation.out_of_fold import MemberPredictions, cross_validated
from mmtrain.metrics.score import Score
from mmtrain.pipeline.groups.results import CROSS_VALIDATION, read_members, with_all_branches
from mmtrain.targets import FittedTarget


@dataclass(frozen=True, eq=False)
class CrossValidatedRun:
    """A finished group of trainings with folds, and the predictions of its members."""

    run: Run
    experiment: Experiment
    result: CrossValidation
    members: Sequence[MemberPredictions]
    labels: Mapping[str, FittedTarget]

    @classmethod
    def read(cls, run: Run) -> CrossValidatedRun:
        """Return the run. Raises UsageError for one that is not finished or has no folds, RunError for a damaged one."""
        if not (run / CROSS_VALIDATION).is_file():
            what = "its trainings are not all finished, so it has no out-of-fold predictions."
            raise UsageError(Problem(str(run), what, f"Finish them: {shell_command('fit', '--resume', run.folder)}"))
        result: CrossValidation = run.read(CROSS_VALIDATION)
        if not result.predictions:
            what = "it has seeds but no folds, so it has no out-of-fold predictions."
            raise UsageError(Problem(str(run), what, "Compare runs with `split.folds`, or single trainings of this one."))
        experiment = config.load(run / "config.yaml")
        labels = encode.of_group(run).targets
        return cls(run, experiment, result, with_all_branches(read_members(run, experiment)), labels)

    def scored(self, key: str) -> CrossValidated:
        """Return one target with its rows and the scores of its folds."""
        return cross_validated(key, self.result, self.members, self.labels)

    def scored_rows(self) -> list[tuple[int, frozenset[str]]]:
        """Return the fold and the rows of every member but those of further seeds."""
        return [(one.member.fold, frozenset(one.rows["row"])) for one in self.members if not one.member.seed]


def compare_groups(every: Sequence[CrossValidatedRun]) -> tuple[dict[str, ComparedTarget], list[str]]:
    """Compare cross-validated runs with the first one; return also remarks on targets that are left out.

    Raises UsageError for runs with different rows, folds or answers.
    """
    first, *others = every
    for other in others:
        _check_folds(first, other)
    shared = [key for key, target in first.labels.items() if all(_same_task(target, one.labels.get(key)) for one in others)]
    left_out = [key for key in dict.fromkeys(key for one in every for key in one.labels) if key not in shared]
    if not shared:
        raise UsageError(Problem("mmtrain compare", "the runs have no target in common.", "Compare runs that predict the same targets."))
    remarks = [f"{listed(left_out)} is not compared: not all runs predict it with the same classes."] if left_out else []
    return {key: _compare_target(key, every) for key in shared}, remarks


def _same_task(target: FittedTarget, other: FittedTarget | None) -> bool:
    return other is not None and (target.task, target.columns) == (other.task, other.columns)


def _check_folds(first: CrossValidatedRun, other: CrossValidatedRun) -> None:
    tables: list[Data] = [one.run.read("data.json") for one in (first, other)]
    if tables[0].sha256 != tables[1].sha256:
        what = f"it was trained on another table than {first.run}, so its folds have other rows."
        raise UsageError(Problem(str(other.run), what, "Train both on one table with the same `split`."))
    if first.scored_rows() != other.scored_rows():
        what = f"its folds have other rows than those of {first.run}, so their scores cannot be paired."
        raise UsageError(Problem(str(other.run), what, "Train both with the same `split`, its seed included."))


def _compare_target(key: str, every: Sequence[CrossValidatedRun]) -> ComparedTarget:
    scored = [one.scored(key) for one in every]
    rows, section = scored[0].sets[0][0].rows, every[0].experiment.evaluation
    for one, other in zip(every[1:], scored[1:], strict=True):
        if not np.array_equal(other.sets[0][0].rows.truth, rows.truth, equal_nan=rows.truth.dtype.kind == "f"):
            what = f"its answers to {key} differ from those of {every[0].run}."
            raise UsageError(Problem(str(one.run), what, "Train both on one table with the same settings of its columns."))
    bootstrap = rows.resample(section).bootstrap
    estimates = [estimate_scores(one, bootstrap) for one in scored]
    method = next((one.method for of_run in estimates for one in of_run.values()), NADEAU_BENGIO)
    return ComparedTarget(
        task=rows.target.task,
        rows=len(rows),
        interval=Resampling(section, rows.groups, _group_column(every[0])).info(bootstrap),
        scores=[
            {name: _score(name, one.center(name), of_run.get(name), section) for name in one.folds}
            for one, of_run in zip(scored, estimates, strict=True)
        ],
        against_first=[_difference(scored[0], other, bootstrap, section) for other in scored[1:]],
        method=method,
    )


def _group_column(one: CrossValidatedRun) -> str:
    from mmtrain.columns import Group

    column = one.experiment.only(Group)
    return "" if column is None else column.column


def _difference(first: CrossValidated, other: CrossValidated, bootstrap: Bootstrap, section: Evaluation) -> PairedDifference:
    estimates, draws = estimate_differences(first, other, bootstrap)
    differences = {name: other.center(name) - first.center(name) for name in first.folds if name in other.folds}
    return PairedDifference(
        differences={name: _score(name, value, estimates.get(name), section, difference=True) for name, value in differences.items()},
        detectable={name: one.detectable(section.confidence) for name, one in estimates.items()},
        p={name: one.p for name, one in estimates.items()},
        of_rows=_row_differences(differences, draws, bootstrap),
    )


def _row_differences(differences: Mapping[str, float], draws: Draws, bootstrap: Bootstrap) -> dict[str, Score]:
    """Return the differences with the intervals of the paired bootstrap."""
    known = {name: Score(name, differences[name]) for name in draws if not np.isnan(differences[name])}
    return {
        name: bootstrap.with_interval(score, bootstrap.interval(draws[name], score.value), draws[name]) for name, score in known.items()
    }


def _score(name: str, value: float, estimate: Estimate | None, section: Evaluation, *, difference: bool = False) -> Score:
    if np.isnan(value):
        return Score(name, None, "It is undefined in every fold.")
    if estimate is None:
        return Score(name, value, note="No interval: it does not vary, or is defined in one fold only.")
    low, high = estimate.interval(section.confidence, bounded=not difference)
    return Score(name, estimate.value, low=low, high=high)
