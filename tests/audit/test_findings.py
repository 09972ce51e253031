"""What `inspect-data` finds: every fault that is planted in a table, and none in a clean one."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from browser import FOUND, browser
from markupsafe import escape
from scipy.stats import mannwhitneyu
from tiny import write_experiment

from mmtrain.audit.hypothesis_tests import chi_square, chi_square_tail, conservative_rank_sum, holm, kolmogorov_smirnov, rank_sum
from mmtrain.audit.leakage.predictive_power import ClassOutcome
from mmtrain.audit.ranked_numbers import rank_numbers
from mmtrain.cli.app import run
from mmtrain.commands.inspect_data import inspect_experiment, inspect_table, write_page
from mmtrain.text.dates import days

SYLLABLES = ["ka", "lo", "mi", "ra", "su", "te", "no", "vi", "pe", "du", "fa", "go", "hi", "ju", "ba", "re"]
WORDS = [first + second for first in SYLLABLES for second in SYLLABLES]
COLUMNS = {
    "case": {"role": "id"},
    "age": {"role": "numeric"},
    "dose": {"role": "numeric"},
    "size": {"role": "numeric"},
    "site": {"role": "categorical"},
    "sex": {"role": "categorical"},
    "note": {"role": "text"},
    "patient": {"role": "group"},
    "part": {"role": "split"},
    "ill": {"role": "target", "task": "binary"},
}
FEW = {key: COLUMNS[key] for key in ("age", "site", "patient", "part", "ill")}
"""For what has nothing to do with ids, texts and dates, which take most of the time."""
PLANTED = COLUMNS | {
    "size2": {"role": "numeric"},
    "inches": {"role": "numeric"},
    "stage": {"role": "numeric"},
    "therapy": {"role": "categorical"},
    "lab": {"role": "numeric"},
    "record": {"role": "numeric"},
    "barcode": {"role": "categorical"},
    "country": {"role": "categorical"},
    "pilot": {"role": "categorical"},
    "pressure": {"role": "numeric"},
    "weight": {"role": "numeric"},
    "dosage": {"role": "categorical"},
    "ward": {"role": "categorical"},
    "device": {"role": "categorical"},
    "comment": {"role": "text"},
    "kind": {"role": "target", "task": "multiclass"},
}


def clean(rows=600, seed=0):
    """Three rows of each patient, parts by chance, an answer that depends a little on age and site."""
    return _clean(rows, seed).copy()


@cache
def _clean(rows, seed):
    random = np.random.default_rng(seed)
    patients = rows // 3
    patient = np.repeat(np.arange(patients), 3)
    site = random.integers(0, 4, patients)[patient]
    age = np.round(random.normal(50, 12, patients).clip(20, 90), 1)[patient]
    ill = random.random(patients)[patient] < 0.25 + 0.004 * (age - 20) + 0.05 * (site == 1)
    part = random.permutation(np.resize(["train"] * 6 + ["validation"] * 2 + ["test"] * 2, patients))[patient]
    table = pd.DataFrame(
        {
            "case": [f"C{row:04d}" for row in random.permutation(rows)],
            "age": age,
            "dose": np.round(random.lognormal(0, 0.8, rows), 3),
            "size": np.round(random.gamma(4, 5, rows), 2),
            "site": np.array(["north", "south", "east", "west"])[site],
            "sex": np.where(random.random(patients)[patient] < 0.5, "F", "M"),
            "note": [" ".join(random.choice(WORDS, 14)).capitalize() + "." for _ in range(rows)],
            "patient": [f"P{number}" for number in patient],
            "part": part,
            "day": pd.to_datetime("2020-01-01") + pd.to_timedelta(random.integers(0, 1000, rows), unit="D"),
            "ill": np.where(ill, "yes", "no"),
        }
    )
    table["day"] = table["day"].dt.strftime("%Y-%m-%d")
    table.loc[random.random(rows) < 0.05, "dose"] = np.nan
    return table.iloc[random.permutation(rows)].reset_index(drop=True)


def planted():
    """The same with every fault that a table can have."""
    random = np.random.default_rng(1)
    table = clean()
    rows, ill = len(table), (table["ill"] == "yes").to_numpy()
    train, test = (np.flatnonzero(table["part"] == part) for part in ("train", "test"))
    table["age"] = np.where(random.random(rows) < 0.3, np.round(table["age"] * 12), table["age"])
    table["stage"] = np.round(random.normal(10, 1, rows) + 30 * ill, 2)
    table["therapy"] = np.where(ill, random.choice(["knife", "beam"], rows), random.choice(["none", "advice"], rows))
    table["lab"] = np.where(random.random(rows) < np.where(ill, 0.05, 0.6), "", np.round(random.normal(5, 1, rows), 2).astype(str))
    table["record"] = 7000 + random.permutation(rows)
    table["barcode"] = [f"X{number}" for number in random.permutation(rows)]
    table["country"] = "here"
    table["pilot"] = ["no"] * (rows - 4) + ["yes"] * 4
    table["pressure"] = np.round(random.normal(120, 15, rows), 1)
    table.loc[[10, 300], "pressure"] = 99999.0
    table["weight"] = [f"{kilos:.1f}" for kilos in random.normal(70, 9, rows)]
    table.loc[5:9, "weight"] = "71,5"
    table.loc[20:24, "weight"] = "70 kg"
    table.loc[25:29, "weight"] = "154 lb"
    table["dosage"] = [f"{grams} mg" for grams in random.choice([5, 10, 20], rows)]
    table.loc[40:60, "dosage"] = "0.01 g"
    table["ward"] = random.choice(["A", "B", "C"], rows)
    table.loc[train[:2], "ward"] = "rare"
    table.loc[test[:3], "ward"] = "new"
    table["device"] = np.where(table["part"] == "test", "new scanner", random.choice(["old scanner", "new scanner"], rows, p=[0.8, 0.2]))
    table["comment"] = np.where(ill, "Seen again, tumour known.", "Seen again, nothing new.")
    table["comment"] = [f"{text} {' '.join(random.choice(WORDS, 6))}" for text in table["comment"]]
    table["kind"] = random.choice(["a", "b", "c"], rows)
    table.loc[train[2:5], "kind"] = "scarce"
    table.loc[test[4:6], "kind"] = "unlearned"
    _plant_texts(table, random)
    _plant_copies(table, train, test)
    table.loc[table["patient"] == table["patient"][train[50]], "part"] = ["train", "validation", "test"]
    days = pd.to_datetime("2020-01-01") + pd.to_timedelta(random.integers(0, 200, rows) + 300 * (table["part"] != "test"), unit="D")
    table["day"] = days.dt.strftime("%Y-%m-%d")
    table["case"] = [f"C{row:04d}" for row in np.argsort(np.argsort(random.random(rows) + (table["ill"] == "yes"), kind="stable"))]
    table["size2"], table["inches"] = table["size"], np.round(table["size"] / 2.54, 3)
    return table


def _plant_texts(table, random):
    table.loc[100:104, "note"] = "---"
    table.loc[random.choice(np.arange(110, 300), 40, replace=False), "note"] = (
        "The examination was carried out as usual and there was nothing to remark upon at all."
    )
    table.loc[310:313, "note"] = [f"Пациент чувствует себя хорошо, без жалоб номер {number}" for number in range(4)]


def _plant_copies(table, train, test):
    """Six test rows are rows of training with another id; eight more have only a note of training, two of them another answer."""
    everything = [header for header in table.columns if header not in ("case", "part", "patient", "record", "barcode")]
    for source, copy in zip(train[60:66], test[20:26], strict=True):
        table.loc[copy, everything] = table.loc[source, everything]
        table.loc[copy, ["record", "barcode"]] = table.loc[source, ["record", "barcode"]]
    table.loc[test[20], "ill"] = "no" if table["ill"][train[60]] == "yes" else "yes"
    for source, copy in zip(train[70:78], test[30:38], strict=True):
        table.loc[source, "note"] = f"{table['note'][source]} With a long remark of its own, number {source}."
        table.loc[copy, "note"] = table["note"][source]
    for source, copy in zip(train[70:72], test[30:32], strict=True):
        table.loc[copy, "ill"] = "no" if table["ill"][source] == "yes" else "yes"


def inspected(folder, table, columns, **sections):
    """What is found in a table with these columns, divided as its column `part` says."""
    table.to_csv(folder / "table.csv", index=False)
    tree = {"columns": columns, "split": {"method": "column"}} | sections
    return inspect_experiment(write_experiment(folder / "study.yaml", tree))


FAULTS = {
    ("error", "duplicate_rows", "table.csv"),
    ("warning", "conflicting_rows", "table.csv"),
    ("error", "duplicate_texts", "note"),
    ("warning", "conflicting_texts", "note"),
    ("error", "group_on_two_sides", "patient"),
    ("error", "time_looks_back", "day"),
    ("warning", "order_tells_label", "case"),
    ("error", "gives_answer_away", "stage"),
    ("error", "gives_answer_away", "therapy"),
    ("warning", "gives_answer_away", "comment"),
    ("warning", "equal_columns", "size, size2"),
    ("warning", "equal_columns", "size, inches"),
    ("warning", "id_as_input", "record"),
    ("warning", "id_as_input", "barcode"),
    ("warning", "constant", "country"),
    ("note", "nearly_constant", "pilot"),
    ("warning", "missing_tells_label", "lab"),
    ("note", "class_imbalance", "kind"),
    ("error", "rare_class", "kind"),
    ("warning", "rare_class", "kind"),
    ("note", "rare_categories", "ward"),
    ("note", "unseen_categories", "ward"),
    ("warning", "shift", "device"),
    ("warning", "outliers", "pressure"),
    ("error", "mixed_units", "weight"),
    ("warning", "mixed_units", "dosage"),
    ("warning", "mixed_units", "age"),
    ("note", "text_without_words", "note"),
    ("note", "boilerplate", "note"),
    ("note", "other_script", "note"),
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """What is found where everything is wrong, markup in a cell included."""
    table = planted()
    table.loc[30, "weight"] = "<script>alert(1)</script>"
    return inspected(tmp_path_factory.mktemp("faulty"), table, PLANTED)


def test_every_planted_fault_is_found_and_none_invented(faulty):
    told = {(finding.level, finding.kind, finding.where) for finding in faulty.findings}
    assert told - FAULTS == set()
    assert FAULTS - told == set()
    assert all(finding.why and finding.fix for finding in faulty.findings)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_a_clean_table_has_no_error_no_warning_and_two_notes_at_most(tmp_path, seed):
    found = inspected(tmp_path, clean(seed=seed), COLUMNS)
    assert found.problems == ()
    assert {finding.level for finding in found.findings} <= {"note"}
    assert len(found.findings) <= 2


def kinds(found):
    return {finding.kind for finding in found.findings}


def one(found, kind):
    (finding,) = (finding for finding in found.findings if finding.kind == kind)
    return finding


# Copies


def test_equal_rows_of_few_categories_are_chance_and_not_told(tmp_path):
    random = np.random.default_rng(0)
    table = pd.DataFrame({"age": random.integers(20, 90, 400), "sex": random.choice(["F", "M"], 400), "ill": ["yes", "no"] * 200})
    columns = {"age": {"role": "numeric"}, "sex": {"role": "categorical"}, "ill": {"role": "target", "task": "binary"}}
    assert table.duplicated(["age", "sex"]).sum() > 200
    assert kinds(inspected(tmp_path, table, columns, split={"method": "random"})) == set()


def test_a_table_that_was_pasted_twice_is_told(tmp_path):
    table = clean(300).drop(columns=["part", "patient"])
    twice = pd.concat([table, table], ignore_index=True)
    twice["case"] = [f"C{row}" for row in np.random.default_rng(0).permutation(600)]
    columns = {key: column for key, column in COLUMNS.items() if key not in ("part", "patient")}
    finding = one(inspected(tmp_path, twice, columns, split={"method": "random"}), "duplicate_rows")
    assert (finding.level, finding.count, finding.rows) == ("error", 300, (300, 301, 302, 303, 304))
    assert finding.what.startswith("300 rows repeat an earlier one in every input column. ")


def test_copies_within_a_group_are_a_note_as_no_split_tears_them(tmp_path):
    table = clean()
    inputs = ["age", "dose", "size", "site", "sex", "note"]
    first, second = np.flatnonzero(table["patient"] == table["patient"][0])[:2]
    table.loc[second, inputs] = table.loc[first, inputs]
    finding = one(inspected(tmp_path, table, COLUMNS), "duplicate_rows")
    assert (finding.level, finding.why, finding.rows, finding.count) == ("note", "Copies weigh double.", (second,), 1)


def test_the_same_note_of_one_patient_is_not_told(tmp_path):
    table = clean()
    rows = np.flatnonzero(table["patient"] == table["patient"][0])
    table.loc[rows, "note"] = "A note that is copied from visit to visit, as is the custom here and elsewhere."
    assert "duplicate_texts" not in kinds(inspected(tmp_path, table, COLUMNS))


def test_short_texts_are_met_again_by_chance_and_not_told(tmp_path):
    table = clean()
    table["note"] = np.random.default_rng(0).choice(WORDS, len(table))
    assert kinds(inspected(tmp_path, table, COLUMNS)) == set()


# Sides of a split


def test_a_column_named_after_people_that_is_no_group_is_told(tmp_path):
    table = clean()
    table.loc[table["patient"] == table["patient"][0], "part"] = ["train", "validation", "test"]
    columns = {key: column for key, column in COLUMNS.items() if key != "patient"}
    finding = one(inspected(tmp_path, table, columns), "group_on_two_sides")
    assert (finding.level, finding.where, finding.count) == ("warning", "patient", 3)
    assert finding.fix == "Mark all rows of a group for the same part. Give 'patient' the role group."


@pytest.mark.parametrize(
    ("shift", "level"),
    [({"train": 0, "validation": 0, "test": 0}, None), ({"train": 0, "validation": 300, "test": 250}, "warning")],
    ids=["by chance", "by time, with an overlap"],
)
def test_parts_and_time(tmp_path, shift, level):
    table, random = clean(), np.random.default_rng(0)
    start = pd.to_datetime("2021-01-01") + pd.to_timedelta(random.integers(0, 300, len(table)) + table["part"].map(shift), unit="D")
    table["day"] = start.dt.strftime("%d.%m.%Y")
    found = inspected(tmp_path, table, COLUMNS)
    assert [finding.level for finding in found.findings if finding.kind == "time_looks_back"] == ([level] if level else [])


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-03-01", "2024-03-01 12:00", "1.3.2024", "x"], [19783, 19783.5, 19783, None]),
        (["3/1/2024", "3/31/2024"], [19783, 19813]),
        (["1/3/2024", "31/3/2024"], [19783, 19813]),
        (["1/3/2024", "2/3/2024"], [None, None]),
        (["2024-02-31"], [None]),
        (["20240301", "20241301"], [19783, None]),
        (["2024", "2024.0", "3024"], [19723, 19723, None]),
        (["1-Mar-2024", "01. march 2024 12:00", "1 xyz 2024"], [19783, 19783.5, None]),
        (
            ["Mar 01, 2024", "March 1st, 2024", "Mar. 1, 2024 at 12:00", "2024-Mar-01", "Fri, 1 Mar 2024"],
            [19783, 19783, 19783.5, 19783, 19783],
        ),
        (["Fri Mar 01 12:00:00 +0000 2024", "Fri Mar  1 12:00:00 2024"], [19783.5, 19783.5]),
        (["1.3.24", "01-MAR-24", "1.3.99", "3/1/24", "3/31/24"], [19783, 19783, 10651, 19783, 19813]),
        (["2024-03", "Mar 2024", "March, 2024", "2024-13", "MAR-9999"], [19783, 19783, 19783, None, None]),
        (["20240301T1200", "2024-03-01T12:00:43.2", "20240301T120043"], [19783.5, 19783.5005, 19783.5 + 43 / 86400]),
        (["2024-03-01T18:00:00+06:00", "2024-03-01 10:30:00-0130", "2024-03-01T12:00:00Z"], [19783.5, 19783.5, 19783.5]),
        (["2024-03-01 12:00 AM", "3/31/2024 6:00:00 p.m.", "2024-03-01 12:00pm"], [19783, 19813.75, 19783.5]),
        (["2024-03-01 24:00", "2024-03-01 12:60"], [None, None]),
        (
            ["2024年3月1日", "2024年3月1日（金） 12:00", "2024년 3월 1일", "2024. 3. 1.", "2024年3月", "2024年13月1日"],
            [19783, 19783.5, *[19783] * 3, None],
        ),
    ],
    ids=[
        *("year first, dotted", "month first", "day first", "day or month", "no such day", "compact", "years", "names of months"),
        *("month's name first", "as Unix writes it", "years of two digits", "months"),
        *("to the second", "offsets", "halves of a day", "no such time", "Chinese, Japanese and Korean"),
    ],
)
def test_dates_become_days(cells, expected):
    found = days(pd.Series(cells, dtype="str"))
    assert [None if np.isnan(value) else pytest.approx(value, abs=1e-9) for value in found] == expected


# What gives the answer away


def test_a_category_that_is_met_in_one_group_only_gives_nothing_away(tmp_path):
    table = clean()
    table["village"] = "V" + table["patient"].str[1:].astype(int).floordiv(1).astype(
        str
    )  # each patient's own, so it knows the answer by heart
    found = inspected(tmp_path, table, COLUMNS | {"village": {"role": "categorical"}})
    assert "gives_answer_away" not in kinds(found)


def test_a_number_that_one_class_alone_has_gives_the_answer_away(tmp_path):
    table = clean()
    table["lab"] = np.where(table["ill"] == "yes", np.nan, np.random.default_rng(0).normal(5, 1, len(table)).round(2))
    found = inspected(tmp_path, table, COLUMNS | {"lab": {"role": "numeric"}})
    assert {(one.level, one.kind, one.where) for one in found.findings} == {
        ("error", "gives_answer_away", "lab"),
        ("warning", "missing_tells_label", "lab"),
    }


def test_answers_of_the_test_part_are_not_looked_at(tmp_path):
    table = clean()
    ill = (table["ill"] == "yes") & (table["part"] == "test")
    table["stage"] = np.random.default_rng(0).normal(0, 1, len(table)) + 100 * ill
    found = inspected(tmp_path, table, COLUMNS | {"stage": {"role": "numeric"}})
    assert "gives_answer_away" not in kinds(found)


@pytest.mark.parametrize(("noise", "level"), [(0.0, "error"), (0.2, "warning"), (1.0, None)])
def test_a_column_that_gives_a_number_away(tmp_path, noise, level):
    random = np.random.default_rng(0)
    table = clean().assign(ill=lambda table: np.round(random.normal(0, 1, len(table)), 4))
    table["proxy"] = 3 * table["ill"] + 3 * noise * random.normal(0, 1, len(table))
    columns = FEW | {"proxy": {"role": "numeric"}, "ill": {"role": "target", "task": "regression"}}
    found = inspected(tmp_path, table[list(columns)], columns)
    assert [(one.level, one.where) for one in found.findings if one.kind == "gives_answer_away"] == ([(level, "proxy")] if level else [])


def test_the_score_of_a_column_holds_the_truth_in_its_interval():
    """The AUC of two normal distributions one standard deviation apart is 0.760; 95 in 100 intervals hold it."""
    random, held = np.random.default_rng(0), 0
    for _ in range(200):
        labels = random.integers(0, 2, 800)
        found = ClassOutcome(labels, np.arange(800)).score_sizes(rank_numbers(random.normal(labels, 1.0)))
        held += found.low <= 0.7602 <= found.high
    assert 183 <= held <= 197


def test_a_column_of_chance_predicts_nothing_by_its_values():
    random = np.random.default_rng(0)
    found = [ClassOutcome(random.integers(0, 2, 800), np.arange(800)).score_values(random.integers(0, 100, 800)).score for _ in range(50)]
    assert 0.48 < np.mean(found) < 0.505
    assert max(found) < 0.57


def test_groups_widen_the_interval_of_a_score():
    random = np.random.default_rng(0)
    labels = np.repeat(random.integers(0, 2, 100), 10)
    values = np.repeat(random.normal(labels[::10], 1.0), 10)
    alone, grouped = (
        ClassOutcome(labels, units).score_sizes(rank_numbers(values)) for units in (np.arange(1000), np.repeat(np.arange(100), 10))
    )
    assert 2 < (grouped.high - grouped.low) / (alone.high - alone.low) < 5  # the square root of 10, were they quite alike


# Tests, against values from tables


@pytest.mark.parametrize(
    ("statistic", "freedom", "chance"),
    [(3.841459, 1, 0.05), (18.307038, 10, 0.05), (0.0, 3, 1.0), (124.342113, 100, 0.05), (10.827566, 1, 0.001), (60.0, 4, 2.896e-12)],
)
def test_chi_square_tail(statistic, freedom, chance):
    assert chi_square_tail(statistic, freedom) == pytest.approx(chance, rel=1e-3)


@pytest.mark.parametrize(
    ("table", "chance"),
    [
        ([[3, 1], [1, 3]], 0.485714),  # the lady tasting tea
        ([[8, 2], [1, 5]], 0.034965),
        ([[50, 50], [50, 50]], 1.0),
        ([[60, 40], [40, 60]], 0.004678),  # chi-square 8, one degree
        ([[10, 0], [10, 0]], 1.0),
        ([[40, 30, 30], [20, 40, 40]], 0.008652),  # chi-square 9.5, two degrees
        ([[60, 39, 1], [40, 60, 0]], 0.003993),  # the last two put together: chi-square 8
    ],
)
def test_chi_square_of_tables(table, chance):
    assert chi_square(np.array(table)) == pytest.approx(chance, rel=0.2 if len(table[0]) == 3 else 1e-3)


def test_holm_corrects_for_the_number_of_tests():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_kolmogorov_smirnov_of_two_samples():
    first, second = np.arange(100.0), np.arange(100.0) + 20
    distance, chance = kolmogorov_smirnov(first, second)
    assert distance == pytest.approx(0.2)
    assert chance == pytest.approx(0.0337, abs=0.003)
    assert kolmogorov_smirnov(first, first) == (0.0, 1.0)


def test_rank_sum_counts_ties_half():
    assert rank_sum(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])) == (0.5, 1.0)
    area, chance = rank_sum(np.arange(20.0) + 10, np.arange(20.0))
    assert area == pytest.approx(0.875)
    assert chance == pytest.approx(4.97e-5, rel=0.05)


def test_rank_sum_is_that_of_scipy_also_where_many_are_equal():
    random = np.random.default_rng(0)
    first, second = random.integers(0, 5, 30).astype(float), random.integers(1, 6, 50).astype(float)
    expected = mannwhitneyu(first, second, use_continuity=False, method="asymptotic")
    assert rank_sum(first, second) == pytest.approx((expected.statistic / (30 * 50), expected.pvalue), rel=1e-9)


def test_a_cautious_rank_sum_takes_no_spread_for_a_difference():
    random, alarms = np.random.default_rng(0), {rank_sum: 0, conservative_rank_sum: 0}
    for _ in range(500):
        samples = random.normal(0, 1, 40), random.normal(0, 0.05, 400)
        for test in alarms:
            alarms[test] += test(*samples)[1] < 0.05
    assert alarms[rank_sum] > 80
    assert 15 <= alarms[conservative_rank_sum] <= 40


# The command


def test_strict_exits_with_3_where_there_are_errors(tmp_path, capsys):
    columns = FEW | {"dose": COLUMNS["dose"]}
    table = clean()[list(columns)]
    inspected(tmp_path, table, columns)
    command = ["inspect-data", str(tmp_path / "study.yaml"), "--json"]
    assert run([*command, "--strict"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    inspected(tmp_path, table.assign(dose=(table["ill"] == "yes").astype(float)), columns)
    assert run(command) == 0
    capsys.readouterr()
    assert run([*command, "--strict"]) == 3
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["level"], finding["kind"], finding["where"], finding["rows"]) == ("error", "gives_answer_away", "dose", [])


def test_strict_exits_with_3_where_fit_would_refuse(tmp_path):
    inspected(tmp_path, clean()[list(FEW)].assign(part="train"), FEW)
    command = ["inspect-data", str(tmp_path / "study.yaml"), "--quiet"]
    assert (run(command), run([*command, "--strict"])) == (0, 3)


def test_findings_are_shown_with_their_number_the_worst_first(tmp_path, capsys):
    table = clean()
    table["case"], table["country"] = table["case"], "here"
    table.loc[:2, "note"] = "---"
    inspected(tmp_path, table, COLUMNS | {"country": {"role": "categorical"}})
    assert run(["inspect-data", str(tmp_path / "study.yaml"), "--quiet"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "1 warning, 1 note: listed at the top."
    found = lines[lines.index("1 warning, 1 note") :]
    assert found[: found.index("")] == [
        "1 warning, 1 note",
        "[warning] country: every cell is 'here'. Nothing can be learned from it. Leave the column out.",
        "[note] note: 3 texts hold no word, only punctuation or blanks. Such a text is treated as missing, although its cell is not empty. "
        "List such texts under `data.missing_values`, so that they count as missing everywhere. Lines 2, 3 and 4.",
    ]


def test_what_each_policy_would_do_with_missing_cells_is_counted(tmp_path):
    table = clean()
    table["dose"] = np.where(np.arange(600) < 30, np.nan, 1.0 + np.arange(600))
    (plan,) = inspected(tmp_path, table, COLUMNS).missing
    assert (plan.header, plan.chosen, plan.cells, plan.share) == ("dose", "median", 30, 0.05)
    assert plan.effects == {
        "median": "30 get the training median and a mark",
        "mean": "30 get the training mean and a mark",
        "constant": "30 get the constant and a mark",
        "mask": "the branch goes without in 30 rows",
        "error": "refused because of 30 cells",
        "drop": "30 rows leave, 570 are left",
    }
    assert plan.by_class == table["ill"][:30].value_counts().to_dict()


def test_a_bare_table_is_judged_by_guessed_roles(tmp_path):
    table = clean().drop(columns=["part"])
    table["stage"] = np.where(table["ill"] == "yes", 3.5, 1.5) + np.random.default_rng(0).random(len(table))
    table["size2"] = table["size"]
    table.to_csv(tmp_path / "table.csv", index=False)
    found = inspect_table(tmp_path / "table.csv")
    assert (found.target, found.spoiled) == ("ill", True)
    assert [(one.level, one.kind, one.where) for one in found.findings] == [
        ("error", "gives_answer_away", "stage"),
        ("warning", "equal_columns", "size, size2"),
    ]


def test_the_page_holds_every_finding_and_no_markup_of_the_table(tmp_path, faulty):
    write_page(faulty, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<script") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert all(escape(finding.what) in text for finding in faulty.findings)
    assert len(faulty.findings) > 20
    assert len(text) < 200_000


@pytest.mark.skipif(FOUND is None, reason="no browser on the PATH")
def test_a_browser_shows_the_page_without_a_complaint_on_a_telephone_too(tmp_path, faulty):
    write_page(faulty, tmp_path / "page.html")
    with browser(tmp_path / "profile") as page:
        page.open(tmp_path / "page.html", width=390, scheme="dark")
        assert (page.complaints, page.loaded) == ([], [(tmp_path / "page.html").as_uri()])
        assert page.value("document.documentElement.scrollWidth") == 390
        assert page.value("document.querySelectorAll('h3').length") == 3  # errors, warnings, notes


def test_a_page_that_cannot_be_written_is_told(tmp_path, capsys):
    inspected(tmp_path, clean(60), COLUMNS)
    target = tmp_path / "none" / "page.html"
    assert run(["inspect-data", str(tmp_path / "study.yaml"), "--quiet", "--html", str(target)]) == 2
    told = f"{target}: the page cannot be written: there is no folder {target.parent}. Make it first, or choose another one."
    assert told in capsys.readouterr().err


# Numbers


def lognormal(random, rows):
    return random.lognormal(0, 2, rows)


def heaps(factor):
    return lambda random, rows: random.normal(66, 3, rows) * np.where(random.random(rows) < 0.4, factor, 1)


def with_slips(random, rows):
    return np.append(random.normal(37, 0.5, rows - 2), [366.0, 371.0])


def minus_nines(random, rows):
    return np.where(random.random(rows) < 0.003, -999.0, random.normal(0, 3, rows).round(2))


def few_values(random, rows):
    return np.append(np.zeros(rows - 1), [1.0]) + random.integers(0, 2, rows) * (np.arange(rows) % 9 == 0)


@pytest.mark.parametrize(
    ("numbers", "kind"),
    [
        (lognormal, "extreme_tail"),
        (heaps(1), None),
        (heaps(2.54), "mixed_units"),
        (heaps(1 / 12), "mixed_units"),
        (heaps(5), None),
        (with_slips, "outliers"),
        (minus_nines, "outliers"),
        (few_values, None),
    ],
    ids=["a long tail", "one heap", "inches and centimetres", "years and months", "no unit", "slips", "codes for missing", "counts"],
)
def test_numbers_far_from_all_others_or_in_two_units(tmp_path, numbers, kind):
    table = clean()
    table["number"] = numbers(np.random.default_rng(3), len(table))
    found = inspected(tmp_path, table[[*FEW, "number"]], FEW | {"number": {"role": "numeric"}})
    assert [(one.kind, one.where) for one in found.findings] == ([(kind, "number")] if kind else [])


# Faults in few rows, in other columns, in part


def study(table, **columns):
    """Columns beside the answer and the part, by their roles."""
    roles = {name: {"role": role, **({"missing": "median"} if role == "numeric" else {})} for name, role in columns.items()}
    return roles | {"part": {"role": "split"}, "y": {"role": "target", "task": "binary" if table["y"].nunique() == 2 else "multiclass"}}


def plain(rows=400, classes=("no", "yes")):
    """A number and an answer that know nothing of each other, parts by chance."""
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "a": np.round(random.normal(50, 9, rows), 1),
            "y": random.choice(classes, rows),
            "part": random.permutation(np.resize(["train"] * 6 + ["validation"] * 2 + ["test"] * 2, rows)),
        }
    )


@pytest.mark.parametrize("first", [6, 12, 150])
def test_few_months_among_years_are_told(tmp_path, first):
    table = plain()
    table["a"] = np.round(table["a"])
    table.loc[: first - 1, "a"] *= 12
    finding = one(inspected(tmp_path, table, study(table, a="numeric")), "mixed_units")
    assert (finding.level, finding.where, finding.count) == ("warning", "a", first)


def test_two_codes_are_no_units(tmp_path):
    table = plain()
    table["sex"] = np.random.default_rng(0).choice([1, 2], len(table))
    table["arm"] = np.random.default_rng(1).choice([1, 12], len(table))
    assert kinds(inspected(tmp_path, table, study(table, a="numeric", sex="numeric", arm="numeric"))) == set()


@pytest.mark.parametrize(("code", "rows"), [(-99, 9), (999, 60)])
def test_a_code_for_missing_is_told_however_often_it_is_there(tmp_path, code, rows):
    table = plain()
    table.loc[: rows - 1, "a"] = code
    finding = one(inspected(tmp_path, table, study(table, a="numeric")), "outliers")
    assert (finding.level, finding.count) == ("warning", rows)


@pytest.mark.parametrize("role", ["numeric", "text"])
def test_cells_that_are_empty_in_one_part_are_a_shift(tmp_path, role):
    table = plain()
    table["b"] = table["a"].astype(str) + ("" if role == "numeric" else " years, a word and another")
    test = np.flatnonzero(table["part"] == "test")
    table.loc[test[:40], "b"] = None
    columns = study(table, a="categorical") | {"b": {"role": role, "missing": "median" if role == "numeric" else "mask"}}
    finding = next(finding for finding in inspected(tmp_path, table, columns).findings if finding.kind == "shift" and finding.where == "b")
    assert (finding.level, finding.what) == ("warning", "test differs from training: 50% of the cells are empty, in training 0%.")


@pytest.mark.parametrize(("role", "codes"), [("categorical", "12"), ("numeric", "12"), ("categorical", "123"), ("numeric", "123")])
def test_categories_in_other_words_are_told_but_for_a_slip(tmp_path, role, codes):
    table = plain()
    table["kind"] = np.random.default_rng(0).choice(list("xyz")[: len(codes)], len(table))
    table["code"] = table["kind"].map(dict(zip("xyz", codes, strict=False)))
    table.loc[0, "code"] = codes[0] if table.loc[0, "kind"] != "x" else codes[1]
    finding = one(inspected(tmp_path, table, study(table, kind="categorical", code=role)), "equal_columns")
    assert finding.where == "kind, code"
    paired = f"each of the {len(codes)} categories of one goes with one category of the other, in 99.8% of the rows"
    assert finding.what == f"{paired}: the same names in other words."


def test_correlation_of_columns_with_holes_is_of_the_rows_that_both_have(tmp_path):
    table = plain()
    table["b"] = 3 * table["a"] + 7
    table.loc[:99, "a"], table.loc[50:149, "b"] = None, None
    finding = one(inspected(tmp_path, table, study(table, a="numeric", b="numeric")), "equal_columns")
    assert finding.what == "one number follows from the other in a straight line: their correlation is 1.0000."


@pytest.mark.parametrize("role", ["numeric", "categorical"])
def test_a_column_that_gives_one_class_of_several_away_is_a_note(tmp_path, role):
    table = plain(classes=("u", "v", "w", "x"))
    random = np.random.default_rng(0)
    chance = {"numeric": np.round(random.normal(0, 1, len(table)), 2), "categorical": random.choice(["no", "unknown"], len(table))}[role]
    table["l"] = np.where(table["y"] == "u", {"numeric": 9, "categorical": "done"}[role], chance)
    finding = one(inspected(tmp_path, table, study(table, a="numeric", l=role)), "gives_answer_away")
    assert (finding.level, finding.where) == ("note", "l")
    assert finding.what.startswith("the column alone tells 'u' of 'y' from the other classes without fail: AUC 1.000, 95 % interval 0.9")


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y%m%d", "%d-%b-%Y", "%Y"])
def test_a_validation_part_that_looks_back_is_told(tmp_path, form):
    table = plain()
    later = table["part"].map({"validation": 0, "train": 400, "test": 800}).to_numpy()
    after = np.random.default_rng(0).integers(0, 200, len(table)) + later
    table["year" if form == "%Y" else "day"] = (pd.to_datetime("2021-01-01") + pd.to_timedelta(after, unit="D")).strftime(form)
    finding = one(inspected(tmp_path, table, study(table, a="numeric")), "time_looks_back")
    assert (finding.level, finding.count) == ("error", 80)
    assert finding.what.startswith(
        "the given parts are reversed in time: the validation rows are the earlier ones. 80 validation rows of 80 are earlier"
    )


@pytest.mark.parametrize(
    ("role", "named", "level"), [("id", "S{:04d}", "warning"), ("id", "{:04d}/b", "warning"), ("group", "P{:04d}", "note")]
)
def test_names_whose_numbers_go_with_the_answer_are_told(tmp_path, role, named, level):
    table = plain()
    place = np.argsort(np.argsort(0.7 * (table["y"] == "yes") + np.random.default_rng(0).random(len(table))))
    table["k"] = [named.format(number) for number in place]
    table.loc[5, "k"] = "pilot"
    finding = one(inspected(tmp_path, table, study(table, a="numeric", k=role)), "order_tells_label")
    assert (finding.level, finding.where) == (level, "k")
    assert finding.what.startswith(f"the order of the {role}s is associated with 'y': those of ")


@pytest.mark.parametrize(("rows", "level"), [(4, "note"), (16, "warning")])
def test_unseen_categories_are_a_warning_where_chance_does_not_explain_them(tmp_path, rows, level):
    table = plain(rows=100 if level == "note" else 400)
    table["kind"] = np.random.default_rng(0).choice(["x", "y"], len(table))
    table.loc[np.flatnonzero(table["part"] == "test")[:rows], "kind"] = "new"
    finding = one(inspected(tmp_path, table, study(table, a="numeric", kind="categorical")), "unseen_categories")
    assert (finding.level, finding.count) == (level, rows)


def test_a_text_that_is_the_same_in_every_row_is_told_without_its_words(tmp_path):
    table = plain()
    table["note"] = "nothing of note"
    finding = one(inspected(tmp_path, table, study(table, a="numeric", note="text")), "constant")
    assert (finding.where, finding.what) == ("note", "every cell is the same.")


def test_a_text_that_shares_no_word_with_others_is_an_id(tmp_path):
    table = plain()
    table["note"] = [f"case{number} file{number}" for number in range(len(table))]
    finding = one(inspected(tmp_path, table, study(table, a="numeric", note="text")), "id_as_input")
    assert (finding.level, finding.where, finding.what) == ("warning", "note", "100% of the words occur in one text only, like ids.")


def test_parts_that_a_bare_table_gives_are_looked_at(tmp_path):
    table = plain()
    table.loc[table["part"] == "test", "a"] += 9
    table.rename(columns={"part": "split", "y": "label"}).to_csv(tmp_path / "table.csv", index=False)
    finding = one(inspect_table(tmp_path / "table.csv"), "shift")
    assert (finding.level, finding.where) == ("warning", "a")


def patients(table, rows=8):
    """Of each patient so many rows, all of one part."""
    table["patient"] = np.arange(len(table)) // rows
    table["part"] = table.groupby("patient")["part"].transform("first")
    return table


def test_a_far_number_in_many_rows_of_one_group_is_one_slip(tmp_path):
    table = patients(plain())
    table.loc[table["patient"] == 3, "a"] = 999
    finding = one(inspected(tmp_path, table, study(table, a="numeric", patient="group")), "outliers")
    assert (finding.level, finding.count) == ("warning", 8)


@pytest.mark.parametrize(("groups", "kind"), [(1, "outliers"), (6, "mixed_units")])
def test_months_of_one_patient_are_a_slip_and_those_of_several_a_unit(tmp_path, groups, kind):
    table = patients(plain())
    table.loc[table["patient"] < groups, "a"] *= 12
    found = inspected(tmp_path, table, study(table, a="numeric", patient="group"))
    assert [(one.kind, one.count) for one in found.findings if one.where == "a"] == [(kind, 8 * groups)]
