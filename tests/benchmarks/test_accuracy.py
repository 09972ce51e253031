"""benchmarks/accuracy.py: sets of a folder, folds, references, and results that are added to."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def _benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def patients(rows=60):
    """Ages that tell the answer, a site in two, and two rows of each patient."""
    number = np.arange(rows)
    return pd.DataFrame(
        {
            "age": np.where(number % 7 == 0, np.nan, 20 + 40 * (number % 3 == 0) + number % 5),
            "site": np.where(number % 2, "north", "south"),
            "note": [f"the scan of row {one} was read without remarks" for one in number],
            "patient": [f"p{one // 2}" for one in number],
            "ill": np.where(number % 3 == 0, "yes", "no"),
        }
    )


def write_set(folder, rows, **facts):
    folder.mkdir(parents=True)
    rows.to_csv(folder / "data.csv", index=False)
    if facts:
        (folder / "set.yaml").write_text(yaml.safe_dump(facts), encoding="utf-8")
    return folder


def test_folder_of_sets_is_read_with_its_description_and_split(tmp_path):
    from accuracy_sets import folder_sets

    folder = write_set(tmp_path / "clinic", patients(), target="ill", task="binary", group="patient", leave_out=["note"], only=["yes"])
    split = np.where(np.arange(60) < 30, "train", "test")
    pd.DataFrame({"split": split}).to_csv(folder / "split.csv", index=False)
    write_set(tmp_path / "plain", patients())

    clinic, plain = folder_sets(tmp_path)

    assert (clinic.name, clinic.target, clinic.task, clinic.group) == ("clinic", "ill", "binary", "patient")
    assert list(clinic.rows) == ["age", "site", "patient", "ill"]
    assert clinic.rows["ill"].unique().tolist() == ["yes"]
    assert clinic.split.tolist() == split[::3].tolist()
    assert (plain.target, plain.split, len(plain.rows)) == ("", None, 60)


def test_folder_without_sets_is_unavailable(tmp_path):
    from accuracy_sets import UnavailableError, folder_sets

    with pytest.raises(UnavailableError, match=r"has no data\.csv"):
        list(folder_sets(tmp_path))


@pytest.mark.parametrize("group", ["", "patient"])
def test_folds_cover_each_row_once_and_keep_groups_together(group):
    from accuracy import folds
    from accuracy_sets import DataSet

    rows = patients()
    found = folds(DataSet("clinic", rows, "ill", "binary", group), "binary")

    assert sorted(np.concatenate([test for _, test in found]).tolist()) == list(range(60))
    for train, test in found:
        assert sorted([*train, *test]) == list(range(60))
        assert 3 <= (rows["ill"].iloc[test] == "yes").sum() <= 5, "classes are spread evenly"
        assert not group or not set(rows["patient"].iloc[train]) & set(rows["patient"].iloc[test])


def test_own_split_is_the_only_fold_and_validation_rows_are_trained_on():
    from accuracy import folds
    from accuracy_sets import DataSet

    split = pd.Series(["train", "test", "Validation"] * 20)
    ((train, test),) = folds(DataSet("clinic", patients(), "ill", "binary", split=split), "binary")
    assert test.tolist() == list(range(1, 60, 3))
    assert sorted([*train, *test]) == list(range(60))


def test_class_of_one_training_row_is_split_by_marked_validation_rows(tmp_path):
    """A stratified split would refuse it."""
    from accuracy import SPLIT, written_experiment
    from accuracy_sets import DataSet

    rows = patients().assign(grade=["rare", *(["low", "high"] * 30)[:59]]).drop(columns=["patient"])
    file, target, task = written_experiment(DataSet("clinic", rows, "grade", "multiclass"), np.arange(48, 60), tmp_path)
    assert (target, task) == ("grade", "multiclass")
    assert pd.read_csv(tmp_path / "clinic.csv")[SPLIT].value_counts().to_dict() == {"train": 41, "test": 12, "validation": 7}
    tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert tree["split"] == {"method": "column"}
    assert tree["columns"][SPLIT] == {"role": "split"}


def test_references_learn_from_training_rows_alone():
    import accuracy_references as references

    rows = patients().drop(columns=["patient"])
    train, test = np.arange(40), np.arange(40, 60)
    found = {model: references.scores(model, "binary", rows, "ill", train, test, 0) for model in references.MODELS}
    assert found["majority"]["auc"] == 0.5
    assert found["linear"]["auc"] > 0.9
    changed = rows.copy()
    changed.loc[40:, "ill"] = "no"
    changed.loc[40, "ill"] = "yes"
    again = references.scores("linear", "binary", changed, "ill", train, test, 0)
    assert again["log_loss"] > found["linear"]["log_loss"], "the same predictions, other answers"


def test_references_of_labels_and_numbers():
    import accuracy_references as references

    rows = patients().assign(
        labels=lambda table: np.where(table["ill"] == "yes", "a;b", ""), height=lambda table: table["age"].fillna(60) * 2
    )
    train, test = np.arange(40), np.arange(40, 60)
    inputs = rows[["age", "site"]]
    labels = references.scores("linear", "multilabel", inputs.assign(labels=rows["labels"]), "labels", train, test, 0)
    numbers = references.scores("linear", "regression", inputs.assign(height=rows["height"]), "height", train, test, 0)
    assert labels["macro_auc"] > 0.9
    assert numbers["r2"] > 0.5


def line(**changes):
    from accuracy import Line

    facts = {"label": "defaults", "commit": "abc", "date": "2026-11-30", "data": "clinic", "task": "binary", "rows": 60, "columns": 4}
    facts |= {"fold": 0, "seed": 0, "model": "mmtrain", "scores": {"auc": 0.75, "accuracy": 0.5, "log_loss": 0.7}}
    return Line(**(facts | {"seconds": 1.0, "cpu_seconds": 2.0, "parameters": 10} | changes))


def test_lead_without_a_value_or_an_interval_is_written_without_it():
    from accuracy import lead_of

    from mmtrain.metrics.score import Score

    differences = (Score("auc", 0.0123, low=0.002, high=0.03), Score("auc", 0.0123, note="No interval"), Score("auc", None, "one class"))
    assert [lead_of(one) for one in (*differences, None)] == ["0.0123 [0.0020, 0.0300]", "0.0123", "", ""]


def test_results_are_appended_and_found_again(tmp_path):
    from accuracy import Results

    file = tmp_path / "results" / "accuracy.csv"
    results = Results(file)
    results.add(line())
    results.add(line(model="linear", scores={"auc": 0.8, "accuracy": 0.6, "log_loss": 0.6}))
    results.add(line(model="mmtrain: table", lead="0.0100 [-0.0100, 0.0300]"))
    again = Results(file)
    assert again.has("defaults", "clinic", 0, 0, "mmtrain")
    assert not any(again.has(*key) for key in (("other", "clinic", 0, 0, "mmtrain"), ("defaults", "clinic", 1, 0, "mmtrain")))
    with file.open(encoding="utf-8", newline="") as text:
        assert [(row["model"], row["auc"], row["r2"], row["lead"]) for row in csv.DictReader(text)] == [
            ("mmtrain", "0.75000", "", ""),
            ("linear", "0.80000", "", ""),
            ("mmtrain: table", "0.75000", "", "0.0100 [-0.0100, 0.0300]"),
        ]


def test_references_are_those_of_any_label_for_the_same_folds(tmp_path):
    from accuracy import Results

    results = Results(tmp_path / "accuracy.csv")
    for fold in (0, 1):
        results.add(line(label="before", fold=fold))
        results.add(line(label="before", fold=fold, model="linear", scores={"auc": 0.8}))
    results.add(line(label="now"))
    found = [(one["label"], one["fold"], one["model"]) for one in results.comparable("now")]
    assert found == [("now", "0", "mmtrain"), ("before", "0", "linear")]
    assert results.has("now", "clinic", 1, 0, "linear")
    assert len(results.comparable("before")) == 4


def test_summary_compares_with_the_better_reference_and_the_majority(tmp_path):
    from accuracy import Results, summary

    results = Results(tmp_path / "accuracy.csv")
    for fold, auc in ((0, 0.7), (1, 0.8)):
        results.add(line(fold=fold, scores={"auc": auc, "accuracy": 0.5, "log_loss": 0.7}))
        for model, other in (("linear", 0.755), ("gradient_boosting", 0.6), ("majority", 0.5)):
            results.add(line(fold=fold, model=model, scores={"auc": other, "accuracy": 0.6, "log_loss": 0.69}))
    (entry,), sentences = summary(results.lines)
    assert entry["models"]["mmtrain"] | {"auc": 0.75, "spread": 0.0707, "trainings": 2} == entry["models"]["mmtrain"]
    assert sentences == [
        "Within 1% of the better reference on 1 of 1 sets, ahead on 0.",
        "clinic: accuracy 0.500 is below the majority's 0.600.",
        "clinic: log loss 0.700 is above the majority's 0.690.",
    ]


@pytest.mark.slow
def test_quick_run_trains_one_small_set(tmp_path):
    file, results = tmp_path / "accuracy.json", tmp_path / "results.csv"
    command = [sys.executable, str(BENCHMARKS / "accuracy.py"), "--quick", "--json", str(file), "--results", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "wine fold 0 seed 0  mmtrain: accuracy" in done.stdout
    (entry,) = json.loads(file.read_text(encoding="utf-8"))["results"]
    assert set(entry["models"]) == {"majority", "linear", "gradient_boosting", "mmtrain"}
    assert results.read_text(encoding="utf-8").count("\n") == 5
