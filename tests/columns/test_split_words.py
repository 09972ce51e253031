"""What the words of a split column are taken for, and those that are refused."""

import json

import pandas as pd
import pytest
from tiny import write_experiment, write_table

from mmtrain.cli.app import run
from mmtrain.columns import Split
from mmtrain.columns.split_words import split_words
from mmtrain.commands.check import check
from mmtrain.commands.inspect_data import inspect_experiment

T, V, E = "train", "validation", "test"
TREE = {
    "columns": {"x": {"role": "numeric"}, "set": {"role": "split"}, "y": {"role": "target", "task": "binary"}},
    "split": {"method": "column"},
}


def experiment(folder, words):
    cells = [{"x": row, "set": words[row % len(words)], "y": "no" if row // len(words) % 2 else "yes"} for row in range(12 * len(words))]
    write_table(folder / "table.csv", cells)
    return write_experiment(folder / "study.yaml", TREE)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["train", "validation", "test"], [T, V, E]),
        (["Train", "Val", "Test"], [T, V, E]),
        (["tr", "va", "te"], [T, V, E]),
        (["TRAINING", "Valid", "TESTING"], [T, V, E]),
        (["train", "dev", "test"], [T, V, E]),
        (["train", "eval", "test"], [T, V, E]),
        (["train", "val", "eval"], [T, V, E]),
        (["train", "eval"], [T, E]),
        (["train_set", "Validation set", "Hold-out"], [T, V, E]),
        (["train", "Train ", "training", "hold out"], [T, T, T, E]),
        (["trn", "tuning", "tst"], [T, V, E]),
        (["traindata", "valset", "testset"], [T, V, E]),
        (["\uff54\uff52\uff41\uff49\uff4e", "test\u200b"], [T, E]),
    ],
)
def test_usual_words_are_understood(words, parts):
    found = split_words(words)
    assert [found.parts[word] for word in words] == parts
    assert not found.doubts


@pytest.mark.parametrize(
    ("words", "doubts"),
    [
        (["train", "dev", "val"], "is one of several names of the validation part in this column: 'dev' and 'val'."),
        (["development", "validation"], "is one of several names of the validation part in this column: 'development' and 'validation'."),
        (["train", "test", "holdout"], "is one of several names of the test part in this column: 'test' and 'holdout'."),
        (["train", "val", "eval", "test"], "may mean validation or test, and the column has words for both."),
    ],
)
def test_two_names_of_one_part_are_in_doubt(words, doubts):
    assert set(split_words(words).doubts.values()) == {doubts}


TWO = "Write test instead of 'True' and train instead of 'False'."


@pytest.mark.parametrize(
    ("header", "cells", "what", "fix"),
    [
        (
            "set",
            ["train", "dev", "val"],
            "'dev' is one of several names of the validation part in this column: 'dev' and 'val'.",
            "Write train, validation or test.",
        ),
        ("is_test", ["True", "False"], "'True' and 'False' say yes or no, not which part a row belongs to.", TWO),
        (
            "in_train",
            ["0", "1"],
            "'0' and '1' say yes or no, not which part a row belongs to.",
            "Write train instead of '1' and test instead of '0'.",
        ),
        ("set", ["y", "n"], "'y' and 'n' say yes or no, not which part a row belongs to.", "Write train, validation or test."),
        ("set", ["57", "12"], "'57' is not a part.", "Write train, validation or test."),
    ],
)
def test_other_words_are_refused_with_what_they_look_like(header, cells, what, fix):
    fault = Split(column=header).faults(pd.Series(cells, dtype="str"))[0]
    assert (fault.what, fault.fix) == (what, fix)


@pytest.mark.parametrize(
    ("cells", "folds", "expected"),
    [
        (["1", "0", "2", "2"], None, ["1", "0", "2"]),
        (["1.0", "2.0", "3.0", "test"], None, ["1.0", "2.0", "3.0"]),
        (["fold_3", "Fold 7"], None, ["fold_3", "Fold 7"]),
        (["north", "south", "Holdout"], True, ["north", "south"]),
        (["0", "1"], True, ["0", "1"]),
        (["0", "1"], None, []),
        (["2", "5"], None, []),
        (["0", "1", "2"], False, []),
    ],
)
def test_words_that_name_folds(cells, folds, expected):
    assert Split(column="cv", folds=folds).fold_words(pd.Series(cells, dtype="str")) == expected


@pytest.mark.parametrize(
    ("cells", "what", "fix"),
    [
        (["north", "test"], "the column names one fold only, 'north'.", "Write the fold of each row, or leave `folds` out."),
        (["train", "test"], "the column names no fold.", "Write the fold of each row, or leave `folds` out."),
        (["north", "south", None], "the cell is empty.", "Write the fold of the row."),
        (
            [f"site {number}" for number in range(101)],
            "the column has 101 different words, each of which would be a fold.",
            "Name at most 100 folds.",
        ),
    ],
)
def test_a_column_of_folds_is_refused(cells, what, fix):
    fault = Split(column="cv", folds=True).faults(pd.Series(cells, dtype="str"))[0]
    assert (fault.what, fault.fix) == (what, fix)


def test_check_and_inspect_tell_what_the_words_were_taken_for(tmp_path, capsys):
    path = experiment(tmp_path, ["tr", "VA", "te"])
    told = "'tr' is taken for train, 'VA' is taken for validation and 'te' is taken for test."
    assert {one.part: one.rows for one in check(path).summary} == {"train": 12, "validation": 12, "test": 12}
    finding = next(one for one in inspect_experiment(path).findings if one.kind == "split_words")
    assert (finding.level, finding.where, finding.what) == ("note", "set", told)
    assert run(["check", str(path)]) == 0
    assert f"note: table.csv: set: {told} " in " ".join(capsys.readouterr().err.split())
    assert run(["check", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"][0].startswith(f"note: table.csv: set: {told}")


def test_the_names_of_the_parts_are_not_worth_a_line(tmp_path):
    assert check(experiment(tmp_path, ["train", "validation", "test"])).notes == ()
