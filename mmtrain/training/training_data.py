"""The inputs of a training: experiment, fitted columns, encoded rows, partition and network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtrain.config import Experiment
from mmtrain.data.encode import Arrays, Fitted
from mmtrain.model.assemble import Models
from mmtrain.splits.plan import Partition


@dataclass(frozen=True)
class TrainingData:
    """Everything that a training needs but the run folder."""

    experiment: Experiment
    fitted: Fitted
    arrays: Arrays
    partition: Partition
    models: Models
    place: Callable[[int], str] = "row {}".format
    """Gives the place of a row in the user's table, as `row 12`."""
    groups: NDArray[np.int64] | None = None
    """Code of the group of each row; None without a group column."""
