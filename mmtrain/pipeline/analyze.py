"""Analyses of `evaluate` beyond the scores of all rows: permutation importance, missing inputs, subgroups, and registered ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.analysis_results import MissingPatterns, PermutationImportance, Subgroups
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_folder import Run
from mmtrain.columns.cells import concatenate
from mmtrain.config import Experiment
from mmtrain.config.sections.evaluation import Evaluation, SubgroupSpec
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.drift import read_statistics
from mmtrain.data.encode import Fitted
from mmtrain.data.images.store import Say
from mmtrain.evaluation.analyses.missing_inputs import can_be_absent, score_ablated_branches, score_missing_patterns
from mmtrain.evaluation.analyses.permutation_importance import (
    Budget,
    PermutedInput,
    permutation_importance,
    permuted_inputs,
    sample_rows,
)
from mmtrain.evaluation.analyses.registered_analyses import registered_tables
from mmtrain.evaluation.analyses.subgroups import assign_subgroups, score_subgroups
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.evaluation_set import BootstrapScores, MultiTargetEvalSet
from mmtrain.evaluation.scoring import ScoredTarget, main_scores
from mmtrain.pipeline.prepare import LoadedData


@dataclass(frozen=True, eq=False)
class AnalysisInput:
    """A run, and rows of a table that it has scored."""

    run: Run
    experiment: Experiment
    fitted: Fitted
    data: LoadedData
    arrays: Arrays
    """The table as it is encoded."""
    rows: Array
    """Positions in the table."""
    inputs: Arrays
    """The table as `predictor` reads it: features in place of columns that frozen encoders read."""
    predictor: Any
    """None for a group of trainings, whose predictions are the mean of several predictors."""
    predictions: Mapping[str, Array]
    resampling: Resampling
    scored: Mapping[str, ScoredTarget]
    """The scores of these predictions, by target."""

    @property
    def section(self) -> Evaluation:
        """The section `evaluation` of the experiment."""
        return self.experiment.evaluation

    @property
    def branches(self) -> dict[str, tuple[str, ...]]:
        """The columns of every branch."""
        return {key: branch.columns for key, branch in self.experiment.branches.items()}

    @property
    def main(self) -> dict[str, str]:
        """The main score of each target."""
        results = {key: one.result for key, one in self.scored.items()}
        return main_scores(self.experiment.training.early_stopping.monitor, self.fitted.targets, results)

    @cached_property
    def truths(self) -> MultiTargetEvalSet:
        """The answers of these rows."""
        values = {key: self.arrays.targets[key][self.rows] for key in self.scored}
        return MultiTargetEvalSet(self.fitted.targets, values, self.main, self.resampling.groups)


def analyze(
    subject: AnalysisInput, results: Mapping[str, TargetResult], divisions: Sequence[SubgroupSpec], say: Say = lambda _: None
) -> dict[str, TargetResult]:
    """Add permutation importance, missing inputs, subgroups and registered analyses to the results, where there is something to report.

    Permutation importance and missing inputs need one predictor, which a group of trainings does not have.
    """
    contributed: dict[str, PermutationImportance] = {}
    missing: dict[str, MissingPatterns] = {}
    if subject.predictor is not None:
        mixed = _Perturbed(subject)
        contributed = compute_permutation_importance(subject, mixed, Budget(say=say))
        missing = compute_missing_inputs(subject, mixed)
    by_column = compute_subgroups(subject, divisions)
    tables = registered_tables(subject.truths, subject.predictions, subject.data.table, subject.rows)
    return {
        key: result.model_copy(
            update={
                "contributions": contributed.get(key),
                "missing_patterns": missing.get(key),
                "subgroups": by_column[key],
                "analyses": tables[key],
            }
        )
        for key, result in results.items()
    }


def compute_permutation_importance(subject: AnalysisInput, mixed: _Perturbed, budget: Budget) -> dict[str, PermutationImportance]:
    """Compute the permutation importance of the inputs for every target; nothing for a single input."""
    inputs = permuted_inputs(subject.branches)
    if not inputs or not subject.section.permutations:
        return {}
    return permutation_importance(mixed.truths, mixed.before, mixed.shuffled, inputs, subject.section, budget=budget)


def compute_missing_inputs(subject: AnalysisInput, mixed: _Perturbed) -> dict[str, MissingPatterns]:
    """Score every target by the inputs that are missing in a row, and without each branch that can be absent.

    Targets without missing inputs and without such a branch are left out.
    """
    absent = can_be_absent(subject.branches, {key: column.masks_missing for key, column in subject.experiment.inputs.items()})
    without = {branch: mixed.without(branch) for branch in absent}
    practised = training_rows_without(subject, absent) if absent else {}
    missing = missing_inputs(subject)
    patterns = {}
    for key, prediction in subject.predictions.items():
        known = subject.truths.known_rows(key)
        as_they_are = score_missing_patterns(
            # Masks of all rows, cut to those with a known answer, as `eval_set` cuts the rows.
            subject.truths.eval_set(key, prediction),
            {name: rows[known] for name, rows in missing.items()},
            subject.section,
        )
        after = {branch: mixed.truths.eval_set(key, predictions[key]) for branch, predictions in without.items()}
        masked = score_ablated_branches(mixed.before[key], after, practised, subject.section) if absent else []
        if as_they_are or masked:
            main, confidence = subject.truths.main[key], subject.section.confidence
            patterns[key] = MissingPatterns(main=main, confidence=confidence, patterns=as_they_are, masked=masked)
    return patterns


def compute_subgroups(subject: AnalysisInput, divisions: Sequence[SubgroupSpec]) -> dict[str, list[Subgroups]]:
    """Score every target in each subgroup of the rows."""
    by_target: dict[str, list[Subgroups]] = {key: [] for key in subject.scored}
    for division in divisions:
        rows = assign_subgroups(division, concatenate(subject.data.table.pieces(division.header)).iloc[subject.rows])
        # A column with subgroups may be one that stays on disk, so its pieces are read here.
        for key, prediction in subject.predictions.items():
            answered = subject.truths.eval_set(key, prediction)
            if len(answered):
                by_target[key].append(
                    score_subgroups(answered, rows.only(subject.truths.known_rows(key)), subject.main[key], subject.section)
                )
    return by_target


def missing_inputs(subject: AnalysisInput) -> dict[str, NDArray[np.bool_]]:
    """Return per column the rows, a mask (rows,), whose cell is empty or whose image is absent, before any value is filled in."""
    absent = {}
    for key, column in subject.experiment.inputs.items():
        # Two ways to be missing: the network goes without the value, or a filled-in value stands for it.
        gone = subject.arrays.present[key][subject.rows, 0] == 0
        empty = np.concatenate([column.missing_cells(cells) for cells in subject.data.table.chunks(column.reads())])
        gone |= empty[subject.rows]
        absent[key] = gone
    return absent


def training_rows_without(subject: AnalysisInput, branches: Sequence[str]) -> dict[str, int]:
    """Return the number of training rows in which each branch was absent; with several columns, an upper limit of it."""
    learned = read_statistics(subject.run, subject.fitted).columns
    # A branch is absent only where all of its columns are, so the column with the fewest gaps bounds it.
    return {branch: min(learned[column].missing for column in subject.branches[branch]) for branch in branches}


class _Perturbed:
    """A sample of the rows, predicted with shuffled or absent inputs; the features of the branches are computed once."""

    def __init__(self, subject: AnalysisInput) -> None:
        sample = sample_rows(len(subject.rows), subject.section.seed)
        self._subject = subject
        self._rows = subject.rows[sample]
        self.truths = subject.truths.only(sample)

    @cached_property
    def _halves(self) -> Any:
        from mmtrain.model.branch_features import SplitPredictor

        experiment = self._subject.experiment
        subject = self._subject
        return SplitPredictor(subject.predictor, experiment.branches, experiment.columns, subject.fitted, subject.inputs.specs)

    @cached_property
    def _features(self) -> Any:
        return self._halves.features(self._subject.inputs, self._rows)

    @cached_property
    def predictions(self) -> dict[str, Array]:
        """Predictions of the rows as they are."""
        outputs: dict[str, Array] = self._halves.predictions(self._features)
        return outputs

    @cached_property
    def before(self) -> dict[str, BootstrapScores]:
        """The scores of the rows as they are; those of the evaluation are reused if the predictions are bit-equal."""
        return {key: self._before(key, prediction) for key, prediction in self.predictions.items()}

    def _before(self, key: str, prediction: Array) -> BootstrapScores:
        scored = self._subject.scored[key].bootstrap_scores
        # A sample of rows, or a network whose halves round otherwise, has scores of its own.
        if scored is not None and np.array_equal(prediction, self._subject.predictions[key]):
            return scored
        return self.truths.eval_set(key, prediction).resample(self._subject.section)

    def shuffled(self, one: PermutedInput, donors: Array) -> dict[str, Array]:
        """Predict the rows when row i has the values that row `donors[i]` has in one input."""
        if one.whole:
            features = self._features.take_branch(one.branch, donors)
        # Features of a whole branch depend on their row alone: they are reordered, not computed again.
        else:
            rows = {column: self._rows[donors] if column in one.columns else self._rows for column in self._subject.branches[one.branch]}
            features = self._features.replace_branch(one.branch, *self._halves.of_branch(one.branch, self._subject.inputs, rows))
        outputs: dict[str, Array] = self._halves.predictions(features)
        return outputs

    def without(self, branch: str) -> dict[str, Array]:
        """Predict the rows when none of them has this branch."""
        outputs: dict[str, Array] = self._halves.predictions(self._features.without(branch))
        return outputs
