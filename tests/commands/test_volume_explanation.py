"""A run on volumes: its report shows the middle slice of each, and `explain` draws its heat maps over that slice."""

import io
import json
from base64 import b64decode

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from medical_files import nifti
from tiny import write_experiment, write_table

from mmtrain.cli.app import run as command_line
from mmtrain.explanation import heatmaps

ROWS = 40
TREE = {
    "columns": {
        "ct": {"role": "volume", "size": [3, 12, 16], "window": [0, 255]},
        "y": {"role": "target", "task": "binary", "positive": "ill"},
        "row": {"role": "id"},
    },
    # Kernels of one voxel: what is in another slice cannot be seen in the middle one.
    "branches": {"ct": {"columns": ["ct"], "architecture": "cnn3d", "filters": [8], "kernel": 1, "normalization": "none"}},
    "split": {"method": "random", "validation": 0.2, "test": 0.2},
    "training": {"epochs": 30, "batch_size": 8, "learning_rate": 0.05, "deterministic": True, "jit": "off"},
    "evaluation": {"draws": 100, "permutations": 0, "baselines": ["majority"]},
}


def volume(row):
    """Dim slices, each of its own level. The ill have a bright spot at the top left of the middle slice, and a weaker one elsewhere."""
    voxels = np.random.default_rng(row).integers(0, 10, (3, 12, 16)) + np.array([10, 30, 20])[:, None, None]
    if row % 2:
        voxels[1, :4, :4] = 240
        voxels[0, 8:, 12:] = 200
    return voxels.astype(np.uint8)


def call(*words):
    assert command_line([str(word) for word in words]) == 0, words


@pytest.fixture(scope="module")
def run(tmp_path_factory, tensorflow):
    """A run that is trained and evaluated; its files have their axes as NIfTI has them, to the right, to the front and to the head."""
    pytest.importorskip("nibabel")
    folder = tmp_path_factory.mktemp("volumes")
    for row in range(ROWS):
        (folder / f"{row}.nii").write_bytes(nifti(volume(row)[:, ::-1, ::-1].transpose(2, 1, 0)))
    write_table(folder / "table.csv", [{"row": f"r{row}", "ct": f"{row}.nii", "y": ("well", "ill")[row % 2]} for row in range(ROWS)])
    call("fit", write_experiment(folder / "volumes.yaml", TREE), "--output", folder / "runs")
    made = folder / "runs" / "volumes" / "1"
    call("evaluate", made)
    return made


@pytest.mark.slow
def test_the_report_shows_the_middle_slice_of_a_volume(run):
    rows = json.loads((run / "worst_predictions_test.json").read_text())["y"]
    report = (run / "report.html").read_text()
    assert len(rows) == ROWS // 5
    for row in rows:
        jpeg = row["images"]["ct"]
        shown = np.asarray(PIL.Image.open(io.BytesIO(b64decode(jpeg))).convert("L")).astype(int)
        assert shown.shape == (12, 16)
        assert np.abs(shown - volume(row["row"])[1]).mean() < 5  # other slices are off by 10 at least
        assert f'src="data:image/jpeg;base64,{jpeg}"' in report


@pytest.mark.slow
def test_heat_maps_of_a_volume_are_those_of_its_middle_slice(run, monkeypatch):
    drawn, image_tiles = [], heatmaps.image_tiles
    monkeypatch.setattr(heatmaps, "image_tiles", lambda *given: drawn.append(image_tiles(*given)) or drawn[-1])
    call("explain", run, "--rows", "r7", "-o", run.parent / "explained")
    image, cam, gradients = drawn[0]
    assert [tile.name for tile in drawn[0]] == [
        "Middle slice as the network reads it",
        "Grad-CAM: where the evidence is",
        "Integrated gradients",
    ]
    assert np.array_equal(np.rint(image.pixels[..., 0] * 255), volume(7)[1])
    spot = np.zeros((12, 16), dtype=bool)
    spot[:4, :4] = True
    for heat in (cam.heat, gradients.heat):
        assert heat.shape == spot.shape
        assert heat[spot].min() > 3 * np.abs(heat[~spot]).max()
    cells = pd.read_csv(run.parent / "explained" / "explanations.csv").set_index("element")["attribution"]
    assert cells["middle slices"] > cells["lower slices"] > abs(cells["upper slices"])
    assert cells["middle slices"] == pytest.approx(gradients.heat.sum(), abs=1e-3)
    assert (run.parent / "explained" / "01_r7.png").is_file()
