"""The learning-rate schedules that come with mmtrain."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field, PositiveInt

from mmtrain.optim.base import SchedulePosition, schedule

Factor = Annotated[float, Field(ge=0, le=1)]


@schedule
def constant(position: SchedulePosition) -> float:  # noqa: ARG001
    """The rate stays."""
    return 1.0


@schedule
def cosine(position: SchedulePosition, *, final: Annotated[Factor, Field(description="The factor at the last step.")] = 0.0) -> float:
    """Half a cosine from 1 down to `final` at the last epoch (Loshchilov and Hutter 2017, arXiv:1608.03983)."""
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * position.progress))


@schedule
def exponential(
    position: SchedulePosition, *, decay: Annotated[float, Field(gt=0, le=1, description="The factor per epoch.")] = 0.95
) -> float:
    """The rate is multiplied by `decay` every epoch, smoothly."""
    return float(decay**position.epoch)


@schedule
def plateau(
    position: SchedulePosition,
    *,
    factor: Annotated[float, Field(gt=0, lt=1, description="What the rate is multiplied by.")] = 0.5,
    patience: Annotated[PositiveInt, Field(description="Epochs without improvement before the rate falls.")] = 3,
    lowest: Annotated[Factor, Field(description="The factor never falls below this.")] = 0.001,
) -> float:
    """The rate is multiplied by `factor` whenever the monitored score has not improved for `patience` epochs."""
    cut, waited = 1.0, 0
    for improved in position.improved:
        waited = 0 if improved else waited + 1
        if waited == patience:
            cut, waited = max(lowest, cut * factor), 0
    return cut
