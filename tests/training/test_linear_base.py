"""The linear model that a network begins with: its solution, the network's first prediction, and the choice after the training."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import ready, write_experiment, write_table

pytestmark = pytest.mark.usefixtures("tensorflow")

TREE = """
columns:
  age: {role: numeric}
  size: {role: numeric}
  sex: {role: categorical}
  price: {role: target, task: regression}
  kind: {role: target, task: multiclass}
branches:
  table: {columns: [age, size, sex], architecture: tabm, members: 3, units: [6]}
fusion: {method: concatenate, units: []}
split: {method: random, validation: 0.3, test: 0.1}
training: {epochs: 2, jit: "off", steps_per_call: 1}
"""


def write(folder, rows=120):
    """Prices are linear in age and sex, kinds follow from the size."""
    random = np.random.default_rng(2)
    age, size = random.normal(40, 10, rows).round(3), random.normal(size=rows).round(3)
    noise = random.normal(size=rows)
    cells = [
        {
            "age": age[row],
            "size": size[row],
            "sex": "fm"[row % 2],
            "price": round(3 * age[row] + 20 * (row % 2) + noise[row], 3),
            "kind": "abc"[int(np.digitize(size[row], [-0.5, 0.5]))],
        }
        for row in range(rows)
    ]
    write_table(folder / "table.csv", cells)
    return write_experiment(folder / "linear.yaml", TREE)


@pytest.fixture(scope="module")
def material(tmp_path_factory, tensorflow):
    return ready(write(tmp_path_factory.mktemp("linear")))


def training_data(material, **changes):
    import keras

    from mmtrain.pipeline.build import assemble_network
    from mmtrain.training.training_data import TrainingData

    keras.utils.set_random_seed(1)
    experiment = material.experiment.model_copy(update=changes)
    models = assemble_network(experiment, material.fitted)
    training = experiment.training.without_trial()
    return TrainingData(training, experiment.columns, material.fitted, material.arrays, material.partition, models)


@pytest.fixture(scope="module")
def fitted(material):
    from mmtrain.training.linear_base import fit_linear_base

    data = training_data(material)
    assert not data.models.base.fitted
    return data, fit_linear_base(data)


def test_minimum_of_a_curved_valley():
    from mmtrain.training.optimization.penalized_regression import minimize

    def rosenbrock(point):
        x, y = point
        value = (1 - x) ** 2 + 10 * (y - x**2) ** 2
        return value, np.array([-2 * (1 - x) - 40 * x * (y - x**2), 20 * (y - x**2)])

    found = minimize(rosenbrock, minimize(rosenbrock, np.array([-1.0, 1.0]), least=1e-6), least=1e-6)
    assert found == pytest.approx([1, 1], abs=1e-2)


@pytest.mark.parametrize("rows", [40, 7], ids=["more rows than features", "fewer rows"])
def test_regression_is_a_ridge(material, rows):
    from mmtrain.training.optimization.penalized_regression import Labels, Regression

    random = np.random.default_rng(0)
    features = random.normal(size=(rows, 9)).astype(np.float32) * np.arange(1, 10, dtype=np.float32)
    target = material.fitted.targets["price"]
    truth = random.normal(100, 30, size=rows).astype(np.float32)
    labels = Labels({"price": target}, {"price": truth}, {"price": np.ones(rows, np.float32)})
    weights, bias = Regression(features, labels).solve(penalty=5.0)
    answers = np.asarray(target.standardized(truth), dtype=np.float64)
    centered = features - features.mean(axis=0)
    # The loss is the mean squared error plus half the penalty per row.
    expected = np.linalg.solve(centered.T @ centered + 2.5 * np.eye(9), centered.T @ (answers - answers.mean()))
    assert weights[:, 0] == pytest.approx(expected, abs=6e-3)
    assert bias[0] == pytest.approx(answers.mean() - features.mean(axis=0) @ expected, abs=0.02)


def test_network_begins_as_the_linear_model(material, fitted):
    data, sentence = fitted
    rows = material.partition.validation
    raw = {key: values.numpy() for key, values in data.models.network(material.arrays.take(rows), training=False).items()}
    assert np.ptp(raw["price"], axis=1).max() == 0  # members agree
    answers = np.asarray(material.fitted.targets["price"].standardized(material.arrays.targets["price"][rows]))
    assert np.corrcoef(raw["price"][:, 0, 0], answers)[0, 1] > 0.98
    kinds = raw["kind"][:, 0].argmax(axis=1)
    assert (kinds == material.arrays.targets["kind"][rows]).mean() > 0.7
    assert sentence.startswith("The network begins with a linear model of ")
    assert sentence.endswith("and learns its residuals.")


def test_linear_model_has_no_part_in_the_training(fitted):
    data, _ = fitted
    fixed = {id(weight) for weight in data.models.base.layer.weights}
    assert data.models.base.fitted
    assert not fixed & {id(weight) for weight in data.models.trained.trainable_variables}
    assert fixed <= {id(weight) for weight in data.models.trained.variables}


def test_linear_path_learns_behind_heads_of_zeros(material, monkeypatch):
    """Without categories, whose vectors begin at random, its weights and those of the heads are all that can move it."""
    import tensorflow as tf

    from mmtrain.training import linear_base

    monkeypatch.setattr(linear_base, "PENALTIES", (1.0,))  # which one is chosen changes no gradient at the heads
    branch = material.experiment.branches["table"].model_copy(update={"columns": ("age", "size"), "linear": 5})
    data = training_data(material, branches={"table": branch})
    linear_base.fit_linear_base(data)
    network, batch = data.models.trained, data.arrays.take(data.partition.train[:32])
    (path,) = [layer for layer in network._flatten_layers() if getattr(layer, "units", 0) == 5]
    changes = []
    for _ in range(2):
        with tf.GradientTape() as tape:
            loss = sum(tf.reduce_sum(raw**2) for raw in network(dict(batch), training=True).values())
        for weight, gradient in zip(network.trainable_variables, tape.gradient(loss, network.trainable_variables), strict=True):
            weight.assign_sub(0.001 * gradient)
            changes += [np.abs(gradient.numpy()).max()] if weight is path.kernel else []
    assert changes[0] == 0 < changes[1]


@pytest.mark.parametrize(
    "changes",
    [{"units": (4,)}, {"base": "none"}],
    ids=["layers behind the branch", "switched off"],
)
def test_without_a_linear_model(material, changes):
    from mmtrain.training.linear_base import fit_linear_base, settle_linear_base

    experiment = material.experiment
    if "units" in changes:
        data = training_data(material, fusion=experiment.fusion.model_copy(update=changes))
    else:
        data = training_data(material, branches={"table": experiment.branches["table"].model_copy(update=changes)})
    assert data.models.base is None
    assert fit_linear_base(data) == ""
    assert settle_linear_base(data) is None


@pytest.mark.parametrize(
    ("network", "factor"), [pytest.param(0.3, 0.0, marks=pytest.mark.slow), (-0.001, 0.5), pytest.param(-0.3, 1.0, marks=pytest.mark.slow)]
)
@pytest.mark.slow
def test_the_mean_of_both_is_kept_unless_one_is_better_beyond_noise(material, network, factor, monkeypatch):
    from mmtrain.training import linear_base

    data = training_data(material)
    linear_base.fit_linear_base(data)
    random = np.random.default_rng(1)
    losses = iter([random.normal(1 + shift, 0.01, 36).astype(np.float32) for shift in (-network, 0, network)])
    kept = [np.ones(weight.shape, np.float32) for head in data.models.base.heads for weight in head.weights]
    for head in data.models.base.heads:
        head.set_weights([np.ones(weight.shape, np.float32) for weight in head.weights])

    class Losses:
        def __init__(self, values):
            self.values = values

        def numpy(self):
            return self.values

    monkeypatch.setattr(linear_base.Labels, "row_losses", lambda *_: Losses(next(losses)))
    choice = linear_base.settle_linear_base(data)
    assert choice.factor == factor
    found = [weight.numpy() for head in data.models.base.heads for weight in head.weights]
    for one, other in zip(found, kept, strict=True):
        assert np.array_equal(one, other * factor)


@pytest.mark.slow
def test_rows_of_a_group_are_one_observation_of_what_is_better(material, monkeypatch):
    from dataclasses import replace

    from mmtrain.training import linear_base

    data = training_data(material)
    linear_base.fit_linear_base(data)
    # 20 validation rows gain 0.3, the others lose 0.1: beyond noise as rows, and two draws as patients.
    gains = np.where(np.arange(36) < 20, 0.3, -0.1).astype(np.float32)
    groups = np.zeros(len(data.arrays.targets["price"]), np.int64)
    groups[data.partition.validation[20:]] = 1
    chosen = []
    for codes in (None, groups):
        losses = iter([1 + gains, np.ones(36, np.float32), 1 - gains])
        monkeypatch.setattr(linear_base.Labels, "row_losses", lambda *_, losses=losses: SimpleNamespace(numpy=lambda: next(losses)))
        chosen.append(linear_base.settle_linear_base(replace(data, groups=codes)).factor)
    assert chosen == [1.0, 0.5]


def test_held_out_rows_of_a_group_stay_together_in_the_choice_of_bins():
    from mmtrain.training.linear_base import _better, _held_out

    folds = np.array([0, 1, 2, 0, 1, 2])
    assert np.concatenate(_held_out(folds)).tolist() == [0, 3, 1, 4, 2, 5]
    assert _held_out(np.zeros(6, np.int64)) == []
    losses, others = np.ones(6), np.array([0.5, 0.6, 0.55, 0.6, 1.1, 1.05])
    assert _better(losses, others, 1.0)
    assert not _better(losses, others, 1.0, np.array([7, 7, 7, 7, 3, 3]))


@pytest.mark.slow
def test_a_run_says_what_was_kept_and_saves_it(tmp_path):
    from mmtrain.commands.fit import fit
    from mmtrain.commands.fitting.training_listeners import Listeners
    from mmtrain.model.model_file import load_end_to_end

    said = []
    run = fit(write(tmp_path), output=tmp_path / "runs", listeners=Listeners(say=said.append)).run
    assert any(sentence.startswith("The network begins with a linear model of ") for sentence in said)
    choice = json.loads((run / "run.json").read_text())["linear_base"]
    assert choice["factor"] in (0, 0.5, 1)
    assert choice["rows"] == 36
    assert min(choice["linear"], choice["network"]) <= choice["mean"] * 1.5
    model = load_end_to_end(run / "model.keras")
    (layer,) = [layer for layer in model.predictor._flatten_layers() if type(layer).__name__ == "LinearBase"]
    assert np.abs(layer.kernel.numpy()).max() > 0


def test_many_training_rows_need_no_linear_model(material, monkeypatch):
    from mmtrain.training import linear_base

    data = training_data(material)
    monkeypatch.setattr(linear_base, "MOST_ROWS", len(data.partition.train) - 1)
    assert linear_base.fit_linear_base(data) == ""
    assert not data.models.base.fitted
    assert linear_base.settle_linear_base(data) is None


def test_single_group_of_training_rows_gets_the_strongest_penalty(material):
    from dataclasses import replace

    from mmtrain.training.linear_base import PENALTIES, fit_linear_base

    data = replace(training_data(material), groups=np.zeros(120, np.int64))
    assert f"(penalty {PENALTIES[0]:g})" in fit_linear_base(data)


def test_linear_model_has_the_loss_of_the_rows_that_are_drawn(material):
    from mmtrain.training.optimization.penalized_regression import Labels

    data = training_data(material)
    rows = np.concatenate([data.partition.train, data.partition.validation])
    plain = Labels.of(data, rows)
    drawn = data.fitted.model_copy(
        update={"targets": {**data.fitted.targets, "kind": data.fitted.targets["kind"].model_copy(update={"sample": "balanced"})}}
    )
    balanced = Labels.of(replace(data, fitted=drawn), rows)
    kinds, train = plain.truth["kind"], len(data.partition.train)
    # Every class of training rows has the same weight, in the loss of each target; a validation row has that of its class.
    for key in ("kind", "price"):
        factors = balanced.weights[key] / plain.weights[key]
        sums = np.bincount(kinds[:train], factors[:train])
        assert sums == pytest.approx(np.full(3, train / 3), rel=1e-5)
        assert all(len(set(factors[kinds == code])) == 1 for code in range(3))
