"""Pretrained encoders that a training tunes: frozen on cached features first, then with adapters, merged into the saved model.

One run of a tiny ResNet and a tiny BERT with a number to predict, from its file to its exports; tests/training/test_tuning.py has the
loop alone.
"""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from checkpoints import tiny_resnet
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import lines, paint, ready, two_blobs, write_experiment
from tiny_encoders import write_model

import mmtrain
from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.fitting.training_listeners import Listeners
from mmtrain.config import load
from mmtrain.errors import RunError
from mmtrain.training.listeners.events import EpochEnded, StepsBegan
from mmtrain.training.signals import Interrupted

pytestmark = pytest.mark.slow
TEXTS = ("The dress fit, a dress!", "good", "bad dresses", "A good fit, the bad", "", "good fit")
ROWS = 40
TREE = """
name: tuned
data: {cache: {folder: cache}}
columns:
  scan: {role: image, size: [12, 12], missing: mask}
  note: {role: text, max_length: 8, missing: mask}
  x: {role: numeric}
  amount: {role: target, task: regression, bins: 6}
branches:
  scan: {columns: [scan], architecture: pretrained, model: tiny_resnet, tune: lora, rank: 2, blocks: 1, dropout: 0.2}
  note: {columns: [note], architecture: pretrained, model: tiny_bert, tune: lora, rank: 2, blocks: 1}
  x: {columns: [x], units: [4]}
split: {validation: 0.3, test: 0.2}
training: {epochs: 3, batch_size: 8, deterministic: true, learning_rate: 0.05}
evaluation: {baselines: []}
"""


@pytest.fixture(scope="module", autouse=True)
def only_here():
    yield
    tf_config.disable_op_determinism()


def written(folder, tree=TREE):
    """Forty images of which one is missing, texts, amounts, two models, and an experiment on them."""
    random = np.random.default_rng(0)
    for row in range(ROWS):
        paint(folder / f"{row}.png", random.integers(0, 256, (12, 12, 3)).astype(np.uint8))
    scans = {"scan": lambda row: "" if row == 7 else f"{row}.png"}
    two_blobs(folder, ROWS, **scans, note=lambda row: TEXTS[row % 6], amount=lambda row: 5 + row % 6 + row / 100)
    tiny_resnet(folder)
    write_model(folder / "tiny_bert", modules=["Transformer", "Pooling"], pooling={"pooling_mode_mean_tokens": True})
    return write_experiment(folder / "experiment.yaml", tree)


@pytest.fixture(scope="module")
def trained(tensorflow, tmp_path_factory):
    """A finished run, the notices of its training, and its folder."""
    folder, notices = tmp_path_factory.mktemp("tuned"), []
    result = fit(written(folder), output=folder / "whole", listeners=Listeners(say=notices.append))
    return result.run, notices, folder


def assembled(folder):
    """The data and networks of the training, with the weights that it begins with."""
    from mmtrain.pipeline.build import EncodedTable, assemble_training

    made = ready(folder / "experiment.yaml")
    table = EncodedTable(made.experiment, made.data, made.partition, made.fitted, made.arrays)
    return assemble_training(table, lambda _: None)[1]


def test_encoders_are_frozen_on_cached_features_before_they_are_tuned(trained):
    run, notices, _ = trained
    read = [notice.split(" in ")[0] for notice in notices if "has read" in notice]
    assert read == ["scan: tiny_resnet has read 39 images", "note: tiny_bert has read 6 distinct texts"]
    first, last = load(run / "config.yaml").training.stages
    assert (first.epochs, last.epochs, last.begin_with) == (2, 1, "best")
    assert first.unfreeze == ("branches.scan.head", "branches.note.head", "branches.x", "fusion", "targets.amount")
    assert last.learning_rate == {"branches.scan.backbone": 0.0005, "branches.note.backbone": 0.0005}


def test_the_saved_model_has_no_adapters_and_predicts_as_the_trained_network_does(trained):
    from mmtrain.model import model_file
    from mmtrain.training import checkpoints

    run, _, folder = trained
    data, rows = assembled(folder), np.arange(ROWS)
    checkpoints.load(run / "checkpoints", "best", data.models.stored)
    tuned = model_file.predict(data.models.predictor, data.arrays, rows)["amount"]
    _, saved = model_file.of_run(run, load(run / "config.yaml").branches, data.fitted)
    assert np.abs(model_file.predict(saved, data.arrays, rows)["amount"] / tuned - 1).max() < 1e-6
    assert not [weight.path for weight in saved.weights if "lora" in weight.path]


def stop_at(epoch, step):
    """A listener that interrupts the training after this step; step 0 is the end of the epoch before."""

    def watch(event):
        here = None
        if isinstance(event, StepsBegan):
            here = event.epoch, event.step + 1
        elif isinstance(event, EpochEnded):
            here = event.epoch + 1, 0
        if here == (epoch, step):
            os.kill(os.getpid(), signal.SIGTERM)

    return watch


