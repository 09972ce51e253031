"""Redundant inputs: equal cells, renamed categories, numbers that are linear functions of each other.

Columns that are 0 in nearly every row agree there at random. So the rows in which either column has another value than its usual one
have to agree as well, and there have to be more of them than a random placement would put into the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.metrics.labels.auc import mid_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PAIRED = 400
"""Columns that are compared with each other; of more, the first."""
NEARLY = 0.99
"""The share of rows in which two columns say the same."""
FAITHFUL = 0.9
"""The same for each single category, so that a rare one is not lost among the others."""
ALIKE = 0.999
"""A correlation from which one number says what the other does."""
SAMPLED = 512
"""Rows of a sample by which most pairs are ruled out: a share of them has a standard error of 0.022 at most."""
LIKELY = 0.9
"""Share of these rows in which columns say the same that are worth a closer look."""
FEW_NAMES = 30
"""Categories up to which all pairs of them are counted."""
PRODUCT_CELLS = 8_000_000
"""Cells of a matrix of pairs of categories: 32 MB."""
LEAST_ROWS = 20
LEAST_OF_TWO = 10
"""Rows of the rarer of two categories, or with another value than the usual one: in small tables fewer are paired at random."""
RANKS_ALIKE = 0.99
"""The same correlation of ranks: a few huge numbers in both columns make one of values."""


def redundant_columns(table: TableValues, metadata: RowMetadata) -> list[Finding]:  # noqa: ARG001
    """Return the findings on pairs of redundant columns; every column is compared with those before it."""
    # Constant columns have a finding of their own, and would equal each other.
    # Above 20,000 rows a sample decides: what is the same in 99 % of the rows is so in the sample.
    rows = np.arange(table.rows) if table.rows <= 20_000 else table.sample
    able = list(islice((cells for cells in table.inputs if (cells.prints[rows] != cells.prints[rows[:1]]).any()), MOST_PAIRED))
    prints = [cells.prints[rows] for cells in able]
    straight = _correlations(able, rows)
    findings: list[Finding] = []
    repeated: set[int] = set()
    for first, second in _likely(able, np.array(prints).reshape(len(able), len(rows)), straight):
        if first in repeated or second in repeated:
            continue  # equal to a column before both
        pair = able[first], able[second]
        # Rows without a value in one of the columns say nothing about sameness.
        both = (prints[first] != 0) & (prints[second] != 0)
        how = _describe_sameness(pair, prints[first][both], prints[second][both], len(rows), float(straight[first, second]))
        if how and _beyond_chance(pair, rows[both], len(able)):
            where = f"{pair[0].header}, {pair[1].header}"
            why = "Their contributions cannot be separated, and their information has double weight."
            fix = f"Leave out '{pair[1].header}', unless you know why there are two."
            findings.append(Finding("warning", "equal_columns", where, how, why, fix, strength=float(both.sum())))
            # The later column is the copy: it is left out, and not compared again.
            repeated.add(second)
    return findings


def _likely(columns: list[ColumnValues], prints: NDArray[np.uint64], straight: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Yield pairs of positions in order, without those that a sample of the rows rules out: to compare a pair takes a millisecond.

    What is the same in 99 of 100 rows is so in far more than 9 of 10 of a sample. `prints` is (columns, rows).
    """
    rows = prints.shape[1]
    # A fixed seed: the same table always has the same findings.
    sample = np.arange(rows) if rows <= SAMPLED else np.sort(np.random.Generator(np.random.PCG64(0)).choice(rows, SAMPLED, replace=False))
    seen = prints[:, sample]
    distinct = [len(pd.unique(column[column != 0])) for column in prints]
    categorical = np.array([cells.use.content == "names" for cells in columns], dtype=np.bool_)
    renamed = _maybe_renamed(seen, distinct)
    for first in range(len(columns)):
        both = (seen[first] != 0) & (seen[first + 1 :] != 0)
        equal = ((seen[first] == seen[first + 1 :]) & both).sum(axis=1)
        # Where 99 % of all rows agree, 90 % of a sample of 512 are 20 standard errors below.
        likely = equal >= LIKELY * both.sum(axis=1)
        likely |= np.abs(straight[first, first + 1 :]) >= ALIKE
        likely |= renamed(first) & (categorical[first] | categorical[first + 1 :])
        yield from ((first, first + 1 + int(place)) for place in np.flatnonzero(likely))


