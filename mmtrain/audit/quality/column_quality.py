"""Quality of single columns: constants, ids, mixed types and units; and, of targets too, outliers and extreme tails."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.quality.missing_value_codes import missing_words, stand_in_numbers, stand_in_words
from mmtrain.audit.quality.mixed_units import mixed_units
from mmtrain.audit.quality.numeric_codes import code_like
from mmtrain.audit.ranked_numbers import RankedNumbers
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.columns.bookkeeping import ID_WORDS
from mmtrain.columns.profile import name_words
from mmtrain.errors import counted, listed
from mmtrain.text.printable import format_number, quote_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ROWS = 20
FEW_DISTINCT = 10
"""Rows with another value than all the rest, below which nothing can be learned from them."""
NEARLY = 0.99
OWN = 0.5
"""Different values per row, from which a category names a row rather than a kind."""
DIFFERENT, DENSE = 0.95, 1.1
"""Different whole numbers per row, and their range per row, of ids: of as many random numbers a third of the rows would be repeats."""

DEVIATIONS = 10.0
"""Robust standard deviations from the median that an outlier has at least; a normal number reaches 6 once in a billion."""
ON_A_SCALE = 6.0
"""The same on a logarithmic scale, where all numbers are positive: a long tail holds no outliers, however far it reaches."""
GAP = 3.0
"""Distance of an outlier from the median, in that of the farthest other number."""
FEW_OUTLIERS = 0.005
"""A larger share of rows is a second kind of row rather than outliers, unless they are one number of several groups: a code for missing."""
SWOLLEN = 2.0
"""Ratio of the standard deviations with and without outliers, from which these squeeze all others when the column is normalised."""

EXTREME = 5.0
"""Standard deviations for one of the middle half, from which a tail is extreme; an exponential distribution has 1.2, a lognormal one
whose logarithm has the standard deviation 1.5 has 5."""
FAR, FAR_WITH_EXTREME = 20.0, 10.0
"""Standard deviations from the mean to the farthest number, alone and where the tail is also extreme; of a million exponential
numbers it lies at 13."""

WITH_UNIT = re.compile(r"^\s*[-+]?\d+(?:[.,]\d+)?\s*([A-Za-zµ°%][A-Za-zµ°%²³/]{0,9})\.?\s*$")
DECIMAL_COMMA = re.compile(r"^\s*[-+]?\d+,\d+\s*$")
MOSTLY = 0.8
"""Share of cells that decides on the content of a column."""


def column_quality(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Return the findings on all inputs but images, and on the numbers of targets."""
    findings: list[Finding] = []
    for cells in table.inputs:
        # Images have checks of their own, of files and pixels.
        if cells.use.content == "images":
            continue
        constant = _constant(cells)
        findings += constant
        if not constant and cells.use.content != "texts":
            # An id is also whole and of one length: as codes it would be told twice.
            findings += (_id_like(cells) or code_like(cells)) + _types(cells) + _sizes(cells, metadata)
    for cells in table.of_purpose("answer"):
        findings += _sizes(cells, metadata)
    return findings


def _sizes(cells: ColumnValues, metadata: RowMetadata) -> list[Finding]:
    """Check the sizes of numbers; of several findings the first explains the others."""
    units = metadata.units
    return mixed_units(cells, units, metadata.targets) or _outliers(cells, units) or stand_in_numbers(cells) or _long_tail(cells)


def _constant(cells: ColumnValues) -> list[Finding]:
    """Find columns with the same value in all rows, or all but a few; a missing cell is a value like any other."""
    if len(cells.different) > FEW_DISTINCT:  # as many other rows at least
        return []
    different, times = np.unique(cells.prints, return_counts=True)
    # Each missing cell has the print 0, so that it counts as one value.
    others = len(cells.prints) - int(times.max())
    if len(different) == 1:
        value = "empty" if different[0] == 0 else _named(cells, int(different[0]))
        what = f"every cell is {value}."
        return [Finding("warning", "constant", cells.header, what, "Nothing can be learned from it.", "Leave the column out.")]
    if others >= FEW_DISTINCT or others > (1 - NEARLY) * len(cells.prints):
        return []
    usual = different[times.argmax()]
    rows = np.flatnonzero(cells.prints != usual)
    value = "empty" if usual == 0 else _named(cells, int(usual))
    what = f"all cells but {others:,} are {value}."
    why = "So few rows teach nothing that generalises, and their effect depends on the part they fall into."
    fix = "Leave the column out."
    return [Finding("note", "nearly_constant", cells.header, what, why, fix, first_rows(rows), count=others, strength=-float(others))]


def _named(cells: ColumnValues, value: int) -> str:
    """Return a value in quotes; texts are not kept by name."""
    return quote_value(cells.names[value]) if value in cells.names else "the same"


