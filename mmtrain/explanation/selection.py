"""Selection of the rows to explain and of the raw output of the network that is explained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mmtrain.data.arrays import Array
from mmtrain.errors import Problem, did_you_mean, listed
from mmtrain.targets import FittedTarget

EACH = 3
"""Rows with the highest and with the lowest loss that are selected."""
OF_MIDDLE, MIDDLE_ROWS = 2, 20
"""Most uncertain and typical rows that are selected, and the rows with a known answer from which they differ from the others."""

Method = Literal["both", "grad_cam", "integrated_gradients"]


@dataclass(frozen=True)
class ExplainedOutputs:
    """Target and method of an explanation."""

    target: str
    class_name: str | None = None
    """By default the positive class of two; of several classes or labels the most probable one of each row."""
    method: Method = "both"
    """Heat maps on images; columns and words always have integrated gradients."""
    steps: int | None = None
    """Steps of integrated gradients; by default as many as necessary."""


@dataclass(frozen=True)
class OutputSelector:
    """The raw value of one unit of a target, times `sign`: -1 explains the first of two classes by the logit of the second."""

    target: str
    unit: int = 0
    sign: float = 1.0
    words: str = ""
    """Name of the value for readers."""
    probability: float | None = None
    """Probability of the explained class or label; None for a number."""


def selector_error(targets: Mapping[str, FittedTarget], target: str, class_name: str | None) -> list[Problem]:
    """Return the problems with explaining this class of this target; without `class_name` only the target is checked."""
    if target not in targets:
        fix = did_you_mean(target, targets) or f"It predicts {listed(list(targets))}."
        return [Problem("--target", f"this run predicts no {target!r}.", fix)]
    names = targets[target].columns or targets[target].number_columns
    if class_name is None or class_name in names:
        return []
    if not targets[target].columns and names:
        return [
            Problem("--class", f"{target} has no column {class_name!r}.", did_you_mean(class_name, names) or f"It has {listed(names)}.")
        ]
    what = f"{target} has no class {class_name!r}." if names else f"{target} is a number and has no classes."
    fix = did_you_mean(class_name, names) or (f"Its classes are {listed(names)}." if names else "Leave --class out.")
    return [Problem("--class", what, fix)]


def output_selector(outputs: ExplainedOutputs, target: FittedTarget, prediction: Array) -> OutputSelector:
    """Select the output that is explained for a row with this prediction, (1, units)."""
    names = target.columns
    if not names:
        numbers, wanted = target.number_columns, outputs.class_name
        unit = target.explained_unit if wanted is None else numbers.index(wanted)
        return OutputSelector(outputs.target, unit, words=f"{outputs.target}: {numbers[unit]}" if numbers else outputs.target)
    probabilities = target.probabilities(prediction)[0]
    if outputs.class_name is not None:
        code = names.index(outputs.class_name)
    else:
        # One unit is the positive class of two or the only label; of several, the predicted one is explained.
        code = len(names) - 1 if target.units == 1 else _predicted(target, prediction)
    words, probability = target.explained_as.format(name=names[code]), float(probabilities[code])
    if target.units == 1 and len(names) > 1:  # one logit: that of the second class, and of the first with the opposite sign
        return OutputSelector(outputs.target, 0, 1.0 if code else -1.0, words, probability)
    return OutputSelector(outputs.target, code, 1.0, words, probability)


def _predicted(target: FittedTarget, prediction: Array) -> int:
    """Return the position of the predicted class, or of the most probable label."""
    if target.has_classes:
        return target.columns.index(target.predict_label(prediction)[0])
    return int(target.probabilities(prediction)[0].argmax())


def select_rows(target: FittedTarget, truth: Array | None, prediction: Array) -> list[tuple[int, str]]:
    """Return positions in `prediction` (rows, units), each with the reason: the highest loss first, then the most confident.

    With enough rows, between them come the most uncertain rows and typical ones, whose loss is the median. Rows with an unknown answer are
    selected only if no row has a known one.
    """
    losses = np.full(len(prediction), np.nan) if truth is None else target.row_losses(truth, prediction)
    known = np.flatnonzero(~np.isnan(losses))
    if truth is None or not len(known):
        names = ("least confident", "most confident") if target.columns else ("largest prediction", "smallest prediction")
        return [(row, names[0 if far else 1]) for row, far in _ends(_uncertainty(target, prediction))]
    right = target.is_right(truth, prediction)  # in an easy part the highest loss may be a right answer, and is called least confident
    ends = [(int(known[row]), _reason(target, far=far, right=bool(right[known[row]]))) for row, far in _ends(losses[known])]
    if len(known) < MIDDLE_ROWS:
        return ends
    return [*ends[:EACH], *_middle(target, known, losses[known], prediction, {row for row, _ in ends}), *ends[EACH:]]


def _middle(target: FittedTarget, known: Array, losses: Array, prediction: Array, taken: set[int]) -> list[tuple[int, str]]:
    """Return the most uncertain rows of a target with classes or labels, and the rows with the loss nearest to the median."""
    orders = {"typical": np.argsort(np.abs(losses - np.median(losses)), kind="stable")}
    if target.columns:
        orders = {"most uncertain": np.argsort(-_uncertainty(target, prediction[known]), kind="stable"), **orders}
    chosen: dict[int, str] = {}
    for why, order in orders.items():
        free = [int(known[row]) for row in order.tolist() if int(known[row]) not in taken and int(known[row]) not in chosen]
        chosen |= dict.fromkeys(free[:OF_MIDDLE], why)
    return list(chosen.items())


def _reason(target: FittedTarget, *, far: bool, right: bool) -> str:
    if not target.columns:
        return "largest error" if far else "smallest error"
    if far:
        return "least confident" if right else "highest loss"
    return "most confident" if right else "lowest loss"


def _ends(values: Array) -> list[tuple[int, bool]]:
    """Return the rows of the largest values (True), largest first, then of the smallest ones, smallest first; no row twice."""
    order = np.argsort(-values, kind="stable").tolist()
    # At most half of the rows are "smallest", so that no row is selected twice.
    least = min(EACH, len(order) // 2)
    return [(row, True) for row in order[: min(EACH, len(order) - least)]] + [(row, False) for row in order[::-1][:least]]


def _uncertainty(target: FittedTarget, prediction: Array) -> Array:
    """Return the uncertainty of each row, (rows,); numbers have none, so it is the prediction itself."""
    if not target.columns:
        return prediction[:, target.explained_unit].astype(np.float64)
    probabilities = target.probabilities(prediction)
    if target.has_labels:
        # A label is uncertain near 0.5; the mean over labels says how far the row is from that.
        closeness: Array = -np.abs(probabilities - 0.5).mean(axis=1)
        return closeness
    uncertainty: Array = 1 - probabilities.max(axis=1)
    return uncertainty
