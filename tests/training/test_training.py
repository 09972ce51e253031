"""Training: schedules, stopping, augmentation, checkpoints, and the loop that is made of them."""

import json
import math
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny import lines, paint, ready, two_blobs, write_experiment, write_table

from mmtrain.artifacts import run_folder, runs
from mmtrain.batches import Batches
from mmtrain.branches import Features, architectures, branch
from mmtrain.columns.pixels.image_augment import Augment
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.config.sections.training import EarlyStopping
from mmtrain.data.arrays import Arrays
from mmtrain.data.counter_rng import uniform
from mmtrain.data.encoded_column import EncodedColumn
from mmtrain.data.images.prefetch import StoredImages
from mmtrain.data.images.store import ImageStore
from mmtrain.errors import RunError
from mmtrain.model.memory_errors import prediction_oom_errors, step_oom_errors
from mmtrain.pipeline.build import assemble_network
from mmtrain.training import checkpoints, device, loop
from mmtrain.training.augmentation.augment import augment_images, uniforms_for
from mmtrain.training.checkpoints import Position
from mmtrain.training.early_stopping import EarlyStopper
from mmtrain.training.listeners.events import Ended, EpochBegan, EpochEnded, Started, Stepped, StepsBegan, Warned
from mmtrain.training.loss_accumulator import suspicious
from mmtrain.training.signals import GracefulShutdown
from mmtrain.training.step import TrainStep
from mmtrain.training.training_data import TrainingData
from mmtrain.training.validation import predict_rows

# Stopping


@pytest.mark.parametrize(
    ("rule", "scores", "best_epoch", "stops_after"),
    [
        ({"direction": "minimize", "patience": 2}, [3, 2, 2, 1, 1, 1, 0], 4, 6),
        ({"direction": "maximize", "patience": 2}, [0.1, 0.3, 0.2, 0.2, 0.9], 2, 4),
        ({"direction": "minimize", "patience": 1, "min_delta": 0.5}, [3, 2.4, 2.0, 1.8], 2, 3),
        ({"direction": "maximize", "patience": 3}, [None, 0.5, None, None, None, 0.9], 2, 5),
        ({"direction": "minimize", "patience": 2}, [None, None, 1], 0, 2),
        ({"direction": "minimize"}, [1, 2, 3, 4, 5], 1, None),
    ],
)
def test_training_stops_when_patience_runs_out(rule, scores, best_epoch, stops_after):
    stopping = EarlyStopper(EarlyStopping(**rule))
    stopped = None
    for epoch, score in enumerate(scores, start=1):
        stopping.epoch_ended(epoch, score)
        if stopping.reason:
            assert stopping.reason == f"validation_loss has not improved for {rule['patience']} epochs"
            stopped = epoch
            break
    assert (stopping.best_epoch, stopped) == (best_epoch, stops_after)


def test_stopping_is_plain_state():
    stopping = EarlyStopper(EarlyStopping(direction="maximize", patience=5))
    assert [stopping.epoch_ended(epoch, score) for epoch, score in [(1, 0.5), (2, 0.4), (3, 0.6), (4, None)]] == [True, False, True, False]
    assert stopping.state() == {"best": 0.6, "best_epoch": 3, "waited": 1}


def test_a_later_epoch_that_is_as_good_within_the_noise_is_kept():
    best = np.tile([1.0, 3.0], 50)
    noise = np.tile([0.5, -0.5, -0.4, 0.44], 25)  # mean 0.01, standard error of the mean 0.046
    epochs = [best + 1, best, best + 0.2, best + noise, best + 2]
    for errors, kept in ((0, 2), (1, 4)):
        stopping = EarlyStopper(EarlyStopping(direction="minimize", standard_errors=errors))
        taken = [stopping.epoch_ended(number, float(rows.mean()), rows) for number, rows in enumerate(epochs, start=1)]
        assert (stopping.best_epoch, stopping.best, stopping.waited) == (kept, 2.0, 3), errors
        assert taken == [True, True, False, bool(errors), False]
        again = EarlyStopper(stopping.rule)
        again.restore(json.loads(json.dumps(stopping.state())))
        assert again == stopping
    large = EarlyStopper(EarlyStopping(direction="minimize", standard_errors=1))
    large.epoch_ended(1, 1.0, np.ones(2_001))
    assert large.state() == {"best": 1.0, "best_epoch": 1, "waited": 0}


