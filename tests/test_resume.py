"""Exact continuation: a run that was stopped anywhere, and gone on with, is the run that was never stopped, bit for bit."""

import errno
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from tiny import paint, start, two_blobs, write_experiment, write_table

from mmtrain import config
from mmtrain.errors import DataError, RunError
from mmtrain.runs import Run
from mmtrain.training.events import EpochEnded, Stepped
from mmtrain.training.interruption import Interrupted
from mmtrain.workflows import fit as workflow
from mmtrain.workflows.evaluate import evaluate
from mmtrain.workflows.fit import Onlookers, fit, resume

RICH = """
name: rich
columns:
  scan: {role: image, size: [8, 8], channels: 1, augment: {flip: both, rotate: 20, brightness: 0.3}}
  x: {role: numeric}
  y: {role: target, task: binary}
  amount: {role: target, task: regression}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [4]}
  x: {columns: [x], units: [4], dropout: 0.2}
fusion: {method: gated, units: [4], dropout: 0.5}
split: {validation: 0.3, test: 0.1}
training:
  epochs: 6
  batch_size: 8
  deterministic: true
  optimizer: sgd
  momentum: 0.9
  learning_rate: 0.05
  schedule: {method: plateau, patience: 1, warmup_epochs: 0.5}
  early_stopping: {patience: 2}
"""
ROWS = 50
STEPS = 4
"""Batches of one epoch."""


def rich(folder, **changes):
    """Two inputs that differ in kind, two targets, and everything that has a state: the experiment file in an empty folder."""
    noise = np.random.default_rng(4)
    rows = []
    for row in range(ROWS):
        paint(folder / "scans" / f"{row}.png", noise.integers(0, 256, (8, 8)).astype(np.uint8))
        rows.append({"scan": f"scans/{row}.png", "x": noise.normal(), "y": "ab"[noise.integers(2)], "amount": noise.normal()})
    write_table(folder / "table.csv", rows)
    tree = yaml.safe_load(RICH)
    tree["training"] |= changes
    return write_experiment(folder / "rich.yaml", tree)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return rich(tmp_path_factory.mktemp("rich"))


@pytest.fixture(scope="module")
def whole(experiment):
    """The run that is never interrupted, scored."""
    run = fit(experiment, output=experiment.parent / "whole").run
    evaluate(str(run.folder), part="validation")
    return run


def stop_at(epoch, step):
    """A watcher that interrupts the training after this step; step 0 is the end of the epoch before."""

    def watch(event):
        here = (event.epoch, event.step) if isinstance(event, Stepped) else (event.epoch + 1, 0) if isinstance(event, EpochEnded) else None
        if here == (epoch, step):
            os.kill(os.getpid(), signal.SIGTERM)

    return watch


def stopped(experiment, output, epoch, step):
    """A run that was interrupted there."""
    with pytest.raises(Interrupted):
        fit(experiment, output=output, onlookers=Onlookers(watch=stop_at(epoch, step)))
    run = Run(output / config.load(experiment).name / "1")
    assert run.state == "interrupted"
    return run


def resumed(run, watch=lambda _: None):
    """Go on with a run; what it says beside its usual sentence."""
    said = []
    resume(str(run.folder), onlookers=Onlookers(watch=watch, say=said.append))
    assert said.pop() == "Data checked; starting TensorFlow."
    return said


def position(run, name="last"):
    return json.loads((run / "checkpoints" / name / "position.json").read_text())["position"]


def assert_equal_bits(whole, run):
    """Everything that a training leaves behind, and what its model predicts."""
    evaluate(str(run.folder), part="validation")
    names = ["metrics.jsonl", "split.csv", "columns.json", "data.json", "predictions_validation.csv", "metrics.json"]
    names += [f"checkpoints/{name}/{file}" for name in ("last", "best") for file in ("weights.npz", "optimizer.npz", "position.json")]
    different = [name for name in names if (whole / name).read_bytes() != (run / name).read_bytes()]
    assert (different, len(names)) == ([], 12)
    ended = [
        {key: found.read_json("run.json").get(key) for key in ("state", "epochs", "best_epoch", "stopped", "error")}
        for found in (whole, run)
    ]
    assert ended[0] == ended[1]
    assert ended[0]["state"] == "finished"
    left = sorted(path.name for path in run.folder.iterdir())
    assert left == sorted(path.name for path in whole.folder.iterdir())
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best", "last", "previous"]


# Where it was stopped does not matter


