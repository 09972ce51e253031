"""Decision threshold of a binary target, chosen on validation rows for an aim, with the scores that it has there.

Every threshold that divides the rows differently is tried: the midpoint of each two neighbouring probabilities, so that the last digits
of an export change no decision, one above all of them and one below. Ties go to the threshold nearest 0.5. Probabilities are the
uncalibrated ones in float32, as every export has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mmtrain.config.sections.evaluation import Cost, Threshold
from mmtrain.metrics.labels.auc import threshold_counts
from mmtrain.registry import Section
from mmtrain.targets.decides import UNCHOSEN

Numbers = NDArray[np.float64]
WORDS = {"f1": "the highest F1", "youden": "the highest sensitivity plus specificity", "cost": "the lowest cost of wrong decisions"}


class DecisionThreshold(Section):
    """A threshold and its scores on the validation rows; a score is None if its class has no row."""

    aim: str
    cost: Cost | None = None
    threshold: float = Field(gt=0, lt=1, description="A row is called positive if the probability of the positive class is at least this.")
    rows: int
    positives: int
    sensitivity: float | None = None
    specificity: float | None = None
    precision: float | None = None
    f1: float | None = None
    note: str = Field("", description="Reason for an aim that was not reached, or a warning.")


@dataclass(frozen=True)
class _Sweep:
    """True (`hits`) and false positives (`alarms`) of every threshold, from the highest down; (thresholds,) each."""

    thresholds: Numbers
    hits: Numbers
    alarms: Numbers
    positives: int
    negatives: int

    @property
    def sensitivity(self) -> Numbers:
        return self.hits / self.positives

    @property
    def specificity(self) -> Numbers:
        return 1 - self.alarms / self.negatives

    @property
    def f1(self) -> Numbers:
        return 2 * self.hits / (self.hits + self.alarms + self.positives)


def choose_threshold(section: Threshold, truth: NDArray[Any], probability: NDArray[Any], classes: tuple[str, str]) -> DecisionThreshold:
    """Choose the best threshold for the aim; `truth` (rows,) is 1 for `classes[1]`, `probability` (rows,) that of this class.

    If all rows have one class, the threshold stays 0.5; if no threshold reaches the aim, the nearest one is chosen. The `note` says so.
    """
    positives = int((truth == 1).sum())
    facts: dict[str, Any] = {"aim": section.aim.replace(" ", ""), "cost": section.cost, "rows": len(truth), "positives": positives}
    if not 0 < positives < len(truth):
        only = f"only rows of '{classes[int(positives > 0)]}'" if len(truth) else "no rows"
        note = f"The validation part has {only}, so no threshold can be chosen; {UNCHOSEN} stays."
        return DecisionThreshold(threshold=UNCHOSEN, note=note, **facts)
    # In float32, as exports have probabilities: a threshold must divide them the same way there.
    sweep = _sweep(truth.astype(np.int64), probability.astype(np.float32))
    gain, note = _gain(section, sweep)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)  # equal gains may differ in their last bits
    at = int(best[np.argmin(np.abs(sweep.thresholds[best] - UNCHOSEN))])
    called = sweep.hits[at] + sweep.alarms[at]
    return DecisionThreshold(
        threshold=float(sweep.thresholds[at]),
        sensitivity=float(sweep.sensitivity[at]),
        specificity=float(sweep.specificity[at]),
        precision=float(sweep.hits[at] / called) if called else None,
        f1=float(sweep.f1[at]),
        note=note or _price(section, sweep, at),
        **facts,
    )


def _sweep(truth: NDArray[np.int64], probability: NDArray[np.float32]) -> _Sweep:
    """Count the hits and alarms of every threshold strictly between 0 and 1; both classes must occur."""
    hits, alarms = threshold_counts(truth, probability)
    # From the highest down, as `threshold_counts` counts.
    distinct = np.unique(probability)[::-1]
    # The midpoint of two adjacent float32 numbers rounds to one of them; the lower one would call its own rows positive.
    upper, lower = np.append(np.float32(1), distinct), np.append(distinct, np.float32(0))
    between = ((upper.astype(np.float64) + lower) / 2).astype(np.float32)
    between = np.where(between > lower, between, upper)
    # A threshold must lie strictly within 0 to 1 and above the lower neighbour.
    inside = (between > 0) & (between < 1) & (between > lower)
    # 0: no row is called positive at the threshold above all probabilities.
    true_positives, false_positives = (np.append(0, counts).astype(np.float64)[inside] for counts in (hits, alarms))
    return _Sweep(between[inside].astype(np.float64), true_positives, false_positives, int(hits[-1]), int(alarms[-1]))


def _gain(section: Threshold, sweep: _Sweep) -> tuple[Numbers, str]:
    """Return the gain of each threshold, to be maximized, and a note if none reaches the aim."""
    if section.cost is not None:
        missed = sweep.positives - sweep.hits
        cost = section.cost.false_positive * sweep.alarms + section.cost.false_negative * missed
        return -cost / (sweep.positives + sweep.negatives), ""
    if section.aim == "f1":
        return sweep.f1, ""
    if section.aim == "youden":
        return sweep.sensitivity + sweep.specificity - 1, ""
    name, least = requirement(section.aim)
    required, other = (sweep.sensitivity, sweep.specificity) if name == "sensitivity" else (sweep.specificity, sweep.sensitivity)
    # 0.95 as a quotient of counts may miss 0.95 by a last bit.
    reaching = required >= least - 1e-9
    if reaching.any():
        return np.where(reaching, other, -1.0), ""
    note = f"No threshold reaches a {name} of {least:g} on the validation rows; the nearest, {required.max():.3f}, was chosen."
    return required + 1e-6 * other, note  # of those equally near, the one with the highest other score


def _price(section: Threshold, sweep: _Sweep, at: int) -> str:
    """Return a warning about a threshold that gives every row the same class, even if it is the best for the aim."""
    called = sweep.hits[at] + sweep.alarms[at]
    if 0 < called < sweep.positives + sweep.negatives:
        return ""
    word = "positive" if called else "negative"
    return f"The best threshold on the validation rows for this aim ({section.aim.replace(' ', '')}) calls every row {word}."


def requirement(aim: str) -> tuple[str, float]:
    """Split an aim such as `sensitivity>=0.95` into the score and its minimum."""
    name, least = aim.replace(" ", "").split(">=")
    return name, float(least)


def describe_aim(aim: str) -> str:
    """Put an aim into words: `the highest F1`, `a sensitivity of at least 0.95`."""
    if aim in WORDS:
        return WORDS[aim]
    name, least = requirement(aim)
    return f"a {name} of at least {least:g}"
