"""Auxiliary losses: each branch also predicts alone while it is trained; the predictor and what is saved of it know nothing of it."""

import numpy as np
import pytest
from tiny import lines, mixed_table, ready, two_blobs, write_experiment

from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.fusions import fusions

pytestmark = pytest.mark.usefixtures("tensorflow")

TREE = """
columns:
  age: {role: numeric, missing: mask}
  note: {role: text, vectorize: tokens, max_length: 4, missing: mask}
  sick: {role: target, task: binary, class_weights: {yes: 3}}
  price: {role: target, task: regression, loss_weight: 2}
  kind: {role: target, task: multiclass}
branches:
  table: {columns: [age], units: [6]}
  note: {columns: [note], width: 4}
training: {batch_size: 20, optimizer: {method: sgd, momentum: 0}}
"""
ROWS = np.arange(20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("auxiliary")
    mixed_table(folder, len(ROWS))
    return folder


@pytest.fixture(scope="module")
def material(folder):
    return ready(write_experiment(folder / "a.yaml", TREE))


@pytest.fixture(scope="module")
def of_members(folder):
    tabm = ["branches.table.architecture=tabm", "branches.table.members=3", "branches.table.dropout=0"]
    return ready(write_experiment(folder / "members.yaml", TREE), tabm)


def train_step(material, method="concatenate", **options):
    """A step whose fusion has these options, its network with the weights of one seed."""
    from mmtrain.pipeline.build import assemble_network
    from mmtrain.training.device import prepare
    from mmtrain.training.step import TrainStep

    section = fusions[method].section(method=method, **{"units": (5,)} | options)
    experiment = material.experiment.model_copy(update={"fusion": section})
    prepare(3, deterministic=False, precision="float32")
    return TrainStep(experiment.training, experiment.columns, material.fitted, assemble_network(experiment, material.fitted))


def batch_of(material, tensorflow):
    batch = {
        "inputs": material.arrays.take(ROWS),
        "targets": {key: values[ROWS] for key, values in material.arrays.targets.items()},
        "weights": {key: values[ROWS] for key, values in material.arrays.weights.items()},
    }
    return tensorflow.nest.map_structure(tensorflow.constant, batch)


def update(steps, batch):
    """The losses of one step, without compiling it."""
    return {name: float(loss) for name, loss in steps._update(batch, 0.1).items()}


def values_of(layer):
    return [weight.numpy() for weight in layer.weights]


QUICK = ("concatenate",)
"""The others are given the same branches, and have no say in the losses of each alone."""


@pytest.mark.parametrize("method", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in sorted(fusions)])
def test_every_branch_has_a_loss_of_its_own_for_every_task_before_every_fusion(material, tensorflow, method):
    steps = train_step(material, method, auxiliary=0.3)
    losses = update(steps, batch_of(material, tensorflow))
    assert set(losses) == {"loss", "sick", "price", "kind", "auxiliary_table", "auxiliary_note"}
    assert np.isfinite(list(losses.values())).all()
    assert losses["loss"] == pytest.approx(losses["sick"] + 2 * losses["price"] + losses["kind"])
    heads = {name: len(layers) for name, layers in steps.groups.layers.items() if name.startswith("targets.")}
    assert heads == {"targets.sick": 3, "targets.price": 3, "targets.kind": 3}


def test_auxiliary_losses_train_the_branches_and_leave_the_predictor_as_it_is(material, tensorflow):
    plain, with_heads = train_step(material), train_step(material, auxiliary=0.3)
    batch = batch_of(material, tensorflow)
    for name in ("inputs", "output"):
        shapes = [tensorflow.nest.map_structure(lambda one: one.shape, getattr(one.models.predictor, name)) for one in (plain, with_heads)]
        assert shapes[0] == shapes[1]
    names = [[layer.name for layer in one.models.predictor.layers if layer.weights] for one in (plain, with_heads)]
    assert names[0] == names[1]
    assert plain.models.trained is plain.models.network
    predictions = [one.models.predictor(batch["inputs"], training=False) for one in (plain, with_heads)]
    assert all(np.array_equal(predictions[0][key], predictions[1][key]) for key in predictions[0])
    losses = [update(one, batch) for one in (plain, with_heads)]
    assert {name: losses[1][name] for name in losses[0]} == pytest.approx(losses[0])
    before, after = (values_of(one.models.network.get_layer("branch_note")) for one in (plain, with_heads))
    assert not all(np.allclose(one, other, atol=1e-6) for one, other in zip(before, after, strict=True))
    head = plain.models.network.get_layer("target_price"), with_heads.models.network.get_layer("target_price")
    assert all(np.allclose(*pair, atol=1e-6) for pair in zip(*map(values_of, head), strict=True))  # the fused loss alone trains it


@pytest.mark.slow
def test_heads_minimize_their_weight_times_the_mean_of_the_branches(material, tensorflow):
    changes = []
    for weight in (0.1, 0.2):
        steps = train_step(material, auxiliary=weight)
        head = steps.models.trained.get_layer("single_note_price")
        before = values_of(head)
        update(steps, batch_of(material, tensorflow))
        changes.append([new - old for new, old in zip(values_of(head), before, strict=True)])
    assert max(np.abs(change).max() for change in changes[0]) > 1e-3
    assert all(np.allclose(2 * one, other, rtol=1e-3, atol=1e-6) for one, other in zip(*changes, strict=True))


