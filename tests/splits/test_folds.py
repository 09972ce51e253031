"""Folds of cross-validation: every row scored once, groups together, classes balanced, validation cut from what a fold learns from."""

import numpy as np
import pytest

from mmtrain.config.load import json_schema
from mmtrain.data.splits.split_file import read_split, to_csv
from mmtrain.errors import DataError
from mmtrain.splits import Rows, split_methods

N = 120
GROUPS = [f"g{row // 3}" for row in range(N)]
LABELS = ["rare" if row % 6 == 0 else "common" for row in range(N)]
TIMES = np.arange(N) // 2.0


def rows(**more):
    times = {"times": TIMES, "time_cells": [f"day {time:.0f}" for time in TIMES]} if more.pop("times", False) else {}
    return Rows(N, headers={"given": "cv", "times": "day"}, **times, **more)


def scored(plan):
    return [one.test.tolist() for one in plan.partitions]


@pytest.mark.parametrize("test", [0, 0.25])
@pytest.mark.parametrize("method", ["random", "stratified"])
def test_every_row_outside_of_the_test_set_is_scored_once_a_repeat(method, test):
    plan = split_methods[method].plan(rows(groups=GROUPS, labels=LABELS), folds=4, repeats=2, test=test, validation=0.2)
    assert (plan.folds, plan.repeats, len(plan.test)) == (4, 2, test * N)
    for repeat in (0, 1):
        rows_of = scored(plan)[4 * repeat : 4 * repeat + 4]
        assert sorted(sum(rows_of, plan.test.tolist())) == list(range(N))
        assert [len(one) for one in rows_of] == pytest.approx([(1 - test) * N / 4] * 4, abs=3)
    assert scored(plan)[:4] != scored(plan)[4:]
    for one in plan.partitions:
        assert len(one.validation) == pytest.approx(0.2 * (N - len(plan.test) - len(one.test)), abs=3)
        if method == "stratified":
            for part in (one.train, one.validation, one.test):
                assert np.mean([LABELS[row] == "rare" for row in part]) == pytest.approx(1 / 6, abs=0.06)


def test_the_same_seed_gives_the_same_folds_and_another_one_others():
    first, again, other = (split_methods["stratified"].plan(rows(labels=LABELS), folds=3, seed=seed) for seed in (1, 1, 2))
    assert scored(first) == scored(again) != scored(other)
    # The outer test rows of a plan with folds are those of a hold-out with the same seed.
    test = split_methods["stratified"].plan(rows(labels=LABELS), test=0.2, seed=1).holdout.test.tolist()
    assert split_methods["stratified"].plan(rows(labels=LABELS), folds=3, test=0.2, seed=1).test.tolist() == test


def test_every_fold_draws_its_own_validation_rows():
    """With one draw for all folds, the same places of the rows that a fold learns from would validate."""
    plan = split_methods["random"].plan(rows(), folds=4, repeats=2, test=0, validation=0.2)
    places = set()
    for one in plan.partitions:
        learning = np.sort(np.concatenate([one.train, one.validation]))
        assert (len(learning), len(one.validation)) == (90, 18)
        places.add(tuple(np.searchsorted(learning, np.sort(one.validation)).tolist()))
    assert len(places) == len(plan.partitions) == 8


def test_folds_of_time_learn_from_all_earlier_rows():
    plan = split_methods["time"].plan(rows(times=True), folds=3, test=0.1, validation=0.2)
    assert plan.test.tolist() == list(range(108, 120))
    before = 0
    for one in plan.partitions:
        assert TIMES[one.train].max() < TIMES[one.validation].min() <= TIMES[one.validation].max() < TIMES[one.test].min()
        assert one.train[0] == 0
        assert one.test[0] >= before
        before = one.test[-1] + 1
    assert before == 108
    assert plan.notes == ("Split by 'day': fold 0 from day 12 on, fold 1 from day 26 on, fold 2 from day 40 on and test from day 54 on.",)


