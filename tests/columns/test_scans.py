"""DICOM slices and volumes from the table to the report: one training, its predictions, explanations, exports, and what does not leave."""

import csv
import zipfile
from io import StringIO

import numpy as np
import pandas as pd
import pytest
import yaml
from medical_files import NUMBER, PLANTED, axial, ct, nifti
from pydantic import ValidationError

from mmtrain.cli.app import run
from mmtrain.columns import Volume

pytest.importorskip("pydicom")
pytest.importorskip("nibabel")

ROWS = 24


def scan_of(row):
    """Hounsfield units (height, width, slices) of a row; a lesion in every other one."""
    units = np.random.default_rng(row).normal(40, 20, (10, 9, 6)).round()
    if row % 2:
        units[3:8, 3:8, 1:5] += 150
    return units


def write_table(folder):
    """Slices as DICOM, volumes as NIfTI or, in every third row, a folder of DICOM files; one cell of each is empty."""
    rows = []
    for row in range(ROWS):
        units = scan_of(row)
        (folder / f"{row}.dcm").write_bytes(ct(units[:, :, 3]))
        volume = f"{row}.nii"
        if row % 3:
            (folder / volume).write_bytes(nifti(units.astype(np.int16)))
        else:
            volume = f"patient{row}"
            (folder / volume).mkdir()
            for number in range(6):
                (folder / volume / f"{9 - number}").write_bytes(ct(units[:, :, number], **axial(number)))
        rows.append([row, "" if row == 4 else f"{row}.dcm", "" if row == 5 else volume, "ill" if row % 2 else "well"])
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "slice", "volume", "state"], *rows])


EXPERIMENT = {
    "data": {"table": "table.csv"},
    "columns": {
        "id": {"role": "id"},
        "slice": {"role": "image", "size": [8, 8], "channels": 1, "window": [-160, 240], "missing": "mask"},
        "volume": {"role": "volume", "size": [4, 8, 8], "window": [-160, 240], "missing": "mask"},
        "state": {"role": "target", "task": "binary", "positive": "ill"},
    },
    "branches": {
        "slice": {"columns": ["slice"], "architecture": "cnn", "filters": [4, 8]},
        "volume": {"columns": ["volume"], "architecture": "cnn3d", "filters": [4, 8]},
    },
    "training": {"epochs": 1, "batch_size": 8},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tensorflow):
    """The folder of a finished training, of its table and of its cache."""
    folder = tmp_path_factory.mktemp("scans")
    write_table(folder)
    (folder / "scans.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("MMTRAIN_CACHE", str(folder / "cache"))
        assert run(["fit", "scans.yaml"]) == 0
        yield folder


@pytest.mark.slow
def test_a_saved_model_predicts_from_pixels_what_predict_says_of_files(trained, capsys):
    import keras

    from mmtrain.config.load import load

    capsys.readouterr()
    assert run(["predict", "runs/scans/1", "table.csv", "--proba"]) == 0
    predicted = pd.read_csv(StringIO(capsys.readouterr().out))
    assert (predicted["status"] == "ok").sum() == ROWS - 2
    assert "slice: masked, the cell is empty" in predicted["status"][4]
    table = pd.read_csv("table.csv", dtype="str")
    columns = load(trained / "scans.yaml", []).columns
    fitted = {key: columns[key].fit([table[key]]) for key in ("slice", "volume")}
    raw = {key: fitted[key].raw(table[key].map(lambda name: str(trained / name), na_action="ignore")) for key in fitted}
    assert raw["volume"].shape == (ROWS, 4, 8, 8, 1)
    model = keras.models.load_model("runs/scans/1/model.keras")
    answers = model.predict(raw, verbose=0)["state"]
    assert np.abs(answers[:, -1] - predicted["probability_ill"]).max() < 1e-6


def test_nothing_that_names_a_patient_leaves_the_files(trained, capfd):
    assert run(["pack", "runs/scans/1", "packed.zip", "--with-rows"]) == 0
    assert run(["cache", "list"]) == 0
    said = "".join(capfd.readouterr())
    for word in (PLANTED.split("^")[0], NUMBER):
        assert word not in said
        places = [path for folder in ("runs", "cache") for path in (trained / folder).rglob("*")]
        assert len(places) > 20
        assert not [path for path in places if word in str(path) or (path.is_file() and word.encode() in path.read_bytes())]
        with zipfile.ZipFile("packed.zip") as packed:
            assert not [name for name in packed.namelist() if word.encode() in packed.read(name)]


def test_store_of_another_window_is_another(trained):
    from mmtrain.data.cache import entries

    before = len(list(entries(trained / "cache")))
    assert run(["check", "scans.yaml", "--set", "columns.slice.window=percentile"]) == 0
    assert len(list(entries(trained / "cache"))) == before + 1


@pytest.mark.slow
def test_scans_are_explained_exported_and_inspected(trained, capsys):
    for arguments in (
        ["evaluate", "runs/scans/1"],
        ["explain", "runs/scans/1", "--rows", "1,3"],
        ["export", "runs/scans/1", "--format", "saved_model"],
        ["export", "runs/scans/1", "--format", "onnx"],
        ["inspect-data", "scans.yaml"],
    ):
        assert run(arguments) == 0, capsys.readouterr().err
    assert "divided by its `top`" in (trained / "runs/scans/1/exports/saved_model/CONTRACT.md").read_text()


@pytest.mark.parametrize("steps", [(2.0,), (2.0, 2.0), (1.0, 2.0, 2.0, 1.0)])
def test_a_spacing_has_three_distances(steps):
    with pytest.raises(ValidationError, match=f"expected 3 distances in mm, of slices, rows and columns; found {len(steps)}"):
        Volume(spacing=steps)
