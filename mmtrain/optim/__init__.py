"""Optimizers, learning-rate schedules and losses: functions whose keyword-only parameters are their options in the experiment file."""

from mmtrain.optim import optimizers as _optimizers  # noqa: F401  # registers the optimizers
from mmtrain.optim import schedules as _schedules  # noqa: F401  # registers the schedules
from mmtrain.optim.base import AnyLoss as AnyLoss
from mmtrain.optim.base import AnyOptimizer as AnyOptimizer
from mmtrain.optim.base import AnySchedule as AnySchedule
from mmtrain.optim.base import LossSection as LossSection
from mmtrain.optim.base import OptimizerSection as OptimizerSection
from mmtrain.optim.base import SchedulePosition as SchedulePosition
from mmtrain.optim.base import ScheduleSection as ScheduleSection
from mmtrain.optim.base import loss as loss
from mmtrain.optim.base import losses as losses
from mmtrain.optim.base import optimizer as optimizer
from mmtrain.optim.base import optimizers as optimizers
from mmtrain.optim.base import schedule as schedule
from mmtrain.optim.base import schedules as schedules
