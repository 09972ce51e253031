"""Several predictions of the same rows, compared in pairs: every draw of the bootstrap has the same rows for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmtrain.artifacts.command_results import ComparedTarget, DeLong, PairedDifference
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.delong import delong
from mmtrain.evaluation.evaluation_set import BootstrapScores, EvalSet
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]


def compare_target(targets: Sequence[FittedTarget], truth: Array, predictions: Sequence[Array], resampling: Resampling) -> ComparedTarget:
    """`targets` are what each run has learned of one target, `predictions` what each says of the same rows, whose answers are `truth`."""
    first, *others = (
        BootstrapScores(EvalSet.of(target, truth, prediction, resampling.groups), resampling.bootstrap(target.known_rows(truth)))
        for target, prediction in zip(targets, predictions, strict=True)
    )
    return ComparedTarget(
        task=targets[0].task,
        rows=len(first.rows),
        interval=resampling.info(first.bootstrap),
        scores=[one.scores for one in (first, *others)],
        against_first=[PairedDifference(differences=other.less(first), delong=_delong(first.rows, other.rows)) for other in others],
    )


def _delong(first: EvalSet, other: EvalSet) -> DeLong | None:
    if not first.target.thresholdable:
        return None
    return delong(first.truth, first.prediction.reshape(-1), other.prediction.reshape(-1), first.groups)
