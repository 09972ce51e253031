"""`tensorboard`: scores and the learning rate, a point per epoch; histograms of weights; settings of trials for the HParams page.

A score of both subsets has one name in `tensorboard/train` and `tensorboard/validation`, so that TensorBoard draws both curves into one
chart. A trial of a search has a folder of its own, `tensorboard/trials/<number>`.

`tf.summary.scalar` needs the `tensorboard` package, which is not installed with TensorFlow; this module writes TensorFlow's events
itself. Only the HParams page, whose messages TensorBoard defines, needs the package. After a restart, earlier points are written again
from metrics.jsonl, which was cut back to the checkpoint by then, so that both files agree.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, NonNegativeInt

from mmtrain.trackers.base import tracker
from mmtrain.trackers.image_grid import image_grid
from mmtrain.trackers.run_settings import epoch_scores

if TYPE_CHECKING:
    import numpy as np

FOLDER = "tensorboard"
PARTS = ("train", "validation")
SCALAR_CLASS, TENSOR_CLASS, BLOBS_CLASS = 1, 2, 3
"""DATA_CLASS_SCALAR, DATA_CLASS_TENSOR and DATA_CLASS_BLOB_SEQUENCE of TensorFlow's SummaryMetadata."""
HISTOGRAM_BUCKETS = 30


