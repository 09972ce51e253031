"""Exact continuation: a run that was stopped anywhere, and gone on with, is the run that was never stopped, bit for bit."""

import json
import os
import resource
import shutil
import signal
import time

import numpy as np
import pytest
import yaml
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import paint, ready, start, two_blobs, write_experiment, write_table

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.errors import DataError, RunError, UsageError
from mmtrain.model import model_file
from mmtrain.pipeline.run_record import RECORDED_FILES
from mmtrain.training import checkpoints
from mmtrain.training.listeners.events import EpochEnded, Started, StepsBegan
from mmtrain.training.signals import Interrupted


@pytest.fixture(scope="module", autouse=True)
def only_here():
    """TensorFlow stays deterministic until it is told otherwise; the other tests are not."""
    yield
    tf_config.disable_op_determinism()


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
  learning_rate: 0.1
  accumulate: 3
  weight_average: 0.9
  schedule: {method: plateau, patience: 1, warmup_epochs: 0.5}
  early_stopping: {patience: 2, min_delta: 0.005}
"""

LIGHT = """
name: light
columns: {x: {role: numeric}, y: {role: target, task: binary}}
branches: {x: {columns: [x], architecture: mlp, units: [4], dropout: 0.3}}
training:
  epochs: 4
  batch_size: 16
  deterministic: true
  learning_rate: 0.05
"""

IMAGES = """
name: images
columns: {scan: {role: image, size: [8, 8], channels: 1}, y: {role: target, task: binary}}
branches: {scan: {columns: [scan], architecture: cnn, filters: [2]}}
training: {epochs: 2, batch_size: 16, deterministic: true}
"""

STEPS = 4
"""Batches of an epoch of RICH; LIGHT and IMAGES have 3."""


def rich(folder, text=RICH):
    """An experiment on noise, in an empty folder: images, numbers, classes, amounts."""
    noise = np.random.default_rng(4)
    rows = []
    for row in range(50):
        paint(folder / "scans" / f"{row}.png", noise.integers(0, 256, (8, 8)).astype(np.uint8))
        rows.append({"scan": f"scans/{row}.png", "x": noise.normal(), "y": "ab"[noise.integers(2)], "amount": noise.normal()})
    write_table(folder / "table.csv", rows)
    return write_experiment(folder / "experiment.yaml", text)


@pytest.fixture(scope="module")
def light(tmp_path_factory):
    folder = tmp_path_factory.mktemp("light")
    two_blobs(folder)
    return write_experiment(folder / "light.yaml", LIGHT)


@pytest.fixture(scope="module")
def whole(light):
    """The run of LIGHT that is never interrupted."""
    return fit(light, output=light.parent / "whole").run


def stop_at(epoch, step):
    """A listener that interrupts the training after this step; step 0 is the end of the epoch before."""

    def watch(event):
        here = None
        if isinstance(event, StepsBegan):
            here = event.epoch, event.step + 1
        elif isinstance(event, EpochEnded):
            here = event.epoch + 1, 0
        if here == (epoch, step):
            os.kill(os.getpid(), signal.SIGTERM)

    return watch


def stopped(experiment, output, epoch, step):
    """A run that was interrupted there."""
    with pytest.raises(Interrupted):
        fit(experiment, output=output, listeners=Listeners(watch=stop_at(epoch, step)))
    run = Run(output / config.load(experiment).name / "1")
    assert run.state == "interrupted"
    return run


def resumed(run, watch=lambda _: None):
    """Go on with a run; what it says beside its usual sentence."""
    said = []
    resume(str(run.folder), listeners=Listeners(watch=watch, say=said.append))
    assert said.pop() == "Data checked; starting TensorFlow."
    return said


def position(run, name="last"):
    return json.loads((run / "checkpoints" / name / "position.json").read_text())["position"]


ARRAYS = [f"checkpoints/{name}/{file}" for name in ("last", "best") for file in ("weights.npz", "optimizer.npz", "position.json")]


def assert_equal_bits(whole, run, *more):
    """Everything that a training leaves behind."""
    names = ["metrics.jsonl", "split.csv", "columns.json", "data.json", *ARRAYS, *more]
    assert len(names) == 10 + len(more)
    assert [name for name in names if (whole / name).read_bytes() != (run / name).read_bytes()] == []
    facts = ("state", "epochs", "best_epoch", "stopped", "error")
    one, other = ({key: found.read_json("run.json").get(key) for key in facts} for found in (whole, run))
    assert one == other
    assert one["state"] == "finished"
    for folder in ("", "checkpoints"):
        one, other = (sorted(path.name for path in (found / folder).iterdir()) for found in (whole, run))
        assert one == other


# Where it was stopped does not matter


@pytest.mark.slow
def test_run_that_was_interrupted_three_times_ends_with_the_same_bits(tmp_path):
    """Images that are changed, dropout, momentum, two targets, gradients over three batches, averaged weights, a rate that is cut."""
    path = rich(tmp_path)
    whole = fit(path, output=tmp_path / "whole").run
    last = position(whole)
    assert (last["epoch"], last["stopping"]["best_epoch"]) == (4, 2)
    assert last["learning_rate"]["improved"] == [True, True, False, False]
    run = stopped(path, tmp_path / "runs", 1, 2)  # in the middle of an epoch
    stands = [(position(run)["epoch"], position(run)["step"])]
    for at in ((2, 0), (3, STEPS)):  # at the end of one; between the last step and the validation
        with pytest.raises(Interrupted):
            resumed(run, stop_at(*at))
        stands.append((position(run)["epoch"], position(run)["step"]))
    assert stands == [(0, 2), (1, 0), (2, STEPS)]
    assert resumed(run) == []
    found = ready(path)
    one, other = (
        model_file.predict(model_file.parts(model_file.load_end_to_end(end / "model.keras"))[1], found.arrays, found.partition.validation)
        for end in (whole, run)
    )
    assert {key: values.tobytes() for key, values in one.items()} == {key: values.tobytes() for key, values in other.items()}
    assert whole.read_json("run.json")["stopped"] == "validation_loss has not improved for 2 epochs"
    assert len(run.read_json("run.json")["resumed"]) == 3
    assert_equal_bits(whole, run)


DECIDING = (
    LIGHT.replace("light", "deciding")
    + """
