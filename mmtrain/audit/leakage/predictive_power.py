"""Univariate predictive power (AUC or R2) of single columns, cross-fitted, with a confidence interval: the basis of leakage checks.

A column is cut into values, or ranges of a number; each row is predicted from the answers of the *other* folds' rows with the same
value, and rows of a group are in one fold. So a value that occurs once, or in one group only, predicts nothing (leave-out target
encoding, Micci-Barreca 2001). Missing is a value like any other.

Score: AUC for classes, the mean over classes one against the rest; R2 for numbers, or for their ranks. Intervals by the influence of
every row on the score, added up by group (DeLong and others 1988, with groups Obuchowski 1997), and never closer to a perfect score than
the rule of three allows: none of n units failed, so up to 3/n may (Hanley and Lippman-Hand 1983).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mmtrain.audit.hypothesis_tests import normal_tail
from mmtrain.audit.pairs import distinct_pairs
from mmtrain.metrics.labels.auc import mid_ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmtrain.audit.ranked_numbers import RankedNumbers

FOLDS = 5
MOST_ROWS = 50_000
"""Rows that are scored, at random: the standard error of an AUC is then below 0.005."""
MOST_CLASSES = 50
LEAST_OF_A_CLASS = 10
"""Units with and without a class, below which its AUC says nothing."""
PRIOR = 2.0
"""Pseudo-rows with the mean answer added to every value: one or two rows predict little."""
MOST_RANGES = 32
Z = 1.96
RANKED = "R2 of ranks"


@dataclass(frozen=True)
class UnivariateScore:
    """A score with its 95 % interval."""

    name: str
    """`AUC`, `R2` or `RANKED`."""
    score: float
    low: float
    """NaN, as `high`, for a score below that from which intervals were asked for."""
    high: float
    p_value: float = 0.0
    """p-value of such an AUC, by the normal limit of the rank sum; 0 for an R2, which is never large at random."""
    label: int = -1
    """The class that is scored against the rest; -1 where all classes count."""
    best: UnivariateScore | None = None
    """Score of the class that is predicted best, where several count."""

    @property
    def surest(self) -> UnivariateScore:
        """The score of the class that is predicted best, where there are several."""
        return self if self.best is None else self.best

    def __str__(self) -> str:
        return f"{self.name} {self.score:.3f}, 95 % interval {self.low:.3f} to {self.high:.3f}"


class _Outcome:
    """Answers of some rows, prepared once for the scores of all columns."""

    def __init__(self, units: NDArray[np.int64], interval_from: float) -> None:
        """`units` (n,) are codes of what was drawn independently: groups, or rows."""
        self._units = units
        self._interval_from = interval_from

    @cached_property
    def _unit_codes(self) -> tuple[NDArray[np.int64], int]:
        codes, known = pd.factorize(self._units)
        return codes, len(known)

    @cached_property
    def _fold(self) -> NDArray[np.int64]:
        """(n,): the fold of each row; rows of a unit are in one."""
        codes, number = self._unit_codes
        # Units are dealt to the folds evenly, in random order.
        return np.random.Generator(np.random.PCG64(0)).permutation(np.arange(number) % FOLDS)[codes]

    def _left_out_means(
        self, codes: NDArray[np.int64], sums: Callable[[NDArray[np.int64], int], Iterable[NDArray[Any]]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], list[NDArray[np.float64]]]:
        """Return the place (fold and value) of each row, the rows of each place, and its out-of-fold means, one array for each of `sums`.

        A mean is over the rows with the same value in the other folds, shrunk towards the mean of all rows of these folds.
        """
        # One bincount over (fold, value) gives the sums of all folds; the other folds are the total minus their own.
        size = int(codes.max(initial=-1)) + 1
        place = self._fold * size + codes
        count = np.bincount(place, minlength=FOLDS * size)
        rows = count.reshape(FOLDS, size).astype(np.float64)
        # Rows with the value in all other folds.
        others = rows.sum(axis=0) - rows
        guesses = []
        for total in sums(place, FOLDS * size):
            by_fold = total.reshape(FOLDS, size)
            rest = by_fold.sum(axis=0) - by_fold
            prior = rest.sum(axis=1, keepdims=True) / np.maximum(others.sum(axis=1, keepdims=True), 1)
            # Shrunk by `PRIOR` rows of the mean, so that a value of one row predicts little.
            guesses.append(((rest + PRIOR * prior) / (others + PRIOR)).reshape(-1))
        return place, count, guesses

    def _with_interval(self, name: str, score: float, fewest: int, influence: Callable[[], NDArray[np.float64]]) -> UnivariateScore:
        """Return the score with its interval; `influence` returns the contribution of each row, (n,)."""
        if score < self._interval_from:
            return UnivariateScore(name, score, np.nan, np.nan)
        codes, number = self._unit_codes
        # Rows of a unit are dependent: their contributions are summed before they are squared.
        error = float(np.sqrt((np.bincount(codes, influence(), minlength=number) ** 2).sum()))
        bound = max(0.0, 1 - 3 / fewest)  # rule of three: a perfect score of few units has a wide interval
        # Below 0 an interval has no meaning for the rule of three.
        return UnivariateScore(name, score, min(score - Z * error, max(bound, 0.0)), min(1.0, score + Z * error))


class ClassOutcome(_Outcome):
    """Classes of some rows: columns have an AUC, the mean over classes one against the rest."""

    def __init__(self, labels: NDArray[np.integer], units: NDArray[np.int64], *, interval_from: float = 0.0) -> None:
        """`labels` (n,) are codes, none negative; intervals are computed for scores from `interval_from` on."""
        super().__init__(units, interval_from)
        self._labels = labels.astype(np.int64)
        self._kept = _common(self._labels, units)
        self._members = [self._labels == label for label in self._kept]

    def at(self, rows: NDArray[np.int64]) -> ClassOutcome:
        """Select some of the rows."""
        return ClassOutcome(self._labels[rows], self._units[rows], interval_from=self._interval_from)

    @cached_property
    def _fewest(self) -> list[int]:
        """For each class that is scored, its units or those of all others, whichever are fewer."""
        return [min(len(pd.unique(self._units[mask])) for mask in (members, ~members)) for members in self._members]

    def score_values(self, codes: NDArray[np.int64]) -> UnivariateScore | None:
        """Score a column by its values, (n,) codes from 0 on. None where no class has enough rows."""
        if not len(self._kept):
            return None
        hits: list[NDArray[np.int64]] = []

        def sums(place: NDArray[np.int64], size: int) -> Iterator[NDArray[np.float64]]:
            for members in self._members:
                hits.append(np.bincount(place[members], minlength=size))
                yield hits[-1].astype(np.float64)

        place, count, guesses = self._left_out_means(codes, sums)
        areas = []
        for positive, guess in zip(hits, guesses, strict=True):
            # Equal guesses are ties, whatever place they come from.
            levels, level = np.unique(guess, return_inverse=True)
            inside, outside = (np.bincount(level, rows, len(levels)).astype(np.float64) for rows in (positive, count - positive))
            areas.append(_Area(inside, outside, partial(np.take, level, place)))
        return self._mean(areas)

    def score_sizes(self, numbers: RankedNumbers) -> UnivariateScore | None:
        """Score a column by the size of its numbers, one in every row, each class in its own direction.

        Binning and cross-fitting would cost a perfectly ordered column 0.01-0.02 AUC. None where no class has enough rows.
        """
        if not len(self._kept):
            return None
        size = len(numbers.values)
        areas = []
        for members in self._members:
            hits = np.bincount(numbers.codes[members], minlength=size).astype(np.float64)
            area = _Area(hits, numbers.counts - hits, lambda: numbers.codes)
            if area.value < 0.5:  # the direction is not learned: a small number may mean the class
                area = _Area(hits[::-1], (numbers.counts - hits)[::-1], lambda: size - 1 - numbers.codes)
            areas.append(area)
        return self._mean(areas)

    def _mean(self, areas: Sequence[_Area]) -> UnivariateScore:
        every = self._scored(range(len(areas)), areas)
        if len(areas) == 1:
            return every
        k = int(np.argmax([area.value for area in areas]))
        return replace(every, best=replace(self._scored([k], areas), label=int(self._kept[k])))

    def _scored(self, places: Sequence[int], areas: Sequence[_Area]) -> UnivariateScore:
        """Return the mean AUC of some classes. Of several classes the p-value is that of the rarest, which is conservative."""
        fewest = min(self._fewest[k] for k in places)
        area = float(np.mean([areas[k].value for k in places]))
        # The other side of the rarest class.
        others = max(self._unit_codes[1] - fewest, fewest)
        # Standard deviation of the AUC of random scores, from the normal limit of the rank sum.
        spread = float(np.sqrt((fewest + others + 1) / (12 * fewest * others)))
        score = self._with_interval(
            "AUC", area, fewest, lambda: np.mean([areas[k].influence(self._members[k]) for k in places], axis=0, dtype=np.float64)
        )
        return replace(score, p_value=normal_tail((area - 0.5) / spread))


class _Area:
    """The AUC of scores that take few levels or many, from the rows of both classes at each level (Mann and Whitney 1947)."""

    def __init__(self, hits: NDArray[np.float64], alarms: NDArray[np.float64], at: Callable[[], NDArray[np.integer]]) -> None:
        """Rows with and without the class, by ascending level; `at` gives the level of each row, (n,)."""
        self._at = at
        self._positives, self._negatives = float(hits.sum()), float(alarms.sum())
        # Share of negatives below each level, ties at one half: the mid-rank form of the AUC.
        self._beats = (np.cumsum(alarms) - alarms / 2) / self._negatives
        self._beaten = 1 - (np.cumsum(hits) - hits / 2) / self._positives
        self.value = float(hits @ self._beats) / self._positives

    def influence(self, members: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the influence of each row on the AUC, (n,): the share of the other class below it minus the AUC, by class size."""
        level = self._at()
        inside, outside = self._beats[level] - self.value, self._beaten[level] - self.value
        return np.asarray(np.where(members, inside / self._positives, outside / self._negatives))


