"""Image cells in another Unicode form than the files' names, and cells that lack the ending of the names."""

import unicodedata
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image as Pillow

from mmtrain import config
from mmtrain.audit.images.image_column import ImageColumn, locate_column
from mmtrain.audit.profiling.table_profile import profile_table
from mmtrain.columns import Image
from mmtrain.commands.check import check
from mmtrain.commands.init import init
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.decode_cells import decode_cells
from mmtrain.data.images.header_profile import profile_images
from mmtrain.data.images.image_file import ImageFile, Refusal
from mmtrain.data.images.locate import ImageFinder, locate
from mmtrain.data.tables.table_file import TableFile
from mmtrain.errors import ConfigError, DataError
from mmtrain.system.folder_names import Listings


def nfc(text):
    return unicodedata.normalize("NFC", text)


def nfd(text):
    return unicodedata.normalize("NFD", text)


def image(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((4, 4, 3), level, np.uint8)
    pixels[0, 0] = 255 - level
    Pillow.fromarray(pixels).save(path)


def experiment(folder, column, rows, **data):
    """A table with the image column `x` and an answer, and its experiment file."""
    (folder / "t.csv").write_text("x,y\n" + "".join(f"{cell},{'ab'[row % 2]}\n" for row, cell in enumerate(rows)))
    columns = {"x": {"role": "image", "size": [4, 4], **column}, "y": {"role": "target", "task": "binary", "positive": "b"}}
    tree = {
        "data": {"table": "t.csv", "cache": {"folder": "cache"}, **data},
        "columns": columns,
        "split": {"method": "random"},
        "training": {"epochs": 1},
    }
    (folder / "e.yaml").write_text(yaml.safe_dump(tree))
    return folder / "e.yaml"


@pytest.mark.parametrize("in_table", [nfc, nfd])
@pytest.mark.parametrize("on_disk", [nfc, nfd])
@pytest.mark.parametrize("name", ["Zoë_é.png", "Müller/Ärger.png", "plain/Ärger.png", "Åse/plain.png", "한국.png"])
def test_a_file_is_found_under_either_unicode_form_of_its_name(tmp_path, name, on_disk, in_table):
    image(tmp_path / on_disk(name))
    found = ImageFinder(ImageFolder(tmp_path)).find(in_table(name))
    assert isinstance(found, ImageFile)
    assert found.path == str(tmp_path / on_disk(name))


def test_of_two_files_whose_names_look_the_same_each_cell_names_its_own(tmp_path):
    for form, level in ((nfc, 10), (nfd, 20)):
        image(tmp_path / form("é.png"), level)
    finder = ImageFinder(ImageFolder(tmp_path))
    assert [finder.find(form("é.png")).path for form in (nfc, nfd)] == [str(tmp_path / form("é.png")) for form in (nfc, nfd)]


def test_a_link_out_of_the_folder_is_refused_under_either_form(tmp_path):
    image(tmp_path / "secret.png")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / nfd("é.png")).symlink_to(tmp_path / "secret.png")
    found = ImageFinder(ImageFolder(tmp_path / "images")).find(nfc("é.png"))
    assert isinstance(found, Refusal)
    assert found.outside


def test_folders_are_listed_once_for_all_cells(tmp_path, monkeypatch):
    cells = [nfc(f"é{number}.png") for number in range(50)]
    for cell in cells:
        image(tmp_path / nfd(cell))
    listed = []
    real = Listings.names
    monkeypatch.setattr(Listings, "names", lambda self, folder: listed.append(folder) or real(self, folder))
    assert all(isinstance(one, ImageFile) for one in locate(pd.Series(cells, dtype="str"), ImageFolder(tmp_path)).results)
    assert listed == [str(tmp_path)]


def test_table_and_images_of_an_experiment_are_found_under_another_form(tmp_path):
    for number in range(8):
        image(tmp_path / nfd("Bilder_ä") / nfd(f"é{number}.png"), number)
    path = experiment(tmp_path, {}, [nfc(f"é{number}.png") for number in range(8)], images=nfc("Bilder_ä"))
    (tmp_path / "t.csv").rename(tmp_path / nfd("tä.csv"))
    path.write_text(path.read_text().replace("t.csv", nfc("tä.csv")))
    assert config.load(path).data.table == tmp_path / nfd("tä.csv")
    assert check(path).rows == 8


