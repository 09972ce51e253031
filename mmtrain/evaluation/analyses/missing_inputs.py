"""The scores where inputs are missing: of the rows as they are, by what is missing in them; and of all rows, were a branch absent.

The first says how the model fares with rows of each kind, which may be harder or easier for other reasons. The second asks about the
same rows with and without a branch, but only of branches that can be absent, which those are whose columns all have `missing: mask`:
what another policy fills in is part of what the network was trained to see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.analyses.score_drop import ScoreDrop, score_drops
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet

MOST_PATTERNS = 10
"""The most frequent ones; rows of all others are one more."""


@dataclass(frozen=True)
class MissingPatternScores:
    """Rows in which the same inputs are missing."""

    missing: tuple[str, ...] | None
    """Keys of columns; empty where nothing is missing, None for the rows of all rarer patterns."""
    scores: BootstrapScores

    def plain(self) -> dict[str, Any]:
        """For metrics.json."""
        return {"missing": None if self.missing is None else list(self.missing), **self.scores.plain()}


@dataclass(frozen=True)
class AblatedBranchScores:
    """All rows, none of which has this branch."""

    branch: str
    scores: BootstrapScores
    losses: Mapping[str, ScoreDrop]
    """Against the same rows as they are."""
    training: int
    """Training rows without the branch: at 0, what the network says without it was never practised."""

    def plain(self) -> dict[str, Any]:
        """For metrics.json."""
        losses = {name: loss.plain() for name, loss in self.losses.items()}
        return {"branch": self.branch, "training_rows_without": self.training, **self.scores.plain(), "losses": losses}


@dataclass(frozen=True)
class MissingInputScores:
    """Of one target."""

    main: str
    confidence: float
    patterns: tuple[MissingPatternScores, ...]
    """The most frequent first; none where nothing is missing in any row."""
    masked: tuple[AblatedBranchScores, ...]

    def __bool__(self) -> bool:
        return bool(self.patterns or self.masked)

    def plain(self) -> dict[str, Any]:
        """For metrics.json."""
        return {
            "main": self.main,
            "confidence": self.confidence,
            "patterns": [pattern.plain() for pattern in self.patterns],
            "masked": [masked.plain() for masked in self.masked],
        }


def score_missing_patterns(
    answered: EvalSet, missing: Mapping[str, NDArray[np.bool_]], section: Evaluation
) -> tuple[MissingPatternScores, ...]:
    """Of rows; `missing` says per column in which of them, (rows,), its cell or its image is."""
    keys = [key for key, rows in missing.items() if rows.any()]
    if not keys or not len(answered):
        return ()
    kinds, codes, counts = np.unique(np.stack([missing[key] for key in keys], axis=1), axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    places = np.minimum(rank[codes.reshape(-1)], MOST_PATTERNS)
    names: list[tuple[str, ...] | None] = [tuple(key for key, gone in zip(keys, kinds[kind], strict=True) if gone) for kind in order]
    if len(names) > MOST_PATTERNS:
        names = [*names[:MOST_PATTERNS], None]
    return tuple(MissingPatternScores(name, answered.only(places == place).drawn(section)) for place, name in enumerate(names))


def score_ablated_branches(
    before: BootstrapScores, without: Mapping[str, EvalSet], training: Mapping[str, int], section: Evaluation
) -> tuple[AblatedBranchScores, ...]:
    """Of branches; `before` are the rows as they are, `without` has them with what would be predicted were the branch absent."""
    changed = {branch: after.drawn(section) for branch, after in without.items() if len(after)}
    return tuple(AblatedBranchScores(branch, after, score_drops(before, [after]), training[branch]) for branch, after in changed.items())


def can_be_absent(branches: Mapping[str, Sequence[str]], masks: Mapping[str, bool]) -> tuple[str, ...]:
    """The branches all of whose columns may be masked, from the columns of every branch; none where there is only one."""
    return tuple(branch for branch, columns in branches.items() if len(branches) > 1 and all(masks[column] for column in columns))
