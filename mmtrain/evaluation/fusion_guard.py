"""The choice between the fused prediction and that of a single branch, so that fusion is never worse than its best input beyond noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.run_schema.run_facts import BranchAlone, FusionGuard
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet, score_drops
from mmtrain.evaluation.scoring import main_score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
LEAST_GAIN = 1e-6
"""Least gain of a branch, as a proportion of the score of the fusion: rounding of float32 predictions must not choose."""


def choose_answer(
    section: Evaluation,
    target: FittedTarget,
    truth: Array,
    fused: Array,
    alone: Mapping[str, Array],
    *,
    groups: NDArray[np.int64] | None = None,
    monitor: str = "",
    prefix: str = "",
) -> FusionGuard:
    """Keep the fused prediction unless a branch alone is better on validation rows beyond noise; of several, choose the best.

    Args:
        section: Draws, confidence and seed of the paired bootstrap. The confidence is Bonferroni-corrected for the number of branches.
        target: The fitted target.
        truth: (rows, ...) encoded labels; rows without a known one are left out.
        fused: (rows, units) predictions of the network.
        alone: The same of each branch alone.
        groups: (rows,) codes of rows that are resampled together.
        monitor: The monitored score, which is compared if it is one of the target.
        prefix: Beginning of the target's scores in `monitor`, see `main_score`.
    """
    rows, known = EvalSet.of(target, truth, fused, groups), target.known_rows(truth)
    # Bonferroni: each of the branches gets its share of the error probability.
    confidence = 1 - (1 - section.confidence) / len(alone)
    of_fusion = rows.resample(section.model_copy(update={"confidence": confidence}))
    score = main_score(monitor, target, of_fusion.scores, prefix)
    branches = {branch: _compare(of_fusion, prediction[known], score) for branch, prediction in alone.items()}
    fused_value = of_fusion.scores[score].value
    least = LEAST_GAIN * abs(fused_value or 0.0)
    # The whole interval lies above the least gain.
    better = {branch: one.gain for branch, one in branches.items() if one.gain is not None and one.low is not None and one.low > least}
    return FusionGuard(
        score=score,
        rows=len(rows),
        confidence=confidence,
        fused=fused_value,
        branches=branches,
        chosen=max(better, key=better.__getitem__, default=""),
    )


def _compare(of_fusion: BootstrapScores, prediction: Array, score: str) -> BranchAlone:
    of_branch = of_fusion.of(of_fusion.rows.target, prediction)
    drop = score_drops(of_fusion, [of_branch]).get(score)
    value = of_branch.scores[score].value
    if drop is None:
        return BranchAlone(value=value)
    if drop.low is None or drop.high is None:
        return BranchAlone(value=value, gain=-drop.value)
    # A gain is a negative drop, so the limits change places.
    return BranchAlone(value=value, gain=-drop.value, low=-drop.high, high=-drop.low)
