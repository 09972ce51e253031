"""Stages of a training: which parameter groups are trained, at which rates, and that a run continues through them bit by bit."""

import numpy as np
import pytest
from tiny import lines, paint, ready, two_blobs, write_experiment

from mmtrain import config
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.config.sections.training import Stage
from mmtrain.errors import ConfigError
from mmtrain.training.optimization.stages import Stages

TREE = """
name: staged
columns: {x: {role: numeric}, z: {role: numeric}, y: {role: target, task: binary}}
branches: {first: {columns: [x], units: [4]}, second: {columns: [z], units: [4]}}
fusion: {units: [4]}
training:
  batch_size: 16
  deterministic: true
  learning_rate: 0.05
"""
STAGES = "  stages: [{epochs: 1, unfreeze: [fusion, targets]}, {epochs: 2, unfreeze: [branches.first]}, {epochs: 2, learning_rate: 0.01}]\n"
TWO_STAGES = "  stages: [{epochs: 1, unfreeze: [fusion, targets]}, {epochs: 2, learning_rate: 0.01}]\n"


def experiment(folder, stages=STAGES):
    two_blobs(folder, z=lambda row: row % 5)
    return write_experiment(folder / "e.yaml", TREE + stages)


def weights_by_group(steps):
    weights = {group: [weight for layer in layers for weight in layer.weights] for group, layers in steps.groups.layers.items()}
    return {group: np.concatenate([weight.numpy().ravel() for weight in own]) for group, own in weights.items() if own}


def test_stages_know_their_epochs_groups_and_rates(tmp_path):
    stages = Stages(config.load(experiment(tmp_path)).training)
    assert stages.training.epochs == 5
    assert [stages.of_epoch(epoch) for epoch in range(1, 7)] == [0, 1, 1, 2, 2, 2]
    assert [stages.epochs_before(number) for number in range(3)] == [0, 1, 3]
    assert [stages.trained_groups(number) for number in range(3)] == [
        ("fusion", "targets"),
        ("fusion", "targets", "branches.first"),
        None,
    ]
    assert [stages.learning_rate(number).at(0) for number in range(3)] == [0.05, 0.05, 0.01]


def test_without_stages_there_is_one_that_trains_everything(tmp_path):
    stages = Stages(config.load(experiment(tmp_path, "  epochs: 7\n")).training)
    assert (stages.last, stages.of_epoch(7), stages.trained_groups(0), stages.group_rates(0)) == (0, 0, None, {})


def test_a_schedule_runs_from_the_beginning_of_each_stage(tmp_path):
    stages = Stages(config.load(experiment(tmp_path), ["training.schedule=cosine"]).training)
    assert [stages.learning_rate(number).at(0) for number in range(3)] == [0.05, 0.05, 0.01]
    assert stages.learning_rate(1).at(1) == pytest.approx(0.025)


def test_a_stage_without_the_groups_of_a_baseline_trains_fusion_and_targets():
    stage = Stage(epochs=2, unfreeze=("branches.first",), learning_rate={"branches.first": 0.1, "fusion": 0.2})
    alone = stage.restricted_to(("branches.second", "fusion", "targets.y"))
    assert (alone.unfreeze, alone.learning_rate) == (("fusion", "targets"), {"fusion": 0.2})


def train_step(path):
    from mmtrain.pipeline.build import assemble_network
    from mmtrain.training.device import prepare
    from mmtrain.training.step import TrainStep

    found = ready(path)
    prepare(0, deterministic=True, precision="float32")
    steps = TrainStep(found.experiment.training, found.experiment.columns, found.fitted, assemble_network(found.experiment, found.fitted))
    return steps, next(steps.batches(found.arrays, found.partition.train).epoch(1))


def moved(steps, batch):
    before = weights_by_group(steps)
    steps.train(batch, [0.05])
    after = weights_by_group(steps)
    return {group: float(np.abs(after[group] - before[group]).max()) for group in after}


