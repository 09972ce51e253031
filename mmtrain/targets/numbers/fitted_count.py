"""Fitted targets of counts: the raw output is the logarithm of the expected count over its mean in training rows.

With `distribution: negative_binomial` a second raw output is the logarithm of the dispersion a of each row: the variance of a count is
mean + a * mean ** 2 (NB2: Cameron and Trivedi 1986), where that of a Poisson distribution is the mean.

With `exposure`, such as the years that a row was observed, the expected count is the predicted rate times the exposure, whose logarithm is
an offset in the loss (McCullagh and Nelder 1989). Scores weigh rows by their exposure.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.numbers import parse_numbers
from mmtrain.metrics.score import Metric, metrics_named
from mmtrain.targets.fitted_target import TruthSpec
from mmtrain.targets.numbers.single_number import FittedNumber
from mmtrain.targets.prediction_columns import PREDICTION, TRUTH
from mmtrain.targets.traits import DummyBaseline, TaskTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score
    from mmtrain.targets.prediction_columns import Mixture

DISPERSION = "dispersion"
"""Column of predictions with the dispersion of the negative binomial distribution."""
EXPOSURE, EXPECTED = "exposure", "expected_count"
"""Columns of predictions with the exposure of each row, next to the truth, and the expected count at that exposure."""
MOST_DISPERSION = 100.0
LEAST_LOG_DISPERSION = -10.0
"""Limits of the dispersion in the loss; at exp(-10) the distribution is that of Poisson."""


class CountTraits(TaskTraits):
    """A count."""

    title = "a count"
    meaning = "The expected count, with an exposure per unit of it; with the negative binomial distribution, behind it the dispersion."
    is_continuous = True
    metrics = (
        Metric("mean_deviance", higher_is_better=False, unbiased=True, minimum=0),
        *metrics_named(("mae", "rmse")),
    )
    main_metric = "mean_deviance"
    conformal = "intervals"
    plots = ("residuals",)
    dummy = DummyBaseline("mean", "mean of the training rows")


class FittedCount(CountTraits, FittedNumber):
    """The expected count of a row is `mean * exp(raw)`, with an exposure per unit of it; the truth is the count and the exposure."""

    task: Literal["count"] = "count"
    mean: float = Field(gt=0)
    maximum: float
    deviation: float = Field(gt=0)
    dispersion: float | None = Field(None, gt=0, description="Of training rows around their mean; only of the negative binomial.")
    exposure: str = Field("", description="Header of the exposure; empty without one.")
    usual_exposure: float = Field(1.0, gt=0, description="Mean exposure of training rows, so that its unit makes no difference.")

    @property
    def number_columns(self) -> tuple[str, ...]:
        """The expected count and the dispersion of the negative binomial."""
        return () if self.dispersion is None else (PREDICTION, DISPERSION)

    @property
    def mixture(self) -> Mixture | None:
        """The second column is a dispersion, with the negative binomial distribution."""
        return None if self.dispersion is None else "dispersion"

    @property
    def spread(self) -> float:
        """The standard deviation of training rows."""
        return self.deviation

    @property
    def squares_losses(self) -> bool:
        """False: the mean of expected counts has the lowest mean deviance itself."""
        return False

    @property
    def reference_loss(self) -> Literal["squared", "absolute", "poisson"]:
        """The Poisson deviance; a squared error would allow counts below 0."""
        return "poisson"

    @property
    def truth_spec(self) -> TruthSpec:
        """A count, and its exposure; float64."""
        return TruthSpec((2,) if self.exposure else (), "float64")

    @property
    def row_headers(self) -> tuple[str, ...]:
        """The header of the exposure, by which the expected count follows from the rate."""
        return (self.exposure,) if self.exposure else ()

    @property
    def row_rule(self) -> str:
        """An exposure that is above 0."""
        return "a number above 0"

    def truth(self, cells: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows,) float64; with an exposure (rows, 2), NaN where one of the two is missing, or the exposure is not above 0."""
        import numpy as np

        counts = parse_numbers(cells[self.column])
        if not self.exposure:
            return counts
        exposures = parse_numbers(cells[self.exposure])
        return np.stack([counts, np.where(exposures > 0, exposures, np.nan)], axis=1)

    def known_rows(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Rows with a count, and an exposure where the target has one."""
        import numpy as np

        return np.asarray(~np.isnan(truth.reshape(len(truth), -1)).any(axis=1))

    def _rates(self, truth: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return counts per unit of exposure and the exposures, (rows,) each; without an exposure the counts and ones."""
        import numpy as np

        return (truth[:, 0] / truth[:, 1], truth[:, 1]) if self.exposure else (truth, np.ones(len(truth)))

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Minus the log-likelihood, without the terms that depend on the count alone."""
        import tensorflow as tf

        truth = tf.where(tf.math.is_nan(truth), tf.zeros_like(truth), truth)
        count = tf.cast(truth[:, 0] if self.exposure else truth, tf.float32)
        offset = (
            tf.cast(tf.math.log(tf.where(truth[:, 1] > 0, truth[:, 1], tf.ones_like(truth[:, 1]))), tf.float32) if self.exposure else 0.0
        )
        log_mean = tf.clip_by_value(raw[:, 0] + log(self.mean) + offset, -30.0, 30.0)
        if self.dispersion is None:
            return tf.exp(log_mean) - count * log_mean
        log_dispersion = tf.clip_by_value(raw[:, 1] + log(self.dispersion), LEAST_LOG_DISPERSION, log(MOST_DISPERSION))
        size = tf.exp(-log_dispersion)
        # log(1 + a * mean), of which both terms of the likelihood consist.
        grown = tf.math.softplus(log_dispersion + log_mean)
        gammas = tf.math.lgamma(count + size) - tf.math.lgamma(size)
        return (count + size) * grown - count * (log_dispersion + log_mean) - gammas

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:  # noqa: ARG002 (of probabilities)
        """The loss of the task, with the expected count of the teacher as the answer, at the mean exposure of training rows."""
        import tensorflow as tf

        count = teacher[:, 0] * self.usual_exposure
        return self.minimized(tf.stack([count, tf.fill(tf.shape(count), self.usual_exposure)], axis=1) if self.exposure else count, raw)

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The deviance of each row, at the dispersion of training rows."""
        import numpy as np

        from mmtrain.metrics.numbers.counts import deviances

        known = self.known_rows(truth)
        rates, exposures = self._rates(truth[known])
        losses = np.full(len(truth), np.nan)
        losses[known] = deviances(rates * exposures, prediction[known, 0] * exposures, self._dispersion)
        return losses

    @property
    def _dispersion(self) -> float:
        # That of training rows for every prediction: by its own, a prediction of an infinite dispersion would have a deviance of 0.
        return self.dispersion or 0.0

    def activation(self, name: str) -> Any:
        """The exponential; (batch, 1 or 2)."""
        from mmtrain.layers.numbers.target_scales import CountMoments

        # Twice the largest count of training rows: an exponential may otherwise leave all that was seen far behind.
        limits = [log(2 * self.maximum + 1 / self.usual_exposure), log(MOST_DISPERSION)][: self.units]
        offsets = [log(self.mean), 0.0 if self.dispersion is None else log(self.dispersion)][: self.units]
        return CountMoments(offsets=offsets, limits=limits, dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Deviance, at the dispersion of training rows, and errors of the expected counts."""
        from mmtrain.metrics.numbers.counts import count_scores

        rates, exposures = self._rates(truth)
        return count_scores(rates, prediction[:, 0], self._dispersion, exposures)

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics.numbers.counts import count_scorer

        rates, exposures = self._rates(truth)
        return count_scorer(rates, prediction[:, 0], self._dispersion, exposures)

    def row_columns(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """The expected count at the exposure of each row; NaN for a row without one."""
        return {EXPECTED: (truth[:, 1] * prediction[:, 0]).astype("float32")} if self.exposure else {}

    @property
    def compared_column(self) -> str:
        """The expected count."""
        return EXPECTED if self.exposure else PREDICTION

    def truth_columns(self, truth: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
        """The count and the exposure."""
        return {TRUTH: self.decode_truth(truth)} | ({EXPOSURE: truth[:, 1]} if self.exposure else {})

    def decode_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The count."""
        return truth[:, 0] if self.exposure else truth

    def parse_truth(self, columns: Mapping[str, pd.Series[str]]) -> np.ndarray[Any, Any]:
        """(rows,) float64; with an exposure (rows, 2)."""
        import numpy as np

        counts = parse_numbers(columns[TRUTH])
        return np.stack([counts, parse_numbers(columns[EXPOSURE])], axis=1) if self.exposure else counts

    @property
    def least_answer(self) -> float:
        """No count is below 0."""
        return 0.0

    def conformal_truth(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The count, with an exposure per unit of it."""
        return self._rates(truth)[0]

    def reference_answers(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The count, with an exposure per unit of it."""
        return self._rates(truth)[0]

    def reference_weights(self, truth: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | float:
        """The exposure: a model of rates that are weighted by it is one of counts with its logarithm as an offset."""
        return self._rates(truth)[1] if self.exposure else 1.0

    def reference_prediction(self, number: np.ndarray[Any, Any], error: float) -> np.ndarray[Any, Any]:  # noqa: ARG002
        """The expected count, with the dispersion of training rows."""
        import numpy as np

        return number[:, None] if self.dispersion is None else np.stack([number, np.full(len(number), self.dispersion)], axis=1)

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The mean of training rows, with their dispersion."""
        import numpy as np

        return np.tile([self.mean] if self.dispersion is None else [self.mean, self.dispersion], (count, 1))
