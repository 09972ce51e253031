"""What `inspect-data` finds where the answer is several labels, or a number: the same faults, planted, and none in a clean table."""

import numpy as np
import pandas as pd
import pytest
from test_findings import clean, inspected, kinds, one

NUMERIC = {"role": "numeric", "missing": "median"}
CATEGORICAL, TEXT = {"role": "categorical"}, {"role": "text"}
COLUMNS = {
    "case": {"role": "id"},
    "age": NUMERIC,
    "site": CATEGORICAL,
    "note": TEXT,
    "patient": {"role": "group"},
    "part": {"role": "split"},
}
TAGS = {"tags": {"role": "target", "task": "multilabel"}}
NUMBER = {"y": {"role": "target", "task": "regression"}}
SHARES = {"beach": 0.3, "city": 0.5, "snow": 0.2, "sunset": 0.4}


def labelled(seed=1):
    """A clean table and, for each label, which rows have it: (rows,) by name."""
    table, random = clean().drop(columns=["ill", "dose", "size", "sex"]), np.random.default_rng(seed)
    return table, {name: random.random(len(table)) < share for name, share in SHARES.items()}


def tagged(table, held):
    """The same with the labels in one cell."""
    rows = zip(*held.values(), strict=True)
    return table.assign(tags=[";".join(name for name, has in zip(held, row, strict=True) if has) for row in rows])


def numbered(seed=1):
    """A clean table with a number as its answer, which has a long tail."""
    random = np.random.default_rng(seed)
    table = clean().drop(columns=["ill", "dose", "size", "sex"])
    return table.assign(y=np.round(np.exp(0.02 * table["age"] + 1.5 * random.normal(0, 1, len(table))), 3))


def told(found):
    """Everything that was found, but for the rarity of classes in small parts."""
    return {(finding.level, finding.kind, finding.where) for finding in found.findings if finding.kind != "rare_class"}


def test_clean_tables_with_labels_or_a_number_have_no_fault(tmp_path):
    assert told(inspected(tmp_path, tagged(*labelled()), COLUMNS | TAGS)) == set()
    assert told(inspected(tmp_path, numbered(), COLUMNS | NUMBER)) == set()


def planted_labels():
    """Every fault that has to do with labels, each with labels of its own."""
    (table, held), random = labelled(), np.random.default_rng(2)
    rows, test = len(table), np.flatnonzero(table["part"] == "test")
    train = np.flatnonzero(table["part"] == "train")
    held |= {"rare": np.arange(rows) == train[0], "unlearned": np.isin(np.arange(rows), test[:2]), "all": np.ones(rows, dtype=bool)}
    held["city"] = np.where(table["part"] == "test", True, held["city"])
    table["scene"] = np.where(held["beach"], random.choice(["sand", "sea"], rows), random.choice(["street", "hill"], rows))
    table["degrees"] = np.round(np.where(held["snow"], -5, 15) + random.normal(0, 1, rows), 2)
    table["lens"] = np.where(random.random(rows) < np.where(held["sunset"], 0.7, 0.02), np.nan, random.normal(35, 5, rows).round(1))
    table["note"] = [f"{text} dusk" if has else text for text, has in zip(table["note"], held["sunset"], strict=True)]
    table["case"] = [f"C{place:04d}" for place in np.argsort(np.argsort(random.random(rows) + 2 * held["beach"] + held["snow"]))]
    inputs = ["age", "site", "scene", "degrees", "lens", "note"]
    table.loc[test[5:9], inputs] = table.loc[train[5:9], inputs].to_numpy()
    held["sunset"][test[5:9]] = ~held["sunset"][train[5:9]]
    return table, held


LABEL_FAULTS = {
    ("error", "gives_answer_away", "scene"),
    ("error", "gives_answer_away", "degrees"),
    ("warning", "gives_answer_away", "note"),
    ("warning", "missing_tells_label", "lens"),
    ("warning", "order_tells_label", "case"),
    ("error", "duplicate_rows", "table.csv"),
    ("warning", "conflicting_rows", "table.csv"),
}


