"""Numbers in two units: an age in years in some rows and in months in others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues
from mmtrain.audit.finding import Finding, first_rows
from mmtrain.audit.label_index import LabelIndex
from mmtrain.columns.summaries.numbers import UNITS
from mmtrain.errors import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ROWS = 20
VALLEY = 0.02
"""Largest share of rows between two clusters of numbers."""
SEPARATION = 4.0
"""Distance of two clusters in their own spreads (Ashman and others 1994 call 2 a clean separation)."""
SEPARATION_OF_FEW = 6.0
"""The same where a cluster has fewer than `LEAST_ROWS`: few random numbers are often as far apart."""
LEAST_HEAP = 5
"""Rows, or groups, of a cluster: a typing error is seldom made five times."""
LEAST_DIFFERENT = 3
"""Different numbers in a cluster: 1 and 2 are codes."""
ALIKE_SPREADS, ALIKE_OF_FEW = 1.5, 3.0
"""Largest ratio of the spreads: another unit shifts logarithms and keeps their spread; that of fewer than `LEAST_ROWS` is rough."""
UNIT_TOLERANCE = 0.1
LEAST_STEP = np.log(min(max(unit, 1 / unit) for unit in UNITS)) / 2
"""Range of logarithms below which all numbers are in one unit: half of the smallest step between two units."""
MEDIAN_ERROR = 1.25
"""Standard error of a median, in that of a mean: the square root of pi / 2, for normal numbers."""
Z = 1.96
OF_CLASSES = 0.98
"""Share of rows whose cluster follows from their class, from which the clusters are the classes."""


def mixed_units(cells: ColumnValues, units: NDArray[np.int64], targets: Sequence[LabelIndex] = ()) -> list[Finding]:
    """Find two clusters of positive numbers whose sizes differ by the factor between two units: an age in years and in months.

    `units` (rows,) are groups, or rows: a group counts once in a cluster, by its mean. Clusters that follow from the classes of a target
    are signal, not units.
    """
    if not cells.use.is_number or cells.numbers is None:
        return []
    known = np.flatnonzero(cells.numbers > 0)
    # Zeros and negative numbers have no logarithm; where they are many, the column is not a physical quantity.
    if len(known) < 2 * LEAST_ROWS or len(known) < 0.9 * np.count_nonzero(~np.isnan(cells.numbers)):
        return []
    logs = np.log(cells.numbers[known])  # another unit is a shift of logarithms
    # The cheap test first: most columns end here.
    if np.ptp(logs) < LEAST_STEP:
        return []
    above = logs > _border(logs)
    # Repeated rows of a group would make a cluster of one patient look like many.
    low, high = (_once_each(logs[side], units[known[side]]) for side in (~above, above))
    if not _heap(low) or not _heap(high) or not _apart(low, high, logs) or any(_of_classes(known, above, labels) for labels in targets):
        return []
    # The smaller cluster is more likely in the wrong unit.
    rows = known[above] if len(high) <= len(low) else known[~above]
    middles = float(np.median(low)), float(np.median(high))
    names = f"around {np.exp(middles[0]):.4g} and around {np.exp(middles[1]):.4g}"
    looks = f"{counted(len(rows), 'row')} {'looks' if len(rows) == 1 else 'look'} as if in another unit"
    what = f"the numbers form two clusters, {names}: {looks}, {np.exp(middles[1] - middles[0]):.3g} times the other."
    why = "Twelve months are read as twelve years, and the model learns from both as if they were in one unit."
    fix = "Find out the unit of each row, for instance by where it comes from, and bring all to one."
    return [Finding("warning", "mixed_units", cells.header, what, why, fix, first_rows(rows), count=len(rows))]


def _of_classes(known: NDArray[np.int64], above: NDArray[np.bool_], labels: LabelIndex) -> bool:
    """Return True where nearly all rows of each class lie in one cluster; `known` are the rows of the numbers, `above` marks the upper."""
    if labels.several:
        # Rows of several labels do not belong to one class.
        return False
    side = np.full(len(labels.known), -1, dtype=np.int64)
    side[known] = above
    inside = side[labels.row] >= 0
    number = len(labels.names)
    upper = np.bincount(labels.label[inside], side[labels.row[inside]], minlength=number)
    rows = np.bincount(labels.label[inside], minlength=number)
    return bool(
        (np.maximum(upper, rows - upper).sum() >= OF_CLASSES * rows.sum()) and (upper > rows / 2).any() and (upper < rows / 2).any()
    )


def _once_each(logs: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean logarithm of each unit."""
    if (units[1:] > units[:-1]).all():  # no groups: each row is a unit
        return logs
    codes = pd.factorize(units)[0]
    return np.asarray(np.bincount(codes, logs) / np.bincount(codes))


def _apart(low: NDArray[np.float64], high: NDArray[np.float64], logs: NDArray[np.float64]) -> bool:
    """Return True for clusters as far from each other as two units, as wide as each other, and with hardly any of `logs` between them."""
    middles = float(np.median(low)), float(np.median(high))
    # A cluster of equal numbers has no spread, and would divide by 0.
    spreads = [max(float(heap.std()), 1e-9) for heap in (low, high)]
    # D of Ashman and others (1994).
    distance = (middles[1] - middles[0]) * np.sqrt(2) / np.hypot(spreads[0], spreads[1])
    # The middle third between the medians.
    third = (middles[1] - middles[0]) / 3
    between = np.mean((logs > middles[0] + third) & (logs < middles[1] - third))
    few = min(len(low), len(high)) < LEAST_ROWS
    # Half of the 95 % interval of the difference of two medians; of many numbers it is small, and taken as 0.
    rough = few * Z * MEDIAN_ERROR * float(np.hypot(spreads[0] / np.sqrt(len(low)), spreads[1] / np.sqrt(len(high))))
    alike = max(spreads) <= (ALIKE_OF_FEW if few else ALIKE_SPREADS) * min(spreads)
    return bool(
        _is_unit(float(np.exp(middles[1] - middles[0])), rough)
        and distance >= (SEPARATION_OF_FEW if few else SEPARATION)
        and between <= VALLEY
        and alike
    )


def _heap(logs: NDArray[np.float64]) -> bool:
    """Return True for numbers that are enough to tell a unit by, and not a few codes."""
    return len(logs) >= LEAST_HEAP and len(np.unique(logs)) >= LEAST_DIFFERENT


def _is_unit(factor: float, rough: float) -> bool:
    """Return True for a factor between units, where medians of few numbers leave its logarithm uncertain by `rough`."""
    # On the logarithm, so that a factor and its inverse are treated alike.
    tolerance = max(float(np.log1p(UNIT_TOLERANCE)), rough)
    return any(abs(np.log(factor / max(unit, 1 / unit))) <= tolerance for unit in UNITS)


def _border(logs: NDArray[np.float64]) -> float:
    """Return the threshold between two clusters with the largest variance between them (Otsu 1979)."""
    counts, edges = np.histogram(logs, bins=256)  # as many levels as the images of Otsu
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    sums = np.cumsum(counts * middles)
    above = below[-1] - below
    # The last bin has nothing above it: 0 / 0 there is NaN, which nanargmax ignores.
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (sums / below - (sums[-1] - sums) / above) ** 2
    return float(edges[1 + int(np.nanargmax(between))])
