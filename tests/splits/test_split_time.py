"""`split: time`: training first, then validation, then test, by a column with the role `time`."""

import json

import numpy as np
import pandas as pd
import pytest
from tiny import two_blobs, write_experiment

from mmtrain.cli.app import run
from mmtrain.columns import Time
from mmtrain.commands.check import check
from mmtrain.commands.inspect_data import inspect_experiment, write_page
from mmtrain.errors import DataError
from mmtrain.splits import Rows, split_methods

HEADERS = {"times": "when"}


def split(times, groups=None, **options):
    times = np.asarray(times, dtype=np.float64)
    rows = Rows(len(times), groups, times=times, time_cells=[f"t{time:g}" for time in times], headers=HEADERS)
    return split_methods["time"].plan(rows, **options)


def lists(plan):
    return {use: positions.tolist() for use, positions in plan.holdout.items()}


def test_training_is_first_and_test_is_last_whatever_the_order_of_rows():
    plan = split([9, 3, 7, 1, 5, 8, 2, 6, 4, 0], validation=0.2, test=0.3)
    assert lists(plan) == {"train": [1, 3, 6, 8, 9], "validation": [4, 7], "test": [0, 2, 5]}
    assert plan.notes == ("Split by 'when': validation from t5 on and test from t7 on.",)
    assert plan.record() == {
        "description": "The rows were divided by the column when, training rows first in time",
        "notes": list(plan.notes),
        "cuts": {"validation": "t5", "test": "t7"},
        "earlier_rows_of_groups": {"validation": 0, "test": 0},
    }


def test_rows_of_equal_time_are_on_one_side_and_a_part_far_from_its_share_is_told():
    plan = split([0, 1, 1, 1, 2, 2, 2, 2, 2, 2], validation=0.1, test=0.1)
    assert lists(plan) == {"train": [0], "validation": [1, 2, 3], "test": [4, 5, 6, 7, 8, 9]}
    assert plan.notes == (
        "Split by 'when': validation from t1 on and test from t2 on.",
        "Rows of equal time and of one group stay together: validation has 30% of the rows instead of 10% and "
        "test has 60% of the rows instead of 10%.",
    )


def test_a_group_goes_by_its_latest_row_and_its_earlier_rows_are_counted():
    groups = list("aabbcdefgd")
    plan = split(range(10), groups, validation=0.2, test=0.2)
    # `d` has the rows 5 and 9: it is tested, and row 5 stands before the cut.
    assert lists(plan) == {"train": [0, 1, 2, 3, 4, 6], "validation": [7, 8], "test": [5, 9]}
    assert plan.notes[:2] == (
        "Split by 'when': validation from t7 on and test from t9 on.",
        "1 test row is earlier than that: its group has later rows.",
    )
    assert plan.facts["earlier_rows_of_groups"] == {"validation": 0, "test": 1}


@pytest.mark.parametrize("seed", range(20))
def test_no_training_row_is_later_than_a_cut_and_no_group_on_two_sides(seed):
    chance = np.random.default_rng(seed)
    times, groups = chance.integers(0, 40, 200), chance.integers(0, [60, 200][seed % 2], 200)
    plan = split(times, groups.tolist(), validation=0.2, test=0.2)
    partition = plan.holdout
    last = pd.Series(times).groupby(groups).max().loc[groups].to_numpy()
    cuts = {use: int(cell[1:]) for use, cell in plan.facts["cuts"].items()}
    assert times[partition.train].max() < cuts["validation"] <= last[partition.validation].min()
    assert last[partition.validation].max() < cuts["test"] <= last[partition.test].min()
    assert plan.facts["earlier_rows_of_groups"] == {use: int((times[partition[use]] < cut).sum()) for use, cut in cuts.items()}
    assert sum(len(set(groups[rows])) for _, rows in partition.items()) == len(set(groups))
    assert all(len(rows) for _, rows in partition.items())


@pytest.mark.parametrize(
    ("count", "options", "sizes"),
    [
        (100, {}, [70, 15, 15]),
        (100, {"test": 0.0}, [85, 15, 0]),
        (3, {}, [1, 1, 1]),
        (2, {"test": 0}, [1, 1, 0]),
        (10, {"validation": 0.01, "test": 0.9}, [1, 1, 8]),
    ],
)
def test_sizes_are_nearest_to_the_shares_and_no_part_is_empty(count, options, sizes):
    assert [len(rows) for _, rows in split(range(count), **options).holdout.items()] == sizes


