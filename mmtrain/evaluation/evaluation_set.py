"""Evaluation sets: rows with their answers and predictions, the input of every score and analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.metrics.score import Estimate, Score, higher_is_better
from mmtrain.targets import FittedTarget

Array = np.ndarray[Any, Any]
NO_DRAWS = np.empty(0)


@dataclass(frozen=True, eq=False)
class EvalSet:
    """One target on the rows with a known answer: a class that training has seen, a number, or one known label at least."""

    target: FittedTarget
    truth: Array
    prediction: Array
    groups: NDArray[np.int64] | None
    """(rows,) codes of the groups that are drawn together; None where every row is independent."""

    def __len__(self) -> int:
        return len(self.truth)

    @classmethod
    def of(cls, target: FittedTarget, truth: Array, prediction: Array, groups: NDArray[np.int64] | None) -> EvalSet:
        """Return the rows with a known answer."""
        return cls(target, truth, prediction, groups).only(target.known_rows(truth))

    def only(self, rows: Array) -> EvalSet:
        """Return some of the rows: their positions, or (rows,) bool."""
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, truth=self.truth[rows], prediction=self.prediction[rows], groups=groups)

    def resample(self, section: Evaluation, *, draws: int | None = None, shift: int = 0) -> BootstrapScores:
        """Return the scores with bootstrap draws of these rows; another `shift` of the seed gives independent draws."""
        seed = section.seed + shift
        return BootstrapScores(
            self, Bootstrap(len(self), groups=self.groups, draws=draws or section.draws, confidence=section.confidence, seed=seed)
        )


@dataclass(frozen=True, eq=False)
class BootstrapScores:
    """Scores of rows as they are, and on every draw of a bootstrap; computed when first needed."""

    rows: EvalSet
    bootstrap: Bootstrap

    def of(self, target: FittedTarget, prediction: Array) -> BootstrapScores:
        """Return the scores of other predictions on the same rows and draws; their `target` may have another threshold."""
        # The same rows and draws, so that comparisons are paired.
        return BootstrapScores(replace(self.rows, target=target, prediction=prediction), self.bootstrap)

    @cached_property
    def draws(self) -> Mapping[str, NDArray[np.float64]]:
        """Every score on every draw, (draws,); empty without rows."""
        return self.bootstrap.scores(self.rows.target, self.rows.truth, self.rows.prediction) if len(self.rows) else {}

    @cached_property
    def scores(self) -> dict[str, Score]:
        """The scores by name, with their intervals."""
        scores = self.rows.target.all_scores(self.rows.truth, self.rows.prediction)
        return {score.name: score for score in self.bootstrap.with_intervals(scores, self.draws)}

    def minus(self, other: BootstrapScores) -> dict[str, Score]:
        """Subtract the scores of `other`, on the same rows and draws; differences have intervals."""
        # An undefined score may have no draws; its difference is undefined as well.
        differences = {name: values - other.draws[name] for name, values in self.draws.items()}
        return {
            name: self.bootstrap.difference(score, other.scores[name], differences.get(name, NO_DRAWS))
            for name, score in self.scores.items()
        }

    @property
    def groups(self) -> int | None:
        """Number of groups; None if rows are drawn one by one."""
        return self.bootstrap.units if self.bootstrap.unit == "group" else None


@dataclass(frozen=True, eq=False)
class MultiTargetEvalSet:
    """The answers of all targets on the same rows, known or not."""

    targets: Mapping[str, FittedTarget]
    values: Mapping[str, Array]
    main: Mapping[str, str]
    """The score by which each target is summarized."""
    groups: NDArray[np.int64] | None

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def only(self, rows: Array) -> MultiTargetEvalSet:
        """Return some of the rows: their positions, or (rows,) bool."""
        groups = None if self.groups is None else self.groups[rows]
        return replace(self, values={key: values[rows] for key, values in self.values.items()}, groups=groups)

    def known_rows(self, key: str) -> NDArray[np.bool_]:
        """Return (rows,) bool, True where the answer to one target is known."""
        return self.targets[key].known_rows(self.values[key])

    def eval_set(self, key: str, prediction: Array) -> EvalSet:
        """Return the rows with a known answer to one target; `prediction` is of all rows."""
        return EvalSet.of(self.targets[key], self.values[key], prediction, self.groups)


def score_drops(before: BootstrapScores, after: Sequence[BootstrapScores]) -> dict[str, Estimate]:
    """Compute the drop in every score, in its own unit: positive where the change hurts, whichever direction is better.

    It is the mean over several changes, with the interval of a paired bootstrap: `after` has the same rows and the same draws as
    `before`, or the first of them. Scores of single classes or labels, and those undefined before or after, are left out.
    """
    drops = {}
    bootstrap = after[0].bootstrap
    for name, score in before.scores.items():
        values = [value for one in after if (value := one.scores[name].value) is not None]
        # "[": of a single class or label, such as auc[beach]; with many labels these would be thousands.
        if "[" in name or score.value is None or len(values) < len(after):
            continue
        sign = 1 if higher_is_better(name) else -1
        value = sign * (score.value - float(np.mean(values)))
        # Fewer draws are the first ones of more, so the pairs match.
        differences = sign * (before.draws[name][: bootstrap.draws] - np.mean([one.draws[name] for one in after], axis=0))
        low, high = bootstrap.interval(differences, value) or (None, None)
        drops[name] = Estimate(value=value, low=low, high=high)
    return drops
