"""OGM and OGM-GE: gradients of the branch that is ahead are scaled down, by the ratio of the confidences of the branches' heads."""

import numpy as np
import pytest
from test_auxiliary import ROWS, TREE, KilledError, batch_of, train_step, update, values_of
from tiny import lines, mixed_table, ready, two_blobs, write_experiment

from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners

pytestmark = pytest.mark.usefixtures("tensorflow")
STRENGTH = 0.4


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("balance")
    mixed_table(folder, len(ROWS))
    return ready(write_experiment(folder / "a.yaml", TREE))


def factors_of(steps, batch, **present):
    """The factors of the branches, and the raw values and presence that they are made of."""
    from mmtrain.training.optimization.gradient_balance import GradientBalance

    balance = GradientBalance(steps.models, steps.variables, 0)
    _, single, shown = steps.models.trained(batch["inputs"], training=True)
    shown = shown | present
    return {branch: float(one) for branch, one in balance.factors(single, shown, batch, steps.fitted.targets).items()}, single, shown


def test_the_branch_ahead_is_slowed_down_by_the_ratio_of_confidences(material, tensorflow):
    steps, batch = train_step(material, auxiliary=0.3, balance="ogm", balance_strength=STRENGTH), batch_of(material, tensorflow)
    found, single, shown = factors_of(steps, batch)
    confidence = {}
    for branch, raw in single.items():
        rows = shown[branch].numpy()[:, 0] > 0
        losses = [target.row_loss(batch["targets"][key], raw[key]).numpy()[rows] for key, target in material.fitted.targets.items()]
        confidence[branch] = np.mean([np.exp(-loss).mean() for loss in losses])
    ahead, behind = sorted(confidence, key=confidence.get, reverse=True)
    assert found[behind] == 1
    assert found[ahead] == pytest.approx(1 - np.tanh(STRENGTH * confidence[ahead] / confidence[behind]), rel=1e-5)


def test_confidence_in_a_class_is_the_probability_of_the_true_one(material, tensorflow):
    from mmtrain.training.optimization.gradient_balance import GradientBalance

    steps, batch = train_step(material, auxiliary=0.3, balance="ogm"), batch_of(material, tensorflow)
    raw, shown = steps.models.trained(batch["inputs"], training=False)[0], tensorflow.ones(len(ROWS))
    kind = {"kind": material.fitted.targets["kind"]}
    found = GradientBalance(steps.models, steps.variables, 0)._confidence(raw, shown, batch, kind)
    probabilities = tensorflow.nn.softmax(raw["kind"]).numpy()
    assert float(found) == pytest.approx(probabilities[ROWS, batch["targets"]["kind"].numpy()].mean(), rel=1e-5)


def test_a_batch_without_one_of_the_branches_changes_nothing(material, tensorflow):
    steps, batch = train_step(material, auxiliary=0.3, balance="ogm"), batch_of(material, tensorflow)
    assert factors_of(steps, batch, note=tensorflow.zeros((len(ROWS), 1)))[0] == {"table": 1, "note": 1}


def changes(steps, batch):
    """By part of the network, what one step changes."""
    layers = [layer for layer in steps.models.trained.layers if layer.weights]
    before = {layer.name: values_of(layer) for layer in layers}
    update(steps, batch)
    return {layer.name: [new - old for new, old in zip(values_of(layer), before[layer.name], strict=True)] for layer in layers}


def test_gradients_of_branches_are_scaled_and_those_of_other_parts_are_not(material, tensorflow):
    batch = batch_of(material, tensorflow)
    plain = changes(train_step(material, auxiliary=0.3), batch)
    steps = train_step(material, auxiliary=0.3, balance="ogm", balance_strength=STRENGTH)
    factors = factors_of(steps, batch)[0]
    found = changes(steps, batch)
    assert sorted(factors.values())[0] < 0.7
    for name, expected in plain.items():
        factor = factors[name.removeprefix("branch_")] if name.startswith("branch_") else 1
        assert all(np.allclose(factor * one, other, atol=1e-6) for one, other in zip(expected, found[name], strict=True)), name


