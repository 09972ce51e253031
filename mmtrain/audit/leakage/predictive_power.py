"""How well one column alone predicts the answer, with an interval: the question behind every leak.

The column is cut into values, or ranges of a number; each row is foretold from the answers of the *other* folds' rows with the same
value, and rows of a group are in one fold. So a value that is met once, or in one group only, predicts nothing (leave-out target
encoding, Micci-Barreca 2001). Missing is a value like any other.

Score: AUC for classes, the mean over classes one against the rest; R2 for numbers, or for their ranks. Intervals by the influence of
every row on the score, added up by group (DeLong and others 1988, with groups Obuchowski 1997), and never closer to a perfect score than
the rule of three allows: none of n units failed, so up to 3/n may (Hanley and Lippman-Hand 1983).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from mmtrain.audit.hypothesis_tests import normal_tail
from mmtrain.audit.row_metadata import distinct_pairs
from mmtrain.metrics.ranking import mid_ranks, placements

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
MOST_ROWS = 50_000
"""Rows that are scored: the standard error of an AUC is then below 0.005."""
MOST_CLASSES = 50
LEAST_OF_A_CLASS = 10
"""Units with and without a class, below which its AUC says nothing."""
PRIOR = 2.0
"""Rows of average answers that every value is given: it takes more than one or two rows to foretell anything."""
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
    high: float
    chance: float = 0.0
    """That a column of pure chance has such an AUC, by the normal limit of the rank sum; 0 for an R2, which chance never makes large."""
    label: int = -1
    """The class that is told from all others; -1 where all classes count."""
    best: UnivariateScore | None = None
    """Of the class that is foretold best, where several count."""

    @property
    def surest(self) -> UnivariateScore:
        """Of the class that is foretold best, where there are several."""
        return self if self.best is None else self.best

    def __str__(self) -> str:
        return f"{self.name} {self.score:.3f}, 95 % interval {self.low:.3f} to {self.high:.3f}"


def score_for_classes(values: NDArray[np.int64], labels: NDArray[np.integer], units: NDArray[np.int64]) -> UnivariateScore | None:
    """How well codes of a column foretell codes of classes; all (n,), none negative. None where no class has enough rows.

    `units` are codes of what was drawn independently: groups, or rows.
    """
    kept = _common(labels, units)
    answers = (labels[:, None] == kept).astype(np.float64)  # (n, classes)
    return _ranked(kept, _left_out_means(values, answers, units), labels, units) if len(kept) else None


def score_ordered_for_class(numbers: NDArray[np.float64], labels: NDArray[np.integer], units: NDArray[np.int64]) -> UnivariateScore | None:
    """How well the size of numbers tells classes, each class by its own direction; all (n,), a number in every row.

    Ranges and folds would cost a column a hundredth or two that tells them so.
    """
    kept = _common(labels, units)
    if not len(kept):
        return None
    upward = [_area(labels == label, numbers)[0] >= 0.5 for label in kept]
    return _ranked(kept, np.where(upward, numbers[:, None], -numbers[:, None]), labels, units)


def _ranked(
    kept: NDArray[np.int64], guesses: NDArray[np.float64], labels: NDArray[np.integer], units: NDArray[np.int64]
) -> UnivariateScore:
    """The mean AUC of the classes `kept`, each with its column of `guesses` (n, classes)."""
    areas, influences = zip(*(_area(labels == label, guesses[:, k]) for k, label in enumerate(kept)), strict=True)
    every = _area_with_interval(float(np.mean(areas)), np.mean(influences, axis=0), units, _fewest(labels, units, kept))
    if len(kept) == 1:
        return every
    k = int(np.argmax(areas))
    best = _area_with_interval(float(areas[k]), influences[k], units, _fewest(labels, units, kept[k : k + 1]))
    return replace(every, best=replace(best, label=int(kept[k])))


def _area_with_interval(area: float, influence: NDArray[np.float64], units: NDArray[np.int64], fewest: int) -> UnivariateScore:
    """An AUC whose rarest class has `fewest` units; of several classes the chance is that of the rarest alone, which is larger."""
    others = max(len(pd.unique(units)) - fewest, fewest)
    spread = float(np.sqrt((fewest + others + 1) / (12 * fewest * others)))
    return replace(_with_interval("AUC", area, influence, units, fewest), chance=normal_tail((area - 0.5) / spread))


def score_for_number(values: NDArray[np.int64], answers: NDArray[np.float64], units: NDArray[np.int64]) -> UnivariateScore | None:
    """How much of the variance of numbers, or of their ranks, the codes of a column foretell; all (n,). None where they do not vary."""
    both = np.stack([answers, mid_ranks(answers)], axis=1)
    return _better(both, _left_out_means(values, both, units), units)


def score_linear_for_number(numbers: NDArray[np.float64], answers: NDArray[np.float64], units: NDArray[np.int64]) -> UnivariateScore | None:
    """How much of the variance of numbers a straight line through others explains, or of ranks one through ranks; all (n,), none NaN."""
    if numbers.min() == numbers.max():
        return None
    both = np.stack([answers, mid_ranks(answers)], axis=1)
    lines = [_line(from_, to) for from_, to in zip((numbers, mid_ranks(numbers)), both.T, strict=True)]
    return _better(both, np.stack(lines, axis=1), units)


def _line(numbers: NDArray[np.float64], answers: NDArray[np.float64]) -> NDArray[np.float64]:
    """The answers on a straight line, (n,)."""
    centered = numbers - numbers.mean()
    scaled = centered / np.abs(centered).max()
    slope, offset = np.polyfit(scaled, answers, 1)
    return np.asarray(slope * scaled + offset)


def _better(answers: NDArray[np.float64], guesses: NDArray[np.float64], units: NDArray[np.int64]) -> UnivariateScore | None:
    """Of numbers and their ranks, (n, 2): which is foretold better. A long tail hides in the numbers what the ranks show."""
    plain, ranked = (_explained(answers[:, k], guesses[:, k], units) for k in range(2))
    if plain is None or ranked is None or plain.score >= ranked.score:
        return plain
    return replace(ranked, name=RANKED)


def _explained(answers: NDArray[np.float64], guesses: NDArray[np.float64], units: NDArray[np.int64]) -> UnivariateScore | None:
    """R2 of guesses, with its interval."""
    left, all_ = (answers - guesses) ** 2, (answers - answers.mean()) ** 2
    total = float(all_.sum())
    if total <= 0 or len(pd.unique(units)) < LEAST_OF_A_CLASS:
        return None
    ratio = float(left.sum()) / total
    return _with_interval("R2", 1 - ratio, (ratio * all_ - left) / total, units, len(pd.unique(units)))


def ranges(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Numbers as codes of ranges with about as many rows each; few different numbers have a code each, missing ones the code 0."""
    known = numbers[~np.isnan(numbers)]
    different = np.unique(known)
    most = int(np.clip(len(known) // 20, 2, MOST_RANGES))
    edges = different[1:] if len(different) <= most else np.unique(np.quantile(known, np.linspace(0, 1, most + 1)[1:-1]))
    return np.where(np.isnan(numbers), 0, 1 + np.searchsorted(edges, numbers, side="right"))


def sample_rows(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most `MOST_ROWS` of some rows, by a fixed chance."""
    if len(rows) <= MOST_ROWS:
        return rows
    return np.sort(np.random.Generator(np.random.PCG64(0)).choice(rows, MOST_ROWS, replace=False))


def _common(labels: NDArray[np.integer], units: NDArray[np.int64]) -> NDArray[np.int64]:
    """The most frequent classes that enough units have and enough have not; of two classes the second alone, as both say the same."""
    holders = np.bincount(distinct_pairs(labels.astype(np.int64), units)[0])
    rows = np.bincount(labels, minlength=len(holders))
    others = holders.sum() - holders
    able = np.flatnonzero((holders >= LEAST_OF_A_CLASS) & (others >= LEAST_OF_A_CLASS))
    if np.count_nonzero(holders) == 2:
        return able[-1:] if len(able) == 2 else able[:0]
    return np.sort(able[np.argsort(-rows[able], kind="stable")[:MOST_CLASSES]])


def _fewest(labels: NDArray[np.integer], units: NDArray[np.int64], kept: NDArray[np.int64]) -> int:
    """Units of the rarest class that is scored, or of all the others."""
    holders = [len(pd.unique(units[mask])) for label in kept for mask in (labels == label, labels != label)]
    return min(holders)


def _left_out_means(values: NDArray[np.int64], answers: NDArray[np.float64], units: NDArray[np.int64]) -> NDArray[np.float64]:
    """(n, answers): the mean answer of the rows with the same value in the other folds, drawn towards the mean of all of those."""
    codes = pd.factorize(values)[0]
    unit_codes, known = pd.factorize(units)
    chance = np.random.Generator(np.random.PCG64(0))
    fold = chance.permutation(np.arange(len(known)) % FOLDS)[unit_codes]
    size = int(codes.max(initial=-1)) + 1
    place = fold * size + codes
    rows = np.bincount(place, minlength=FOLDS * size).reshape(FOLDS, size).astype(np.float64)
    others = rows.sum(axis=0) - rows
    guesses = np.empty_like(answers)
    for k in range(answers.shape[1]):
        sums = np.bincount(place, answers[:, k], minlength=FOLDS * size).reshape(FOLDS, size)
        rest = sums.sum(axis=0) - sums
        prior = rest.sum(axis=1, keepdims=True) / np.maximum(others.sum(axis=1, keepdims=True), 1)
        guesses[:, k] = ((rest + PRIOR * prior) / (others + PRIOR)).reshape(-1)[place]
    return guesses


def _area(truth: NDArray[np.bool_], score: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """The AUC and what each row adds to it, (n,): the share of the other class below it, less the AUC, over the rows of its class."""
    beats, beaten = placements(truth, score)
    area = float(beats.mean())
    influence = np.empty(len(score))
    influence[truth], influence[~truth] = (beats - area) / len(beats), (beaten - area) / len(beaten)
    return area, influence


def _with_interval(name: str, score: float, influence: NDArray[np.float64], units: NDArray[np.int64], fewest: int) -> UnivariateScore:
    codes, known = pd.factorize(units)
    error = float(np.sqrt((np.bincount(codes, influence, minlength=len(known)) ** 2).sum()))
    bound = max(0.0, 1 - 3 / fewest)
    return UnivariateScore(name, score, min(score - Z * error, max(bound, 0.0)), min(1.0, score + Z * error))