def test_uninterrupted_run_has_states_worth_comparing(whole):
    """A rate that was cut, a best epoch that is not the last, patience that ran out."""
    last = position(whole)
    assert last["learning_rate"]["cut"] < 1
    assert 1 <= last["stopping"]["best_epoch"] < last["epoch"] < 6
    assert whole.read_json("run.json")["stopped"] == "validation_loss has not improved for 2 epochs"


@pytest.mark.parametrize(
    ("epoch", "step", "stands"),
    [(1, 1, (0, 1)), (2, 3, (1, 3)), (3, 0, (2, 0)), (1, STEPS, (0, STEPS))],
    ids=["first step", "mid-epoch", "epoch's end", "before validation"],
)
def test_interrupted_run_goes_on_to_the_same_bits(experiment, whole, tmp_path, epoch, step, stands):
    run = stopped(experiment, tmp_path, epoch, step)
    assert (position(run)["epoch"], position(run)["step"]) == stands
    assert resumed(run) == []
    assert_equal_bits(whole, run)


def test_run_may_be_interrupted_again_and_again(experiment, whole, tmp_path):
    run = stopped(experiment, tmp_path, 1, 2)
    for at in ((1, 3), (3, 1)):
        with pytest.raises(Interrupted):
            resumed(run, stop_at(*at))
    assert resumed(run) == []
    assert_equal_bits(whole, run)
    facts = run.read_json("run.json")
    assert len(facts["resumed"]) == 3
    assert facts["seconds"]["training"] > 0


# What a killed process leaves: the folder as it stood at that moment


@pytest.fixture(scope="module")
def left(experiment, tmp_path_factory):
    """A run stopped in its third epoch, to be copied and harmed."""
    return stopped(experiment, tmp_path_factory.mktemp("left"), 3, 2)


@pytest.fixture
def copy(left):
    """A copy of that run, beside it, as it would be after SIGKILL: it still says `running`."""
    number = 1 + max(int(path.name) for path in left.folder.parent.iterdir() if path.name.isdecimal())
    folder = left.folder.parent / str(number)
    shutil.copytree(left.folder, folder)
    run = Run(folder)
    run.update(state="running", error=None, ended=None)
    return run


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


def test_killed_before_the_first_checkpoint_begins_again(whole, copy):
    """Also when the first epoch's line of metrics was already written."""
    shutil.rmtree(copy / "checkpoints")
    (copy / "model.keras").unlink()
    copy.update(files={name: known for name, known in copy.read_json("run.json")["files"].items() if name != "model.keras"})
    assert len((copy / "metrics.jsonl").read_text().splitlines()) == 2
    assert resumed(copy) == []
    assert_equal_bits(whole, copy)


def test_killed_after_the_last_epoch_only_saves_the_model(whole, left):
    number = 1 + max(int(path.name) for path in left.folder.parent.iterdir() if path.name.isdecimal())
    folder = left.folder.parent / str(number)
    shutil.copytree(whole.folder, folder)
    run = Run(folder)
    (run / "model.keras").unlink()
    files = {name: known for name, known in run.read_json("run.json")["files"].items() if name != "model.keras"}
    run.update(state="running", files=files, stopped=None, epochs=None, best_epoch=None)
    events = []
    assert resumed(run, events.append) == []
    assert not [event for event in events if isinstance(event, Stepped | EpochEnded)]
    assert_equal_bits(whole, run)


@pytest.mark.parametrize(
    ("harm", "says", "begins_with"),
    [
        (
            lambda folder: cut(folder / "last" / "weights.npz"),
            ["checkpoints/last is damaged; going on from checkpoints/previous."],
            (3, 1),
        ),
        (
            lambda folder: (folder / "last" / "position.json").unlink(),
            ["checkpoints/last is damaged; going on from checkpoints/previous."],
            (3, 1),
        ),
        (lambda folder: shutil.rmtree(folder / "last"), [], (3, 1)),  # killed between two renames
        (
            lambda folder: [cut(folder / name / "optimizer.npz") for name in ("last", "previous")],
            ["checkpoints/last and checkpoints/previous are damaged; going on from the beginning."],
            (1, 1),
        ),
        (
            lambda folder: cut(folder / "best" / "weights.npz"),
            ["checkpoints/best is damaged; going on from {best}."],
            None,
        ),
        (lambda folder: (folder / "best").rename(folder / ".best.123.old"), [], (3, 3)),  # killed between two renames
    ],
    ids=["last torn", "last without position", "no last", "both torn", "best torn", "best put aside"],
)
def test_damaged_checkpoint_falls_back_to_a_whole_one_and_says_so(whole, copy, harm, says, begins_with):
    stood = position(copy, "previous")
    if begins_with is None:  # `best` can be made again only where the training stood at its end
        again = stood["step"] == 0 and stood["epoch"] == stood["stopping"]["best_epoch"]
        says, begins_with = [says[0].format(best="checkpoints/previous" if again else "the beginning")], (3, 1) if again else (1, 1)
    harm(copy / "checkpoints")
    steps = []
    assert resumed(copy, lambda event: steps.append((event.epoch, event.step)) if isinstance(event, Stepped) else None) == says
    assert steps[0] == begins_with
    assert_equal_bits(whole, copy)


