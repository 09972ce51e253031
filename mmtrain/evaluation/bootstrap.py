"""Confidence intervals by the bootstrap (Efron 1979): how much a score varies over samples of rows.

Rows are drawn with replacement, as many as there are. Rows of one group (a patient, a site) are alike, so where there are groups
whole groups are drawn (cluster bootstrap, Davison and Hinkley 1997, section 3.8). A draw is kept as how often each row was drawn,
and a score is computed for a chunk of draws at once.

An interval is the middle part of the draws, moved by as much as the draws lie off the score of the rows themselves (bias-corrected
percentiles, Efron 1981: PR-AUC and F1 of draws are too good, as a row drawn twice finds itself again), and widened as Student's t is
wider than the normal, because few rows or groups draw too close to each other (expanded percentiles, Hesterberg 2015,
arXiv:1411.5279).
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
from mmtrain.config.evaluation import Evaluation
from mmtrain.metrics.bootstrap_counts import Counts, Values
from mmtrain.metrics.score import Interval, Score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]

CHUNK_CELLS = 1_000_000
"""Maximum number of counts in a chunk (8 MB); a score holds about six arrays of that size at a time."""
LEAST_DEFINED = 0.9
"""Minimum proportion of draws with a defined score. With two rows of a class, 0.86 of the draws have one of them, with three 0.95."""
METHOD = "bootstrap, bias-corrected expanded percentiles"
"""Of the intervals, in metrics.json."""
NORMAL = NormalDist()


class Bootstrap:
    """Draws of `rows` rows; all that is asked of one object, or of another with the same arguments, is about the same draws.

    So two predictions of the same rows are compared in pairs, by subtracting what each has on every draw. One with fewer `draws` has
    the first of them.
    """

    def __init__(self, rows: int, *, groups: NDArray[np.int64] | None, draws: int, confidence: float, seed: int) -> None:
        """`groups` (rows,) are codes; rows with the same code are drawn together."""
        self.draws, self.confidence, self._seed, self._rows = draws, confidence, seed, rows
        self._groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
        self.unit: Literal["row", "group"] = "row" if groups is None else "group"
        self.units = rows if self._groups is None else int(self._groups.max(initial=-1)) + 1

    def scores(self, target: FittedTarget, truth: Array, prediction: Array) -> dict[str, Values]:
        """Every score of the target on every draw, (draws,) each; NaN where a draw leaves the score undefined."""
        score = target.all_scorer(truth, prediction)
        found = [score(counts) for counts in self._chunks()]
        return {name: np.concatenate([chunk[name] for chunk in found]) for name in found[0]}

    def of(self, statistic: Callable[[Counts], Values]) -> Values:
        """Any statistic on every draw, (draws, ...). It is given (chunk, rows), how often each row was drawn, and gives (chunk, ...)."""
        return np.concatenate([statistic(counts) for counts in self._chunks()])

    def interval(self, values: Values, estimate: float | None = None) -> Interval | None:
        """Return the interval of a statistic with `values` (draws,) and `estimate` on the rows themselves; None if there is a `doubt`.

        The estimate always lies within; without one, the draws are taken to lie around it.
        """
        if self.doubt(values):
            return None
        defined = values[~np.isnan(values)]
        moved = 0.0 if estimate is None else 2 * _off_center(defined, estimate)
        limits = np.quantile(defined, self.shares(moved)).tolist()
        within = limits if estimate is None else [*limits, estimate]
        return Interval(min(within), max(within))

    def shares(self, moved: float = 0.0) -> tuple[float, float]:
        """Return the quantile levels of an interval, `moved` by that many standard deviations; there must be 2 units or more."""
        reach = _student((1 + self.confidence) / 2, self.units - 1) * sqrt(self.units / (self.units - 1))
        return NORMAL.cdf(moved - reach), NORMAL.cdf(moved + reach)

    def doubt(self, values: Values) -> str:
        """Return why draws with these `values` (draws,) give no interval, in a sentence; empty if they give one."""
        undefined = np.isnan(values)
        if self.units < 2:
            return f"There is only one {self.unit} to draw."
        if undefined.mean() > 1 - LEAST_DEFINED + 1e-9:
            return f"{undefined.mean():.0%} of the draws do not have it."
        if np.ptp(values[~undefined]) == 0:
            return "Every draw has the same value."
        return ""

    def stated(self, scores: Sequence[Score], drawn: Mapping[str, Values]) -> tuple[Score, ...]:
        """Return the scores with the intervals of their draws, or with a note on why there is none."""
        return tuple(score if score.value is None else self._stated(score, score.value, drawn[score.name]) for score in scores)

    def difference(self, score: Score, other: Score, drawn: Values) -> Score:
        """`score - other` under their name, with its interval from the differences that were `drawn`."""
        if score.value is None or other.value is None:
            return Score(score.name, None, other.undefined or score.undefined)
        return self._stated(Score(score.name, score.value - other.value), score.value - other.value, drawn)

    def _stated(self, score: Score, value: float, drawn: Values) -> Score:
        return self.with_interval(score, self.interval(drawn, value), drawn)

    def with_interval(self, score: Score, interval: Interval | None, drawn: Values) -> Score:
        """Return the score with its interval, or with a note on why the draws give none."""
        doubt = self.doubt(drawn)
        note = " ".join(text for text in (score.note, f"No interval: {doubt[0].lower()}{doubt[1:]}" if doubt else "") if text)
        low, high = interval or (None, None)
        return score.model_copy(update={"note": note, "low": low, "high": high})

    def _chunks(self) -> Iterator[Counts]:
        """Yield how often each row is in each draw, (chunk, rows); rows are drawn with equal probability."""
        generator = np.random.default_rng(self._seed)
        most = max(1, CHUNK_CELLS // max(self._rows, 1))
        for start in range(0, self.draws, most):
            size = min(most, self.draws - start)
            drawn = generator.integers(0, max(self.units, 1), size=(size, self.units))
            places = drawn + self.units * np.arange(size)[:, np.newaxis]
            counts = np.bincount(places.ravel(), minlength=size * self.units).reshape(size, self.units)
            yield counts if self._groups is None else np.take(counts, self._groups, axis=1)


@dataclass(frozen=True, eq=False)
class Resampling:
    """Settings of the bootstrap for the rows of one part."""

    section: Evaluation
    groups: NDArray[np.int64] | None = None
    """(rows,) codes of what belongs together; None where every row stands for itself."""
    column: str = ""
    """Header of the column that names the groups."""

    def bootstrap(self, rows: NDArray[np.bool_]) -> Bootstrap:
        """Draws of some of the rows, (rows,)."""
        groups = None if self.groups is None else self.groups[rows]
        section = self.section
        return Bootstrap(int(rows.sum()), groups=groups, draws=section.draws, confidence=section.confidence, seed=section.seed)

    def info(self, bootstrap: Bootstrap) -> BootstrapInfo:
        """Return how the intervals of a bootstrap are computed, for metrics.json."""
        column = "" if self.groups is None else self.column
        return BootstrapInfo(
            confidence=bootstrap.confidence,
            draws=bootstrap.draws,
            unit=bootstrap.unit,
            units=bootstrap.units,
            column=column,
            method=METHOD,
        )


def _off_center(values: Values, estimate: float) -> float:
    """Return the bias correction z0: the normal quantile of the proportion of draws below `estimate`; ties count half."""
    below = (np.mean(values < estimate) + np.mean(values <= estimate)) / 2
    least = 0.5 / len(values)
    return NORMAL.inv_cdf(float(np.clip(below, least, 1 - least)))


def _student(share: float, degrees: int) -> float:
    """The quantile of Student's t (Abramowitz and Stegun 1964, 26.7.5); at 95 % a ninth too small for one degree, 1 % for two."""
    z = NORMAL.inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / float(degrees) ** power for power, term in enumerate(terms, start=1))