def _id_like(cells: ColumnValues) -> list[Finding]:
    """Find categories that hardly ever occur twice, and numbers that count the rows or are called ids."""
    if cells.use.content == "names" and names_each_row(cells):
        what = f"{len(cells.different):,} different categories in {counted(len(cells.prints), 'row')}: hardly any occurs twice."
        why = "A category that new rows do not have says nothing about them; in training it lets the model memorise every row."
    elif cells.use.content == "numbers" and _counts_up(cells):
        what = "the numbers are whole and hardly any occurs twice, like row numbers."
        why = "What is learned from an id holds for the rows of this table only."
    else:
        return []
    return [Finding("warning", "id_as_input", cells.header, what, why, "Leave the column out, or give it the role id.")]


def names_each_row(cells: ColumnValues) -> bool:
    """Return True where categories hardly ever occur twice."""
    filled = int(np.count_nonzero(cells.prints))
    return filled >= LEAST_ROWS and len(cells.different) >= OWN * filled


def _counts_up(cells: ColumnValues) -> bool:
    """Return True for a running number, in any order, and for different whole numbers under the name of an id."""
    if cells.numbers is None:
        return False
    numbers, known = cells.ranked.values, cells.ranked.total
    if known < LEAST_ROWS or (numbers != np.floor(numbers)).any() or len(cells.different) < DIFFERENT * known:
        return False
    words = name_words(cells.header)
    # A dense range of different whole numbers is an id whatever its name; a sparse one only if the name says so.
    return bool(numbers[-1] - numbers[0] <= DENSE * known) or (bool(words) and (words[-1] in ID_WORDS or words[0] == "id"))


def _types(cells: ColumnValues) -> list[Finding]:
    """Find words among numbers, numbers among words, decimal commas, units behind numbers, and words that mean missing."""
    if cells.numbers is None:
        return []
    words = missing_words(cells)
    if words and (cells.use.content == "names" or cells.use.column is None):
        # `init` lists them for guessed roles; among categories `fit` accepts them.
        return [stand_in_words(cells, words), *_odd_types(cells, words)]
    return _odd_types(cells, ())


def _odd_types(cells: ColumnValues, missing: Sequence[str]) -> list[Finding]:
    """Find cells of another type, apart from those in `missing`."""
    if cells.numbers is None or cells.is_all_numbers:
        return []
    filled = int((~cells.missing).sum())
    absent = [code for code, name in cells.names.items() if name in missing]
    # Names are kept for the first 50,000 values; words for missing have a finding of their own.
    odd = np.flatnonzero(~cells.missing & np.isnan(cells.numbers) & ~np.isin(cells.prints, np.array(absent, dtype=np.uint64)))
    if not len(odd):
        return []
    codes, times = np.unique(cells.prints[odd], return_counts=True)
    names = {cells.names.get(int(code), ""): int(number) for code, number in zip(codes, times, strict=True)}
    commas = sum(number for name, number in names.items() if DECIMAL_COMMA.match(name))
    units: dict[str, int] = {}
    for name, number in names.items():
        if match := WITH_UNIT.match(name):
            units[match[1]] = units.get(match[1], 0) + number
    numeric = cells.use.content == "numbers"
    # Cells that were meant as numbers: plain ones, those with a decimal comma, those with a unit.
    numbers = filled - len(odd) + commas + sum(units.values())
    # Names: a column is numbers written badly only where nearly all would be numbers, and some are not plain ones.
    if not numeric and (numbers < MOSTLY * filled or numbers == filled - len(odd) < MOSTLY * filled):
        return []
    return [_mixed(cells, odd, names, units, commas)]


def _mixed(cells: ColumnValues, odd: NDArray[np.int64], names: dict[str, int], units: dict[str, int], commas: int) -> Finding:
    # Numbers that neither a comma nor a unit explains.
    words = len(odd) - commas - sum(units.values())
    parts = [f"{commas:,} with a decimal comma"] if commas else []
    if units:
        parts.append(f"{sum(units.values()):,} with a unit behind ({listed(sorted(units), most=5)})")
    if words:
        rest = [name for name in names if not DECIMAL_COMMA.match(name) and not WITH_UNIT.match(name)]
        parts.append(f"{words:,} not a number at all, such as {listed([quote_value(name) for name in rest[:3]], 'or')}")
    level: Level = "error" if cells.use.content == "numbers" else "warning"
    kind = "mixed_units" if len(units) > 1 else "mixed_types"
    be = "is" if len(odd) == 1 else "are"
    filled = int((~cells.missing).sum())
    what = f"most cells are plain numbers, but {len(odd):,} of {filled:,} {be} not: {listed(parts)}."
    if len(odd) > filled / 2:
        what = f"the cells are numbers, but {len(odd):,} of {filled:,} are not plain ones: {listed(parts)}."
    why = "A number that is read as a name loses its size, and a number in another unit is another number."
    if level == "error":
        why = "A numeric column takes plain numbers only, and `fit` refuses the others."
    fix = "Write all numbers alike, with a point and without units." if commas or units else "Write numbers."
    if words:
        fix = f"{fix} List what stands for a missing value under `data.missing_values`."
    return Finding(level, kind, cells.header, what, why, fix, first_rows(odd), count=len(odd))


