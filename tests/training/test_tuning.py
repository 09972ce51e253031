"""Stages that tune a pretrained encoder: frozen on cached features first, then with adapters; a tiny BERT, trained by the loop alone.

`tests/pipeline/test_tuned_encoders.py` has whole runs, with images, saved models and exports.
"""

import json
import shutil

import numpy as np
import pytest
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import lines, ready, two_blobs, write_experiment
from tiny_encoders import write_model

from mmtrain.artifacts import run_folder
from mmtrain.config import load
from mmtrain.training.listeners.events import EpochBegan, StepsBegan

TEXTS = ("The dress fit, a dress!", "good", "bad dresses", "A good fit, the bad", "", "good fit")
TREE = """
name: tuned
data: {cache: {folder: cache}}
columns:
  note: {role: text, max_length: 8, missing: mask}
  amount: {role: target, task: regression, bins: 4}
branches:
  note: {columns: [note], architecture: pretrained, model: tiny_bert, tune: lora, rank: 2, blocks: 1}
split: {validation: 0.3, test: 0.2}
training: {epochs: 3, batch_size: 8, deterministic: true, learning_rate: 0.05, checkpoint_minutes: 0.000001}
"""


STOPS = {"frozen": (2, 1), "between": (3, 0), "tuning": (3, 1)}
"""Epoch and step before which the files of the run are copied; a checkpoint is written before every step."""


@pytest.fixture(scope="module", autouse=True)
def only_here(tensorflow):
    yield
    tf_config.disable_op_determinism()


