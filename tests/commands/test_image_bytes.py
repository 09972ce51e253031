"""Bytes of images in a column of a Parquet file: trained on and predicted as the same images in files are, to the bit."""

import io

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from tiny import write_experiment

from mmtrain.cli.app import run as command_line

ROWS, EMPTY = 32, (3, 20)
TREE = {
    "columns": {
        "scan": {"role": "image", "size": [8, 8], "channels": 3, "missing": "mask"},
        "y": {"role": "target", "task": "binary"},
    },
    "branches": {"scan": {"columns": ["scan"], "architecture": "cnn", "filters": [4]}},
    "split": {"validation": 0.25, "test": 0.25},
    "training": {"epochs": 1, "batch_size": 8, "deterministic": True, "jit": "off"},
}


def image_file(row):
    """PNG, lying JPEG and grey images in turn, of sizes that have to be resized."""
    random = np.random.default_rng(row)
    pixels = random.integers(0, 120, (10, 12, 3)).astype(np.uint8) + np.uint8(120 * (row % 2))
    image, file = PIL.Image.fromarray(pixels), io.BytesIO()
    if row % 3 == 0:
        image.save(file, "PNG")
    elif row % 3 == 1:
        image.convert("L").save(file, "PNG")
    else:
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def written(folder, scans):
    """A Parquet table with these cells of images, and its experiment."""
    folder.mkdir()
    frame = pd.DataFrame({"scan": pd.Series(scans, dtype=object), "y": [("no", "yes")[row % 2] for row in range(ROWS)]})
    frame.to_parquet(folder / "table.parquet")
    return write_experiment(folder / "bytes.yaml", TREE | {"data": {"table": "table.parquet"}})


def call(*words):
    assert command_line([str(word) for word in words]) == 0, words


def predicted(run, table):
    output = table.with_name(f"by_{run.parents[2].name}.csv")
    call("predict", run, table, "-o", output, "--proba")
    return output.read_bytes()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The folders of the same images in files, in bytes, and in structs as Hugging Face writes them; two rows have none."""
    folder = tmp_path_factory.mktemp("bytes")
    content = [None if row in EMPTY else image_file(row) for row in range(ROWS)]
    written(folder / "files", [None if one is None else f"{row}.bin" for row, one in enumerate(content)])
    for row, one in enumerate(content):
        if one is not None:
            (folder / "files" / f"{row}.bin").write_bytes(one)
    written(folder / "binary", content)
    written(folder / "structs", [None if one is None else {"bytes": one, "path": "lost.png"} for one in content])
    return folder


@pytest.mark.slow  # trains three times
@pytest.mark.usefixtures("tensorflow")
def test_bytes_in_parquet_are_trained_on_and_predicted_as_their_files(tables):
    runs = {}
    for name in ("files", "binary", "structs"):
        call("fit", tables / name / "bytes.yaml", "--output", tables / name / "runs")
        runs[name] = tables / name / "runs" / "bytes" / "1"
    expected = predicted(runs["files"], tables / "files" / "table.parquet")
    frame = pd.read_csv(io.BytesIO(expected))
    assert len(frame) == ROWS
    assert frame.filter(like="probability").iloc[:, 0].nunique() == ROWS - 1  # the two without an image are alike
    for name in ("binary", "structs"):
        # A run on files takes bytes, and one on bytes takes files.
        assert predicted(runs["files"], tables / name / "table.parquet") == expected
        assert predicted(runs[name], tables / "files" / "table.parquet") == expected
        assert predicted(runs[name], tables / name / "table.parquet") == expected