@pytest.mark.slow  # with groups inside of branches below
def test_only_the_groups_of_a_stage_are_trained(tensorflow, tmp_path):
    steps, batch = train_step(experiment(tmp_path, "  optimizer: sgd\n" + STAGES))
    assert set(moved(steps, batch)) == {"branches.first", "branches.second", "fusion", "targets.y"}
    for stage, trained in enumerate([{"fusion", "targets.y"}, {"fusion", "targets.y", "branches.first"}, None]):
        steps.enter_stage(stage)
        changes = moved(steps, batch)
        assert {group for group, change in changes.items() if change > 0} == (trained or set(changes)), stage


@pytest.mark.slow  # with groups inside of branches below
def test_groups_have_their_own_rates_and_the_most_specific_name_counts(tensorflow, tmp_path):
    stages = "  optimizer: {method: sgd, momentum: 0}\n"
    stages += "  stages: [{epochs: 1, learning_rate: {branches: 0.05, branches.second: 0.0005, targets: 0.1}}]\n"
    steps, batch = train_step(experiment(tmp_path / "groups", stages))
    plain, _ = train_step(experiment(tmp_path / "plain", "  optimizer: {method: sgd, momentum: 0}\n"))
    one, other = moved(steps, batch), moved(plain, batch)
    ratios = {group: one[group] / other[group] for group in one}
    assert ratios == pytest.approx({"branches.first": 1, "branches.second": 0.01, "fusion": 1, "targets.y": 2}, rel=0.01)


SCANS = """
name: scans
columns: {scan: {role: image, size: [4, 4], channels: 1}, note: {role: text, vectorize: tokens}, y: {role: target, task: binary}}
branches: {scan: {columns: [scan], filters: [2]}, note: {columns: [note], units: [3]}}
fusion: {units: [4]}
training:
  batch_size: 16
  deterministic: true
  optimizer: {method: sgd, momentum: 0}
"""


def scans(folder, stages):
    for row in range(60):
        paint(folder / f"{row}.png", np.random.default_rng(row).integers(0, 256, (4, 4)).astype(np.uint8))
    two_blobs(folder, scan=lambda row: f"{row}.png", note=lambda row: f"w{row % 3} w{row % 5}")
    return write_experiment(folder / "scans.yaml", SCANS + stages)


@pytest.mark.slow
def test_groups_inside_a_branch_are_trained_alone_and_a_frozen_normalization_keeps_its_statistics(tensorflow, tmp_path):
    stages = "  stages: [{epochs: 1, unfreeze: [note.head, targets]}, {epochs: 1, unfreeze: [scan.backbone]}, {epochs: 1}]\n"
    steps, batch = train_step(scans(tmp_path, stages))
    trained = {"branches.note", "branches.note.head", "targets.y"}  # a branch moves with what is inside it
    for stage, more in enumerate([set(), {"branches.scan", "branches.scan.backbone"}, {"branches.note.backbone", "fusion"}]):
        trained |= more
        steps.enter_stage(stage)
        changes = moved(steps, batch)
        assert {group for group, change in changes.items() if change > 0} == trained, stage


@pytest.mark.slow  # weight decay at the rate of a group is below
def test_groups_inside_a_branch_have_their_own_rates(tensorflow, tmp_path):
    rates = "{note: 0.0005, note.head: 0.05, branches.scan.backbone: 0.1}"
    steps, batch = train_step(scans(tmp_path / "groups", f"  learning_rate: 0.05\n  stages: [{{epochs: 1, learning_rate: {rates}}}]\n"))
    plain, _ = train_step(scans(tmp_path / "plain", "  learning_rate: 0.05\n"))
    one, other = weight_changes(steps, batch), weight_changes(plain, batch)
    assert one.keys() == other.keys()
    ratios = {path.rpartition("/")[0]: one[path] / other[path] for path in one if path.endswith(("kernel", "embeddings"))}
    expected = {"conv2d": 2, "embedding": 0.01, "dense": 1, "dense_1": 1, "target_y": 1}  # note.head, fusion, target
    assert ratios == pytest.approx(expected, rel=0.01)