def _maybe_renamed(seen: NDArray[np.uint64], distinct: list[int]) -> Callable[[int], NDArray[np.bool_]]:
    """Return a function that marks, for a column, those after it that may have the same categories renamed; `seen` is (columns, rows).

    The rows of all pairs of few categories are counted in matrix products; of more categories, their number alone is compared.
    """
    # Pairs of categories are counted in a matrix of the product of both numbers, which many categories would swell.
    few = np.array([number <= FEW_NAMES for number in distinct], dtype=np.bool_)
    sizes = np.array(distinct, dtype=np.int64)
    nothing = np.zeros((seen.shape[1], 1), dtype=np.float32)
    one_hot = [_one_hot(column) if is_few else nothing for column, is_few in zip(seen, few, strict=True)]
    widths = [matrix.shape[1] for matrix in one_hot]
    starts = np.append(0, np.cumsum(widths))
    every = np.concatenate(one_hot, axis=1) if one_hot else np.zeros((0, 0), dtype=np.float32)

    # As many columns per product as its memory allows.
    together = max(1, PRODUCT_CELLS // (every.shape[1] * max(widths, default=1) or 1))

    # The loop over columns is in order, so that one block at a time is needed.
    @lru_cache(maxsize=1)
    def product(block: int) -> NDArray[np.float32]:
        """Count pairs of categories of several columns at once: a matrix product for each takes longer to start than to compute."""
        first, last = starts[block * together], starts[min((block + 1) * together, len(seen))]
        return np.asarray(every[:, first:last].T @ every)

    def after(first: int) -> NDArray[np.bool_]:
        alike = (2 * sizes[first] >= sizes[first + 1 :]) & (2 * sizes[first + 1 :] >= sizes[first])
        if first + 1 == len(seen) or not few[first]:
            return np.asarray(alike & ~few[first + 1 :])
        begin = starts[first] - starts[first // together * together]
        block = product(first // together)[begin : begin + widths[first], starts[first + 1] :]  # rows of each pair of categories
        bounds = starts[first + 1 : -1] - starts[first + 1]
        rows = np.add.reduceat(block, bounds, axis=1)
        # The rows of the larger category of each pair: a small one inside a large one is not a new name for it.
        wholes = np.maximum(np.repeat(rows, widths[first + 1 :], axis=1), block.sum(axis=0))
        pairs = np.maximum.reduceat(block / np.maximum(wholes, 1), bounds, axis=1)
        # Renamed categories share at least half of the rows of the larger one; of fewer than LEAST_ROWS the sample shows nothing.
        return np.where(few[first + 1 :], ((pairs >= 0.5) | (rows < LEAST_ROWS)).all(axis=0), alike & ~few[first])

    return after


def _one_hot(prints: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return 0 and 1, (rows, categories); a missing category is all 0."""
    names = np.unique(prints[prints != 0])
    return np.equal(prints[:, np.newaxis], names if len(names) else np.uint64(1)).astype(np.float32)


def _describe_sameness(
    pair: tuple[ColumnValues, ColumnValues], first: NDArray[np.uint64], second: NDArray[np.uint64], rows: int, correlation: float
) -> str:
    """Say in which way two columns are the same, by the prints of the rows that have both; or nothing."""
    # On few common rows, two columns that are mostly empty agree easily.
    if len(first) < max(LEAST_ROWS, 0.5 * rows):
        return ""
    share = float((first == second).mean())
    if share >= NEARLY:
        return "the cells of the two columns are equal." if share == 1 else f"{share:.1%} of the cells of the two columns are equal."
    contents = {cells.use.content for cells in pair}
    if contents == {"numbers"} and abs(correlation) >= ALIKE:
        return f"one number follows from the other in a straight line: their correlation is {correlation:.4f}."
    return _renamed(first, second) if "names" in contents and contents <= {"names", "numbers"} else ""


def _beyond_chance(pair: tuple[ColumnValues, ColumnValues], rows: NDArray[np.int64], columns: int) -> bool:
    """Return True where the rows that have another value than the usual one of either column show the same likeness."""
    prints = [cells.prints[rows] for cells in pair]
    codes = [pd.factorize(values)[0] for values in prints]
    unusual = [column != np.bincount(column).argmax() for column in codes]
    # Rows where both are usual agree by frequency alone.
    either = unusual[0] | unusual[1]
    # So few unusual rows agree by their places alone: Bonferroni over all ordered pairs of columns.
    if (unusual[0] == unusual[1]).all() and float(either.sum()) < LEAST_OF_TWO:
        return _places(len(rows), int(either.sum())) > columns**2 / FAMILY_WISE_ERROR_RATE
    if either.sum() < LEAST_OF_TWO:
        return False
    first, second = (values[either] for values in prints)
    if float((first == second).mean()) >= FAITHFUL:
        return True
    if {cells.use.content for cells in pair} == {"numbers"}:
        numbers = [cells.numbers[rows[either]] for cells in pair if cells.numbers is not None]
        ranked = np.asarray(np.corrcoef(np.stack([mid_ranks(column) for column in numbers])))
        return abs(float(ranked[0, 1])) >= RANKS_ALIKE
    # What is renamed goes in pairs: so does what is unusual.
    return float((unusual[0] & unusual[1]).sum()) >= FAITHFUL * float(either.sum())


def _places(rows: int, taken: int) -> float:
    """Return the number of ways in which `taken` of some rows can be chosen, at most e^700: `exp` overflows at 709."""
    return math.exp(min(700.0, math.lgamma(rows + 1) - math.lgamma(taken + 1) - math.lgamma(rows - taken + 1)))


def _correlations(columns: list[ColumnValues], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Pearson correlations, (columns, columns), over rows where both are numbers; 0 with fewer than `LEAST_ROWS` of them."""
    correlations = np.zeros((len(columns), len(columns)))
    numeric = [place for place, cells in enumerate(columns) if cells.use.content == "numbers" and cells.numbers is not None]
    if not numeric:
        return correlations
    standardized = np.array([_standard(numbers[rows]) for place in numeric if (numbers := columns[place].numbers) is not None])
    known = ~np.isnan(standardized)
    filled, weights = np.where(known, standardized, 0.0), known.astype(np.float64)
    if known.all():  # what the products below would add up, at a quarter of their cost
        counts = np.full((len(numeric), len(numeric)), float(len(rows)))
        means, squares = (np.repeat(values.sum(axis=1, keepdims=True), len(numeric), axis=1) / len(rows) for values in (filled, filled**2))
    else:
        counts = np.maximum(weights @ weights.T, 1.0)
        means, squares = filled @ weights.T / counts, filled**2 @ weights.T / counts
    spread = np.maximum(squares - means**2, 0.0)  # rounding makes it negative in constant columns
    products = np.sqrt(spread * spread.T)
    able = (counts >= LEAST_ROWS) & (products > 1e-9)
    both = np.where(able, (filled @ filled.T / counts - means * means.T) / np.where(able, products, 1.0), 0.0)
    correlations[np.ix_(numeric, numeric)] = both
    return correlations


def _standard(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers with mean 0 and deviation 1, so that squares do not overflow; NaN for a constant column."""
    known = ~np.isnan(numbers)
    # The square of a number above 1e154 is infinite: divide before the deviation is taken.
    largest = float(np.abs(numbers[known]).max(initial=0.0))
    scaled = numbers / largest if largest > 0 else numbers
    deviation = float(scaled[known].std()) if known.any() else 0.0
    return (scaled - scaled[known].mean()) / deviation if deviation > 0 else np.full(len(numbers), np.nan)


def _renamed(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> str:
    """Describe categories that go in pairs, but for slips; nothing for small tables, where they do so at random."""
    (codes, categories), (others, other) = pd.factorize(first), pd.factorize(second)
    names = len(categories)
    # With fewer than five rows per category, pairs of them are met by accident.
    if names != len(other) or names < 2 or names * 5 > len(first):
        return ""
    sizes, other_sizes = np.bincount(codes), np.bincount(others)
    if names == 2 and min(sizes.min(), other_sizes.min()) < LEAST_OF_TWO:
        return ""
    pairs, times = np.unique(codes * names + others, return_counts=True)
    faithful = times >= FAITHFUL * np.maximum(sizes[pairs // names], other_sizes[pairs % names])
    share = float(times[faithful].sum() / len(first))
    if np.count_nonzero(faithful) < names or share < NEARLY:
        return ""
    sentence = f"each of the {names} categories of one goes with one category of the other"
    return f"{sentence}{'' if share == 1 else f', in {share:.1%} of the rows'}: the same names in other words."
