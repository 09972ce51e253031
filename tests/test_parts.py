"""The three parts, and split.csv."""

import numpy as np
import pytest

from mmtrain.data.splits.parts import Parts, read_split, to_csv
from mmtrain.errors import RunError

PARTS = Parts.from_codes(np.array([0, 2, 0, 1, 0]))


def test_parts_from_codes_are_ascending_positions():
    assert {part: positions.tolist() for part, positions in PARTS.items()} == {"train": [0, 2, 4], "validation": [3], "test": [1]}
    assert [part for part, _ in PARTS.items()] == ["train", "validation", "test"]
    assert PARTS["validation"].tolist() == [3]
    assert PARTS.train.dtype == np.int64


def test_parts_names_give_the_part_of_each_row():
    assert PARTS.names().tolist() == ["train", "test", "train", "validation", "train"]


@pytest.mark.parametrize("name", ["names", "val", ""])
def test_parts_know_only_the_three_parts(name):
    with pytest.raises(KeyError):
        PARTS[name]


def test_split_csv_is_pinned():
    ids = np.array(["001", 'say "a", b', "", "NA", "ü"], dtype=object)
    text = "".join(to_csv(PARTS, [0, 1, 2, 4, 7], ids.__getitem__))
    assert text == 'row,id,part\n0,001,train\n1,"say ""a"", b",test\n2,,train\n4,NA,validation\n7,ü,train\n'


def test_split_csv_without_ids():
    assert "".join(to_csv(PARTS, range(5))).splitlines()[:2] == ["row,id,part", "0,,train"]


def test_split_csv_comes_back_as_it_went(tmp_path):
    ids = ["a lone\rreturn", 'say "a", b', "", "NA", "two\nlines\rand\r\nmore"]
    path = tmp_path / "split.csv"
    path.write_bytes("".join(to_csv(PARTS, [0, 1, 2, 4, 7], np.array(ids, dtype=object).__getitem__)).encode())
    written = read_split(path)
    assert written.rows.tolist() == [0, 1, 2, 4, 7]
    assert written.ids.tolist() == ids
    assert written.parts.names().tolist() == PARTS.names().tolist()


FIX = "Restore the file from a copy of the run, or train again with `mmtrain fit`."


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("row,id,part\n0,a,train\n1,b,dev\n", ":3", "'dev' is not a part."),
        ("row,part,fold\n0,train,1\n", "", "this file of the run cannot be read as a split (KeyError: 'id')."),
        ("row,id,part\none,a,train\n", "", "this file of the run cannot be read as a split (ValueError: "),
        ("", "", "this file of the run cannot be read as a split (EmptyDataError: No columns to parse from file)."),
        (None, "", "this file of the run cannot be read as a split (FileNotFoundError: "),
    ],
)
def test_split_csv_that_is_damaged_is_refused(tmp_path, content, line, what):
    path = tmp_path / "split.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunError) as refused:
        read_split(path)
    assert str(refused.value).startswith(f"{path}{line}: {what}")
    assert str(refused.value).endswith(f" {FIX}")
