"""Missingness that depends on the target (informative missingness)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, chi_square, holm, rank_sum
from mmtrain.audit.row_metadata import RowMetadata
from mmtrain.audit.target_view import BinaryTargetView, TargetView

if TYPE_CHECKING:
    from numpy.typing import NDArray

MISSING_NOTE, MISSING_WARNING = 0.1, 0.3
"""Differences between classes in the share of empty cells, from which there is a finding and a warning."""
LEAST_MISSING = 5
MOST_NAMED = 3
"""Labels that one finding names."""


def informative_missingness(table: TableValues, metadata: RowMetadata, targets: Sequence[TargetView]) -> list[Finding]:
    """Find inputs whose cells are empty more often for some answers than for others."""
    tested = []
    for target in targets:
        # Tests need independent rows: one of each group.
        independent = np.flatnonzero(np.isin(target.rows, metadata.one_of_each(target.rows)))
        # Fewer empty or filled cells are hardly ever significant after the correction, and matter to few rows.
        able = [
            cells
            for cells in table.inputs
            if LEAST_MISSING <= cells.missing[target.rows[independent]].sum() <= len(independent) - LEAST_MISSING
        ]
        for answer in target.answers:
            part = answer.at(independent)
            tested += [(target, cells, _missing_indicators(cells.missing[part.rows], part)) for cells in able]
    corrected = holm([p_value for *_, (_, p_value, _) in tested])
    effects: dict[tuple[str, str], tuple[TargetView, ColumnValues, list[tuple[float, str]]]] = {}
    for (target, cells, (size, _, sentence)), p_value in zip(tested, corrected, strict=True):
        if p_value < FAMILY_WISE_ERROR_RATE and size >= MISSING_NOTE:
            effects.setdefault((target.header, cells.header), (target, cells, []))[2].append((size, sentence))
    return [_finding(*one) for one in effects.values()]


def _finding(target: TargetView, cells: ColumnValues, holes: Sequence[tuple[float, str]]) -> Finding:
    largest = sorted(holes, key=lambda hole: -hole[0])
    sentences = "; ".join(sentences for _, sentences in largest[:MOST_NAMED])
    what = f"missing cells are associated with {target.named(len(holes))}: {sentences}."
    why = "If cells were left empty because of the answer, or filled in because of it, the model learns that and fails on new rows."
    fix = "Find out why they are empty. If it is because of the answer, leave the column out."
    level: Level = "warning" if largest[0][0] >= MISSING_WARNING else "note"
    rows = np.flatnonzero(cells.missing)
    return Finding(level, "missing_tells_label", cells.header, what, why, fix, first_rows(rows), count=len(rows))


def _missing_indicators(missing: NDArray[np.bool_], answer: BinaryTargetView) -> tuple[float, float, str]:
    """Return the difference of shares, its p-value, and a sentence."""
    if answer.labels is None:
        numbers = answer.numbers if answer.numbers is not None else np.empty(0)
        area, p_value = rank_sum(numbers[missing], numbers[~missing])
        middles = [f"{np.median(numbers[mask]):.4g}" for mask in (missing, ~missing)]
        return abs(area - 0.5), p_value, f"the median answer is {middles[0]} where it is empty and {middles[1]} elsewhere"
    several = max(len(answer.classes), 2)
    # (2, classes): rows with and without a cell.
    table = np.stack([np.bincount(answer.labels[mask], minlength=several) for mask in (missing, ~missing)])
    rows = table.sum(axis=0)
    # A share of fewer than ten rows is uncertain by 0.3 to either side.
    shares = np.where(rows >= 10, table[0] / np.maximum(rows, 1), np.nan)
    if np.isnan(shares).sum() > len(shares) - 2:
        return 0.0, 1.0, ""
    # The p-value is of the whole table, the sentence of the two most different classes.
    high, low = int(np.nanargmax(shares)), int(np.nanargmin(shares))
    sentence = f"{shares[high]:.0%} of {answer.called(high)} and {shares[low]:.0%} of {answer.called(low)} lack it"
    return float(shares[high] - shares[low]), chi_square(table), sentence