@tracker
class Tensorboard:
    """Write every epoch's scores for TensorBoard, to `tensorboard/` in the run; trials for its HParams page."""

    def __init__(
        self,
        folder: Path,
        *,
        train_rows: Annotated[
            NonNegativeInt,
            Field(description="Most training rows, drawn once, that are scored after every epoch like validation rows; 0 for none."),
        ] = 0,
        histograms: Annotated[
            NonNegativeInt, Field(description="Epochs from one histogram of every weight to the next; 0 for none.", examples=[1])
        ] = 0,
        images: Annotated[
            int,
            Field(
                ge=0,
                le=64,
                description="Most validation rows, drawn once, whose images are written after every best epoch, as the network reads them, "
                "with truth and prediction; 0 for none. Columns of a frozen encoder have none: the network reads their features.",
                examples=[8],
            ),
        ] = 0,
    ) -> None:
        self._folder, self._train_rows, self._histograms, self._images = folder, train_rows, histograms, images
        self._files: dict[str, EventFile] = {}
        self._assembled: Any = None

    def assembled(self, event: Any) -> None:
        """Keep the network, for histograms, scores of training rows and predictions of images."""
        self._assembled = event

    def started(self, event: Any) -> None:  # noqa: ARG002
        """Begin new files, with the epochs that are done. A TensorBoard that is open drops what it has read of the old ones."""
        for part in PARTS:
            # The folder may also have those of trials.
            shutil.rmtree(self._folder / FOLDER / part, ignore_errors=True)
            self._files[part] = EventFile(self._folder / FOLDER / part)
        for epoch, scores in epoch_scores(self._folder):
            self._add(epoch, scores)

    def epoch_ended(self, event: Any) -> None:
        """Write the points of an epoch."""
        scores = {name: value for name, value in event.scores.items() if value is not None}
        if self._train_rows and self._assembled is not None:
            of_rows = self._assembled.train_scores(self._train_rows)
            scores |= {name: value for name, value in of_rows.items() if value is not None and name not in scores}
        self._add(event.epoch, {"learning_rate": event.learning_rate, **scores})
        if self._histograms and self._assembled is not None and event.epoch % self._histograms == 0:
            weights = {weight.path: weight.numpy() for weight in self._assembled.network.trainable_weights}
            self._files["train"].add_histograms(event.epoch, weights)
        if self._images and self._assembled is not None and event.is_best:
            self._files["validation"].add_images(event.epoch, self._assembled.validation_images(self._images))

    def trial_ended(self, event: Any) -> None:
        """Write the settings, the course and the score of a trial."""
        file = EventFile(self._folder / FOLDER / "trials" / str(event.trial))
        file.add_trial(event)
        for epoch, scores in epoch_scores(self._folder / "trials" / str(event.trial)):
            file.add_scalars(epoch, scores)
        if event.value is not None:
            file.add_scalars(event.epochs, {event.score: event.value})

    def _add(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the points of an epoch, the learning rate among those of training."""
        for part in PARTS:
            named = {name.removeprefix(f"{part}_"): value for name, value in values.items() if name.startswith(f"{part}_")}
            if part == "train":
                named["learning_rate"] = values["learning_rate"]
            self._files[part].add_scalars(epoch, named)


class EventFile:
    """A new file of events in a folder that is made for it; it is flushed after every record, so that an open TensorBoard sees it."""

    def __init__(self, folder: Path) -> None:
        import tensorflow as tf

        self._types = tf.compat.v1
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard finds its files by `tfevents` in the name.
        self._writer: Any = tf.io.TFRecordWriter(str(folder / f"events.out.tfevents.{int(time.time()):010}.mmtrain"))
        # The record that must come first: the version of the format.
        self._write(file_version="brain.Event:2")
        # A session that starts makes TensorBoard drop points of the same folder from later steps.
        self._write(session_log=self._types.SessionLog(status=self._types.SessionLog.START))

    def add_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write a point of each value."""
        self._add(step, "scalars", SCALAR_CLASS, values)

    def add_histograms(self, step: int, weights: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Write the histogram of each array: (buckets, 3) with left edge, right edge and count."""
        import numpy as np

        tables = {}
        for name, values in weights.items():
            finite = values[np.isfinite(values)].astype(np.float64)
            counts, edges = np.histogram(finite, bins=HISTOGRAM_BUCKETS)
            tables[name] = np.stack([edges[:-1], edges[1:], counts], axis=1)
        self._add(step, "histograms", TENSOR_CLASS, tables)

    def add_images(self, step: int, images: Mapping[str, Sequence[Any]]) -> None:
        """Write the images of each column as one grid: (3,) strings with its width, height and PNG."""
        grids = {name: image_grid(of_column) for name, of_column in images.items() if of_column}
        self._add(step, "images", BLOBS_CLASS, {name: [str(width), str(height), png] for name, (width, height, png) in grids.items()})

    def add_trial(self, event: Any) -> None:
        """Write the settings of a trial as TensorBoard's HParams page reads them. Needs the package `tensorboard`."""
        try:
            from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("the HParams page needs TensorBoard; run `pip install 'mmtrain[tensorboard]'`") from error
        start = plugin_data_pb2.SessionStartInfo(group_name=f"trial {event.trial}", start_time_secs=time.time())
        for name, value in event.settings.items():
            parameter = start.hparams[name]
            if isinstance(value, bool):
                parameter.bool_value = value
            elif isinstance(value, int | float):
                parameter.number_value = float(value)
            else:
                parameter.string_value = str(value)
        ended = event.outcome in ("complete", "pruned")
        status = api_pb2.STATUS_SUCCESS if ended else api_pb2.STATUS_FAILURE
        end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        messages = {
            metadata.SESSION_START_INFO_TAG: {"session_start_info": start},
            metadata.SESSION_END_INFO_TAG: {"session_end_info": end},
        }
        for tag, message in messages.items():
            content = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **message).SerializeToString()
            self._add(0, metadata.PLUGIN_NAME, TENSOR_CLASS, {tag: 0.0}, content)

    def _add(self, step: int, plugin: str, data_class: int, values: Mapping[str, Any], content: bytes = b"") -> None:
        import tensorflow as tf

        data = self._types.SummaryMetadata.PluginData(plugin_name=plugin, content=content)
        metadata = self._types.SummaryMetadata(plugin_data=data, data_class=data_class)
        kind = {"histograms": tf.float64, "images": tf.string}.get(plugin, tf.float32)
        points = [
            self._types.Summary.Value(tag=name, metadata=metadata, tensor=tf.make_tensor_proto(value, kind))
            for name, value in values.items()
        ]
        self._write(step=step, summary=self._types.Summary(value=points))

    def _write(self, **content: Any) -> None:
        self._writer.write(self._types.Event(wall_time=time.time(), **content).SerializeToString())
        self._writer.flush()