@pytest.mark.parametrize("form", ["one cell", "columns"])
def test_planted_faults_of_labels_are_found_each_in_one_finding(tmp_path, form):
    table, held = planted_labels()
    columns = COLUMNS | {"scene": CATEGORICAL, "degrees": NUMERIC, "lens": NUMERIC}
    if form == "one cell":
        table, target, where = tagged(table, held), TAGS, "tags"
    else:
        table = table.assign(**{name: has.astype(int) for name, has in held.items()})
        target, where = {"traits": {"role": "target", "task": "multilabel", "labels": list(held)}}, "traits"
    found = inspected(tmp_path, table, columns | target)
    own = {("warning", "constant", where), ("note", "class_imbalance", where), ("warning", "shift", where)}
    assert told(found) == LABEL_FAULTS | own
    words = {(finding.kind, finding.where): finding.what for finding in found.findings}
    assert words["gives_answer_away", "scene"].startswith(
        f"the column alone predicts 1 of the 7 labels of '{where}' without fail: 'beach' (AUC 1.000, 95 % interval 0.9"
    )
    assert words["gives_answer_away", "note"] == (
        f"words give 1 of the 7 labels of '{where}' away: 'dusk' tells 'sunset' "
        "(100% of its texts hold it, and 100% of the texts that hold it are its own)."
    )
    assert words["order_tells_label", "case"].startswith(
        f"the order of the ids is associated with 2 of the 7 labels of '{where}': those of 'beach' come later, with an AUC of 1.00; "
    )
    assert words["missing_tells_label", "lens"].endswith("% of the others lack it.")
    assert words["constant", where] == "every row has the label 'all'."
    assert words["shift", where].startswith("test differs from training: 'city' in 100% of the rows, in training in ")
    rare = [(finding.level, finding.what) for finding in found.findings if finding.kind == "rare_class"]
    assert ("error", "training has no row of 'unlearned'.") in rare
    assert ("warning", "test has no row of 'rare'.") in rare


def test_a_column_that_tells_many_labels_is_told_once(tmp_path):
    table, held = labelled()
    table["code"] = ["".join(str(int(has)) for has in row) for row in zip(*held.values(), strict=True)]
    finding = one(inspected(tmp_path, tagged(table, held), COLUMNS | TAGS | {"code": CATEGORICAL}), "gives_answer_away")
    assert finding.what.startswith("the column alone predicts 4 of the 4 labels of 'tags' without fail: 'beach' (AUC 1.000")


def test_planted_faults_of_a_number_are_found(tmp_path):
    table, random = numbered(), np.random.default_rng(2)
    rows, place = len(table), np.argsort(np.argsort(table["y"]))
    table["stage"] = np.round(np.log(table["y"]), 2)  # in a line with the ranks alone: the numbers have a long tail
    table["lab"] = np.where(random.random(rows) < np.where(place > rows / 2, 0.5, 0.02), np.nan, random.normal(5, 1, rows).round(2))
    table["note"] = [f"{text} Came to {value}." for text, value in zip(table["note"], table["y"], strict=True)]
    table["case"] = [f"C{number:04d}" for number in np.argsort(np.argsort(place + random.normal(0, rows / 4, rows)))]
    test = np.flatnonzero(table["part"] == "test")
    train = np.flatnonzero(table["part"] == "train")[:8]
    table.loc[test, "y"] *= 6
    table.loc[test[0], "y"] = 9e9
    inputs = ["age", "site", "stage", "lab", "note"]
    table.loc[test[10:18], inputs] = table.loc[train, inputs].to_numpy()
    found = inspected(tmp_path, table, COLUMNS | NUMBER | {"stage": NUMERIC, "lab": NUMERIC})
    assert told(found) == {
        ("error", "gives_answer_away", "stage"),
        ("error", "gives_answer_away", "note"),
        ("warning", "missing_tells_label", "lab"),
        ("warning", "order_tells_label", "case"),
        ("error", "duplicate_rows", "table.csv"),
        ("warning", "conflicting_rows", "table.csv"),
        ("warning", "shift", "y"),
        ("warning", "outliers", "y"),
    }


def test_answers_in_two_units_are_told(tmp_path):
    table, random = numbered(), np.random.default_rng(2)
    table["y"] = np.round(random.normal(70, 5, len(table)) * np.where(random.random(len(table)) < 0.3, 2.2, 1.0), 1)
    assert kinds(inspected(tmp_path, table, COLUMNS | NUMBER)) == {"mixed_units"}


def test_numbers_of_copies_that_were_measured_twice_are_no_conflict(tmp_path):
    table = numbered()
    again = table.assign(y=table["y"] + 0.01 * table["y"].std(), case=[f"D{row}" for row in range(len(table))])
    found = inspected(tmp_path, pd.concat([table, again], ignore_index=True), COLUMNS | NUMBER)
    assert kinds(found) == {"duplicate_rows"}