@pytest.mark.parametrize("stop", [(2, 1), (3, 0), (3, 2)], ids=["frozen", "between", "tuning"])
def test_a_training_that_was_stopped_continues_bit_equal(trained, tmp_path, stop):
    whole, _, folder = trained
    with pytest.raises(Interrupted):
        fit(folder / "experiment.yaml", output=tmp_path, listeners=Listeners(watch=stop_at(*stop)))
    run = resume(str(tmp_path / "tuned" / "1")).run
    assert lines(run / "metrics.jsonl") == lines(whole / "metrics.jsonl")
    for name in ("last/weights.npz", "last/optimizer.npz", "last/position.json", "best/weights.npz"):
        assert (run / "checkpoints" / name).read_bytes() == (whole / "checkpoints" / name).read_bytes(), name


def test_other_weights_of_an_encoder_are_refused_on_resume(trained, tmp_path):
    _, _, folder = trained
    with pytest.raises(Interrupted):
        fit(folder / "experiment.yaml", output=tmp_path, listeners=Listeners(watch=stop_at(3, 0)))
    weights = folder / "tiny_bert" / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-4] + b"\0\0\0\0")
    try:
        with pytest.raises(RunError) as error:
            resume(str(tmp_path / "tuned" / "1"))
    finally:
        weights.write_bytes(before)
    assert "the weights of tiny_bert, which branch note begins with, have changed since the training began." in str(error.value)


@pytest.mark.parametrize("tune", ["last_blocks", "all"])
def test_blocks_are_tuned_bit_equal_and_stored_once_they_change(tmp_path, tune):
    """A frozen stage stores none of them; the best weights of that stage bring back those of the file."""
    tree = TREE.replace("tune: lora, rank: 2", f"tune: {tune}").replace("learning_rate: 0.05", "learning_rate: 0.05, weight_average: 0.9")
    path = written(tmp_path, tree)
    whole = fit(path, output=tmp_path / "whole").run

    def stored(run, name):
        with np.load(run / "checkpoints" / name / "weights.npz") as weights:
            return [key for key in weights.files if "encoder" in key or "layer2" in key]

    with pytest.raises(Interrupted):
        fit(path, output=tmp_path / "runs", listeners=Listeners(watch=stop_at(3, 0)))
    run = tmp_path / "runs" / "tuned" / "1"
    assert stored(run, "best") == []
    resume(str(run))
    assert stored(whole, "last")
    assert lines(run / "metrics.jsonl") == lines(whole / "metrics.jsonl")
    assert (run / "checkpoints/last/weights.npz").read_bytes() == (whole / "checkpoints/last/weights.npz").read_bytes()


def test_saved_model_takes_raw_strings_and_bytes_with_tensorflow_alone(trained):
    run, _, folder = trained
    result = export(str(run.folder), ExportOptions("saved_model"))
    assert result.signature.check.largest_difference <= 1e-5
    program = (
        "import json, pathlib, sys, tensorflow as tf\n"
        "serve = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "scans = [pathlib.Path(sys.argv[2], f'{row}.png').read_bytes() for row in (3, 4, 5)]\n"
        "out = serve(scan=tf.constant(scans), note=tf.constant(['good dresses', '', 'Bad']), x=tf.constant([1.0, 1.0, -1.0], tf.float64))\n"
        "print(json.dumps(out['prediction'].numpy().tolist()), any(m.startswith('mmtrain') for m in sys.modules))"
    )
    command = [sys.executable, "-c", program, str(result.folder / "model"), str(folder)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=result.folder)
    assert answer.returncode == 0, answer.stderr[-2000:]
    numbers, imported = answer.stdout.strip().rsplit(" ", 1)
    cells = {"scan": ["3.png", "4.png", "5.png"], "note": ["good dresses", "", "Bad"], "x": ["1", "1", "-1"]}
    predicted = mmtrain.load(run.folder).predict(pd.DataFrame(cells), images=folder)
    assert imported == "False"
    np.testing.assert_allclose(json.loads(numbers), predicted["prediction"], rtol=1e-3)


def test_onnx_holds_the_merged_network(trained):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    run, _, _ = trained
    assert export(str(run.folder), ExportOptions("onnx")).signature.check.largest_difference <= 1e-4


def test_evaluate_finds_features_of_encoders_that_were_not_tuned(tmp_path, monkeypatch):
    """A column has a frozen encoder, a branch tunes one: only the former is cut off from the saved network."""
    from mmtrain.commands.evaluate import evaluate
    from mmtrain.training.encoder_features import frozen_features

    words = "  words: {column: note, role: text, max_length: 8, missing: mask, encoder: {model: tiny_bert, components: 2}}\n  x:"
    tree = TREE.replace("  x: {role: numeric}", words + " {role: numeric}", 1).replace("columns: [x]", "columns: [words, x]")
    result = fit(written(tmp_path, tree), output=tmp_path / "runs")
    known = result.run.read("network.json").encoders
    assert {column: one.frozen for column, one in known.items()} == {"scan": False, "note": False, "words": True}
    monkeypatch.setattr(frozen_features, "_compile", lambda _: pytest.fail("an encoder was asked to read"))
    evaluate(str(result.run.folder))
    scored = pd.read_csv(result.run / "predictions_test.csv")
    frame = pd.read_csv(tmp_path / "table.csv", dtype=str, keep_default_na=False)
    predicted = mmtrain.load(result.run.folder).predict(frame, images=tmp_path)
    np.testing.assert_allclose(predicted.loc[scored["row"], "prediction"], scored["prediction"], rtol=1e-4)