def _outliers(cells: ColumnValues, units: NDArray[np.int64]) -> list[Finding]:
    """Find a few numbers far from all others."""
    if not cells.use.is_number or cells.numbers is None:
        return []
    rows, rest = _apart(cells, units)
    if not len(rows):
        return []
    values = listed([format_number(value) for value in dict.fromkeys(cells.numbers[rows].tolist())], most=3)
    reach = f"where the rest goes from {format_number(rest.min())} to {format_number(rest.max())}"
    what = f"{counted(len(rows), 'number')} far from all others: {values}, {reach}."
    why = "It may be a typing error, another unit, or a code for missing."
    # A deviation of 0 of the rest would make any ratio infinite.
    swollen = float(np.nanstd(cells.numbers) / rest.std()) if rest.std() > 0 else 1.0
    if swollen >= SWOLLEN:
        why = (
            f"{why} It makes the standard deviation {swollen:.1f} times as large, so that normalising squeezes all other numbers together."
        )
    fix = "Check the rows; correct them, empty the cells, or list the code under `data.missing_values`."
    level: Level = "warning" if swollen >= SWOLLEN else "note"
    return [Finding(level, "outliers", cells.header, what, why, fix, first_rows(rows), count=len(rows))]


def _apart(cells: ColumnValues, units: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows of a few numbers that are far on a plain scale and, if all are positive, on a logarithmic one; and the others.

    `units` (rows,) are groups, or rows: few are those of few groups, however many rows these have.
    """
    ranked, nothing = cells.ranked, (np.empty(0, dtype=np.int64), np.empty(0))
    if cells.numbers is None or ranked.total < LEAST_ROWS:
        return nothing
    values = _outlying(ranked, DEVIATIONS)
    # Prices and counts have long tails: far on a plain scale, usual on a logarithmic one.
    if values.any() and ranked.values[0] > 0:
        values &= _outlying(ranked, ON_A_SCALE, np.log)
    if not values.any():
        return nothing
    numbers = cells.numbers
    # Codes of missing cells are -1, the last entry: never far.
    far = np.append(values, False)[ranked.codes]
    rows, rest, middle = np.flatnonzero(far), numbers[~far & ~np.isnan(numbers)], float(ranked.quantiles((0.5,))[0])
    holders, everyone = len(pd.unique(units[rows])), len(pd.unique(units[~np.isnan(numbers)]))
    few = len(rows) <= max(3, FEW_OUTLIERS * ranked.total) or (everyone >= LEAST_ROWS and holders <= max(3, FEW_OUTLIERS * everyone))
    # One number in many groups, 9999 for instance, is a code for missing however many rows have it.
    if not few and not np.count_nonzero(values) == 1 < holders:
        return nothing
    # At last the gap: a cell that continues the tail of the others is not an outlier.
    return rows[np.abs(numbers[rows] - middle) >= GAP * np.abs(rest - middle).max()], rest


def _outlying(ranked: RankedNumbers, deviations: float, scale: Callable[[Any], Any] | None = None) -> NDArray[np.bool_]:
    """Mark the different numbers that are more robust standard deviations from the median; none where half of all are equal."""
    low, middle, high = ranked.quantiles((0.25, 0.5, 0.75), scale)
    spread = (high - low) / 1.349  # quartiles of a normal distribution are 1.349 standard deviations apart
    if spread <= 0:  # half of all numbers are equal: every other one would be infinitely far
        return np.zeros(len(ranked.values), dtype=np.bool_)
    values = ranked.values if scale is None else scale(ranked.values)
    return np.asarray(np.abs(values - middle) > deviations * spread)


def _long_tail(cells: ColumnValues) -> list[Finding]:
    """Find a tail so long that normalising squeezes nearly all numbers together."""
    if cells.use.content != "numbers" or cells.numbers is None:
        return []
    ranked = cells.ranked
    if len(ranked.values) < LEAST_ROWS:
        # With fewer different numbers, the quartiles say little about a tail.
        return []
    numbers = cells.numbers[~np.isnan(cells.numbers)]
    low, middle, high = ranked.quantiles((0.25, 0.5, 0.75)).tolist()
    spread, deviation, mean = (high - low) / 1.349, float(numbers.std()), numbers.mean()
    # The two ends are the farthest numbers from the mean.
    far = float(max(mean - ranked.values[0], ranked.values[-1] - mean)) / deviation
    # Half of all numbers equal gives a spread of 0: then only the distance counts.
    if far < FAR and not (0 < spread * EXTREME <= deviation and far >= FAR_WITH_EXTREME):
        return []
    what = f"the tail is extreme: half of the numbers lie between {format_number(low)} and {format_number(high)}, the farthest is "
    what += f"{format_number(float(numbers[np.abs(numbers - middle).argmax()]))}, {far:.0f} standard deviations from the mean."
    why = "Normalised, most numbers are nearly the same, and a few rows decide the gradients."
    way = "its logarithm, log(1 + x)," if ranked.values[0] >= 0 else "its ranks"
    return [Finding("note", "extreme_tail", cells.header, what, why, f"Write {way} into the table, and use that in its place.")]
