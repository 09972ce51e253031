"""How far a score would move if other rows of the same kind had been scored: the bootstrap (Efron 1979).

Rows are drawn with replacement, as many as there are. Rows of one group (a patient, a site) are alike, so where there are groups
whole groups are drawn (cluster bootstrap, Davison and Hinkley 1997, section 3.8). A draw is kept as how often each row was drawn,
and a score is computed for a chunk of draws at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mmtrain.config.evaluation import Evaluation
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
Counts = NDArray[np.int64]
Values = NDArray[np.float64]

CELLS = 1_000_000
"""Of a chunk's counts, 8 MB: a score keeps about six arrays of that size at a time."""
LEAST_DEFINED = 0.9
"""Share of the draws that must have the score. With two rows of a class 0.86 of the draws have one of them, with three 0.95."""


@dataclass(frozen=True)
class Interval:
    """Where the score of all rows of this kind lies, at the stated confidence."""

    low: float
    high: float

    def plain(self) -> dict[str, float]:
        """For metrics.json."""
        return asdict(self)


class Bootstrap:
    """Draws of `rows` rows; all that is asked of one object, or of another with the same arguments, is about the same draws.

    So two predictions of the same rows are compared in pairs, by subtracting what each has on every draw.
    """

    def __init__(self, rows: int, *, groups: NDArray[np.int64] | None, draws: int, confidence: float, seed: int) -> None:
        """`groups` (rows,) are codes; rows with the same code are drawn together."""
        self.draws, self.confidence, self._seed, self._rows = draws, confidence, seed, rows
        self._groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
        self.unit: Literal["row", "group"] = "row" if groups is None else "group"
        self.units = rows if self._groups is None else int(self._groups.max(initial=-1)) + 1

    def scores(self, target: FittedTarget, truth: Array, prediction: Array) -> dict[str, Values]:
        """Every score of the target on every draw, (draws,) each; NaN where a draw leaves the score undefined."""
        found = [target.resampled(truth, prediction, counts) for counts in self._chunks()]
        return {name: np.concatenate([chunk[name] for chunk in found]) for name in found[0]}

    def of(self, statistic: Callable[[Counts], Values]) -> Values:
        """Any statistic on every draw, (draws,). It is given (chunk, rows), how often each row was drawn, and gives back (chunk,)."""
        return np.concatenate([statistic(counts) for counts in self._chunks()])

    def interval(self, values: Values, estimate: float | None = None) -> Interval | None:  # noqa: ARG002
        """The middle part of `values` (draws,); None where fewer than `LEAST_DEFINED` of them are defined."""
        defined = values[~np.isnan(values)]
        if len(defined) < LEAST_DEFINED * len(values):
            return None
        outside = (1 - self.confidence) / 2
        low, high = np.quantile(defined, [outside, 1 - outside])
        return Interval(float(low), float(high))

    def _chunks(self) -> Iterator[Counts]:
        """How often each row is in each draw, (chunk, rows); every row has the same chance in every draw."""
        generator = np.random.default_rng(self._seed)
        most = max(1, CELLS // max(self._rows, 1))
        for start in range(0, self.draws, most):
            size = min(most, self.draws - start)
            drawn = generator.integers(0, max(self.units, 1), size=(size, self.units))
            places = drawn + self.units * np.arange(size)[:, np.newaxis]
            counts = np.bincount(places.ravel(), minlength=size * self.units).reshape(size, self.units)
            yield counts if self._groups is None else counts[:, self._groups]


def bootstrap_of(section: Evaluation, rows: int, groups: NDArray[np.int64] | None) -> Bootstrap:
    """The draws that the section `evaluation` asks for."""
    return Bootstrap(rows, groups=groups, draws=section.draws, confidence=section.confidence, seed=section.seed)
