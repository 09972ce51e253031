"""Scores of times to an event, some of which are censored: the event had not happened when the observation ended."""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmtrain.metrics.bootstrap_counts import Counts, Scorer, Values, totals, unit_counts, weighted_mean
from mmtrain.metrics.score import Score, value_or_reason, without_rows

SURVIVAL = ("concordance", "integrated_brier")
"""Scores of `survival_scores`, in the order of tables."""
LEAST_OBSERVED = 0.05
"""Least probability to be still observed; the weights of later rows would be those of single ones."""
Z_95 = NormalDist().inv_cdf(0.975)
"""Standard errors to either side of an estimate that a 95 % interval reaches."""
BLOCK = 512
"""Rows whose pairs are compared at once: memory does not grow with the square of the rows."""

Numbers = NDArray[np.float64]


class Survived(NamedTuple):
    """The estimated probability to survive a time, with the limits of its 95 % interval."""

    value: float
    low: float
    high: float


class Steps(NamedTuple):
    """A curve that begins at 1 and falls at `times`, ascending, to `values`."""

    times: Numbers
    values: Numbers

    def at(self, times: Numbers) -> Numbers:
        """Return the value after the fall at each time."""
        return np.append(1.0, self.values)[np.searchsorted(self.times, times, side="right")]

    def before(self, times: Numbers) -> Numbers:
        """Return the value just before each time."""
        return np.append(1.0, self.values)[np.searchsorted(self.times, times, side="left")]


def kaplan_meier(times: Numbers, events: NDArray[np.bool_]) -> Steps:
    """Return the probability to survive each time, (distinct event times,) (Kaplan and Meier 1958). `times` and `events` are (n,)."""
    distinct, died, _, reached = _by_time(times, events)
    fell = died > 0
    return Steps(distinct[fell], np.cumprod(1 - died[fell] / reached[fell], dtype=np.float64))


def observed_longer(times: Numbers, events: NDArray[np.bool_]) -> Steps:
    """Return the probability to be observed longer than each time, (distinct times of censoring,).

    Of equal times, events come before the ends of observations (Graf et al. 1999): a row with an event can no longer be censored, and
    counted as if it could, it would make censoring rarer than it is wherever times are whole months or years.
    """
    distinct, died, censored, reached = _by_time(times, events)
    fell = censored > 0
    return Steps(distinct[fell], np.cumprod(1 - censored[fell] / (reached - died)[fell], dtype=np.float64))


