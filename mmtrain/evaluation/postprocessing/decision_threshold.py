"""The threshold of a binary target, chosen on validation rows for an aim, and what can be had for it there.

Every threshold that tells the rows apart in another way is tried: one midway between each two neighbouring probabilities, so that
the last digits of an export change no decision, one above all of them and one below. Of several that are equally good the one
nearest 0.5 is taken. Probabilities are the network's own, in float32, as every export has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mmtrain.config.evaluation import Cost, Threshold
from mmtrain.metrics.ranking import threshold_counts
from mmtrain.registry import Section
from mmtrain.targets.base import UNCHOSEN

Numbers = NDArray[np.float64]
WORDS = {"f1": "the highest F1", "youden": "the highest sensitivity plus specificity", "cost": "the lowest cost of wrong decisions"}


class DecisionThreshold(Section):
    """A threshold and what it gave on the validation rows; the shares are None where a class had no row."""

    aim: str
    cost: Cost | None = None
    threshold: float = Field(gt=0, lt=1, description="From this probability of the positive class on a row is called positive.")
    rows: int
    positives: int
    sensitivity: float | None = None
    specificity: float | None = None
    precision: float | None = None
    f1: float | None = None
    note: str = Field("", description="Why the aim was not reached, or at what price.")


@dataclass(frozen=True)
class _Sweep:
    """Every threshold, from the highest down, with the rows called positive from it on; (thresholds,) each."""

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
    """The best threshold for the aim; `truth` (rows,) is 1 for `classes[1]`, `probability` (rows,) that of this class.

    Where the rows have one class alone nothing can be chosen, and 0.5 stays. An aim that no threshold reaches is come as near to as
    can be; the `note` says both.
    """
    positives = int((truth == 1).sum())
    facts: dict[str, Any] = {"aim": section.aim.replace(" ", ""), "cost": section.cost, "rows": len(truth), "positives": positives}
    if not 0 < positives < len(truth):
        only = f"only rows of '{classes[int(positives > 0)]}'" if len(truth) else "no rows"
        note = f"The validation part has {only}, so no threshold can be chosen; {UNCHOSEN} stays."
        return DecisionThreshold(threshold=UNCHOSEN, note=note, **facts)
    sweep = _sweep(truth.astype(np.int64), probability.astype(np.float32))
    gain, note = _gain(section, sweep)
    best = np.flatnonzero(gain >= gain.max() - 1e-12)
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
    """Both classes must occur."""
    hits, alarms = threshold_counts(truth, probability)
    distinct = np.unique(probability)[::-1]
    # Lower neighbours and what lies between; half of float32 neighbours may round to the lower one, where the upper one is right.
    upper, lower = np.append(np.float32(1), distinct), np.append(distinct, np.float32(0))
    between = ((upper.astype(np.float64) + lower) / 2).astype(np.float32)
    between = np.where(between > lower, between, upper)
    inside = (between > 0) & (between < 1) & (between > lower)
    found, alarmed = (np.append(0, counts).astype(np.float64)[inside] for counts in (hits, alarms))
    return _Sweep(between[inside].astype(np.float64), found, alarmed, int(hits[-1]), int(alarms[-1]))


def _gain(section: Threshold, sweep: _Sweep) -> tuple[Numbers, str]:
    """Return the gain of each threshold, and a note where none reaches the aim."""
    if section.cost is not None:
        missed = sweep.positives - sweep.hits
        cost = section.cost.false_positive * sweep.alarms + section.cost.false_negative * missed
        return -cost / (sweep.positives + sweep.negatives), ""
    if section.aim == "f1":
        return sweep.f1, ""
    if section.aim == "youden":
        return sweep.sensitivity + sweep.specificity - 1, ""
    name, least = requirement(section.aim)
    wanted, other = (sweep.sensitivity, sweep.specificity) if name == "sensitivity" else (sweep.specificity, sweep.sensitivity)
    reaching = wanted >= least - 1e-9
    if reaching.any():
        return np.where(reaching, other, -1.0), ""
    note = f"No threshold reaches a {name} of {least:g} on the validation rows; the nearest, {wanted.max():.3f}, was taken."
    return wanted + 1e-6 * other, note


def _price(section: Threshold, sweep: _Sweep, at: int) -> str:
    """Return a note on a threshold that gives every row the same class, even if it is the best for the aim."""
    called = sweep.hits[at] + sweep.alarms[at]
    if 0 < called < sweep.positives + sweep.negatives:
        return ""
    word = "positive" if called else "negative"
    return f"For this aim ({section.aim.replace(' ', '')}) the best on the validation rows is to call every row {word}."


def requirement(aim: str) -> tuple[str, float]:
    """The score and its least value of an aim such as `sensitivity>=0.95`."""
    name, least = aim.replace(" ", "").split(">=")
    return name, float(least)


def describe_aim(aim: str) -> str:
    """`the highest F1`; `a sensitivity of at least 0.95`."""
    if aim in WORDS:
        return WORDS[aim]
    name, least = requirement(aim)
    return f"a {name} of at least {least:g}"
