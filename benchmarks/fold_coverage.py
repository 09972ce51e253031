"""Coverage of the intervals of cross-validation, for `intervals.py --folds`: simulated tables whose expected scores are known.

A world makes tables of 60 to 600 rows, with or without groups whose rows share a part of their inputs and of their answer. The expected
score of a world is the mean score of trainings on as many rows as a fold learns from, on 3,000 rows of new groups each. The models take
milliseconds: ridge and logistic regression in closed form or by Newton's method, and decision trees, which are unstable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
from nested_cross_validation import NestedScores, nested_cross_validation

from mmtrain.errors import DataError
from mmtrain.evaluation.bootstrap import Bootstrap
from mmtrain.evaluation.cross_validation import (
    CrossValidated,
    Estimate,
    OutOfFold,
    estimate_scores,
    nadeau_bengio,
    sampling_variance,
)
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.splits.folds import deal_folds
from mmtrain.splits.plan import Rows, SplitPlan
from mmtrain.targets.fitted_target import FittedTarget
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.numbers.regression import FittedRegression

Array = np.ndarray[Any, Any]
COMMON = {"column": "y", "loss_weight": 1}
BINARY = FittedBinary(**COMMON, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
NUMBER = FittedRegression(**COMMON, center=0, scale=1, minimum=-9, maximum=9, error="squared")
TRAININGS, NEW_ROWS = 200, 3000
CONFIDENCE = 0.95
METHODS = ("naive", "nadeau_bengio", "pooled", "nested")


@dataclass(frozen=True)
class World:
    """How the tables of a simulation come about."""

    rows: int
    inputs: int
    binary: bool
    group: int = 1
    """Rows of a group."""
    signal: float = 1.5
    alike: float = 0.0
    """Share of the variance that the rows of a group have in common."""
    model: str = "linear"
    rare: float = 0.0
    """Subtracted from the log odds."""

    @property
    def target(self) -> FittedTarget:
        """The target that is predicted."""
        return BINARY if self.binary else NUMBER

    def draw(self, random: np.random.Generator, rows: int) -> tuple[Array, Array, Array]:
        """Return inputs (rows, inputs), answers (rows,) and groups (rows,) of a new table."""
        groups = np.arange(rows) // self.group
        count = groups[-1] + 1
        common = random.normal(size=(count, self.inputs))[groups]
        x = sqrt(self.alike) * common + sqrt(1 - self.alike) * random.normal(size=(rows, self.inputs))
        used = max(2, self.inputs // 4)
        shared = sqrt(self.alike) * random.normal(size=count)[groups]
        mean = self.signal / sqrt(used) * x[:, :used].sum(axis=1) + shared - self.rare
        if self.binary:
            return x, (random.random(rows) < 1 / (1 + np.exp(-mean))).astype(np.int64), groups
        return x, mean + random.normal(size=rows), groups

    def predict(self, x: Array, y: Array, new: Array) -> Array:
        """Train on (x, y) and return predictions (rows, 1)."""
        if self.model == "tree":
            return tree(x, y, new, binary=self.binary)
        center, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
        x, new = (np.column_stack([np.ones(len(one)), (one - center) / scale]) for one in (x, new))
        ridge = np.diag([1e-6, *np.ones(x.shape[1] - 1)])
        if not self.binary:
            return (new @ np.linalg.solve(x.T @ x + ridge, x.T @ y))[:, np.newaxis]
        weights = np.zeros(x.shape[1])
        for _ in range(7):  # of Newton's method; the penalty keeps it from diverging
            p = 1 / (1 + np.exp(-np.clip(x @ weights, -20, 20)))
            curvature = (x * np.maximum(p * (1 - p), 1e-5)[:, np.newaxis]).T @ x + ridge
            weights += np.linalg.solve(curvature, x.T @ (y - p) - ridge @ weights)
        return (1 / (1 + np.exp(-np.clip(new @ weights, -15, 15))))[:, np.newaxis].astype(np.float32)


def tree(x: Array, y: Array, new: Array, *, binary: bool) -> Array:
    """Return the predictions of a decision tree; probabilities of 0 and 1 would have no finite log loss."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeClassifier if binary else DecisionTreeRegressor
    fitted = kind(max_depth=4, min_samples_leaf=3, random_state=0).fit(x, y)
    if binary:
        return np.asarray(np.clip(fitted.predict_proba(new)[:, 1:], 0.02, 0.98), np.float32)
    return np.asarray(fitted.predict(new))[:, np.newaxis]


