"""TensorBoard's logs, read back as TensorFlow reads its records."""

import io
import os
import resource
import signal
import sys

import numpy as np
import pytest
from PIL import Image
from tiny import lines, two_blobs, write_experiment

from mmtrain.artifacts import runs
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.errors import RunError
from mmtrain.trackers import Trackers, trackers
from mmtrain.training.listeners.events import Assembled, CaptionedImage, EpochEnded, Started, StepsBegan, TrialEnded
from mmtrain.training.signals import Interrupted

BEGIN = Started(epochs=2, steps=3, rows=42, monitor="validation_loss", direction="minimize")


def records(tensorflow, run, part):
    """The events of the one file of a part."""
    (path,) = (run / "tensorboard" / part).iterdir()
    assert path.name.startswith("events.out.tfevents.")
    return [tensorflow.compat.v1.Event.FromString(record.numpy()) for record in tensorflow.data.TFRecordDataset(str(path))]


def points(tensorflow, run, part):
    """{name: {epoch: value}}, rounded as single precision is."""
    found = {}
    for record in records(tensorflow, run, part):
        for value in record.summary.value:
            assert (value.metadata.plugin_data.plugin_name, value.metadata.data_class) == ("scalars", 1)
            found.setdefault(value.tag, {})[record.step] = float(tensorflow.make_ndarray(value.tensor))
    return found


def logs(tensorflow, run):
    from mmtrain.training.listeners.tensorboard import Logs

    return Logs(run)


def ended(epoch, **scores):
    return EpochEnded(epoch, scores, 0.5, 1.0, 1.0, True, epoch)


def test_a_score_has_one_name_in_both_parts_and_an_undefined_one_no_point(tensorflow, tmp_path):
    run = runs.create("logged", tmp_path)
    watch = logs(tensorflow, run)
    watch(BEGIN)
    watch(ended(1, train_loss=2.0, validation_loss=1.5, validation_y_auc=None))
    watch(ended(2, train_loss=1.0, validation_loss=0.25, **{"validation_auc[red]": 0.75}))
    assert points(tensorflow, run, "train") == {"loss": {1: 2.0, 2: 1.0}, "learning_rate": {1: 0.5, 2: 0.5}}
    assert points(tensorflow, run, "validation") == {"loss": {1: 1.5, 2: 0.25}, "auc[red]": {2: 0.75}}


def test_file_begins_as_tensorboard_expects_and_tells_it_to_forget_older_ones(tensorflow, tmp_path):
    run = runs.create("logged", tmp_path)
    logs(tensorflow, run)(BEGIN)
    first, second = records(tensorflow, run, "train")
    assert first.file_version == "brain.Event:2"
    assert second.session_log.status == tensorflow.compat.v1.SessionLog.START


def tell_tracker(run, *events, **options):
    warnings = []
    follow = Trackers([trackers["tensorboard"].section(name="tensorboard", **options)], run.folder, warnings.append)
    for event in events:
        follow(event)
    return warnings


def test_tracker_writes_scores_of_train_rows_and_histograms_on_request(tensorflow, tmp_path):
    run = runs.create("logged", tmp_path)
    weight = tensorflow.Variable([0.0, 0.0, 1.0, 3.0], name="kernel")
    weight.path = "head/kernel"
    network = type("Network", (), {"trainable_weights": [weight]})
    asked = []
    assembled = Assembled(network, lambda rows: asked.append(rows) or {"train_auc": 0.5, "train_f1": None}, lambda rows: {})
    epochs = ended(1, train_loss=2.0), ended(2, train_loss=1.0)
    assert not tell_tracker(run, assembled, BEGIN, *epochs, train_rows=20, histograms=2)
    assert asked == [20, 20]
    values = [(record.step, value) for record in records(tensorflow, run, "train") for value in record.summary.value]
    tables = {(step, value.tag): tensorflow.make_ndarray(value.tensor) for step, value in values}
    assert tables[1, "auc"] == tables[2, "auc"] == 0.5
    assert {key for key in tables if key[1] == "head/kernel"} == {(2, "head/kernel")}
    table = tables[2, "head/kernel"]
    assert table.shape == (30, 3)
    assert (table[0, 0], table[-1, 1], table[:, 2].sum(), table[0, 2]) == (0.0, 3.0, 4.0, 2.0)
    (plugin,) = {value.metadata.plugin_data.plugin_name for _, value in values if value.tag == "head/kernel"}
    assert plugin == "histograms"