def test_rows_of_a_group_are_one_observation_of_the_noise_of_epochs():
    later = np.where(np.arange(100) < 55, 1.3, 0.8)  # 0.075 worse, with a standard error of 0.025 over rows, and of 8.5 over two patients
    for groups, kept in ((None, 1), (np.arange(100) // 55, 2), (np.zeros(100, np.int64), 1)):
        stopping = EarlyStopper(EarlyStopping(direction="minimize", standard_errors=1), groups=groups)
        for number, rows in enumerate((np.ones(100), later), start=1):
            stopping.epoch_ended(number, float(rows.mean()), rows)
        assert stopping.best_epoch == kept


# Augmentation

MIDDLE = 0.5
"""The chance that changes nothing."""


def images(count=3, size=(6, 8, 1), dtype=np.uint8, levels=256, seed=0):
    return np.random.default_rng(seed).integers(0, levels, (count, *size)).astype(dtype)


def changed(pixels, how, levels=255, **at):
    """The images after augmentation; every chance is 0.5 but those given by their place, `c2=1.0`."""
    numbers = np.full((len(pixels), uniforms_for(Augment(**how))), MIDDLE, np.float32)
    for place, chance in at.items():
        numbers[:, int(place[1:])] = chance
    return augment_images(tf.constant(pixels), tf.constant(numbers), Augment(**how), levels).numpy()


@pytest.mark.parametrize(
    ("dtype", "channels"),
    # XLA compiles the change of each kind of images.
    [
        pytest.param(dtype, channels, marks=[] if (dtype, channels) in ((np.uint8, 3), (np.uint16, 1)) else pytest.mark.slow)
        for dtype in (np.uint8, np.uint16)
        for channels in (1, 3, 4)
    ],
)
def test_uniforms_in_the_middle_change_nothing(dtype, channels):
    levels = np.iinfo(dtype).max
    pixels = images(size=(6, 8, channels), dtype=dtype, levels=levels + 1)
    # From one half on, no rectangle is erased.
    how = {"rotate": 90, "shift": 0.5, "zoom": 0.5, "brightness": 0.5, "contrast": 0.5, "color": 0.5, "erase": 0.5}
    found = changed(pixels, how, levels)
    assert found.dtype == dtype
    assert (found == pixels).all()


@pytest.mark.parametrize(
    ("how", "at", "expected"),
    [
        ({"flip": "horizontal"}, {"c0": 0.49}, lambda x: x[:, :, ::-1]),
        ({"flip": "horizontal"}, {"c0": 0.5}, lambda x: x),
        ({"flip": "horizontal"}, {"c0": 0.0, "c1": 0.0}, lambda x: x[:, :, ::-1]),
        ({"flip": "vertical"}, {"c0": 0.0, "c1": 0.0}, lambda x: x[:, ::-1]),
        ({"flip": "both"}, {"c0": 0.0, "c1": 0.0}, lambda x: x[:, ::-1, ::-1]),
        ({"flip": "none", "rotate": 1}, {"c0": 0.0, "c1": 0.0}, lambda x: x),
        ({"rotate": 180}, {"c2": 1.0}, lambda x: x[:, ::-1, ::-1]),
        ({"rotate": 180}, {"c2": 0.0}, lambda x: x[:, ::-1, ::-1]),
        ({"rotate": 180, "flip": "both"}, {"c0": 0.0, "c1": 0.0, "c2": 1.0}, lambda x: x),
        # Two of eight columns, three of six rows: the edge is repeated.
        ({"shift": 0.25}, {"c3": 1.0}, lambda x: np.concatenate([x[:, :, :1], x[:, :, :1], x[:, :, :-2]], axis=2)),
        ({"shift": 0.5}, {"c4": 0.0, "c3": MIDDLE}, lambda x: np.concatenate([x[:, 3:], *[x[:, -1:]] * 3], axis=1)),
    ],
)
def test_images_move_exactly(how, at, expected):
    pixels = images()
    assert (changed(pixels, how, **at) == expected(pixels)).all()


def test_quarter_turn_is_exact_for_square_images():
    pixels = images(size=(6, 6, 2))
    turned = changed(pixels, {"rotate": 90}, c2=1.0)
    assert any((turned == np.rot90(pixels, turns, axes=(1, 2))).all() for turns in (1, 3))
    assert not (turned == changed(pixels, {"rotate": 90}, c2=0.0)).all()


def test_zoom_enlarges_about_the_centre():
    pixels = np.zeros((1, 9, 9, 1), np.uint8)
    pixels[0, 3:6, 3:6] = 200
    larger, smaller = changed(pixels, {"zoom": 0.5}, c5=1.0), changed(pixels, {"zoom": 0.5}, c5=0.0)
    assert (larger > 100).sum() > 9 > (smaller > 100).sum() > 0
    for found in (larger, smaller):
        assert (found == found[:, ::-1]).all()
        assert (found == found[:, :, ::-1]).all()


@pytest.mark.parametrize(
    ("how", "at", "before", "after"),
    [
        ({"brightness": 0.2}, {"c6": 1.0}, [0, 100, 230, 255], [51, 151, 255, 255]),
        ({"brightness": 0.2}, {"c6": 0.0}, [0, 100, 230, 255], [0, 49, 179, 204]),
        ({"brightness": 0.2}, {"c6": 0.75}, [0, 100], [26, 126]),
        ({"contrast": 0.5}, {"c7": 1.0}, [0, 100, 130, 255], [0, 86, 131, 255]),
        ({"contrast": 0.5}, {"c7": 0.0}, [0, 100, 130, 255], [64, 114, 129, 191]),
        ({"contrast": 0.5, "brightness": 0.2}, {"c7": 0.0, "c6": 1.0}, [0, 255], [115, 242]),
    ],
)
def test_brightness_and_contrast_are_these_levels(how, at, before, after):
    pixels = np.array(before, np.uint8).reshape(1, 1, -1, 1)
    assert changed(pixels, how, **at).ravel().tolist() == after


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_color_has_its_own_factor(channels):
    pixels = np.full((1, 1, 1, channels), 100, np.uint8)
    found = changed(pixels, {"color": 0.5}, c8=1.0, c9=0.0)
    assert found.ravel().tolist() == {1: [100], 3: [150, 50, 100], 4: [150, 50, 100, 100]}[channels]


@pytest.mark.parametrize("compiled", [True, False])
def test_a_rectangle_of_half_of_the_images_is_erased(compiled):
    """Heights and widths are shares of `erase`, places are shares of the room that is left."""
    pixels, numbers = np.full((2, 10, 20, 3), 200, np.uint8), np.full((2, 16), MIDDLE, np.float32)
    numbers[:, 11] = [0.49, 0.5]  # the second image stays
    numbers[:, 12:] = [0.5, 1.0, 0.0, 1.0]
    found = augment_images(tf.constant(pixels), tf.constant(numbers), Augment(erase=0.4), 255, compiled=compiled).numpy()
    expected = pixels.copy()
    expected[0, :2, 12:] = 128  # 0.2 of the height at the top, 0.4 of the width on the right
    assert (found == expected).all()


def test_changes_without_color_and_erase_draw_the_numbers_they_always_drew():
    assert [uniforms_for(Augment(**how)) for how in ({"rotate": 10}, {"color": 0.1}, {"erase": 0.1})] == [8, 16, 16]


def test_sixteen_bits_are_as_bright_as_eight():
    pixels = np.array([0, 30_000, 60_000], np.uint16).reshape(1, 1, -1, 1)
    found = changed(pixels, {"brightness": 0.1}, 65_535, c6=1.0)
    assert (found.dtype, found.ravel().tolist()) == (np.uint16, [6554, 36_554, 65_535])


def test_each_row_has_its_own_change():
    pixels = np.repeat(images(1), 4, axis=0)
    numbers = np.full((4, 8), MIDDLE, np.float32)
    numbers[:, 0] = [0.0, 0.9, 0.2, 0.6]
    found = augment_images(tf.constant(pixels), tf.constant(numbers), Augment(flip="horizontal"), 255).numpy()
    assert [(image == pixels[0]).all() for image in found] == [False, True, False, True]


def place(row, column, shape, turned, moved, larger, mirrored):
    """Where in the source the pixel at (row, column) of the result comes from: undo the shift, the zoom, the turn, the mirror."""
    middle = (np.array(shape) - 1) / 2
    down, right = np.array([row, column]) - middle - np.array(moved) * shape
    angle = math.radians(turned)
    back = np.array([math.sin(angle) * right + math.cos(angle) * down, math.cos(angle) * right - math.sin(angle) * down]) / (1 + larger)
    return np.clip(middle + back * np.where(mirrored, -1, 1), 0, np.array(shape) - 1)


def between(image, row, column):
    """The four pixels around a place, each as much as the place is near to it."""
    total = 0.0
    for y in {math.floor(row), math.ceil(row)}:
        for x in {math.floor(column), math.ceil(column)}:
            total = total + image[y, x].astype(float) * (1 - abs(row - y)) * (1 - abs(column - x))
    return total


@pytest.mark.parametrize(("compiled", "apart"), [(True, 0), (False, 1)])
def test_moved_image_is_what_a_slow_reference_gives(compiled, apart):
    """Of random places, many beyond the edge; TensorFlow's own resampling, in float32, may round to the level beside."""
    pixels, numbers = images(5, (6, 9, 3)), np.random.default_rng(1).random((5, 8), np.float32)
    how = Augment(flip="both", rotate=120, shift=0.4, zoom=0.6, brightness=0.3, contrast=0.4)
    expected = np.empty(pixels.shape)
    for number, (image, chance) in enumerate(zip(pixels, numbers.astype(float), strict=True)):
        signed = 2 * chance - 1
        for row, column in np.ndindex(6, 9):
            at = place(row, column, (6, 9), 120 * signed[2], 0.4 * signed[[4, 3]], 0.6 * signed[5], chance[[1, 0]] < 0.5)
            expected[number, row, column] = (between(image, *at) - 127.5) * (1 + 0.4 * signed[7]) + 127.5 + 0.3 * signed[6] * 255
    found = augment_images(tf.constant(pixels), tf.constant(numbers), how, 255, compiled=compiled).numpy()
    assert np.abs(found - np.clip(np.round(expected), 0, 255)).max() <= apart


def test_change_of_a_row_is_the_same_in_every_batch():
    pixels, numbers = images(3, (6, 8, 3)), np.random.default_rng(2).random((3, 16), np.float32)
    how = Augment(flip="both", rotate=180, shift=0.5, zoom=0.5, brightness=0.5, contrast=0.5, color=0.5, erase=0.9)
    together = augment_images(tf.constant(pixels), tf.constant(numbers), how, 255).numpy()
    for begin, end in ((0, 1), (1, 3)):
        alone = augment_images(tf.constant(pixels[begin:end]), tf.constant(numbers[begin:end]), how, 255).numpy()
        assert (alone == together[begin:end]).all()


# Checkpoints


def network(units=3, names=("one", "two")):
    inputs = keras.Input((2,))
    middle = keras.layers.BatchNormalization(name="normal")(keras.layers.Dense(units, name=names[0])(inputs))
    core = keras.Model(inputs, keras.layers.Dense(1, name=names[1])(middle))
    optimizer = keras.optimizers.Adam()
    optimizer.build(core.trainable_variables)
    return core, optimizer


def weights(core):
    return [variable.numpy().copy() for variable in core.variables]


def test_checkpoint_gives_back_every_weight_and_the_position(tmp_path):
    core, optimizer = network()
    before = weights(core)
    checkpoints.save(tmp_path / "c", "last", core, optimizer, Position(3, 7))
    for variable in core.variables:
        variable.assign(variable.numpy() + 1)
    assert checkpoints.load(tmp_path / "c", "last", core) == Position(3, 7)
    assert len(before) == 8
    assert all((one == other).all() for one, other in zip(before, weights(core), strict=True))
    assert sorted(path.name for path in (tmp_path / "c" / "last").iterdir()) == ["optimizer.npz", "position.json", "weights.npz"]
    with np.load(tmp_path / "c" / "last" / "optimizer.npz") as stored:
        assert len(stored.files) == len(optimizer.variables)


def test_previous_checkpoint_is_kept_and_best_is_replaced(tmp_path):
    core, optimizer = network()
    for epoch in (1, 2, 3):
        checkpoints.save(tmp_path, "last", core, optimizer, Position(epoch))
        checkpoints.save(tmp_path, "best", core, optimizer, Position(epoch))
    found = {path.name: json.loads((path / "position.json").read_text())["position"]["epoch"] for path in tmp_path.iterdir()}
    assert found == {"last": 3, "previous": 2, "best": 3}


def test_checkpoint_that_was_killed_in_the_middle_harms_nothing(tmp_path):
    core, optimizer = network()
    checkpoints.save(tmp_path, "last", core, optimizer, Position(1))
    for name in (f".last.{os.getpid()}.tmp", ".last.99999999.tmp"):  # what a killed process leaves
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.npz").write_bytes(b"half")
    assert checkpoints.load(tmp_path, "last", core) == Position(1)
    checkpoints.save(tmp_path, "last", core, optimizer, Position(2))
    assert checkpoints.load(tmp_path, "last", core) == Position(2)
    assert checkpoints.load(tmp_path, "previous", core) == Position(1)


def test_checkpoint_that_cannot_be_written_is_a_problem_and_leaves_the_old_one(tmp_path):
    core, optimizer = network()
    checkpoints.save(tmp_path, "last", core, optimizer, Position(1))
    (tmp_path / "previous").write_text("a file in the way")
    with pytest.raises(RunError) as caught:
        checkpoints.save(tmp_path, "last", core, optimizer, Position(2))
    assert (
        str(caught.value) == f"{tmp_path}/last: the checkpoint cannot be written: Not a directory. Make room, then continue with --resume."
    )
    assert checkpoints.load(tmp_path, "last", core) == Position(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "previous"]


@pytest.mark.parametrize("other", [{"units": 4}, {"names": ("one", "three")}])
def test_checkpoint_of_another_network_is_refused(tmp_path, other):
    checkpoints.save(tmp_path, "best", *network(), Position())
    core, _ = network(**other)
    before = weights(core)
    with pytest.raises(RunError) as caught:
        checkpoints.load(tmp_path, "best", core)
    assert str(caught.value) == f"{tmp_path}/best: the checkpoint belongs to another network. Train again."
    assert all((one == two).all() for one, two in zip(before, weights(core), strict=True))


def cut(path):
    path.write_bytes(path.read_bytes()[:200])


def flip(path):
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF  # inside the numbers of the first array
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("weights.npz", cut),
        ("weights.npz", flip),
        ("weights.npz", lambda path: path.write_bytes(b"")),
        ("weights.npz", lambda path: path.unlink()),
        ("position.json", cut),
        ("position.json", lambda path: path.unlink()),
        ("position.json", lambda path: path.write_bytes(b"{")),
    ],
)
def test_damaged_checkpoint_is_refused(tmp_path, file, damage):
    core, optimizer = network()
    checkpoints.save(tmp_path, "best", core, optimizer, Position(best_scores={"x" * 300: None} if damage is cut else {}))
    damage(tmp_path / "best" / file)
    with pytest.raises(RunError) as caught:
        checkpoints.load(tmp_path, "best", core)
    assert str(caught.value) == f"{tmp_path}/best: the checkpoint is missing or damaged. Train again."


