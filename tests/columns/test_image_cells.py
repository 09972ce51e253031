"""Cells of image columns that are no path of an image that is read: several names, addresses, and files of other formats."""

import csv

import numpy as np
import pytest
import soundfile
from medical_files import axial, ct
from PIL import Image

from mmtrain.audit.profiling.table_profile import profile_table
from mmtrain.cli.app import run
from mmtrain.commands.check import check
from mmtrain.commands.init import init
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.locate import ImageFinder
from mmtrain.errors import DataError

N = 60
EACH = "Set `role: images`, with the `separator` of the cell, to read several per row, or give each a column of its own."
FETCH = "Set `data.images` to the beginning of the addresses, or `data.allow_outside: true` to fetch images from anywhere."
SAVE = "Save each image as a file and write its path, or write `data:image/png;base64,` before its bytes in base64."
PIXELS = "iVBORw0KGgo" + "A" * 300


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("cell", "what", "fix"),
    [
        ("a.png;b.png", "the cell lists 2 images: a.png and b.png.", EACH),
        ("a.png, b.png", "the cell lists 2 images: a.png and b.png.", EACH),
        ("a.png|b.png|c.jpg|d.jpg", "the cell lists 4 images: a.png, b.png, c.jpg and 1 more.", EACH),
        ("a.png b.png", "the cell lists 2 images: a.png and b.png.", EACH),
        ("a.png\nb.png", "the cell lists 2 images: a.png and b.png.", EACH),
        ('["a.png", "b.png"]', "the cell lists 2 images: a.png and b.png.", EACH),
        ("['a', 'b']", "the cell lists 2 images: a and b.", EACH),
        ("/x/a.png;/x/b.png", "the cell lists 2 images: /x/a.png and /x/b.png.", EACH),
        ("['a.png']", "the cell ['a.png'] is a list, not a path.", "Write the path alone: a.png."),
        ("https://a.org/a.png?w=1", "the cell https://a.org/a.png?w=1 is an address outside of the images folder.", FETCH),
        ("S3://bucket/a.png", "the cell S3://bucket/a.png is an address outside of the images folder.", FETCH),
        ("gs://bucket/a", "the cell gs://bucket/a is an address outside of the images folder.", FETCH),
        ("file:///x/a.png", "the cell file:///x/a.png is an address, not a path.", "Write the path alone: /x/a.png."),
        ("data:image/png,AA", "the cell data:image/png,AA holds an image itself, not its path.", SAVE),
        (
            "data:image/png;base64,A?",
            "the cell data:image/png;base64,A?… cannot be read as a data URI: only base64 data is allowed.",
            "Write `data:image/png;base64,`, and after it the bytes of the image file in base64.",
        ),
        (PIXELS, f"the cell {PIXELS[:79]}… holds an image itself, not its path.", SAVE),
    ],
)
def test_a_cell_that_is_no_path_is_named(tmp_path, cell, what, fix):
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    found = ImageFinder(ImageFolder(tmp_path)).find(cell)
    assert (found.what, found.fix) == (what, fix)


@pytest.mark.parametrize("cell", ["my photo.png", "a;b.png", "a,b.png", "a.png;b.png"])
def test_signs_in_the_name_of_a_file_are_allowed(tmp_path, cell):
    Image.new("L", (2, 2)).save(tmp_path / cell)
    assert ImageFinder(ImageFolder(tmp_path)).find(cell).path == str((tmp_path / cell).resolve())


def table(folder, cells):
    path = folder / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [(20 + row * 7 % 59 + 0.5, cell, "yes" if row % 3 else "no") for row, cell in enumerate(cells)]
        csv.writer(file).writerows([("age", "scan", "label"), *rows])
    return path


def guessed(found):
    (column,) = (column for column in found.columns if column.header == "scan")
    return column.guess.role, column.guess.used, column.guess.reason


def write_jpeg_2000(path):
    path.write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 200)


@pytest.mark.parametrize("ending", [".jp2", "", ".png"])
def test_init_names_files_of_another_format_whatever_their_ending(tmp_path, ending):
    folder = tmp_path / "scans"
    folder.mkdir()
    names = [f"IM{row:04}{ending}" for row in range(N)]
    for name in names:
        write_jpeg_2000(folder / name)
    role, used, reason = guessed(profile_table(table(tmp_path, names), images=folder))
    assert (role, used) == ("image", False)
    assert "a JPEG 2000 image" in reason
    assert "onvert it to JPEG, PNG, BMP, GIF or WEBP" in reason
    assert check(init(tmp_path / "t.csv", images=folder, file=tmp_path / "t.yaml").file).rows == N


