"""`learning_rate: auto`: the rate at which the loss falls fastest in a test of rising rates."""

import numpy as np
import pytest
from tiny import ready, two_blobs, write_experiment

from mmtrain.config import load

RATES = np.geomspace(1e-5, 1, 200)
FALL = -1 / (1 + np.exp(-4 * np.log10(RATES / 0.002)))  # steepest at 0.002


@pytest.mark.usefixtures("tensorflow")
def test_the_steepest_rate_is_found_in_noise_and_before_divergence():
    from mmtrain.training.auto_settings.learning_rate_test import steepest_rate

    assert steepest_rate(RATES, FALL) == pytest.approx(0.002, rel=0.05)
    noisy = FALL + 0.05 * np.random.default_rng(0).normal(size=len(RATES))
    assert 0.001 < steepest_rate(RATES, noisy) < 0.004
    diverging = FALL + np.maximum(0, np.log10(RATES / 0.1)) * 9
    assert steepest_rate(RATES, diverging) == pytest.approx(0.002, rel=0.05)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("losses", [np.zeros(200), np.linspace(0, 1, 200), FALL[:40]])
def test_no_rate_is_chosen_where_the_loss_does_not_fall_or_diverges_at_once(losses):
    from mmtrain.training.auto_settings.learning_rate_test import steepest_rate

    assert steepest_rate(RATES, losses) is None


TREE = """
name: rates
columns: {x: {role: numeric}, y: {role: target, task: binary}}
branches: {table: {columns: [x], units: [4]}}
training: {epochs: 1, batch_size: 8, learning_rate: auto}
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rates")
    two_blobs(folder, 80)
    return write_experiment(folder / "e.yaml", TREE)


def chosen(path, *overrides):
    """The rate and its reason."""
    from mmtrain.pipeline.build import EncodedTable, assemble_training

    one = ready(path, list(overrides))
    table = EncodedTable(one.experiment.decided(learning_rate="auto"), one.data, one.partition, one.fitted, one.arrays)
    experiment, data, tuning = assemble_training(table, lambda _: None)
    assert experiment.training.open_settings == []
    assert data.training == experiment.training
    return experiment.training.learning_rate, tuning.reasons[0]


@pytest.mark.slow  # two tests of 200 steps; a run has one below
@pytest.mark.usefixtures("tensorflow")
def test_the_rate_follows_from_the_seed_and_the_training_rows(path):
    rate, reason = chosen(path)
    assert 1e-4 < rate < 0.5
    assert reason.startswith(f"learning_rate {rate:g}: the loss fell fastest at this rate, in ")
    assert chosen(path, "training.accumulate=2", "training.weight_average=0.9", "training.deterministic=true") == (rate, reason)


@pytest.mark.usefixtures("tensorflow")
def test_without_a_fall_the_default_is_taken_and_said(path, monkeypatch):
    from mmtrain.training.auto_settings import learning_rate_test

    monkeypatch.setattr(learning_rate_test, "_loss_changes", lambda *_: np.zeros(200))
    assert chosen(path) == (0.001, "learning_rate 0.001: the loss did not fall in 200 steps of rising rates")


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.slow
def test_a_run_keeps_the_rate_that_was_found(path, tmp_path):
    from mmtrain.commands.fit import fit
    from mmtrain.commands.fitting.training_listeners import Listeners

    told = []
    run = fit(path, output=tmp_path / "runs", listeners=Listeners(say=told.append)).run
    rate = load(run / "config.yaml").training.learning_rate  # read by `fit --resume`
    assert isinstance(rate, float)
    (reason,) = [sentence for sentence in told if sentence.startswith("learning_rate")]
    assert reason.startswith(f"learning_rate {rate:g}: ")
    assert run.read("run.json").trial.reasons[0] == reason
