"""Split leakage of given parts: groups in several parts, and scored rows that are earlier than training rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mmtrain.audit.column_values import ColumnValues, TableValues
from mmtrain.audit.finding import Finding, Level, first_rows
from mmtrain.audit.hypothesis_tests import FAMILY_WISE_ERROR_RATE, rank_sum
from mmtrain.audit.row_metadata import TEST, TRAIN, VALIDATION, RowMetadata, split_names
from mmtrain.columns.split_words import PARTS
from mmtrain.errors import counted, listed
from mmtrain.text.dates import day_name

BACKWARD, FORWARD = 0.2, 0.8
"""Share of pairs in which a scored date is later than a training date: below the first, scored rows precede training rows; above the
second, the split is chronological; between them, it is not by time."""
LEAST_DATES = 10
SHARED = {"persons": "the name says whom a row belongs to", "keys": "rows with one key read the same rows of a second table"}
"""Contents of unused columns whose values should be in one part only, and why."""


def split_leakage(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Return the findings on groups, and on dates of validation and test."""
    findings = groups_across_splits(table, metadata)
    dates = [cells for cells in table.columns if cells.use.unused == "dates"]
    for cells in dates:
        for part in (VALIDATION, TEST):
            # Two parts are tested for each column of dates (Bonferroni).
            findings += _temporal_leakage(cells, metadata, part, FAMILY_WISE_ERROR_RATE / (2 * len(dates)))
    return findings


def groups_across_splits(table: TableValues, metadata: RowMetadata) -> list[Finding]:
    """Find groups in several parts, of a group column or, without one, of a column of keys, or whose name says whom a row belongs to."""
    if metadata.parts is None:
        return []
    for cells in table.columns:
        declared = cells.use.purpose == "grouping"
        if not declared and cells.use.unused not in SHARED:
            continue
        if declared and not metadata.given:
            return []  # a split method keeps whole groups together
        codes, _ = pd.factorize(cells.prints)
        # Rows that left the table belong to no part.
        rows = np.flatnonzero((metadata.parts >= 0) & ~cells.missing)
        sets = np.column_stack([codes[rows], rows])
        torn = metadata.spans(sets, metadata.parts)
        if not torn.any():
            continue
        torn_rows = rows[torn[codes[rows]]]
        parts = listed(split_names(metadata.parts[torn_rows]))
        number = int(torn.sum())
        what = f"{counted(number, 'group')} {'has' if number == 1 else 'have'} rows in {parts} at once: {counted(len(torn_rows), 'row')}."
        if not declared:
            what = f"{SHARED[cells.use.unused]}, and {what}"
        why = "What is learned from one row of a group holds for its others: scores on test are of known groups, not of new ones."
        fix = "Mark all rows of a group for the same part."
        if not declared:
            fix = f"Give '{cells.header}' the role group." if not metadata.given else f"{fix} Give '{cells.header}' the role group."
        level: Level = "error" if declared else "warning"
        return [Finding(level, "group_on_two_sides", cells.header, what, why, fix, first_rows(torn_rows), count=len(torn_rows))]
    return []


def _temporal_leakage(cells: ColumnValues, metadata: RowMetadata, part: int, sure: float) -> list[Finding]:
    """Find rows of a scored part that are earlier than training rows, where the given parts depend on time at all.

    A split by time reports such rows itself.
    """
    if metadata.parts is None or not metadata.given or cells.numbers is None:
        return []
    known = ~np.isnan(cells.numbers)
    train, scored = (np.flatnonzero((metadata.parts == one) & known) for one in (TRAIN, part))
    if min(len(train), len(scored)) < LEAST_DATES:
        return []
    # Dates within a group depend on each other.
    independent = [cells.numbers[metadata.one_of_each(rows)] for rows in (scored, train)]
    later, p_value = rank_sum(*independent)
    last = cells.numbers[train].max()
    early = scored[cells.numbers[scored] < last]
    # Near 0.5 the parts do not depend on time: an early scored row is then expected.
    if p_value > sure or BACKWARD < later < FORWARD or not len(early):
        return []
    medians = " and ".join(
        f"{name} around {day_name(np.median(cells.numbers[rows]))}" for name, rows in (("training", train), (PARTS[part], scored))
    )
    earlier = f"{counted(len(early), f'{PARTS[part]} row')} of {len(scored):,} are earlier"
    what = f"{earlier} than the last training row of {day_name(last)}; {medians}."
    back = later <= BACKWARD
    if back:
        what = f"the given parts are reversed in time: the {PARTS[part]} rows are the earlier ones. {what}"
    why = "A model is used on days that come after its training. Scored on earlier ones it has seen their future."
    fix = "Mark the latest rows test, the ones before them validation, and only earlier ones train."
    return [Finding("error" if back else "warning", "time_looks_back", cells.header, what, why, fix, first_rows(early), count=len(early))]