# The loop


def material(path, overrides=()):
    """What `fit` hands to the loop."""
    found = ready(path, overrides)
    device.prepare(found.experiment.training.seed, deterministic=False)
    built = assemble_network(found.experiment, found.fitted)
    sections = found.experiment.training, found.experiment.columns
    return TrainingData(*sections, found.fitted, found.arrays, found.partition, built, found.data.table.place)


def trained(path, output, overrides=()):
    """The events of a training, and its run."""
    events = []
    run = runs.create("loop", output)
    loop.train(material(path, overrides), run, events.append)
    return events, run


BLOBS = """
columns: {x: {role: numeric}, y: {role: target, task: binary}}
training: {epochs: 3, batch_size: 16, learning_rate: 0.01, optimizer: sgd}"""


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blobs")
    two_blobs(folder)
    return write_experiment(folder / "blobs.yaml", BLOBS)


@pytest.fixture(scope="module")
def events_and_run(blobs):
    return trained(blobs, blobs.parent / "runs")


def test_events_tell_the_whole_training(events_and_run):
    events, _ = events_and_run
    kinds = [type(event) for event in events]
    begun = [EpochBegan, StepsBegan]
    steps = [StepsBegan, Stepped] * 2 + [Stepped]  # of a step is told while the next one runs
    assert kinds == [Started, *(begun + steps + [EpochEnded]) * 3, Ended]
    assert events[0] == Started(epochs=3, steps=3, rows=42, monitor="validation_loss", direction="minimize", main="validation_auc")
    assert [event.rows for event in events if isinstance(event, Stepped)] == [16, 32, 42] * 3  # the last batch has 10 rows
    ended = [event for event in events if isinstance(event, EpochEnded)]
    assert events[-1] == Ended(3, 3, ended[-1].scores, "")
    assert [event.loss for event in events if isinstance(event, Stepped)][2] == ended[0].scores["train_loss"]


