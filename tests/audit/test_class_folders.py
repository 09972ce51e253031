"""`mmtrain init FOLDER`: a table of a folder that has a folder of images per class."""

import shutil

import numpy as np
import pytest
from PIL import Image as Pillow

from mmtrain.cli.app import run
from mmtrain.commands.check import check
from mmtrain.commands.init import init
from mmtrain.errors import ConfigError, DataError


def images(folder, *places, each=6):
    """So many images in each place; all differ."""
    for number, place in enumerate(places):
        (folder / place).mkdir(parents=True, exist_ok=True)
        for row in range(each):
            pixels = np.full((4, 4, 3), 20 * number + row, np.uint8)
            pixels[0, 0] = 255
            Pillow.fromarray(pixels).save(folder / place / f"{row}.png")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))


def test_class_folders_become_a_table_and_an_experiment(tmp_path):
    images(tmp_path / "photos", "cat", "dog")
    (tmp_path / "photos" / "cat" / "Thumbs.db").touch()
    (tmp_path / "photos" / ".hidden").mkdir()
    done = init(tmp_path / "photos", file=tmp_path / "pets.yaml")
    assert done.table == tmp_path / "pets.csv"
    rows = [f"{name}/{row}.png,{name}" for name in ("cat", "dog") for row in range(6)]
    assert done.table.read_text() == "path,class\n" + "\n".join(rows) + "\n"
    text = done.file.read_text()
    assert "  table: pets.csv" in text
    assert "  images: photos" in text
    assert "path: {role: image, size: [4, 4], channels: 3, augment: {flip: horizontal, " in text
    assert "class: {role: target, task: binary, positive: dog}" in text
    assert check(done.file).rows == 12


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["train", "val", "test"], ["train", "validation", "test"]),
        (["Train", "Valid"], ["train", "validation"]),
        (["training", "testing"], ["train", "test"]),
        (["TRAIN_SET", "dev", "eval"], ["train", "validation", "test"]),
        (["tr", "va", "te"], ["train", "validation", "test"]),
        (["training_data", "Hold-out"], ["train", "test"]),
    ],
)
def test_folders_of_a_given_split_become_its_column(tmp_path, names, parts):
    images(tmp_path / "photos", *(f"{name}/{kind}" for name in names for kind in ("cat", "dog", "owl")))
    done = init(tmp_path / "photos", file=tmp_path / "photos.yaml")
    rows = {line for line in done.table.read_text().splitlines()[1:] if "/owl/0." in line}
    assert rows == {f"{name}/owl/0.png,owl,{part}" for name, part in zip(names, parts, strict=True)}
    assert "method: column" in done.file.read_text()
    assert check(done.file).rows == 18 * len(names)


SHAPE = "Give a folder that has a folder of images per class, as photos/cat and photos/dog, or these in photos/train, photos/val, ..."


@pytest.mark.parametrize(
    ("places", "problem"),
    [
        (["."], f"photos: 6 images are not in the folder of a class, 0.png for instance. {SHAPE}"),
        (["cat", "dog", "."], f"photos: 6 images are not in the folder of a class, 0.png for instance. {SHAPE}"),
        (["cat"], f"photos: the folder has images of one class only, 'cat'. {SHAPE}"),
        ([], f"photos: the folder has no folder with images in it. {SHAPE}"),
        (["cat/a", "dog"], "photos/cat: the folder of the class 'cat' has folders in it: 'a'. Move their images up, or move them out."),
        (["test/cat", "test/dog"], f"photos: the folder has test, but no train. {SHAPE}"),
        (
            ["train/cat", "train/dog", "dev/cat", "val/cat"],
            "photos: it is not clear which parts of a split the folders 'dev' and 'val' stand for. "
            "Rename them: train, validation and test are understood.",
        ),
        (["train/cat", "train/dog", "test"], f"photos/test: 6 images are not in the folder of a class, 0.png for instance. {SHAPE}"),
    ],
)
def test_what_is_unclear_is_refused_in_words(tmp_path, monkeypatch, places, problem):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    images(tmp_path / "photos", *places)
    with pytest.raises(DataError) as caught:
        init((tmp_path / "photos").relative_to(tmp_path))
    assert str(caught.value) == problem
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos"]


def test_names_that_a_table_cannot_hold_are_refused(tmp_path):
    images(tmp_path / "photos", "cat", " dog")
    with pytest.raises(DataError) as caught:
        init(tmp_path / "photos", file=tmp_path / "x.yaml")
    assert str(caught.value) == f"{tmp_path / 'photos' / ' dog'}: ' dog' cannot be the name of a class. Rename the folder."
    (tmp_path / "photos" / " dog").rename(tmp_path / "photos" / "dog")
    shutil.copy(tmp_path / "photos" / "dog" / "0.png", tmp_path / "photos" / "dog" / "\u202e.png")
    with pytest.raises(DataError) as caught:
        init(tmp_path / "photos", file=tmp_path / "x.yaml")
    assert str(caught.value) == f"{tmp_path / 'photos' / 'dog'}: '\\u202e.png' cannot be written into a table. Rename the file."


def test_a_class_of_files_that_are_not_read_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "photos", "cat")
    (tmp_path / "photos" / "dog").mkdir()
    (tmp_path / "photos" / "dog" / "1.tif").touch()
    with pytest.raises(DataError) as caught:
        init((tmp_path / "photos").relative_to(tmp_path))
    assert str(caught.value) == (
        "photos/dog: the folder has no images, but files that end in .tif. Convert them to JPEG or PNG; files that end in .png, .jpg, "
        ".jpeg, .jpe, .jfif, .bmp, .dib, .gif or .webp are read."
    )


def test_a_table_that_exists_is_not_replaced_without_force(tmp_path):
    images(tmp_path / "photos", "cat", "dog")
    (tmp_path / "photos.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"photos\.csv: the table for the folder exists already\."):
        init(tmp_path / "photos", file=tmp_path / "photos.yaml")
    assert (tmp_path / "photos.csv").read_text() == "mine"
    init(tmp_path / "photos", file=tmp_path / "photos.yaml", force=True)
    assert (tmp_path / "photos.csv").read_text().startswith("path,class\n")


def test_the_command_names_both_files(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "photos", "cat", "dog")
    assert run(["init", "photos/"]) == 0
    written = capsys.readouterr()
    assert written.out == "photos.yaml\n"
    assert "Table of the images: photos.csv\n" in written.err
    assert run(["init", "photos", "--target", "class"]) == 2
    assert run(["inspect-data", "photos"]) == 3
    assert "`mmtrain init` makes a table of a folder that has a folder per class." in capsys.readouterr().err.replace("\n", " ")