WORLDS = (
    World(60, 5, binary=True),
    World(60, 10, binary=True, group=4, alike=0.3),
    World(120, 10, binary=True, signal=1, rare=1),
    World(300, 20, binary=True, group=10, alike=0.4),
    World(600, 20, binary=True, group=20, alike=0.3, rare=1),
    World(150, 8, binary=True, signal=2, model="tree"),
    World(60, 10, binary=False, signal=1),
    World(120, 10, binary=False, group=6, alike=0.4, signal=1),
    World(300, 10, binary=False, group=10, alike=0.4, model="tree"),
    World(600, 20, binary=False, signal=1),
)


def scores_of(target: FittedTarget, truth: Array, prediction: Array) -> dict[str, float]:
    """Return the defined scores by name."""
    return {score.name: score.value for score in target.all_scores(truth, prediction) if score.value is not None}


@cache
def expected_scores(world: World, folds: int) -> Mapping[str, float]:
    """Return the mean scores, on new rows, of trainings on as many rows as a fold learns from."""
    random = np.random.default_rng(7)
    count = round(world.rows * (folds - 1) / folds / world.group) * world.group
    each = []
    for _ in range(TRAININGS):
        x, y, _ = world.draw(random, count)
        new, truth, _ = world.draw(random, NEW_ROWS)
        if len(np.unique(y)) > 1:
            each.append(scores_of(world.target, truth, world.predict(x, y, new)))
    return {name: float(np.mean([scores[name] for scores in each])) for name in each[0]}