split: {validation: 0.3, test: 0.1}
evaluation: {calibration: isotonic, threshold: {aim: f1}, conformal: 0.6}
"""
)


@pytest.fixture(scope="module")
def deciding(light):
    """The experiment of LIGHT that has something fitted on validation rows, and its run that is never interrupted."""
    path = write_experiment(light.parent / "deciding.yaml", DECIDING)
    return path, fit(path, output=light.parent / "deciding").run


@pytest.mark.slow
def test_what_validation_rows_decide_is_the_same_after_an_interruption(deciding, tmp_path):
    """Where it was interrupted there is a model, and what was decided for it, too."""
    path, whole = deciding
    run = stopped(path, tmp_path, 3, 1)
    scored = shutil.copytree(run.folder, run.folder.with_name("99"))
    assert evaluate(str(scored), EvaluateOptions(part="validation")).targets["y"].operating_point.aim == "f1"
    assert resumed(run) == []
    assert_equal_bits(whole, run, "decisions.json")


def test_killed_between_the_model_and_what_is_decided_for_it_makes_up_for_it(deciding):
    _, whole = deciding
    run = copied(whole)
    (run / "decisions.json").unlink()
    run.update(files={name: known for name, known in run.read_json("run.json")["files"].items() if name != "decisions.json"})
    run.update(stopped=None, epochs=None, best_epoch=None)
    with pytest.raises(RunError, match="the training was stopped before the calibration, the threshold or the conformal bound"):
        evaluate(str(run.folder))
    assert resumed(run) == []
    assert_equal_bits(whole, run, "decisions.json")
    assert "decisions.json" in run.read_json("run.json")["files"]


# What a killed process leaves: the folder as it stood at that moment


def copied(run):
    """A copy of a run, beside it, as it would be after SIGKILL: it still says `running`."""
    numbers = [int(path.name) for path in run.folder.parent.iterdir() if path.name.isdecimal()]
    folder = run.folder.with_name(str(max(numbers) + 1))
    shutil.copytree(run.folder, folder)
    copy = Run(folder)
    copy.update(state="running", error=None, ended=None, seconds=None)
    return copy


def without_model(run):
    (run / "model.keras").unlink()
    files = run.read_json("run.json")["files"]
    run.update(files={name: known for name, known in files.items() if name != "model.keras"})


@pytest.fixture(scope="module")
def left(light, tmp_path_factory):
    """A run of LIGHT stopped in its third epoch, at checkpoints of step 2 (`last`) and of the end of epoch 2, the best (`previous`)."""
    run = stopped(light, tmp_path_factory.mktemp("left"), 3, 2)
    assert [(position(run, name)["epoch"], position(run, name)["step"]) for name in ("last", "previous", "best")] == [
        (2, 2),
        (2, 0),
        (2, 0),
    ]
    return run


@pytest.fixture
def copy(left):
    return copied(left)


@pytest.mark.slow
def test_killed_before_the_first_checkpoint_begins_again(whole, copy):
    """Also when a line of metrics was already written."""
    shutil.rmtree(copy / "checkpoints")
    without_model(copy)
    assert len((copy / "metrics.jsonl").read_text().splitlines()) == 2
    assert resumed(copy) == []
    assert_equal_bits(whole, copy)


@pytest.mark.slow
def test_what_is_done_already_is_told_before_the_first_step(copy):
    events = []
    assert resumed(copy, events.append) == []
    best = json.loads((copy / "metrics.jsonl").read_text().splitlines()[1])["validation_loss"]
    standing = {"done": 2, "done_steps": 2, "done_rows": 32, "best_epoch": 2, "best": best}
    assert events[0] == Started(
        epochs=4, steps=3, rows=42, monitor="validation_loss", direction="minimize", main="validation_auc", **standing
    )


@pytest.mark.slow
def test_killed_after_the_last_epoch_only_saves_the_model(whole):
    run = copied(whole)
    without_model(run)
    run.update(stopped=None, epochs=None, best_epoch=None)
    events = []
    assert resumed(run, events.append) == []
    assert [type(event).__name__ for event in events] == ["Started", "Ended"]
    assert_equal_bits(whole, run)


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("harm", "says", "begins_with"),
    [
        (lambda folder: cut(folder / "last" / "weights.npz"), ["checkpoints/last is damaged; going on from checkpoints/previous."], (3, 1)),
        pytest.param(lambda folder: shutil.rmtree(folder / "last"), [], (3, 1), marks=pytest.mark.slow),  # killed between two renames
        pytest.param(
            lambda folder: [cut(folder / name / "optimizer.npz") for name in ("last", "previous")],
            ["checkpoints/last and checkpoints/previous are damaged; going on from the beginning."],
            (1, 1),
            marks=pytest.mark.slow,
        ),
        # `previous` stands at the end of the best epoch, so that `best` can be made from it.
        pytest.param(
            lambda folder: cut(folder / "best" / "weights.npz"),
            ["checkpoints/best is damaged; going on from checkpoints/previous."],
            (3, 1),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            lambda folder: [cut(folder / "best" / "weights.npz"), (folder / "previous" / "position.json").unlink()],
            ["checkpoints/best and checkpoints/previous are damaged; going on from the beginning."],
            (1, 1),
            marks=pytest.mark.slow,
        ),
        pytest.param(lambda folder: (folder / "best").rename(folder / ".best.123.old"), [], (3, 3), marks=pytest.mark.slow),  # the same
    ],
    ids=["last torn", "no last", "both torn", "best torn", "best and previous torn", "best put aside"],
)
def test_damaged_checkpoint_falls_back_to_a_whole_one_and_says_so(whole, copy, harm, says, begins_with):
    harm(copy / "checkpoints")
    steps = []
    assert resumed(copy, lambda event: steps.append((event.epoch, event.step + 1)) if isinstance(event, StepsBegan) else None) == says
    assert steps[0] == begins_with
    assert_equal_bits(whole, copy)


@pytest.mark.slow
def test_killed_between_the_last_and_the_best_checkpoint_of_an_epoch_makes_the_best_again(whole, copy):
    """`last` is the end of epoch 2, the best so far, and `best` is not there or of an older epoch."""
    folder = copy / "checkpoints"
    shutil.rmtree(folder / "last")
    (folder / "previous").rename(folder / "last")
    shutil.rmtree(folder / "best")
    with pytest.raises(Interrupted):
        resumed(copy, stop_at(3, 1))
    assert (position(copy, "best")["epoch"], position(copy, "best")["step"]) == (2, 0)
    assert resumed(copy) == []
    assert_equal_bits(whole, copy)


@pytest.mark.slow
def test_what_a_killed_process_left_half_written_is_removed(whole, copy):
    for name in (".last.123.tmp", ".best.123.tmp", ".best.123.old"):
        (copy / "checkpoints" / name).mkdir()
        (copy / "checkpoints" / name / "weights.npz").write_bytes(b"half")
    for name in (".run.json.0badcafe.tmp", ".model.keras.0badcafe.tmp.keras"):
        (copy / name).write_bytes(b"half")
    with (copy / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "learn')
    sealed = []
    assert "model.keras" in copy.read_json("run.json")["files"]
    resumed(copy, lambda _: sealed.append("model.keras" in copy.read_json("run.json")["files"]))
    assert set(sealed) == {False}  # a kill between another model and its seal must not look like a changed file
    assert_equal_bits(whole, copy)


# Checkpoints within an epoch


@pytest.mark.slow  # `left` has one, too
def test_checkpoints_are_written_within_an_epoch_as_often_as_told_and_are_gone_on_from(light, whole, tmp_path):
    """Each is there before the next step; a kill in the middle of a step goes on from the one before."""
    path = light.with_name("often.yaml")
    path.write_text(light.read_text().replace("  epochs: 4", "  epochs: 4\n  checkpoint_minutes: 1.0e-9"))
    seen = []

    def watch(event):
        if isinstance(event, StepsBegan) and event.epoch == 2:
            found = position(Run(tmp_path / "runs" / "light" / "1"))
            seen.append((found["epoch"], found["step"], found["rows"]))
            if event.step == 2:
                shutil.copytree(tmp_path / "runs" / "light" / "1", tmp_path / "runs" / "light" / "2")

    fit(path, output=tmp_path / "runs", listeners=Listeners(watch=watch))
    assert seen == [(1, 0, 0), (1, 1, 16), (1, 2, 32)]
    run = Run(tmp_path / "runs" / "light" / "2")
    assert resumed(run) == []
    names = ["metrics.jsonl", *(name for name in ARRAYS if name.endswith("npz"))]
    assert [name for name in names if (whole / name).read_bytes() != (run / name).read_bytes()] == []
    assert len(names) == 5


# A full disk


@pytest.mark.slow
def test_full_disk_stops_the_training_with_its_last_whole_checkpoint(light, whole, tmp_path):
    """The largest file that this process may write stands for the disk: no checkpoint and no model fits any more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def watch(event):
        if isinstance(event, StepsBegan) and (event.epoch, event.step) == (3, 0):
            resource.setrlimit(resource.RLIMIT_FSIZE, (2500, before[1]))

    try:
        with pytest.raises(RunError) as caught:
            fit(light, output=tmp_path, listeners=Listeners(watch=watch))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    run = Run(tmp_path / "light" / "1")
    assert (
        str(caught.value)
        == f"{run / 'checkpoints' / 'last'}: the checkpoint cannot be written: File too large. Make room, then continue with --resume."
    )
    assert (run.state, run.read_json("run.json")["error"]) == ("failed", str(caught.value))
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best", "last", "previous"]
    assert resumed(run) == []
    assert_equal_bits(whole, run)


