"""What `inspect-data` says of tables as people have them: honest ones without alarm, and faults that only some cells show."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets
from tiny import write_experiment

from mmtrain.audit.finding import Finding, by_kind
from mmtrain.cli.app import run
from mmtrain.commands.inspect_data import inspect_experiment, inspect_table, write_page

ROWS = 600


def table(**columns):
    """A number and an answer that know nothing of each other, and further columns."""
    random = np.random.default_rng(5)
    return pd.DataFrame({"a": random.normal(50, 9, ROWS).round(1), "y": random.choice(["no", "yes"], ROWS), **columns})


def found_in(folder, frame, task="", **roles):
    """The findings on a table with these roles, and on the answer `y`, of two classes or more where no task is given."""
    frame.to_csv(folder / "table.csv", index=False)
    target = {"role": "target", "task": task or ("binary" if frame["y"].nunique() == 2 else "multiclass")}
    columns = {"a": {"role": "numeric"}} | {header: {"role": role} for header, role in roles.items()} | {"y": target}
    return inspect_experiment(write_experiment(folder / "study.yaml", {"columns": columns})).findings


def kinds(findings):
    return {(one.level, one.kind, one.where) for one in findings if one.kind not in ("rare_class", "order_tells_label")}


# Honest tables


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris", pytest.param("digits", marks=pytest.mark.slow), "diabetes"])
def test_honest_tables_have_neither_errors_nor_warnings(tmp_path, name):
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    if name != "diabetes":
        frame["target"] = frame["target"].map("class {}".format)
    frame.to_csv(tmp_path / "table.csv", index=False)
    findings = inspect_table(tmp_path / "table.csv").findings
    assert [(one.level, one.kind, one.where) for one in findings if one.level != "note"] == []
    assert "almost without fail" not in " ".join(one.what for one in findings)


@pytest.mark.parametrize(
    ("distance", "expected", "how"),
    [
        (1.8, None, ""),
        (2.6, ("note", "strong_column"), "well: AUC 0.9"),
        (3.4, ("warning", "gives_answer_away"), "almost without fail: AUC 0.99"),
        (8.0, ("error", "gives_answer_away"), "without fail: AUC 1.000"),
    ],
)
def test_the_words_for_a_column_that_predicts_go_by_how_well_it_does(tmp_path, distance, expected, how):
    frame = table()
    frame["b"] = np.random.default_rng(0).normal(0, 1, ROWS) + distance * (frame["y"] == "yes")
    findings = [one for one in found_in(tmp_path, frame, b="numeric") if one.where == "b"]
    assert [(one.level, one.kind) for one in findings] == ([expected] if expected else [])
    assert all(one.what.startswith(f"the column alone predicts 'y' {how}") for one in findings)


def sparse(random, share):
    return np.where(random.random(ROWS) < share, random.integers(1, 9, ROWS), 0)


def test_columns_that_share_their_zeros_are_not_equal(tmp_path):
    random = np.random.default_rng(0)
    frame = table(**{f"z{place}": sparse(random, 0.004) for place in range(8)})
    frame["huge"], frame["vast"] = sparse(random, 0.02), sparse(random, 0.02)
    frame.loc[7, ["huge", "vast"]] = 1_000_000, 2_000_000  # one row in which both are far out makes a correlation of 1
    roles = dict.fromkeys([header for header in frame if header not in ("a", "y")], "numeric")
    assert "equal_columns" not in {one.kind for one in found_in(tmp_path, frame, **roles)}


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_sparse_columns_that_are_equal_are_told(tmp_path, share):
    first = sparse(np.random.default_rng(0), share)
    second = np.where(np.arange(ROWS) == first.argmax(), 0, first) if share > 0.01 else first  # one slip
    findings = found_in(tmp_path, table(b=first, c=second), b="numeric", c="numeric")
    assert ("warning", "equal_columns", "b, c") in kinds(findings)


NAMES = [f"Universitätsklinikum Sankt {saint}, Abteilung für Neurologie, {town}" for saint in "ABCDE" for town in ("Köln", "Bonn")]
SENTENCES = [f"The patient was seen again after {number} weeks and had no complaints at all, apart from a cough." for number in range(10)]


@pytest.mark.parametrize(("texts", "expected"), [(NAMES, set()), (SENTENCES, {"duplicate_texts"})], ids=["names", "sentences"])
def test_long_names_of_places_are_no_copies(tmp_path, texts, expected):
    others = [f"Other {number}, {number * 7}" for number in range(ROWS)]
    frame = table(note=[texts[row // 60] if row % 20 == 0 else others[row] for row in range(ROWS)])
    assert all(len(text) >= 60 for text in texts)
    assert {one.kind for one in found_in(tmp_path, frame, note="text")} & {"duplicate_texts"} == expected


def test_heaps_that_are_the_classes_are_no_units(tmp_path):
    frame = table()
    frame["b"] = np.random.default_rng(0).normal(66, 3, ROWS) * np.where(frame["y"] == "yes", 2.54, 1)
    assert "mixed_units" not in {one.kind for one in found_in(tmp_path, frame, b="numeric")}


# What was missed


def test_a_value_that_goes_with_one_class_always_is_told(tmp_path):
    random = np.random.default_rng(0)
    y = random.choice(["nv", "mel", "bkl"], ROWS, p=[0.66, 0.17, 0.17])
    followed = (y == "nv") & (random.random(ROWS) < 0.4)
    frame = table().assign(y=y, confirmed=np.where(followed, "follow_up", random.choice(["histo", "consensus"], ROWS)))
    (finding,) = (one for one in found_in(tmp_path, frame, confirmed="categorical") if one.kind == "value_tells_class")
    assert (finding.level, finding.where) == ("warning", "confirmed")
    assert finding.what.startswith("some values occur with one answer of 'y' only: all of the ")
    assert " rows with 'follow_up' are 'nv', of all rows 6" in finding.what


def test_values_of_one_group_or_of_few_rows_and_of_chance_are_not_told(tmp_path):
    random = np.random.default_rng(0)
    frame = table()
    frame["ward"] = random.choice([f"W{number}" for number in range(25)], ROWS)
    frame.loc[frame["y"] == "yes", "ward"] = frame["ward"].replace("W3", "W4")  # some 12 rows of W3, all of them no
    frame["clinic"], frame["patient"] = "here", [f"P{row}" for row in range(ROWS)]
    frame.loc[:59, ["clinic", "patient", "y"]] = "there", "P0", "yes"
    findings = found_in(tmp_path, frame, ward="categorical", clinic="categorical", patient="group")
    assert "value_tells_class" not in {one.kind for one in findings}


ZIPS = [f"{number:05d}" for number in np.random.default_rng(0).integers(1000, 99999, ROWS)]


@pytest.mark.parametrize(
    ("header", "cells", "sign"),
    [
        ("home", ZIPS, "some begin with 0, such as '0"),
        ("zip_code", [int(cell) + 10_000 for cell in ZIPS], "the name says code."),
        ("ZIP", [int(cell) + 10_000 for cell in ZIPS], "the name says zip."),
        ("caller", [4_915_100_000_000 + int(cell) * 1000 for cell in ZIPS], "all have 13 digits."),
        ("price", [int(cell) + 100_000 for cell in ZIPS], None),
        ("seen", [1_700_000_000 + int(cell) for cell in ZIPS], None),
        ("length", [float(cell) / 7 for cell in ZIPS], None),
    ],
)
def test_numbers_that_are_codes(tmp_path, header, cells, sign):
    findings = found_in(tmp_path, table(**{header: cells}), **{header: "numeric"})
    assert kinds(findings) == ({("note", "codes_as_numbers", header)} if sign else set())
    assert all(one.what.startswith(f"the numbers look like codes: they are whole, and {sign}") for one in findings if one.where == header)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["?", "arm", "leg"], "200 cells read like a missing one: '?'."),
        (["-", "N/A", "arm"], "400 cells read like a missing one: '-' and 'N/A'."),
        (["None", "arm", "leg"], "200 cells read like a missing one: 'None'."),
        (["none", "arm", "leg"], ""),
        (["NA", "DE", "FR"], ""),
        (["NA", "arm", "leg"], "200 cells read like a missing one: 'NA'."),
    ],
)
def test_words_that_read_like_missing_among_categories(tmp_path, words, told):
    findings = [
        one for one in found_in(tmp_path, table(site=[words[row % 3] for row in range(ROWS)]), site="categorical") if one.where == "site"
    ]
    assert [(one.level, one.kind, one.what) for one in findings] == ([("note", "missing_words", told)] if told else [])


def test_question_marks_among_numbers_of_a_bare_table_are_a_note(tmp_path):
    frame = table()
    frame["b"] = np.where(np.arange(ROWS) < 30, "?", np.random.default_rng(0).normal(5, 1, ROWS).round(2).astype(str))
    frame.to_csv(tmp_path / "table.csv", index=False)
    assert kinds(inspect_table(tmp_path / "table.csv").findings) == {("note", "missing_words", "b")}


@pytest.mark.parametrize(
    ("numbers", "code", "expected"),
    [
        (lambda random: random.integers(18, 90, ROWS), -1, "missing_codes"),
        (lambda random: random.integers(18, 90, ROWS), 999, "missing_codes"),
        (lambda random: random.normal(0, 1, ROWS).round(2), -1, None),
        (lambda random: random.integers(0, 100, ROWS), 99, None),
    ],
)
def test_numbers_that_stand_for_a_missing_one(tmp_path, numbers, code, expected):
    random = np.random.default_rng(0)
    cells = np.where(random.random(ROWS) < 0.05, code, numbers(random))
    findings = found_in(tmp_path, table(b=cells), b="numeric")
    assert [(one.level, one.kind) for one in findings if one.where == "b"] == ([("warning", expected)] if expected else [])


@pytest.mark.parametrize(
    ("task", "answers", "code"),
    [
        ("regression", lambda random: random.integers(18, 90, ROWS), "999"),
        ("regression", lambda random: random.integers(18, 90, ROWS), "-1"),
        ("regression", lambda random: random.normal(0, 1, ROWS).round(2), None),
        ("multiclass", lambda random: random.integers(0, 2, ROWS), "-999"),
        ("multiclass", lambda random: random.integers(0, 2, ROWS), "9"),
        ("multiclass", lambda random: random.integers(0, 3, ROWS), None),
        ("multiclass", lambda random: random.choice(["low", "high"], ROWS), None),
        ("multiclass", lambda random: random.integers(0, 10, ROWS), None),
        ("multiclass", lambda random: random.integers(-1, 2, ROWS), None),
    ],
)
def test_an_answer_that_stands_for_an_unknown_one(tmp_path, task, answers, code):
    random = np.random.default_rng(0)
    frame = table()
    frame["y"] = [
        code if code and unknown else str(answer) for answer, unknown in zip(answers(random), random.random(ROWS) < 0.05, strict=True)
    ]
    findings = [one for one in found_in(tmp_path, frame, task) if one.where == "y" and one.kind not in ("rare_class", "class_imbalance")]
    assert [(one.level, one.kind) for one in findings] == ([("warning", "missing_codes")] if code else [])
    for one in findings:
        assert one.count == (frame["y"] == code).sum()
        assert one.fix == f"If it means that the answer is unknown, add '{code}' to `data.missing_values`, and set `missing: drop`."


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        (lambda random: random.lognormal(0, 2.5, ROWS), True),
        (lambda random: random.pareto(1, ROWS), True),
        (lambda random: random.exponential(1, ROWS), False),
        (lambda random: random.lognormal(0, 0.8, ROWS), False),
        (lambda random: random.poisson(2, ROWS), False),
        (lambda random: np.where(random.random(ROWS) < 0.1, random.normal(30, 1, ROWS), random.normal(0, 1, ROWS)), False),
    ],
)
def test_extreme_tails_are_told(tmp_path, numbers, told):
    findings = found_in(tmp_path, table(b=numbers(np.random.default_rng(1))), b="numeric")
    assert ("extreme_tail" in {one.kind for one in findings}) == told


# One line for each kind


def many(number):
    random = np.random.default_rng(0)
    frame = table(**{f"c{place}": "same" for place in range(number)})
    return frame.assign(d=random.normal(0, 1, ROWS).round(3)), dict.fromkeys([f"c{place}" for place in range(number)], "categorical")


def test_many_findings_of_one_kind_are_one_line_with_the_worst_three(tmp_path, capsys):
    frame, roles = many(12)
    assert len(found_in(tmp_path, frame, **roles)) == 12
    command = ["inspect-data", str(tmp_path / "study.yaml"), "--quiet"]
    assert run(command) == 0
    lines = capsys.readouterr().out.splitlines()
    found = lines[lines.index("12 warnings") :]
    assert found[: found.index("")] == [
        "12 warnings",
        "[warning] constant (12): c0: every cell is 'same'; c1: every cell is 'same'; c2: every cell is 'same'; and 9 more. "
        "Nothing can be learned from it. Leave the column out. Each by itself: --all.",
    ]
    assert run([*command, "--all"]) == 0
    assert sum(line.startswith("[warning] c") for line in capsys.readouterr().out.splitlines()) == 12
    assert run([*command, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["findings"]) == 12


@pytest.mark.parametrize(("every", "shown"), [(False, 3), (True, 12)])
def test_the_page_shows_the_worst_of_a_kind_or_all(tmp_path, every, shown):
    frame, roles = many(12)
    found_in(tmp_path, frame, **roles)
    write_page(inspect_experiment(tmp_path / "study.yaml"), tmp_path / "page.html", every=every)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("every cell is &#39;same&#39;.") == shown
    assert ("9 more of this kind" in text) != every


def test_the_worst_of_a_kind_come_first():
    findings = [
        Finding("note", "outliers", "a", "1.", "Why.", "Mend a.", count=1),
        Finding("note", "outliers", "b", "9.", "Why.", "Mend b.", count=9),
        Finding("warning", "outliers", "c", "5.", "Why.", "Mend c.", count=5),
        Finding("note", "strong_column", "d", "d.", "Why.", "", strength=0.96),
        Finding("note", "strong_column", "e", "e.", "Why.", "", strength=0.98),
    ]
    found = by_kind(findings)
    assert [[one.where for one in kind.findings] for kind in found] == [["b", "a"], ["c"], ["e", "d"]]
    assert found[0].line("More: --all.") == ("outliers (2): b: 9; a: 1.", "Why.", "", "More: --all.")
    assert found[1].line("More: --all.") == ("c: 5.", "Why.", "Mend c.", "")
