"""Bootstrap confidence intervals (Efron 1979).

Each draw resamples the rows with replacement. Rows of one group (a patient, a site) are alike, so if there are groups, whole groups are
resampled (cluster bootstrap, Davison and Hinkley 1997, section 3.8). A draw is represented by the count of each row in it, and a score
is computed for a chunk of draws at once.

Intervals are percentiles of the draws, corrected for bias (Efron 1981: PR-AUC and F1 of a draw are too good, because copies of a row
rank next to each other), and expanded from the normal to Student's t, because draws of few rows or groups vary too little (Hesterberg
2015, arXiv:1411.5279).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mmtrain.artifacts.results import BootstrapInfo
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.metrics.bootstrap_counts import Counts, Values
from mmtrain.metrics.score import Interval, Score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]

CHUNK_CELLS = 1_000_000
"""Maximum number of counts in a chunk (8 MB); a score has about six arrays of that size at a time."""
LEAST_DEFINED = 0.9
"""Minimum proportion of draws in which a score is defined: 0.86 of the draws contain a class of two rows, 0.95 one of three."""
METHOD = "bootstrap, bias-corrected expanded percentiles"
"""Name of the method in metrics.json."""
NORMAL = NormalDist()


class Bootstrap:
    """Draws of `rows` rows, the same for every call and for every object with the same arguments.

    So two predictions of the same rows are compared in pairs, by subtracting their scores draw by draw. An object with fewer `draws` has
    the first of them.
    """

    def __init__(self, rows: int, *, groups: NDArray[np.int64] | None, draws: int, confidence: float, seed: int) -> None:
        """`groups` (rows,) are codes; rows with the same code are drawn together. `confidence` is in (0, 1)."""
        self.draws, self.confidence, self._seed, self._rows = draws, confidence, seed, rows
        # Codes from 0 without gaps, as some rows of the part may have been left out.
        self._groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
        self.unit: Literal["row", "group"] = "row" if groups is None else "group"
        self.units = rows if self._groups is None else int(self._groups.max(initial=-1)) + 1

    def scores(self, target: FittedTarget, truth: Array, prediction: Array) -> dict[str, Values]:
        """Compute every score of the target on every draw, (draws,) each; NaN where a draw leaves the score undefined."""
        score = target.all_scorer(truth, prediction)
        chunks = [score(counts) for counts in self._chunks()]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}

    def of(self, statistic: Callable[[Counts], Values]) -> Values:
        """Compute a statistic on every draw, (draws, ...): a function from counts of each row, (chunk, rows), to (chunk, ...)."""
        return np.concatenate([statistic(counts) for counts in self._chunks()])

    def interval(self, values: Values, estimate: float | None = None) -> Interval | None:
        """Return the interval of a statistic with `values` (draws,) and `estimate` on the rows themselves; None if there is an `obstacle`.

        It always contains the estimate. Without an estimate there is no bias correction.
        """
        if self.obstacle(values):
            return None
        # Draws without the score, those that miss a class for example, are left out of its quantiles.
        defined = values[~np.isnan(values)]
        shift = 0.0 if estimate is None else 2 * _bias_correction(defined, estimate)
        limits = np.quantile(defined, self.quantile_levels(shift)).tolist()
        within = limits if estimate is None else [*limits, estimate]  # a corrected interval can miss an estimate at the edge of its range
        return Interval(min(within), max(within))

    def quantile_levels(self, shift: float = 0.0) -> tuple[float, float]:
        """Return the lower and upper quantile level, `shift` (2 z0) is in standard deviations; there must be 2 units or more."""
        # sqrt(n / (n - 1)): the variance of bootstrap draws is that of the population formula, too small by (n - 1) / n.
        # Twice z0, Efron's shift of both normal quantiles, comes as `shift`; the reach is the same on both sides.
        reach = _student((1 + self.confidence) / 2, self.units - 1) * sqrt(self.units / (self.units - 1))
        return NORMAL.cdf(shift - reach), NORMAL.cdf(shift + reach)

    def obstacle(self, values: Values) -> str:
        """Return why draws with these `values` (draws,) give no interval, in a sentence; empty if they give one."""
        undefined = np.isnan(values)
        if self.units < 2:
            return f"There is only one {self.unit} to draw."
        if undefined.mean() > 1 - LEAST_DEFINED + 1e-9:  # exactly 10 % must pass: 1 - 0.9 is 0.09999999999999998
            return f"It is undefined in {undefined.mean():.0%} of the draws."
        # All rows right, for instance: an interval of width 0 would claim certainty.
        if np.ptp(values[~undefined]) == 0:
            return "Every draw has the same value."
        return ""

    def with_intervals(self, scores: Sequence[Score], draws: Mapping[str, Values]) -> tuple[Score, ...]:
        """Return the scores with the intervals of their draws, or with a note on why there is none."""
        return tuple(
            score if score.value is None else self.with_interval(score, self.interval(draws[score.name], score.value), draws[score.name])
            for score in scores
        )

    def difference(self, score: Score, other: Score, draws: Values) -> Score:
        """Return `score - other` under their name, with its interval from the differences on every draw, (draws,)."""
        if score.value is None or other.value is None:
            return Score(score.name, None, other.undefined or score.undefined)
        value = score.value - other.value
        return self.with_interval(Score(score.name, value), self.interval(draws, value), draws)

    def with_interval(self, score: Score, interval: Interval | None, draws: Values) -> Score:
        """Return the score with its interval, or with a note on why the draws give none."""
        obstacle = self.obstacle(draws)
        note = " ".join(text for text in (score.note, f"No interval: {obstacle[0].lower()}{obstacle[1:]}" if obstacle else "") if text)
        low, high = interval or (None, None)
        return score.model_copy(update={"note": note, "low": low, "high": high})

    def _chunks(self) -> Iterator[Counts]:
        """Yield the counts of each row in each draw, (chunk, rows); units are drawn with equal probability."""
        generator = np.random.default_rng(self._seed)  # a new one per call, so that all statistics have the same draws
        # Bounded memory: draws are counted in chunks of at most `CHUNK_CELLS` cells.
        most = max(1, CHUNK_CELLS // max(self._rows, 1))
        for start in range(0, self.draws, most):
            size = min(most, self.draws - start)
            # (chunk, units) numbers of the units that each draw has, with repetitions
            units = generator.integers(0, max(self.units, 1), size=(size, self.units))
            # One bincount for the whole chunk: every draw counts in a range of cells of its own.
            places = units + self.units * np.arange(size)[:, np.newaxis]
            counts = np.bincount(places.ravel(), minlength=size * self.units).reshape(size, self.units)
            # Every row counts as often as its group was drawn.
            yield counts if self._groups is None else np.take(counts, self._groups, axis=1)


@dataclass(frozen=True, eq=False)
class Resampling:
    """Settings of the bootstrap for the rows of one part."""

    section: Evaluation
    groups: NDArray[np.int64] | None = None
    """(rows,) codes of the groups; None where every row is independent."""
    column: str = ""
    """Header of the column that names the groups."""

    def bootstrap(self, rows: NDArray[np.bool_]) -> Bootstrap:
        """Return the bootstrap of some of the rows, (rows,) bool."""
        groups = None if self.groups is None else self.groups[rows]
        section = self.section
        return Bootstrap(int(rows.sum()), groups=groups, draws=section.draws, confidence=section.confidence, seed=section.seed)

    def info(self, bootstrap: Bootstrap) -> BootstrapInfo:
        """Describe the method of the intervals for metrics.json."""
        column = "" if self.groups is None else self.column
        return BootstrapInfo(
            confidence=bootstrap.confidence,
            draws=bootstrap.draws,
            unit=bootstrap.unit,
            units=bootstrap.units,
            column=column,
            method=METHOD,
        )


def _bias_correction(values: Values, estimate: float) -> float:
    """Return the bias correction z0: the normal quantile of the proportion of draws below `estimate`; ties count half."""
    below = (np.mean(values < estimate) + np.mean(values <= estimate)) / 2
    least = 0.5 / len(values)  # half a draw: an estimate outside all draws would give an infinite correction
    return NORMAL.inv_cdf(float(np.clip(below, least, 1 - least)))


def _student(probability: float, degrees: int) -> float:
    """Quantile of Student's t (Abramowitz and Stegun 1964, 26.7.5); at 95 % a ninth too small for one degree of freedom, 1 % for two."""
    z = NORMAL.inv_cdf(probability)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(degrees) ** power for power, term in enumerate(terms, start=1))
