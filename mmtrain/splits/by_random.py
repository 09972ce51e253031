"""`split: random` and `split: stratified`: whole groups, or rows where there are none, drawn at random from a seed."""

from __future__ import annotations

from mmtrain.splits.base import Folds, Repeats, Seed, TestShare, ValidationShare, split_method
from mmtrain.splits.folds import deal_folds
from mmtrain.splits.plan import Partition, Rows, SplitPlan


@split_method
def random(
    rows: Rows, *, validation: ValidationShare = 0.15, test: TestShare = 0.15, folds: Folds = None, repeats: Repeats = 1, seed: Seed = 0
) -> SplitPlan:
    """At random."""
    if folds is not None:
        description = f"The rows were dealt to {folds} folds at random"
        return deal_folds(
            rows, folds=folds, repeats=repeats, validation=validation, test=test, seed=seed, stratified=False, description=description
        )
    return _dealt(rows, validation, test, seed, stratified=False, description="The rows were dealt to the parts at random")


@split_method(needs="labels")
def stratified(
    rows: Rows, *, validation: ValidationShare = 0.15, test: TestShare = 0.15, folds: Folds = None, repeats: Repeats = 1, seed: Seed = 0
) -> SplitPlan:
    """At random, with the same mix of classes in every part; `group_allocation` says how."""
    if folds is not None:
        description = f"The rows were dealt to {folds} folds at random, so that each fold has its share of every class"
        return deal_folds(
            rows, folds=folds, repeats=repeats, validation=validation, test=test, seed=seed, stratified=True, description=description
        )
    description = "The rows were dealt to the parts at random, so that each part has its share of every class"
    return _dealt(rows, validation, test, seed, stratified=True, description=description)


def _dealt(rows: Rows, validation: float, test: float, seed: int, *, stratified: bool, description: str) -> SplitPlan:
    import numpy as np

    from mmtrain.errors import DataError
    from mmtrain.splits.random_assignment import Draw, check_shares

    check_shares(validation, test, validation + test)
    draw = Draw.of(rows, stratified=stratified)
    fractions = np.array([1 - validation - test, validation, test])
    if problems := draw.refusals(fractions):
        raise DataError(problems)
    return SplitPlan.of(Partition.from_codes(draw.codes(fractions, seed)), description=description)