def test_killed_between_the_last_and_the_best_checkpoint_of_an_epoch_makes_the_best_again(whole, experiment, tmp_path):
    run = stopped(experiment, tmp_path, 2, 0)
    assert (position(run)["epoch"], position(run)["stopping"]["best_epoch"]) == (1, 1)
    shutil.rmtree(run / "checkpoints" / "best")
    assert resumed(run) == []
    assert_equal_bits(whole, run)


def test_what_a_killed_process_left_half_written_is_removed(whole, copy):
    for name in (".last.123.tmp", ".best.123.tmp", ".best.123.old"):
        (copy / "checkpoints" / name).mkdir()
        (copy / "checkpoints" / name / "weights.npz").write_bytes(b"half")
    for name in (".run.json.0badcafe.tmp", ".model.keras.0badcafe.tmp.keras"):
        (copy / name).write_bytes(b"half")
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "learn')
    assert resumed(copy) == []
    assert_equal_bits(whole, copy)


def test_killed_between_the_model_and_its_seal_is_no_change_of_the_run(whole, copy):
    """The model of an earlier interruption was sealed; going on opens that seal before it writes another model."""
    assert "model.keras" in copy.read_json("run.json")["files"]
    with pytest.raises(Interrupted):
        resumed(copy, stop_at(3, 3))
    known = copy.read_json("run.json")

    def watch(event):
        if isinstance(event, Stepped):
            assert "model.keras" not in copy.read_json("run.json")["files"]
            seen.append(event)

    seen = []
    assert "model.keras" in known["files"]
    assert resumed(copy, watch) == []
    assert seen
    assert_equal_bits(whole, copy)


# Checkpoints within an epoch


def test_checkpoints_are_written_within_an_epoch_as_often_as_told(tmp_path):
    path = rich(tmp_path, checkpoint_minutes=1e-9, epochs=1)
    seen = []

    def watch(event):
        if isinstance(event, Stepped) and event.step > 1:
            found = position(Run(tmp_path / "runs" / "rich" / "1"))
            seen.append((found["epoch"], found["step"], found["rows"]))

    fit(path, output=tmp_path / "runs", onlookers=Onlookers(watch=watch))
    assert seen == [(0, 1, 8), (0, 2, 16), (0, 3, 24)]


def test_run_goes_on_from_a_checkpoint_within_an_epoch(experiment, whole, tmp_path):
    """Everything that is written after that checkpoint is undone."""
    path = experiment.with_name("often.yaml")
    path.write_text(experiment.read_text().replace("epochs: 6", "epochs: 6\n  checkpoint_minutes: 1.0e-9"))
    run = stopped(path, tmp_path, 2, 3)
    kept = tmp_path / "kept"
    shutil.copytree(run / "checkpoints" / "previous", kept)
    assert (position(run, "previous")["epoch"], position(run, "previous")["step"]) == (1, 2)
    shutil.rmtree(run / "checkpoints" / "last")
    assert resumed(run) == []
    assert (run / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    for name in ("last", "best"):
        for file in ("weights.npz", "optimizer.npz"):
            assert (run / "checkpoints" / name / file).read_bytes() == (whole / "checkpoints" / name / file).read_bytes()


# What cannot be gone on with


def refusal(run):
    with pytest.raises((RunError, DataError)) as caught:
        resume(str(run.folder))
    return str(caught.value)


def test_finished_run_is_refused(whole):
    assert refusal(whole) == f"{whole.folder}: the run is finished; there is nothing to go on with. Train anew with `mmtrain fit CONFIG`."


def test_run_that_was_stopped_before_its_training_is_refused(copy):
    copy.update(files=None)  # the first seal is the last thing before training
    assert refusal(copy) == f"{copy.folder}: the run was stopped before its training began. Train anew with `mmtrain fit CONFIG`."


def test_unknown_run_is_refused(tmp_path):
    with pytest.raises(RunError) as caught:
        resume("nowhere", output=tmp_path)
    assert str(caught.value) == "nowhere: there is no such run. Train one with `mmtrain fit CONFIG`."


@pytest.mark.parametrize("name", ["config.yaml", "split.csv", "columns.json", "data.json"])
def test_changed_record_is_refused(copy, name):
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace("0", "1", 1))
    assert (copy / name).read_text() != text
    assert refusal(copy) == f"{copy.folder}: {name} changed after the training. Restore the folder, or train again."


