"""Compiled functions that the trainings of a group share: the same bits as without sharing, and never those of another network."""

from types import SimpleNamespace

import pandas as pd
import pytest
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import mixed_table, ready, write_experiment

from mmtrain.commands.fit import fit
from mmtrain.targets.labels.binary import BinaryTarget
from mmtrain.targets.labels.multilabel import MultilabelTarget
from mmtrain.targets.numbers.regression import RegressionTarget
from mmtrain.training import shared_steps

TREE = """
columns: {age: {role: numeric}, kind: {role: target, task: multiclass}}
branches: {table: {columns: [age], units: [4]}}
"""
NOTE = "  note: {role: text, vectorize: tokens, max_tokens: 5, max_length: 4}\n"
GROUP = """
name: shared
columns:
  age: {role: numeric}
  city: {role: categorical}
  kind: {role: target, task: multiclass}
split: {method: stratified, folds: 3, test: 0, validation: 0.3, seed: 1}
evaluation: {draws: 100}
"""
TRAINING = "training: {{epochs: 2, batch_size: 8, deterministic: {deterministic}, {options}}}\n"
TABLE = "branches: {table: {columns: [age, city], units: [4], dropout: 0.4}}\n"
BOTH = "branches: {table: {columns: [age, city], units: [4], dropout: 0.4}, note: {columns: [note], width: 4}}\n"
EXPERIMENTS = {
    "momentum": (TABLE, "optimizer: sgd, momentum: 0.9, accumulate: 2", True),
    "average": (BOTH, "optimizer: adamw, weight_average: 0.9, clip_norm: 1.0", True),
    "auxiliary": (BOTH + "fusion: {auxiliary: 0.4, balance: ogm_ge, modality_dropout: 0.3}\n", "optimizer: lion", True),
    "members": (
        "branches: {table: {columns: [age, city], architecture: tabm, members: 3}}\nfusion: {units: []}\n",
        "seeds: 2, optimizer: muon",
        True,
    ),
    "seeds": (TABLE, "seeds: 2", True),
    "compiled": (TABLE, "steps_per_call: 2, jit: 'on', precision: float32", False),
}


@pytest.fixture(scope="module", autouse=True)
def only_here(tensorflow):
    """TensorFlow stays deterministic until it is told otherwise; the other tests are not."""
    yield
    tf_config.disable_op_determinism()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The data of a training, and a function that describes its computation with other fields."""
    import keras

    from mmtrain.pipeline.build import assemble_network

    folder = tmp_path_factory.mktemp("shared")
    mixed_table(folder, 24)
    material = ready(write_experiment(folder / "a.yaml", TREE))

    def describe(units=4, **changes):
        keras.backend.clear_session()  # as every training does: names of layers are counted from the last time on
        branch = material.experiment.branches["table"].model_copy(update={"units": (units,)})
        models = assemble_network(material.experiment.model_copy(update={"branches": {"table": branch}}), material.fitted)
        known = {"training": material.experiment.training, "models": models, "fitted": material.fitted, "distillation": None}
        return shared_steps.describe_computation(SimpleNamespace(**(known | changes)))

    return material, describe


@pytest.mark.slow
def test_networks_that_differ_in_weights_alone_are_the_same(data):
    describe = data[1]
    first = describe()
    assert describe(training=data[0].experiment.training.with_settings(seed=5)) == first != ""


@pytest.mark.slow
def test_other_networks_and_settings_are_not_the_same(data):
    material, describe = data
    first, training = describe(), material.experiment.training
    wider = describe(units=5)
    assert first not in (wider, describe(training=training.with_settings(clip_norm=1.0)), "")


def test_weights_and_counts_of_classes_are_not_compiled():
    first, other = (BinaryTarget(column="y").fit({"y": pd.Series(cells)}, "balanced") for cells in (["a", "b", "b"], ["a", "b"]))
    assert first != other and first.compiled_values() == other.compiled_values()
    own = [one.model_copy(update={"own_loss": {"method": "focal", "gamma": 2.0}}).compiled_values() for one in (first, other)]
    assert own[0] != own[1]  # a loss that is not that of the task may read the counts


def test_what_the_loss_reads_is_compiled():
    numbers = [RegressionTarget(column="y").fit({"y": pd.Series(cells)}, "none") for cells in (["1", "2", "4"], ["1", "2", "3"])]
    labels = [MultilabelTarget(column="y").fit({"y": pd.Series(cells)}, "balanced") for cells in (["a;b", "a", "b"], ["a;b", "a", "a"])]
    for first, other in (numbers, labels):
        assert first.compiled_values() != other.compiled_values()
    plain = [replace_weights(one) for one in labels]
    assert plain[0] != plain[1] and plain[0].compiled_values() == plain[1].compiled_values()


def replace_weights(target):
    return target.model_copy(update={"weights": (1.0, 1.0)})


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_trainings_that_share_compiled_functions_end_with_the_same_bits(tmp_path, monkeypatch, name):
    sections, options, deterministic = EXPERIMENTS[name]
    text = (
        GROUP.replace("  kind", f"{NOTE if 'note' in sections else ''}  kind")
        + sections
        + TRAINING.format(options=options, deterministic=str(deterministic).lower())
    )
    # Quantiles of numbers, which TabM reads, differ between folds; seeds share them.
    text = text.replace("folds: 3, test: 0, ", "") if "seeds" in options else text
    mixed_table(tmp_path, 72, age=lambda row: row % 3 + row % 7 / 3, city=lambda row: "uv"[row % 2], note=lambda row: f"w{row % 3} w3")
    path, restarts = write_experiment(tmp_path / "shared.yaml", text), []
    restart = shared_steps.TrainStep.restart
    monkeypatch.setattr(shared_steps.TrainStep, "restart", lambda *given: restarts.append(1) or restart(*given))
    shared = fit(path, output=tmp_path / "shared").run
    members = [member.name for member in shared.read("run.json").members]
    assert len(restarts) == len(members) - 1
    monkeypatch.setattr(shared_steps, "describe_computation", lambda _: "")
    alone = fit(path, output=tmp_path / "alone").run
    assert len(restarts) == len(members) - 1
    for member in members:
        for file in ("metrics.jsonl", "predictions_member.csv"):
            assert (shared / member / file).read_bytes() == (alone / member / file).read_bytes(), (member, file)