class NumberOutcome(_Outcome):
    """Numbers of some rows: columns have an R2, of the numbers or of their ranks, whichever is larger."""

    def __init__(self, numbers: NDArray[np.float64], units: NDArray[np.int64], *, interval_from: float = 0.0) -> None:
        """`numbers` (n,), none NaN; intervals are computed for scores from `interval_from` on."""
        super().__init__(units, interval_from)
        self._answers = numbers, mid_ranks(numbers)

    def at(self, rows: NDArray[np.int64]) -> NumberOutcome:
        """Select some of the rows."""
        return NumberOutcome(self._answers[0][rows], self._units[rows], interval_from=self._interval_from)

    def score_values(self, codes: NDArray[np.int64]) -> UnivariateScore | None:
        """Return the share of variance that the values of a column explain, (n,) codes from 0 on. None where the numbers do not vary."""
        place, _, guesses = self._left_out_means(
            codes, lambda place, size: (np.bincount(place, answers, minlength=size) for answers in self._answers)
        )
        return self._better([guess[place] for guess in guesses])

    def score_sizes(self, numbers: RankedNumbers) -> UnivariateScore | None:
        """Return the share of variance that a linear fit explains, on numbers or on ranks; a number in every row."""
        if np.count_nonzero(numbers.counts) < 2:
            return None
        # Mid-ranks: the middle of the rows with that number.
        columns = numbers.values[numbers.codes], (numbers.until - (numbers.counts - 1) / 2)[numbers.codes]
        return self._better([_line(column, answers) for column, answers in zip(columns, self._answers, strict=True)])

    def _better(self, guesses: Sequence[NDArray[np.float64]]) -> UnivariateScore | None:
        """Return the better of both: with a long tail, ranks show what numbers hide."""
        plain, ranked = (self._explained(answers, guess) for answers, guess in zip(self._answers, guesses, strict=True))
        if plain is None or ranked is None or plain.score >= ranked.score:
            return plain
        return replace(ranked, name=RANKED)

    def _explained(self, answers: NDArray[np.float64], guesses: NDArray[np.float64]) -> UnivariateScore | None:
        left, all_ = (answers - guesses) ** 2, (answers - answers.mean()) ** 2
        total = float(all_.sum())
        if total <= 0 or self._unit_codes[1] < LEAST_OF_A_CLASS:
            return None
        ratio = float(left.sum()) / total
        # Influence of a ratio of means (linearisation): its sum over all rows is 0.
        return self._with_interval("R2", 1 - ratio, self._unit_codes[1], lambda: (ratio * all_ - left) / total)


