"""Partitions of rows, plans of several, and split.csv."""

import numpy as np
import pytest

from mmtrain.data.splits.split_file import read_sizes, read_split, to_csv
from mmtrain.errors import RunError
from mmtrain.splits import Partition, Rows, SplitPlan

PARTITION = Partition.from_codes(np.array([0, 2, 0, 1, 0]))
PLAN = SplitPlan.of(PARTITION)
FOLDS = SplitPlan.of(Partition.from_codes(np.array([2, 1, -1, 0, 0])), Partition.from_codes(np.array([0, 2, -1, 1, 0])), test=np.array([2]))
"""Two folds, with the middle row as the outer test set."""


def lists(partition):
    return {use: positions.tolist() for use, positions in partition.items()}


def test_partition_from_codes_has_ascending_positions():
    assert lists(PARTITION) == {"train": [0, 2, 4], "validation": [3], "test": [1]}
    assert list(lists(PARTITION)) == ["train", "validation", "test"]
    assert PARTITION["validation"].tolist() == [3]
    assert PARTITION.train.dtype == np.int64


def test_partition_names_give_the_use_of_each_row():
    assert PARTITION.names(5).tolist() == ["train", "test", "train", "validation", "train"]
    assert PARTITION.names(6).tolist()[5] == ""
    assert PARTITION.codes(6).tolist() == [0, 2, 0, 1, 0, -1]


@pytest.mark.parametrize("name", ["names", "val", "", "conformal"])
def test_partition_knows_only_its_uses(name):
    with pytest.raises(KeyError):
        PARTITION[name]


def test_calibration_rows_are_listed_where_there_are_some_and_leave_validation():
    calibrated = Partition.from_codes(np.array([0, 1, 1, 1, 2])).hold_out(np.array([2]))
    assert lists(calibrated) == {"train": [0], "validation": [1, 3], "test": [4], "calibration": [2]}
    SplitPlan.of(calibrated).check(Rows(5, groups=list("abcde")))


def test_a_holdout_is_a_plan_of_one_partition():
    assert PLAN.holdout is PARTITION
    outer = SplitPlan.of(Partition.from_codes(np.array([0, 1, -1])), test=np.array([2]))
    assert lists(outer.holdout) == {"train": [0], "validation": [1], "test": [2]}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (FOLDS, "the plan has 2 partitions, and one training takes one"),
        (
            SplitPlan.of(Partition.from_codes(np.array([0, 2, -1])), test=np.array([2])),
            "the plan has outer test rows besides the test rows of its only partition",
        ),
    ],
)
def test_a_plan_that_is_no_holdout_says_why(plan, message):
    with pytest.raises(ValueError) as refused:
        _ = plan.holdout
    assert str(refused.value) == message


def test_folds_have_every_row_once_and_the_outer_test_set_in_none():
    FOLDS.check(Rows(5, groups=list("abcde")))


@pytest.mark.parametrize(
    ("plan", "groups", "message"),
    [
        (SplitPlan(()), None, "The split is unsound: it has no partition."),
        (SplitPlan.of(PARTITION, FOLDS.partitions[0]), None, "The split is unsound in partition 1: 1 row in no part (first: 2)."),
        (SplitPlan.of(PARTITION, test=np.array([4])), None, "The split is unsound: 1 row in several parts (first: 4)."),
        (FOLDS, list("abaac"), "The split is unsound in partition 0: 1 group in several parts (first: 'a')."),
        (
            SplitPlan.of(PARTITION.hold_out(np.array([3])), PARTITION.hold_out(np.array([4]))),
            None,
            "The split is unsound in partition 1: 1 row in several parts (first: 4).",
        ),
        (SplitPlan.of(Partition.from_codes(np.array([1, 2, 2, 2, 2]))), None, "The split is unsound: no row to train on."),
        (SplitPlan.of(Partition.from_codes(np.array([0] * 6))), None, "The split is unsound: positions outside of the 5 rows."),
    ],
)
def test_plans_are_checked_by_row_and_by_group(plan, groups, message):
    with pytest.raises(RuntimeError) as raised:
        plan.check(Rows(5, groups))
    assert str(raised.value) == message


