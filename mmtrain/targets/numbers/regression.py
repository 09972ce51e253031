"""`task: regression`: a number; the raw output is standardised by training rows, the prediction is in the target's unit.

With `transform` the raw output is the standardised transform of the number. With `bins` the network classifies among numbers from the
smallest to the largest training answer, and the prediction is their expectation: the raw output is the expectation, then a logit per bin.
The label of an answer between two bins is divided between them so that its expectation is the answer. Cross-entropy has steadier gradients
than a squared error, from which deep networks learn better features (Farebrother et al. 2024, arXiv:2403.03950). With `bins_weight` the
classification is an auxiliary loss: the first raw output is a number of its own, from which the error of the task is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from mmtrain.columns.cells import CellError
from mmtrain.columns.numbers import center_and_scale, number_errors, parse_numbers
from mmtrain.errors import listed
from mmtrain.metrics.score import REGRESSION, metrics_named
from mmtrain.optim import losses
from mmtrain.targets.base import ClassWeights, Target, task
from mmtrain.targets.losses import bin_losses
from mmtrain.targets.numbers.number_transform import LogTransform, NumberTransform, fit_transform
from mmtrain.targets.numbers.single_number import FittedNumber, NumberTarget, spread_errors
from mmtrain.targets.traits import DummyBaseline, TaskTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score


class RegressionTraits(TaskTraits):
    """A number."""

    title = "a number"
    meaning = "The number, in the unit of the table."
    is_continuous = True
    metrics = metrics_named(REGRESSION)
    main_metric = "rmse"
    conformal = "intervals"
    plots = ("residuals",)
    dummy = DummyBaseline("mean", "mean of the training rows")


class FittedRegression(RegressionTraits, FittedNumber):
    """`(truth - center) / scale` is what the network learns, with `transform` of the transformed truth."""

    task: Literal["regression"] = "regression"
    center: float
    scale: float = Field(gt=0)
    minimum: float
    maximum: float
    error: Literal["squared", "absolute", "huber"]
    transform: NumberTransform | None = None
    mean: float | None = Field(None, description="Of training rows, where `center` is that of their transform.")
    deviation: float | None = Field(None, gt=0, description="Their standard deviation, where `scale` is that of their transform.")
    bins: tuple[float, ...] = Field((), description="Standardised numbers that are classified among, ascending; none without `bins`.")
    bins_weight: float | None = Field(None, gt=0, description="Weight of the classification next to the error; None in place of it.")

    @property
    def spread(self) -> float:
        """The standard deviation of training rows."""
        return self.scale if self.deviation is None else self.deviation

    @property
    def predicts_median(self) -> bool:
        """With the absolute error."""
        minimized = self.error if self.own_loss is None else self.own_loss["method"]
        return bool(minimized == "absolute")

    @property
    def least_answer(self) -> float:
        """0 with `transform: log`, which is for numbers of 0 or more."""
        return 0.0 if isinstance(self.transform, LogTransform) else super().least_answer

    def standardized(self, truth: Any) -> Any:
        """Return the answers, (batch,), as the network learns them: float32, mean 0 and standard deviation 1 in training rows."""
        import tensorflow as tf

        # Standardized in float64: a year such as 2024.5 has only 13 bits of fraction left in float32.
        answers = tf.cast(truth, tf.float64)
        learned = answers if self.transform is None else self.transform.apply(answers)
        return tf.cast((learned - self.center) / self.scale, tf.float32)

    def head(self, features: Any, name: str) -> Any:
        """Return the raw output: (batch, 1), with bins (batch, 1 + bins)."""
        if not self.bins:
            return super().head(features, name)
        import keras

        from mmtrain.layers.numbers.prediction_scales import BinExpectation

        given = keras.Input(features.shape[1:], dtype=features.dtype)
        if self.bins_weight is not None:
            raw = keras.layers.Dense(1 + len(self.bins), dtype="float32")(given)
        else:
            raw = BinExpectation(bins=list(self.bins), dtype="float32")(keras.layers.Dense(len(self.bins), dtype="float32")(given))
        return keras.Model(given, raw, name=name)(features)

    @property
    def raw_units(self) -> int:
        """The number, and a logit per bin."""
        return 1 + len(self.bins)

    @property
    def raw_adds_up(self) -> bool:
        """Unless the number is the expectation of the bins."""
        return not self.bins or self.bins_weight is not None

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Squared, absolute or Huber error of the standardized number; with bins the cross-entropy."""
        if self.bins and self.bins_weight is None:
            return self._cross_entropy(truth, raw)
        return losses[self.error].build(self, truth, raw[:, :1])

    def minimized(self, truth: Any, raw: Any) -> Any:
        """The loss of the number, and the cross-entropy of bins where it is an auxiliary loss."""
        if self.bins_weight is None or not self.bins:
            return super().minimized(truth, raw)
        auxiliary = self.bins_weight * self._cross_entropy(self.without_gaps(truth), raw)
        return super().minimized(truth, raw[:, :1]) + auxiliary

    def _cross_entropy(self, truth: Any, raw: Any) -> Any:
        return bin_losses(self.bins, self.standardized(truth), raw[:, 1:])

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:  # noqa: ARG002 (of probabilities)
        """The loss of the task, with the number of the teacher as the answer."""
        return self.minimized(teacher[:, 0], raw)

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The distance, in the target's unit."""
        import numpy as np

        distance: np.ndarray[Any, np.dtype[np.float64]] = np.abs(truth.astype(np.float64) - prediction.reshape(-1))
        return distance

    def activation(self, name: str) -> Any:
        """Back to the target's unit; (batch, 1)."""
        if self.transform is not None:
            return self.transform.inverse(self.center, self.scale, name)
        from mmtrain.layers.numbers.prediction_scales import Affine

        return Affine(scale=self.scale, offset=self.center, dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Errors in the target's unit."""
        from mmtrain.metrics import regression_scores

        return regression_scores(truth, prediction.reshape(-1))

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics import regression_scorer

        return regression_scorer(truth, prediction.reshape(-1))

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The mean of training rows, for every row: the constant with the lowest RMSE."""
        import numpy as np

        return np.full((count, 1), self.center if self.mean is None else self.mean)


@task("regression", FittedRegression)
class RegressionTarget(RegressionTraits, NumberTarget):
    """A number."""

    task: Literal["regression"] = "regression"
    error: Literal["squared", "absolute", "huber"] = Field(
        "squared", description="What the loss adds up; absolute and huber bear outliers better."
    )
    transform: Literal["none", "log", "quantile"] = Field(
        "none",
        description="What is learned in place of a skewed number; predictions and scores stay in its unit. log: its logarithm, for numbers "
        "of 0 or more; quantile: the normal quantile of its rank. Its price: predictions are nearer to the median than to the mean.",
    )
    bins: int = Field(
        0,
        ge=0,
        le=1000,
        description="Learn the number as a classification among this number of quantiles of the training answers, 20 for example, and "
        "predict the expectation; 0: by its error. For pretrained encoders that are tuned.",
    )
    bins_weight: float | None = Field(
        None,
        gt=0,
        description="With `bins`: learn the number by its error, and the classification as an auxiliary loss of this weight, 0.1 for "
        "example. Left out: the classification takes the place of the error.",
    )

    @model_validator(mode="after")
    def _one_loss(self) -> Self:
        others = [
            name
            for name, given in (("error", self.error != "squared"), ("loss", self.loss), ("transform", self.transform != "none"))
            if given
        ]
        if self.bins == 1:
            raise ValueError("`bins: 1` leaves nothing to learn. Set 20 for example, or 0.")
        if self.bins_weight is not None and not self.bins:
            raise ValueError("`bins_weight` is the weight of a classification among `bins`. Set `bins: 20` as well, for example.")
        if self.bins_weight is not None:
            others = [name for name in others if name == "transform"]
        if self.bins and others:
            raise ValueError(f"`bins` is a loss of its own; it excludes {listed([f'`{name}`' for name in others])}. Leave one of them out.")
        return self

    def faults(self, cells: pd.Series[str]) -> list[CellError]:
        """Missing answers, words, infinities, a target that never changes, or too little for float32."""
        import numpy as np

        errors = Target.faults(self, cells) + self.malformed(cells)
        if errors:
            return errors
        numbers = parse_numbers(cells)
        below = np.flatnonzero(numbers < 0)
        if self.transform == "log" and len(below):
            what = f"{str(cells.iloc[below[0]])!r} is below 0, and `transform: log` is for numbers of 0 or more."
            return [CellError(below, what, "Set `transform: quantile`, or leave it out.")]
        return spread_errors(parse_numbers(cells[~self.missing_cells(cells)]))

    def malformed(self, cells: pd.Series[str]) -> list[CellError]:
        """Words and infinities."""
        # Missing answers are allowed here; only what is written and not a number is wrong.
        answers = cells.mask(self.missing_cells(cells))
        return number_errors(answers, "Set `task: multiclass` for classes; the answer of a regression is a number.")

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedRegression:  # noqa: ARG002
        """Mean and standard deviation of training rows."""
        values = parse_numbers(cells[self.column])
        center, scale = center_and_scale(values)
        transform, unit = fit_transform(self.transform, values), {}
        if transform is not None:
            # Scores and intervals stay in the unit of the table, whatever is learned.
            unit = {"mean": center, "deviation": scale}
            center, scale = center_and_scale(transform.learned(values))
        return FittedRegression(
            column=self.column,
            loss_weight=self.loss_weight,
            center=center,
            scale=scale,
            minimum=float(values.min()),
            maximum=float(values.max()),
            error=self.error,
            transform=transform,
            bins=self._bins(values, center, scale),
            bins_weight=self.bins_weight,
            **unit,
        )

    def _bins(self, values: np.ndarray[Any, Any], center: float, scale: float) -> tuple[float, ...]:
        """Return quantiles of the training answers, standardised, from the smallest to the largest answer; equal ones once."""
        import numpy as np

        quantiles = np.quantile(values, np.linspace(0, 1, self.bins)) if self.bins else np.empty(0)
        # Of float32, in which the network computes: closer ones would be equal there.
        return tuple(np.unique(((quantiles - center) / scale).astype(np.float32)).astype(float).tolist())
