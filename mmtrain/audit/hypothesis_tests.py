"""Statistical tests behind the findings, in numpy; each gives the p-value of a difference.

All of them suppose independent rows: give them one row of each group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.metrics.ranking import mid_ranks, placements

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAMILY_WISE_ERROR_RATE = 0.001
"""A test counts when its chance, corrected for all tests of its kind that the table gives rise to, is below this. There are nine kinds:
single columns, orders, empty cells, shifts of columns and of words, dates, unseen categories, and, for each column of images, kinds of
files and looks. So of clean tables with one column of images or none, fewer than one in a hundred is told of a difference that is
chance; and the size of the difference has to matter besides."""

MIN_EXPECTED_COUNT = 5
"""Rows that chance lets expect in each cell of a table for the chi-square test to hold (Cochran 1954)."""


def holm(chances: Sequence[float]) -> list[float]:
    """Chances corrected so that among all these tests one false alarm is as unlikely as each says (Holm 1979)."""
    order = np.argsort(chances)
    steps = np.asarray(chances, dtype=np.float64)[order] * (len(chances) - np.arange(len(chances)))
    corrected = np.empty(len(chances))
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in corrected]


def normal_tail(score: float) -> float:
    """Chance of a standard normal number at least as far from 0, on either side."""
    return math.erfc(abs(score) / math.sqrt(2))


def chi_square(table: NDArray[np.int64]) -> float:
    """Return the p-value of independence of rows and columns of counts (Pearson 1900); sparse rows and columns are put together first.

    A table of two rows and two columns that is still too sparse is left to Fisher's exact test. 1 where there is nothing to compare.
    """
    counts = _dense(table)
    if min(counts.shape) < 2:
        return 1.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    if expected.min() < MIN_EXPECTED_COUNT:
        return fisher(counts) if counts.shape == (2, 2) else 1.0
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return chi_square_tail(statistic, (counts.shape[0] - 1) * (counts.shape[1] - 1))


def _dense(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Without empty rows and columns; more than two of either are put together, the rarest first, until none is too sparse."""
    counts: NDArray[np.int64] = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    for axis in (0, 1):
        counts = counts if axis == 0 else counts.T
        while len(counts) > 2:
            sums = counts.sum(axis=1)
            if sums.min() * counts.sum(axis=0).min() >= MIN_EXPECTED_COUNT * counts.sum():
                break
            rare, next_rare = np.argsort(sums, kind="stable")[:2]
            counts[next_rare] += counts[rare]
            counts = np.delete(counts, rare, axis=0)
        counts = counts if axis == 0 else counts.T
    return counts


def fisher(table: NDArray[np.int64]) -> float:
    """Fisher's exact test of a table of two rows and two columns, two-sided (Fisher 1935)."""
    (first, second), total = table.sum(axis=1).tolist(), int(table.sum())
    drawn = int(table[:, 0].sum())
    possible = np.arange(max(0, drawn - second), min(first, drawn) + 1)
    logs = np.array([_log_choose(first, k) + _log_choose(second, drawn - k) for k in possible.tolist()]) - _log_choose(total, drawn)
    here = logs[int(table[0, 0]) - int(possible[0])]
    return min(1.0, float(np.exp(logs[logs <= here + 1e-7]).sum()))


def _log_choose(of: int, taken: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(taken + 1) - math.lgamma(of - taken + 1)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Chance of a chi-square number of `freedom` degrees at least as large: the regularised upper incomplete gamma function.

    A series below `freedom` + 2, Lentz' continued fraction above it (Press and others 2007, section 6.2).
    """
    a, x = freedom / 2, statistic / 2
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        step = a
        while term > total * 1e-14:
            step += 1
            term *= x / step
            total += term
        return max(0.0, 1 - total * scale)
    b, c, d = x + 1 - a, 1e300, 1 / (x + 1 - a)
    fraction = d
    for number in range(1, 10_000):
        factor = -number * (number - a)
        b += 2
        d = 1 / (factor * d + b or 1e-300)
        c = b + factor / c or 1e-300
        fraction *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return scale * fraction


def kolmogorov_smirnov(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """The largest distance of two distributions, 0 to 1, and its chance (Smirnov 1948, with the correction of Stephens 1970).

    With equal numbers among the values the chance is on the high side, which is the safe one.
    """
    if not len(first) or not len(second):
        return 0.0, 1.0
    every = np.sort(np.concatenate([first, second]))
    shares = [np.searchsorted(np.sort(values), every, side="right") / len(values) for values in (first, second)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    size = math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    if scaled < 0.3:  # there the series needs many terms, and the chance is above 0.9999
        return distance, 1.0
    terms = [(-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101)]
    return distance, min(1.0, max(0.0, 2 * sum(terms)))


def rank_sum(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """How often a value of `first` is above one of `second`, a tie counting half, and the chance of as much (Mann and Whitney 1947)."""
    n, m = len(first), len(second)
    if not n or not m:
        return 0.5, 1.0
    both = np.concatenate([first, second])
    area = (mid_ranks(both)[:n].sum() - n * (n + 1) / 2) / (n * m)
    _, ties = np.unique(both, return_counts=True)
    total = n + m
    spread = (total + 1 - (ties.astype(np.float64) ** 3 - ties).sum() / max(total * (total - 1), 1)) / (12 * n * m)
    return float(area), normal_tail((area - 0.5) / math.sqrt(spread)) if spread > 0 else 1.0


def conservative_rank_sum(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """`rank_sum` of values that may be spread differently, as means of many are (Brunner and Munzel 2000): the larger chance of both."""
    area, chance = rank_sum(first, second)
    n, m = len(first), len(second)
    if min(n, m) < 2:
        return area, chance
    below, above = placements(np.arange(n + m) < n, np.concatenate([first, second]))
    spread = math.sqrt(below.var(ddof=1) / n + above.var(ddof=1) / m)
    return area, max(chance, normal_tail((area - 0.5) / spread)) if spread > 0 else chance
