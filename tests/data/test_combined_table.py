"""A table of several files: one order, the cells of one file, and problems that name the file."""

import io
import os

import pandas as pd
import pytest
from PIL import Image

from mmtrain import config
from mmtrain.config.image_folder import ImageFolder
from mmtrain.data.images.locate import locate
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.table_file import content_hash, table_exists
from mmtrain.errors import DataError

FRAME = pd.DataFrame(
    {"x": [1.0, 2.5, None, 4.0, 5.0, 6.0], "word": ["a", "001", "", "d", "é", "f"], "site": ["b", "b", "a", "a", "a", "c"]}
)


def read(path, **options):
    file = open_table(path, **options)
    pieces = list(file.pieces(file.headers, size=4))
    assert all(1 <= len(piece["x"]) <= 4 for piece in pieces)
    return file, pd.concat([pd.DataFrame(piece) for piece in pieces], ignore_index=True)


def write_partitions(folder, write=lambda rows, path: rows.to_parquet(path, index=False), ending="parquet"):
    for site, rows in FRAME.groupby("site"):
        part = folder / "table" / f"site={site}" / f"part-0.{ending}"
        part.parent.mkdir(parents=True)
        write(rows.drop(columns="site"), part)
    return folder / "table"


@pytest.mark.parametrize(
    ("ending", "write"),
    [
        ("parquet", lambda rows, path: rows.to_parquet(path, index=False)),
        ("csv", lambda rows, path: rows.to_csv(path, index=False)),
        ("jsonl", lambda rows, path: rows.to_json(path, orient="records", lines=True)),
    ],
)
def test_a_partitioned_folder_is_read_as_one_file_of_the_same_rows(tmp_path, ending, write):
    folder = write_partitions(tmp_path, write, ending)
    (folder / "_SUCCESS").write_text("")
    (folder / ".part.crc.csv").write_text("x\n")
    (folder / "readme.md").write_text("Rows of three sites.")
    rows = FRAME.sort_values("site", kind="stable")
    whole = tmp_path / f"whole.{ending}"
    write(rows, whole)
    file, cells = read(folder)
    assert file.headers == ("x", "word", "site")
    pd.testing.assert_frame_equal(cells, read(whole)[1])
    assert file.where(4).startswith(f"site=b/part-0.{ending}")
    assert [file.number(row) for row in (0, 5)] == [0, 5]


def test_a_pattern_names_files_in_the_order_of_their_paths(tmp_path):
    for number in (10, 9, 2):
        FRAME.assign(x=number).to_parquet(tmp_path / f"part-{number}.parquet", index=False)
    FRAME.to_parquet(tmp_path / "other.parquet", index=False)
    _, cells = read(tmp_path / "part-*.parquet")
    assert list(cells["x"].unique()) == ["10", "2", "9"]
    assert table_exists(tmp_path / "part-*.parquet")
    assert not table_exists(tmp_path / "none-*.parquet")
    with pytest.raises(DataError, match="does not exist"):
        open_table(tmp_path / "none-*.parquet")


def test_only_partition_columns_have_a_cell_for_every_row(tmp_path):
    file = open_table(write_partitions(tmp_path))
    (piece,) = file.pieces(["site"], size=100)
    assert list(piece["site"]) == ["a", "a", "a", "b", "b", "c"]


def test_the_null_partition_is_a_missing_cell(tmp_path):
    part = tmp_path / "table" / "site=__HIVE_DEFAULT_PARTITION__" / "part.csv"
    part.parent.mkdir(parents=True)
    part.write_text("x\n1\n")
    (piece,) = open_table(tmp_path / "table").pieces(["site"], size=100)
    assert piece["site"].isna().all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda rows: rows.rename(columns={"word": "words"}),
            "part-1.parquet: the file has no column 'word', unlike part-0.parquet. Did you mean 'words'?",
        ),
        (
            lambda rows: rows.assign(more=1),
            "part-1.parquet: the file has the column 'more', unlike part-0.parquet. "
            "All files of a table have the same columns, in any order.",
        ),
        (
            lambda rows: rows.assign(x="one"),
            "part-1.parquet: x: the column holds texts, and numbers in part-0.parquet. Write the files again with one type for the column.",
        ),
    ],
)
def test_files_with_other_columns_or_types_are_refused(tmp_path, change, expected):
    FRAME.to_parquet(tmp_path / "part-0.parquet", index=False)
    change(FRAME).to_parquet(tmp_path / "part-1.parquet", index=False)
    with pytest.raises(DataError) as caught:
        open_table(tmp_path)
    assert str(caught.value) == expected


def test_columns_may_have_another_order_and_a_file_of_nulls_any_type(tmp_path):
    FRAME.to_parquet(tmp_path / "part-0.parquet", index=False)
    FRAME.assign(x=None)[["site", "word", "x"]].to_parquet(tmp_path / "part-1.parquet", index=False)
    _, cells = read(tmp_path)
    assert list(cells["word"].iloc[6:]) == list(cells["word"].iloc[:6])
    assert cells["x"].iloc[6:].isna().all()


def test_a_damaged_file_and_an_uneven_row_are_named_by_their_place_in_the_folder(tmp_path):
    for place, text in {"a/part.csv": "x,y\n1,2\n", "b/part.csv": "x,y\n1,2\n3\n"}.items():
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_text(text)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith("b/part.csv:3: the row has 1 cell, the header has 2.")


def test_files_of_several_formats_are_refused(tmp_path):
    FRAME.to_parquet(tmp_path / "a.parquet")
    FRAME.to_csv(tmp_path / "b.csv")
    with pytest.raises(DataError) as caught:
        open_table(tmp_path)
    assert (
        str(caught.value)
        == f"{tmp_path}: its files end in .csv and .parquet. Name files of one format by a pattern, `{tmp_path}/*.parquet`."
    )


def test_the_hash_changes_with_a_name_a_cell_or_a_file_and_a_change_in_use_is_refused(tmp_path):
    folder = write_partitions(tmp_path)
    before = content_hash(folder)
    file = open_table(folder)
    assert file.sha256 == before
    os.rename(folder / "site=c", folder / "site=d")
    assert content_hash(folder) != before
    with pytest.raises(DataError, match="the file was changed while it was in use"):
        list(file.pieces(["x"], size=10))
    os.rename(folder / "site=d", folder / "site=c")
    assert content_hash(folder) == before


def test_an_experiment_takes_a_folder_and_its_partitions(tmp_path):
    write_partitions(tmp_path)
    path = tmp_path / "e.yaml"
    path.write_text("data: {table: table}\ncolumns: {x: {role: numeric}, site: {role: target, task: multiclass}}\n")
    assert config.load(path).data.table == tmp_path / "table"


def test_bytes_of_images_are_cells_of_images_and_other_bytes_are_refused(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), (255, 0, 0)).save(buffer, "PNG")
    image = buffer.getvalue()
    frame = pd.DataFrame({"scan": [None, image], "photo": [{"bytes": image, "path": "1.png"}, None], "key": [b"a", b"b"]})
    frame.to_parquet(tmp_path / "images.parquet", index=False)
    file = open_table(tmp_path / "images.parquet")
    assert [file.refusal(header) for header in file.headers] == ["", "", "the column is of type binary."]
    (piece,) = file.pieces(["scan", "photo"], size=10)
    assert piece["scan"].isna().tolist() == [True, False]
    located = locate(piece["scan"].dropna(), ImageFolder(tmp_path))
    assert located.files[0].source == image
    assert piece["photo"][0] == piece["scan"][1]