# What cannot be gone on with


def refusal(run):
    with pytest.raises((UsageError, RunError, DataError)) as caught:
        resume(str(run.folder))
    return str(caught.value)


def test_finished_run_is_refused(whole):
    assert refusal(whole) == f"{whole.folder}: the run is finished; there is nothing to resume. Train again with `mmtrain fit CONFIG`."


def test_run_that_was_stopped_before_its_training_is_refused(copy):
    copy.update(files=None)  # the first seal is the last thing before training
    assert refusal(copy) == f"{copy.folder}: the run was stopped before its training began. Train again with `mmtrain fit CONFIG`."


def test_unknown_run_is_refused(tmp_path):
    with pytest.raises(UsageError) as caught:
        resume("nowhere", output=tmp_path)
    assert str(caught.value) == (
        f"nowhere: there is no such run. There are no runs under {tmp_path}: "
        "train one with `mmtrain fit CONFIG`, or name another folder with --output."
    )


@pytest.mark.parametrize("name", ["config.yaml", "split.csv", "columns.json", "statistics.json", "data.json"])
def test_changed_record_is_refused(copy, name):
    text = (copy / name).read_text()
    (copy / name).write_text(text.replace("0", "1", 1))
    assert (copy / name).read_text() != text
    assert refusal(copy) == f"{copy.folder}: {name} changed after the training. Restore the folder, or train again."