@pytest.mark.parametrize(
    ("cell", "suffix", "file"),
    [
        ("7", ".jpg", "7.jpg"),
        ("a/7", ".JPG", "a/7.JPG"),
        ("7.jpg", ".jpg", "7.jpg"),
        ("7.v2", ".png", "7.v2.png"),
        ("pet", "-1.jpg", "pet-1.jpg"),
        ("é", ".jpg", nfd("é") + ".jpg"),
    ],
)
def test_a_suffix_completes_the_name_of_a_file(tmp_path, cell, suffix, file):
    image(tmp_path / file)
    found = ImageFinder(ImageFolder(tmp_path), suffix).find(cell)
    assert isinstance(found, ImageFile)
    assert found.path == str(tmp_path / file)


@pytest.mark.parametrize(
    ("suffix", "problem"),
    [
        ("jpg", "expected the end of file names with its dot; found 'jpg'. Write `.jpg`."),
        ("/a.jpg", "'/a.jpg' is not the end of a file name. Write what every cell lacks, `.jpg` for instance."),
        (".jpg ", "'.jpg ' is not the end of a file name. Write what every cell lacks, `.jpg` for instance."),
    ],
)
def test_a_suffix_is_the_end_of_a_name(tmp_path, suffix, problem):
    path = experiment(tmp_path, {"suffix": suffix}, ["1"])
    with pytest.raises(ConfigError) as caught:
        config.load(path)
    (found,) = caught.value.problems
    assert f"{found.what} {found.fix}".strip() == problem


def test_everything_that_looks_at_images_completes_the_names(tmp_path):
    for number in range(8):
        image(tmp_path / f"{number}.png", 10 * number)
    cells = pd.Series([str(number) for number in range(8)], dtype="str")
    folder, column = ImageFolder(tmp_path), Image(column="x", size=(4, 4), suffix=".png")
    pixels, present, remarks, files = decode_cells(cells, column.image_cells, ImageFinder(folder, column.suffix), policy=column.missing)
    assert (pixels[:, 2, 2, 0].tolist(), present.sum(), remarks, len(files)) == ([0, 10, 20, 30, 40, 50, 60, 70], 8, [], 8)
    assert profile_images(cells, folder, ".png").found == 8
    assert len(locate_column(ImageColumn("x", cells, np.arange(8), guessed_suffix=".png"), folder).located.files) == 8
    assert check(experiment(tmp_path, {"suffix": ".png"}, cells)).rows == 8


SUFFIX = "Set `suffix: .png`: with it, cells of this column name files."


@pytest.mark.parametrize(
    ("rows", "suffix", "problems"),
    [
        (
            ["0", "1", "2"],
            {},
            [f"t.csv:{row + 2}: x: the file {row} does not exist. {SUFFIX}" for row in range(3)],
        ),
        (
            ["0", "1", "2"],
            {"suffix": ".jpg"},
            [f"t.csv:{row + 2}: x: the file {row}.jpg does not exist. {SUFFIX}" for row in range(3)],
        ),
        (
            ["0.png", "1.png", "2.png", "3"],
            {},
            [
                "t.csv:5: x: the file 3 does not exist. Did you mean '3.png'? "
                "Or leave out rows without a readable file: `columns.x.missing: drop`."
            ],
        ),
    ],
)
def test_check_says_which_suffix_is_missing(tmp_path, rows, suffix, problems):
    for number in range(10):
        image(tmp_path / f"{number}.png", number)
    with pytest.raises(DataError) as caught:
        check(experiment(tmp_path, suffix, rows))
    assert [str(problem) for problem in caught.value.problems if ": x: " in str(problem)] == problems


def test_a_suffix_that_is_missing_does_not_put_the_folder_in_doubt(tmp_path):
    for number in range(7):
        image(tmp_path / f"{number}.png", number)
    with pytest.raises(DataError) as caught:
        check(experiment(tmp_path, {}, range(7)))
    assert str(caught.value.problems[5]) == "t.csv: x: 2 more cells have no image that can be read."


