"""Trackers: objects that follow a training and record it elsewhere, such as in an experiment database, and their registry.

`steps` and `tensorboard` write files of the run; `mlflow` and `wandb` need their packages. The contract is in
`mmtrain.trackers.base`.
"""

from mmtrain.trackers import mlflow, steps, tensorboard, wandb  # noqa: F401 (registers them)
from mmtrain.trackers.base import AnyTracker, Trackers, TrackerSection, missing_packages, tracker, trackers

__all__ = ["AnyTracker", "TrackerSection", "Trackers", "missing_packages", "tracker", "trackers"]