def _by_time(times: Numbers, events: NDArray[np.bool_]) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Return the distinct times, with the events at each, the censored rows, and the rows that reach it: with that time or a later one."""
    distinct, codes = np.unique(times, return_inverse=True)
    died, censored = (np.bincount(codes, weights=one, minlength=len(distinct)).astype(np.float64) for one in (events, ~events))
    return distinct, died, censored, np.cumsum((died + censored)[::-1])[::-1]


def greenwood(times: Numbers, events: NDArray[np.bool_], horizon: float) -> tuple[float, float]:
    """Return the Kaplan-Meier estimate at a time and its standard error (Greenwood 1926)."""
    distinct, died, _, reached = _by_time(times, events)
    past = (distinct <= horizon) & (died > 0)
    survived = float(np.prod(1 - died[past] / reached[past]))
    left = reached[past] - died[past]
    # Nobody left: the estimate is 0, and so is its error.
    variance = float(np.sum(died[past] / (reached[past] * left))) if (left > 0).all() else 0.0
    return survived, survived * variance**0.5


def error_by_groups(times: Numbers, events: NDArray[np.bool_], horizon: float, groups: NDArray[np.int64]) -> float:
    """Return the standard error of the Kaplan-Meier estimate at a time where rows of a group are not independent (Williams 1995).

    It is that of sums over groups of what each row adds to the logarithm of the estimate. With rows as their own groups it is about that of
    Greenwood.
    """
    distinct, died, _, reached = _by_time(times, events)
    past = (distinct <= horizon) & (died > 0)
    at, hazard, at_risk = distinct[past], (died / reached)[past], reached[past]
    survived = float(np.prod(1 - hazard))
    if not survived or not len(at):
        return 0.0
    # Of an event: 1 over the rows that its time leaves, minus the hazards of all times that the row has reached, each over the same.
    left = at_risk * (1 - hazard)
    expected = np.append(0.0, np.cumsum(hazard / left))[np.searchsorted(at, times, side="right")]
    place = np.searchsorted(at, times).clip(max=len(at) - 1)
    observed = np.where(events & (at[place] == times), 1 / left[place], 0.0)
    sums = np.bincount(np.unique(groups, return_inverse=True)[1].reshape(-1), observed - expected)
    # n / (n - 1): few groups vary too little.
    return survived * float(np.sqrt(np.square(sums).sum() * len(sums) / max(len(sums) - 1, 1)))


def survived_share(times: Numbers, events: NDArray[np.bool_], horizon: float, groups: NDArray[np.int64] | None = None) -> Survived:
    """Return the Kaplan-Meier estimate at a time with the interval of Wilson, for as many rows as have its error (Rothman 1978).

    Plus and minus 1.96 standard errors would be nothing at all around 0 and 1, where no row or every row has an event. There the rows
    count whose state at the time is known, of `groups` one each; without any, every share is possible.
    """
    value, error = greenwood(times, events, horizon)
    states = (times > horizon) | (events & (times <= horizon))
    known = float(states.sum() if groups is None else len(np.unique(groups[states])))
    if groups is not None:
        error = error_by_groups(times, events, horizon, groups)
    rows = value * (1 - value) / error**2 if error > 0 else known
    if not rows:
        return Survived(value, 0.0, 1.0)
    # The values p with |value - p| <= z sqrt(p (1 - p) / rows).
    width = 1 + Z_95**2 / rows
    center = (value + Z_95**2 / rows / 2) / width
    reach = Z_95 * (value * (1 - value) / rows + Z_95**2 / rows**2 / 4) ** 0.5 / width
    return Survived(value, max(center - reach, 0.0), min(center + reach, 1.0))


def survival_scores(
    times: Numbers, events: NDArray[np.bool_], expected: Numbers, curves: Numbers, edges: Numbers, observed: Steps
) -> tuple[Score, ...]:
    """Compute the scores of survival curves.

    Concordance (Harrell 1982) is the share of comparable pairs of rows whose predicted times have the order of the true ones; ties of
    predictions count half. A pair is comparable if the shorter time ends with an event; of equal times, if one alone does. The
    integrated Brier score is the mean squared distance of the curve from the true state of a row, over time up to the last of `edges`,
    weighted by the inverse probability to be still observed (Graf et al. 1999).

    Args:
        times: (n,), 0 or more.
        events: (n,), False where the time is censored.
        expected: Predicted times, (n,); only their order counts.
        curves: Predicted probabilities to survive each of `edges`, (n, edges).
        edges: Ascending times, the first one 0.
        observed: The curve of the probability to be still observed, of training rows.
    """
    if not len(times):
        return without_rows(SURVIVAL)
    values = survival_scorer(times, events, expected, curves, edges, observed)(unit_counts(len(times)))
    reason = "Concordance needs two rows of different times, the shorter one with an event; this part has none."
    return tuple(value_or_reason(name, values[name][0], reason) for name in SURVIVAL)


def survival_scorer(
    times: Numbers, events: NDArray[np.bool_], expected: Numbers, curves: Numbers, edges: Numbers, observed: Steps
) -> Scorer:
    """Return a function from draws of these rows to their scores; see `survival_scores`."""
    if not len(times):
        return lambda counts: {name: np.full(len(counts), np.nan) for name in SURVIVAL}
    brier = integrated_brier(times, events, curves, edges, observed)

    def scores(counts: Counts) -> dict[str, Values]:
        concordant, comparable = concordant_pairs(times, events, expected, counts)
        rows, squared = totals(counts, np.ones(len(times)), brier)
        return {"concordance": weighted_mean(concordant, comparable), "integrated_brier": weighted_mean(squared, rows)}

    return scores


def integrated_brier(times: Numbers, events: NDArray[np.bool_], curves: Numbers, edges: Numbers, observed: Steps) -> Values:
    """Return what each row adds to the integrated Brier score, (n,): its mean over the rows is the score."""
    ended = (times[:, None] <= edges) & events[:, None]
    lasts = times[:, None] > edges
    at_end = np.maximum(observed.before(times), LEAST_OBSERVED)[:, None]
    at_edges = np.maximum(observed.at(edges), LEAST_OBSERVED)
    # A row that was censored before a time says nothing about it.
    squared = np.where(ended, np.square(curves) / at_end, 0.0) + np.where(lasts, np.square(1 - curves) / at_edges, 0.0)
    widths = np.diff(edges)
    # The trapezoidal rule between edges, divided by the length of time.
    return np.asarray((squared[:, 1:] + squared[:, :-1]) @ widths / 2 / widths.sum())


def concordant_pairs(times: Numbers, events: NDArray[np.bool_], expected: Numbers, counts: Counts) -> tuple[Values, Values]:
    """Return the concordant and the comparable pairs of each draw, (draws,); `counts` is (draws, n).

    Rows are taken in descending order of time, in blocks. Within a block all pairs are compared; those with the rows of earlier blocks,
    which all last longer, follow from sums over them in the order of their predictions.
    """
    # Longest first; of equal times, censored rows before events, as they last longer.
    order = np.lexsort((events, -times))
    times, events, expected, weights = times[order], events[order], expected[order], counts[:, order].astype(np.float64)
    concordant, comparable = np.zeros((2, len(counts)))
    for start in range(0, len(times), BLOCK):
        stop = min(start + BLOCK, len(times))
        block = slice(start, stop)
        dead = np.flatnonzero(events[block])
        if not len(dead):
            continue
        own, mine = weights[:, block], weights[:, block][:, dead]
        longer = _lasts_longer(times[block][dead], times[block], events[block])
        order_of_pairs = _halves(expected[block][dead], expected[block])
        concordant += ((own @ (longer * order_of_pairs).T) * mine).sum(axis=1)
        comparable += ((own @ longer.T) * mine).sum(axis=1)
        first = _tied_events(times, events, start, times[start])
        if first < start:  # events of the same time in earlier blocks are not comparable with those of this one
            tied = slice(first, start)
            same = (times[block][dead][:, None] == times[tied]).astype(np.float64)
            concordant -= ((weights[:, tied] @ (same * _halves(expected[block][dead], expected[tied])).T) * mine).sum(axis=1)
            comparable -= ((weights[:, tied] @ same.T) * mine).sum(axis=1)
        if start:
            earlier = np.argsort(expected[:start], kind="stable")
            ranked, sums = expected[:start][earlier], np.cumsum(np.pad(weights[:, :start][:, earlier], ((0, 0), (1, 0))), axis=1)
            below, upto = (np.searchsorted(ranked, expected[block][dead], side=side) for side in ("left", "right"))
            # Rows that last longer and are predicted to; those of equal prediction count half.
            above = sums[:, -1:] - (sums[:, below] + sums[:, upto]) / 2
            concordant += (above * mine).sum(axis=1)
            comparable += sums[:, -1] * mine.sum(axis=1)
    return concordant, comparable


def _lasts_longer(of: Numbers, times: Numbers, events: NDArray[np.bool_]) -> Numbers:
    """Return (rows of `of`, rows): 1 where a row lasts longer than an event at the time `of`."""
    longer = (times > of[:, None]) | ((times == of[:, None]) & ~events)
    return np.asarray(longer, dtype=np.float64)


def _halves(of: Numbers, expected: Numbers) -> Numbers:
    """Return (rows of `of`, rows): 1 where the prediction of a row is larger than `of`, 0.5 where it is equal."""
    return np.asarray((expected > of[:, None]) + 0.5 * (expected == of[:, None]), dtype=np.float64)


def _tied_events(times: Numbers, events: NDArray[np.bool_], start: int, time: float) -> int:
    """Return the first row before `start` that has an event at `time`, in a block that begins among its events; else `start`."""
    first = start
    while first > 0 and times[first - 1] == time and events[first - 1]:
        first -= 1
    return first
