"""Series: what is refused and doubted, and how lists become steps, with times, on a grid, and cut."""

import re

import numpy as np
import pandas as pd
import pytest

from mmtrain.columns import TimeSeries
from mmtrain.columns.summaries.base import SeenRows
from mmtrain.errors import DataError
from mmtrain.specs import SequenceSpec

WRITE = "Write lists such as [70, 72.5, null], null for a missing number."


def cells(*values):
    return pd.Series(list(values), dtype="str")


def encoded(fitted, table):
    steps, present = fitted.preprocessing()(fitted.raw(table))
    return steps.numpy().round(4).tolist(), present.numpy().ravel().tolist()


@pytest.mark.parametrize(
    ("values", "rows", "what", "fix"),
    [
        (["[1, null, NaN]", "[1, x]", None, "[soon]"], [1, 3], "'x' in '[1, x]' is not a number.", WRITE),
        (['["2024-01-01"]'], [0], "'2024-01-01' in '[\"2024-01-01\"]' is not a number.", WRITE),
        (["[1e39]", "[1]"], [0], "'1e39' is too large.", "Write numbers between -3.4e38 and 3.4e38, or null."),
        (["[]", "[null, NaN]"], [0], "no row has a series.", "Remove the column from the file, or fill it in."),
        ([None], [0], "no row has a series.", "Remove the column from the file, or fill it in."),
    ],
)
def test_cells_that_are_no_series_are_named(values, rows, what, fix):
    (fault,) = TimeSeries().faults(cells(*values))
    assert (fault.rows.tolist(), fault.what, fault.fix) == (rows, what, fix)


def test_list_without_numbers_is_a_missing_series():
    lists = cells("[]", "[null, 2]", '["null"]', "(NaN; none)", None, "[nanny]")
    assert TimeSeries(missing="drop").missing_cells(lists).tolist() == [True, False, True, True, True, False]
    table = pd.DataFrame({"pulse": lists, "hour": cells(*["[1, 2]"] * 6)})
    assert TimeSeries(columns=("pulse",), time="hour").missing_cells(table).tolist() == [True, False, True, True, True, False]
    (fault,) = TimeSeries(missing="error").faults(lists[:5])
    assert (fault.rows.tolist(), fault.what) == ([0, 2, 3, 4], "the cell is empty.")


@pytest.mark.parametrize(
    ("times", "step", "what"),
    [
        ("[1, 2]", 0.0, "the series '[70, 72, 75]' of 'pulse' has 3 values, and 2 times"),
        ("[1, 2]", 1.0, "the series '[70, 72, 75]' of 'pulse' has 3 values, and 2 times"),
        ("[1, 3, 2]", 0.0, "the times '[1, 3, 2]' are not in order"),
    ],
)
@pytest.mark.usefixtures("tensorflow")
def test_values_without_times_and_times_out_of_order_are_refused(times, step, what):
    column = TimeSeries(columns=("pulse",), time="hour", step=step)
    usual = pd.DataFrame({"pulse": cells("[70, 72]", None), "hour": cells("[1, 2]", "[5]")})
    table = pd.DataFrame({"pulse": cells("[1]", "[70, 72, 75]"), "hour": cells("[2]", times)})
    with pytest.raises(DataError, match=re.escape(what)):
        column.fit([usual, table])
    fitted = column.fit([usual])
    raw = fitted.raw(table)
    (remark,) = column.remarks(table, raw, fitted.preprocessing()(raw)[0].numpy())
    assert (remark.rows.tolist(), remark.what) == ([1], what)
    assert remark.fix, "the row is refused"


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("cell", "what"), [("[70, x]", "'x' in '[70, x]' is not a number"), ("[1e39]", "'1e39' is too large")])
def test_row_with_a_series_that_cannot_be_read_is_refused_when_it_is_predicted(cell, what):
    column = TimeSeries(column="pulse")
    fitted = column.fit([cells("[70, 72]", None)])
    lists = cells("[71]", cell, None)
    raw = fitted.raw(lists)
    first, second = column.remarks(lists, raw, fitted.preprocessing()(raw)[0].numpy())
    assert (first.rows.tolist(), first.what, bool(first.fix)) == ([1], what, True)
    assert (second.rows.tolist(), second.fix) == ([2], ""), "a missing series is predicted"


def test_series_that_are_cut_are_told():
    (doubt,) = TimeSeries(most=2, keep="first").doubts(cells("[1, 2]", "[1, 2, 3]"))
    assert (doubt.rows.tolist(), doubt.what) == ([1], "the series has 3 steps, and the first 2 of them are read.")
    assert TimeSeries(most=2, time="t", step=1.0).doubts(cells("[1, 2, 3]")) == [], "values of one step are averaged"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"step": 1.0}, "`step` needs `time`"), ({"columns": ("a", "a")}, "name each header once"), ({"column": "a", "time": "a"}, "once")],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TimeSeries(**options)


