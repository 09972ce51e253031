"""`task: quantiles`: several quantiles of a number, which never cross: the middle one, and steps of softplus from it up and down.

The loss is the pinball loss of each quantile of the standardized number (Koenker and Bassett 1978).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from mmtrain.columns.numbers import center_and_scale, parse_numbers
from mmtrain.metrics.score import Metric, metrics_named
from mmtrain.targets.base import ClassWeights, task
from mmtrain.targets.baseline_models import ReferenceKind
from mmtrain.targets.fitted_target import ScoreTable
from mmtrain.targets.numbers.single_number import FittedNumber, NumberTarget
from mmtrain.targets.prediction_columns import ConformalBand
from mmtrain.targets.traits import DummyBaseline, TaskTraits

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd

    from mmtrain.metrics.bootstrap_counts import Scorer
    from mmtrain.metrics.score import Score

Level = Annotated[float, Field(gt=0, lt=1)]


def quantile_column(level: float) -> str:
    """Return the name of the column of predictions with a quantile."""
    return f"quantile_{level:g}"


class QuantileTraits(TaskTraits):
    """Quantiles of a number."""

    title = "quantiles of a number"
    meaning = "The quantiles, ascending, in the unit of the table."
    is_continuous = True
    metrics = (
        Metric("pinball_loss", higher_is_better=False, in_target_unit=True, unbiased=True, minimum=0),
        Metric("interval_score", higher_is_better=False, in_target_unit=True, unbiased=True, minimum=0),
        Metric("coverage_gap", higher_is_better=False, title="Gap of coverage", minimum=0, maximum=1),
        *metrics_named(("mae",)),
    )
    main_metric = "pinball_loss"
    conformal = "intervals"
    plots = ("quantile_coverage", "residuals")
    dummy = DummyBaseline("quantiles", "quantiles of the training rows")


class FittedQuantiles(QuantileTraits, FittedNumber):
    """`(quantile - center) / scale` is what the network learns."""

    task: Literal["quantiles"] = "quantiles"
    levels: tuple[Level, ...]
    center: float
    scale: float = Field(gt=0)
    quantiles: tuple[float, ...] = Field(description="Of the training rows, at each level.")

    @property
    def number_columns(self) -> tuple[str, ...]:
        """A column per level."""
        return tuple(quantile_column(level) for level in self.levels)

    @property
    def explained_unit(self) -> int:
        """The level nearest to 0.5."""
        from mmtrain.metrics.numbers.quantiles import middle_of

        return middle_of(self.levels)

    @property
    def spread(self) -> float:
        """The standard deviation of training rows."""
        return self.scale

    @property
    def squares_losses(self) -> bool:
        """False: the pinball loss is minimized as it is."""
        return False

    @property
    def reference_kind(self) -> ReferenceKind:
        """A model for each quantile."""
        return "each quantile"

    @property
    def reference_levels(self) -> tuple[float, ...]:
        """The levels."""
        return self.levels

    def conformal_band(self, prediction: np.ndarray[Any, Any]) -> ConformalBand:
        """The numbers from the lowest to the highest quantile."""
        import numpy as np

        quantiles = prediction.astype(np.float64)
        return ConformalBand(quantiles[:, 0], quantiles[:, -1], np.ones(len(quantiles)))

    def row_loss(self, truth: Any, raw: Any) -> Any:
        """The pinball loss of the standardized number, the mean over levels."""
        import tensorflow as tf

        from mmtrain.layers.numbers.target_scales import ascending

        answers = (tf.cast(truth, tf.float64) - self.center) / self.scale
        above = tf.cast(tf.where(tf.math.is_nan(answers), tf.zeros_like(answers), answers), tf.float32)[:, None]
        above = above - ascending(raw, self.explained_unit)
        levels = tf.constant(self.levels, tf.float32)
        return tf.reduce_mean(tf.maximum(levels * above, (levels - 1) * above), axis=1)

    def distillation_loss(self, teacher: Any, raw: Any, temperature: float) -> Any:  # noqa: ARG002 (of probabilities)
        """The mean absolute distance from the quantiles of the teacher, standardized."""
        import tensorflow as tf

        from mmtrain.layers.numbers.target_scales import ascending

        return tf.reduce_mean(tf.abs((teacher - self.center) / self.scale - ascending(raw, self.explained_unit)), axis=1)

    def row_losses(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The pinball loss, the mean over levels, in the target's unit."""
        from mmtrain.metrics.numbers.quantiles import pinball_losses

        losses: np.ndarray[Any, np.dtype[np.float64]] = pinball_losses(truth, prediction, self.levels).mean(axis=1)
        return losses

    def activation(self, name: str) -> Any:
        """Ascending numbers in the target's unit; (batch, levels)."""
        from mmtrain.layers.numbers.target_scales import OrderedNumbers

        return OrderedNumbers(middle=self.explained_unit, scale=self.scale, offset=self.center, dtype="float32", name=name)

    def scores(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> tuple[Score, ...]:
        """Pinball loss, and the outer interval."""
        from mmtrain.metrics.numbers.quantiles import quantile_scores

        return quantile_scores(truth, prediction, self.levels)

    def scorer(self, truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]) -> Scorer:
        """Return a function that computes these scores for bootstrap draws."""
        from mmtrain.metrics.numbers.quantiles import quantile_scorer

        return quantile_scorer(truth, prediction, self.levels)

    def tables(
        self,
        truth: np.ndarray[Any, Any],
        prediction: np.ndarray[Any, Any],
        groups: np.ndarray[Any, Any] | None = None,  # noqa: ARG002
    ) -> dict[str, ScoreTable]:
        """The share of answers below each quantile, and inside the outer interval."""
        below = (truth[:, None] <= prediction).mean(axis=0)
        rows: list[list[str | bool | int | float | None]] = [
            [f"below the {level:g} quantile", level, float(share)] for level, share in zip(self.levels, below, strict=True)
        ]
        if len(self.levels) > 1:
            inside = float(((truth >= prediction[:, 0]) & (truth <= prediction[:, -1])).mean())
            rows.append([f"between {self.levels[0]:g} and {self.levels[-1]:g}", round(self.levels[-1] - self.levels[0], 6), inside])
        return {"coverage": ScoreTable(("Answers", "expected share", "observed share"), rows, "Coverage of the quantiles")}

    def baseline(self, count: int) -> np.ndarray[Any, Any]:
        """The quantiles of training rows."""
        import numpy as np

        return np.tile(self.quantiles, (count, 1))


