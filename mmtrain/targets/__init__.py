"""Target tasks, one file each, and losses. To add a task, write such a file and import it here."""

from mmtrain.targets import losses as _losses  # noqa: F401  # registers the losses
from mmtrain.targets.base import AnyFittedTarget as AnyFittedTarget
from mmtrain.targets.base import KnownLabels as KnownLabels
from mmtrain.targets.base import Target as Target
from mmtrain.targets.base import as_target as as_target
from mmtrain.targets.base import targets_among as targets_among
from mmtrain.targets.base import task as task
from mmtrain.targets.base import tasks as tasks
from mmtrain.targets.event_times.survival import SurvivalTarget as SurvivalTarget
from mmtrain.targets.fitted_target import FittedTarget as FittedTarget
from mmtrain.targets.fitted_target import TruthSpec as TruthSpec
from mmtrain.targets.labels.binary import BinaryTarget as BinaryTarget
from mmtrain.targets.labels.classes import ClassTarget as ClassTarget
from mmtrain.targets.labels.multiclass import MulticlassTarget as MulticlassTarget
from mmtrain.targets.labels.multilabel import MultilabelTarget as MultilabelTarget
from mmtrain.targets.labels.ordinal import OrdinalTarget as OrdinalTarget
from mmtrain.targets.numbers.count import CountTarget as CountTarget
from mmtrain.targets.numbers.gaussian import GaussianTarget as GaussianTarget
from mmtrain.targets.numbers.quantiles import QuantileTarget as QuantileTarget
from mmtrain.targets.numbers.regression import RegressionTarget as RegressionTarget
from mmtrain.targets.numbers.vector import VectorTarget as VectorTarget
from mmtrain.targets.ranked.ranking import RankingTarget as RankingTarget
from mmtrain.targets.traits import TaskTraits as TaskTraits
