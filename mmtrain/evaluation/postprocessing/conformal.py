"""Conformal prediction (Vovk and others 2005): sets or intervals that contain the answer of a new row with a given probability.

Split conformal prediction: nonconformity scores are computed on calibration rows, which were used for nothing else, and an answer belongs
to the set of a row if its score is at most a quantile of theirs.

- Classes: 1 minus the probability of the class (Sadinle, Lei and Wasserman 2019, arXiv:1609.00451), which gives the smallest sets.
  A set can be empty: the model is right more often than the coverage, and this row is among those it is least confident of.
- Numbers: the absolute error (Lei and others 2018, arXiv:1604.04173), so that all intervals have the same width. Where a target predicts
  how far a row may be off, by that: the error divided by the predicted standard deviation (the same, section 5.2), or the distance from the
  outer quantiles, negative between them (Romano, Patterson and Candes 2019, arXiv:1905.03222).

Rows of a group are alike, so the guarantee is for a row of a new group: every group has the same weight, divided among its rows (Lee,
Barber and Willett 2023, arXiv:2306.06342, after Dunn, Wasserman and Ramdas 2022, arXiv:1809.07441). Without groups every row is its own
group, and this is the usual quantile, the k-th smallest of n with k = (n + 1) * coverage rounded up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mmtrain.config.sections.evaluation import fewest_units
from mmtrain.registry import Section
from mmtrain.targets.prediction_columns import ConformalBand

Numbers = NDArray[np.float64]


class _Bound(Section):
    """Fields of every bound."""

    coverage: float
    rows: int = Field(description="Calibration rows with a known answer.")
    groups: int | None = Field(None, description="Groups of these rows; None if the table has none.")
    note: str = ""


class Sets(_Bound):
    """Prediction sets: the classes whose probability is at least `level`."""

    kind: Literal["sets"] = "sets"
    level: float

    def members(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Return the classes in each set, (rows, classes) bool, from probabilities of that shape."""
        return np.asarray(probabilities.astype(np.float64) >= self.level)


class Intervals(_Bound):
    """Prediction intervals: a band around the prediction, widened by `reach` to both sides."""

    kind: Literal["intervals"] = "intervals"
    reach: float | None = Field(None, description="In the scale of each row's band; None for intervals without end.")

    def ends(self, band: ConformalBand) -> tuple[Numbers, Numbers]:
        """Return the lower and the upper ends, (rows,) each."""
        reach = np.full(len(band.low), np.inf) if self.reach is None else self.reach * band.scale
        # A negative reach narrows quantiles, at most to the middle between them.
        middle = (band.low + band.high) / 2
        return np.maximum(np.minimum(band.low - reach, middle), band.minimum), np.maximum(band.high + reach, middle)

    def contains(self, truth: Numbers, band: ConformalBand) -> NDArray[np.bool_]:
        """Return the rows whose true number is in the interval, (rows,)."""
        if self.reach is None:
            return np.ones(len(truth), dtype=np.bool_)
        return np.asarray(distances(truth, band) <= self.reach)


class IntervalsPerNumber(Section):
    """Prediction intervals for each of several numbers; the coverage holds for each number alone, not for all of a row together."""

    kind: Literal["intervals_per_number"] = "intervals_per_number"
    coverage: float
    numbers: dict[str, Intervals]


Conformal = Annotated[Sets | Intervals | IntervalsPerNumber, Field(discriminator="kind")]


def fit_sets(
    truth: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]], *, coverage: float, groups: NDArray[np.int64] | None
) -> Sets:
    """Fit prediction sets; `truth` (rows,) are class codes, `probabilities` is (rows, classes), `groups` (rows,) are codes."""
    # (rows,) probability of the true class
    of_truth = probabilities.astype(np.float64)[np.arange(len(truth)), truth]
    bound = quantile(-of_truth, coverage, groups)  # minus p ranks as 1 - p does, and its bound is the level without rounding
    facts = _facts(len(truth), coverage, groups, "Every set contains every class")
    return Sets(level=0.0 if bound is None else -bound, **facts)


def fit_intervals(truth: Numbers, band: ConformalBand, *, coverage: float, groups: NDArray[np.int64] | None) -> Intervals:
    """Fit prediction intervals; `truth` is (rows,), in the target's unit, `band` that of these rows; `groups` (rows,) are codes."""
    bound = quantile(distances(truth, band), coverage, groups)
    return Intervals(reach=bound, **_facts(len(truth), coverage, groups, "Every interval is infinite"))


def fit_intervals_per_number(
    truth: Numbers, bands: Mapping[str, ConformalBand], *, coverage: float, groups: NDArray[np.int64] | None
) -> IntervalsPerNumber:
    """Fit intervals of each number on the rows that have it; `truth` is (rows, numbers), NaN where a number is missing."""
    numbers = {}
    for answers, (name, band) in zip(truth.T, bands.items(), strict=True):
        known = ~np.isnan(answers)
        numbers[name] = fit_intervals(answers[known], band.only(known), coverage=coverage, groups=None if groups is None else groups[known])
    return IntervalsPerNumber(coverage=coverage, numbers=numbers)


def distances(truth: Numbers, band: ConformalBand) -> Numbers:
    """Return the distance of each answer from the band of its row, in the scale of the row, (rows,); negative inside of a band."""
    return np.asarray(np.maximum(band.low - truth, truth - band.high) / band.scale)


def quantile(scores: Numbers, coverage: float, groups: NDArray[np.int64] | None) -> float | None:
    """Return the smallest score at or below which `coverage` of the weight lies; None if no score is large enough.

    Every group of `scores` (rows,) has the same weight, and so has the group of a new row, whose score counts as infinite.

    >>> scores = np.array([0.1, 0.2, 0.3, 0.4])
    >>> quantile(scores, 0.5, groups=None), quantile(scores, 0.9, groups=None)
    (0.3, None)
    """
    if not len(scores):
        return None
    codes, counts = np.unique(np.arange(len(scores)) if groups is None else groups, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(scores, kind="stable")
    # The group of the new row has its share, too, hence + 1; its infinite score comes last.
    weights = np.cumsum(1 / (counts[codes[order]] * (len(counts) + 1)))
    place = int(np.searchsorted(weights, coverage - 1e-9))  # 19 / 20 summed in floating point must still reach 0.95
    return float(scores[order[place]]) if place < len(scores) else None


def _facts(rows: int, coverage: float, groups: NDArray[np.int64] | None, otherwise: str) -> dict[str, Any]:
    units, noun = (rows, "row") if groups is None else (len(np.unique(groups)), "group")
    fewest = fewest_units(coverage)
    note = ""
    if units < fewest:
        count = f"{units} {noun}{'' if units == 1 else 's'}"
        note = f"{count} with a known answer: a coverage of {coverage:g} needs {fewest}. {otherwise}."
    return {"coverage": coverage, "rows": rows, "groups": None if groups is None else units, "note": note}