@pytest.mark.parametrize("ending", [".dcm", ""])
def test_init_recognizes_scans(tmp_path, ending):
    pytest.importorskip("pydicom")
    names = [f"IM{row:04}{ending}" for row in range(N)]
    for row, name in enumerate(names):
        (tmp_path / name).write_bytes(ct(np.full((4, 5), row)))
    profile = profile_table(table(tmp_path, names), images=tmp_path)
    (column,) = (column for column in profile.columns if column.header == "scan")
    assert (column.guess.role, column.guess.used) == ("image", True)
    assert column.guess.options == {"size": [4, 4], "channels": 1}
    assert "all are 4 x 5 pixels" in column.guess.reason
    assert check(init(tmp_path / "t.csv", images=tmp_path, file=tmp_path / "t.yaml").file).rows == N


def test_init_recognizes_folders_of_scans(tmp_path):
    pytest.importorskip("pydicom")
    names = [f"patient{row}" for row in range(N)]
    for row, name in enumerate(names):
        (tmp_path / name).mkdir()
        for number in range(2):
            (tmp_path / name / f"{number}").write_bytes(ct(np.full((4, 5), row), **axial(number)))
    profile = profile_table(table(tmp_path, names), images=tmp_path)
    (column,) = (column for column in profile.columns if column.header == "scan")
    assert (column.guess.role, column.guess.used, column.guess.options) == ("volume", True, {"size": [32, 4, 4]})
    assert check(init(tmp_path / "t.csv", images=tmp_path, file=tmp_path / "t.yaml").file).rows == N


def test_files_without_an_ending_that_can_be_read_are_images(tmp_path):
    names = [f"im{row}" for row in range(N)]
    for name in names:
        Image.new("L", (4, 4)).save(tmp_path / name, format="PNG")
    found = guessed(profile_table(table(tmp_path, names), images=tmp_path))
    assert found == ("image", True, "cells are names of files in the images folder, as 'im0'; all are 4 x 4 pixels")
    assert check(init(tmp_path / "t.csv", images=tmp_path, file=tmp_path / "t.yaml").file).rows == N


def test_some_files_of_another_format_are_named_and_masked(tmp_path):
    names = [f"{row}.png" if row % 4 else f"{row}.jp2" for row in range(N)]
    for row, name in enumerate(names):
        Image.new("L", (4, 4)).save(tmp_path / name, format="PNG" if row % 4 else "JPEG2000")
    role, used, reason = guessed(profile_table(table(tmp_path, names)))
    assert (role, used) == ("image", True)
    assert reason.endswith(
        "; 15 of 60 files do not exist or cannot be read, as '0.jp2': The file is a JPEG 2000 image, a format that is not read. "
        "Convert it to JPEG, PNG, BMP, GIF or WEBP."
    )
    assert check(init(tmp_path / "t.csv", file=tmp_path / "t.yaml").file).rows == N


def test_damaged_recording_is_named_as_a_recording(tmp_path):
    names = [f"{row}.wav" for row in range(N)]
    for row, name in enumerate(names):
        soundfile.write(tmp_path / name, np.full(8000, row / 100), 8000)
    (tmp_path / "7.wav").write_bytes(b"noise")
    role, used, reason = guessed(profile_table(table(tmp_path, names)))
    assert (role, used) == ("audio", True)
    assert reason.endswith(
        "; 1 of 60 files does not exist or cannot be read, as '7.wav': The file does not begin like a recording, as its name says; it is "
        "damaged or of another format. Open it in an audio program and save it again, as WAV or FLAC for instance; 1 to 1 s"
    )


FILE = (
    "data: {table: t.csv}\ncolumns:\n  age: {role: numeric}\n  scan: {role: image, size: [4, 4]}\n  label: {role: target, task: binary}\n"
)


@pytest.mark.parametrize(
    ("ending", "problem"),
    [
        (".jp2", "0.jp2: the file is a JPEG 2000 image, a format that is not read. Convert it to JPEG, PNG, BMP, GIF or WEBP."),
        (".png;1.png", f"the cell lists 2 images: 0.png and 1.png. {EACH}"),
    ],
)
def test_check_says_the_same(tmp_path, ending, problem):
    for row in range(N):
        write_jpeg_2000(tmp_path / f"{row}.jp2")
        Image.new("L", (4, 4)).save(tmp_path / f"{row}.png")
    table(tmp_path, [f"{row}{ending}" for row in range(N)])
    (tmp_path / "t.yaml").write_text(FILE, encoding="utf-8")
    with pytest.raises(DataError) as refused:
        check(tmp_path / "t.yaml")
    assert str(refused.value.problems[0]) == f"t.csv:2: scan: {problem}"
    assert "Did you mean" not in str(refused.value)


def test_init_names_what_cells_are_where_no_input_is_left(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text(
        "scan,label\n" + "".join(f"https://a.org/{row}.jpg,{'yes' if row % 3 else 'no'}\n" for row in range(N)), encoding="utf-8"
    )
    assert run(["init", str(path), "-o", str(tmp_path / "t.yaml")]) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert "cells are addresses, as 'https://a.org/0.jpg': set `data.images` to their beginning, or `data.allow_outside: true`" in said
