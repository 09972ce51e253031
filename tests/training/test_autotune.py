"""Several steps in one call, and what a trial on the device decides."""

import json

import numpy as np
import pytest
import tensorflow as tf
import yaml
from tiny import lines, ready, two_blobs, write_experiment

from mmtrain import config
from mmtrain.batches import Batches
from mmtrain.cli.views.training_result import dry_run_lines
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.dry_run import dry_run
from mmtrain.pipeline.build import assemble_network
from mmtrain.system.memory import anonymous_memory, available_memory, peak_memory
from mmtrain.training import device
from mmtrain.training.auto_settings import autotune
from mmtrain.training.loss_accumulator import LossAccumulator, NotFinite
from mmtrain.training.step import TrainStep

BLOBS = """
columns: {x: {role: numeric}, y: {role: target, task: binary}}
branches: {x: {columns: [x], architecture: linear, units: 4}}
fusion: {units: []}
training: {epochs: 2, batch_size: 8, learning_rate: 0.01, optimizer: sgd}
"""


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("blobs")
    two_blobs(folder)
    return write_experiment(folder / "blobs.yaml", BLOBS)  # 42 training rows: five batches of eight, and one of two


def step_maker(found):
    """Makes the step of a network with fresh weights, with any settings."""
    columns, fitted = found.experiment.columns, found.fitted
    return lambda training: TrainStep(training, columns, fitted, assemble_network(found.experiment, fitted))


def train(found, epochs=2, **settings):
    """The weights after some epochs at rates that fall with every step, the losses of every step, and the number of calls."""
    device.prepare(1, deterministic=False)
    steps = step_maker(found)(found.experiment.training.with_settings(**settings))
    losses, calls = [], 0
    for epoch in range(1, epochs + 1):
        for batch in steps.batches(found.arrays, found.partition.train).epoch(epoch):
            rates = [0.01 / (1 + len(losses) + number) for number in range(batch.steps)]
            losses += steps.train(batch, rates)["loss"].numpy().tolist()
            calls += 1
    return [variable.numpy() for variable in steps.models.network.trainable_variables], losses, calls


@pytest.fixture(scope="module")
def plain(blobs):
    """Weights and losses, a step to a call."""
    return train(ready(blobs))


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({"steps_per_call": 5, "jit": "on"}, 4),
        pytest.param({"steps_per_call": 5}, 4, marks=pytest.mark.slow),
        pytest.param({"steps_per_call": 2}, 8, marks=pytest.mark.slow),
        pytest.param({"jit": "on"}, 12, marks=pytest.mark.slow),
    ],
)
def test_steps_in_one_call_are_the_steps_one_by_one(blobs, plain, settings, calls):
    expected, losses, _ = plain
    weights, others, counted = train(ready(blobs), **settings)
    assert counted == calls
    assert len(losses) == 12
    np.testing.assert_allclose(others, losses, rtol=1e-4)
    assert len(weights) == len(expected) > 2
    for one, other in zip(expected, weights, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)


@pytest.mark.parametrize(
    ("together", "start", "steps"),
    [
        (1, 0, [1] * 6),
        (2, 0, [2, 2, 1, 1]),
        (5, 0, [5, 1]),
        (6, 0, [1] * 6),  # the sixth batch is not full
        (2, 2, [2, 1, 1]),
        (2, 5, [1]),
        (5, 3, [1, 1, 1]),
    ],
)
def test_a_call_takes_as_many_full_batches_as_it_may(blobs, together, start, steps):
    found = ready(blobs)
    batches = list(Batches(found.arrays, found.partition.train, 8, 0, steps_per_call=together).epoch(1, start))
    assert [batch.steps for batch in batches] == steps
    singly = list(Batches(found.arrays, found.partition.train, 8, 0).epoch(1, start))
    assert np.concatenate([batch.rows for batch in batches]).tolist() == np.concatenate([batch.rows for batch in singly]).tolist()


def test_an_undecided_experiment_is_not_trained(blobs):
    found = ready(blobs)
    with pytest.raises(ValueError, match=r"\['jit'\] must be decided first"):
        step_maker(found)(found.experiment.training.with_settings(jit="auto"))


