"""Functions that are called while a command trains, and the summary of a training that is about to begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmtrain.artifacts.inspection_results import PartSummary
from mmtrain.artifacts.run_folder import Run
from mmtrain.config import Experiment
from mmtrain.data.images.store import Progress
from mmtrain.data.splits.summary import summarize
from mmtrain.pipeline.prepare import LoadedData
from mmtrain.training.listeners.events import Listener

if TYPE_CHECKING:
    from mmtrain.training.training_data import TrainingData

CHECKED = "Data checked; starting TensorFlow."


@dataclass(frozen=True)
class Plan:
    """Summary of a training that is about to begin."""

    run: Run | None
    """None for a dry run."""
    rows: int
    dropped: int
    parts: tuple[PartSummary, ...]
    class_weights: dict[str, dict[str, float]]
    parameters: dict[str, int]
    """Trainable parameters of each branch, the fusion and each head."""


@dataclass(frozen=True)
class Listeners:
    """Functions that are called while a command runs; by default nothing happens."""

    watch: Listener = lambda _: None
    """Takes the events of the training."""
    announce: Callable[[Plan], None] = lambda _: None
    progress: Progress | None = None
    """Takes the number of images decoded so far."""
    say: Callable[[str], None] = lambda _: None
    """Takes sentences for the user."""


def training_plan(run: Run | None, experiment: Experiment, data: LoadedData, training_data: TrainingData) -> Plan:
    """Summarize a training that is about to begin."""
    weights = {
        key: target.class_weights for key, target in training_data.fitted.targets.items() if len(set(target.class_weights.values())) > 1
    }
    parts = summarize(experiment.columns, data.table, training_data.partition)
    return Plan(run, len(data.table), len(data.table.dropped), parts, weights, training_data.models.parameters())
