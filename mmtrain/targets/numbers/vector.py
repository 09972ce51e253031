"""`task: vector`: several numbers of a row, each in a column of the table; the raw outputs are standardized by training rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.base import Names
from mmtrain.columns.numbers import center_and_scale, parse_numbers
from mmtrain.metrics.score import Metric
from mmtrain.targets.base import ClassWeights, task
from mmtrain.targets.baseline_models import ReferenceKind
from mmtrain.targets.fitted_target import ScoreTable, TruthSpec
from mmtrain.targets.numbers.single_number import FittedNumber, NumberTarget
from mmtrain.targets.prediction_columns import TRUTH, ConformalBand
from mmtrain.targets.traits import DummyBaseline, TaskTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score


class VectorTraits(TaskTraits):
    """Several numbers."""

    title = "several numbers"
    meaning = "The numbers, each in the unit of its column."
    is_continuous = True
    metrics = (
        Metric("mean_r2", higher_is_better=True, title="R², mean over numbers", maximum=1),
        Metric("scaled_rmse", higher_is_better=False, title="RMSE in standard deviations, mean over numbers", minimum=0),
        Metric("scaled_mae", higher_is_better=False, title="MAE in standard deviations, mean over numbers", unbiased=True, minimum=0),
    )
    main_metric = "mean_r2"
    conformal = "intervals_per_number"
    dummy = DummyBaseline("mean", "means of the training rows")


class FittedVector(VectorTraits, FittedNumber):
    """`(truth - centers) / scales` is what the network learns."""

    task: Literal["vector"] = "vector"
    numbers: Names
    centers: tuple[float, ...]
    scales: tuple[float, ...]

    @property
    def number_columns(self) -> tuple[str, ...]:
        """A column per number."""
        return tuple(f"prediction_{name}" for name in self.numbers)

    @property
    def has_single_prediction(self) -> bool:
        """False: a row has several numbers."""
        return False

    @property
    def reference_kind(self) -> ReferenceKind:
        """A model for each number."""
        return "each number"

    @property
    def squares_losses(self) -> bool:
        """False: `row_losses` are squared already."""
        return False

    @property
    def truth_spec(self) -> TruthSpec:
        """A number per column."""
        return TruthSpec((len(self.numbers),), "float64")

    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, numbers) float64; NaN where a number is missing."""
        import numpy as np

        return np.stack([parse_numbers(cells[name]) for name in self.numbers], axis=1)

    def known_rows(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Rows with one number at least."""
        import numpy as np

        return np.asarray(~np.isnan(truth).all(axis=1))

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Squared error of the standardized numbers, the mean over them; a number that is missing adds 0."""
        import tensorflow as tf

        learned = (tf.cast(truth, tf.float64) - tf.constant(self.centers, tf.float64)) / tf.constant(self.scales, tf.float64)
        missing = tf.math.is_nan(learned)
        error = tf.cast(tf.where(missing, tf.zeros_like(learned), learned), tf.float32) - raw
        return tf.reduce_mean(tf.square(error) * tf.cast(~missing, tf.float32), axis=1)

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:  # noqa: ARG002 (of probabilities)
        """The loss of the task, with the numbers of the teacher as the answer."""
        return self.minimized(teacher, raw)

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Squared error in standard deviations, the mean over the known numbers."""
        import numpy as np

        squared = np.square((prediction.astype(np.float64) - truth) / np.asarray(self.scales))
        known = ~np.isnan(squared)
        sums, counts = np.where(known, squared, 0.0).sum(axis=1), known.sum(axis=1)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    def activation(self, name: str) -> Any:
        """Back to the units of the columns; (batch, numbers)."""
        from mmtrain.layers.numbers.target_scales import Affines

        return Affines(scales=list(self.scales), offsets=list(self.centers), dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Means over the numbers."""
        import numpy as np

        from mmtrain.metrics.numbers.vectors import vector_scores

        return vector_scores(truth, prediction, np.asarray(self.scales))

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        import numpy as np

        from mmtrain.metrics.numbers.vectors import vector_scorer

        return vector_scorer(truth, prediction, np.asarray(self.scales))

    def tables(
        self,
        truth: np.ndarray[Any, Any],
        prediction: np.ndarray[Any, Any],
        groups: np.ndarray[Any, Any] | None = None,  # noqa: ARG002
    ) -> dict[str, ScoreTable]:
        """R2 and errors of each number, in its unit."""
        import numpy as np

        from mmtrain.metrics.bootstrap_counts import unit_counts
        from mmtrain.metrics.numbers.vectors import errors_of_numbers

        columns = [part[0] for part in errors_of_numbers(truth, prediction, unit_counts(len(truth)))]
        known = (~np.isnan(truth)).sum(axis=0)
        rows: list[list[str | bool | int | float | None]] = [
            [name, int(known[place]), *(None if np.isnan(values[place]) else float(values[place]) for values in columns)]
            for place, name in enumerate(self.numbers)
        ]
        return {"numbers": ScoreTable(("Number", "rows", "R2", "RMSE", "MAE"), rows, "Scores of each number", "Errors in its own unit.")}

    def predict_label(self, prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The numbers as a list, in the shortest decimals of float32."""
        return self._lists(prediction.astype("float32"))

    def decode_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The numbers as a list; `null` where one is missing, and nothing where all are."""
        lists = self._lists(truth)
        lists[~self.known_rows(truth)] = ""
        return lists

    @staticmethod
    def _lists(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        import numpy as np

        # `str` of a float32 has its shortest decimals, `float` of a float32 those of float64.
        rows = [[None if np.isnan(value) else float(str(value)) for value in row] for row in values]
        return np.array([json.dumps(row) for row in rows], dtype=object)

    def conformal_bands(self, prediction: np.ndarray[Any, Any]) -> dict[str, ConformalBand]:
        """Each number; intervals of one of them are equally wide in all rows."""
        import numpy as np

        ones = np.ones(len(prediction))
        return {
            name: ConformalBand(number, number, ones) for name, number in zip(self.numbers, prediction.astype(np.float64).T, strict=True)
        }

    def parse_truth(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows, numbers) float64, from lists."""
        import numpy as np

        nothing = [None] * len(self.numbers)
        rows = [nothing if not isinstance(cell, str) else json.loads(cell) for cell in columns[TRUTH]]
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.numbers))

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The means of training rows."""
        import numpy as np

        return np.tile(self.centers, (count, 1))


@task("vector", FittedVector)
class VectorTarget(VectorTraits, NumberTarget):
    """Several numbers, each in a column of its own."""

    task: Literal["vector"] = "vector"
    columns: Names = Field(
        min_length=2, description="Headers of the numbers. With `missing: drop`, a row counts for the numbers that it has."
    )

    def reads(self) -> tuple[str, ...]:
        """The headers of the numbers."""
        return self.columns

    def numbers(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, np.dtype[np.float64]] | None:  # noqa: ARG002
        """None: no single number stands for the row."""
        return None

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedVector:  # noqa: ARG002
        """Mean and standard deviation of each number in training rows."""
        import numpy as np

        known = [values[~np.isnan(values)] for values in (parse_numbers(cells[name]) for name in self.columns)]
        moments = [center_and_scale(values) if len(values) else (0.0, 1.0) for values in known]
        centers, scales = zip(*moments, strict=True)
        return FittedVector(column=self.column, loss_weight=self.loss_weight, numbers=self.columns, centers=centers, scales=scales)
