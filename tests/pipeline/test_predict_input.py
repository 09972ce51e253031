"""What `mmtrain predict` can read: a table, standard input, an image, a folder of images."""

import io
import sys

import pytest
from tiny import paint

from mmtrain.columns import Audio, Image, Images, Numeric, Volume
from mmtrain.errors import DataError
from mmtrain.pipeline.prediction.predict_input import predict_input

COLUMNS = {"scan": Image(column="scan"), "age": Numeric(column="years")}


def rows(place, columns=COLUMNS):
    with predict_input(place, columns) as given:
        return given.path.read_text().splitlines(), given


@pytest.mark.parametrize(("text", "name"), [('{"a": 1}\n', "stdin.jsonl"), ("\ufeff a,b\n1,2\n", "stdin.csv"), ("", "stdin.csv")])
def test_standard_input_is_kept_as_a_file_of_its_format(monkeypatch, tmp_path, text, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    with predict_input(tmp_path.__class__("-"), COLUMNS) as given:
        assert (given.path.name, given.path.read_text(), given.folder, given.named_by) == (name, text, tmp_path, "")
    assert not given.path.exists()


def test_standard_input_without_a_table_is_refused_with_the_reason(monkeypatch, tmp_path):
    for text in ("[]", '\n[\n  {"a": 1}]'):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        with pytest.raises(DataError, match=r"^standard input: the rows are a list in one JSON document\. Send one object a line"):
            rows(tmp_path.__class__("-"))
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(DataError, match=r"^standard input: it is closed\."):
        rows(tmp_path.__class__("-"))


def test_images_whose_names_no_cell_can_hold_are_refused(tmp_path):
    (tmp_path / " a.png").touch()
    # A name that is not UTF-8, as Python reads it from a folder.
    (tmp_path / "b\udcff.png").touch()
    (tmp_path / "c.png").touch()
    with pytest.raises(DataError) as error:
        rows(tmp_path)
    reasons = ["the name begins or ends with a blank, which a cell has not.", "the name is not UTF-8."]
    assert [problem.what for problem in error.value.problems] == reasons


def test_a_folder_of_images_is_a_table_of_their_names(tmp_path):
    for name in ("b.png", "a.JPG", "deep/c.png"):
        paint(tmp_path / name.replace("JPG", "png"), 3)
    (tmp_path / "a.png").rename(tmp_path / "a.JPG")
    (tmp_path / "notes.txt").touch()
    lines, given = rows(tmp_path)
    assert (lines, given.folder, given.named_by) == (["scan,years", "a.JPG,", "b.png,", "deep/c.png,"], tmp_path, "scan")
    lines, given = rows(tmp_path / "b.png")
    assert (lines, given.folder) == (["scan,years", "b.png,"], tmp_path)
    assert rows(tmp_path, {"scan": Image(column="scan", suffix=".png")})[0] == ["scan", "b.png", "deep/c.png"]


def test_a_folder_of_one_series_is_a_row_where_the_column_may_name_folders(tmp_path):
    pytest.importorskip("pydicom")
    from medical_files import axial, ct

    for patient in ("p1", "p2"):
        (tmp_path / patient).mkdir()
        for number in range(3):  # as scanners write them, without an ending
            (tmp_path / patient / f"IM{number}").write_bytes(ct([[patient == "p1", 2]], **axial(number)))
    (tmp_path / "photos").mkdir()
    for number in range(2):  # of two series
        (tmp_path / "photos" / f"{number}.dcm").write_bytes(ct([[1, 2]], SeriesInstanceUID=f"1.{number}"))
    volume = {"scan": Volume(column="scan")}
    assert rows(tmp_path, volume)[0] == ["scan", "p1", "p2", "photos/0.dcm", "photos/1.dcm"]
    lines, given = rows(tmp_path / "p1", volume)
    assert (lines, given.folder) == (["scan", "p1"], tmp_path)
    assert rows(tmp_path / "p1" / "IM0")[0] == ["scan,years", "IM0,"]
    assert rows(tmp_path / "p2", {"scan": Image(column="scan", slice="middle")})[0] == ["scan", "p2"]
    assert rows(tmp_path, COLUMNS)[0] == ["scan,years", "photos/0.dcm,", "photos/1.dcm,"]  # a file is a row, as in training


def test_a_folder_of_two_series_is_refused(tmp_path):
    """Each slice would be predicted as if it were a volume."""
    pytest.importorskip("pydicom")
    from medical_files import axial, ct

    for number in range(3):
        series = "1.2.9" if number == 2 else "1.2.3"  # a scout image next to the slices
        (tmp_path / f"IM{number}").write_bytes(ct([[1, 2]], **axial(number), SeriesInstanceUID=series))
    with pytest.raises(DataError) as refused:
        rows(tmp_path, {"scan": Volume(column="scan")})
    assert str(refused.value) == (
        f"{tmp_path}: the folder has slices of a DICOM series next to other DICOM files; a row is one series. "
        "Give each series a folder of its own."
    )


def test_a_file_of_another_kind_is_refused(tmp_path):
    for name, column, endings in (
        ("a.png", Audio(column="scan"), ".wav, .flac, .ogg, .oga or .mp3"),
        ("a.wav", Image(column="scan"), ".png, "),
    ):
        (tmp_path / name).touch()
        with pytest.raises(DataError) as error:
            rows(tmp_path / name, {"scan": column})
        assert f"its name ends in none of {endings}" in str(error.value) and "which the column scan reads" in str(error.value)


def test_names_that_a_suffix_would_complete_are_not_images(tmp_path):
    """`a.JPG` of a column with the suffix .jpg would be looked up as a.JPG.jpg."""
    for name in ("a.JPG", "b.jpg"):
        (tmp_path / name).touch()
    columns = {"scan": Image(column="scan", suffix=".jpg")}
    assert rows(tmp_path, columns)[0] == ["scan", "b.jpg"]
    with pytest.raises(DataError, match=r"a\.JPG: its name does not end in \.jpg, the `suffix` of the column scan\. Give the image"):
        rows(tmp_path / "a.JPG", columns)


def test_a_table_stays_where_it_is(tmp_path):
    (tmp_path / "t.csv").touch()
    assert rows(tmp_path / "t.csv")[1].path == tmp_path / "t.csv"


def test_images_alone_need_one_column_of_images_and_files(tmp_path):
    with pytest.raises(DataError, match="this one has scan and film"):
        rows(tmp_path, {"scan": Image(column="scan"), "film": Image(column="film")})
    with pytest.raises(DataError, match="this one has none"):
        rows(tmp_path, {"age": Numeric(column="age")})
    with pytest.raises(DataError, match=r"the folder holds no images\. Its files end in none of \.png"):
        rows(tmp_path)


def test_images_of_a_folder_are_those_of_the_first_of_several_columns(tmp_path):
    paint(tmp_path / "a.png", 3)
    assert rows(tmp_path, {"views": Images(column="views", columns=("front", "back"))})[0] == ["front,back", "a.png,"]


def test_an_image_may_be_at_an_address(monkeypatch, tmp_path):
    from remote_servers import Files, serve

    from mmtrain.system.remote import mirror

    monkeypatch.setenv("MMTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(mirror.time, "sleep", lambda _: None)
    with serve(Files, {"/scans/1.png": b"\x89PNG"}) as server:
        lines, given = rows(tmp_path.__class__(f"{server.address}/scans/1.png"))
        assert (lines, (given.folder / "1.png").read_bytes()) == (["scan,years", "1.png,"], b"\x89PNG")
        with pytest.raises(DataError, match=r"nothing is at this address"):
            rows(tmp_path.__class__(f"{server.address}/scans/2.png"))
