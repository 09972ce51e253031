"""Columns that no method was made for: `inspect-data` says what it can say of them, and nothing ends in a traceback."""

import json
import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import paint, write_experiment, write_table

from mmtrain.commands.inspect_data import inspect_experiment, inspect_table, write_page
from mmtrain.errors import DataError
from mmtrain.text.dates import day_name, days

ROWS = 60
HARD = {
    "never": lambda row: "9999-12-31" if row % 7 == 0 else f"201{row % 10}-0{row % 9 + 1}-11",
    "always never": lambda row: "9999-12-31",
    "before 1677": lambda row: f"{1000 + 10 * row}-01-01",
    "year 0": lambda row: f"000{row % 2}-01-01",
    "never, at an hour": lambda row: f"9999-12-31T{row % 24:02}:00:00",
    "never, between slashes": lambda row: f"{row % 28 + 1}/{row % 12 + 1}/9999",
    "never, by name": lambda row: f"{row % 28 + 1}-Dec-9999",
    "no days": lambda row: f"2020-{row % 14:02}-{row % 33:02}",
    "19 digits": lambda row: 1234567890123456000 + 1000 * row,
    "16 digits": lambda row: 4000000000000000 + row,
    "40 digits": lambda row: 10**39 + row,
    "letter and 19 digits": lambda row: f"P{10**18 + row}",
    "constant": lambda row: "3.0",
    "nothing": lambda row: "",
    "once": lambda row: "5" if row == 3 else "",
    "ends of float32": lambda row: ("3.4e38", "-3.4e38")[row % 2],
    "near to nothing": lambda row: ("1e-320", "2e-320")[row % 2],
    "zero and minus zero": lambda row: ("0.0", "-0.0")[row % 2],
    "infinite once": lambda row: "inf" if row == 1 else row,
    "null characters": lambda row: ("a\0b", "c")[row % 2],
    "colours of a terminal": lambda row: f"\x1b[31m{row % 3}",
    "right to left": lambda row: f"\u202eabc{row % 3}",
}
ANSWERS = {
    "classes": (lambda row: "ab"[row % 2], {"task": "binary", "positive": "b"}),
    "numbers": (lambda row: row / 2, {"task": "regression"}),
    "one number": (lambda row: "3.0", {"task": "regression"}),
    "long numbers": (lambda row: 1234567890123456000 + 1000 * row, {"task": "regression"}),
}
ROLES = ("numeric", "categorical", "text", "id", "group", None)


def inspected(folder, hard, answer, role, *, given):
    """An inspection of a table with a hard column in a role, or in none; refusals are fine, all of it is written down."""
    cell, (answered, task) = HARD[hard], ANSWERS[answer]
    parts = ("train", "train", "validation", "test")
    write_table(
        folder / "table.csv",
        [{"x": row, "hard": cell(row), "part": parts[4 * row // ROWS], "y": answered(row)} for row in range(ROWS)],
    )
    columns = {"x": {"role": "numeric"}, "y": {"role": "target", **task}}
    columns |= {"hard": {"role": role}} if role else {}
    columns |= {"part": {"role": "split"}} if given else {}
    tree = {"columns": columns} | ({"split": {"method": "column"}} if given else {})
    path = write_experiment(folder / "clinic.yaml", tree)
    try:
        found = inspect_experiment(path)
    except DataError as error:
        assert error.problems
        return
    json.dumps(found.to_json(), allow_nan=False)
    write_page(found, folder / "page.html")


@pytest.mark.parametrize(
    ("hard", "answer", "role", "given"),
    [
        ("never", "classes", "categorical", True),
        ("never", "classes", None, False),
        ("before 1677", "numbers", "numeric", True),
        ("16 digits", "one number", "id", True),
        ("19 digits", "classes", "numeric", False),
        ("19 digits", "long numbers", "group", True),
        ("constant", "long numbers", "id", True),
        ("constant", "one number", "numeric", False),
        ("nothing", "one number", "text", True),
    ],
)
def test_a_hard_column_is_inspected(tmp_path, hard, answer, role, given):
    inspected(tmp_path, hard, answer, role, given=given)


@pytest.mark.slow
@pytest.mark.parametrize("hard", HARD)
def test_every_hard_column_in_every_role_beside_every_answer(tmp_path, hard):
    for answer in ANSWERS:
        for role in ROLES:
            inspected(tmp_path, hard, answer, role, given=random.Random(f"{hard} {answer} {role}").random() < 0.5)
    json.dumps(inspect_table(tmp_path / "table.csv").to_json(), allow_nan=False)


def test_a_date_may_be_of_any_year():
    cells = ["9999-12-31", "0001-01-01", "1969-12-31", "1970-01-02 12:00", "2023-02-29", "2024-02-29", "2024-13-01", "2024-01-01 24:00"]
    expected = [2932896, -719162, -1, 1.5, np.nan, 19782, np.nan, np.nan]
    assert days(pd.Series(cells, dtype="str")).tolist() == pytest.approx(expected, nan_ok=True)
    assert [day_name(day) for day in (2932896, -719162, -1, 1.5)] == ["9999-12-31", "0001-01-01", "1969-12-31", "1970-01-02"]


def test_a_date_of_any_year_in_a_parquet_table(tmp_path):
    moments = pa.array([253402214400 + row if row % 7 == 0 else 86400 * row for row in range(ROWS)], pa.timestamp("s"))
    columns = {"x": list(range(ROWS)), "seen": moments, "day": moments.cast(pa.date32()), "y": ["ab"[row % 2] for row in range(ROWS)]}
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    tree = {
        "data": {"table": "table.parquet"},
        "columns": {
            "x": {"role": "numeric"},
            "seen": {"role": "categorical"},
            "day": {"role": "categorical"},
            "y": {"role": "target", "task": "binary", "positive": "b"},
        },
    }
    found = inspect_experiment(write_experiment(tmp_path / "clinic.yaml", tree))
    assert found.problems == ()
    assert dict(found.columns[2].profile.frequent)["9999-12-31"] == 9
    assert found.columns[1].profile.dates == ROWS


def test_equal_rows_without_a_single_known_number(tmp_path):
    write_table(tmp_path / "table.csv", [{"x": row // 2, "z": row // 2 * 7, "dose": "much"} for row in range(60)])
    columns = {"x": {"role": "numeric"}, "z": {"role": "categorical"}, "dose": {"role": "target", "task": "regression"}}
    found = inspect_experiment(write_experiment(tmp_path / "clinic.yaml", {"columns": columns}))
    kinds = {finding.kind for finding in found.findings}
    assert "duplicate_rows" in kinds
    assert "conflicting_rows" not in kinds
    assert found.problems


def test_a_null_character_in_a_path_is_no_file(tmp_path):
    paint(tmp_path / "images" / "1.png", 5)
    write_table(tmp_path / "table.csv", [{"scan": f"a\0b/{row}", "x": row, "y": "ab"[row % 2]} for row in range(12)])
    assert {one.header: one.guess.role for one in inspect_table(tmp_path / "table.csv").columns}["scan"] != "image"
