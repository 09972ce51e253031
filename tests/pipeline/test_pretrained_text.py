"""A pretrained text branch from the experiment file to predictions and exports, with a tiny encoder."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import two_blobs, write_experiment
from tiny_encoders import PIECES, VOCABULARY, WIDTH, write_model

import mmtrain
from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.deployment.unpack import unpack
from mmtrain.config import load
from mmtrain.encoders import loading
from mmtrain.errors import ConfigError

pytestmark = pytest.mark.usefixtures("models_opened_once")
TEXTS = ("The dress fit, a dress!", "good", "bad dresses", "A good fit, the bad", "", "good fit")
TREE = {
    "data": {"cache": {"folder": "cache"}},
    "columns": {
        "note": {"role": "text", "max_length": 8, "missing": "mask"},
        "x": {"role": "numeric"},
        "y": {"role": "target", "task": "binary"},
    },
    "branches": {"words": {"columns": ["note"], "architecture": "pretrained", "model": "models/tiny"}, "rest": {"columns": ["x"]}},
    "training": {"epochs": 2, "batch_size": 16, "deterministic": True},
}


@pytest.fixture(scope="module")
def run(tensorflow, tmp_path_factory):
    """A trained run, and the folder of its table; the folder of the encoder is gone afterwards."""
    folder = tmp_path_factory.mktemp("pretrained")
    two_blobs(folder, note=lambda row: TEXTS[row % 6])
    (folder / "models").mkdir()
    write_model(folder / "models" / "tiny", modules=["Transformer", "Pooling", "Normalize"], pooling={"pooling_mode_mean_tokens": True})
    result = mmtrain.fit(write_experiment(folder / "notes.yaml", TREE), output=folder / "runs")
    (folder / "models").rename(folder / "elsewhere")
    loading._load_encoder.cache_clear()
    return Path(result.folder), folder


@pytest.mark.slow
def test_weights_of_the_encoder_are_in_the_model_and_in_no_checkpoint(run):
    folder, _ = run
    with np.load(folder / "checkpoints" / "last" / "weights.npz") as weights:
        shapes = [values.shape for values in weights.values()]
    vocabulary = (VOCABULARY, WIDTH)
    assert vocabulary not in shapes
    from mmtrain.model import model_file

    model = model_file.load_end_to_end(folder / "model.keras")
    assert vocabulary in [tuple(weight.shape) for weight in model.weights]


@pytest.mark.slow  # the saved model holds the encoder, see above
def test_predicts_and_evaluates_without_the_folder_of_the_encoder(run):
    folder, table = run
    frame = pd.read_csv(table / "table.csv", dtype=str, keep_default_na=False)
    predicted = mmtrain.load(folder).predict(frame, proba=True)
    mmtrain.evaluate(folder)
    scored = pd.read_csv(folder / "predictions_test.csv")
    column = next(name for name in predicted.columns if name.startswith("p"[:1]) and predicted[name].dtype.kind == "f")
    both = predicted.loc[scored["row"], column].to_numpy()
    shown = scored.select_dtypes("float")
    assert any(np.allclose(both, shown[name], rtol=0, atol=1e-5) for name in shown)


@pytest.mark.parametrize(
    ("pieces", "change", "problem"),
    [
        (PIECES, ("max_length: 8", "max_length: 10"), "tiny cannot read these inputs: it reads 9 pieces at most, and `max_length` is 10."),
        ([*PIECES, "more"], ("", ""), "tiny cannot read these inputs: its tokenizer has 12 pieces, and its weights are for 11."),
        (PIECES[1:] + PIECES[:1], ("", ""), "the id of the padding is 10 in its tokenizer and 0 in its config.json."),
    ],
)
def test_inputs_that_the_encoder_cannot_read_are_found_before_the_training(tmp_path, pieces, change, problem):
    from mmtrain.pipeline.checks.validate import load_checked

    two_blobs(tmp_path, note=lambda row: TEXTS[row % 6])
    write_model(tmp_path / "tiny")
    (tmp_path / "tiny" / "vocab.txt").write_text("\n".join(pieces) + "\n")
    tree = """
    columns:
      note: {role: text, max_length: 8}
      y: {role: target, task: binary}
    branches: {words: {columns: [note], architecture: pretrained, model: tiny}}
    """
    with pytest.raises(ConfigError) as error:
        load_checked(write_experiment(tmp_path / "notes.yaml", tree.replace(*change)), ())
    assert "branches.words.model: " in str(error.value) and problem in str(error.value)


@pytest.mark.slow  # other runs are packed in tests/artifacts/test_pack.py
def test_a_packed_run_names_the_encoder_without_its_folder(run, tmp_path):
    folder, table = run
    pack(str(folder), tmp_path / "run.zip")
    unpack(tmp_path / "run.zip", tmp_path / "there")
    config = (tmp_path / "there" / "config.yaml").read_text(encoding="utf-8")
    assert str(table) not in config
    experiment = load(tmp_path / "there" / "config.yaml")
    assert (experiment.branches["words"].model, experiment.columns["note"].model) == ("tiny", "tiny")
    frame = pd.read_csv(table / "table.csv", dtype=str, keep_default_na=False).head(7)
    expected = mmtrain.load(folder).predict(frame, proba=True)
    pd.testing.assert_frame_equal(mmtrain.load(tmp_path / "there").predict(frame, proba=True), expected)


@pytest.mark.slow
def test_equal_texts_are_encoded_once(run):
    _, table = run
    entries = [path for path in (table / "cache").iterdir() if path.is_dir()]
    (shape,) = [np.load(entry / "codes.npy", mmap_mode="r").shape for entry in entries]
    assert shape == (6, 1, 8)  # of 60 rows


@pytest.mark.slow
def test_saved_model_takes_raw_strings_with_tensorflow_alone(run):
    folder, _ = run
    result = export(str(folder), ExportOptions("saved_model"))
    assert result.signature.check.largest_difference <= 1e-5
    program = (
        "import json, sys, tensorflow as tf\n"
        "serve = tf.saved_model.load(sys.argv[1]).signatures['serving_default']\n"
        "out = serve(note=tf.constant(['good dresses', '', 'Bad']), x=tf.constant([1.0, 1.0, -1.0], tf.float64))\n"
        "print(json.dumps(out['probabilities'].numpy().tolist()), any(m.startswith('mmtrain') for m in sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, str(result.folder / "model")], capture_output=True, text=True, check=False, cwd=result.folder
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    probabilities, imported = answer.stdout.strip().rsplit(" ", 1)
    frame = pd.DataFrame({"note": ["good dresses", "", "Bad"], "x": ["1", "1", "-1"]})
    predicted = mmtrain.load(folder).predict(frame, proba=True)
    ours = predicted.select_dtypes("float").iloc[:, -1].to_numpy()
    assert imported == "False"
    np.testing.assert_allclose(np.array(json.loads(probabilities))[:, -1], ours, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_litert_holds_the_encoder(run):
    folder, _ = run
    assert export(str(folder), ExportOptions("litert")).signature.check.largest_difference <= 1e-4


@pytest.mark.slow
def test_onnx_holds_the_encoder(run):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    folder, _ = run
    result = export(str(folder), ExportOptions("onnx"))
    assert result.signature.check.largest_difference <= 1e-4
    (note,) = [one for one in result.signature.inputs if one.name == "note"]
    assert (note.dtype, note.shape) == ("int32", ["rows", 8])
