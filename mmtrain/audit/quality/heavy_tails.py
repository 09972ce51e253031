"""Numbers whose tail is so long that normalising squeezes nearly all of them together."""

from __future__ import annotations

import numpy as np

from mmtrain.audit.column_values import ColumnValues
from mmtrain.audit.finding import Finding
from mmtrain.text.printable import format_number

LEAST_DIFFERENT = 20
SWOLLEN = 5.0
"""Standard deviations for one of the middle half, from which a tail is extreme; an exponential distribution has 1.2, a lognormal one
whose logarithm has the standard deviation 1.5 has 5."""
FAR, FAR_ENOUGH = 20.0, 10.0
"""Standard deviations from the mean to the farthest number, alone and where the tail is also swollen; of a million exponential
numbers it lies at 13."""


def long_tail(cells: ColumnValues) -> list[Finding]:
    """A tail that decides how the column is scaled."""
    if cells.use.content != "numbers" or cells.numbers is None:
        return []
    ranked = cells.ranked
    if len(ranked.values) < LEAST_DIFFERENT:
        return []
    numbers = cells.numbers[~np.isnan(cells.numbers)]
    low, middle, high = ranked.quantiles((0.25, 0.5, 0.75)).tolist()
    spread, deviation, mean = (high - low) / 1.349, float(numbers.std()), numbers.mean()
    far = float(max(mean - ranked.values[0], ranked.values[-1] - mean)) / deviation
    if far < FAR and not (0 < spread * SWOLLEN <= deviation and far >= FAR_ENOUGH):
        return []
    what = f"the tail is extreme: half of the numbers lie between {format_number(low)} and {format_number(high)}, the farthest is "
    what += f"{format_number(float(numbers[np.abs(numbers - middle).argmax()]))}, {far:.0f} standard deviations from the mean."
    why = "Normalised, most numbers are nearly the same, and a few rows decide the gradients."
    way = "its logarithm, log(1 + x)," if ranked.values[0] >= 0 else "its ranks"
    return [Finding("note", "extreme_tail", cells.header, what, why, f"Write {way} into the table, and use that in its place.")]
