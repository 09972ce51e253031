"""Confidence intervals of cross-validated scores, and of the differences between two cross-validations of the same rows.

The scores of k folds are not independent: any two trainings share most of their rows. The naive interval, t times the standard deviation
over the square root of the number of scores, takes them as such, is too narrow, and shrinks towards nothing with repeats.

| method | variance of the estimate | cost |
|---|---|---|
| `nadeau_bengio` | s² (1/J + test rows / training rows) of J fold scores, J - 1 degrees of freedom (Nadeau and Bengio 2003) | none |
| `pooled_correction`, the default | the same correction of a better s², see below | a bootstrap |

The correction stands for the correlation of fold scores, of which no estimate without bias exists (Bengio and Grandvalet 2004). It needs
the variance of one fold's score, and that of five scores is known with four degrees of freedom, that of two with one. The rows tell more:
a bootstrap of the out-of-fold predictions, by group where rows have groups, gives the variance that the choice of the scored rows causes.
`pooled_correction` takes the mean of both, with the degrees of freedom of Satterthwaite (1946). In `benchmarks/intervals.py --folds` it
covers the expected score as often as it says for 2 to 10 folds, with repeats, with groups and for unstable models, and is narrower than
`nadeau_bengio` by a fifth for 5 folds and more than a half for 2.

The expected score is that of a training on as many rows as a fold has, on new rows, and of new groups. A score that is a mean over rows,
or over pairs of rows of two classes, is estimated by the mean of the folds; others (R², F1, PR-AUC, RMSE, medians), which are biased on
few rows, by the score of the out-of-fold rows of a repeat and seed together (`Metric.unbiased`). Their fold scores are pseudo-values of
the jackknife that leaves out one fold: k times the score of all rows minus k - 1 times that of the rows outside of the fold (Tukey 1958).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmtrain.evaluation import student_t
from mmtrain.evaluation.bootstrap import LEAST_DEFINED, Bootstrap
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.metrics.bootstrap_counts import Values, mean_of_defined
from mmtrain.metrics.score import Interval, metric_of

NADEAU_BENGIO = "corrected resampled t (Nadeau and Bengio 2003)"
POOLED = "corrected resampled t (Nadeau and Bengio 2003), with the variance of folds and of a bootstrap of {}s"
"""Names of the methods in cross_validation.json; `POOLED` takes the unit of the bootstrap, row or group."""
POWER = 0.8
"""Probability with which a comparison shows the smallest detectable difference."""

ROUNDING = 1e-9
"""Standard error, as a share of the largest score of a fold, up to which scores are the same: pseudo-values are equal up to rounding."""

Value = TypeVar("Value")
Draws = dict[str, Values]
FoldScores = NDArray[np.float64]
"""(repeats, folds): the score of each fold, the mean over seeds; NaN where it is undefined."""


class Variance(NamedTuple):
    """Variance of an estimate, and its degrees of freedom."""

    value: float
    degrees: float


@dataclass(frozen=True)
class Estimate:
    """A cross-validated score, or a difference of two."""

    name: str
    value: float
    standard_error: float
    degrees: float
    """Degrees of freedom of the standard error."""
    method: str

    def interval(self, confidence: float, *, bounded: bool = True) -> Interval:
        """Return the confidence interval, within the range of the score; a difference is not `bounded`."""
        reach = student_t.quantile((1 + confidence) / 2, self.degrees) * self.standard_error
        metric = metric_of(self.name)
        low, high = self.value - reach, self.value + reach
        return Interval(max(low, metric.minimum), min(high, metric.maximum)) if bounded else Interval(low, high)

    @property
    def p(self) -> float:
        """Two-sided p-value of a difference of 0."""
        return student_t.two_sided_p(self.value / self.standard_error, self.degrees)

    def detectable(self, confidence: float, power: float = POWER) -> float:
        """Return the smallest true difference that an interval at this confidence excludes 0 for, with this probability."""
        levels = (1 + confidence) / 2, power
        return self.standard_error * sum(student_t.quantile(level, self.degrees) for level in levels)


def nadeau_bengio(scores: FoldScores, ratio: float) -> Variance | None:
    """Return the corrected variance of the mean of fold scores, or of their differences; None for fewer than two.

    `ratio` is the number of rows that a fold scores over that it learns from, 1 / (k - 1) without repeats or with.
    """
    known = scores[~np.isnan(scores)]
    if len(known) < 2:
        return None
    return Variance(float(known.var(ddof=1)) * (1 / len(known) + ratio), len(known) - 1)


def pooled_correction(scores: FoldScores, ratio: float, sampling: Variance) -> Variance | None:
    """Return the corrected variance from the mean of two estimates of the variance of a fold's score; None for fewer than two scores.

    `sampling` is the variance of the estimate by a bootstrap of the out-of-fold rows, with one fewer degrees of freedom than it has units.
    """
    corrected = nadeau_bengio(scores, ratio)
    if corrected is None:
        return None
    folds = scores.shape[1]
    known = int((~np.isnan(scores)).sum())
    factor = 1 / known + ratio
    # One fold has a k-th of the rows, so k times the variance. Repeats divide the same rows anew: the degrees stay those of one repeat.
    estimates = Variance(corrected.value / factor, float(min(folds, known) - 1)), Variance(folds * sampling.value, sampling.degrees)
    total = sum(one.value for one in estimates)
    if not total:
        return Variance(0.0, estimates[0].degrees)
    return Variance(factor * total / 2, total**2 / sum(one.value**2 / one.degrees for one in estimates))


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """The out-of-fold predictions of one repeat and seed."""

    rows: EvalSet
    folds: NDArray[np.int64]
    """(rows,): the fold of each row, from 0 in every repeat."""
    decided: EvalSet | None = None
    """The same rows with predictions whose thresholds are all at 0.5; None unless folds chose decision thresholds."""
    decisions: frozenset[str] = frozenset()
    """Scores of the decisions, which are taken from `decided`."""

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, rows: NDArray[np.bool_]) -> OutOfFold:
        """Return some of the rows, (rows,) bool."""
        decided = None if self.decided is None else self.decided.only(rows)
        return replace(self, rows=self.rows.only(rows), folds=self.folds[rows], decided=decided)

    def map(self, scores: Callable[[EvalSet], Mapping[str, Value]]) -> dict[str, Value]:
        """Return values by score, of predictions or, where thresholds matter, of decisions."""
        values = dict(scores(self.rows))
        if self.decided is not None:
            decision_values = scores(self.decided)
            values |= {name: decision_values[name] for name in self.decisions if name in decision_values}
        return values


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """One target in a cross-validation."""

    sets: Sequence[Sequence[OutOfFold]]
    """Out-of-fold rows by repeat and seed, all in the same order; empty where the predictions of folds are not comparable."""
    folds: Mapping[str, FoldScores]
    """Scores of the folds by name."""
    ratio: float
    """Number of rows that a fold scores over the number that it learns from."""

    @cached_property
    def pooled(self) -> dict[str, float]:
        """The scores of all rows of a repeat and seed together, the mean over these, by score; without those that are undefined."""
        return _means([one.map(_scores) for repeat in self.sets for one in repeat])

    def center(self, name: str) -> float:
        """Return the estimate of a score; NaN where it is undefined."""
        return float(mean_of_defined(self.folds[name].reshape(-1))) if self.is_by_fold(name) else self.pooled[name]

    def is_by_fold(self, name: str) -> bool:
        """Return True if a score is estimated by the mean of its folds."""
        return metric_of(name).unbiased or name not in self.pooled

    def fold_scores(self, name: str) -> FoldScores:
        """Return the scores of the folds, or for a score that is biased on few rows, their pseudo-values."""
        return self.folds[name] if self.is_by_fold(name) else self._pseudo_values[name]

    @cached_property
    def _pseudo_values(self) -> dict[str, FoldScores]:
        count = next(iter(self.folds.values())).shape[1]
        # (repeats, folds) maps from scores to the mean over seeds of the rows outside of the fold.
        outside = [[_means([one.only(one.folds != fold).map(_scores) for one in repeat]) for fold in range(count)] for repeat in self.sets]
        whole = [_means([one.map(_scores) for one in repeat]) for repeat in self.sets]
        return {
            name: np.array(
                [
                    [count * of_all[name] - (count - 1) * scores.get(name, np.nan) for scores in of_repeat]
                    for of_repeat, of_all in zip(outside, whole, strict=True)
                ]
            )
            for name in self.pooled
        }

    def draws(self, bootstrap: Bootstrap) -> dict[str, Values]:
        """Return the mean over repeats and seeds of every score on every draw, (draws,); all have the same draws."""
        total: dict[str, Values] = {}
        every = [one for repeat in self.sets for one in repeat]
        for one in every if all(map(len, every)) else ():
            for name, values in one.map(lambda rows: bootstrap.scores(rows.target, rows.truth, rows.prediction)).items():
                total[name] = total.get(name, np.zeros(len(values))) + values / len(every)
        return total


def estimate_scores(scored: CrossValidated, bootstrap: Bootstrap) -> dict[str, Estimate]:
    """Estimate the expected scores of one target, with their standard errors; scores that are undefined or do not vary are left out."""
    centers = {name: scored.center(name) for name in scored.folds}
    return _estimates(centers, {name: scored.fold_scores(name) for name in centers}, scored.ratio, scored.draws(bootstrap), bootstrap)


def estimate_differences(first: CrossValidated, second: CrossValidated, bootstrap: Bootstrap) -> tuple[dict[str, Estimate], Draws]:
    """Estimate the scores of the second cross-validation minus those of the first, paired by fold and by row.

    Both have the same repeats, folds and rows. Return also the differences on every draw, (draws,) by score.
    """
    names = [name for name in first.folds if name in second.folds and first.is_by_fold(name) == second.is_by_fold(name)]
    drawn = [one.draws(bootstrap) for one in (first, second)]
    draws = {name: drawn[1][name] - drawn[0][name] for name in names if all(name in one for one in drawn)}
    folds = {name: second.fold_scores(name) - first.fold_scores(name) for name in names}
    centers = {
        # Over the folds in which both scores are defined.
        name: float(mean_of_defined(folds[name].reshape(-1))) if first.is_by_fold(name) else second.pooled[name] - first.pooled[name]
        for name in names
    }
    return _estimates(centers, folds, first.ratio, draws, bootstrap), draws


def _estimates(
    centers: Mapping[str, float], folds: Mapping[str, FoldScores], ratio: float, draws: Mapping[str, Values], bootstrap: Bootstrap
) -> dict[str, Estimate]:
    estimates = {}
    for name, scores in folds.items():
        sampling = sampling_variance(draws[name], bootstrap) if name in draws else None
        variance = nadeau_bengio(scores, ratio) if sampling is None else pooled_correction(scores, ratio, sampling)
        # Without variance, all rows right for example, an interval of width 0 would claim certainty.
        if variance is not None and not np.isnan(centers[name]) and variance.value > (ROUNDING * np.nanmax(np.abs(scores))) ** 2:
            method = NADEAU_BENGIO if sampling is None else POOLED.format(bootstrap.unit)
            estimates[name] = Estimate(name, centers[name], sqrt(variance.value), variance.degrees, method)
    return estimates


def sampling_variance(draws: Values, bootstrap: Bootstrap) -> Variance | None:
    """Return the variance of a score by its bootstrap draws, (draws,); None for too few units or defined draws."""
    defined = draws[~np.isnan(draws)]
    if bootstrap.units < 2 or len(defined) < max(2, LEAST_DEFINED * len(draws)):
        return None
    # n / (n - 1): draws of n units vary by the population formula.
    return Variance(float(defined.var()) * bootstrap.units / (bootstrap.units - 1), bootstrap.units - 1)


def _scores(rows: EvalSet) -> dict[str, float | None]:
    return {score.name: score.value for score in rows.target.all_scores(rows.truth, rows.prediction)} if len(rows) else {}


def _means(each: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Return the mean of every score; without scores that are undefined in one of them."""
    means = {}
    for name in each[0] if each else ():
        known = [value for scores in each if (value := scores.get(name)) is not None]
        if len(known) == len(each):
            means[name] = float(np.mean(known))
    return means