@pytest.mark.usefixtures("tensorflow")
def test_list_becomes_steps_with_flags_and_zeros_behind_the_last():
    fitted = TimeSeries(column="pulse").fit([cells("[1, null, 3]", None), cells("[5]")])
    assert (fitted.length, fitted.longest, fitted.center, fitted.missing) == (3, 3, (3,), 1)
    assert fitted.spec == SequenceSpec(3, 1)
    deviation = np.sqrt(8 / 3)
    assert fitted.scale == pytest.approx((deviation,))
    steps, present = encoded(fitted, cells("[1, null, 3]", '["3"]', None, "[]", "[x, 3]"))
    low = round(float(np.float32(-2 / deviation)), 4)
    assert steps[0] == [[pytest.approx(low, abs=1e-4), 1], [0, 0], [0, 1]]
    assert steps[1] == [[0, 1], [0, 0], [0, 0]]
    assert steps[2] == steps[3] == [[0, 0]] * 3
    assert steps[4] == [[0, 0], [0, 1], [0, 0]]
    assert present == [1, 1, 0, 0, 1]
    assert fitted.says_nothing(np.zeros((1, 3, 2)))


TABLE = pd.DataFrame(
    {
        "pulse": ["[60, 70, null, 90]", "[80]", None],
        "pressure": ["[100, null, null, 120]", None, None],
        "hour": ["[0, 0.5, 1, 3]", "[7]", None],
    },
    dtype="str",
)
BOTH = {"columns": ("pulse", "pressure"), "time": "hour", "normalize": "none"}


@pytest.mark.usefixtures("tensorflow")
def test_events_of_several_values_have_the_time_since_the_step_before():
    fitted = TimeSeries(**BOTH).fit([TABLE])
    assert fitted.spec == SequenceSpec(3, 2, timed=True)
    steps, present = encoded(fitted, TABLE)
    half, since = np.log1p(0.5), np.log1p(2.5)
    # The time without any value is no step.
    assert steps[0] == [
        [60, 100, 1, 1, 0],
        [70, 0, 1, 0, pytest.approx(half, abs=1e-4)],
        [90, 120, 1, 1, pytest.approx(since, abs=1e-4)],
    ]
    assert steps[1][0] == [80, 0, 1, 0, 0]
    assert present == [1, 1, 0]
    assert TimeSeries(**BOTH).missing_cells(TABLE).tolist() == [False, False, True]


@pytest.mark.usefixtures("tensorflow")
def test_values_between_two_steps_are_averaged_and_empty_steps_masked():
    fitted = TimeSeries(**BOTH, step=1.0).fit([TABLE])
    assert (fitted.length, fitted.spec) == (4, SequenceSpec(4, 2))
    steps, _ = encoded(fitted, TABLE)
    assert steps[0] == [[65, 100, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0], [90, 120, 1, 1]]
    assert steps[1] == [[80, 0, 1, 0], *[[0, 0, 0, 0]] * 3], "counted from the first time of the row"
    fine = TimeSeries(columns=("x",), time="t", step=0.1, normalize="none")
    table = pd.DataFrame({"x": ["[1, 2]"], "t": ["[0.1, 0.4]"]}, dtype="str")
    assert fine.fit([table]).length == 4, "0.3 / 0.1 is 3 steps, whatever the last bit"


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("keep", "values"), [("last", [3, 4]), ("first", [1, 2])])
@pytest.mark.parametrize("grid", [{}, {"time": "t", "step": 1.0}])
def test_longer_series_are_cut_at_one_end(keep, values, grid):
    column = TimeSeries(columns=("x",), most=2, keep=keep, normalize="none", **grid)
    table = pd.DataFrame({"x": ["[1, 2, 3, 4]", "[9]"], "t": ["[5, 6, 7, 8]", "[0]"]}, dtype="str")[list(column.reads())]
    table = table if grid else table["x"]
    fitted = column.fit([table])
    assert (fitted.length, fitted.longest) == (2, 4)
    assert [step[0] for step in encoded(fitted, table)[0][0]] == values
    assert f"2 steps, the longest series has 4; the {keep} ones are read" in fitted.learned_words(column, str)


@pytest.mark.usefixtures("tensorflow")
def test_far_times_take_no_memory_for_the_steps_between():
    table = pd.DataFrame({"x": ["[1, 2]"], "t": ["[0, 1e12]"]}, dtype="str")
    fitted = TimeSeries(columns=("x",), time="t", step=0.001, most=3, normalize="none").fit([table])
    assert fitted.length == 3
    assert encoded(fitted, table)[0] == [[[0, 0], [0, 0], [2, 1]]]


@pytest.mark.usefixtures("tensorflow")
def test_fit_learns_the_same_from_pieces():
    assert TimeSeries(**BOTH).fit([TABLE.iloc[:1], TABLE.iloc[1:]]) == TimeSeries(**BOTH).fit([TABLE])


@pytest.mark.usefixtures("tensorflow")
def test_longer_series_have_drifted_and_explanations_start_from_the_steps_of_the_row():
    fitted = TimeSeries(column="x").fit([cells(*["[1, 2]", "[3]"] * 30, "[1, 2, 3, 4, 5, 6]")])
    learned, later = fitted.accumulator(), fitted.accumulator()
    for accumulator, cell in ((learned, "[1]"), (later, "[1, 2, 3, 4]")):
        steps, present = fitted.preprocessing()(fitted.raw(cells(*[cell, "[1, 2]"] * 40, None)))
        accumulator.add(SeenRows(entries=steps.numpy(), present=present.numpy()))
    assert (learned.statistics().rows, learned.statistics().missing, learned.statistics().mean) == (80, 1, 1.5)
    assert later.drift(learned.statistics())["mean"].startswith("the mean number of steps is 3, in training 1.5: ")
    start = fitted.baseline_entry(steps.numpy()[:1])
    assert start[0, :, 0].tolist() == [0] * 6
    assert start[0, :, 1].tolist() == [1, 1, 1, 1, 0, 0]