def test_a_line_of_metrics_is_what_was_told(events_and_run):
    events, run = events_and_run
    ended = [event for event in events if isinstance(event, EpochEnded)]
    assert lines(run / "metrics.jsonl") == [{"epoch": event.epoch, "learning_rate": event.learning_rate, **event.scores} for event in ended]
    assert list(ended[0].scores) == [
        "train_loss", "validation_loss", "validation_auc", "validation_pr_auc", "validation_accuracy", "validation_balanced_accuracy",
        "validation_f1", "validation_sensitivity", "validation_specificity", "validation_log_loss", "validation_brier",
    ]  # fmt: skip


def test_validation_loss_is_the_mean_over_rows_of_the_loss(events_and_run):
    events, _ = events_and_run
    ended = [event.scores for event in events if isinstance(event, EpochEnded)]
    assert len(ended) == 3
    for scores in ended:
        assert scores["validation_loss"] == pytest.approx(scores["validation_log_loss"], rel=1e-5)


def test_checkpoints_say_where_the_training_stands(events_and_run):
    _, run = events_and_run
    found = {
        name: json.loads((run / "checkpoints" / name / "position.json").read_text())["position"] for name in ("last", "previous", "best")
    }
    assert [(found[name]["epoch"], found[name]["step"]) for name in found] == [(3, 0), (2, 0), (3, 0)]
    assert found["last"]["stopping"] == {"best": lines(run / "metrics.jsonl")[-1]["validation_loss"], "best_epoch": 3, "waited": 0}
    assert found["last"]["learning_rate"] == {"improved": [True, True, True]}


