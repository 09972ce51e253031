"""Baselines of scikit-learn: what they learn from, and one model per target, or per label of a target with labels.

They are fitted on training rows with the weights of the training. What they leave open is settled by the loss of the validation rows.

Only the subclasses and `api.estimators` import scikit-learn, which comes with `mmtrain[baselines]`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mmtrain.columns import FittedColumn
from mmtrain.columns.categorical import FIRST_CODE
from mmtrain.data.arrays import Array, Arrays
from mmtrain.data.encode import Fitted
from mmtrain.specs import IndexSpec
from mmtrain.splits.plan import Partition
from mmtrain.targets import FittedTarget

MOST_CATEGORIES = 250
"""Of a column; the histograms have 255 bins. The rarer ones, and those that training does not know, share one more."""

Model = Callable[[Any], Array]
"""From cells to predictions."""


def can_predict(target: FittedTarget) -> bool:
    """Return True if scikit-learn has a model for these answers."""
    return target.has_classes or target.has_labels or (target.is_continuous and not target.is_censored)


class Examples(NamedTuple):
    """Rows to fit on, or to stop by."""

    cells: Any
    truth: Array
    weights: Array


class TabularBaseline(ABC):
    """One model per target, or per label of a target with labels."""

    def __init__(self, fitted: Fitted, arrays: Arrays, partition: Partition, features: FeatureMatrix, *, seed: int) -> None:
        self.features = features
        self.seed = seed
        cells = {part: self.cells(arrays, partition[part]) for part in ("train", "validation")}
        self.models = {}
        for key, target in fitted.targets.items():
            of_parts = []
            for part, read in cells.items():
                truth, weights = arrays.targets[key][partition[part]], arrays.weights[key][partition[part]]
                known = target.known_rows(truth)
                of_parts.append(Examples(read[known], truth[known], weights[known]))
            self.models[key] = self._fitted(target, *of_parts)

    def predict(self, arrays: Arrays, rows: Array) -> dict[str, Array]:
        """Predictions of `rows`, in their order, per target, shaped as the network's."""
        cells = self.cells(arrays, rows)
        return {key: model(cells) for key, model in self.models.items()}

    def cells(self, arrays: Arrays, rows: Array) -> Any:
        """What the models read of `rows`, (rows, features)."""
        return self.features.read(arrays, rows)

    @abstractmethod
    def number(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        """Fit a model of a number; it returns (rows, 1)."""

    @abstractmethod
    def classes(self, count: int, train: Examples, validation: Examples) -> Any:
        """Fit a classifier with `classes_` and `predict_proba` to at least two of `count` classes."""

    def _fitted(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        if target.is_continuous:
            return self.number(target, train, validation)
        if target.has_labels:
            labels = [
                self._probabilities(2, *(_of_label(rows, number, weight) for rows in (train, validation)))
                for number, weight in enumerate(target.class_weights.values())
            ]
            return lambda cells: np.stack([label(cells)[:, 1] for label in labels], axis=1)
        classes = self._probabilities(len(target.columns), train, validation)
        return classes if target.units > 1 else lambda cells: classes(cells)[:, 1:]

    def _probabilities(self, count: int, train: Examples, validation: Examples) -> Model:
        """Probabilities (rows, `count`); a class that no training row has gets 0."""
        codes = np.unique(train.truth)
        if len(codes) == 1:  # a label that every row has, or none
            return lambda cells: np.tile((np.arange(count) == codes[0]).astype(np.float64), (cells.shape[0], 1))
        model = self.classes(count, train, validation)

        def probabilities(cells: Any) -> Array:
            found = np.zeros((cells.shape[0], count))
            found[:, model.classes_] = model.predict_proba(cells)
            return found

        return probabilities


def _of_label(rows: Examples, number: int, weight: float) -> Examples:
    """As a target of two classes, weighted as in the loss of the network; of the rows whose label is known."""
    known = rows.truth[:, number] >= 0
    has = rows.truth[known, number].astype(np.int64)
    return Examples(rows.cells[known], has, rows.weights[known] * (1 + has * (weight - 1)))


class FeatureMatrix:
    """Encoded columns side by side, float64, NaN where a cell is missing: numbers, categories and whatever else is encoded as such.

    A column that no training row has a cell of is left out: the histograms have no edges without a number.
    """

    def __init__(self, fitted: Fitted, arrays: Arrays, train: Array) -> None:
        columns = {key: column for key, column in fitted.columns.items() if column.tabular}
        self.ranks = {
            key: _ranks(np.bincount(arrays.column(key, train)[:, 0], minlength=column.spec.size))
            for key, column in columns.items()
            if isinstance(column.spec, IndexSpec)
        }
        self.columns = {key: column for key, column in columns.items() if not np.isnan(self._cells(key, column, arrays, train)).all()}
        self._widths = {key: self._cells(key, column, arrays, train[:1]).shape[1] for key, column in self.columns.items()}

    def read(self, arrays: Arrays, rows: Array) -> Array:
        """(rows, features)."""
        return np.concatenate([self._cells(key, column, arrays, rows) for key, column in self.columns.items()], axis=1)

    @property
    def categorical(self) -> list[bool]:
        """Whether each feature is a category."""
        return [key in self.ranks for key in self.columns for _ in range(self._widths[key])]

    def _cells(self, key: str, column: FittedColumn, arrays: Arrays, rows: Array) -> Array:
        encoded, present = arrays.column(key, rows), arrays.present[key][rows]
        return np.where(present > 0, self.ranks[key][encoded], np.nan) if key in self.ranks else column.features(encoded, present)


def _ranks(counts: Array) -> Array:
    """A number for every code: the most frequent categories of training rows have their own, the rest share one, missing is NaN."""
    order = np.argsort(-counts[FIRST_CODE:], kind="stable")[:MOST_CATEGORIES]
    ranks = np.full(len(counts), float(len(order)))
    ranks[0] = np.nan
    ranks[FIRST_CODE + order] = np.arange(len(order))
    return ranks
