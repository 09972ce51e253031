"""Weight soups: which epochs are averaged, statistics of batch normalization, and a training with one, resumed to the same bits."""

import json
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import two_blobs, write_experiment

from mmtrain import config
from mmtrain.artifacts.run_folder import Run
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.config.sections.training import EarlyStopping
from mmtrain.errors import ConfigError, Problem, RunError
from mmtrain.training import checkpoints, loop
from mmtrain.training.listeners.events import EpochEnded
from mmtrain.training.soup import choose_epochs, mean_weights, renew_statistics

EXPERIMENT = """
name: soup
columns: {x: {role: numeric}, y: {role: target, task: binary}}
branches: {x: {columns: [x], units: [8], normalization: batch}}
split: {method: stratified, test: 0.2, validation: 0.3}
training: {epochs: 6, batch_size: 8, soup: 4, deterministic: true, learning_rate: 0.05, schedule: {method: constant}}
evaluation: {draws: 100, permutations: 0}
"""


@pytest.fixture(scope="module", autouse=True)
def only_here():
    """TensorFlow stays deterministic until it is told otherwise; the other tests are not."""
    yield
    tf_config.disable_op_determinism()


def rule(direction):
    return EarlyStopping(monitor="validation_loss" if direction == "minimize" else "validation_auc", direction=direction)


def epochs(**values):
    return {int(name[1:]): [np.array([value], np.float32)] for name, value in values.items()}


@pytest.mark.parametrize(
    ("direction", "best", "expected"),
    [
        # The loss is the distance from 1: 0.8 and 1.4 together are nearer than 0.8 alone, 3.0 is not added.
        ("minimize", 5, ([5, 2], 0.1)),
        # The same network with a score to be maximized.
        ("maximize", 5, ([5, 2], -0.1)),
    ],
)
def test_an_epoch_is_added_only_if_the_score_of_the_mean_does_not_fall(direction, best, expected):
    sign = 1 if direction == "minimize" else -1
    weights = epochs(e5=0.8, e3=3.0, e2=1.4)
    chosen, value = choose_epochs(best, weights, sign * 0.2, rule(direction), lambda mixed: sign * abs(float(mixed[0][0]) - 1))
    assert (chosen, value) == (expected[0], pytest.approx(expected[1], abs=1e-6))


def test_undefined_scores_and_divergence_add_nothing():
    for value in (None, float("nan")):
        assert choose_epochs(1, epochs(e1=0.0, e2=1.0), 0.5, rule("minimize"), lambda _, value=value: value) == ([1], 0.5)


def test_a_mean_of_weights_that_diverges_adds_nothing_and_ends_no_training(tmp_path, monkeypatch):
    def scores(*_):
        raise RunError(Problem("run", "the loss of 3 of 9 validation rows is no longer finite."))

    tried = []
    monkeypatch.setattr(loop.checkpoints, "load", lambda *_: None)
    training = SimpleNamespace(
        run=tmp_path,
        stopping=SimpleNamespace(best_epoch=2),
        training=SimpleNamespace(soup=3),
        data=SimpleNamespace(models=SimpleNamespace(stored=None)),
        validation=SimpleNamespace(scores=scores),
        monitored=None,
        batches=None,
        soup=SimpleNamespace(mix=lambda _best, _batches, score: tried.append(score())),
    )
    loop._Loop.mix_best_epochs(training, None)
    assert tried == [None]


def test_a_soup_needs_a_score_of_validation_rows(tmp_path):
    path = write_experiment(tmp_path / "soup.yaml", EXPERIMENT)
    with pytest.raises(ConfigError, match=r"training\.soup: .* on validation rows, and `train_loss` is that of training rows"):
        config.load(path, ["training.early_stopping.monitor=train_loss"])
    with pytest.raises(
        ConfigError, match=r"training\.soup: .*standard_errors` keeps one that need not be among them. Leave one of them out"
    ):
        config.load(path, ["training.early_stopping.standard_errors=1"])
    assert config.load(path, ["training.early_stopping.standard_errors=0"]).training.soup == 4


def test_mean_of_weights_is_taken_array_by_array():
    mean = mean_weights([[np.ones((2, 3), np.float32), np.zeros(1, np.float32)], [np.full((2, 3), 3, np.float32), np.ones(1, np.float32)]])
    assert mean[0].tolist() == [[2.0] * 3] * 2 and mean[1].tolist() == [0.5] and mean[0].dtype == np.float32


def test_statistics_of_batch_normalization_are_those_of_the_batches():
    given = keras.Input((2,))
    network = keras.Model(given, keras.layers.BatchNormalization(momentum=0.9)(keras.layers.Dense(2)(given)))
    batches = [tf.constant(np.random.default_rng(seed).normal(seed, 1 + seed, (32, 2)), tf.float32) for seed in range(5)]
    renew_statistics(network, lambda batch: network(batch, training=True), iter(batches))
    values = [network.layers[1](batch).numpy() for batch in batches]
    np.testing.assert_allclose(network.layers[2].moving_mean, np.mean([one.mean(axis=0) for one in values], axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.layers[2].moving_variance, np.mean([one.var(axis=0) for one in values], axis=0), rtol=1e-4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soup")
    # Every third answer is wrong, so that the loss of the best epochs is noise.
    two_blobs(folder, rows=90, y=lambda row: ("low", "high")[(row % 2) ^ (row % 3 == 0)])
    return folder


@pytest.fixture(scope="module")
def kept():
    """Weights in the checkpoint folder after each epoch."""
    return {}


@pytest.fixture(scope="module")
def run(folder, kept):
    def watch(event):
        if isinstance(event, EpochEnded):
            kept[event.epoch] = sorted(int(path.stem) for path in (folder / "runs/soup/1/checkpoints/soup").iterdir())

    return fit(write_experiment(folder / "soup.yaml", EXPERIMENT), output=folder / "runs", listeners=Listeners(watch)).run


@pytest.mark.slow
def test_model_is_the_mean_of_epochs_and_no_worse_than_the_best_of_them(run, kept):
    losses = {line["epoch"]: line["validation_loss"] for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())}
    record = run.read("run.json").soup
    assert record.tried == 4 and len(record.epochs) > 1 and record.value <= record.best == min(losses.values())
    assert set(record.epochs) <= set(sorted(losses, key=losses.get)[:4])
    scored = evaluate(str(run.folder), EvaluateOptions("validation")).targets["y"].scores["log_loss"].value
    assert scored == pytest.approx(record.value, abs=1e-6)
    assert "Weights are the mean of epochs" in (run / "report.html").read_text()
    assert len(kept[6]) <= 5 and not (run / "checkpoints/soup").exists()


@pytest.mark.slow
def test_a_training_that_was_killed_mixes_the_same_soup(run, folder):
    """Killed between the checkpoint of an epoch and its weights, which are then written from the checkpoint."""

    class Killed(Exception):  # noqa: N818
        pass

    def kill(event):
        if isinstance(event, EpochEnded) and event.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        fit(folder / "soup.yaml", output=folder / "runs", listeners=Listeners(kill))
    stopped = Run(folder / "runs/soup/2")
    (stopped / "checkpoints/soup/3.npz").unlink(missing_ok=True)
    resume(str(stopped.folder))
    assert stopped.read("run.json").soup == run.read("run.json").soup
    weights = [np.load(one / f"checkpoints/{checkpoints.SOUP}/weights.npz") for one in (run, stopped)]
    for name in weights[0].files:
        np.testing.assert_array_equal(weights[0][name], weights[1][name])
