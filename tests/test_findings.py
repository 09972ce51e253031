"""What `inspect-data` finds: every fault that is planted in a table, and none in a clean one."""


import numpy as np
import pandas as pd
import pytest
from tiny import write_experiment

from mmtrain.workflows.inspect import inspect_experiment

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


def test_every_planted_fault_is_found_and_none_invented(tmp_path):
    found = inspected(tmp_path, planted(), PLANTED)
    told = {(finding.level, finding.kind, finding.where) for finding in found.findings}
    assert told - FAULTS == set()
    assert FAULTS - told == set()
    assert all(finding.why and finding.fix for finding in found.findings)


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_table_has_no_error_no_warning_and_two_notes_at_most(tmp_path, seed):
    found = inspected(tmp_path, clean(seed=seed), COLUMNS)
    assert found.problems == ()
    assert {finding.level for finding in found.findings} <= {"note"}
    assert len(found.findings) <= 2
