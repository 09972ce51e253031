"""Selection of rows to explain: those with the highest loss and those that the network is most confident of."""

from __future__ import annotations

import numpy as np

from mmtrain.data.encode import Array
from mmtrain.targets import FittedTarget

EACH = 3
"""Rows of either kind."""


def select_rows(target: FittedTarget, truth: Array | None, prediction: Array) -> list[tuple[int, str]]:
    """Positions in `prediction` (rows, units), each with the reason; the highest loss first, then the most confident.

    Rows whose answer is not known are chosen only where that of no row is.
    """
    losses = np.full(len(prediction), np.nan) if truth is None else target.row_losses(truth, prediction)
    known = np.flatnonzero(~np.isnan(losses))
    if truth is None or not len(known):
        names = ("least confident", "most confident") if target.columns else ("largest prediction", "smallest prediction")
        return [(row, names[0 if far else 1]) for row, far in _ends(_uncertainty(target, prediction))]
    right = target.is_right(truth, prediction)
    return [(int(known[row]), _reason(target, far=far, right=bool(right[known[row]]))) for row, far in _ends(losses[known])]


def _reason(target: FittedTarget, *, far: bool, right: bool) -> str:
    if not target.columns:
        return "largest error" if far else "smallest error"
    if far:
        return "least confident" if right else "highest loss"
    return "most confident" if right else "lowest loss"


def _ends(values: Array) -> list[tuple[int, bool]]:
    """The rows of the largest values (True), largest first, then those of the smallest, smallest first; no row twice."""
    order = np.argsort(-values, kind="stable").tolist()
    least = min(EACH, len(order) // 2)
    return [(row, True) for row in order[: min(EACH, len(order) - least)]] + [(row, False) for row in order[::-1][:least]]


def _uncertainty(target: FittedTarget, prediction: Array) -> Array:
    """Return the uncertainty of each row, (rows,); of a number the prediction itself."""
    if not target.columns:
        return prediction.reshape(-1).astype(np.float64)
    probabilities = target.probabilities(prediction)
    if target.has_labels:
        doubt: Array = -np.abs(probabilities - 0.5).mean(axis=1)
        return doubt
    unsure: Array = 1 - probabilities.max(axis=1)
    return unsure
