"""Baselines of scikit-learn: their features, and one model per target, or per label of a target with labels.

They are fitted on training rows with the weights of the training; the loss on validation rows chooses penalties and the number of rounds.

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
from mmtrain.data.sampling import visits_of_rows
from mmtrain.specs import IndexSpec
from mmtrain.splits.plan import Partition
from mmtrain.targets import FittedTarget

MOST_CATEGORIES = 250
"""Categories of a column with a code of their own (the histograms have 255 bins); rarer and unseen ones share one more."""

Model = Callable[[Any], Array]
"""From features (rows, features) to predictions."""


class Examples(NamedTuple):
    """Rows of one part: features (rows, features), answers and sample weights (rows, ...)."""

    cells: Any
    truth: Array
    weights: Array


class TabularBaseline(ABC):
    """One model per target, or per label, quantile or number of a target with several."""

    remark = ""
    """A sentence on how the model was fitted, for readers of its scores; empty if there is nothing to say."""

    @classmethod
    def obstacle(cls, target: FittedTarget, rows: int) -> str:  # noqa: ARG003
        """Return why there is no such model of a target, from this number of training rows, in a sentence; empty if there can be."""
        return "It predicts classes, labels and numbers only." if target.reference_kind in ("none", "times") else ""

    def __init__(self, fitted: Fitted, arrays: Arrays, partition: Partition, features: FeatureMatrix, *, seed: int) -> None:
        self.features = features
        self.seed = seed
        cells = {part: self.cells(arrays, partition[part]) for part in ("train", "validation")}
        self.models = {}
        for key, target in fitted.targets.items():
            of_parts = []
            for part, read in cells.items():
                rows = partition[part]
                # The classes that a network learns from as often as each other weigh the same here: decisions correct for both alike.
                visits = visits_of_rows(fitted.targets, arrays.targets, partition["train"], rows)
                truth, weights = arrays.targets[key][rows], arrays.weights[key][rows] * visits
                known = target.known_rows(truth)
                # (rows, features) sparse or dense; rows without a known answer teach nothing.
                of_parts.append(Examples(read[known], truth[known], weights[known]))
            self.models[key] = self._fit_target(target, *of_parts)

    def predict(self, arrays: Arrays, rows: Array) -> dict[str, Array]:
        """Predict `rows`, in their order; predictions per target have the shape of the network's."""
        cells = self.cells(arrays, rows)
        return {key: model(cells) for key, model in self.models.items()}

    def cells(self, arrays: Arrays, rows: Array) -> Any:
        """Return the features of `rows`, (rows, features)."""
        return self.features.read(arrays, rows)

    @abstractmethod
    def number(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        """Fit a model of a number; it returns (rows, 1)."""

    @abstractmethod
    def classes(self, count: int, train: Examples, validation: Examples) -> Any:
        """Fit a classifier with `classes_` and `predict_proba` to at least two of `count` classes."""

    def quantile(self, level: float, train: Examples, validation: Examples) -> Model:
        """Fit a model of one quantile; it returns (rows, 1)."""
        raise NotImplementedError

    def hazards(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        """Fit a model of times to an event; it returns the columns of the target, (rows, units)."""
        raise NotImplementedError

    def _fit_target(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        kind = target.reference_kind
        if kind == "times":
            return self.hazards(target, train, validation)
        if kind in ("one number", "each number", "each quantile"):
            train, validation = (_reference_examples(target, rows) for rows in (train, validation))
        if kind == "one number":
            return self._number(target, train, validation)
        if kind == "each number":
            several = [self.number(target, *(_column(rows, place) for rows in (train, validation))) for place in range(target.units)]
            return lambda cells: np.concatenate([model(cells) for model in several], axis=1)
        if kind == "each quantile":
            quantiles = [self.quantile(level, train, validation) for level in target.reference_levels]
            # Models of single quantiles may cross (Chernozhukov et al. 2010: sorted, they are never worse).
            return lambda cells: np.sort(np.concatenate([model(cells) for model in quantiles], axis=1), axis=1)
        if target.has_labels:
            labels = [
                # A label is a target of two classes with its own weight.
                self._probabilities(2, *(_label_examples(rows, number, weight) for rows in (train, validation)))
                for number, weight in enumerate(target.class_weights.values())
            ]
            return lambda cells: np.stack([label(cells)[:, 1] for label in labels], axis=1)
        classes = self._probabilities(len(target.columns), train, validation)
        # One unit means two classes: only the column of the positive one is kept.
        return classes if target.units > 1 else lambda cells: classes(cells)[:, 1:]

    def _number(self, target: FittedTarget, train: Examples, validation: Examples) -> Model:
        """Return a model of one number, and of the further columns that follow from its error on validation rows."""
        model = self.number(target, train, validation)
        scored = validation if len(validation.truth) and validation.weights.sum() > 0 else train
        error = float(np.sqrt(np.average(np.square(model(scored.cells)[:, 0] - scored.truth), weights=scored.weights)))
        return lambda cells: target.reference_prediction(model(cells)[:, 0], error)

    def _probabilities(self, count: int, train: Examples, validation: Examples) -> Model:
        """Return a model of the probabilities of `count` classes; a class without training rows has probability 0."""
        codes = np.unique(train.truth)
        if len(codes) == 1:  # scikit-learn refuses a single class: a label that every row has, or none
            return lambda cells: np.tile((np.arange(count) == codes[0]).astype(np.float64), (cells.shape[0], 1))
        model = self.classes(count, train, validation)

        def probabilities(cells: Any) -> Array:
            scattered = np.zeros((cells.shape[0], count))
            # `classes_` are the codes that occur in training rows, perhaps not all.
            scattered[:, model.classes_] = model.predict_proba(cells)
            return scattered

        return probabilities


def _reference_examples(target: FittedTarget, rows: Examples) -> Examples:
    """Return the rows with the numbers that a model of the target learns."""
    return Examples(rows.cells, target.reference_answers(rows.truth), rows.weights * target.reference_weights(rows.truth))


def _column(rows: Examples, place: int) -> Examples:
    """Return one of several numbers as a target, for the rows where it is known."""
    known = ~np.isnan(rows.truth[:, place])
    return Examples(rows.cells[known], rows.truth[known, place], rows.weights[known])


def _label_examples(rows: Examples, number: int, weight: float) -> Examples:
    """Return one label as a target of two classes, weighted as in the loss of the network, for the rows whose label is known."""
    known = rows.truth[:, number] >= 0
    has = rows.truth[known, number].astype(np.int64)
    # The loss weighs rows that have the label `weight` times, others once.
    return Examples(rows.cells[known], has, rows.weights[known] * (1 + has * (weight - 1)))


class FeatureMatrix:
    """Encoded numbers and categories as one float64 matrix, NaN where a cell is missing.

    A column whose cells are missing in all training rows is left out: a histogram without a value has no edges.
    """

    def __init__(self, fitted: Fitted, arrays: Arrays, train: Array) -> None:
        columns = {key: column for key, column in fitted.columns.items() if column.tabular}
        self.ranks = {
            key: _ranks(np.bincount(arrays.column(key, train)[:, 0], minlength=column.spec.size))
            for key, column in columns.items()
            if isinstance(column.spec, IndexSpec)
        }
        # One row tells the number of features of a column.
        self.columns = {key: column for key, column in columns.items() if not np.isnan(self._cells(key, column, arrays, train)).all()}
        self._widths = {key: self._cells(key, column, arrays, train[:1]).shape[1] for key, column in self.columns.items()}

    def read(self, arrays: Arrays, rows: Array) -> Array:
        """Return the features of `rows`, (rows, features)."""
        return np.concatenate([self._cells(key, column, arrays, rows) for key, column in self.columns.items()], axis=1)

    @property
    def categorical(self) -> list[bool]:
        """A bool per feature, True for categories."""
        return [key in self.ranks for key in self.columns for _ in range(self._widths[key])]

    def _cells(self, key: str, column: FittedColumn, arrays: Arrays, rows: Array) -> Array:
        encoded, present = arrays.column(key, rows), arrays.present[key][rows]
        return np.where(present > 0, self.ranks[key][encoded], np.nan) if key in self.ranks else column.features(encoded, present)


def _ranks(counts: Array) -> Array:
    """Return a number for every code: frequent categories of training rows have their own, the rest share one, missing is NaN."""
    # Codes below FIRST_CODE stand for missing and unknown.
    order = np.argsort(-counts[FIRST_CODE:], kind="stable")[:MOST_CATEGORIES]
    # Everything that is not overwritten below shares the last number.
    ranks = np.full(len(counts), float(len(order)))
    ranks[0] = np.nan
    ranks[FIRST_CODE + order] = np.arange(len(order))
    return ranks
