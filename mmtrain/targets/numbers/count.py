"""`task: count`: how often something happens; the raw output is the logarithm of the expected count over its mean in training rows.

With `distribution: negative_binomial` a second raw output is the logarithm of the dispersion a of each row: the variance of a count is
mean + a * mean ** 2 (NB2: Cameron and Trivedi 1986), where that of a Poisson distribution is the mean.
"""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mmtrain.columns.cells import CellError
from mmtrain.columns.numbers import parse_numbers
from mmtrain.metrics.score import Metric, metrics_named
from mmtrain.targets.base import ClassWeights, task
from mmtrain.targets.numbers.single_number import FittedNumber, NumberTarget
from mmtrain.targets.prediction_columns import PREDICTION
from mmtrain.targets.traits import DummyBaseline, TaskTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score

DISPERSION = "dispersion"
"""Column of predictions with the dispersion of the negative binomial distribution."""
MOST_DISPERSION = 100.0
LEAST_LOG_DISPERSION = -10.0
"""Limits of the dispersion in the loss; at exp(-10) the distribution is that of Poisson."""


class CountTraits(TaskTraits):
    """A count."""

    title = "a count"
    meaning = "The expected count; with the negative binomial distribution, behind it the dispersion."
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
    """The expected count of a row is `mean * exp(raw)`."""

    task: Literal["count"] = "count"
    mean: float = Field(gt=0)
    maximum: float
    deviation: float = Field(gt=0)
    dispersion: float | None = Field(None, gt=0, description="Of training rows around their mean; only of the negative binomial.")

    @property
    def number_columns(self) -> tuple[str, ...]:
        """The expected count and the dispersion of the negative binomial."""
        return () if self.dispersion is None else (PREDICTION, DISPERSION)

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

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """Minus the log-likelihood, without the terms that depend on the count alone."""
        import tensorflow as tf

        count = tf.cast(tf.where(tf.math.is_nan(truth), tf.zeros_like(truth), truth), tf.float32)
        log_mean = tf.clip_by_value(raw[:, 0] + log(self.mean), -30.0, 30.0)
        if self.dispersion is None:
            return tf.exp(log_mean) - count * log_mean
        log_dispersion = tf.clip_by_value(raw[:, 1] + log(self.dispersion), LEAST_LOG_DISPERSION, log(MOST_DISPERSION))
        size = tf.exp(-log_dispersion)
        # log(1 + a * mean), of which both terms of the likelihood consist.
        grown = tf.math.softplus(log_dispersion + log_mean)
        gammas = tf.math.lgamma(count + size) - tf.math.lgamma(size)
        return (count + size) * grown - count * (log_dispersion + log_mean) - gammas

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:  # noqa: ARG002 (of probabilities)
        """The loss of the task, with the expected count of the teacher as the answer."""
        return self.minimized(teacher[:, 0], raw)

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The deviance of each row, at the dispersion of training rows."""
        import numpy as np

        from mmtrain.metrics.numbers.counts import deviances

        known = self.known_rows(truth)
        return np.where(known, deviances(np.where(known, truth, 0.0), prediction[:, 0], self._dispersion), np.nan)

    @property
    def _dispersion(self) -> float:
        # That of training rows for every prediction: by its own, a prediction of an infinite dispersion would have a deviance of 0.
        return self.dispersion or 0.0

    def activation(self, name: str) -> Any:
        """The exponential; (batch, 1 or 2)."""
        from mmtrain.layers.numbers.target_scales import CountMoments

        # Twice the largest count of training rows: an exponential may otherwise leave all that was seen far behind.
        limits = [log(2 * self.maximum + 1), log(MOST_DISPERSION)][: self.units]
        offsets = [log(self.mean), 0.0 if self.dispersion is None else log(self.dispersion)][: self.units]
        return CountMoments(offsets=offsets, limits=limits, dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Deviance, at the dispersion of training rows, and errors of the expected counts."""
        from mmtrain.metrics.numbers.counts import count_scores

        return count_scores(truth, prediction[:, 0], self._dispersion)

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics.numbers.counts import count_scorer

        return count_scorer(truth, prediction[:, 0], self._dispersion)

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The mean of training rows, with their dispersion."""
        import numpy as np

        return np.tile([self.mean] if self.dispersion is None else [self.mean, self.dispersion], (count, 1))


@task("count", FittedCount)
class CountTarget(CountTraits, NumberTarget):
    """Number of times that something happens: 0, 1, 2 and so on."""

    task: Literal["count"] = "count"
    distribution: Literal["poisson", "negative_binomial"] = Field(
        "poisson",
        description="poisson: the variance of a count is its mean; negative_binomial: it may be larger, by a dispersion that is predicted "
        "for every row. For counts that vary more than their mean says, such as visits of patients.",
    )

    def malformed(self, cells: pd.Series[str]) -> list[CellError]:
        """Words, infinities, and numbers that are not counts."""
        import numpy as np

        errors = super().malformed(cells)
        if errors:
            return errors
        values = np.where(self.missing_cells(cells), 0.0, parse_numbers(cells))
        strange = np.flatnonzero((values < 0) | (values != np.floor(values)))
        if not len(strange):
            return []
        what = f"{str(cells.iloc[strange[0]])!r} is not a count: counts are whole numbers of 0 or more."
        return [CellError(strange, what, "Correct the cell, or set `task: regression`.")]

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedCount:  # noqa: ARG002
        """Mean, deviation and dispersion of training rows."""
        import numpy as np

        values = parse_numbers(cells[self.column])
        values = values[~np.isnan(values)]
        # Half a count more than nothing, where every training row has 0.
        mean, variance = float(values.mean()) or 0.5 / max(len(values), 1), float(values.var())
        # By moments: variance = mean + dispersion * mean ** 2.
        dispersion = min(max((variance - mean) / mean**2, 0.01), MOST_DISPERSION)
        return FittedCount(
            column=self.column,
            loss_weight=self.loss_weight,
            mean=mean,
            maximum=float(values.max(initial=1.0)),
            deviation=variance**0.5 or 1.0,
            dispersion=dispersion if self.distribution == "negative_binomial" else None,
        )
