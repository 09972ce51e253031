"""Results of conformal prediction of one target: sets of classes, or intervals of numbers."""

from __future__ import annotations

from typing import Literal

from mmtrain.artifacts.analysis_results import Proportion
from mmtrain.result_model import Count, ResultModel


class CalibrationHoldout(ResultModel):
    """The calibration rows that a conformal bound was fitted on."""

    rows: Count
    groups: Count | None
    """Null without a group column."""


class _ConformalResult(ResultModel):
    coverage: float
    """The coverage that was asked for."""
    found: Proportion
    """How often the set or the interval holds the true answer."""
    fitted_on: CalibrationHoldout
    note: str


class PredictionSets(_ConformalResult):
    """Conformal sets of classes, and how often they hold the true class."""

    kind: Literal["sets"]
    level: float
    """A class belongs to the set from this probability on."""
    mean_size: float
    """Mean number of classes in a set."""
    empty: Count
    """Number of empty sets."""


class PredictionIntervals(_ConformalResult):
    """Conformal prediction intervals of a number, and how often they hold the true one."""

    kind: Literal["intervals"]
    width: float | None
    """Mean over the scored rows, in the unit of the target; null where no interval is wide enough, or no scored row has an answer."""


class PredictionIntervalsPerNumber(ResultModel):
    """Conformal prediction intervals of each of several numbers, and how often each holds the true one."""

    kind: Literal["intervals_per_number"]
    numbers: dict[str, PredictionIntervals]
