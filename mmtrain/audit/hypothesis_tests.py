"""Statistical tests behind the findings, in numpy; each returns the p-value of a difference.

All of them assume independent rows: pass one row of each group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.metrics.labels.auc import mid_ranks, placements

if TYPE_CHECKING:
    from numpy.typing import NDArray

FAMILY_WISE_ERROR_RATE = 0.001
"""Family-wise error rate (Holm) of each family of tests. There are nine: single columns, orders, empty cells, shifts of columns and of
words, dates, unseen categories, and, for each column of images, kinds of files and looks. So of clean tables with at most one column of
images, fewer than one in a hundred has a false finding; the size of the effect has to matter in addition."""

MIN_EXPECTED_COUNT = 5
"""Expected count in each cell of a contingency table from which the chi-square test is valid (Cochran 1954)."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the number of tests, so that they bound the family-wise error rate (Holm 1979)."""
    order = np.argsort(p_values)
    # The smallest p-value times the number of tests, the next times one less, and so on.
    steps = np.asarray(p_values, dtype=np.float64)[order] * (len(p_values) - np.arange(len(p_values)))
    corrected = np.empty(len(p_values))
    # Never below a smaller one's correction, so that the order of p-values stays.
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(value) for value in corrected]


def normal_tail(score: float) -> float:
    """Return the two-sided p-value of a standard normal score."""
    return math.erfc(abs(score) / math.sqrt(2))


def chi_square(table: NDArray[np.int64]) -> float:
    """Return the p-value of independence of rows and columns of counts (Pearson 1900); sparse rows and columns are merged first.

    Fisher's exact test replaces it for a 2 x 2 table that is still too sparse. 1 where there is nothing to compare.
    """
    counts = _dense(table)
    if min(counts.shape) < 2:
        return 1.0
    # Expected counts of independent rows and columns: product of the sums over the total.
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    if expected.min() < MIN_EXPECTED_COUNT:
        return fisher(counts) if counts.shape == (2, 2) else 1.0
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return chi_square_tail(statistic, (counts.shape[0] - 1) * (counts.shape[1] - 1))


def _dense(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return counts without empty rows and columns; of more than two, the rarest are merged until none is too sparse."""
    counts: NDArray[np.int64] = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    for axis in (0, 1):
        counts = counts if axis == 0 else counts.T
        while len(counts) > 2:
            sums = counts.sum(axis=1)
            if sums.min() * counts.sum(axis=0).min() >= MIN_EXPECTED_COUNT * counts.sum():
                break  # the smallest expected count of all cells is large enough
            rare, next_rare = np.argsort(sums, kind="stable")[:2]
            counts[next_rare] += counts[rare]
            counts = np.delete(counts, rare, axis=0)
        counts = counts if axis == 0 else counts.T
    return counts


def fisher(table: NDArray[np.int64]) -> float:
    """Return the two-sided p-value of Fisher's exact test of a 2 x 2 table (Fisher 1935)."""
    (first, second), total = table.sum(axis=1).tolist(), int(table.sum())
    drawn = int(table[:, 0].sum())
    # All first cells that the margins allow.
    possible = np.arange(max(0, drawn - second), min(first, drawn) + 1)
    # Hypergeometric probabilities, in logarithms since factorials overflow.
    logs = np.array([_log_choose(first, k) + _log_choose(second, drawn - k) for k in possible.tolist()]) - _log_choose(total, drawn)
    here = logs[int(table[0, 0]) - int(possible[0])]
    # Two-sided: all tables that are at most as probable as this one, with room for rounding of the logarithms.
    return min(1.0, float(np.exp(logs[logs <= here + 1e-7]).sum()))


def _log_choose(of: int, taken: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(taken + 1) - math.lgamma(of - taken + 1)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Return the upper tail of the chi-square distribution of `freedom` degrees: the regularised upper incomplete gamma function.

    The series is used below `freedom` + 2, Lentz' continued fraction above (Press and others 2007, section 6.2).
    """
    a, x = freedom / 2, statistic / 2
    if x <= 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        step = a
        while term > total * 1e-14:  # near the precision of float64
            step += 1
            term *= x / step
            total += term
        return max(0.0, 1 - total * scale)
    b, c, d = x + 1 - a, 1e300, 1 / (x + 1 - a)  # 1e300 stands for infinity, 1e-300 for 0, as in Lentz' method
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
    """Return the Kolmogorov-Smirnov distance, 0 to 1, and its p-value (Smirnov 1948, with the correction of Stephens 1970).

    With ties the p-value is too large, which is conservative.
    """
    if not len(first) or not len(second):
        return 0.0, 1.0
    every = np.sort(np.concatenate([first, second]))
    shares = [np.searchsorted(np.sort(values), every, side="right") / len(values) for values in (first, second)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    # Effective size of two samples, nm / (n + m).
    size = math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    scaled = (size + 0.12 + 0.11 / size) * distance
    if scaled < 0.3:  # there the series needs many terms, and the p-value is above 0.9999
        return distance, 1.0
    terms = [(-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101)]
    return distance, min(1.0, max(0.0, 2 * sum(terms)))


def rank_sum(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """Return the AUC, the share of pairs in which `first` is above `second` (ties count half), and its p-value (Mann and Whitney 1947)."""
    n, m = len(first), len(second)
    if not n or not m:
        return 0.5, 1.0
    both = np.concatenate([first, second])
    # Mann-Whitney U over the number of pairs.
    area = (mid_ranks(both)[:n].sum() - n * (n + 1) / 2) / (n * m)
    _, ties = np.unique(both, return_counts=True)
    total = n + m
    # Variance of the AUC under the null hypothesis, corrected for ties.
    spread = (total + 1 - (ties.astype(np.float64) ** 3 - ties).sum() / max(total * (total - 1), 1)) / (12 * n * m)
    return float(area), normal_tail((area - 0.5) / math.sqrt(spread)) if spread > 0 else 1.0


def conservative_rank_sum(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """Return the AUC and the larger p-value of `rank_sum` and of Brunner and Munzel (2000), which allows for unequal variances."""
    area, p_value = rank_sum(first, second)
    n, m = len(first), len(second)
    if min(n, m) < 2:
        return area, p_value
    below, above = placements(np.arange(n + m) < n, np.concatenate([first, second]))
    # Variances of the placement values of both samples, each by its size.
    spread = math.sqrt(below.var(ddof=1) / n + above.var(ddof=1) / m)
    return area, max(p_value, normal_tail((area - 0.5) / spread)) if spread > 0 else p_value
