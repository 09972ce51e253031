"""Blanks around names, and names that are nearly spelled alike."""

import sys
from functools import cache

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tiny import write_experiment, write_table

from mmtrain.audit.quality.misspelt_names import misspelt
from mmtrain.commands.check import check
from mmtrain.commands.inspect_data import inspect_experiment, inspect_table
from mmtrain.errors import DataError
from mmtrain.text.spelling import BLANKS, WHITE_SPACE, few_strings, keys, rounded, trimmed


@cache
def characters():
    return [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


def test_blanks_are_white_space_of_every_script_and_what_has_no_ink():
    assert set(WHITE_SPACE) == {character for character in characters() if character.isspace()}
    assert set("\u200b\u200d\u200e\u2060\ufeff\u00ad") < set(BLANKS)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("side", ["behind", pytest.param("before", marks=pytest.mark.slow)])
def test_the_layer_of_the_saved_model_cuts_off_what_the_table_does(side):
    import tensorflow as tf

    from mmtrain.layers.encoding import EncodeCategories

    cells = [f"a{character}" if side == "behind" else f"{character}a" for character in characters()]
    same = np.array(trimmed(pa.array(cells, pa.large_string())).to_pylist()) == "a"
    codes, _ = EncodeCategories(categories=[["a"]], masked=[False])(tf.constant(cells)[:, None])
    assert same.sum() == len(BLANKS)
    np.testing.assert_array_equal(codes[:, 0], np.where(same, 2, 1))


@pytest.mark.usefixtures("tensorflow")
def test_the_layer_takes_a_category_of_blanks_for_a_missing_one_and_bytes_that_are_not_text_for_unseen():
    import tensorflow as tf

    from mmtrain.layers.encoding import EncodeCategories

    codes, present = EncodeCategories(categories=[["a"]], masked=[True])(tf.constant([[b" \xe2\x80\x8b\t"], [b""], [b" a "], [b" \xff"]]))
    assert codes.numpy().ravel().tolist() == [0, 0, 2, 1]
    assert present.numpy().ravel().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("alike", "key"),
    [
        (["P7", "p7", " P7", "\uff30\uff17", "P\u200b7"], "p7"),
        (["7", "007", "7.0", "7.", "+7", "\uff17"], "7"),
        (["-7.5", "-07.50", "\u22127.5"], "-7.5"),
        (["0", "00", "0.0"], "0"),
        (["New York", "new  york", "New\u00a0York", "NEW YORK"], "new york"),
        (["Zo\u00eb", "Zoe\u0308", "ZO\u00cb"], "zo\u00eb"),
        (["Stra\u00dfe", "STRASSE"], "strasse"),
        (["a-1", "A\u20131", "a\u20111"], "a-1"),
        (["O'Neil", "O\u2019Neil"], "o'neil"),
        (["", " ", "\u200b"], ""),
    ],
)
def test_near_spellings_have_one_key(alike, key):
    assert keys(pa.array(alike, pa.large_string())).to_pylist() == [key] * len(alike)


def test_few_names_have_the_keys_of_many():
    """Python reads few names, Arrow many."""
    names = ["P7", " p7\t", "007", "+7.0", "-0.50", "new  york", "a\tb", "1.2.0", "", " ", "1.23457E+14", "-5,1e+12", "1e5"]
    few, many = pa.array(names, pa.large_string()), pa.array([*names, *map(str, range(200))], pa.large_string())
    assert few_strings(few) == names
    assert few_strings(many) is None
    assert few_strings(pa.array(["a", None], pa.large_string())) is None
    assert few_strings(pa.array(["\u00eb"], pa.large_string())) is None
    assert keys(few).to_pylist() == keys(many).to_pylist()[: len(names)]
    assert rounded(few).to_pylist() == rounded(many).to_pylist()[: len(names)]


@pytest.mark.parametrize("cells", [["a", "b "], ["a", "\u00a0b"], ["a", None, "\tb"], ["a", "b"], ["a b", "~!"], ["", None], []])
def test_ends_are_trimmed_whether_or_not_the_bytes_show_it(cells):
    texts = pa.array(["x ", *cells, " x"], pa.large_string()).slice(1, len(cells))
    assert trimmed(texts).to_pylist() == [None if cell is None else cell.strip() for cell in cells]