def _line(numbers: NDArray[np.float64], answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the answers of a linear fit, (n,)."""
    centered = numbers - numbers.mean()
    scaled = centered / np.abs(centered).max()  # squares of numbers above 1e154 would overflow
    slope, offset = np.polyfit(scaled, answers, 1)
    return np.asarray(slope * scaled + offset)


def ranges(numbers: RankedNumbers) -> NDArray[np.int64]:
    """Bin numbers into quantile ranges, (rows,) codes; few different numbers have a code each, missing ones the code 0."""
    different = numbers.values[numbers.counts > 0]
    # About 20 rows per range or more, four fifths of them in the other folds.
    most = int(np.clip(numbers.total // 20, 2, MOST_RANGES))
    # A code for each value where there are few, else about equally filled ranges.
    edges = different[1:] if len(different) <= most else np.unique(numbers.quantiles(np.linspace(0, 1, most + 1)[1:-1]))
    return np.append(1 + np.searchsorted(edges, numbers.values, side="right"), 0)[numbers.codes]


def sample_rows(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most `MOST_ROWS` of some rows, at random with a fixed seed."""
    if len(rows) <= MOST_ROWS:
        return rows
    return np.sort(np.random.Generator(np.random.PCG64(0)).choice(rows, MOST_ROWS, replace=False))


def _common(labels: NDArray[np.int64], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the most frequent classes with enough units inside and outside; of two classes only the second, as both have the same AUC."""
    rows = np.bincount(labels)
    holders = np.bincount(distinct_pairs(labels, units)[0], minlength=len(rows))
    others = holders.sum() - holders
    able = np.flatnonzero((holders >= LEAST_OF_A_CLASS) & (others >= LEAST_OF_A_CLASS))
    if np.count_nonzero(holders) == 2:
        return able[-1:] if len(able) == 2 else able[:0]
    return np.sort(able[np.argsort(-rows[able], kind="stable")[:MOST_CLASSES]])