@pytest.mark.slow
def test_steps_are_compiled_once_for_every_batch_size_and_several_trainings_are_not_taken_for_one(blobs, caplog):
    """TensorFlow warns of a function that it compiles in five calls of five."""
    found = material(blobs)
    sizes = []
    for _ in range(6):
        steps = TrainStep(found.training, found.columns, found.fitted, found.models)
        for batch in Batches(found.arrays, found.partition.train, 16, 0).epoch(1):
            steps.train(batch, [0.001])
            sizes.append(len(batch.rows))
        predict_rows(steps, found.arrays, found.partition.validation)
    assert sizes == [16, 16, 10] * 6
    assert [text for text in caplog.messages if "retracing" in text] == []


def test_best_weights_are_those_of_the_best_epoch(tmp_path):
    """Labels are noise and the rate is far too high, so that the best epoch is not the last."""
    noise = np.random.default_rng(1)
    write_table(tmp_path / "table.csv", [{"x": noise.normal(), "z": noise.normal(), "y": noise.choice(["a", "b"])} for _ in range(60)])
    path = write_experiment(
        tmp_path / "noise.yaml",
        """
        columns: {x: {role: numeric}, z: {role: numeric}, y: {role: target, task: binary}}
        split: {validation: 0.3}
        training: {epochs: 40, batch_size: 16, learning_rate: 0.1, early_stopping: {patience: 3}}
        """,
    )
    done = fit(path, output=tmp_path / "runs")
    losses = [line["validation_loss"] for line in lines(done.run / "metrics.jsonl")]
    best = int(np.argmin(losses)) + 1
    assert done.ended.best_epoch == best
    assert len(losses) == done.ended.epochs == best + 3 < 40
    assert done.ended.reason == "validation_loss has not improved for 3 epochs"
    assert done.ended.best_scores == {
        name: value
        for name, value in lines(done.run / "metrics.jsonl")[best - 1].items()
        if "loss" in name or name.startswith("validation_")
    }
    scored = evaluate(str(done.run.folder), EvaluateOptions(part="validation"))
    found = {name: score.value for name, score in scored.targets["y"].scores.items()}
    assert found["log_loss"] == pytest.approx(losses[best - 1], rel=1e-5)
    assert done.run.state == "finished"


