"""Teachers: trained runs, or groups of them, whose predictions one network learns (`mmtrain distill`).

The student learns from the training rows of the teacher. Of a group with folds, it also learns from the rows that a fold scored: its
partition is that of one fold, with these rows among its training rows. For those the teacher has out-of-fold predictions, of trainings
that have not seen the row, or the mean of all trainings, most of which have. Outer test rows stay test rows.

Nothing is scored here, the outer test rows least of all: they are predicted for a later `mmtrain evaluate` of the student.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.run_facts import Costs
from mmtrain.config import Experiment
from mmtrain.data import encode
from mmtrain.data.arrays import Array
from mmtrain.data.images.store import Say
from mmtrain.errors import Problem, UsageError, listed
from mmtrain.evaluation.member_decisions import align
from mmtrain.evaluation.prediction_table import prediction_frame
from mmtrain.pipeline.distillation.student import costs_of
from mmtrain.pipeline.groups.ensemble import counting_members, predict_rows
from mmtrain.pipeline.groups.results import combine_members
from mmtrain.pipeline.prepare import LoadedData
from mmtrain.splits.plan import Partition, SplitPlan
from mmtrain.targets import FittedTarget
from mmtrain.targets.decides import UNCHOSEN

Soft = Literal["out_of_fold", "mean"]
MOST_TIMED = 256
"""Validation rows that are predicted for the time that it takes."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """A finished run or group, with its table, as the teacher of a student."""

    run: Run
    experiment: Experiment
    labels: encode.Fitted
    """Its columns and targets; of a group, the targets with the classes of all members."""
    data: LoadedData
    plan: SplitPlan

    @property
    def has_folds(self) -> bool:
        """True for a group of folds."""
        return len(self.plan.partitions) > 1

    @property
    def trainings(self) -> list[Run]:
        """The runs whose mean it predicts."""
        return counting_members(self.run)[0] if self.run.is_group else [self.run]

    @cached_property
    def partition(self) -> Partition:
        """The rows of the student."""
        if not self.has_folds:
            return self.plan.holdout
        # Of folds by time the last one has all rows; of others any.
        last = self.plan.partitions[-1]
        if self.experiment.split.method == "time":  # the latest rows select the epoch
            return replace(last, train=np.union1d(last.train, last.validation), validation=last.test, test=self.plan.test)
        return replace(last, train=np.union1d(last.train, last.test), test=self.plan.test)

    def predict(self, soft: Soft, students: Mapping[str, FittedTarget], say: Say) -> tuple[pd.DataFrame, Costs]:
        """Return the table of predictions_teacher.csv, and what a prediction of the teacher costs.

        Of a group with folds, predictions of training rows are `soft`, those of validation rows out of fold. Without folds all are of
        the trainings themselves, which have learned from the training rows. Curves are written at the times of the `students`, the
        targets as fitted to the rows of the student.
        """
        table, partition = self.data.table, self.partition
        every = np.unique(np.concatenate([rows for _, rows in partition.items()]))
        averaged = every
        if self.has_folds:
            averaged = np.union1d(partition.test, partition.train if soft == "mean" else partition.test[:0])
        # Validation rows are predicted in any case, for the time that it takes.
        rows, seconds = np.union1d(averaged, partition.validation[:MOST_TIMED]), [0.0]
        means, _ = predict_rows(self.run, self.labels, self.data, rows, say, own_table=True, seconds=seconds)
        values = self._out_of_fold() if self.has_folds else {}
        places = np.searchsorted(rows, averaged)
        for key, mean in means.items():
            values.setdefault(key, np.full((len(table), *mean.shape[1:]), np.nan, np.float32))[averaged] = mean[places]
        known = every[np.logical_and.reduce([np.isfinite(one[every]).all(axis=1) for one in values.values()])]
        # Times of curves are quantiles of training rows, and the student has those of all folds. Classes stay those of the teacher.
        taught = self.labels.targets
        targets = {key: one if one.number_columns == students[key].number_columns else students[key] for key, one in taught.items()}
        predicted = {key: align(targets[key], taught[key], one[known]) for key, one in values.items()}
        frame = prediction_frame(table.rows[known], table.ids(known), targets, {}, predicted)
        frame.insert(2, "source", np.where(np.isin(known, averaged), "mean", "out_of_fold"))
        return frame, costs_of(self.trainings, seconds[0])

    def _out_of_fold(self) -> dict[str, Array]:
        """Return the out-of-fold predictions by target, (rows of the table, units); NaN in rows that no fold has scored."""
        combined = combine_members(self.run, self.experiment, self.labels)[1]
        places = np.searchsorted(self.data.table.rows, combined.rows)
        values = {}
        for key, (_, predictions, _) in combined.parsed.items():
            values[key] = np.full((len(self.data.table), *predictions.shape[1:]), np.nan, np.float32)
            values[key][places] = predictions
        return values


def check_distillable(targets: Mapping[str, FittedTarget]) -> None:
    """Raise UsageError for a task whose networks cannot be distilled."""
    lacking = [key for key, target in targets.items() if type(target).distillation_loss is FittedTarget.distillation_loss]
    if lacking:
        what = f"the task of {listed(lacking)} has no distance from a teacher's prediction."
        fix = (
            "Train a smaller network on the answers with `mmtrain fit`; a task of your own needs `distillation_loss` of its fitted target."
        )
        raise UsageError(Problem("mmtrain distill", what, fix))


def chosen_thresholds(targets: Mapping[str, FittedTarget]) -> dict[str, float]:
    """Return the decision threshold of each target for which one was chosen."""
    thresholds = {key: target.decision_threshold for key, target in targets.items()}
    return {key: value for key, value in thresholds.items() if value is not None and value != UNCHOSEN}
