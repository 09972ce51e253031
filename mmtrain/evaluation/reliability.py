"""Whether probabilities mean what they say: Brier score, expected calibration error, and the reliability curve behind it.

What is looked at is one statement per row, and whether it came true: of two classes the probability of the positive one, of
several that of the most probable (Guo and others 2017), of labels every cell of a row for itself.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.evaluation.calibration import Probabilities
from mmtrain.evaluation.shares import share_of

BINS = 15
BINNING = "equal mass"
"""Each of the bins has as many statements, equal probabilities always together. Bins of equal width leave nearly every row of a
rare class in one of them, and their error is farther off (Roelofs and others 2022, arXiv:2012.08668)."""


@dataclass(frozen=True)
class Statements:
    """What was said, (n,), whether it came true, and which statements belong together, as codes; None where each is by itself."""

    said: NDArray[np.float64]
    true: NDArray[np.bool_]
    groups: NDArray[np.int64] | None


@dataclass(frozen=True)
class Bin:
    """Statements of about the same probability, and the share of them that came true, with its interval."""

    rows: int
    said: float
    """Their mean probability."""
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Reliability:
    """How far probabilities are from the shares that come true."""

    brier: float
    """Mean squared error (Brier 1950): of two classes that of the positive one, of several the sum over all, of labels the mean."""
    ece: float
    """Expected calibration error: mean distance of what was said from what came true, over the bins."""
    bins: tuple[Bin, ...]

    def plain(self) -> dict[str, Any]:
        """For metrics.json."""
        return {"brier": self.brier, "ece": self.ece, "bins": [asdict(one) for one in self.bins]}


def measured(
    probabilities: Probabilities, true: NDArray[np.bool_], *, exclusive: bool, groups: NDArray[np.int64] | None, confidence: float
) -> Reliability:
    """Of (rows, columns) each, with one true in a row where classes are `exclusive`; at least one row. `groups` are codes, (rows,)."""
    chances = probabilities.astype(np.float64)
    squared = np.square(chances - true)
    brier = squared[:, 1].mean() if exclusive and chances.shape[1] == 2 else squared.sum(axis=1).mean() if exclusive else squared.mean()
    stated = statements(chances, true, exclusive=exclusive, groups=groups)
    bins = _bins(stated, confidence)
    ece = sum(one.rows * abs(one.said - one.share) for one in bins) / len(stated.said)
    return Reliability(float(brier), float(ece), bins)


def statements(chances: NDArray[np.float64], true: NDArray[np.bool_], *, exclusive: bool, groups: NDArray[np.int64] | None) -> Statements:
    """What is looked at."""
    if not exclusive:
        own = np.arange(len(chances)) if groups is None else groups
        return Statements(chances.reshape(-1), true.reshape(-1), np.repeat(own, chances.shape[1]) if chances.shape[1] > 1 else groups)
    if chances.shape[1] == 2:
        return Statements(chances[:, 1], true[:, 1], groups)
    top = chances.argmax(axis=1)
    rows = np.arange(len(chances))
    return Statements(chances[rows, top], true[rows, top], groups)


def _bins(stated: Statements, confidence: float) -> tuple[Bin, ...]:
    number = _bin_of(stated.said)
    found = []
    for code in np.unique(number):
        inside = number == code
        groups = None if stated.groups is None else stated.groups[inside]
        share = share_of(stated.true[inside], groups=groups, confidence=confidence)
        found.append(Bin(share.rows, float(stated.said[inside].mean()), share.value, share.low, share.high))
    return tuple(found)


def _bin_of(said: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n,) codes, by the middle of the ranks that a probability has; so the order of rows plays no part."""
    ordered = np.sort(said)
    middle = (np.searchsorted(ordered, said, "left") + np.searchsorted(ordered, said, "right")) / 2
    return np.minimum(middle * BINS // len(said), BINS - 1).astype(np.int64)
