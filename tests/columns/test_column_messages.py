"""Faults and doubts of cells, with the rows and the whole text: dates, and series with and without times."""

import pandas as pd
import pytest

from mmtrain.columns import Date, TimeSeries
from mmtrain.columns.summaries.base import SeenRows


def cells(*values):
    return pd.Series(list(values), dtype="str")


FAULTS = [
    (
        TimeSeries(column="x"),
        ["[1, a]"],
        ([0], "'a' in '[1, a]' is not a number.", "Write lists such as [70, 72.5, null], null for a missing number."),
    ),
    (TimeSeries(column="x"), ["[1]", "[1, 1e300]"], ([1], "'1e300' is too large.", "Write numbers between -3.4e38 and 3.4e38, or null.")),
    (
        Date(column="x"),
        ["01/02/2024", "03/04/2024"],
        (
            [0, 1],
            "'01/02/2024' may be 1 February 2024 or 2 January 2024: no cell shows which number is the day.",
            "Set `format: day_first` or `format: month_first`, or write dates such as 2021-04-03.",
        ),
    ),
]
DOUBTS = [
    (
        TimeSeries(column="x", most=2),
        ["[1, 2, 3]", "[1]"],
        (
            [0],
            "the series has 3 steps, and the last 2 of them are read.",
            "Raise `most` to read more of them, or set `step` to average some.",
        ),
    ),
    (
        Date(column="x"),
        ["2024-01-01T00:00+02:00", "2024-01-01T00:00"],
        (
            [1],
            "'2024-01-01T00:00' has no offset from UTC, and other cells have one, such as '2024-01-01T00:00+02:00'.",
            "It is read as a time of UTC; write an offset in every cell if it is not.",
        ),
    ),
]
TIMES = [
    ("[1]", "the series '[1, 2]' of 'x' has 2 values, and 1 time.", "Write a time for each value, or null."),
    (
        "[2, 1]",
        "the times '[2, 1]' are not in order.",
        "Sort the lists by time; of a second table, name the header as its `time` as well.",
    ),
]


def as_tuples(errors):
    return [(error.rows.tolist(), error.what, error.fix) for error in errors]


@pytest.mark.parametrize(("column", "values", "fault"), FAULTS)
def test_cells_that_cannot_be_read(column, values, fault):
    assert as_tuples(column.faults(cells(*values))) == [fault]


@pytest.mark.parametrize(("column", "values", "doubt"), DOUBTS)
def test_cells_that_probably_mean_something_else(column, values, doubt):
    assert as_tuples(column.doubts(cells(*values))) == [doubt]


@pytest.mark.parametrize(("times", "what", "fix"), TIMES)
def test_times_of_a_series(times, what, fix):
    faults = TimeSeries(column="x", time="t")._time_faults({"x": cells("[1, 2]"), "t": cells(times)})
    assert as_tuples(faults) == [([0], what, fix)]


@pytest.mark.parametrize("part", ["raw", "entries", "present"])
def test_rows_without_what_a_summary_reads(part):
    with pytest.raises(ValueError, match=rf"^a summary of these rows needs `{part}`\.$"):
        SeenRows().require(part)
