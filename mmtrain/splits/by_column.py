"""`split: column`: parts or folds from a column; validation is taken from training rows where no row says validation.

A column of folds (0 to k - 1, `fold_3`, with `folds: true` any words) is cross-validation: a row is scored in the fold that it names.
Rows that say test are outer test rows then, which no fold sees, and rows that say train or validation are so in every fold.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from mmtrain.columns.split_words import PARTS
from mmtrain.errors import DataError, Problem, counted, listed
from mmtrain.splits.base import Seed, split_method
from mmtrain.splits.folds import fold_partition, inner_validation
from mmtrain.splits.plan import IntArray, Partition, Rows, SplitPlan, by_position

TRAIN, VALIDATION, TEST = range(3)


@split_method(needs="given")
def column(
    rows: Rows,
    *,
    validation: Annotated[float, Field(gt=0, lt=1, description="Share of the training rows, where no row says validation.")] = 0.15,
    test: Annotated[float, Field(ge=0, lt=1, description="Above 0, whatever its size, some rows have to say test.")] = 0.15,
    seed: Seed = 0,
) -> SplitPlan:
    """Parts, or folds for cross-validation, from the column with the role `split`."""
    import numpy as np

    from mmtrain.splits.random_assignment import Draw, check_shares

    check_shares(validation, test, validation)
    if rows.given is None:
        raise ValueError("A split by column needs the parts given.")
    codes, folds = _given_codes(rows)
    if folds:
        return _folds(rows, codes, folds, validation, seed)
    problems = _given_problems(rows, codes, test)
    train = np.flatnonzero(codes == TRAIN)
    description = f"The parts were given by the column {rows.headers.get('given', '')}"
    if validation and not (codes == VALIDATION).any() and len(train):
        draw = Draw.of(rows.at(train), stratified=rows.labels is not None, marked=True)
        fractions = np.array([1 - validation, validation])
        problems += draw.refusals(fractions)
        if not problems:
            codes[train] = draw.codes(fractions, seed)
        description += "; it marks no row validation, so those rows were drawn from the rows marked train"
    if problems:
        raise DataError(problems)
    return SplitPlan.of(Partition.from_codes(codes), description=description)


def _given_codes(rows: Rows) -> tuple[IntArray, list[str]]:
    """Return the code of each row, that of a part or from len(PARTS) on that of a fold, and the names of the folds in order."""
    import numpy as np
    import pandas as pd

    assert rows.given is not None  # noqa: S101
    numbers, names = pd.factorize(by_position(rows.given))
    texts = [str(name) for name in names]
    folds = sorted((name for name in texts if name not in PARTS), key=fold_order) if rows.folds else []
    codes = np.append(pd.Index([*PARTS, *folds]).get_indexer(pd.Index(texts)), -1)[numbers].astype(np.int64)
    if len(codes) != rows.count or (codes < 0).any():
        raise ValueError(f"given must be one of {listed(PARTS, 'or')} for each of the {rows.count} rows.")
    return codes, folds


def _folds(rows: Rows, codes: IntArray, folds: list[str], validation: float, seed: int) -> SplitPlan:
    """Return a partition for each fold of a column."""
    import numpy as np

    if problems := [*_groups_across_parts(rows, codes), *_single_fold(rows, folds)]:
        raise DataError(problems)
    fixed = np.flatnonzero(codes == VALIDATION)
    inside = codes != TEST
    partitions = []
    for number in range(len(folds)):
        scored = codes == len(PARTS) + number
        learning = np.flatnonzero(inside & ~scored)
        # Stratified where there are classes, as for parts.
        chosen = (
            fixed if len(fixed) else inner_validation(rows, learning, validation, (seed, 0, number + 2), stratified=rows.labels is not None)
        )
        partitions.append(fold_partition(learning, chosen, np.flatnonzero(scored)))
    description = f"The {len(folds)} folds were given by the column {rows.headers.get('given', '')}"
    if not len(fixed):
        description += "; the validation rows of a fold were drawn from the rows that it does not score"
    # Rows that say train or validation are scored by no fold, and yet used in each.
    return SplitPlan(tuple(partitions), np.flatnonzero(~inside), description, facts={"fold_names": folds})


def _single_fold(rows: Rows, folds: list[str]) -> list[Problem]:
    if len(folds) > 1:
        return []
    what = f"the column {rows.headers.get('given', '')!r} has one fold, {folds[0]!r}; cross-validation needs two."
    return [Problem("split", what, "Write the fold of each row, or train, validation and test.")]


def fold_order(name: str) -> tuple[int, str]:
    """Return a key that sorts `fold_2` before `fold_10`, and names without a number by their text."""
    digits = re.search(r"[0-9]{1,9}(?!.*[0-9])", name)
    return (int(digits[0]) if digits else 0, name)


def _given_problems(rows: Rows, codes: IntArray, test: float) -> list[Problem]:

    problems = []
    if not (codes == TRAIN).any():
        problems.append(Problem("split", "no row is marked train.", "Write train in the split column of the rows to learn from."))
    if test > 0 and not (codes == TEST).any():
        problems.append(Problem("split", "no row is marked test.", "Write test in the split column of some rows, or set `test: 0`."))
    return problems + _groups_across_parts(rows, codes)


def _groups_across_parts(rows: Rows, codes: IntArray) -> list[Problem]:
    """Return the problem of groups whose rows are in several parts or folds; empty without any."""
    import numpy as np

    from mmtrain.splits.group_allocation import Tally
    from mmtrain.splits.random_assignment import NAMED, coded

    if rows.groups is None:
        return []
    groups, names = coded(rows.groups, rows.count, "groups", in_order=False)
    met = Tally.of(groups, codes)
    torn = np.flatnonzero(np.bincount(met.group) > 1)
    if len(torn):
        named = listed([f"'{names[group]}'" for group in torn], most=NAMED)
        what = f"the split column tears {counted(len(torn), 'group')} apart: {named}."
        return [Problem("split", what, "Mark all rows of a group for the same part.")]
    return []
