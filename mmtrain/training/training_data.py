"""The inputs of a training: its section, columns, encoded rows, partition and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mmtrain.columns import Column
from mmtrain.config.sections.training import Training
from mmtrain.data.arrays import Arrays
from mmtrain.data.encode import Fitted
from mmtrain.model.models import Models
from mmtrain.splits.plan import Partition
from mmtrain.training.distillation import Distillation
from mmtrain.training.workers.collective import Alone

if TYPE_CHECKING:
    from mmtrain.training.step import TrainStep


@dataclass(frozen=True)
class TrainingData:
    """Everything that a training needs but the run folder."""

    training: Training
    """The section `training` without open settings."""
    columns: Mapping[str, Column]
    """The section `columns`, of which augmentation is read."""
    fitted: Fitted
    arrays: Arrays
    """The inputs of the networks of `models`: the encoded rows, features of frozen encoders in place of their columns."""
    partition: Partition
    models: Models
    place: Callable[[int], str] = "row {}".format
    """Gives the place of a row in the user's table, as `row 12`."""
    groups: NDArray[np.int64] | None = None
    """Code of the group of each row; None without a group column."""
    distillation: Distillation | None = None
    """A teacher whose predictions are learned next to the answers."""
    workers: Alone = field(default_factory=Alone)
    """The processes that share the training."""
    steps: TrainStep | None = None
    """The compiled functions of `models`; None to compile new ones."""
