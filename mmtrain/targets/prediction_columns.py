"""Columns of a prediction: their names, and those of trainings on other rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

from mmtrain.targets.traits import TaskTraits

if TYPE_CHECKING:
    import numpy as np


class PredictionColumns(TaskTraits):
    """The part of the contract of `FittedTarget` that is about the columns of predictions, (rows, units)."""

    @property
    @abstractmethod
    def units(self) -> int:
        """Width of the prediction."""

    @property
    def raw_units(self) -> int:
        """Width of the raw output; by default that of the prediction."""
        return self.units

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the prediction's columns: classes or labels; empty for a number."""
        return ()

    @property
    def number_columns(self) -> tuple[str, ...]:
        """Names of the prediction's columns in files where they are several numbers, (units,); else empty."""
        return ()

    @property
    def has_single_prediction(self) -> bool:
        """True if one class, list of labels or number is the prediction of a row."""
        return True

    @property
    def class_counts(self) -> dict[str, int]:
        """Training rows of each class or label; empty for a number."""
        return {}

    @property
    def class_weights(self) -> dict[str, float]:
        """Weight of each class or label in the loss; empty for a number."""
        return {}

    @property
    def explained_unit(self) -> int:
        """Column of the prediction that is explained where no class or label is named."""
        return 0

    def member_matrix(self, member: Self) -> np.ndarray[Any, np.dtype[np.float32]] | None:
        """Return the matrix from predictions of a target that was fitted to other rows to the columns of this one; None for the same.

        It is (member.units, units); a class that the member does not know has a probability of 0.
        """
        import numpy as np

        if self.columns == member.columns or self.units == 1:
            return None
        matrix = np.zeros((member.units, self.units), np.float32)
        matrix[np.arange(member.units), [self.columns.index(name) for name in member.columns]] = 1
        return matrix