def assembled(path, overrides=()):
    """The data and networks of a training, with the weights that it begins with."""
    from mmtrain.pipeline.build import EncodedTable, assemble_training

    made = ready(path, overrides)
    return assemble_training(EncodedTable(made.experiment, made.data, made.partition, made.fitted, made.arrays), lambda _: None)[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the experiment, its table and its encoder."""
    folder = tmp_path_factory.mktemp("tuned")
    two_blobs(folder, 40, note=lambda row: TEXTS[row % 6], amount=lambda row: 5 + row % 6)
    write_model(folder / "tiny_bert", modules=["Transformer", "Pooling"], pooling={"pooling_mode_mean_tokens": True})
    write_experiment(folder / "experiment.yaml", TREE)
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    """The data of a training of two frozen epochs and one that tunes, after it, and its run. Copies of it were made at `STOPS`."""
    from mmtrain.training import loop

    data = assembled(folder / "experiment.yaml")
    run = run_folder.begin(folder / "whole", "tuned")

    def copy(event):
        here = (event.epoch, event.step) if isinstance(event, StepsBegan) else (event.epoch, 0) if isinstance(event, EpochBegan) else None
        for name, stop in STOPS.items():
            if stop == here and not (folder / name).exists():
                shutil.copytree(run.folder, folder / name)

    loop.train(data, run, copy)
    return data, run, folder


@pytest.mark.slow
def test_stages_left_out_train_the_rest_before_the_encoder(whole):
    _, _, folder = whole
    first, last = load(folder / "experiment.yaml").training.stages
    assert (first.epochs, first.unfreeze) == (2, ("branches.note.head", "fusion", "targets.amount"))
    assert (last.epochs, last.unfreeze, last.begin_with, last.layer_decay) == (1, None, "best", 0.8)
    assert last.learning_rate == {"branches.note.backbone": 0.0005}


@pytest.mark.slow
def test_heads_behind_an_encoder_begin_at_zero_and_learn(whole):
    from mmtrain.pipeline.build import assemble_network

    data, _, folder = whole
    made = ready(folder / "experiment.yaml")
    (kernel,) = [one for one in assemble_network(made.experiment, made.fitted).network.get_layer("target_amount").weights if one.ndim == 2]
    assert not kernel.numpy().any()
    assert data.models.network.get_layer("target_amount").weights[0].numpy().any()


@pytest.mark.slow
def test_checkpoints_hold_adapters_and_no_weight_of_the_file(whole):
    data, run, _ = whole
    adapters = [variable for variable in data.models.stored.variables if variable.name == "lora_kernel_b"]
    assert all(np.abs(variable.numpy()).max() > 0 for variable in adapters)  # from zeros
    with np.load(run / "checkpoints" / "last" / "weights.npz") as weights:
        layers = [name.partition(" ")[2].split("|") for name in weights.files]
    adapted = [layer for layer, name in layers if name.startswith("lora_kernel")]
    assert len(adapted) == 2 * 6  # the dense layers of the last block: query, key, value, mixed, inner, outer
    assert not [name for layer, name in layers if layer in adapted and not name.startswith("lora_kernel")]


def test_adapters_are_merged_with_equal_outputs(folder):
    """Of a network whose adapters and head have weights as a training gives them; both begin at zero."""
    from mmtrain.model import model_file

    data, random = assembled(folder / "experiment.yaml"), np.random.default_rng(0)
    rows, count = np.arange(40), len(data.models.predictor.weights)
    adapters = [variable for variable in data.models.stored.variables if variable.name == "lora_kernel_b"]
    kernel = data.models.network.get_layer("target_amount").weights[0]
    kernel.assign(random.normal(0, 0.05, kernel.shape))
    plain = model_file.predict(data.models.predictor, data.arrays, rows)["amount"]
    for variable in adapters:
        variable.assign(random.normal(0, 0.1, variable.shape))
    before = [variable.numpy() for variable in data.models.predictor.weights]
    tuned = model_file.predict(data.models.predictor, data.arrays, rows)["amount"]
    assert np.abs(tuned - plain).max() > 1e-3
    data.models.merge_adapters()
    merged = model_file.predict(data.models.predictor, data.arrays, rows)["amount"]
    assert len(before) - len(data.models.predictor.weights) == 2 * len(adapters) == 12
    assert count == len(before) and np.abs(merged / tuned - 1).max() < 1e-6
    assert "lora" not in data.models.predictor.to_json()


@pytest.mark.slow  # test_resume.py kills a run of one stage
@pytest.mark.parametrize("stop", STOPS)
def test_a_training_killed_in_any_stage_continues_bit_equal(whole, stop):
    from mmtrain.training import loop

    _, expected, folder = whole
    run = run_folder.Run(folder / stop)
    before = json.loads((run / "checkpoints" / "last" / "position.json").read_text())["position"]
    assert (before["epoch"] + 1, before["step"]) == STOPS[stop]
    loop.train(assembled(folder / "experiment.yaml"), run, lambda _: None, "last")
    assert lines(run / "metrics.jsonl") == lines(expected / "metrics.jsonl")
    for name in ("last/weights.npz", "last/optimizer.npz", "last/position.json", "best/weights.npz"):
        assert (run / "checkpoints" / name).read_bytes() == (expected / "checkpoints" / name).read_bytes(), name


def test_a_stage_in_which_the_encoder_is_frozen_takes_features_with_equal_outputs(folder):
    from mmtrain.training.step import TrainStep
    from mmtrain.training.validation import predict_rows

    data, rows = assembled(folder / "experiment.yaml"), np.arange(40)
    steps = TrainStep(data.training, data.columns, data.fitted, data.models)
    shapes = [tuple(tensor.shape) for tensor in steps.models.network.inputs]
    on_features = predict_rows(steps, data.arrays, rows)[1]["amount"]
    steps.enter_stage(1)
    assert (shapes[0], tuple(steps.models.network.inputs[0].shape)) == ((None, 1, 8), (None, 8))
    assert np.abs(predict_rows(steps, data.arrays, rows)[1]["amount"] - on_features).max() < 1e-5


@pytest.mark.slow  # both kinds of encoders have tests of their own
def test_an_encoder_of_a_column_stays_frozen_while_that_of_a_branch_is_tuned(whole):
    from mmtrain.model.summary import model_summary
    from mmtrain.training.step import TrainStep
    from mmtrain.training.validation import predict_rows

    _, _, folder = whole
    words = "  words: {column: note, role: text, max_length: 8, encoder: {model: tiny_bert, components: 2}}\n  amount:"
    tree = TREE.replace("  amount:", words).replace("branches:\n", "branches:\n  table: {columns: [words], units: [4]}\n")
    data, rows = assembled(write_experiment(folder / "both.yaml", tree)), np.arange(40)
    steps = TrainStep(data.training, data.columns, data.fitted, data.models)

    def read():
        return {tensor.name: tuple(tensor.shape[1:]) for tensor in steps.models.network.inputs if tensor.name in data.columns}

    predictions = []
    for number, shapes in enumerate(({"note": (1, 8), "words": (1, 8)}, {"note": (8,), "words": (1, 8)})):
        steps.enter_stage(number)
        assert read() == shapes
        predictions.append(predict_rows(steps, data.arrays, rows)[1]["amount"])
    assert np.abs(predictions[0] - predictions[1]).max() < 1e-5
    known = {id(weight) for weight in data.models.encoders["words"].encoder.network.weights}
    assert known.isdisjoint(map(id, data.models.stored.variables)) and known.isdisjoint(map(id, steps.variables))
    experiment = load(folder / "both.yaml")
    table, note = model_summary(data.models, experiment.branches, experiment.fusion, data.fitted)["branches"]
    assert (table["inputs"][0]["encoder"]["frozen"], note["encoder"]["frozen"]) == (True, False)
    assert table["inputs"][0]["encoder"]["sha256"] == note["encoder"]["sha256"]


def test_the_rate_falls_from_block_to_block():
    import keras

    from mmtrain.encoders.tuning import depths
    from mmtrain.training.optimization.group_optimizer import ParameterGroups

    first, second, head = (keras.layers.Dense(2, use_bias=False) for _ in range(3))
    for layer in (first, second, head):
        layer.build((None, 3))
    groups = ParameterGroups({"branches.a": [first, second], "fusion": [head]}, depths([[first], [second]]))
    factors = {id(variable): factor for variable, factor in groups.factors({"a": 0.01}, 0.05, 0.5)}
    assert factors == {id(first.kernel): pytest.approx(0.1), id(second.kernel): pytest.approx(0.2)}
    assert [factor for _, factor in groups.factors({}, 0.05, 0.5)] == [0.5]


@pytest.mark.parametrize(
    ("seconds", "stages", "tuned", "epochs", "reasons"),
    [
        (10, (1, 6), ("a", "b"), 6, ["branch a is tuned with adapters: 6 epochs of about 10 s, 5 minutes allowed"]),
        (60, (1, 6), ("a", "b"), 2, ["branch a is tuned with adapters: 2 epochs of about 1 min 0 s, 5 minutes allowed"]),
        (60, (6, 6), (), 0, ["branch a stays frozen: 6 epochs of tuning would take about 6 min 0 s, and 5 minutes are allowed"]),
        (
            200,
            (1, 6),
            ("a",),
            1,
            ["branch b stays frozen: 1 epoch of tuning with the branches before would take about 6 min 40 s, and 5 minutes are allowed"],
        ),
    ],
)
def test_encoders_are_tuned_for_the_epochs_that_fit_into_the_minutes(monkeypatch, seconds, stages, tuned, epochs, reasons):
    from mmtrain.branches import Pretrained
    from mmtrain.config.sections.training import Training
    from mmtrain.training.auto_settings import tuning_trial

    monkeypatch.setattr(tuning_trial, "_epoch_seconds", lambda *_: seconds)
    training = Training.model_construct(seed=0)
    encoders = {key: (key, Pretrained("tiny", tune="auto", minutes=5)) for key in "ab"}
    choice = tuning_trial.choose_tuning(encoders, training, stages, None, None)
    assert (choice.tuned, choice.epochs) == (tuned, epochs)
    assert set(reasons) <= set(choice.reasons)


@pytest.mark.slow  # the decision is above
@pytest.mark.parametrize(("minutes", "tune"), [(15, "lora"), (1e-9, "none")])
def test_a_trial_decides_whether_an_encoder_is_tuned(whole, minutes, tune):
    """The stages are those of `tune: lora` where it fits, and there are none where it does not."""
    from mmtrain.pipeline.build import EncodedTable, _choose_tuning

    _, _, folder = whole
    made = ready(folder / "experiment.yaml", ["branches.note.tune=auto", f"branches.note.minutes={minutes}", "training.stages=[]"])
    assert made.experiment.training.stages == ()
    table = EncodedTable(made.experiment, made.data, made.partition, made.fitted, made.arrays)
    experiment, reasons = (found := _choose_tuning(table))[0].experiment, found[1]
    assert experiment.branches["note"].tune == tune
    assert [stage.epochs for stage in experiment.training.stages] == ([2, 1] if tune == "lora" else [])
    assert len(reasons) == 1 and ("is tuned with adapters: 1 epoch of about" if tune == "lora" else "stays frozen") in reasons[0]