def test_losses_are_added_up_one_call_later():
    tally = LossAccumulator({"loss": 1.0}, 10, 2)
    tally.add(8, {"loss": tf.constant([0.5, 0.25])})
    assert (tally.sums, tally.rows, tally.step) == ({"loss": 1.0}, 10, 2)
    tally.add(3, {"loss": tf.constant([2.0])})
    assert (tally.sums, tally.rows, tally.step) == ({"loss": 1.0 + 0.5 * 4 + 0.25 * 4}, 18, 4)
    tally.settle()
    tally.settle()
    assert (tally.sums, tally.rows, tally.step) == ({"loss": 4.0 + 6.0}, 21, 5)


def test_loss_that_is_no_number_is_told_with_its_step():
    tally = LossAccumulator({}, 0, 7)
    tally.add(6, {"loss": tf.constant([1.0, np.inf, np.nan])})
    with pytest.raises(NotFinite) as caught:
        tally.settle()
    assert (caught.value.step, caught.value.value) == (8, np.inf)


# The trial


def tuned(found, **settings):
    training = found.experiment.training.with_settings(**settings)
    return autotune.tune_settings(training, step_maker(found), found.arrays, found.partition.train)


OPEN = {"precision": "auto", "jit": "auto", "steps_per_call": "auto"}


def test_nothing_open_is_not_tried(blobs):
    decision = tuned(ready(blobs), precision="bfloat16", jit="on", steps_per_call=3)
    assert (decision.reasons, decision.seconds_per_step) == ([], {})
    training = decision.training
    assert (training.precision, training.jit, training.steps_per_call) == ("bfloat16", "on", 3)


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ({**OPEN, "deterministic": True}, ["precision float32, jit off, steps_per_call 1: `deterministic` allows no trial"]),
        ({"jit": "auto", "deterministic": True}, []),
        ({"jit": "auto"}, []),  # twelve steps
        ({"steps_per_call": "auto", "jit": "on", "epochs": 300}, []),
    ],
)
def test_a_trial_that_would_not_pay_is_not_made(blobs, settings, reasons):
    decision = tuned(ready(blobs), **settings)
    assert decision.reasons == reasons
    assert decision.seconds_per_step == {}
    assert decision.training.open_settings == []


@pytest.mark.slow  # the run of `tried` is timed as well
def test_a_short_training_is_timed_but_nothing_else(blobs):
    decision = tuned(ready(blobs), precision="auto")
    assert decision.reasons == ["precision float32: the training takes about 0 s, so a trial is not worth its time"]
    assert list(decision.seconds_per_step) == ["precision float32, jit off, steps_per_call 1"]


@pytest.mark.slow  # trials that are timed
@pytest.mark.parametrize("names", [["steps_per_call"], list(OPEN)])
def test_what_is_fast_enough_is_taken_and_what_is_not_is_told(blobs, monkeypatch, names):
    """The real trial, of a training that is said to be long."""
    for name in ("ROUND_SECONDS", "SHORTEST_TRAINING_SECONDS"):
        monkeypatch.setattr(autotune, name, 0.01)
    # Five steps to a call are faster than one wherever Python calls TensorFlow, but on a busy machine not in every trial.
    assert any(taken_in_a_trial(blobs, names) for _ in range(5))


def taken_in_a_trial(blobs, names):
    """How many settings were taken; what is told of each agrees with its ratio."""
    decision = tuned(ready(blobs), **dict.fromkeys(names, "auto"), epochs=10**6)
    times = decision.seconds_per_step
    fast = {"steps_per_call": 5, "jit": "on", "precision": autotune.fast_precision()}
    tried = {name: value for name, value in fast.items() if name in names and value}
    assert len(decision.reasons) == len(tried)
    assert len(times) == len(tried) + 1
    taken = 0
    for reason, (name, value) in zip(decision.reasons, tried.items(), strict=True):
        chosen = getattr(decision.training, name) == value
        taken += chosen
        told = f"{name} {value}: " if chosen else f"not {name} {value}: "
        assert reason.startswith(told)
        ratio = float(reason.removeprefix(told).split()[0])
        assert (ratio >= autotune.LEAST_SPEEDUP[name]) == chosen
    assert decision.training.open_settings == []
    return taken


@pytest.mark.slow  # the run of `tried` has such a trial
def test_a_trial_ends_with_its_share_of_the_training(blobs, monkeypatch):
    monkeypatch.setattr(autotune, "SHORTEST_TRAINING_SECONDS", 0.0)
    monkeypatch.setattr(autotune, "TRIAL_TIME_SHARE", 0.0)
    decision = tuned(ready(blobs), **OPEN)
    names = ["steps_per_call", "jit", *(["precision"] if autotune.fast_precision() else [])]
    assert decision.reasons == [f"{name} was not tried: the trial has used its 0 s" for name in names]
    assert decision.training.steps_per_call == 1