def test_changed_table_is_refused(light, left, copy):
    table = light.with_name("table.csv")
    text = table.read_text()
    table.write_text(text + "1,low\n")
    try:
        refused = refusal(copy)
    finally:
        table.write_text(text)
    assert refused == (
        f"{table}: the table has changed since the training, so its rows are no longer those of the split. "
        f"Restore the table, or train again on the changed one with `mmtrain fit {copy.folder}/config.yaml`."
    )


def keep_time(path, before):
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.slow  # a changed table is above, and the same comparison
def test_changed_images_are_refused_and_moved_ones_are_not(tmp_path):
    folder = tmp_path / "before"
    run = stopped(rich(folder, IMAGES), folder / "runs", 1, 2)
    image = folder / "scans" / "7.png"
    before, pixels = image.stat(), image.read_bytes()
    image.unlink()
    assert refusal(run) == "table.csv:9: scan: the file scans/7.png does not exist. Did you mean '47.png'?"
    paint(image, 99)
    changed = (
        "table.csv: scan: the images are no longer those of the training: a file has another size or another time of change. "
        "Restore the images with their times (`cp -p`, `rsync -t`), or train again; `data.cache.verify: content` ignores times."
    )
    assert refusal(run) == changed
    image.write_bytes(pixels)
    assert refusal(run) == changed  # the same bytes at another time
    keep_time(image, before)
    assert run.state == "interrupted"
    folder.rename(tmp_path / "after")
    run = Run(tmp_path / "after" / "runs" / "images" / "1")
    assert resumed(run) == []
    (tmp_path / "after" / "scans" / "7.png").touch()
    said = []
    evaluate(str(run.folder), EvaluateOptions(part="validation"), say=said.append)
    assert said == [
        "note: table.csv: scan: the images are no longer those of the training: a file has another size or another time of change.",
        "Data checked; starting TensorFlow.",
    ]