@pytest.fixture
def own(tmp_path):
    """An interrupted run with a table and pictures of its own."""
    path = rich(tmp_path)
    return stopped(path, tmp_path / "runs", 1, 2), tmp_path


def test_changed_table_is_refused(own):
    run, folder = own
    with (folder / "table.csv").open("a") as file:
        file.write("scans/0.png,1,a,2\n")
    assert refusal(run) == (
        f"{folder}/table.csv: the table has changed since the training, so its rows can no longer be told apart. "
        f"Restore the table, or score the new one as a whole with `mmtrain evaluate {run.folder} --data {folder}/table.csv`."
    )
    assert run.state == "interrupted"


def test_missing_and_changed_pictures_are_refused(own):
    run, folder = own
    before = (folder / "scans" / "7.png").stat()
    pixels = (folder / "scans" / "7.png").read_bytes()
    (folder / "scans" / "7.png").unlink()
    assert refusal(run) == (f"table.csv:9: scan: the file scans/7.png does not exist. Paths are relative to the images folder {folder}. ")
    paint(folder / "scans" / "7.png", 99)
    changed = (
        "table.csv: scan: the pictures are no longer those of the training: a file has another size or another time of change. "
        "Restore the pictures with their times (`cp -p`, `rsync -t`), or train anew; `data.cache.verify: content` ignores times."
    )
    assert refusal(run) == changed
    (folder / "scans" / "7.png").write_bytes(pixels)
    assert refusal(run) == changed  # the same bytes at another time
    os.utime(folder / "scans" / "7.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert resumed(run) == []


def test_contents_of_pictures_are_compared_where_the_experiment_says_so(tmp_path):
    path = rich(tmp_path, epochs=1)
    tree = yaml.safe_load(path.read_text())
    tree["data"]["cache"] = {"verify": "content"}
    run = stopped(write_experiment(path, tree), tmp_path / "runs", 1, 2)
    before = (tmp_path / "scans" / "7.png").stat()
    pixels = (tmp_path / "scans" / "7.png").read_bytes()
    changed = pixels[:-13] + bytes([pixels[-13] ^ 1]) + pixels[-12:]
    other = np.full((8, 8), 3, np.uint8)
    assert changed != pixels
    paint(tmp_path / "scans" / "7.png", other)
    os.utime(tmp_path / "scans" / "7.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert refusal(run) == (
        "table.csv: scan: the pictures are no longer those of the training: the bytes of a file have changed. "
        "Restore the pictures, or train anew."
    )
    (tmp_path / "scans" / "7.png").write_bytes(pixels)  # at another time, which does not matter
    assert resumed(run) == []


def test_moved_project_goes_on(experiment, whole, tmp_path):
    """The images folder is another one, its pictures and their times are the same."""
    project = tmp_path / "before"
    project.mkdir()
    shutil.copytree(experiment.parent / "scans", project / "scans")
    shutil.copy2(experiment.parent / "table.csv", project)
    shutil.copy2(experiment, project)
    stopped(project / "rich.yaml", project / "runs", 2, 1)
    project.rename(tmp_path / "after")
    run = Run(tmp_path / "after" / "runs" / "rich" / "1")
    assert resumed(run) == []
    assert_equal_bits(whole, run)


def test_evaluation_only_tells_of_changed_pictures(own):
    run, folder = own
    resumed(run)
    os.utime(folder / "scans" / "7.png")
    said = []
    evaluate(str(run.folder), part="validation", say=said.append)
    assert said == [
        "note: table.csv: scan: the pictures are no longer those of the training: a file has another size or another time of change.",
        "Data checked; starting TensorFlow.",
    ]