def test_other_names_have_keys_of_their_own():
    others = [
        "P7",
        "P07",
        "P 7",
        "P-7",
        "P_7",
        "7",
        "70",
        "-7",
        "7.01",
        "7,0",
        "1.2.0",
        "A+",
        "A-",
        "12345678901234567",
        "12345678901234568",
    ]
    assert len(set(keys(pa.array(others, pa.large_string())).to_pylist())) == len(others)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        *[("1.23457E+14", True), ("1,23457E+14", True), ("1.2345678901234568e+17", True), ("5E+10", True)],
        *[("12E4", False), ("1E5", False), ("1.5e-07", False), ("E+14", False), ("123457", False)],
    ],
)
def test_a_rounded_id_is_recognised(cell, expected):
    assert rounded(pa.array([cell], pa.large_string())).to_pylist() == [expected]


# In a table


TREE = {
    "columns": {
        "case": {"role": "id"},
        "patient": {"role": "group"},
        "site": {"role": "categorical"},
        "x": {"role": "numeric"},
        "y": {"role": "target", "task": "binary"},
    },
}


def clinic(folder, form="csv", **columns):
    """40 patients of three rows each."""
    number = np.arange(120)
    table = pd.DataFrame({"case": [f"C{row}" for row in number], "patient": [f"P{row // 3:03}" for row in number]})
    table["site"], table["x"], table["y"] = np.where(number % 2, "arm", "leg"), number % 17, np.where(number // 3 % 2, "yes", "no")
    for header, cells in columns.items():
        table[header] = [cells(row) for row in number.tolist()]
    if form == "csv":
        table.to_csv(folder / "table.csv", index=False)
    else:
        table.to_parquet(folder / "table.parquet")
    return write_experiment(folder / "study.yaml", TREE | {"data": {"table": f"table.{form}"}})


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_patient_with_a_blank_behind_is_the_same_patient(tmp_path, form):
    blanks = ("", " ", "\u00a0")
    path = clinic(
        tmp_path, form, patient=lambda row: f"P{row // 3:03}{blanks[row % 3]}", site=lambda row: ("arm", "arm ", "leg", "\tleg")[row % 4]
    )
    checked = check(path)
    assert sum(part.groups for part in checked.summary) == 40
    assert checked.notes == ()


def test_ids_that_differ_by_a_blank_are_duplicates(tmp_path):
    with pytest.raises(DataError) as error:
        check(clinic(tmp_path, case=lambda row: "C0 " if row == 7 else f"C{row}"))
    (problem,) = error.value.problems
    assert (problem.where, problem.what) == ("table.csv:9: case", "the id 'C0' occurs more than once.")


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        (
            "patient",
            lambda row: f"p{row // 3:03}" if row in (0, 4) else f"P{row // 3:03}",
            "warning: table.csv: patient: 2 names are spelled in several ways, such as 'p000' and 'P000': 6 rows.",
        ),
        (
            "patient",
            lambda row: ("007", "7", "7.0")[row] if row < 3 else f"P{row // 3:03}",
            "warning: table.csv: patient: 1 name is spelled in several ways, such as '007' and '7': 3 rows.",
        ),
        (
            "case",
            lambda row: "c1" if row == 9 else f"C{row}",
            "warning: table.csv: case: 1 name is spelled in several ways, such as 'C1' and 'c1': 2 rows.",
        ),
        (
            "site",
            lambda row: "Leg" if row == 8 else "leg",
            "note: table.csv: site: 1 name is spelled in several ways, such as 'leg' and 'Leg': 120 rows.",
        ),
        (
            "patient",
            lambda row: "1.23457E+14" if row < 4 else f"P{row // 3:03}",
            "warning: table.csv: patient: 4 cells look like a long number that a spreadsheet has rounded, such as '1.23457E+14'.",
        ),
    ],
)
def test_check_and_inspect_tell_of_near_spellings(tmp_path, header, cells, expected):
    path = clinic(tmp_path, **{header: cells})
    (notice,) = check(path).notes
    assert notice.startswith(f"{expected} ")
    kinds = ("near_spellings", "rounded_ids")
    for findings in (inspect_experiment(path).findings, inspect_table(tmp_path / "table.csv").findings):
        (found,) = (one for one in findings if one.kind in kinds)
        assert expected.startswith(f"{found.level}: table.csv: {found.where}: ")
        assert found.what.startswith(expected.partition(f"{header}: ")[2])


@pytest.mark.parametrize(
    ("wrong", "right", "alike"),
    [
        ("Dreses", "Dresses", True),
        ("left shuolder", "left shoulder", True),
        ("shouldar", "shoulder", True),
        ("shoulders", "shoulder", True),
        ("lift", "left", False),  # short words are often different ones
        ("Zambia", "Gambia", False),  # the first letter
        ("grade3", "grade2", False),
        ("type B", "type A", False),
        ("anemic", "anaemia", False),  # two edits
        ("upper arm", "upperarm", False),
    ],
)
def test_rare_names_one_edit_away_from_a_frequent_one_are_misspelt(wrong, right, alike):
    assert misspelt(["elsewhere", wrong, right], np.array([50, 2, 40])) == ([(1, 2)] if alike else [])
    assert misspelt([wrong, right], np.array([30, 40])) == []


