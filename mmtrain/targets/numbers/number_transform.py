"""Transforms of skewed answers: the network learns the transformed number, predictions and scores stay in the answer's own unit.

| method | the network learns | for |
|---|---|---|
| `log` | log(answer + shift); the shift is 0, or the smallest answer above 0 where some answers are 0 | prices, incomes, counts |
| `quantile` | the normal quantile of the answer's rank among training rows, linear between at most 256 of them | any shape |

A prediction is the answer whose transform the network expects, which is nearer to the median of the answers than to their mean.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mmtrain.registry import Section

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[np.float64]]

KNOTS = 256


class LogTransform(Section):
    """The natural logarithm of the answer and a shift; predictions are limited to the range of training answers."""

    method: Literal["log"] = "log"
    shift: float = Field(ge=0)
    low: float
    high: float
    """Smallest and largest transformed answer of training rows."""

    @classmethod
    def fit(cls, answers: Numbers) -> LogTransform:
        """Learn from the answers of training rows, all of them 0 or more."""
        import numpy as np

        above = answers[answers > 0]
        # log(0) is avoided by a shift in the unit of the answers; 1 where every answer is 0.
        shift = float(above.min()) if len(above) < len(answers) and len(above) else 0.0 if len(above) else 1.0
        return cls(shift=shift, low=float(np.log(answers.min() + shift)), high=float(np.log(answers.max() + shift)))

    def learned(self, answers: Numbers) -> Numbers:
        """Return the transform of training answers."""
        import numpy as np

        return np.asarray(np.log(answers + self.shift))

    def apply(self, answers: Any) -> Any:
        """Return the transformed answers, (batch,) float64, none below those of training rows: a TensorFlow function."""
        import tensorflow as tf

        # 1e-300: the logarithm of 0 would be -inf before the maximum bounds it.
        return tf.maximum(tf.math.log(tf.maximum(answers + self.shift, 1e-300)), self.low)

    def inverse(self, center: float, scale: float, name: str) -> Any:
        """Return a Keras layer from standardized transformed numbers to answers."""
        from mmtrain.layers.numbers.prediction_scales import Exponential

        # No further than the training answers: a standard deviation more, and a few rows took the R2 of a skewed table from .77 to -1.86.
        limits = {"low": self.low, "high": self.high}
        return Exponential(scale=scale, offset=center, shift=self.shift, **limits, dtype="float32", name=name)


class QuantileTransform(Section):
    """A rising line through answers and their normal quantiles, level beyond both ends."""

    method: Literal["quantile"] = "quantile"
    answers: tuple[float, ...] = Field(min_length=2)
    quantiles: tuple[float, ...] = Field(min_length=2)

    @classmethod
    def fit(cls, answers: Numbers) -> QuantileTransform:
        """Learn from the answers of training rows, of which two at least differ. Equal answers have the mean of their ranks."""
        import numpy as np

        distinct, counts = np.unique(answers, return_counts=True)
        # Mid-ranks: equal answers share the mean of their ranks, and no rank is 0 or 1.
        ranks = (np.cumsum(counts) - counts / 2) / len(answers)
        # The distinct answers nearest to `KNOTS` evenly spaced ranks; fewer when many coincide.
        knots = np.unique(np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], KNOTS)).clip(max=len(distinct) - 1))
        quantiles = map(NormalDist().inv_cdf, ranks[knots].tolist())
        return cls(answers=tuple(distinct[knots].tolist()), quantiles=tuple(quantiles))

    def learned(self, answers: Numbers) -> Numbers:
        """Return the transform of training answers."""
        import numpy as np

        return np.interp(answers, self.answers, self.quantiles)

    def apply(self, answers: Any) -> Any:
        """Return the transformed answers, (batch,) float64: a TensorFlow function."""
        import tensorflow as tf

        from mmtrain.layers.numbers.prediction_scales import along_line

        return along_line(tf.cast(answers, tf.float64)[:, None], self.answers, self.quantiles)[:, 0]

    def inverse(self, center: float, scale: float, name: str) -> Any:
        """Return a Keras layer from standardized transformed numbers to answers."""
        from mmtrain.layers.numbers.prediction_scales import QuantileInverse

        points, values = list(self.quantiles), list(self.answers)
        return QuantileInverse(scale=scale, offset=center, points=points, values=values, dtype="float32", name=name)


NumberTransform = Annotated[LogTransform | QuantileTransform, Field(discriminator="method")]


def fit_transform(method: Literal["none", "log", "quantile"], answers: Numbers) -> LogTransform | QuantileTransform | None:
    """Return the fitted transform; none where all answers are alike."""
    if method == "none" or answers.min() == answers.max():
        return None
    return LogTransform.fit(answers) if method == "log" else QuantileTransform.fit(answers)
