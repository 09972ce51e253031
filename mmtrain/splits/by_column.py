"""`split: column`: what the table says; validation is taken from training rows where no row says validation."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mmtrain.columns.split_words import PARTS
from mmtrain.errors import DataError, Problem, counted, listed
from mmtrain.splits.base import Seed, split_method
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
    """As the column with the role `split` says."""
    import numpy as np

    from mmtrain.splits.random_assignment import Draw, check_shares

    check_shares(validation, test, validation)
    if rows.given is None:
        raise ValueError("A split by column needs the parts given.")
    codes = _given_codes(rows)
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


def _given_codes(rows: Rows) -> IntArray:
    import numpy as np
    import pandas as pd

    assert rows.given is not None  # noqa: S101
    numbers, names = pd.factorize(by_position(rows.given))
    codes = np.append(pd.Index(PARTS).get_indexer(pd.Index(np.asarray(names, dtype=object))), -1)[numbers].astype(np.int64)
    if len(codes) != rows.count or (codes < 0).any():
        raise ValueError(f"given must be one of {listed(PARTS, 'or')} for each of the {rows.count} rows.")
    return codes


def _given_problems(rows: Rows, codes: IntArray, test: float) -> list[Problem]:
    import numpy as np

    from mmtrain.splits.group_allocation import Tally
    from mmtrain.splits.random_assignment import NAMED, coded

    problems = []
    if not (codes == TRAIN).any():
        problems.append(Problem("split", "no row is marked train.", "Write train in the split column of the rows to learn from."))
    if test > 0 and not (codes == TEST).any():
        problems.append(Problem("split", "no row is marked test.", "Write test in the split column of some rows, or set `test: 0`."))
    if rows.groups is None:
        return problems
    groups, names = coded(rows.groups, rows.count, "groups", in_order=False)
    met = Tally.of(groups, codes)
    torn = np.flatnonzero(np.bincount(met.group) > 1)
    if len(torn):
        named = listed([f"'{names[group]}'" for group in torn], most=NAMED)
        what = f"the split column tears {counted(len(torn), 'group')} apart: {named}."
        problems.append(Problem("split", what, "Mark all rows of a group for the same part."))
    return problems