def test_split_csv_is_pinned():
    ids = np.array(["001", 'say "a", b', "", "", "NA", "", "", "ü"], dtype=object)
    text = "".join(to_csv(PLAN, [0, 1, 2, 4, 7], ids[[0, 1, 2, 4, 7]].__getitem__))
    assert text == 'row,id,fold,part\n0,001,0,train\n1,"say ""a"", b",0,test\n2,,0,train\n4,NA,0,validation\n7,ü,0,train\n'


def test_split_csv_without_ids():
    assert "".join(to_csv(PLAN, range(5))).splitlines()[:2] == ["row,id,fold,part", "0,,0,train"]


def test_split_csv_comes_back_as_it_went(tmp_path):
    ids = ["a lone\rreturn", 'say "a", b', "", "NA", "two\nlines\rand\r\nmore"]
    path = tmp_path / "split.csv"
    path.write_bytes("".join(to_csv(PLAN, [0, 1, 2, 4, 7], np.array(ids, dtype=object).__getitem__)).encode())
    written = read_split(path)
    assert written.rows.tolist() == [0, 1, 2, 4, 7]
    assert written.ids.tolist() == ids
    assert lists(written.plan.holdout) == lists(PARTITION)
    assert read_sizes(path) == {use: len(rows) for use, rows in PARTITION.items()}


def test_sizes_of_a_damaged_split_csv_are_refused(tmp_path):
    path = tmp_path / "split.csv"
    for content, what in (("row,id,fold\n0,a,0\n", "(KeyError: 'part')"), ("row,id,fold,part\n", "(ValueError: it has no rows)")):
        path.write_text(content)
        with pytest.raises(RunError) as refused:
            read_sizes(path)
        assert str(refused.value) == f"{path}: this file of the run cannot be read as a split {what}. {FIX}"


def test_split_csv_keeps_folds_and_the_outer_test_set(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("".join(to_csv(FOLDS, [0, 1, 2, 4, 7], np.array(list("abcde"), dtype=object).__getitem__)))
    assert path.read_text().splitlines() == [
        "row,id,fold,part",
        *("0,a,0,test", "1,b,0,validation", "4,d,0,train", "7,e,0,train"),
        *("0,a,1,train", "1,b,1,test", "4,d,1,validation", "7,e,1,train"),
        "2,c,,test",
    ]
    written = read_split(path)
    assert (written.rows.tolist(), written.ids.tolist()) == ([0, 1, 2, 4, 7], list("abcde"))
    assert [lists(partition) for partition in written.plan.partitions] == [lists(partition) for partition in FOLDS.partitions]
    assert written.plan.test.tolist() == [2]


FIX = "Restore the file from a copy of the run, or train again with `mmtrain fit`."


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        ("row,id,fold,part\n0,a,0,train\n1,b,0,dev\n", ":3", "'dev' is not a part."),
        ("row,part,fold\n0,train,1\n", "", "this file of the run cannot be read as a split (KeyError: 'id')."),
        ("row,id,part\n0,a,train\n", "", "this file of the run cannot be read as a split (KeyError: 'fold')."),
        ("row,id,fold,part\n0,a,0,train\n1,b,0,test\n0,a,0,test\n", "", "the file does not have every row once in fold 0."),
        ("row,id,fold,part\n0,a,0,train\n1,b,0,test\n0,a,1,test\n", "", "the file does not have every row once in fold 1."),
        ("row,id,fold,part\n0,a,,test\n", "", "the file has no rows to train on."),
        ("row,id,fold,part\n0,a,one,train\n", "", "this file of the run cannot be read as a split (ValueError: "),
        ("row,id,fold,part\none,a,0,train\n", "", "this file of the run cannot be read as a split (ValueError: "),
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
