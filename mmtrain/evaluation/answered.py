"""Rows with their answers and predictions, as the analyses of scores take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.config.evaluation import Evaluation
from mmtrain.evaluation.bootstrap import Bootstrap, Interval
from mmtrain.evaluation.scoring import known_rows
from mmtrain.named_score import Score
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]


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

    def drawn(self, section: Evaluation, *, draws: int | None = None, shift: int = 0) -> Drawn:
        """These rows and draws of them; another `shift` of the seed gives draws that have nothing to do with each other."""
        seed = section.seed + shift
        return Drawn(self, Bootstrap(len(self), groups=self.groups, draws=draws or section.draws, confidence=section.confidence, seed=seed))


@dataclass(frozen=True, eq=False)
class Drawn:
    """The scores of rows: of them as they are, and on every draw of a bootstrap."""

    rows: Answered
    bootstrap: Bootstrap

    @cached_property
    def scores(self) -> dict[str, Score]:
        """By name."""
        return {score.name: score for score in self.rows.target.scores(self.rows.truth, self.rows.prediction)}

    @cached_property
    def draws(self) -> Mapping[str, NDArray[np.float64]]:
        """Every score on every draw, (draws,); nothing where there are no rows to draw."""
        return self.bootstrap.scores(self.rows.target, self.rows.truth, self.rows.prediction) if len(self.rows) else {}

    def interval(self, name: str) -> Interval | None:
        """Of a score; None where it is undefined, or on too many draws.

        None too where every draw has the same, as of one row, or of rows that are all right: that does not make the score certain.
        """
        value = self.scores[name].value
        found = self.bootstrap.interval(self.draws[name], value) if value is not None else None
        return found if found is not None and found.low < found.high else None

    def plain(self) -> dict[str, Any]:
        """For metrics.json: rows, groups where these are drawn, and each score with its interval, or the reason why there is none."""
        groups = {"groups": self.bootstrap.units} if self.bootstrap.unit == "group" else {}
        return {"rows": len(self.rows), **groups, "scores": {name: self._plain(score) for name, score in self.scores.items()}}

    def _plain(self, score: Score) -> dict[str, Any]:
        interval = self.interval(score.name)
        limits = interval.plain() if interval is not None else {}
        return {"value": score.value, **({"undefined": score.undefined} if score.undefined else {}), **limits}


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
