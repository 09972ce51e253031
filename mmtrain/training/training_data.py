"""What a training works on."""

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
    """Everything but the run folder."""

    experiment: Experiment
    fitted: Fitted
    arrays: Arrays
    partition: Partition
    models: Models
    place: Callable[[int], str] = "row {}".format
    """Where a person finds a row of the table."""
    groups: NDArray[np.int64] | None = None
    """Which group each row belongs to, as codes; None where the table has none."""
