"""What a training works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmtrain.config import Experiment
from mmtrain.data.encode import Arrays, Fitted
from mmtrain.data.splits.split import Parts
from mmtrain.model.assemble import Network


@dataclass(frozen=True)
class Material:
    """Everything but the run folder."""

    experiment: Experiment
    fitted: Fitted
    arrays: Arrays
    parts: Parts
    network: Network
    place: Callable[[int], str] = "row {}".format
    """Where a person finds a row of the table."""
    groups: NDArray[np.int64] | None = None
    """Which group each row belongs to, as codes; None where the table has none."""