@dataclass(frozen=True, eq=False)
class Simulated:
    """A cross-validated table of a world."""

    world: World
    x: Array
    y: Array
    groups: Array
    plan: SplitPlan

    @classmethod
    def draw(cls, world: World, random: np.random.Generator, folds: int, repeats: int) -> Simulated:
        """Return a new table with its folds, dealt as `split.folds` deals them."""
        while True:
            x, y, groups = world.draw(random, world.rows)
            rows = Rows(world.rows, groups if world.group > 1 else None, y if world.binary else None)
            seed = int(random.integers(2**31))
            try:
                plan = deal_folds(
                    rows, folds=folds, repeats=repeats, validation=0.2, test=0, seed=seed, stratified=world.binary, description=""
                )
            except (DataError, ValueError):  # a class with too few rows or groups for the folds
                continue
            if not world.binary or all(len(np.unique(y[one.test])) == 2 for one in plan.partitions):
                return cls(world, x, y, groups, plan)

    def predictions(self, without: Array, rows: Array) -> Array:
        """Predict rows after a training on all but those in `without`, (rows,) bool."""
        return self.world.predict(self.x[~without], self.y[~without], self.x[rows])

    def estimates(self, names: Sequence[str], draws: int) -> dict[str, dict[str, Estimate]]:
        """Return the estimate of each score by each method."""
        target, groups = self.world.target, self.groups if self.world.group > 1 else None
        repeats, folds = self.plan.repeats, len(self.plan.partitions) // self.plan.repeats
        sets, by_fold = [], {name: np.full((repeats, folds), np.nan) for name in names}
        fold_of = np.zeros((repeats, len(self.y)), np.int64)
        for place, partition in enumerate(self.plan.partitions):
            repeat, fold = divmod(place, folds)
            if not fold:
                sets.append(np.empty((len(self.y), 1), np.float32 if self.world.binary else np.float64))
            rows = partition.test
            fold_of[repeat, rows] = fold
            sets[repeat][rows] = self.predictions(np.isin(np.arange(len(self.y)), rows), rows)
            scores = scores_of(target, self.y[rows], sets[repeat][rows])
            for name in names:
                by_fold[name][repeat, fold] = scores.get(name, np.nan)
        ratio = 1 / (folds - 1)
        bootstrap = Bootstrap(len(self.y), groups=groups, draws=draws, confidence=CONFIDENCE, seed=0)
        predicted = [[OutOfFold(EvalSet(target, self.y, one, groups), folds)] for one, folds in zip(sets, fold_of, strict=True)]
        pooled = estimate_scores(CrossValidated(predicted, by_fold, ratio), bootstrap)
        found = {"pooled": pooled, "naive": {}, "nadeau_bengio": {}}
        for name, one in pooled.items():
            for method, test_to_train in (("naive", 0.0), ("nadeau_bengio", ratio)):
                variance = nadeau_bengio(by_fold[name], test_to_train)
                if variance is not None and variance.value > 0:
                    found[method][name] = Estimate(name, one.value, sqrt(variance.value), variance.degrees, method)
        if repeats == 1 and folds > 2:  # without two of two folds, no row is left to train
            found["nested"] = self.nested(names, by_fold, bootstrap, sets[0])
        return found

    def nested(self, names: Sequence[str], by_fold: Mapping[str, Array], bootstrap: Bootstrap, whole: Array) -> dict[str, Estimate]:
        """Return the estimates of nested cross-validation with one division into folds."""
        target, parts = self.world.target, [one.test for one in self.plan.partitions]
        folds = len(parts)
        inner = {name: np.full((1, folds, folds), np.nan) for name in names}
        places = np.arange(len(self.y))
        for first in range(folds):
            for second in range(first):
                without = np.isin(places, [*parts[first], *parts[second]])
                for fold, other in ((first, second), (second, first)):
                    rows = parts[fold]
                    scores = scores_of(target, self.y[rows], self.predictions(without, rows))
                    for name in names:
                        inner[name][0, other, fold] = scores.get(name, np.nan)
        draws = bootstrap.scores(target, self.y, whole)
        found = {}
        for name in names:
            naive = sampling_variance(draws[name], bootstrap)
            if naive is not None and naive.value > 0 and not np.isnan(by_fold[name]).any():
                # A fold has a k-th of the rows and so k times the sampling variance of all of them.
                nested = NestedScores(by_fold[name], inner[name], np.full((1, folds), folds * naive.value))
                found[name] = nested_cross_validation(name, nested, sqrt(naive.value))
        return found


NAMES = {True: ("auc", "accuracy", "f1", "log_loss"), False: ("r2", "mae", "rmse")}
"""Scores of binary targets and of numbers."""


def coverage(folds: int, repeats: int, tables: int, draws: int) -> dict[str, dict[str, dict[str, float]]]:
    """Return by method and score: share of intervals that contain the expected score (`with` and `without` groups, `all`), mean width."""
    hits: dict[tuple[str, str], list[tuple[bool, bool, float]]] = {}
    for number in range(tables):
        world = WORLDS[number % len(WORLDS)]
        names, expected = NAMES[world.binary], expected_scores(world, folds)
        simulated = Simulated.draw(world, np.random.default_rng([1, number, folds, repeats]), folds, repeats)
        for method, estimates in simulated.estimates(names, draws).items():
            for name, one in estimates.items():
                low, high = one.interval(CONFIDENCE)
                hits.setdefault((method, name), []).append((world.group > 1, low <= expected[name] <= high, high - low))
    results: dict[str, dict[str, dict[str, float]]] = {}
    for (method, name), every in hits.items():
        grouped, covered, widths = (np.array(column) for column in zip(*every, strict=True))
        results.setdefault(method, {})[name] = {
            "all": round(float(covered.mean()), 3),
            "with_groups": round(float(covered[grouped].mean()), 3),
            "without": round(float(covered[~grouped].mean()), 3),
            "tables": len(covered),
            "half_width": round(float(widths.mean()) / 2, 4),
        }
    return results