def test_noise_has_the_deviation_of_its_gradient_and_repeats_only_for_the_same_step(material, tensorflow):
    from mmtrain.training.optimization.gradient_balance import GradientBalance

    steps = train_step(material, auxiliary=0.3, balance="ogm_ge")
    balance, factors = GradientBalance(steps.models, steps.variables, 5), {"table": 0.5, "note": 1.0}
    random = tensorflow.random.Generator.from_seed(1)
    gradients = [random.normal(variable.shape, stddev=3.0) for variable in steps.variables]
    first, again, next_one = (balance.modulate(gradients, factors, step) for step in (7, 7, 8))
    kernel, bias = steps.models.groups["branches.table"][0].trainable_weights
    place = {id(variable): number for number, variable in enumerate(steps.variables)}
    noise = {step: (found[place[id(kernel)]] - 0.5 * gradients[place[id(kernel)]]).numpy() for step, found in ((7, first), (8, next_one))}
    assert 1 < noise[7].std() / gradients[place[id(kernel)]].numpy().std() * 1.5 < 2.5
    assert not np.allclose(noise[7], noise[8])
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert np.array_equal(first[place[id(bias)]], 0.5 * gradients[place[id(bias)]])
    head = place[id(steps.models.trained.get_layer("target_kind").trainable_weights[0])]
    assert np.array_equal(first[head], gradients[head])


def test_gradients_of_embeddings_stay_sparse(material, tensorflow):
    from mmtrain.training.optimization.gradient_balance import GradientBalance

    steps = train_step(material, auxiliary=0.3, balance="ogm_ge")
    balance = GradientBalance(steps.models, steps.variables, 5)
    slices = tensorflow.IndexedSlices(tensorflow.ones((2, 4)), tensorflow.constant([1, 3]), tensorflow.constant([9, 4]))
    found = balance._modulate(slices, 0.25, tensorflow.constant([1, 2]))
    assert isinstance(found, tensorflow.IndexedSlices)
    assert np.allclose(found.values, 0.25)  # equal values have no deviation, so no noise
    assert found.indices.numpy().tolist() == [1, 3]


@pytest.mark.slow  # tests/model/test_members.py has the predictions of members
def test_members_answer_by_their_mean(material, tmp_path, tensorflow):
    mixed_table(tmp_path, len(ROWS))
    tabm = ["branches.table.architecture=tabm", "branches.table.members=3", "branches.table.dropout=0"]
    members = ready(write_experiment(tmp_path / "a.yaml", TREE), tabm)
    found = factors_of(train_step(members, auxiliary=0.3, balance="ogm_ge"), batch_of(members, tensorflow))[0]
    assert sorted(found) == ["note", "table"]
    assert 0 < min(found.values()) < max(found.values()) == 1


RUN = """
name: balanced
columns: {x: {role: numeric}, z: {role: numeric}, y: {role: target, task: binary}}
branches: {first: {columns: [x], units: [4]}, second: {columns: [z], units: [4]}}
fusion: {units: [4], auxiliary: 0.5, balance: ogm_ge}
training: {epochs: 3, batch_size: 8, accumulate: 2, learning_rate: 0.05}
"""


@pytest.mark.slow  # tests/training/test_stages.py has it in the run that it kills
@pytest.mark.parametrize(
    "settings",
    [
        ["training.deterministic=true", "training.steps_per_call=2"],
        ["training.precision=float16"],
        ["training.precision=bfloat16", "training.jit=on", "training.steps_per_call=2"],
    ],
)
def test_a_killed_run_continues_with_the_same_bits(tmp_path, settings):
    from mmtrain.training.listeners.events import EpochBegan

    two_blobs(tmp_path, z=lambda row: row % 5)
    path = write_experiment(tmp_path / "e.yaml", RUN)
    whole = fit(path, overrides=settings, output=tmp_path / "whole").run

    def kill(event):
        if isinstance(event, EpochBegan) and event.epoch == 3:
            raise KilledError

    with pytest.raises(KilledError):
        fit(path, overrides=settings, output=tmp_path / "runs", listeners=Listeners(kill))
    run = resume(str(tmp_path / "runs" / "balanced" / "1")).run
    assert lines(run / "metrics.jsonl") == lines(whole / "metrics.jsonl")
    with np.load(whole / "checkpoints/last/weights.npz") as one, np.load(run / "checkpoints/last/weights.npz") as other:
        assert [one[key].tobytes() for key in one.files] == [other[key].tobytes() for key in other.files]