@pytest.mark.slow
def test_contents_of_images_are_compared_where_the_experiment_says_so(tmp_path):
    tree = yaml.safe_load(IMAGES) | {"data": {"cache": {"verify": "content"}}}
    run = stopped(rich(tmp_path, tree), tmp_path / "runs", 1, 2)
    image = tmp_path / "scans" / "7.png"
    before, pixels = image.stat(), image.read_bytes()
    paint(image, 99)
    keep_time(image, before)
    assert refusal(run) == (
        "table.csv: scan: the images are no longer those of the training: the bytes of a file have changed. "
        "Restore the images, or train again."
    )
    image.write_bytes(pixels)  # at another time, which does not matter
    assert resumed(run) == []


# SIGKILL, whatever the process is doing

KILLED = """
name: killed
columns:
  scan: {role: image, size: [16, 16], channels: 1, augment: {flip: both, rotate: 20, brightness: 0.3}}
  x: {role: numeric}
  y: {role: target, task: binary}
branches:
  scan: {columns: [scan], architecture: cnn, filters: [8]}
  x: {columns: [x], units: [8], dropout: 0.2}
fusion: {units: [8], dropout: 0.5}
training:
  epochs: 24
  batch_size: 16
  deterministic: true
  checkpoint_minutes: 1.0e-9
  schedule: {method: plateau, patience: 1}
"""
KILLS, IN_BUILDING = 20, 5
"""How many processes are killed, and how many of these while they build the store of their images."""


