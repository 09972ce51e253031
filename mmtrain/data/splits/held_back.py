"""Hold back half of the validation part for conformal prediction.

Whole groups are dealt by chance, half of them to each side: conformal prediction promises something of new groups, so groups, or
rows where there are none, are what is counted. Neither size nor class plays a part, which keeps those held back a fair sample.
"""

from __future__ import annotations

from math import floor

import numpy as np
import pandas as pd

from mmtrain.data.splits.parts import Parts
from mmtrain.data.splits.split import Rows, check_sound, values
from mmtrain.errors import DataError, Problem


def hold_back(parts: Parts, rows: Rows, *, coverage: float, fewest: int, seed: int) -> Parts:
    """Parts with `conformal`, taken from `validation`, which keeps the odd group. The same rows and seed give the same halves.

    Raises:
        DataError: fewer than `fewest` groups, or rows, would be held back; so many are needed for the `coverage`.

    """
    places = parts.validation if rows.groups is None else values(rows.groups)[parts.validation]
    unit, names = pd.factorize(places)
    held = len(names) // 2
    if held < max(1, fewest):
        raise DataError(_too_few(len(names), held, coverage, fewest, "row" if rows.groups is None else "group"))
    chosen = np.zeros(len(names), dtype=np.bool_)
    chosen[np.random.Generator(np.random.PCG64(seed)).permutation(len(names))[:held]] = True
    away = chosen[unit]
    found = Parts(parts.train, parts.validation[~away], parts.test, parts.validation[away])
    check_sound(found, rows)
    return found


def _too_few(there: int, held: int, coverage: float, fewest: int, noun: str) -> Problem:
    of_part = f"{there} {noun if there == 1 else f'{noun}s'}"
    what = f"a coverage of {coverage:g} needs {fewest} {noun}s held back; the validation part has {of_part}, half of which is {held}."
    possible = floor(100 * held / (held + 1)) / 100
    lower = f" or lower the coverage to {possible:g}," if possible > 0.5 else ""
    return Problem("evaluation.conformal", what, f"Raise `split.validation`,{lower} or leave `conformal` out.")