@task("quantiles", FittedQuantiles)
class QuantileTarget(QuantileTraits, NumberTarget):
    """Quantiles of a number, such as an interval with 80 % of the answers."""

    task: Literal["quantiles"] = "quantiles"
    levels: tuple[Level, ...] = Field((0.1, 0.5, 0.9), min_length=1, description="The quantiles, ascending.", examples=[[0.05, 0.5, 0.95]])

    @field_validator("levels")
    @classmethod
    def _ascending(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if any(upper <= lower for lower, upper in itertools.pairwise(levels)):
            raise ValueError(f"`levels` have to ascend. Write them as {sorted(set(levels))}.")
        names = [quantile_column(level) for level in levels]
        if len(set(names)) < len(names):
            raise ValueError("two `levels` differ after six digits, and name one column of predictions. Leave one of them out.")
        return levels

    def fit(self, cells: Mapping[str, pd.Series[str]], default_weights: ClassWeights) -> FittedQuantiles:  # noqa: ARG002
        """Mean, standard deviation and quantiles of training rows."""
        import numpy as np

        values = parse_numbers(cells[self.column])
        values = values[~np.isnan(values)]
        center, scale = center_and_scale(values)
        return FittedQuantiles(
            column=self.column,
            loss_weight=self.loss_weight,
            levels=self.levels,
            center=center,
            scale=scale,
            quantiles=tuple(np.quantile(values, self.levels).tolist()),
        )