def large_images(folder):
    """Images that take a second or two to decode, most of them noise."""
    noise = np.random.default_rng(5)
    rows = []
    for row in range(240):
        paint(folder / "scans" / f"{row}.png", noise.integers(0, 256, (640, 640)).astype(np.uint8))
        rows.append({"scan": f"scans/{row}.png", "x": noise.normal(), "y": "ab"[noise.integers(2)]})
    write_table(folder / "table.csv", rows)
    return write_experiment(folder / "killed.yaml", KILLED)


def finished(*arguments, folder, **options):
    """A process that has to succeed; its standard error."""
    process = start(*arguments, folder=folder, **options)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def killed_after(process, begun, seconds):
    """SIGKILL so long after `begun()` is true; whether the process was still there."""
    while not begun():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.002)
    time.sleep(seconds)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def unfinished_stores(cache):
    """Whether a process has begun to build an image store and not finished it: its shards, or the array that takes them."""
    return any(cache.glob("*.shards-*")) or any(cache.glob("*.tmp-*"))


def has_begun(run):
    """Whether all is written down that a training needs to go on."""
    return (run / "run.json").exists() and set(RECORDED_FILES) <= set(run.read_json("run.json").get("files", {}))


def where(run):
    """What a killed process was doing, from what it left."""
    half = sorted(path.name.split(".")[1] for path in (run / "checkpoints").glob(".*")) if (run / "checkpoints").exists() else []
    name, wrong = checkpoints.newest(run / "checkpoints")
    here = f"epoch {position(run, name)['epoch']} step {position(run, name)['step']}" if name else "before the first checkpoint"
    return " ".join([here, *(f"writing {part}" for part in half), wrong]).strip()


@pytest.mark.slow  # forty trainings of some ten seconds
def test_run_killed_at_any_of_twenty_moments_ends_with_the_same_bits(tmp_path):
    """Five are killed while they build the store of their images, the others between the making of the run and its end."""
    path, cache = large_images(tmp_path), tmp_path / "cache"
    process = start("fit", path.name, "--output", "whole", folder=tmp_path, MMTRAIN_CACHE=str(cache))
    whole = Run(tmp_path / "whole" / "killed" / "1")
    while not (whole / "run.json").exists():
        time.sleep(0.01)
    begun = time.perf_counter()
    process.communicate()
    lasted = time.perf_counter() - begun
    assert process.returncode == 0
    evaluate(str(whole.folder), EvaluateOptions(part="validation"))
    noise, told = np.random.default_rng(20), []
    while len(told) < KILLS:  # one that was faster than its killer does not count
        number = len(told) + 1
        building = number <= IN_BUILDING
        output, own = tmp_path / f"runs{number}", tmp_path / f"cache{number}" if building else cache
        shutil.rmtree(output, ignore_errors=True)
        run = Run(output / "killed" / "1")
        arguments = {"folder": tmp_path, "MMTRAIN_CACHE": str(own)}
        process = start("fit", path.name, "--output", output.name, **arguments)
        seconds = noise.uniform(0, 0.5 if building else lasted)
        begun = (lambda own=own: unfinished_stores(own)) if building else (run / "run.json").exists
        if not killed_after(process, begun, seconds) or (not building and run.state == "finished"):
            continue
        if unfinished_stores(own) != building:
            assert building, "a store was built again"
            continue
        found = "building the store" if building else where(run)
        if has_begun(run):
            going_on = ["--resume", str(run.folder)]
        else:  # `--resume` says so, and nothing is lost
            shutil.rmtree(output, ignore_errors=True)
            going_on = [path.name, "--output", output.name]
        said = finished("fit", *going_on, **arguments)
        evaluate(str(run.folder), EvaluateOptions(part="validation"))
        assert_equal_bits(whole, run, "predictions_validation.csv", "metrics.json")
        told.append(f"{number:2}  {seconds:5.2f} s  {found}  {' '.join(line for line in said.splitlines() if 'damaged' in line)}")
        print(told[-1], flush=True)  # noqa: T201 (`pytest -s` shows the table)
    assert len(told) == KILLS
    assert sum("writing" in line for line in told) >= 2  # some in the middle of a checkpoint
