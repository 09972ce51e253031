"""Rows of an epoch by class or group, as a function of seed and epoch like `epoch_permutation`.

Balanced epochs have every class as often as every other.

An epoch of n rows with an answer, of k classes, visits n // k rows of each class. The rows of a class are visited in passes: each pass
has every row once, in an order of its own, and an epoch continues where the last one stopped. So a rare class comes several times in one
epoch, a frequent one in part, and over the epochs all rows of a class are visited equally often. Rows without an answer are visited once.

    >>> import numpy as np
    >>> sampler = BalancedSampler(np.array([0, 0, 0, 0, 0, 1, 1]))
    >>> len(sampler), np.bincount(sampler.positions(seed=0, epoch=1), minlength=7)[5:].sum()
    (6, np.int64(3))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mmtrain.data.counter_rng import epoch_permutation

if TYPE_CHECKING:
    from mmtrain.targets import FittedTarget

Positions = NDArray[np.int64]


class EpochSampler(Protocol):
    """Positions of the rows that each epoch visits."""

    def __len__(self) -> int:
        """Return the number of rows that an epoch visits, each as often as it does."""

    def positions(self, seed: int, epoch: int) -> Positions:
        """Return the positions that an epoch, counted from 1, visits in its order, (len(self),)."""


@dataclass(frozen=True, eq=False)
class GroupSampler:
    """Orders rows so that those of a group follow each other; `codes` (rows,) are those of groups, NaN for a row without one.

    A batch ends after a number of rows, so that one group at most is cut at each end. Groups, and the rows of each, come in another order
    in every epoch, so that it is another group each time; large groups come as early as small ones.

    >>> import numpy as np
    >>> codes = np.array([7.0, 8.0, 7.0, np.nan, 8.0, 7.0])
    >>> codes[GroupSampler(codes).positions(seed=0, epoch=1)].tolist()
    [nan, 7.0, 7.0, 7.0, 8.0, 8.0]
    """

    codes: NDArray[np.floating]

    def __len__(self) -> int:
        """Return the number of rows: an epoch visits each of them once."""
        return len(self.codes)

    @cached_property
    def _groups(self) -> NDArray[np.int64]:
        """Codes from 0 without gaps, (rows,)."""
        alone = np.isnan(self.codes)
        groups = np.unique(np.where(alone, -1.0, self.codes), return_inverse=True)[1].reshape(-1)
        # A row without a group is one of its own, as those of other targets need not be neighbours.
        single = np.where(alone, len(groups) + np.arange(len(groups)), groups)
        return np.asarray(np.unique(single, return_inverse=True)[1].reshape(-1), dtype=np.int64)

    def positions(self, seed: int, epoch: int) -> Positions:
        """Return the positions that an epoch, counted from 1, visits in its order, (len(self),)."""
        shuffled = epoch_permutation(seed, epoch, np.arange(len(self.codes)))
        # In the order of their first shuffled rows, large groups would open every epoch.
        places = np.argsort(epoch_permutation(seed, epoch, np.arange(self._groups.max(initial=-1) + 1)))
        return shuffled[np.argsort(places[self._groups[shuffled]], kind="stable")]


@dataclass(frozen=True, eq=False)
class BalancedSampler:
    """Draws positions of rows by their class; `codes` (rows,) are those of the classes, below 0 without an answer."""

    codes: NDArray[np.integer]

    def __len__(self) -> int:
        """Return the number of rows that an epoch visits: up to k - 1 less than there are, for k classes."""
        return self._share * len(self._classes) + len(self._unknown)

    @cached_property
    def _classes(self) -> list[Positions]:
        return [np.flatnonzero(self.codes == code) for code in np.unique(self.codes[self.codes >= 0])]

    @cached_property
    def _unknown(self) -> Positions:
        return np.flatnonzero(self.codes < 0)

    @cached_property
    def _share(self) -> int:
        # At least 1: a table may have fewer rows than classes would need.
        return max(1, sum(map(len, self._classes)) // max(1, len(self._classes)))

    def positions(self, seed: int, epoch: int) -> Positions:
        """Return the positions that an epoch, counted from 1, visits in its order, (len(self),)."""
        drawn = [self._of_class(number, rows, seed, epoch) for number, rows in enumerate(self._classes)]
        return epoch_permutation(seed, epoch, np.concatenate([*drawn, self._unknown]))

    def _of_class(self, number: int, rows: Positions, seed: int, epoch: int) -> Positions:
        """Return the part of the passes through the rows of one class that belongs to an epoch, in any order."""
        start, end = (epoch - 1) * self._share, epoch * self._share
        first, last = start // len(rows), end // len(rows)
        opening = self._pass(number, rows, seed, first)[start - first * len(rows) :]
        closing = self._pass(number, rows, seed, last)[: end - last * len(rows)]
        if first == last:
            return opening[: end - start]
        # Whole passes in between have every row once: their own order would be lost in that of the epoch.
        return np.concatenate([opening, np.tile(rows, last - first - 1), closing])

    def _pass(self, number: int, rows: Positions, seed: int, place: int) -> Positions:
        entropy = np.random.SeedSequence([seed, number, place])
        return np.random.Generator(np.random.PCG64(entropy)).permutation(rows)


def mean_visits(training: NDArray[np.integer], codes: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return how often a balanced epoch visits rows with these `codes` of classes on average, (n,); `training` are those of its rows.

    >>> mean_visits(np.array([0, 0, 0, 0, 1, 1, -1]), np.array([0, 1, -1])).tolist()
    [0.75, 1.5, 1.0]
    """
    counts = np.bincount(training[training >= 0], minlength=int(codes.max(initial=0)) + 1)
    known = counts[counts > 0]
    visits = np.divide(known.sum() / max(1, len(known)), counts, out=np.zeros(len(counts)), where=counts > 0)
    # The last entry is for -1: rows without an answer are visited once.
    return np.asarray(np.append(visits, 1.0)[codes], dtype=np.float32)


def visits_of_rows(
    targets: Mapping[str, FittedTarget], truths: Mapping[str, NDArray[Any]], training: Positions, rows: Positions
) -> NDArray[np.float32] | float:
    """Return how often an epoch visits each of `rows` on average, (n,), by `truths` of all rows; 1 where it visits every row once."""
    drawn = next((truths[key] for key, target in targets.items() if target.is_sampled), None)
    return 1.0 if drawn is None else mean_visits(drawn[training], drawn[rows])


def repetitions(rows: Positions) -> Positions:
    """Return how often each row has come before in `rows`, (n,): 0 for its first visit."""
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    first = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1])) if len(rows) else np.empty(0, np.int64)
    counts = np.empty(len(rows), dtype=np.int64)
    counts[order] = np.arange(len(rows)) - np.repeat(first, np.diff(np.append(first, len(rows))))
    return counts
