"""The scores where inputs are missing: of the rows as they are, by what is missing in them; and of all rows, were a branch absent.

The first says how the model fares with rows of each kind, which may be harder or easier for other reasons. The second asks about the
same rows with and without a branch, but only of branches that can be absent, which those are whose columns all have `missing: mask`:
what another policy fills in is part of what the network was trained to see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.analysis_results import AblatedBranch, MissingPattern
from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet, score_drops

MOST_PATTERNS = 10
"""The most frequent ones; rows of all others are one more."""


def score_missing_patterns(answered: EvalSet, missing: Mapping[str, NDArray[np.bool_]], section: Evaluation) -> list[MissingPattern]:
    """Score rows by what is missing in them; `missing` is (rows,) bool per column, True where the cell or the image is missing."""
    keys = [key for key, rows in missing.items() if rows.any()]
    if not keys or not len(answered):
        return []
    kinds, codes, counts = np.unique(np.stack([missing[key] for key in keys], axis=1), axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    places = np.minimum(rank[codes.reshape(-1)], MOST_PATTERNS)
    names: list[list[str] | None] = [[key for key, gone in zip(keys, kinds[kind], strict=True) if gone] for kind in order]
    if len(names) > MOST_PATTERNS:
        names = [*names[:MOST_PATTERNS], None]
    subsets = [answered.only(places == place).drawn(section) for place in range(len(names))]
    return [
        MissingPattern(missing=name, rows=len(one.rows), groups=one.groups, scores=one.scores)
        for name, one in zip(names, subsets, strict=True)
    ]


def score_ablated_branches(
    before: BootstrapScores, without: Mapping[str, EvalSet], training: Mapping[str, int], section: Evaluation
) -> list[AblatedBranch]:
    """Score the rows without each branch: `before` holds them as they are, `without` what is predicted if the branch is absent."""
    changed = {branch: after.drawn(section) for branch, after in without.items() if len(after)}
    return [
        AblatedBranch(
            branch=branch,
            training_rows_without=training[branch],
            rows=len(after.rows),
            groups=after.groups,
            scores=after.scores,
            losses=score_drops(before, [after]),
        )
        for branch, after in changed.items()
    ]


def can_be_absent(branches: Mapping[str, Sequence[str]], masks: Mapping[str, bool]) -> tuple[str, ...]:
    """The branches all of whose columns may be masked, from the columns of every branch; none where there is only one."""
    return tuple(branch for branch, columns in branches.items() if len(branches) > 1 and all(masks[column] for column in columns))