LAYOUT = "all are 4 x 4 pixels"
NAMES = "cells are names of image files without their ending, as 'case_0'"


@pytest.mark.parametrize(
    ("files", "used", "options", "reason"),
    [
        ([".jpg"] * 20, True, {"size": [4, 4], "channels": 3, "suffix": ".jpg"}, f"{NAMES}; {LAYOUT}"),
        ([".PNG"] * 20, True, {"size": [4, 4], "channels": 3, "suffix": ".PNG"}, f"{NAMES}; {LAYOUT}"),
        (
            [".jpg"] * 10 + [".png"] * 10,
            False,
            {},
            f"{NAMES}, but the endings differ: .jpg (10) and .png (10); write them into the cells",
        ),
    ],
)
def test_init_finds_names_without_their_ending(tmp_path, files, used, options, reason):
    for number, ending in enumerate(files):
        image(tmp_path / "scans" / f"case_{number}{ending}", number)
    rows = "".join(f"case_{number},{20 + number % 7}.5,{'ab'[number % 2]}\n" for number in range(20))
    (tmp_path / "t.csv").write_text("case,age,label\n" + rows)
    for images in (None, tmp_path / "scans"):
        found = profile_table(tmp_path / "t.csv", images=images).columns[0].guess
        assert (found.role, found.used, found.options, found.reason) == ("image", used, options, reason)


def test_init_does_not_choose_between_two_files_of_one_name(tmp_path):
    for number in range(20):
        image(tmp_path / f"{number}.jpg", number)
        image(tmp_path / f"{number}.png", number)
    (tmp_path / "t.csv").write_text("case,age,label\n" + "".join(f"{n},{20 + n % 7}.5,{'ab'[n % 2]}\n" for n in range(20)))
    found = profile_table(tmp_path / "t.csv").columns[0].guess
    assert (found.used, found.options["suffix"]) == (False, ".jpg")
    assert found.reason.endswith("as '0'; they are there as .jpg and .png, choose one")


def test_the_file_that_init_writes_for_names_without_ending_passes_check(tmp_path, monkeypatch):
    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))
    for number in range(30):
        image(tmp_path / "scans" / f"{number:03d}.jpg", number)
    (tmp_path / "t.csv").write_text("scan,age,label\n" + "".join(f"{n:03d},{20 + n % 7}.5,{'ab'[n % 2]}\n" for n in range(30)))
    init(tmp_path / "t.csv", file=tmp_path / "t.yaml")
    assert check(tmp_path / "t.yaml").rows == 30


def test_a_column_is_no_name_where_only_some_cells_are_files(tmp_path):
    for number in range(3):
        image(tmp_path / f"{number}.png", number)
    (tmp_path / "t.csv").write_text("case,age,label\n" + "".join(f"{n},{20 + n % 7}.5,{'ab'[n % 2]}\n" for n in range(20)))
    assert profile_table(tmp_path / "t.csv").columns[0].guess.role == "id"


def test_the_table_is_read_as_often_however_many_columns_may_name_images(tmp_path, monkeypatch):
    reads = []
    pieces = TableFile.pieces
    monkeypatch.setattr(TableFile, "pieces", lambda self, headers, **size: reads.append(headers) or pieces(self, headers, **size))

    def reads_of(columns):
        reads.clear()
        header = ",".join(f"code_{column}" for column in range(columns))
        rows = "".join(",".join(f"k{row * (column + 1) % 7}" for column in range(columns)) + "\n" for row in range(40))
        (tmp_path / "t.csv").write_text(f"{header}\n{rows}")
        profile_table(tmp_path / "t.csv")
        return len(reads)

    assert reads_of(40) == reads_of(4)


def test_endings_are_found_in_one_listing(tmp_path):
    for name in ("b.png", "b.jpg", "b.txt", "c.v2.png"):
        (tmp_path / name).touch()
    listings = Listings()
    assert [listings.endings(str(tmp_path), name) for name in ("b", "c.v2", "c", "nothing")] == [[".jpg", ".png"], [".png"], [], []]
    assert all(first < second for first, second in pairwise(listings.names(str(tmp_path))))
