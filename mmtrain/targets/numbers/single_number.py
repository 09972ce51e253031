"""The part of fitted targets that every answer with one number has: reading and writing it, and what follows from its mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmtrain.columns.cells import CellError
from mmtrain.columns.numbers import center_and_scale, number_errors, parse_numbers
from mmtrain.targets.base import Target
from mmtrain.targets.fitted_target import FittedTarget, TruthSpec
from mmtrain.targets.prediction_columns import PREDICTION

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd


STEPS = 100
"""Steps of float32, around the mean, that a standard deviation has at least; with fewer, rounding would count among the errors."""


def spread_errors(values: np.ndarray[Any, np.dtype[np.float64]]) -> list[CellError]:
    """Return the error of answers without a number, with one alone, or with differences that float32 rounds away; `values` has no NaN."""
    import numpy as np

    if not len(values):
        return [CellError(np.arange(1), "no row has a number.", "Fill in the answers.")]
    if values.min() == values.max():
        return [CellError(np.arange(1), "every row has the same number.", "A target needs at least two different values.")]
    center, scale = center_and_scale(values)
    # Distance to the next float32 at the size of the answers.
    step = float(np.spacing(np.float32(abs(center))))
    if STEPS * step <= scale:
        return []
    spread = f"{scale:,.0f}" if scale >= 1 else f"{scale:.2g}"
    what = f"the numbers lie {spread} around {center:,.0f} on average, where predictions (of 32 bits) come in steps of {step:,g}."
    return [CellError(np.arange(1), what, "Subtract the same number from all of them, the smallest for instance.")]


class NumberTarget(Target):
    """A declared target whose cells are numbers."""

    @property
    def holds_numbers(self) -> bool:
        """Always."""
        return True

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing answers, words, infinities, a target that never changes, or too little for float32."""
        errors = super().faults(cells) + self.malformed(cells)
        return errors or spread_errors(parse_numbers(cells[~self.missing_cells(cells)]))

    def malformed(self, cells: pd.Series[str]) -> list[CellError]:
        """Words and infinities."""
        return number_errors(cells.mask(self.missing_cells(cells)), "Set `task: multiclass` for classes; this answer is a number.")


class FittedNumber(FittedTarget):
    """A fitted target whose answer is one number; its prediction may have further columns."""

    @property
    def units(self) -> int:
        """A column per number."""
        return len(self.number_columns) or 1

    @property
    def truth_spec(self) -> TruthSpec:
        """A number; float64, as float32 would round before it is standardized."""
        return TruthSpec((), "float64")

    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows,) float64."""
        return parse_numbers(cells[self.column])

    def row_weights(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """1, and 0 for a row without an answer."""
        import numpy as np

        return self.known_rows(truth).astype(np.float32)

    def predict_label(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The number in the explained column."""
        return prediction[:, self.explained_unit]

    def decode_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The number itself."""
        return truth

    def probabilities(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """None for a number: (rows, 0)."""
        import numpy as np

        return np.empty((len(prediction), 0), dtype=np.float32)

    def outputs(self, prediction: np.ndarray[Any, Any], *, probabilities: bool = True) -> dict[str, np.ndarray[Any, Any]]:  # noqa: ARG002
        """Return the prediction and all its columns, which are asked for by the task itself."""
        return {PREDICTION: self.predict_label(prediction)} | dict(zip(self.number_columns, prediction.T, strict=False))

    def parse_outputs(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, units) float32."""
        import numpy as np

        names = self.number_columns or (PREDICTION,)
        return np.stack([parse_numbers(columns[name]) for name in names], axis=1).astype(np.float32)

    def serving_outputs(self, prediction: Any) -> dict[str, Any]:
        """The number, and all columns of the prediction where there are several."""
        number = {"prediction": prediction[:, self.explained_unit]} if self.has_single_prediction else {}
        return number | {"columns": prediction} if self.number_columns else number