def test_undefined_monitor_is_said_once_and_the_last_weights_are_kept(tmp_path):
    """One validation row has one class, so that its AUC is undefined."""
    rows = [{"x": row, "y": "ab"[row % 2], "part": "validation" if row == 0 else "train"} for row in range(12)]
    write_table(tmp_path / "table.csv", rows)
    path = write_experiment(
        tmp_path / "undefined.yaml",
        """
        columns: {x: {role: numeric}, y: {role: target, task: binary}, part: {role: split}}
        split: {method: column, test: 0}
        training: {epochs: 2, optimizer: sgd, early_stopping: {monitor: validation_auc}}
        """,
    )
    events, run = trained(path, tmp_path / "runs")
    warned = [event.text for event in events if isinstance(event, Warned)]
    assert len(warned) == 1
    assert warned[0].startswith("validation_auc, which decides what the best epoch is, is undefined: ")
    assert [line["validation_auc"] for line in lines(run / "metrics.jsonl")] == [None, None]
    assert events[-1] == Ended(2, 2, {}, "")
    assert json.loads((run / "checkpoints" / "best" / "position.json").read_text())["position"]["epoch"] == 2


def test_a_monitor_that_no_epoch_has_ends_the_training(tmp_path):
    two_blobs(tmp_path)
    path = write_experiment(tmp_path / "e.yaml", "columns: {x: {role: numeric}, y: {role: target, task: multilabel}}")
    with pytest.raises(RunError) as refused:
        trained(
            path,
            tmp_path / "runs",
            ['training.early_stopping.monitor="validation_auc[hihg]"', "training.epochs=1", "training.optimizer=sgd"],
        )
    assert str(refused.value) == (
        f"{tmp_path}/runs/loop/1: training.early_stopping.monitor: no epoch has a score 'validation_auc[hihg]'. "
        "Did you mean 'validation_auc[high]'?"
    )


def test_validation_rows_of_a_class_that_training_lacks_are_left_out(tmp_path):
    rows = [{"x": row, "y": "ab"[row % 2], "part": ("train", "train", "validation")[row % 3]} for row in range(24)]
    rows[2]["y"] = rows[5]["y"] = "rare"
    write_table(tmp_path / "table.csv", rows)
    path = write_experiment(
        tmp_path / "rare.yaml",
        """
        columns: {x: {role: numeric}, y: {role: target, task: multiclass}, part: {role: split}}
        split: {method: column, test: 0}
        training: {epochs: 2, optimizer: sgd}
        """,
    )
    events, run = trained(path, tmp_path / "runs")
    assert [event.text for event in events if isinstance(event, Warned)] == [
        "2 validation rows are left out of the scores of y: training rows do not have their class"
    ]
    for line in lines(run / "metrics.jsonl"):
        assert line["validation_loss"] == pytest.approx(line["validation_log_loss"], rel=1e-5)


NUMBERS = """
columns: {x: {role: numeric, normalize: none}, y: {role: target, task: binary}, part: {role: split}}
split: {method: column, test: 0}
training: {epochs: 3, batch_size: 16, learning_rate: 0.25}
"""


def with_outlier(folder, part, *, value="1e38"):
    """A table whose row 30 (line 32) has an enormous number, and stands in `part`."""
    rows = [{"x": (row % 2) * 2 - 1, "y": "ab"[row % 2], "part": ("train", "train", "validation")[row % 3]} for row in range(60)]
    rows[30] |= {"x": value, "part": part}
    write_table(folder / "table.csv", rows)
    return write_experiment(folder / "outlier.yaml", NUMBERS)


def test_loss_that_is_no_number_names_its_place_and_the_suspicious_input(tmp_path):
    events = []
    with pytest.raises(RunError) as caught:
        fit(with_outlier(tmp_path, "train"), output=tmp_path / "runs", listeners=Listeners(watch=events.append))
    folder = tmp_path / "runs" / "outlier" / "1"
    step = sum(isinstance(event, Stepped) for event in events) + 1
    assert str(caught.value) == (
        f"{folder}: the loss became nan in epoch 1, step {step}. Unusual in training rows: x 1e+38 (table.csv:32). "
        "Lower training.learning_rate (now 0.25); normalize numbers; look for outliers."
    )
    facts = run_folder.Run(folder).read_json("run.json")
    assert (facts["state"], facts["error"]) == ("failed", str(caught.value))
    assert not (folder / "model.keras").exists()  # no epoch was finished
    assert not (folder / "metrics.jsonl").exists()


@pytest.mark.slow  # the loss of training rows is above
def test_validation_loss_that_is_no_number_is_told_alike(tmp_path):
    with pytest.raises(RunError) as caught:
        fit(with_outlier(tmp_path, "validation"), output=tmp_path / "runs")
    assert str(caught.value) == (
        f"{tmp_path}/runs/outlier/1: the loss of 1 of 21 validation rows is no longer finite in epoch 1. "
        "Unusual in those rows: x 1e+38 (table.csv:32). "
        "Lower training.learning_rate (now 0.25); normalize numbers; look for outliers."
    )


