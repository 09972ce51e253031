"""Dates: what is asked about, what is learned, and the numbers that the layer computes."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.columns import Date
from mmtrain.columns.summaries.base import SeenRows
from mmtrain.errors import DataError
from mmtrain.text.iso_dates import iso_texts


def cells(*values):
    return pd.Series(list(values), dtype="str")


ORDERS = "Set `format: day_first` or `format: month_first`, or write dates such as 2021-04-03."
WRITE = "Write dates such as 2024-03-31 or 2024-03-31 10:30, state their `format`, or leave the cell empty."
FAULTS = [
    ({}, ["03/04/2021"] * 2, [0, 1], "'03/04/2021' may be 3 April 2021 or 4 March 2021: no cell shows which number is the day.", ORDERS),
    ({}, ["13/04/2021", "4/13/2021"], [0, 1], "'13/04/2021' and '4/13/2021' have the day and the month in two orders.", None),
    ({}, ["13/04/2021", "soon", None], [1], "'soon' is not a date.", WRITE),
    ({}, ["2023-02-29"], [0], "'2023-02-29' is not a date.", WRITE),
    ({"format": "month_first"}, ["03/04/2021", "13/04/2021"], [1], "'13/04/2021' is not a date.", WRITE),
    ({"format": "%d.%m.%y"}, ["1.2.21", "2021-01-01"], [1], "'2021-01-01' does not have the format '%d.%m.%y'.", None),
    ({}, [None, None], [0], "no row has a date.", "Remove the column from the file, or fill it in."),
]


@pytest.mark.parametrize(("options", "values", "rows", "what", "fix"), FAULTS)
def test_dates_that_cannot_be_read_are_named(options, values, rows, what, fix):
    (fault,) = Date(**options).faults(cells(*values))
    assert (fault.rows.tolist(), fault.what) == (rows, what)
    assert fix is None or fault.fix == fix


@pytest.mark.parametrize(
    ("options", "cell", "iso"),
    [
        ({}, "2024-03-31", "2024-03-31T00:00:00"),
        ({}, "31.3.2024 10:30", "2024-03-31T10:30:00"),
        ({"day_first": True}, "03/04/2021", "2021-04-03T00:00:00"),
        ({"day_first": False}, "03/04/2021", "2021-03-04T00:00:00"),
        ({"format": "%d|%m|%y"}, "3|4|21", "2021-04-03T00:00:00"),
        ({"format": "%Y-%m-%dT%H:%M%z", "time_zone": "Europe/Vienna"}, "2024-07-01T00:30+0000", "2024-07-01T02:30:00"),
        ({}, "2024-07-01T00:30+02:00", "2024-06-30T22:30:00"),
        ({"time_zone": "Europe/Vienna"}, "2024-07-01T00:30Z", "2024-07-01T02:30:00"),
        ({"time_zone": "Europe/Vienna"}, "2024-07-01 00:30 UTC", "2024-07-01T02:30:00"),
        ({"time_zone": "Europe/Vienna"}, "2024-01-01 00:30:00 -05:00", "2024-01-01T06:30:00"),
        ({"time_zone": "Europe/Vienna"}, "2024-01-01 00:30", "2024-01-01T00:30:00"),
        ({"time_zone": "Europe/Vienna"}, "Tue Jan 05 23:30:00 +0000 2021", "2021-01-06T00:30:00"),
        ({}, "9999-12-31", "9999-12-31T00:00:00"),
        ({}, "30/02/2021", ""),
        ({}, None, ""),
    ],
)
def test_raw_dates_are_texts_of_iso_8601(options, cell, iso):
    assert iso_texts(cells(cell), **options).tolist() == [iso]


def test_time_without_an_offset_next_to_times_with_one_is_doubted():
    (doubt,) = Date(time_zone="Europe/Vienna").doubts(cells("2024-01-01 10:00", "2024-01-01T10:00Z"))
    assert doubt.rows.tolist() == [0]
    assert doubt.what == "'2024-01-01 10:00' has no offset from UTC, and other cells have one, such as '2024-01-01T10:00Z'."
    assert Date().doubts(cells("2024-01-01", "2024-01-01 10:00")) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time_zone": "Europe/Wien"}, "'Europe/Wien' is not a time zone"),
        ({"format": "dmy"}, "'dmy' is not a format. Write day_first, month_first, or a pattern"),
        ({"format": "%d/%q"}, "'%d/%q' is not a format: 'q' is a bad directive in format"),
        ({"column": "seen", "since": "seen"}, "`since` names the column itself"),
        ({"parts": ("day", "day")}, "a part is named twice"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Date(**options)


@pytest.mark.usefixtures("tensorflow")
def test_order_of_day_and_month_is_learned_from_training_rows_and_kept():
    fitted = Date(column="seen").fit([cells("03/04/2021"), cells("13/04/2021")])
    assert fitted.day_first is True
    assert fitted.raw(cells("05/06/2021")).tolist() == [["2021-06-05T00:00:00"]], "a table of one row says nothing about the order"
    assert Date().fit([cells("2021-04-03")]).day_first is None
    with pytest.raises(DataError, match="seen: the training rows have dates such as '03/04/2021', and none of them shows"):
        Date(column="seen").fit([cells("03/04/2021")])


@pytest.mark.usefixtures("tensorflow")
def test_days_and_parts_of_the_calendar_are_those_of_pandas():
    from mmtrain.layers.numbers.dates import numbers_of

    days = np.concatenate([np.random.default_rng(0).integers(-100_000, 100_000, 2000), [-719_162, 2_932_896]])  # years 1 and 9999
    moments = days.astype("datetime64[D]").astype("datetime64[s]") + np.arange(len(days)) * 43 % 86_400
    raw = np.datetime_as_string(moments, unit="s")[:, None]
    known = pd.DatetimeIndex(moments)
    found = numbers_of(raw, ("days", "year", "month", "day", "weekday", "hour"), cyclic=False)
    seconds = moments.astype(np.int64)
    hour = known.hour + known.minute / 60 + known.second / 3600
    expected = [seconds / 86_400, known.year, known.month - 1, known.day - 1, known.day_of_week, hour]
    assert np.allclose(found, np.stack(expected, axis=1), rtol=1e-12, atol=1e-9)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    "text", ["2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-01-01T25:00", "", "30.2.2024", "01/03/2024", "soon"]
)
def test_text_that_is_not_a_date_is_missing(text):
    fitted = Date(parts=("days",), missing="mask").fit([cells("2024-01-01", "2024-01-03")])
    encoded, present = fitted.preprocessing()(np.array([[text], ["2024-01-03"]], dtype=object))
    assert encoded.numpy().tolist() == [[0], [1]]
    assert present.numpy().tolist() == [[0], [1]]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(
    ("day_first", "text"),
    [
        (None, "2024-1-3"),
        (None, "3.1.2024"),
        (None, "2024/01/03 00:00"),
        (True, "03/01/2024"),
        (False, "1/3/2024, 0:00:00"),
        (None, "2024-01-03T00:00:00.5Z"),
    ],
)
def test_saved_model_reads_usual_dates_of_numbers(day_first, text):
    fitted = Date(parts=("days",)).fit([cells("2024-01-01", "2024-01-03")]).model_copy(update={"day_first": day_first})
    encoded, _ = fitted.preprocessing()(np.array([[text]], dtype=object))
    assert encoded.numpy().tolist() == [[1]]
    assert ("31/03/2024" in fitted.recipe().raw) is bool(day_first)


@pytest.mark.usefixtures("tensorflow")
def test_cyclic_parts_lie_on_a_circle_and_a_missing_date_is_the_mean_with_a_flag():
    column = Date(parts=("weekday", "days"))
    fitted = column.fit([cells("2024-01-01", "2024-01-08", None)])  # two Mondays
    assert (fitted.parts, fitted.spec.width, fitted.missing, fitted.spec.embed) == (("days", "weekday"), 4, 1, "auto")
    encoded, present = fitted.preprocessing()(fitted.raw(cells("2024-01-07", None)))
    sunday = 2 * np.pi * 6 / 7
    assert encoded.numpy() == pytest.approx(np.array([[2.5 / 3.5, np.sin(sunday), np.cos(sunday), 0], [0, 0, 1, 1]]), abs=1e-6)
    assert present.numpy().tolist() == [[1], [1]]
    assert np.isnan(fitted.features(encoded.numpy(), present.numpy())).tolist() == [[False] * 3, [True] * 3]
    assert "2024-01-01 to 2024-01-08; days and weekday; missing in 1 training row" in fitted.learned_words(column, str)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("zone", "known"), [("", 1.0), ("UTC", 1.0), ("Europe/Vienna", 0.0)])
def test_saved_model_of_another_time_zone_does_not_read_a_time_of_utc_as_a_local_one(zone, known):
    fitted = Date(time_zone=zone, missing="mask").fit([cells("2024-01-01 10:30", "2024-07-01 11:30")])
    _, present = fitted.preprocessing()(np.array([["2024-07-01T00:30Z"], ["2024-07-01T00:30"]]))
    assert present.numpy().ravel().tolist() == [known, 1.0]


@pytest.mark.usefixtures("tensorflow")
def test_hours_are_read_where_training_rows_have_times():
    assert Date().fit([cells("2024-01-01", "2024-01-02")]).parts == ("days", "month", "day", "weekday")
    assert Date().fit([cells("2024-01-01", "2024-01-02 10:30")]).parts == ("days", "month", "day", "weekday", "hour")


@pytest.mark.usefixtures("tensorflow")
def test_two_orders_of_day_and_month_under_two_headers_are_refused():
    table = pd.DataFrame({"seen": cells("31/01/2024"), "born": cells("01/31/2000")})
    with pytest.raises(DataError, match="of seen and born have the day and the month in two orders"):
        Date(column="seen", since="born").fit([table])


@pytest.mark.usefixtures("tensorflow")
def test_days_are_counted_from_another_column():
    column = Date(column="seen", since="born", parts=("days",))
    table = pd.DataFrame({"seen": ["2024-01-11", "2024-01-31", "2024-01-01"], "born": ["2024-01-01", "2024-01-01", None]}, dtype="str")
    fitted = column.fit([table])
    assert (fitted.center, fitted.scale, fitted.missing) == ((20.0,), (10.0,), 1)
    assert column.missing_cells(table).tolist() == [False, False, True]
    encoded, _ = fitted.preprocessing()(fitted.raw(table))
    assert encoded.numpy().tolist() == [[-1, 0], [1, 0], [0, 1]]
    assert fitted.recipe().cell == {"seen": "2024-01-11", "born": "2024-01-11"}


@pytest.mark.usefixtures("tensorflow")
def test_dates_after_those_of_training_have_drifted():
    fitted = Date().fit([cells("2024-01-01", "2024-01-31")])
    learned = fitted.accumulator()
    learned.add(SeenRows(raw=fitted.raw(cells(*pd.date_range("2024-01-01", periods=100).strftime("%Y-%m-%d")))))
    statistics = learned.statistics()
    assert (statistics.rows, statistics.first, statistics.median, statistics.last) == (100, 19723, 19772.5, 19822)
    later = fitted.accumulator(statistics)
    later.add(SeenRows(raw=fitted.raw(cells(*["2024-02-01"] * 50, *["2025-01-01"] * 50))))
    assert later.drift(statistics) == {"range": "50% of the dates lie outside those of training, 2024-01-01 to 2024-04-09."}


@pytest.mark.usefixtures("tensorflow")
def test_cell_that_is_not_a_date_is_refused_when_it_is_predicted():
    column = Date(column="seen")
    fitted = column.fit([cells("2024-01-01", "2024-01-31")])
    later = cells("2024-02-01", "soon", None)
    remarks = column.remarks(later, fitted.raw(later), np.zeros((3, fitted.spec.width)))
    assert [(remark.rows.tolist(), remark.what, bool(remark.fix)) for remark in remarks] == [
        ([1], "'soon' is not a date", True),
        ([2], "missing, imputed", False),
    ]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "the mean training date, 2021-01-03"),
        ({"parts": ["year", "month"]}, "the mean training year, 2021"),
        ({"parts": ["month"]}, "zero"),
    ],
)
def test_explanations_start_from_the_mean_date(options, words):
    assert Date(column="seen", **options).fit([cells("2021-01-01", "5.1.2021", None)]).baseline_words(None) == words