def weight_changes(steps, batch):
    before = {weight.path: weight.numpy() for weight in steps.variables}
    steps.train(batch, [0.05])
    return {weight.path: float(np.abs(weight.numpy() - before[weight.path]).max()) for weight in steps.variables}


def test_an_unknown_group_inside_a_branch_is_refused_in_the_file(tmp_path):
    with pytest.raises(ConfigError) as caught:
        config.load(experiment(tmp_path, "  stages: [{epochs: 1, unfreeze: [first.hed]}]\n"))
    (problem,) = caught.value.problems
    assert problem.what == "there is no parameter group 'first.hed'."


def test_weight_decay_follows_the_rate_of_the_group(tensorflow, tmp_path):
    stages = "  optimizer: {method: sgd, momentum: 0}\n  weight_decay: 0.5\n  stages: [{epochs: 1, learning_rate: {branches.first: 0.1}}]\n"
    steps, _ = train_step(experiment(tmp_path, stages))
    variables = steps.variables
    before = {variable.path: variable.numpy() for variable in variables}
    steps.optimizer.learning_rate.assign(0.05)
    steps.optimizer.apply([tensorflow.zeros(variable.shape) for variable in variables], variables)
    first = {id(weight) for weight in steps.groups.layers["branches.first"][0].trainable_weights}
    for variable in variables:
        rate = 0.1 if id(variable) in first else 0.05
        assert variable.numpy() == pytest.approx(before[variable.path] * (1 - 0.5 * rate), abs=1e-7)


def test_training_goes_through_all_stages_whatever_the_patience_of_the_first(tensorflow, tmp_path):
    path = experiment(tmp_path, "  optimizer: sgd\n" + STAGES)
    done = fit(path, overrides=["training.early_stopping.patience=1", "training.early_stopping.min_delta=10"], output=tmp_path / "runs")
    # Nothing improves by 10, so that the last stage ends after its first epoch, and the others run all theirs.
    assert [line["epoch"] for line in lines(done.run / "metrics.jsonl")] == [1, 2, 3, 4]
    assert done.ended.reason == "validation_loss has not improved for 1 epochs"
    rates = [line["learning_rate"] for line in lines(done.run / "metrics.jsonl")]
    assert rates == pytest.approx([0.05, 0.05, 0.05, 0.01])


class KilledError(Exception):
    """Stands for a killed process: nothing is cleaned up in the loop."""


@pytest.mark.slow  # a run of one stage is in test_resume.py
@pytest.mark.parametrize(("stages", "epoch"), [(TWO_STAGES, 2), *((STAGES, epoch) for epoch in (1, 2, 3))])
def test_a_run_killed_between_epochs_of_stages_ends_with_the_same_bits(tensorflow, tmp_path, stages, epoch):
    from mmtrain.training.listeners.events import EpochBegan

    overrides = ["training.weight_average=0.5", "training.schedule={method: plateau, patience: 1}"]
    overrides += [
        "training.optimizer={method: sgd, momentum: 0.9}",
        "fusion.auxiliary=0.5",
        "fusion.balance=ogm_ge",
    ]  # momenta, of which Adam has two
    path = experiment(tmp_path, stages)
    whole = fit(path, overrides=overrides, output=tmp_path / "whole").run
    assert {"train_auxiliary_first_loss", "train_auxiliary_second_loss"} <= set(lines(whole / "metrics.jsonl")[0])

    def kill(event):
        if isinstance(event, EpochBegan) and event.epoch == epoch + 1:
            raise KilledError

    with pytest.raises(KilledError):
        fit(path, overrides=overrides, output=tmp_path / "runs", listeners=Listeners(kill))
    run = resume(str(tmp_path / "runs" / "staged" / "1")).run
    assert lines(run / "metrics.jsonl") == lines(whole / "metrics.jsonl")
    for file in ("last/weights.npz", "last/optimizer.npz", "best/weights.npz"):
        with np.load(whole / "checkpoints" / file) as one, np.load(run / "checkpoints" / file) as other:
            assert [one[key].tobytes() for key in one.files] == [other[key].tobytes() for key in other.files], file
