"""Hold back half of the validation rows to calibrate conformal prediction.

Whole groups are dealt by chance, half of them to each side: conformal prediction promises something of new groups, so groups, or
rows where there are none, are what is counted. Neither size nor class plays a part, which keeps those held back a fair sample.
"""

from __future__ import annotations

from math import floor

import numpy as np
import pandas as pd

from mmtrain.errors import DataError, Problem
from mmtrain.splits.plan import Partition, Rows, by_position


def hold_out_calibration(partition: Partition, rows: Rows, *, coverage: float, fewest: int, seed: int) -> Partition:
    """Return the partition with `calibration` taken from `validation`, which keeps the odd group.

    The same rows and seed give the same halves. A split by time is no exception: what the bound promises rests on calibration rows
    being like those of validation, so both are of the same period.

    Raises:
        DataError: fewer than `fewest` groups, or rows, would be held back; so many are needed for the `coverage`.

    """
    places = partition.validation if rows.groups is None else by_position(rows.groups)[partition.validation]
    unit, names = pd.factorize(places)
    held = len(names) // 2
    if held < max(1, fewest):
        raise DataError(_too_few(len(names), held, coverage, fewest, "row" if rows.groups is None else "group"))
    chosen = np.zeros(len(names), dtype=np.bool_)
    chosen[np.random.Generator(np.random.PCG64(seed)).permutation(len(names))[:held]] = True
    return partition.hold_out(partition.validation[chosen[unit]])


def _too_few(there: int, held: int, coverage: float, fewest: int, noun: str) -> Problem:
    of_part = f"{there} {noun if there == 1 else f'{noun}s'}"
    what = f"a coverage of {coverage:g} needs {fewest} {noun}s held back; the validation part has {of_part}, half of which is {held}."
    possible = floor(100 * held / (held + 1)) / 100
    lower = f" or lower the coverage to {possible:g}," if possible > 0.5 else ""
    return Problem("evaluation.conformal", what, f"Raise `split.validation`,{lower} or leave `conformal` out.")