def test_best_weights_outlive_a_failure(blobs, tmp_path):
    """The rate of the second epoch is so high that the weights overflow."""
    tree = f"{BLOBS[:-1]}, schedule: {{method: exponential, decay: 1}}}}"
    write_table(tmp_path / "table.csv", [{"x": (row % 2) * 2 - 1, "y": "ab"[row % 2]} for row in range(60)])
    path = write_experiment(tmp_path / "overflow.yaml", tree)
    found = material(path)
    run = runs.create("overflow", tmp_path / "runs")
    training = loop._Loop(found, run, lambda _: None)
    training.rate.base = 0.01

    def after(event):
        if isinstance(event, EpochEnded):
            training.rate.base = 1e30

    training.listener = after
    with pytest.raises(RunError, match=r"the loss became (nan|inf) in epoch 2, step"):
        training.run_epochs(GracefulShutdown())
    assert json.loads((run / "checkpoints" / "best" / "position.json").read_text())["position"]["epoch"] == 1
    assert all(np.isfinite(variable.numpy()).all() for variable in restored(found, run))


def restored(found, run):
    checkpoints.load(run / "checkpoints", "best", found.models.network)
    return found.models.network.variables


def test_suspicious_are_the_largest_inputs_and_weights_and_those_that_are_no_numbers():
    numbers = np.array([[1.0, 0], [np.nan, 0], [0, -1001], [5000, 0], [1000, 2]], np.float32)
    shown = np.ones((5, 1), np.float32)
    store = ImageStore(StoredImages(np.full((1, 2, 2, 1), 60_000, np.uint16)), np.zeros(5, np.int64))
    arrays = Arrays(
        inputs={"x": EncodedColumn(numbers, shown), "scan": store, "city": EncodedColumn(np.full((5, 1), 5000, np.int32), shown)},
        present={"x": shown},
        targets={"y": np.full(5, 1e9)},  # an answer in its own unit; the network learns it standardised
        weights={"y": np.array([2000.0, 1, 1, 1, 1], np.float32)},
    )
    assert suspicious(arrays, np.arange(5)) == [("x", math.inf, 1), ("x", 5000.0, 3), ("weight of y", 2000.0, 0)]
    assert suspicious(arrays, np.array([4, 2])) == [("x", 1001.0, 2)]
    assert suspicious(arrays, np.array([4])) == []


@pytest.mark.slow  # TensorFlow waits ten seconds for memory
def test_too_little_memory_is_a_problem_not_a_bug(blobs, tmp_path):
    @branch("vector", name="gigantic")
    def gigantic(inputs, *, units: int = 1):
        return Features(Gigantic()(inputs["x"].tensor))

    class Gigantic(keras.layers.Layer):
        def call(self, numbers):
            return numbers + tf.reduce_sum(tf.random.uniform((tf.shape(numbers)[0], 2**30, 2**12)))

    try:
        path = write_experiment(tmp_path / "gigantic.yaml", BLOBS + "\nbranches: {b: {columns: [x], architecture: gigantic}}")
        two_blobs(tmp_path)
        with pytest.raises(RunError) as caught:
            trained(path, tmp_path / "runs")
    finally:
        architectures.remove("gigantic")
    assert str(caught.value) == (
        f"{tmp_path}/runs/loop/1: the memory was not enough for a step of the training. "
        "Lower training.batch_size (now 16), the size of images, or the widths of the network."
    )


@pytest.mark.parametrize(
    ("around", "problem"),
    [
        (
            lambda: step_oom_errors("clinic", 64),
            "clinic: the memory was not enough for a step of the training. "
            "Lower training.batch_size (now 64), the size of images, or the widths of the network.",
        ),
        (
            lambda: prediction_oom_errors(1024),
            "the network: the memory was not enough for the predictions of 1,024 rows at once. "
            "End other programs that use the device, or leave it alone: `CUDA_VISIBLE_DEVICES= mmtrain ...` uses the processor.",
        ),
    ],
)
def test_too_little_memory_is_told_by_what_it_was_for(around, problem):
    with pytest.raises(RunError) as caught, around():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
    assert str(caught.value) == problem


def test_seed_may_be_any_whole_number(blobs):
    device.prepare(2**70, deterministic=False)
    assert uniform(2**70, 1, np.arange(2), 1).shape == (2, 1)


# Learning


@pytest.mark.slow
def test_network_learns_a_image_and_leaves_validation_images_alone(tmp_path):
    """Dark images are `a`, bright ones `b`; augmentation may make training images dark or bright, never those it is judged on."""
    noise = np.random.default_rng(0)
    for row in range(60):
        paint(tmp_path / "p" / f"{row}.png", np.clip(noise.normal((70, 180)[row % 2], 20, (8, 8)), 0, 255).astype(np.uint8))
    write_table(tmp_path / "table.csv", [{"scan": f"p/{row}.png", "y": "ab"[row % 2]} for row in range(60)])
    path = write_experiment(
        tmp_path / "scans.yaml",
        """
        columns: {scan: {role: image, size: [8, 8], channels: 1, augment: {flip: both, brightness: 0.05}}, y: {role: target, task: binary}}
        branches: {scan: {columns: [scan], architecture: cnn, filters: [8]}}
        fusion: {method: concatenate, units: [8]}
        training: {epochs: 15, batch_size: 8, learning_rate: 0.02}
        """,
    )
    events, _ = trained(path, tmp_path / "runs")
    assert events[-1].best_scores["validation_accuracy"] > 0.9


