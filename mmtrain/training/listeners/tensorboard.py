"""TensorBoard's logs of a training: every score and the learning rate, a point per epoch.

A score of both subsets has one name in `tensorboard/train` and `tensorboard/validation`, so that TensorBoard draws both curves into one
chart.

`tf.summary.scalar` needs the `tensorboard` package, which is not installed with TensorFlow; this module writes TensorFlow's events
itself. After a restart, earlier points are written again from metrics.jsonl, which was cut back to the checkpoint by then, so that
both files agree.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from mmtrain.artifacts.run_folder import Run
from mmtrain.errors import Problem, RunError
from mmtrain.training.listeners.events import EpochEnded, Event, Started

FOLDER = "tensorboard"
PARTS = ("train", "validation")
Record = tf.compat.v1.Event
Summary = tf.compat.v1.Summary
SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class=1,  # DATA_CLASS_SCALAR
)


class Logs:
    """Listener that writes the logs of a run. Raises RunError when they cannot be written."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._files: dict[str, Any] = {}

    def __call__(self, event: Event) -> None:
        """An event of the training."""
        if isinstance(event, Started):
            with self._writing():
                self._begin()
        elif isinstance(event, EpochEnded):
            with self._writing():
                self._add(event.epoch, {"learning_rate": event.learning_rate, **event.scores})

    def _begin(self) -> None:
        """New files, with the epochs that are done. A TensorBoard that is open drops what it has read of the old ones."""
        shutil.rmtree(self.run / FOLDER, ignore_errors=True)
        for part in PARTS:
            (self.run / FOLDER / part).mkdir(parents=True)
            # TensorBoard finds its files by `tfevents` in the name.
            path = self.run / FOLDER / part / f"events.out.tfevents.{int(time.time()):010}.mmtrain"
            self._files[part] = tf.io.TFRecordWriter(str(path))
            # The record that must come first: the version of the format.
            self._write(part, file_version="brain.Event:2")
            # A session that starts makes TensorBoard drop points of the same folder from later steps.
            self._write(part, session_log=tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START))
        for line in self.run.read_lines("metrics.jsonl"):
            self._add(line.epoch, line.values)

    def _add(self, epoch: int, values: Mapping[str, float | None]) -> None:
        """Write the points of an epoch, the learning rate among those of training; an undefined score has none."""
        for part in PARTS:
            named = {name.removeprefix(f"{part}_"): value for name, value in values.items() if name.startswith(f"{part}_")}
            if part == "train":
                named["learning_rate"] = values["learning_rate"]
            points = [_point(name, value) for name, value in named.items() if value is not None]
            self._write(part, step=epoch, summary=Summary(value=points))

    def _write(self, part: str, **content: Any) -> None:
        self._files[part].write(Record(wall_time=time.time(), **content).SerializeToString())
        # Flushed, so that an open TensorBoard shows each epoch when it ends.
        self._files[part].flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn an error of the disk into a RunError."""
        try:
            yield
        except (OSError, tf.errors.OpError) as error:
            cause = error.strerror if isinstance(error, OSError) else error.message
            what = f"the logs cannot be written: {cause}."
            raise RunError(Problem(str(self.run / FOLDER), what, "Make room, then continue with --resume.")) from error


def _point(name: str, value: float) -> Any:
    return Summary.Value(tag=name, metadata=SCALAR, tensor=tf.make_tensor_proto(value, tf.float32))
