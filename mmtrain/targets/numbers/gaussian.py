"""`task: gaussian`: a number with its standard deviation, both predicted for every row.

The network gives the mean and the logarithm of the variance of a normal distribution, both of the standardized number, and minimizes minus
the log-likelihood (Nix and Weigend 1994, doi:10.1109/ICNN.1994.374138). There the squared error of a row is divided by its variance, so
that rows which are hard at first may never be learned; `beta` gives a part of their weight back (Seitzer et al. 2022, arXiv:2203.09168).
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.numbers import center_and_scale, parse_numbers
from mmtrain.metrics.score import Metric, metrics_named
from mmtrain.targets.base import ClassWeights, task
from mmtrain.targets.fitted_target import ScoreTable
from mmtrain.targets.numbers.single_number import FittedNumber, NumberTarget
from mmtrain.targets.prediction_columns import PREDICTION, ConformalBand
from mmtrain.targets.traits import DummyBaseline, TaskTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score
    from mmtrain.targets.prediction_columns import Mixture

STANDARD_DEVIATION = "standard_deviation"
"""Column of predictions with the standard deviation of each row."""
LIMIT = 2 * log(1000.0)
"""Limit of the logarithm of the variance, in both directions: a standard deviation of 0.001 to 1,000 times that of the training rows."""


class GaussianTraits(TaskTraits):
    """A number and its standard deviation."""

    title = "a number with its standard deviation"
    meaning = "The expected number, and behind it its standard deviation, in the unit of the table."
    is_continuous = True
    metrics = (
        *metrics_named(("rmse", "mae", "r2")),
        Metric("crps", higher_is_better=False, title="Continuous ranked probability score", in_target_unit=True, unbiased=True, minimum=0),
        Metric("nll", higher_is_better=False, title="Negative log-likelihood", unbiased=True),
        Metric("coverage_gap", higher_is_better=False, title="Gap of coverage", minimum=0, maximum=1),
    )
    main_metric = "crps"
    conformal = "intervals"
    plots = ("residuals",)
    dummy = DummyBaseline("mean", "mean and standard deviation of the training rows")


class FittedGaussian(GaussianTraits, FittedNumber):
    """`(truth - center) / scale` is what the network learns the distribution of."""

    task: Literal["gaussian"] = "gaussian"
    center: float
    scale: float = Field(gt=0)
    beta: float = Field(ge=0, le=1)

    @property
    def number_columns(self) -> tuple[str, ...]:
        """The number and its standard deviation."""
        return (PREDICTION, STANDARD_DEVIATION)

    @property
    def spread(self) -> float:
        """The standard deviation of training rows."""
        return self.scale

    @property
    def mixture(self) -> Mixture:
        """The second column is a standard deviation."""
        return "deviation"

    @property
    def moments_around(self) -> float:
        """The mean of training rows."""
        return self.center

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Minus the log-likelihood without its constant, times the variance to the power of `beta`, which has no gradient."""
        import tensorflow as tf

        answers = tf.cast((tf.cast(self.without_gaps(truth), tf.float64) - self.center) / self.scale, tf.float32)
        log_variance = tf.clip_by_value(raw[:, 1], -LIMIT, LIMIT)
        losses = 0.5 * (log_variance + tf.square(answers - raw[:, 0]) * tf.exp(-log_variance))
        return losses * tf.stop_gradient(tf.exp(self.beta * log_variance)) if self.beta else losses

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:  # noqa: ARG002 (of probabilities)
        """The cross-entropy from the distribution of the teacher, without its constant."""
        import tensorflow as tf

        mean, deviation = (teacher[:, 0] - self.center) / self.scale, teacher[:, 1] / self.scale
        log_variance = tf.clip_by_value(raw[:, 1], -LIMIT, LIMIT)
        return 0.5 * (log_variance + (tf.square(mean - raw[:, 0]) + tf.square(deviation)) * tf.exp(-log_variance))

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The distance from the number, in the target's unit."""
        import numpy as np

        return np.asarray(np.abs(truth.astype(np.float64) - prediction[:, 0]))

    def activation(self, name: str) -> Any:
        """Mean and standard deviation in the target's unit; (batch, 2)."""
        from mmtrain.layers.numbers.prediction_scales import NormalMoments

        return NormalMoments(scale=self.scale, offset=self.center, limit=LIMIT, dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Errors of the number, and scores of the distribution."""
        from mmtrain.metrics.numbers.gaussian import gaussian_scores

        return gaussian_scores(truth, prediction[:, 0], prediction[:, 1])

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics.numbers.gaussian import gaussian_scorer

        return gaussian_scorer(truth, prediction[:, 0], prediction[:, 1])

    def conformal_band(self, prediction: np.ndarray[Any, Any]) -> ConformalBand:
        """The number, in units of its standard deviation."""
        import numpy as np

        number, deviation = prediction.astype(np.float64).T
        return ConformalBand(number, number, np.maximum(deviation, np.finfo(np.float32).tiny))

    def reference_prediction(self, number: np.ndarray[Any, Any], error: float) -> np.ndarray[Any, Any]:
        """The number, with the error of the model as its standard deviation in every row."""
        import numpy as np

        return np.stack([number, np.full(len(number), max(error, 1e-3 * self.scale))], axis=1)

    def tables(
        self,
        truth: np.ndarray[Any, Any],
        prediction: np.ndarray[Any, Any],
        groups: np.ndarray[Any, Any] | None = None,  # noqa: ARG002
    ) -> dict[str, ScoreTable]:
        """The share of answers inside of intervals around the prediction."""
        from mmtrain.metrics.numbers.gaussian import coverage

        rows: list[list[str | bool | int | float | None]] = [
            [f"central {level:.0%} interval", level, share] for level, share in coverage(truth, prediction[:, 0], prediction[:, 1]).items()
        ]
        return {"coverage": ScoreTable(("Answers", "expected share", "observed share"), rows, "Coverage of the predicted distributions")}

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """Mean and standard deviation of training rows, for every row."""
        import numpy as np

        return np.tile([self.center, self.scale], (count, 1))


@task("gaussian", FittedGaussian)
class GaussianTarget(GaussianTraits, NumberTarget):
    """A number with its standard deviation, for rows of which some are harder to predict than others."""

    task: Literal["gaussian"] = "gaussian"
    beta: float = Field(
        0.5,
        ge=0,
        le=1,
        description="How much of the weight that the likelihood takes from rows with a large variance is given back: 0 is the likelihood "
        "itself; with 1 the errors of all rows weigh the same, as in the squared error.",
    )

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedGaussian:  # noqa: ARG002
        """Mean and standard deviation of training rows."""
        center, scale = center_and_scale(parse_numbers(cells[self.column]))
        return FittedGaussian(column=self.column, loss_weight=self.loss_weight, center=center, scale=scale, beta=self.beta)
