"""Conformal prediction (Vovk and others 2005): sets of classes and intervals that hold the answer of a new row with a stated probability.

Split conformal prediction: how unusual an answer is to the model is scored on rows that were used for nothing else, and what is not
more unusual than a quantile of those scores belongs to the set.

- Classes: one less the probability of the class (Sadinle, Lei and Wasserman 2019, arXiv:1609.00451), which gives the smallest sets.
  A set can be empty: the model is right more often than was asked, and this row is among those it is least sure of.
- Numbers: the distance from the prediction (Lei and others 2018, arXiv:1604.04173), so that every interval is as wide.

Rows of a group are alike, so the promise is about a row of a new group: every group weighs the same, and its rows share its weight
(Lee, Barber and Willett 2023, arXiv:2306.06342, after Dunn, Wasserman and Ramdas 2022, arXiv:1809.07441). Without groups each row is
one, and this is the usual quantile, the k-th smallest of n with k = (n + 1) * coverage rounded up.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mmtrain.config.evaluation import fewest_units
from mmtrain.registry import Section

Numbers = NDArray[np.float64]


class _Bound(Section):
    """Fields of every bound."""

    coverage: float
    rows: int = Field(description="Held back, with a known answer.")
    groups: int | None = Field(None, description="Their groups; None where the table has none.")
    note: str = ""


class Sets(_Bound):
    """The classes whose probability is at least `level`."""

    kind: Literal["sets"] = "sets"
    level: float

    def members(self, probabilities: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """(rows, classes) to the same."""
        return np.asarray(probabilities.astype(np.float64) >= self.level)


class Intervals(_Bound):
    """From the prediction less `reach` to the prediction and `reach`."""

    kind: Literal["intervals"] = "intervals"
    reach: float | None = Field(None, description="In the target's unit; None where no number is wide enough.")

    def ends(self, prediction: NDArray[np.floating[Any]]) -> tuple[Numbers, Numbers]:
        """Low and high, (rows,) each."""
        reach = np.inf if self.reach is None else self.reach
        number = prediction.astype(np.float64)
        return number - reach, number + reach


Conformal = Annotated[Sets | Intervals, Field(discriminator="kind")]


def fit_sets(
    truth: NDArray[np.integer[Any]], probabilities: NDArray[np.floating[Any]], *, coverage: float, groups: NDArray[np.int64] | None
) -> Sets:
    """`truth` (rows,) are codes, `probabilities` is (rows, classes), `groups` (rows,) are codes."""
    likely = probabilities.astype(np.float64)[np.arange(len(truth)), truth]
    bound = quantile(-likely, coverage, groups)
    facts = _facts(len(truth), coverage, groups, "Every class belongs to every set")
    return Sets(level=0.0 if bound is None else -bound, **facts)


def fit_intervals(
    truth: NDArray[np.floating[Any]], prediction: NDArray[np.floating[Any]], *, coverage: float, groups: NDArray[np.int64] | None
) -> Intervals:
    """`truth` and `prediction` are (rows,), in the target's unit; `groups` are codes."""
    bound = quantile(np.abs(truth.astype(np.float64) - prediction), coverage, groups)
    return Intervals(reach=bound, **_facts(len(truth), coverage, groups, "Every interval is without end"))


def quantile(scores: Numbers, coverage: float, groups: NDArray[np.int64] | None) -> float | None:
    """The least score below or at which `coverage` of the weight lies, a new group's included; None where it never does."""
    if not len(scores):
        return None
    codes, counts = np.unique(np.arange(len(scores)) if groups is None else groups, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / (counts[codes[order]] * (len(counts) + 1)))
    place = int(np.searchsorted(reached, coverage - 1e-9))
    return float(scores[order[place]]) if place < len(scores) else None


def _facts(rows: int, coverage: float, groups: NDArray[np.int64] | None, otherwise: str) -> dict[str, Any]:
    units, noun = (rows, "row") if groups is None else (len(np.unique(groups)), "group")
    fewest = fewest_units(coverage)
    note = ""
    if units < fewest:
        held = f"{units} {noun}{'' if units == 1 else 's'}"
        note = f"{held} with a known answer are too few for a coverage of {coverage:g}: it takes {fewest}. {otherwise}."
    return {"coverage": coverage, "rows": rows, "groups": None if groups is None else units, "note": note}
