"""Cross-validation: every row that is not an outer test row is scored once per repeat, by a training that has not seen its group.

Whole groups, or rows where there are none, are divided among the folds in equal shares; the same division cuts the validation rows of each
fold from the rows that it does not score. In the partition of a fold, its scored rows are the `test` rows. Outer test rows are in no fold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmtrain.errors import DataError, counted
from mmtrain.splits.plan import IntArray, Partition, Rows, SplitPlan

if TYPE_CHECKING:
    from collections.abc import Sequence


def deal_folds(
    rows: Rows, *, folds: int, repeats: int, validation: float, test: float, seed: int, stratified: bool, description: str
) -> SplitPlan:
    """Return the plan of `folds` times `repeats` partitions, with `test` of all rows as outer test rows.

    Raises:
        DataError: a class, or the table, has too few groups to be in every fold.

    """
    import numpy as np

    from mmtrain.splits.random_assignment import Draw, check_shares

    check_shares(validation, test, max(validation, test))
    draw = Draw.of(rows, stratified=stratified)
    sides = f"{folds} folds{' and the test part' if test else ''}"
    if problems := draw.refusals(np.ones(folds + bool(test)), sides):
        raise DataError(problems)
    outer = draw.codes(np.array([1 - test, test]), seed) == 1
    inside = np.flatnonzero(~outer)
    inner = Draw.of(rows.at(inside), stratified=stratified)
    # The test part may have taken several groups.
    if problems := inner.refusals(np.ones(folds), f"{folds} folds outside of the test part"):
        raise DataError(problems)
    partitions = []
    for repeat in range(repeats):
        fold_of = np.full(rows.count, -1, np.int64)
        # Another stream of random numbers for each draw; NumPy takes trailing zeros of a seed for none, so the last number is not 0.
        fold_of[inside] = inner.codes(np.full(folds, 1 / folds), (seed, repeat, 1))
        for fold in range(folds):
            learning = np.flatnonzero((fold_of >= 0) & (fold_of != fold))
            chosen = inner_validation(rows, learning, validation, (seed, repeat, fold + 2), stratified=stratified)
            partitions.append(fold_partition(learning, chosen, np.flatnonzero(fold_of == fold)))
    times = f", {repeats} times anew" if repeats > 1 else ""
    more = f"{description}{times}; the validation rows of a fold were drawn from the rows that it does not score"
    return SplitPlan(tuple(partitions), np.flatnonzero(outer), more, repeats=repeats)


def inner_validation(rows: Rows, learning: IntArray, share: float, seed: Sequence[int], *, stratified: bool) -> IntArray:
    """Return the validation rows among those that a fold learns from: `share` of them, dealt by group and class.

    Raises:
        DataError: a class has a single group among them, or there is a single group.

    """
    import numpy as np

    from mmtrain.splits.random_assignment import Draw

    draw, fractions = Draw.of(rows.at(learning), stratified=stratified), np.array([1 - share, share])
    if problems := draw.refusals(fractions, "2 parts, train and validation, of a fold"):
        raise DataError(problems)
    chosen: IntArray = learning[draw.codes(fractions, tuple(seed)) == 1]
    return chosen


def fold_partition(learning: IntArray, validation: IntArray, scored: IntArray) -> Partition:
    """Return the partition of a fold: `validation` out of the rows that it learns from, and the rows that it scores."""
    import numpy as np

    return Partition(train=np.setdiff1d(learning, validation), validation=validation, test=scored)


def describe_folds(folds: int, repeats: int, seeds: int) -> str:
    """Return `5 folds, repeated 2 times, each with 3 seeds`; without folds `3 seeds`.

    >>> describe_folds(5, repeats=1, seeds=3), describe_folds(1, repeats=1, seeds=3)
    ('5 folds, each with 3 seeds', '3 seeds')

    """
    if folds == 1:
        return counted(seeds, "seed")
    again = f", repeated {repeats} times" if repeats > 1 else ""
    return f"{folds} folds{again}{f', each with {seeds} seeds' if seeds > 1 else ''}"
