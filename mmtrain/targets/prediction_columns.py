"""Columns of a prediction: their names, how they are written and read again, and those of trainings on other rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from mmtrain.targets.traits import TaskTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

TRUTH, PREDICTION, PROBABILITY = "truth", "prediction", "probability_{}"
UNKNOWN_LABELS = "unknown_labels"
"""Columns of predictions_<part>.csv; `unknown_labels` is written only where some labels are unknown."""

Mixture = Literal["deviation", "dispersion"]


class ConformalBand(NamedTuple):
    """Predicted numbers from `low` to `high`, and the unit in which a row is farther away from them than another, (rows,) float64 each."""

    low: np.ndarray[Any, np.dtype[np.float64]]
    high: np.ndarray[Any, np.dtype[np.float64]]
    scale: np.ndarray[Any, np.dtype[np.float64]]
    minimum: float = float("-inf")
    """The least number that an answer can be."""

    def only(self, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> ConformalBand:
        """Return the band of some rows, a mask (rows,)."""
        return self._replace(low=self.low[rows], high=self.high[rows], scale=self.scale[rows])


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
    def raw_adds_up(self) -> bool:
        """True if raw values of two models may be added, so that a network can learn the residuals of a linear model."""
        return True

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
    def row_headers(self) -> tuple[str, ...]:
        """Headers of the table that `row_columns` needs, apart from the answer; none by default."""
        return ()

    @property
    def row_rule(self) -> str:
        """The rule for cells under `row_headers`, such as `a number above 0`; empty if any cell will do that is not missing."""
        return ""

    def row_columns(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Return columns that follow from the prediction and from cells that no branch reads, by name, (rows,) each.

        `truth` is encoded from the `row_headers`; the answers themselves may be missing.
        """
        del truth, prediction
        return {}

    @property
    def compared_column(self) -> str:
        """Name of the column of predictions that has the unit of the column `truth`, for plots of both."""
        return PREDICTION

    def conformal_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the numbers that conformal intervals are to contain, (rows,), from encoded answers."""
        import numpy as np

        return np.asarray(truth, dtype=np.float64)

    def conformal_band(self, prediction: np.ndarray[Any, Any]) -> ConformalBand:
        """Return what a conformal interval widens, for tasks with `conformal = "intervals"`; by default the number, alike in all rows."""
        import numpy as np

        number = self.predict_label(prediction).astype(np.float64)
        return ConformalBand(number, number, np.ones(len(number)), self.least_answer)

    @property
    def least_answer(self) -> float:
        """The least number that an answer can be, where conformal intervals end; by default there is none."""
        return float("-inf")

    def conformal_bands(self, prediction: np.ndarray[Any, Any]) -> dict[str, ConformalBand]:
        """Return the band of each number, for tasks with `conformal = "intervals_per_number"`, by name.

        Encoded answers have the numbers in this order, (rows, numbers).
        """
        raise NotImplementedError

    @property
    def explained_unit(self) -> int:
        """Column of the prediction that is explained where no class or label is named."""
        return 0

    @property
    def mixture(self) -> Mixture | None:
        """The meaning of the second column of a prediction, (rows, 2), if the first is the mean of a distribution; None otherwise.

        `deviation`: its standard deviation; `dispersion`: the a of a variance mean + a * mean ** 2. Several trainings then predict the
        mixture of their distributions: its variance is the mean variance plus that of the means.
        """
        return None

    @property
    def moments_around(self) -> float:
        """A number near the predicted ones, for tasks with a mixture."""
        return 0.0

    def to_moments(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return what is averaged over trainings, (rows, units), float.

        These are the predictions; with a `mixture`, the mean and the second moment around `moments_around`.
        """
        import numpy as np

        if self.mixture is None:
            return prediction
        # Distances are squared, not numbers: the difference of two large squares would lose all digits.
        number, spread = prediction.astype(np.float64).T
        # Of counts the part of the variance beyond that of Poisson, whose mean over trainings is the mean count.
        variance = np.square(spread) if self.mixture == "deviation" else spread * np.square(number)
        return np.stack([number, variance + np.square(number - self.moments_around)], axis=1)

    def from_moments(self, moments: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return predictions, (rows, units), from a mean of `to_moments`."""
        import numpy as np

        if self.mixture is None:
            return moments
        number, square = moments.T
        variance = np.maximum(square - np.square(number - self.moments_around), 0.0)
        return np.stack([number, np.sqrt(variance) if self.mixture == "deviation" else variance / np.square(number)], axis=1)

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

    @abstractmethod
    def predict_label(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the decision for each row, (rows,): class names, label lists joined by the separator, or numbers."""

    @abstractmethod
    def decode_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return encoded labels as the table spells them."""

    @abstractmethod
    def probabilities(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return probabilities, (rows, len(columns)), a column per class or label; (rows, 0) for a number."""

    def is_right(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return the rows whose decision is the label, (rows,)."""
        right: np.ndarray[Any, np.dtype[np.bool_]] = self.predict_label(prediction) == self.decode_truth(truth)
        return right

    def truth_columns(self, truth: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """Return encoded labels as columns of predictions_<part>.csv, by name, (rows,) each."""
        return {TRUTH: self.decode_truth(truth)}

    def outputs(self, prediction: np.ndarray[Any, Any], *, probabilities: bool = True) -> dict[str, np.ndarray[Any, Any]]:
        """Return predictions as columns of predictions_<part>.csv, by name, (rows,) each; optionally a probability per class or label."""
        decided = {PREDICTION: self.predict_label(prediction)}
        if not probabilities:
            return decided
        return decided | dict(zip(map(PROBABILITY.format, self.columns), self.probabilities(prediction).T, strict=True))

    def parse_outputs(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """Return predictions from `outputs` as text, NA where a cell was empty; exactly the same float32 as before.

        Raises:
            LookupError: a column is missing.
            ValueError: a probability is not a number.
        """
        import numpy as np

        # The shortest decimals of float32 give the same float32 again.
        probabilities = np.stack([columns[PROBABILITY.format(name)].to_numpy(dtype=np.float32) for name in self.columns], axis=1)
        if np.isnan(probabilities).any():
            raise ValueError("A probability is missing.")
        return probabilities

    @abstractmethod
    def serving_outputs(self, prediction: Any) -> dict[str, Any]:
        """Return `prediction`, (batch,), as from `predict_label`, and `probabilities`, for an exported model: a TensorFlow function."""

    def count_answers(self, words: pd.Series[str]) -> dict[str, int] | None:
        """Return the rows of each class or label in the column `truth` of predictions; None where they cannot be counted."""
        counts = words.value_counts()
        return {name: int(counts.get(name, 0)) for name in self.columns}
