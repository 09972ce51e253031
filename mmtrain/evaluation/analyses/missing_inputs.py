"""Scores with missing inputs: of the rows as they are, by missing pattern; and of all rows, with a branch ablated.

The first shows how the model does on rows of each pattern, which may be harder or easier for other reasons. The second scores the same
rows with and without a branch, but only for branches that can be absent: those whose columns all have `missing: mask`. Under any other
policy the filled-in value is part of what the network was trained to see, so removing it would measure something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.analysis_results import AblatedBranch, MissingPattern
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet, score_drops

MOST_PATTERNS = 10
"""Patterns that are listed, the most frequent first; the rows of all others form one more."""


def score_missing_patterns(eval_set: EvalSet, missing: Mapping[str, NDArray[np.bool_]], section: Evaluation) -> list[MissingPattern]:
    """Score rows by missing pattern; `missing` is (rows,) bool per column, True where the cell or the image is missing."""
    # A column without a missing cell divides nothing.
    keys = [key for key, rows in missing.items() if rows.any()]
    if not keys or not len(eval_set):
        return []
    # Each row of `patterns` is (columns,) bool; `codes` says which one a table row has.
    patterns, codes, counts = np.unique(np.stack([missing[key] for key in keys], axis=1), axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    # From the code of a pattern to its rank by frequency.
    rank[order] = np.arange(len(order))
    ranks = np.minimum(rank[codes.reshape(-1)], MOST_PATTERNS)  # NumPy 2.0 alone returns the codes with a second axis
    names: list[list[str] | None] = [[key for key, absent in zip(keys, patterns[code], strict=True) if absent] for code in order]
    if len(names) > MOST_PATTERNS:
        names = [*names[:MOST_PATTERNS], None]
    subsets = [eval_set.only(ranks == place).resample(section) for place in range(len(names))]
    return [
        MissingPattern(missing=name, rows=len(subset.rows), groups=subset.groups, scores=subset.scores)
        for name, subset in zip(names, subsets, strict=True)
    ]


def score_ablated_branches(
    before: BootstrapScores, without: Mapping[str, EvalSet], training: Mapping[str, int], section: Evaluation
) -> list[AblatedBranch]:
    """Score the rows with each branch ablated.

    `before` are the scores of the rows as they are, `without` the rows with the predictions in the absence of a branch, and `training`
    the number of training rows that lacked it: the network has learned to do without a branch only if there are some.
    """
    changed = {branch: after.resample(section) for branch, after in without.items() if len(after)}
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
    """Return the branches that can be ablated: all of their columns mask missing values, and another branch remains."""
    return tuple(branch for branch, columns in branches.items() if len(branches) > 1 and all(masks[column] for column in columns))
