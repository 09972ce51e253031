"""Answers of a fitted target as models of scikit-learn learn them, and their predictions as columns of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mmtrain.targets.traits import TaskTraits

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

ReferenceKind = Literal["classes", "labels", "one number", "each quantile", "each number", "times", "none"]
"""Models that can predict a target: a classifier, one per label, of a number, of each quantile, of each of several numbers, of hazards."""


class BaselineModels(TaskTraits):
    """The part of a fitted target that models for comparison need."""

    @property
    def reference_kind(self) -> ReferenceKind:
        """Kind of the models that predict the same; by default classes, labels or one number, by the traits of the task."""
        if self.has_labels:
            return "labels"
        if self.has_classes:
            return "classes"
        return "one number" if self.is_continuous and not self.is_censored else "none"

    @property
    def reference_levels(self) -> tuple[float, ...]:
        """Levels of the quantiles, where models predict quantiles."""
        return ()

    def reference_answers(self, truth: Array) -> Array:
        """Return the answers that models learn, (rows,) or (rows, numbers), from encoded ones that are known."""
        return truth

    def reference_weights(self, truth: Array) -> Array | float:
        """Return factors of the weights of rows, (rows,), with which models learn."""
        del truth
        return 1.0

    def reference_prediction(self, number: Array, error: float) -> Array:
        """Return predictions, (rows, units), from the numbers of a model, (rows,); `error` is its root mean squared error."""
        del error
        return number[:, None]

    def reference_curve(self, truth: Array, hazard: Array, weight: Array, others: Array) -> Array:
        """Return predictions, (rows, units), of `others`: logarithms of relative hazards, from those of training rows, (rows,) each.

        Raises NotImplementedError where times are not what the task predicts.
        """
        raise NotImplementedError