def test_a_column_of_folds_gives_each_row_its_fold():
    given = [("fold_2", "fold_10", "test", "train")[row // 3 % 4] for row in range(N)]
    plan = split_methods["column"].plan(rows(groups=GROUPS, labels=LABELS, given=given, folds=True))
    assert plan.facts == {"fold_names": ["fold_2", "fold_10"]}
    assert [[given[row] for row in one] for one in scored(plan)] == [["fold_2"] * 30, ["fold_10"] * 30]
    assert {given[row] for row in plan.test} == {"test"}
    for number, one in enumerate(plan.partitions):
        assert {given[row] for row in [*one.train, *one.validation]} == {"train", ("fold_10", "fold_2")[number]}


def test_validation_rows_that_a_column_of_folds_names_are_those_of_every_fold():
    given = [("a", "b", "validation")[row % 3] for row in range(N)]
    plan = split_methods["column"].plan(rows(given=given, folds=True))
    assert all({given[row] for row in one.validation} == {"validation"} for one in plan.partitions)


@pytest.mark.parametrize(
    ("method", "given", "options", "problem"),
    [
        (
            "stratified",
            {"labels": ["rare"] * 3 + ["common"] * (N - 3)},
            {"folds": 4},
            "split: class 'rare' has 3 rows, fewer than the 4 folds. Merge it with another class, leave those rows out, or use "
            "`split: {method: random}`.",
        ),
        (
            "random",
            {"groups": [f"g{row % 4}" for row in range(N)]},
            {"folds": 4, "test": 0.2},
            "split: there are 4 groups, fewer than the 4 folds and the test part. Add groups, or lower `split.folds`.",
        ),
        (
            "stratified",
            {"labels": ["rare"] * 2 + ["common"] * (N - 2)},
            {"folds": 2},
            "split: class 'rare' has 1 row, fewer than the 2 parts, train and validation, of a fold. Merge it with another class, leave "
            "those rows out, or use `split: {method: random}`.",
        ),
        (
            "time",
            {"times": True},
            {"folds": 59},
            "split: the column 'day' has 60 different times; 59 folds need 61. Lower `split.folds`, or use times that are less coarse.",
        ),
        (
            "column",
            {"given": ["a"] * 60 + ["test"] * 60, "folds": True},
            {},
            "split: the column 'cv' has one fold, 'a'; cross-validation needs two. Write the fold of each row, or train, validation and "
            "test.",
        ),
        (
            "column",
            {"given": ["a", "b"] * 60, "folds": True, "groups": ["g"] * 2 + list(map(str, range(118)))},
            {},
            "split: the split column tears 1 group apart: 'g'. Mark all rows of a group for the same part.",
        ),
    ],
)
def test_rows_that_cannot_be_divided_into_folds(method, given, options, problem):
    options = {"test": 0, **options} if method != "column" else options
    with pytest.raises(DataError) as refused:
        split_methods[method].plan(rows(**given), **options)
    assert str(refused.value) == problem


def test_split_file_keeps_folds_outer_test_rows_and_unused_rows(tmp_path):
    plan = split_methods["time"].plan(rows(times=True), folds=3, test=0.1)
    (tmp_path / "split.csv").write_text("".join(to_csv(plan, np.arange(N) + 5)))
    lines = (tmp_path / "split.csv").read_text().splitlines()
    assert (lines[0], lines[1], lines[108], lines[-1]) == ("row,id,fold,part", "5,,0,train", "112,,0,unused", "124,,,test")
    again = read_split(tmp_path / "split.csv").plan
    assert again.partial
    assert again.test.tolist() == plan.test.tolist()
    for one, other in zip(again.partitions, plan.partitions, strict=True):
        assert {use: part.tolist() for use, part in one.items()} == {use: part.tolist() for use, part in other.items()}


def test_schema_offers_folds_for_the_methods_that_have_them():
    sections = json_schema()["$defs"]
    assert [
        name for name, section in sections.items() if "folds" in section.get("properties", {}) and "method" in section["properties"]
    ] == [
        "RandomSplitSection",
        "StratifiedSplitSection",
        "TimeSplitSection",
    ]


def test_groups_that_the_test_part_took_are_not_in_the_folds():
    groups = [f"g{group}" for group, count in enumerate((2, 4, 2, 2, 1, 3)) for _ in range(count)]
    plans = [lambda seed=seed: split_methods["random"].plan(Rows(14, groups=groups), folds=5, test=0.2, seed=seed) for seed in range(9)]
    for plan in plans:
        with pytest.raises(DataError) as refused:
            plan()
        assert refused.value.problems[0].what == "there are 4 groups, fewer than the 5 folds outside of the test part."
