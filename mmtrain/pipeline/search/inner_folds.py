"""The rows of a trial: the train and validation rows of the search, or with `tune.folds` several divisions of them.

With folds, the rows that learn and validate are divided into parts of equal size, groups kept together and classes balanced. A training for
each part learns from the others and is scored on it; the score of a trial is the mean over these trainings. Test and calibration rows are
in no part. The same rows and seed give the same parts, so that a resumed search and every worker have them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmtrain.config import Experiment
from mmtrain.config.sections.tune import Tune
from mmtrain.data.images.store import Say
from mmtrain.data.tables.table import Table
from mmtrain.errors import DataError, Problem
from mmtrain.pipeline.build import EncodedTable
from mmtrain.pipeline.prepare import strata
from mmtrain.pipeline.search.space import SearchSpace
from mmtrain.splits.folds import fold_partition
from mmtrain.splits.plan import Partition
from mmtrain.splits.random_assignment import Draw

FOLD_STREAM = 7
"""Last number of the seed of these parts, so that they are drawn independently of the folds of the split."""


def trial_tables(table: EncodedTable, space: SearchSpace, section: Tune, say: Say = lambda _: None) -> tuple[EncodedTable, ...]:
    """Return the tables of the trainings of a trial, without test rows, with the experiment that trials vary.

    Columns are encoded again only where the rows of a part teach them something else.
    """
    experiment = for_trials(space.experiment)
    first = replace(table, experiment=experiment, partition=replace(table.partition, test=table.partition.test[:0]))
    if section.folds is None:
        return (first,)
    parts = inner_folds(experiment, table.data.table, table.partition, section.folds)
    return tuple(first.for_child(experiment, part, say) for part in parts)


def for_trials(experiment: Experiment) -> Experiment:
    """Return the experiment without callbacks, trackers, logs of TensorBoard and minutes, and without its search and its ensemble.

    A trial is one training; in nested searches, single branches would be members of the outer folds, which have a search of all branches.
    """
    return experiment.decided(tensorboard=False, callbacks=(), trackers=(), minutes=None).model_copy(
        update={"tune": None, "ensemble": None}
    )


def inner_folds(experiment: Experiment, table: Table, partition: Partition, folds: int) -> list[Partition]:
    """Divide the train and validation rows of a partition into `folds` parts, each of which is the validation part of one partition.

    Raises DataError if there are too few groups, or too few of a class.
    """
    rows = strata(experiment.columns, table)
    learning = np.sort(np.concatenate([partition.train, partition.validation]))
    stratified = rows.labels is not None and experiment.split.method != "random"
    draw, shares = Draw.of(rows.at(learning), stratified=stratified), np.full(folds, 1 / folds)
    if problems := draw.refusals(shares, f"{folds} folds of `tune.folds`"):
        raise DataError([replace(one, where="tune.folds", fix=f"Lower `tune.folds`. {one.fix}") for one in problems])
    codes = draw.codes(shares, (experiment.training.seed, FOLD_STREAM))
    nothing = partition.test[:0]
    return [fold_partition(learning, learning[codes == fold], nothing) for fold in range(folds)]


def check_folds(experiment: Experiment, section: Tune, place: str) -> None:
    """Raise DataError for folds of a split by time: a training would learn from rows that are later than those that score it.

    Nested searches use the folds of the split if it has some, which are in the order of time.
    """
    dealt = section.folds is not None or (section.nested and getattr(experiment.split, "folds", None) is None)
    if dealt and experiment.split.method == "time":
        what = "a split by time has no folds for trials: some would learn from rows that are later than those that score them."
        fix = "Leave `tune.folds` out." if section.folds is not None else "Set `split.folds`, whose folds follow each other in time."
        raise DataError(Problem(place, what, fix))