@pytest.mark.parametrize(
    ("times", "groups", "options", "problem"),
    [
        (
            [1, 1, 2, 2],
            None,
            {},
            "split: the column 'when' has 2 different times, fewer than the 3 parts. "
            "Add rows of other times, set `test: 0`, or use another split method.",
        ),
        (
            [1, 1, 1],
            None,
            {"test": 0},
            "split: the column 'when' has 1 different time, fewer than the 2 parts. Add rows of other times, or use another split method.",
        ),
        (
            [0, 1, 2, 3],
            list("abab"),
            {},
            "split: the column 'when' has 2 different times among the latest rows of its groups, fewer than the 3 parts. "
            "Add rows of other times, set `test: 0`, or use another split method.",
        ),
    ],
)
def test_too_few_times_are_refused(times, groups, options, problem):
    with pytest.raises(DataError) as refused:
        split(times, groups, **options)
    assert str(refused.value) == problem


# The role


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        (["2024-03-01", "1.2.2024", "Jan 05, 2024", "20231231"], [3, 2, 1, 0]),
        (["2024-03-01 10:30:59", "2024-03-01 10:30:58", "2024-03-01"], [2, 1, 0]),
        (["10", "9.5", "-1e3"], [2, 1, 0]),
        (["2024", "2019", "2021"], [1, 2, 0]),
        (["3/31/2024", "4/1/2024"], [0, 1]),
    ],
    ids=["dates", "seconds", "numbers", "years", "slashes"],
)
def test_times_are_dates_or_numbers(cells, order):
    series = pd.Series(cells, dtype="str")
    assert Time(column="when").faults(series) == []
    assert np.argsort(Time(column="when").values(series)).tolist() == order


@pytest.mark.parametrize(
    ("cells", "rows", "problem"),
    [
        (
            ["2024-03-01", "soon", "later"],
            [1, 2],
            "'soon' is neither a date nor a number. Write dates such as 2024-03-31 or 2024-03-31 10:30, or numbers.",
        ),
        (
            ["2024-02-30", "2024-02-28"],
            [0],
            "'2024-02-30' is neither a date nor a number. Write dates such as 2024-03-31 or 2024-03-31 10:30, or numbers.",
        ),
        (
            ["3", "2024-03-01", "4"],
            [1],
            "'2024-03-01' is a date, and other cells are not, such as '3'. Write dates in all of them, or numbers in all.",
        ),
        (
            ["2024-03-01", "3", "2024-03-02"],
            [1],
            "'3' is a number, and other cells are not, such as '2024-03-01'. Write dates in all of them, or numbers in all.",
        ),
        (
            ["3/4/2024", "5/6/2024"],
            [0, 1],
            "the month of '3/4/2024' may be 3 or 4: no cell shows which of the two is the day. Write dates such as 2024-03-31.",
        ),
        (
            ["13/4/2024", "4/13/2024"],
            [0, 1],
            "'13/4/2024' and '4/13/2024' have the day and the month in two orders. Write dates such as 2024-03-31.",
        ),
        (["2024-03-01", None], [1], "the cell is empty. Fill it in, or set `missing: drop` to leave the row out."),
    ],
)  # fmt: skip
def test_cells_that_have_no_place_in_time_are_refused(cells, rows, problem):
    (fault,) = Time(column="when").faults(pd.Series(cells, dtype="str"))
    assert (fault.rows.tolist(), f"{fault.what} {fault.fix}") == (rows, problem)


# From the file to the run

TREE = """
columns: {x: {role: numeric}, who: {role: group}, when: {role: time, missing: drop}, y: {role: target, task: binary}}
split: {method: time, validation: 0.2, test: 0.2}
training: {epochs: 1, optimizer: sgd}
evaluation: {draws: 100}
"""


def visits(folder, tree=TREE, **columns):
    """Sixty rows, the latest first, of which the group of the first and the last row is the same."""
    when = {"when": lambda row: f"2024-{12 - row // 5:02}-{28 - row % 5:02}", "who": lambda row: f"P{row % 59}"}
    two_blobs(folder, 60, **(when | columns))
    return write_experiment(folder / "a.yaml", tree)


