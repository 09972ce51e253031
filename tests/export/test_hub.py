"""A folder for a model hub: what it holds, and that the model opens again from its numbers alone."""

import json

import numpy as np
import pytest
from tiny import two_blobs, write_experiment

from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.fit import fit
from mmtrain.encoders.weights.files import SafetensorsFile
from mmtrain.errors import RunError
from mmtrain.export.hub import CONFIG, load_folder, write_safetensors


def test_arrays_come_back_from_a_safetensors_file(tmp_path):
    arrays = {
        "a/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.array(3, np.int64),
        "c": np.zeros((0, 2), np.float16),
        "d": np.array([True, False]),
    }
    write_safetensors(tmp_path / "m.safetensors", arrays)
    file = SafetensorsFile(tmp_path / "m.safetensors")
    assert file.shapes == {name: values.shape for name, values in arrays.items()}
    for name, values in arrays.items():
        np.testing.assert_array_equal(file.read(name), values.astype(np.float32))


@pytest.fixture(scope="module")
def run(tmp_path_factory, tensorflow):
    folder = tmp_path_factory.mktemp("hub")
    two_blobs(folder, city=lambda row: ("ulm", "bonn")[row % 3 == 0])
    experiment = {
        "name": "hub",
        "columns": {"x": {"role": "numeric"}, "city": {"role": "categorical"}, "y": {"role": "target", "task": "binary"}},
        "training": {"epochs": 1},
    }
    return fit(write_experiment(folder / "hub.yaml", experiment), output=folder / "runs").run


@pytest.mark.slow  # the export runs in a process of its own
def test_a_hub_folder_predicts_as_the_run(run, tmp_path):
    done = export(str(run.folder), ExportOptions("hub", folder=tmp_path / "hub"))
    assert done.signature.check.largest_difference <= 1e-5
    names = {path.name for path in done.folder.iterdir()}
    assert names == {"README.md", "config.json", "model.safetensors", "run.py", "example.json", "signature.json", "CONTRACT.md"}
    card = (done.folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: mmtrain\npipeline_tag: tabular-classification\ntags:\n- keras\n- tabular\n---\n\n# ")
    model = load_folder(done.folder / "model.safetensors")
    assert sorted(tensor.name for tensor in model.inputs) == ["city", "x"]
    config = json.loads((done.folder / CONFIG).read_text())
    config["keras"]["config"]["predictor"] = {"class_name": "Lambda", "module": "keras.layers", "config": {}, "registered_name": None}
    (done.folder / CONFIG).write_text(json.dumps(config))
    with pytest.raises(RunError, match="the model is not opened"):
        load_folder(done.folder / "model.safetensors")