def test_masked_image_stays_blank_under_augmentation(tmp_path):
    paint(tmp_path / "p.png", 100)
    write_table(tmp_path / "table.csv", [{"scan": "" if row % 2 else "p.png", "x": row, "y": "ab"[row % 3 == 0]} for row in range(20)])
    path = write_experiment(
        tmp_path / "masked.yaml",
        """
        columns:
          scan: {role: image, size: [8, 8], channels: 1, missing: mask, augment: {brightness: 0.5}}
          x: {role: numeric}
          y: {role: target, task: binary}
        branches: {scan: {columns: [scan], architecture: cnn, filters: [2]}, x: {columns: [x], architecture: mlp, units: [2]}}
        """,
    )
    found = material(path)
    steps = TrainStep(found.training, found.columns, found.fitted, found.models)
    batch = next(Batches(found.arrays, found.partition.train, 64, 0, steps.uniform_columns).epoch(1))
    blank = batch.inputs["scan_present"][:, 0] == 0
    pixels = steps.augmenter.inputs(batch.tree())["scan"].numpy()
    assert 0 < blank.sum() < len(blank)
    assert (pixels[blank] == 0).all()
    assert len(np.unique(pixels[~blank][:, 0, 0, 0])) > 3


def test_rows_of_weight_zero_teach_nothing(tmp_path):
    """Half of the rows have the wrong answer, and weight 0."""
    rows = [{"x": row % 2, "y": "ab"[(row % 2) ^ (row % 4 < 2)], "w": int(row % 4 >= 2)} for row in range(80)]
    write_table(tmp_path / "table.csv", rows)
    tree = """
    columns: {x: {role: numeric}, y: {role: target, task: binary}, w: {role: weight}}
    training: {epochs: 20, batch_size: 8, learning_rate: 0.05}
    """
    found = material(write_experiment(tmp_path / "weights.yaml", tree))
    loop.train(found, runs.create("weights", tmp_path / "runs"), lambda _: None)
    _, predictions = predict_rows(TrainStep(found.training, found.columns, found.fitted, found.models), found.arrays, np.arange(80))
    said = predictions["y"].ravel() > 0.5
    sound = found.arrays.weights["y"] > 0
    truth = found.arrays.targets["y"] == 1
    assert sound.sum() == 40
    assert (said == truth)[sound].mean() > 0.95
    assert (said == truth)[~sound].mean() < 0.05


@pytest.mark.slow
def test_balanced_class_weights_find_more_of_a_rare_class(tmp_path):
    """One row in ten is rare, and its number overlaps with that of the others."""
    noise = np.random.default_rng(0)
    rows = [{"x": noise.normal(1.5 if row % 10 == 0 else 0), "y": "rare" if row % 10 == 0 else "usual"} for row in range(300)]
    write_table(tmp_path / "table.csv", rows)
    recall = {}
    for wanted in ("none", "balanced"):
        path = write_experiment(
            tmp_path / f"{wanted}.yaml",
            f"""
            columns: {{x: {{role: numeric}}, y: {{role: target, task: binary, positive: rare}}}}
            split: {{validation: 0.4, test: 0}}
            training: {{epochs: 6, batch_size: 32, learning_rate: 0.01, class_weights: {wanted}}}
            """,
        )
        events, _ = trained(path, tmp_path / "runs")
        recall[wanted] = events[-2].scores["validation_sensitivity"]
    assert recall["balanced"] > recall["none"] + 0.3


@pytest.mark.slow  # tests/model/test_assemble.py has the sum of two losses
def test_two_targets_are_weighed_in_the_loss(tmp_path):
    rows = [{"x": row / 30 - 1, "y": "ab"[row % 2], "n": row * 3} for row in range(60)]
    write_table(tmp_path / "table.csv", rows)
    path = write_experiment(
        tmp_path / "two.yaml",
        """
        columns: {x: {role: numeric}, y: {role: target, task: binary, loss_weight: 0.25}, n: {role: target, task: regression}}
        training: {epochs: 2, early_stopping: {monitor: validation_n_rmse}}
        """,
    )
    events, _ = trained(path, tmp_path / "runs")
    ended = [event for event in events if isinstance(event, EpochEnded)]
    assert len(ended) == 2
    for event in ended:
        for part in ("train", "validation"):
            expected = 0.25 * event.scores[f"{part}_y_loss"] + event.scores[f"{part}_n_loss"]
            assert event.scores[f"{part}_loss"] == pytest.approx(expected, rel=1e-5)
    assert {"validation_y_auc", "validation_n_rmse"} < set(ended[0].scores)
