"""Rows with their answers and predictions, as the analyses of scores take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.bootstrap import Bootstrap, Interval
from mmtrain.evaluation.scoring import known_rows
from mmtrain.named_score import Score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
Draws = Mapping[str, NDArray[np.float64]]
"""Every score on every draw of the bootstrap."""


@dataclass(frozen=True, eq=False)
class Answered:
    """One target on rows all of whose answers training knows."""

    target: FittedTarget
    main: str
    """The score that speaks for the target."""
    truth: Array
    prediction: Array
    groups: NDArray[np.int64] | None
    """(rows,) codes of the groups that are drawn together; None where every row stands for itself."""

    def __len__(self) -> int:
        return len(self.truth)

    def only(self, rows: Array) -> Answered:
        """Some of the rows: their positions, or (rows,) bool."""
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, truth=self.truth[rows], prediction=self.prediction[rows], groups=groups)

    def scores(self) -> dict[str, Score]:
        """By name."""
        return {score.name: score for score in self.target.scores(self.truth, self.prediction)}

    def bootstrap(self, section: Evaluation, *, draws: int | None = None, shift: int = 0) -> Bootstrap:
        """Draws of these rows; another `shift` of the seed gives draws that have nothing to do with each other."""
        return Bootstrap(
            len(self), groups=self.groups, draws=draws or section.draws, confidence=section.confidence, seed=section.seed + shift
        )

    def drawn(self, bootstrap: Bootstrap) -> Draws:
        """Every score on every draw; nothing where there are no rows to draw."""
        return bootstrap.scores(self.target, self.truth, self.prediction) if len(self) else {}


@dataclass(frozen=True, eq=False)
class Truths:
    """The answers of all targets on the same rows, known or not."""

    targets: Mapping[str, FittedTarget]
    values: Mapping[str, Array]
    main: Mapping[str, str]
    groups: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def only(self, rows: Array) -> Truths:
        """Some of the rows: their positions, or (rows,) bool."""
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, values={key: values[rows] for key, values in self.values.items()}, groups=groups)

    def known(self, key: str) -> NDArray[np.bool_]:
        """Which rows have an answer to one target that training knows."""
        return known_rows(self.values[key])

    def answered(self, key: str, prediction: Array) -> Answered:
        """The rows with a known answer to one target; `prediction` is of all rows."""
        known = self.known(key)
        return Answered(self.targets[key], self.main[key], self.values[key], prediction, self.groups).only(known)


@dataclass(frozen=True)
class Scored:
    """The scores of some rows with their intervals."""

    rows: int
    groups: int | None
    """Groups that were drawn; None where rows were."""
    scores: Mapping[str, Score]
    intervals: Mapping[str, Interval | None]

    def plain(self) -> dict[str, Any]:
        """For metrics.json."""
        scores = {name: plain_score(score, self.intervals.get(name)) for name, score in self.scores.items()}
        return {"rows": self.rows, **({} if self.groups is None else {"groups": self.groups}), "scores": scores}


def scored(answered: Answered, bootstrap: Bootstrap, draws: Draws) -> Scored:
    """From what the bootstrap drew of these rows."""
    scores = answered.scores()
    intervals = {
        name: bootstrap.interval(draws[name], score.value) for name, score in scores.items() if score.value is not None and name in draws
    }
    return Scored(len(answered), bootstrap.units if bootstrap.unit == "group" else None, scores, intervals)


def plain_score(score: Score, interval: Interval | None) -> dict[str, Any]:
    """For metrics.json: the value with its interval, or the reason why there is none."""
    limits = interval.plain() if interval is not None else {}
    return {"value": score.value, **({"undefined": score.undefined} if score.undefined else {}), **limits}
