"""Duplicate rows and duplicate texts.

Rows of few categories are equal at random, as two men of 40 are. Rows count as copies only where that does not explain them: were
column c independent of the others, the pairs of rows that agree in all but c would agree in c with the probability p that two values
of c agree, so for each pair that differs in c alone about p / (1 - p) pairs would be equal at random. Where that explains a fifth of
the equal pairs, for any column c, nothing is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.row_metadata import TEST, TRAIN, VALIDATION, RowMetadata
from mmtrain.data.counter_rng import mix_bits
from mmtrain.errors import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANDOM_MATCH_RATE = 0.2
"""Share of the equal pairs that random agreement may explain."""
DISTINCT = 0.25
"""Different values per row of the most diverse column: with fewer, and fewer than half of the rows unique, copies are not recognisable."""
MOST_COMPARED = 60
"""Columns whose random agreement is estimated, by leaving each out; of more, the first."""
OF_NAMES, NAMES_REPEAT = 0.5, 4.0
"""Share of a column's long texts that repeat, and mean repeats of each, from which texts are names rather than written anew."""
OFTEN = 0.01
"""Share of rows from which a text, if it is also in `LEAST_OFTEN` rows, is boilerplate rather than a copy."""
LEAST_OFTEN = 10
FAR_APART = 0.5
"""Standard deviations between the numbers of two copies, from which they are two answers and not one that was measured twice."""
MUCH, LITTLE = 0.01, 0.001
"""Shares of a part's rows that are copies of training rows, which bound the change of its scores: an error from the first on, a note
below the second."""


