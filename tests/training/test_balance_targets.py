"""Learned weights of several targets: their loss, where they are kept, and an exact resume next to sampling and mixing."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import mixed_table, ready, write_experiment

from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.config import load
from mmtrain.errors import ConfigError
from mmtrain.pipeline.build import assemble_network
from mmtrain.training.listeners.events import StepsBegan
from mmtrain.training.signals import Interrupted
from mmtrain.training.step import TrainStep

TREE = """
columns:
  age: {role: numeric}
  note: {role: text, vectorize: tokens, max_length: 4}
  sick: {role: target, task: binary, sample: balanced}
  price: {role: target, task: regression, loss_weight: 2}
branches:
  table: {columns: [age], units: [6], dropout: 0.2}
  note: {columns: [note], width: 4}
training:
  epochs: 3
  batch_size: 20
  optimizer: {method: sgd, momentum: 0.9}
  learning_rate: 0.05
  jit: "off"
  steps_per_call: 1
  deterministic: true
  balance_targets: uncertainty
  mix: mixup
"""


@pytest.fixture(scope="module", autouse=True)
def only_here():
    """TensorFlow stays deterministic until it is told otherwise; the other tests are not."""
    yield
    tf_config.disable_op_determinism()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("balance")
    mixed_table(folder, 120)
    write_experiment(folder / "a.yaml", TREE)
    return folder


@pytest.fixture(scope="module")
def steps(place):
    material = ready(place / "a.yaml")
    network = assemble_network(material.experiment, material.fitted)
    return TrainStep(material.experiment.training, material.experiment.columns, material.fitted, network)


def test_the_loss_divides_each_target_by_its_variance(steps):
    layer = steps.models.uncertainty
    before = layer.log_variances.numpy()
    layer.log_variances.assign([np.log(4.0), np.log(0.5)])
    losses = np.array([2.0, 3.0], dtype=np.float32)
    assert float(layer.total(losses)) == pytest.approx(2 / 4 + 3 / 0.5 + 0.5 * (np.log(4) + np.log(0.5)), rel=1e-6)
    # Next to the fixed weight of the target, which is 2 for the second one.
    assert steps.learned_weights() == {"train_sick_weight": pytest.approx(0.25), "train_price_weight": pytest.approx(4.0)}
    layer.log_variances.assign(before)


def test_the_weights_are_trained_and_saved_with_the_network_and_are_in_no_prediction(steps):
    (weight,) = steps.models.uncertainty.weights
    assert any(one is weight for one in steps.variables)
    assert any(one is weight for one in steps.models.stored.variables)
    assert not any(one is weight for one in steps.models.predictor.weights)
    assert not any(one is weight for one in steps.models.end_to_end.weights)


@pytest.fixture(scope="module")
def finished(place):
    return fit(place / "a.yaml", output=place / "whole").run


@pytest.mark.slow
def test_epochs_record_the_learned_weights(finished):
    lines = finished.read_lines("metrics.jsonl")
    assert [{"train_sick_weight", "train_price_weight"} <= line.values.keys() for line in lines] == [True] * 3
    assert lines[0].values["train_sick_weight"] != lines[2].values["train_sick_weight"]
    report = (finished / "report.html").read_text(encoding="utf-8")
    assert "In the minimized loss, the targets had learned weights" in report


def stop(event):
    """Interrupt the training in the middle of its second epoch."""
    if isinstance(event, StepsBegan) and (event.epoch, event.step) == (2, 1):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_a_resumed_training_goes_on_with_the_same_rows_mixtures_and_weights(place, finished):
    with pytest.raises(Interrupted):
        fit(place / "a.yaml", output=place / "stopped", listeners=Listeners(watch=stop))
    (run,) = Path(place / "stopped").glob("*/1")
    resume(str(run))
    last = [json.loads((folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1]) for folder in (run, finished.folder)]
    assert last[0] == last[1]


def test_learned_weights_need_several_targets(tmp_path):
    tree = "columns: {x: {role: numeric}, y: {role: target, task: binary}}\ntraining: {balance_targets: uncertainty}\n"
    write_experiment(tmp_path / "a.yaml", tree)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    assert "training.balance_targets: `balance_targets: uncertainty` weighs several targets against each other, and there is one." in str(
        caught.value
    )