def test_a_row_without_a_branch_has_no_loss_of_it(material, tensorflow):
    batch = batch_of(material, tensorflow)
    shown = batch["inputs"]["note_present"].numpy()[:, 0] > 0
    assert 0 < shown.sum() < len(ROWS)
    steps = train_step(material, auxiliary=0.3)
    raw, single, present = steps.models.trained(batch["inputs"], training=True)
    assert {key: tuple(values.shape) for key, values in single["note"].items()} == {key: tuple(raw[key].shape) for key in raw}
    target = material.fitted.targets
    rows = {key: target[key].minimized(batch["targets"][key], single["note"][key]) * batch["weights"][key] for key in target}
    expected = sum(one.loss_weight * float(np.sum(rows[key].numpy()[shown])) for key, one in target.items()) / len(ROWS)
    assert np.array_equal(present["note"][:, 0].numpy() > 0, shown)
    assert update(steps, batch)["auxiliary_note"] == pytest.approx(expected, rel=1e-5)

    nothing = {**batch["inputs"], "note_present": tensorflow.zeros((len(ROWS), 1))}
    steps = train_step(material, auxiliary=0.3)
    heads = [layer for layer in steps.models.trained.layers if layer.name.startswith("single_note_")]
    before = [value for head in heads for value in values_of(head)]
    losses = update(steps, {**batch, "inputs": nothing})
    assert (losses["auxiliary_note"], losses["auxiliary_table"] > 0) == (0, True)
    assert all(np.array_equal(*pair) for pair in zip(before, [value for head in heads for value in values_of(head)], strict=True))


@pytest.mark.slow  # tests/model/test_members.py has the losses of members
def test_members_have_heads_that_they_share_and_losses_of_their_own(of_members, tensorflow):
    steps, batch = train_step(of_members, auxiliary=0.3), batch_of(of_members, tensorflow)
    raw, single, _ = steps.models.trained(batch["inputs"], training=False)
    assert [tuple(one["kind"].shape) for one in (raw, single["table"], single["note"])] == [(20, 3, 3), (20, 3, 3), (20, 3)]
    losses = update(steps, batch)
    assert np.isfinite(list(losses.values())).all()
    target, truth, weight = (part["price"] for part in (of_members.fitted.targets, batch["targets"], batch["weights"]))
    members = [target.loss(truth, single["table"]["price"][:, member], weight) for member in range(3)]
    assert len({round(float(loss), 6) for loss in members}) == 3


def test_one_branch_has_no_auxiliary_loss(material):
    from mmtrain.pipeline.build import assemble_network

    section = fusions["concatenate"].section(method="concatenate", auxiliary=0.3)
    models = assemble_network(material.experiment.model_copy(update={"fusion": section}).alone("table"), alone(material.fitted, "age"))
    assert (models.trained is models.network, models.branches) == (True, ())


def alone(fitted, *columns):
    return fitted.model_copy(update={"columns": {key: fitted.columns[key] for key in columns}})


STAGED = """
name: staged
columns: {x: {role: numeric}, z: {role: numeric}, y: {role: target, task: binary}}
branches: {first: {columns: [x], units: [4]}, second: {columns: [z], units: [4]}}
fusion: {units: [4], auxiliary: 0.5}
training:
  batch_size: 16
  deterministic: true
  learning_rate: 0.05
  steps_per_call: 2
  stages: [{epochs: 1, unfreeze: [targets]}, {epochs: 2}]
"""


class KilledError(Exception):
    """Stands for a killed process."""


@pytest.mark.slow  # tests/training/test_stages.py has them in the run that it kills
def test_a_run_with_auxiliary_losses_logs_them_and_continues_with_the_same_bits(tmp_path):
    from mmtrain.training.listeners.events import EpochBegan

    two_blobs(tmp_path, z=lambda row: row % 5)
    path = write_experiment(tmp_path / "e.yaml", STAGED)
    whole = fit(path, output=tmp_path / "whole").run
    epochs = lines(whole / "metrics.jsonl")
    assert [set(line) >= {"train_loss", "train_auxiliary_first_loss", "train_auxiliary_second_loss"} for line in epochs] == [True] * 3
    assert epochs[0]["train_auxiliary_first_loss"] > epochs[2]["train_auxiliary_first_loss"]

    def kill(event):
        if isinstance(event, EpochBegan) and event.epoch == 3:
            raise KilledError

    with pytest.raises(KilledError):
        fit(path, output=tmp_path / "runs", listeners=Listeners(kill))
    run = resume(str(tmp_path / "runs" / "staged" / "1")).run
    assert lines(run / "metrics.jsonl") == epochs
    for file in ("last/weights.npz", "last/optimizer.npz"):
        with np.load(whole / "checkpoints" / file) as one, np.load(run / "checkpoints" / file) as other:
            assert any("head" in key for key in one.files)
            assert [one[key].tobytes() for key in one.files] == [other[key].tobytes() for key in other.files], file
