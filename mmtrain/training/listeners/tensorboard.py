"""TensorBoard's logs of a training with `training.tensorboard: true`; the tracker `tensorboard` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import Problem, RunError
from mmtrain.trackers.tensorboard import FOLDER, Tensorboard
from mmtrain.training.listeners.events import EpochEnded, Event, Started


class Logs:
    """Listener that writes the logs of a run. Raises RunError when they cannot be written."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._tracker = Tensorboard(run.folder)

    def __call__(self, event: Event) -> None:
        """Write what an event of the training says."""
        with self._writing():
            if isinstance(event, Started):
                self._tracker.started(event)
            elif isinstance(event, EpochEnded):
                self._tracker.epoch_ended(event)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn an error of the disk into a RunError."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            cause = error.strerror if isinstance(error, OSError) else error.message
            what = f"the logs cannot be written: {cause}."
            raise RunError(Problem(str(self.run / FOLDER), what, "Make room, then continue with --resume.")) from error