def test_check_and_inspect_name_misspelt_categories_and_classes(tmp_path):
    rows = [{"x": row, "site": ("shoulder", "wrist")[row % 2], "y": ("fracture", "sprain")[row // 2 % 2]} for row in range(120)]
    rows[5]["site"] = "sholder"
    for row in (0, 1, 4, 5):
        rows[row]["y"] = "fractur"
    write_table(tmp_path / "table.csv", rows)
    columns = {"x": {"role": "numeric"}, "site": {"role": "categorical"}, "y": {"role": "target", "task": "multiclass"}}
    path = write_experiment(tmp_path / "clinic.yaml", {"columns": columns})
    expected = "misspelt names (2): y: 'fractur' may mean 'fracture': 4 rows; site: 'sholder' may mean 'shoulder': 1 row. "
    assert [note for note in check(path).notes if note.startswith(f"note: table.csv: {expected}")] != []
    findings = [one for one in inspect_experiment(path).findings if one.kind == "misspelt_names"]
    assert [(one.where, one.level, one.count) for one in findings] == [("site", "note", 1), ("y", "note", 4)]


def test_a_pair_is_named_also_among_very_many_names(tmp_path, monkeypatch):
    monkeypatch.setattr("mmtrain.audit.read_values.MOST_NAMES", 10)
    (note,) = check(clinic(tmp_path, case=lambda row: "c100" if row == 110 else f"C{row}")).notes
    assert note.startswith("warning: table.csv: case: 1 name is spelled in several ways, such as 'C100' and 'c100': 2 rows. ")


def test_spellings_that_stand_on_two_sides_are_counted(tmp_path):
    parts = ("train", "validation", "test")
    path = clinic(tmp_path, patient=lambda row: f"{'pP'[row % 2]}{row // 2}" if row < 20 else f"Q{row}", part=lambda row: parts[row % 3])
    tree = TREE | {"columns": TREE["columns"] | {"part": {"role": "split"}}, "split": {"method": "column"}}
    (notice,) = check(write_experiment(path, tree)).notes
    assert "10 names are spelled in several ways, such as 'p0' and 'P0': 20 rows. The spellings of 10 of them are on two sides" in notice


@pytest.mark.parametrize(
    ("target", "cells", "expected"),
    [
        (
            {"task": "multiclass"},
            lambda row: ("Flu", "flu", "cold", "none of them")[row % 4],
            "warning: table.csv: y: 1 class is spelled in several ways, such as 'Flu' and 'flu': 20 rows. ",
        ),
        (
            {"task": "multiclass"},
            lambda row: ("007", "7", "8", "8.0", "heart  rate", "heart rate")[row % 6],
            "warning: table.csv: y: 3 classes are spelled in several ways, such as '007' and '7': 40 rows. ",
        ),
        (
            {"task": "multilabel", "separator": ";"},
            lambda row: ("Red;blue", "red", "", "blue")[row % 4],
            "warning: table.csv: y: 1 label is spelled in several ways, such as 'Red' and 'red': 20 rows. ",
        ),
    ],
)
def test_check_and_inspect_tell_of_classes_that_are_spelled_nearly_alike(tmp_path, target, cells, expected):
    write_table(tmp_path / "table.csv", [{"x": row, "y": cells(row)} for row in range(40)])
    tree = {"columns": {"x": {"role": "numeric"}, "y": {"role": "target", **target}}}
    path = write_experiment(tmp_path / "clinic.yaml", tree)
    (notice,) = check(path).notes
    assert notice.startswith(expected)
    (found,) = (one for one in inspect_experiment(path).findings if one.kind == "near_spellings")
    assert (found.where, found.level) == ("y", "warning")
    assert notice.endswith(f"y: {found.what} {found.why} {found.fix}")


def test_labels_that_are_headers_are_told_apart_by_their_names(tmp_path):
    write_table(tmp_path / "table.csv", [{"x": row, "Red": row % 2, "red": row % 3 % 2} for row in range(40)])
    target = {"role": "target", "task": "multilabel", "labels": ["Red", "red"]}
    path = write_experiment(tmp_path / "clinic.yaml", {"columns": {"x": {"role": "numeric"}, "y": target}})
    assert check(path).notes == ()