NOTES = (
    "Split by 'when': validation from 2024-08-26 on and test from 2024-10-28 on.",
    "1 test row is earlier than that: its group has later rows.",
)


def test_the_cuts_are_told_by_check_and_by_inspect_data(tmp_path, capfd):
    path = visits(tmp_path)
    assert check(path).notes == NOTES
    found = inspect_experiment(path)
    assert found.split_notes == NOTES
    write_page(found, tmp_path / "page.html")
    assert NOTES[1] in (tmp_path / "page.html").read_text()
    capfd.readouterr()
    assert run(["inspect-data", str(path)]) in (0, 1, 3)
    printed = capfd.readouterr().out.replace("\n", " ")
    assert f"No group is in more than one part. {NOTES[0]} {NOTES[1]}" in printed


def test_mistakes_of_times_and_of_other_columns_are_told_together(tmp_path):
    path = visits(tmp_path, when=lambda row: "" if row == 2 else "soon" if row == 5 else str(row), x=lambda row: "abc" if row == 7 else row)
    with pytest.raises(DataError) as refused:
        check(path)
    assert str(refused.value).splitlines() == [
        "table.csv:9: x: 'abc' is not a number. "
        "Write a number, or list 'abc' under `data.missing_values` if it stands for a missing value.",
        "table.csv:7: when: 'soon' is neither a date nor a number. Write dates such as 2024-03-31 or 2024-03-31 10:30, or numbers.",
    ]


def test_times_are_read_again_where_dropped_rows_took_the_order_of_day_and_month_along(tmp_path):
    """Only the first row shows that the day comes first, and it leaves the table for its empty number."""
    path = visits(
        tmp_path,
        TREE.replace("x: {role: numeric}", "x: {role: numeric, missing: drop}"),
        when=lambda row: f"{13 if row == 0 else row % 5 + 1}/{row // 5 + 1}/2024",
        x=lambda row: "" if row == 0 else row,
    )
    with pytest.raises(DataError) as refused:
        check(path)
    assert str(refused.value) == (
        "table.csv:3: when: the month of '2/1/2024' may be 2 or 1: no cell shows which of the two is the day. "
        "58 more such cells, in lines 4, 5, 6, 7, 8 and 53 more. Write dates such as 2024-03-31."
    )


def test_a_shift_over_time_is_a_note_and_no_look_back(tmp_path):
    """A split by column would call these rows shifted and its rows of groups earlier; here both is what was asked for."""
    path = visits(tmp_path, x=lambda row: (row < 24) * 10 + row % 2, seen=lambda row: f"2024-{1 + row // 5:02}-01")
    found = inspect_experiment(path, overrides=["split.test=0.4"]).findings
    shifted = next(finding for finding in found if finding.kind == "shift")
    assert (shifted.level, shifted.why) == ("note", "It changes with time: scores on test show how well the model predicts later rows.")
    assert "time_looks_back" not in {finding.kind for finding in found}


@pytest.mark.slow
def test_a_run_keeps_the_cuts_and_its_card_tells_them(tmp_path):
    from mmtrain.commands.evaluate import EvaluateOptions, evaluate
    from mmtrain.commands.fit import fit
    from mmtrain.commands.fitting.training_listeners import Listeners

    told = []
    done = fit(visits(tmp_path), output=tmp_path / "runs", listeners=Listeners(say=told.append))
    assert set(NOTES) <= set(told)
    split = done.run.read_json("data.json")["split"]
    assert (split["method"], split["cuts"]) == ("time", {"validation": "2024-08-26", "test": "2024-10-28"})
    assert split["earlier_rows_of_groups"] == {"validation": 0, "test": 1}
    assert evaluate(str(done.run.folder), EvaluateOptions(part="validation")).targets["y"].rows == 12
    card = (done.run / "model_card.md").read_text()
    sentence = "The rows were divided by the column when, training rows first in time; rows with the same who are in one part."
    assert " ".join([sentence, *NOTES]) in card
    assert json.loads((done.run / "columns.json").read_text())["columns"].keys() == {"x"}