def test_tracker_writes_a_grid_of_images_after_best_epochs(tensorflow, tmp_path):
    run = runs.create("logged", tmp_path)
    grey, slices = np.full((4, 8, 1), 100, np.uint8), np.zeros((3, 16, 16, 3), np.uint8)
    slices[1, ..., 0] = 255  # the middle slice is red
    images = {"scan": [CaptionedImage(grey, "ill, predicted well"), CaptionedImage(slices, "well, predicted well")], "other": []}
    assembled = Assembled(None, lambda _: {}, lambda rows: images if rows == 2 else {})
    worse = EpochEnded(2, {}, 0.5, 1.0, 1.0, False, 1)
    assert not tell_tracker(run, assembled, BEGIN, ended(1), worse, images=2)
    ((step, value),) = [(record.step, value) for record in records(tensorflow, run, "validation") for value in record.summary.value]
    assert (step, value.tag, value.metadata.plugin_data.plugin_name, value.metadata.data_class) == (1, "scan", "images", 3)
    width, height, png = tensorflow.make_ndarray(value.tensor)
    grid = Image.open(io.BytesIO(png))
    assert grid.size == (int(width), int(height))
    assert grid.size == (274, 153)  # margins of 6, images of 128, captions of a line
    assert [grid.getpixel(place) for place in [(6, 6), (133, 69), (140, 6), (267, 133)]] == [(100, 100, 100)] * 2 + [(255, 0, 0)] * 2
    caption = np.asarray(grid.convert("L"))[134:147]
    assert (caption[:, :137] < 128).any()
    assert (caption[:, 140:] < 128).any()


def test_trials_are_on_the_hparams_page(tensorflow, tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.plugins.hparams import metadata

    run = runs.create("logged", tmp_path)
    settings = {"fusion.dropout": 0.5, "branches.table.architecture": "mlp", "fusion.gate": True}
    assert not tell_tracker(run, TrialEnded(3, settings, "validation_auc", 0.75, "complete", 2, True))
    values = {value.tag: value for record in records(tensorflow, run, "trials/3") for value in record.summary.value}
    start = metadata.parse_session_start_info_plugin_data(values[metadata.SESSION_START_INFO_TAG].metadata.plugin_data.content)
    assert (start.hparams["fusion.dropout"].number_value, start.hparams["fusion.gate"].bool_value) == (0.5, True)
    assert start.hparams["branches.table.architecture"].string_value == "mlp"
    assert tensorflow.make_ndarray(values["validation_auc"].tensor) == 0.75


def test_without_tensorboard_trials_say_what_to_install(tensorflow, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams", None)
    run = runs.create("logged", tmp_path)
    (warning,) = tell_tracker(run, TrialEnded(0, {}, "validation_auc", None, "failed", 0, True))
    assert "pip install 'mmtrain[tensorboard]'" in warning


def test_logs_that_cannot_be_written_are_a_problem(tensorflow, tmp_path):
    run = runs.create("logged", tmp_path)
    (run / "tensorboard").write_text("a file where the folder should be")
    with pytest.raises(RunError) as caught:
        logs(tensorflow, run)(BEGIN)
    assert (
        str(caught.value) == f"{run / 'tensorboard'}: the logs cannot be written: Not a directory. Make room, then continue with --resume."
    )


def test_full_disk_is_a_problem(tensorflow, tmp_path):
    """The largest file that this process may write stands for the disk."""
    run = runs.create("logged", tmp_path)
    watch = logs(tensorflow, run)
    watch(BEGIN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(RunError, match=r"the logs cannot be written: .*File too large"):
            watch(ended(1, train_loss=2.0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.slow
def test_logs_of_a_run_that_was_gone_on_with_say_what_its_metrics_say(tensorflow, tmp_path):
    """Killed after the logs of epoch 2 and before its checkpoint, say: what the checkpoint does not know is gone."""
    two_blobs(tmp_path)
    path = write_experiment(
        tmp_path / "logged.yaml",
        "columns: {x: {role: numeric}, y: {role: target, task: binary}}\ntraining: {epochs: 3, batch_size: 16, tensorboard: true}",
    )

    def watch(event):
        if isinstance(event, StepsBegan) and (event.epoch, event.step) == (3, 0):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted):
        fit(path, output=tmp_path / "runs", listeners=Listeners(watch=watch))
    run = Run(tmp_path / "runs" / "logged" / "1")
    assert set(points(tensorflow, run, "train")["loss"]) == {1, 2}
    with (run / "tensorboard" / "train" / "events.out.tfevents.9999999999.other").open("wb"):
        pass  # what is left of another file is no longer there afterwards
    resume(str(run.folder))
    written = lines(run / "metrics.jsonl")
    assert [line["epoch"] for line in written] == [1, 2, 3]
    for part, count in (("train", 1), ("validation", 10)):
        found = points(tensorflow, run, part)
        assert found.pop("learning_rate", {}) == ({epoch: pytest.approx(0.001) for epoch in (1, 2, 3)} if part == "train" else {})
        assert len(found) == count
        assert found == {name: {line["epoch"]: pytest.approx(line[f"{part}_{name}"]) for line in written} for name in found}