@pytest.fixture(scope="module")
def tried(blobs):
    """A run whose trial began and had no time left for what it may choose from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autotune, "SHORTEST_TRAINING_SECONDS", 0.0)
        patch.setattr(autotune, "TRIAL_TIME_SHARE", 0.0)
        return fit(blobs, output=blobs.parent / "tried", overrides=["training.precision=auto", "training.batch_size=auto"]).run


@pytest.mark.slow
def test_a_trial_changes_nothing_of_the_training(blobs, tried):
    """Weights follow from the seed, whatever was tried before."""
    run = fit(blobs, output=blobs.parent / "untried", overrides=["training.steps_per_call=1", "training.jit=off"]).run
    assert lines(tried / "metrics.jsonl") == lines(run / "metrics.jsonl")


@pytest.mark.slow
def test_a_run_keeps_what_was_decided(tried):
    training = yaml.safe_load((tried / "config.yaml").read_text())["training"]
    assert [training[name] for name in ("batch_size", "precision", "jit", "steps_per_call")] == [8, "float32", "off", 1]
    assert config.load(tried / "config.yaml").training.open_settings == []  # so that going on with it tries nothing
    trial = json.loads((tried / "run.json").read_text())["trial"]
    assert trial["reasons"][0] == "batch_size 8: it is the smallest that is tried (8)"
    assert len(trial["seconds_per_step"]) == 1


# The batch size


def largest_batch_size(found):
    training = found.experiment.training.with_settings(batch_size="auto")
    return autotune.largest_batch_size(training, step_maker(found), found.arrays, found.partition.train, where="e")


@pytest.mark.parametrize(
    ("rows", "share", "size", "reason"),
    [
        (1000, 1.0, 32, "batch_size 32: an epoch keeps 16 steps"),  # 700 training rows: 21 steps of 32 rows, 10 of 64
        (60, 1.0, 8, "batch_size 8: it is the smallest that is tried (8)"),
    ],
)
def test_batch_size_is_the_largest_that_is_sensible(tmp_path, monkeypatch, rows, share, size, reason):
    monkeypatch.setattr(autotune, "STEP_MEMORY_SHARE", share)
    two_blobs(tmp_path, rows)
    found = ready(write_experiment(tmp_path / "e.yaml", BLOBS))
    assert largest_batch_size(found) == (size, reason)


def test_batch_size_stops_before_memory_ends(tmp_path, monkeypatch):
    two_blobs(tmp_path, 1000)
    found = ready(write_experiment(tmp_path / "e.yaml", BLOBS))
    monkeypatch.setattr(autotune, "STEP_MEMORY_SHARE", -1.0)
    size, reason = largest_batch_size(found)
    assert size == 8
    assert reason.startswith("batch_size 8: 16 rows would need about ")
    assert reason.endswith(" GB, more than half of the free memory")


def test_memory_is_counted():
    assert available_memory() > 0
    peak_memory.restart()
    before, held = peak_memory.bytes(), anonymous_memory()
    block = np.ones(20_000_000)
    assert peak_memory.bytes() - before > 100e6
    assert anonymous_memory() - held > 100e6
    assert len(block) == 20_000_000


# The dry run


def test_dry_run_tells_what_a_training_takes_and_keeps_nothing(blobs):
    before = sorted(blobs.parent.rglob("*"))
    found = dry_run(blobs, overrides=["training.batch_size=auto", "training.optimizer=adam"])
    assert sorted(blobs.parent.rglob("*")) == before
    assert found.settings == {"batch_size": 8, "precision": "float32", "jit": "off", "steps_per_call": 1}
    assert found.steps == 6
    assert found.rows == {"train": 42, "validation": 9, "test": 9}
    assert 0 < found.seconds_per_step < found.seconds_per_epoch
    parameters = sum(found.parameters.values())
    # Three checkpoints of weights and what Adam keeps, and the model; some more for counters.
    assert 4 * (4 + 3 * 2) * parameters <= found.disk["run folder"] < 4 * (4 + 3 * 2) * parameters * 1.5
    assert [name for name, _ in dry_run_lines(found)] == ["settings", "one step", "one epoch", "memory", "disk, run folder"]