def duplicate_findings(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Return the findings on equal rows, and on equal texts of each column."""
    same_rows = equal_rows(table)
    findings = _of_rows(table, metadata, same_rows)
    for cells in table.inputs_of("texts"):
        findings += _of_texts(table, cells, metadata, same_rows)
    return findings


def equal_rows(table: TableValues) -> NDArray[np.int64]:
    """Return set and row, (n, 2), of all rows that equal another in every input, where random agreement does not explain it."""
    nothing = np.empty((0, 2), dtype=np.int64)
    inputs = table.inputs
    if not inputs or table.rows < 2:
        return nothing
    column_prints = [
        mix_bits(cells.prints, position) for position, cells in enumerate(inputs, start=1)
    ]  # so that a sum tells which cell stands where
    # Sums of mixed 64-bit prints: one column can be taken out of a sum by subtraction.
    every = np.asarray(np.sum(column_prints, axis=0, dtype=np.uint64))
    filled = np.any([~cells.missing for cells in inputs], axis=0)
    # Rows without a single value would all be equal.
    equal = _pairs(every[filled])
    if not equal:
        return nothing
    distinct = max(len(cells.different) for cells in inputs) / table.rows
    single = np.count_nonzero(np.bincount(pd.factorize(every)[0]) == 1) / table.rows
    if distinct < DISTINCT and single < 0.5:
        return nothing
    for cells, prints in list(zip(inputs, column_prints, strict=True))[:MOST_COMPARED]:
        # Pairs that agree in this column alone, as a share of all pairs.
        agree = _pairs(cells.prints[filled]) / (filled.sum() * (filled.sum() - 1) / 2)
        # Pairs that agree in all columns but this one, or would if it were independent of the others.
        near = _pairs((every - prints)[filled]) - equal
        if agree < 1 and near * agree / (1 - agree) > RANDOM_MATCH_RATE * equal:
            return nothing
    return equal_sets(every, np.flatnonzero(filled))


def _pairs(prints: NDArray[np.uint64]) -> float:
    """Count the pairs of equal rows."""
    times = np.bincount(pd.factorize(prints)[0]).astype(np.float64)
    return float((times * (times - 1) / 2).sum())


def equal_sets(prints: NDArray[np.uint64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return set and row, (n, 2), of those of `rows` whose print occurs more than once among them; sets by their first row."""
    codes = pd.factorize(prints[rows])[0]
    repeated = np.flatnonzero(np.bincount(codes, minlength=1)[codes] > 1)
    sets = pd.factorize(codes[repeated])[0]
    # Sets by their first row; rows within a set ascend.
    order = np.argsort(sets, kind="stable")
    return np.column_stack([sets[order], rows[repeated[order]]]).astype(np.int64)


def _of_rows(table: TableValues, metadata: RowMetadata, sets: NDArray[np.int64]) -> list[Finding]:
    if not len(sets):
        return []
    more = len(_later(sets))
    what = f"{counted(more, 'row')} {'repeats' if more == 1 else 'repeat'} an earlier one in every input column."
    return [
        _finding(sets, metadata, table.name, "rows", what),
        *_disagreeing(sets, _split_groups(sets, table, metadata), table.name, "rows"),
    ]


def _of_texts(table: TableValues, cells: ColumnValues, metadata: RowMetadata, same_rows: NDArray[np.int64]) -> list[Finding]:
    """Find long texts that occur again, in rows that differ otherwise and belong to other groups."""
    if cells.written is None:
        return []
    wanted = cells.written.copy()
    wanted[_later(same_rows)] = False
    sets = equal_sets(cells.prints, np.flatnonzero(wanted))
    if len(sets) >= OF_NAMES * wanted.sum() and len(sets) >= NAMES_REPEAT * (sets[:, 0].max(initial=-1) + 1):
        return []
    sizes = np.bincount(sets[:, 0])
    # Texts of a form are boilerplate, and within a group repeats are expected.
    copied = sizes < max(LEAST_OFTEN, OFTEN * len(cells.prints))
    if metadata.groups is not None:
        copied &= metadata.spans(sets, metadata.units)
    sets = sets[copied[sets[:, 0]]]
    if not len(sets):
        return []
    sets[:, 0] = pd.factorize(sets[:, 0])[0]
    number = int(sets[-1, 0]) + 1
    noun = "text is" if number == 1 else "texts are"
    what = f"{number:,} long {noun} found in more than one row, in {counted(len(sets), 'row')} that differ otherwise."
    return [
        _finding(sets, metadata, cells.header, "texts", what),
        *_disagreeing(sets, _split_groups(sets, table, metadata), cells.header, "texts"),
    ]


def _later(sets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows that repeat an earlier one."""
    return np.asarray(sets[1:, 1][sets[1:, 0] == sets[:-1, 0]])


def _finding(sets: NDArray[np.int64], metadata: RowMetadata, where: str, noun: str, what: str) -> Finding:
    """Return the finding on copies; its level depends on how many are in several parts."""
    torn = sets[metadata.spans(sets, metadata.parts)[sets[:, 0]]]
    level, leaked = _leaked(torn, metadata)
    why = "Memorised rows score as if they had been understood."
    if leaked:
        what = f"{what} {counted(leaked, 'row')} of validation and test {'has' if leaked == 1 else 'have'} a copy in training."
    elif metadata.spans(sets, metadata.units).any():
        why = "Copies weigh double, and another split may put them into two parts."
    else:
        why = "Copies weigh double."
    fix = "Keep one of each, or give the copies one value in a `group` column, so that they stay in one part of the split."
    later = _later(sets)
    return Finding(level, f"duplicate_{noun}", where, what, why, fix, first_rows(later), count=len(later))


def _leaked(sets: NDArray[np.int64], metadata: RowMetadata) -> tuple[Level, int]:
    """Return the level of copies in several parts, and the number of validation and test rows with a copy in training."""
    if metadata.parts is None or not len(sets):
        return "note", 0
    parts = metadata.parts[sets[:, 1]]
    number = int(sets[:, 0].max()) + 1
    trained = np.bincount(sets[:, 0], parts == TRAIN, minlength=number) > 0
    # Rows of no part have -1.
    leaked = (parts > TRAIN) & trained[sets[:, 0]]
    # The worse of validation and test decides the level.
    worst = max(float((leaked & (parts == part)).sum()) / max(len(metadata.of_part(part)), 1) for part in (VALIDATION, TEST))
    total = int(leaked.sum())
    # A single row moves a score by no more than one right answer more, however small the part is.
    return "error" if worst >= MUCH and total > 1 else "warning" if worst >= LITTLE else "note", total


def _split_groups(sets: NDArray[np.int64], table: TableValues, metadata: RowMetadata) -> NDArray[np.bool_]:
    """Mark the sets with different answers to some target, (sets,); numbers differ where they are far apart."""
    torn = np.zeros(int(sets[-1, 0]) + 1, dtype=np.bool_)
    for labels in metadata.targets:
        torn |= metadata.spans(sets, labels.sets())
    for cells in table.of_purpose("answer"):
        if cells.use.traits.is_continuous and cells.numbers is not None:
            values = pd.Series(cells.numbers[sets[:, 1]]).groupby(sets[:, 0])
            torn |= (values.max() - values.min()).to_numpy() > FAR_APART * _spread(cells.numbers)
    return torn


def _spread(numbers: NDArray[np.float64]) -> float:
    """Return a robust standard deviation, by the quartiles; the usual one where these are equal, and NaN without any number."""
    if np.isnan(numbers).all():
        return float("nan")
    low, high = np.nanquantile(numbers, (0.25, 0.75))
    # Quartiles of a normal distribution are 1.349 standard deviations apart.
    return float((high - low) / 1.349) or float(np.nanstd(numbers))


def _disagreeing(sets: NDArray[np.int64], split: NDArray[np.bool_], where: str, noun: str) -> list[Finding]:
    """Find copies with different answers."""
    if not split.any():
        return []
    rows = sets[split[sets[:, 0]], 1]
    number = int(split.sum())
    what = f"{counted(number, 'set')} of equal {noun} {'has' if number == 1 else 'have'} different answers, in {counted(len(rows), 'row')}."
    why = "At most one of the answers is right, and no model can give both."
    fix = "Find out which answer is right, and correct or leave out the others."
    return [Finding("warning", f"conflicting_{noun}", where, what, why, fix, first_rows(rows), count=len(rows))]
