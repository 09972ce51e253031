"""Evaluation of a run on other tables: counted rows, refused tables, and the names of the results."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import paint, ready, two_blobs, write_experiment, write_table

from mmtrain.artifacts import runs
from mmtrain.artifacts.results import BootstrapInfo
from mmtrain.artifacts.run_schema.run_facts import EvaluationRecord, ExplanationRecord
from mmtrain.cli.app import run as command_line
from mmtrain.commands.evaluate import EvaluateOptions, evaluate, resampling, ungrouped_notes, unlearned
from mmtrain.commands.fit import fit
from mmtrain.errors import DataError, RunError
from mmtrain.evaluation.bootstrap import METHOD
from mmtrain.pipeline.groups.ensemble import load
from mmtrain.pipeline.prepare import other_data
from mmtrain.pipeline.run_record import other_label, remarks

pytestmark = pytest.mark.usefixtures("models_opened_once")

TREE = """
columns:
  x: {role: numeric}
  y: {role: target, task: multiclass}
  price: {role: target, task: regression}
split: {method: random, validation: 0.2, test: 0.2}
training: {epochs: 1, optimizer: sgd}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a table and its run."""
    folder = tmp_path_factory.mktemp("evaluate")
    two_blobs(folder, 20, price=lambda row: row * 1.5)
    fit(write_experiment(folder / "a.yaml", TREE), output=folder / "runs")
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A run that was never scored: a report covers all scored parts, and would take longer from test to test."""
    return runs.find(None, Path(shutil.copytree(trained, tmp_path / "trained")) / "runs")


GROUPED = """
columns:
  x: {role: numeric}
  patient: {role: group}
  y: {role: target, task: binary}
"""


@pytest.fixture
def patients(tmp_path):
    """20 rows of 5 patients, before any training."""
    two_blobs(tmp_path, 20, patient=lambda row: "abcde"[row // 4])
    return ready(write_experiment(tmp_path / "a.yaml", GROUPED))


def test_groups_are_what_intervals_draw(patients):
    found = resampling(patients.experiment, patients.data.table, np.array([0, 3, 4, 19]))
    assert (found.groups.tolist(), found.column) == ([0, 0, 1, 4], "patient")
    assert ungrouped_notes(patients.experiment, patients.data.table) == ()


def test_rows_without_a_group_are_drawn_one_by_one(patients, tmp_path):
    rows = [{"x": 1, "y": "low", "patient": patient} for patient in ("q", "", "q", "", "r")]
    table = other_data(patients.experiment, write_table(tmp_path / "newer.csv", rows)).table
    assert resampling(patients.experiment, table, np.arange(5)).groups.tolist() == [0, 2, 0, 3, 1]


def test_a_table_without_the_column_of_groups_has_its_rows_drawn_and_that_is_told(patients, tmp_path):
    table = other_data(patients.experiment, write_table(tmp_path / "newer.csv", [{"x": 1, "y": "low"}])).table
    assert resampling(patients.experiment, table, np.arange(1)).groups is None
    assert ungrouped_notes(patients.experiment, table) == (
        "newer.csv has no column patient, so the intervals treat all rows as independent; where rows have the same patient, they are "
        "too narrow.",
    )


def test_every_score_has_its_interval_in_metrics(run):
    done = evaluate(str(run.folder), EvaluateOptions(part="train"))
    assert done.targets["y"].interval == BootstrapInfo(confidence=0.95, draws=1000, unit="row", units=12, column="", method=METHOD)
    kept = run.read_json("metrics.json")["train"]
    assert kept["y"]["interval"] == {
        "confidence": 0.95,
        "draws": 1000,
        "unit": "row",
        "units": 12,
        "column": "",
        "method": "bootstrap, bias-corrected expanded percentiles",
    }
    assert len(kept["y"]["scores"]) + len(kept["price"]["scores"]) == 10
    for result in kept.values():
        for score in result["scores"].values():
            assert score["low"] <= score["value"] <= score["high"] if "low" in score else score["note"].startswith("No interval: ")


def newer(folder, *rows):
    return write_table(folder / "newer.csv", [dict(zip(("x", "y", "price"), row, strict=True)) for row in rows])


def scored(run, table):
    return evaluate(str(run.folder), EvaluateOptions(table=table))


def test_the_very_table_of_the_training_is_a_look_at_the_test_part(run, tmp_path):
    copy = tmp_path / "copy.csv"
    copy.write_bytes((run.folder.parents[2] / "table.csv").read_bytes())
    before = sum(look["part"] == "test" for look in run.read_json("run.json").get("evaluations", []))
    done = scored(run, copy)
    assert (done.part, done.test_looks) == ("copy", before + 1)
    assert done.remarks == [
        "copy.csv is the table of the training; among the scored rows are 12 train, 4 validation and 4 test rows. "
        "This counts as an evaluation of the test part.",
    ]
    assert run.read_json("run.json")["evaluations"][-1]["rows_of"] == {"train": 12, "validation": 4, "test": 4}
    assert "The test part has been scored once." in done.report.read_text()
    assert evaluate(str(run.folder)).test_looks == before + 2


@pytest.mark.slow
def test_results_of_one_table_do_not_replace_those_of_another_of_its_name(run, tmp_path):
    first = newer(tmp_path / "a", (1, "low", 2), (-1, "high", 3))
    second = newer(tmp_path / "b", (1, "high", 2), (-1, "low", 3))
    assert [(done.part, done.test_looks) for done in (scored(run, first), scored(run, second), scored(run, first))] == [
        ("newer", 0),
        ("newer_2", 0),
        ("newer", 0),
    ]
    assert scored(run, second).remarks == [
        "Another table of the name newer was scored before; the results for this one are called newer_2.",
    ]
    looks = run.read_json("run.json")["evaluations"]
    assert [(look["part"], look["table"], look["path"]) for look in looks[-2:]] == [
        ("newer", "newer.csv", str(first)),
        ("newer_2", "newer.csv", str(second)),
    ]
    assert len({look["sha256"] for look in looks[-2:]}) == 2
    assert (run / "predictions_newer_2.csv").is_file()


@pytest.mark.parametrize(
    ("headers", "lacking", "hint"),
    [(("x", "y"), "'price'", ""), (("x", "id"), "'y' and 'price'", ""), (("x", "y", "prize"), "'price'", "Did you mean 'prize'? ")],
)
def test_a_table_without_answers_is_for_predict(run, tmp_path, headers, lacking, hint):
    table = write_table(tmp_path / "newer.csv", [dict.fromkeys(headers, 1)])
    with pytest.raises(DataError) as caught:
        scored(run, table)
    assert str(caught.value) == (
        f"newer.csv: the table has no column {lacking}, without which nothing can be scored. "
        f"{hint}Predictions need no answers: mmtrain predict {run.folder} {table}"
    )


def test_an_answer_that_is_no_number_is_refused_and_an_empty_one_is_not(run, tmp_path):
    with pytest.raises(DataError) as caught:
        scored(run, newer(tmp_path, (1, "low", 2), (-1, "high", "abc")))
    assert str(caught.value) == (
        "newer.csv:3: price: 'abc' is not a number. Write a number, or list 'abc' under `data.missing_values` "
        "if it stands for a missing value."
    )
    done = scored(run, newer(tmp_path, (1, "low", 2), (-1, "high", ""), (-1, "low", 7)))
    assert (done.targets["price"].rows, done.targets["price"].unknown_answers) == (2, 1)


def test_a_class_that_training_did_not_know_is_written_as_it_is(run, tmp_path):
    done = scored(run, newer(tmp_path, (1, "low", 2), (-1, "medium", 3), (-1, "", 3), (-1, "high", 4)))
    assert (done.targets["y"].rows, done.targets["y"].unknown_answers) == (2, 2)
    assert pd.read_csv(done.predictions, dtype=str, keep_default_na=False)["y_truth"].tolist() == ["low", "medium", "", "high"]


@pytest.mark.parametrize(
    ("state", "remark"),
    [
        ("interrupted", "The training of this run was interrupted; the weights are those of its best epoch so far."),
        ("running", "The training of this run has not ended, or was killed; its weights may still become better."),
        ("failed", "The training of this run failed; the weights are those of its best epoch before."),
    ],
)
def test_a_run_that_did_not_end_well_is_remarked(run, state, remark):
    run.update(state=state)
    found = remarks(run, EvaluationRecord(part="validation", when="", table="table.csv"))
    run.update(state="finished")
    assert found == (remark,)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("new.csv", "new_2"),
        ("New.csv.gz", "New_2"),
        ("same.csv", "same"),
        ("Test.csv", "Test_table"),
        ("conformal.csv", "conformal_table"),
        ("calibration.csv", "calibration_table"),
        ("rows.csv", "rows_table"),
        ("oof.csv", "oof_table"),
        ("Member.csv", "Member_table"),
        ("held_back.csv", "held_back_table"),
        ("new_rows.csv", "new_rows_table"),
    ],
)
def test_no_two_tables_have_one_label_not_even_where_case_does_not_count(name, label):
    records = [{"part": "new", "sha256": "1"}, {"part": "same", "sha256": "2"}, {"rows": {"test": 1}}]
    before = [ExplanationRecord.model_validate(record) for record in records]
    assert other_label(Path(name), "2", before) == label


def test_labels_that_training_rows_lack_are_told(tmp_path):
    cells = [("a;b", "train"), ("b", "train"), ("a", "validation"), ("c;a", "test"), ("d;c", "test")]
    write_table(tmp_path / "table.csv", [{"x": row, "y": tags, "part": part} for row, (tags, part) in enumerate(cells)])
    tree = "columns: {x: {role: numeric}, y: {role: target, task: multilabel}, part: {role: split}}\nsplit: {method: column}"
    made = ready(write_experiment(tmp_path / "e.yaml", tree))
    remarks = [list(unlearned(made.experiment, made.fitted, made.data.table, made.partition[part])) for part in ("validation", "test")]
    assert remarks == [[], ["y: no training row has the labels 'c' and 'd'; the scores leave them out."]]


def other_categories(values):
    values["columns"]["x"] = {"role": "categorical", "categories": ["a"], "one_hot": False, "width": 0, "masked": False, "missing": 0}


def other_classes(values):
    values["targets"]["y"] |= {"classes": ["a", "b", "c"], "counts": [1, 1, 1], "weights": [1, 1, 1]}


def no_statistics(values):
    del values["columns"]["x"]


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("columns.json", other_categories, "columns.json: the file has other columns or targets than config.yaml."),
        ("columns.json", other_classes, "model.keras: the network does not belong to config.yaml and columns.json."),
        ("statistics.json", no_statistics, "statistics.json: the file does not hold the statistics of 'x'."),
    ],
)
def test_files_of_a_run_that_do_not_go_together_are_refused(run, name, change, what):
    values = run.read_json(name)
    change(values)
    run.write_json(name, values)
    run.seal(name)
    with pytest.raises(RunError) as caught:
        load(run.folder)
    assert str(caught.value) == f"{run.folder}/{what} Train again, or restore the folder."


# Runs that have moved


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A run of one machine, its table and images of another: the run, the table and the images folder."""
    folder = tmp_path_factory.mktemp("moved")
    for row in range(20):
        paint(folder / "work" / "img" / f"{row}.png", 250 * (row % 2))
    write_table(folder / "work" / "t.csv", [{"pic": f"{row}.png", "x": row, "y": "yes" if row % 2 else "no"} for row in range(20)])
    tree = {
        "data": {"table": "work/t.csv", "images": "work/img"},
        "columns": {"pic": {"role": "image", "size": [8, 8]}, "x": {"role": "numeric"}, "y": {"role": "target", "task": "binary"}},
        "training": {"epochs": 1, "optimizer": "sgd"},
        "split": {"validation": 0.2, "test": 0.2},
    }
    fit(write_experiment(folder / "a.yaml", tree), output=folder / "runs")
    (folder / "work").rename(folder / "elsewhere")
    return runs.find(None, folder / "runs"), folder / "elsewhere" / "t.csv", folder / "elsewhere" / "img"


GONE = (
    "the table of the training is no longer here. Put it back, or give its place with `--table FILE`, and that of the images "
    "with `--images FOLDER` if they are not next to it."
)


@pytest.mark.slow
@pytest.mark.parametrize("command", [["evaluate"], ["export", "--format", "keras"], ["explain"]])
def test_moved_run_says_how_its_data_are_named_and_takes_it_so(command, moved, capsys, tmp_path):
    run, table, images = moved
    name, *options = command
    given = [name, str(run.folder), *options, *(["-o", str(tmp_path / "out")] if name == "export" else [])]
    assert command_line(given) == 3
    named = run.folder.parents[2] / "work" / "t.csv"
    assert f"{named}: {GONE}\n" in capsys.readouterr().err
    away = shutil.move(images, tmp_path / "img")
    try:
        assert command_line([*given, "--table", str(table)]) == 3
        what = f"{images}: the images folder does not exist. Set `--images` to the folder that image cells are relative to.\n"
        assert what in capsys.readouterr().err  # where they would be if they had moved with the table
    finally:
        shutil.move(away, images)
    assert command_line([*given, "--table", str(table), "--images", str(images)]) == 0


@pytest.mark.slow
def test_images_that_moved_with_the_table_are_found_there(moved):
    run, table, _ = moved
    assert command_line(["evaluate", str(run.folder), "--table", str(table), "--part", "validation"]) == 0


@pytest.mark.slow
def test_run_that_goes_on_elsewhere_takes_its_table_and_images_from_there(moved, capsys):
    run, table, images = moved
    folder = Path(shutil.copytree(run.folder, run.folder.parent / "2"))
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(facts | {"state": "interrupted"}))
    assert command_line(["fit", "--resume", str(folder)]) == 3
    assert GONE in capsys.readouterr().err
    assert command_line(["fit", "--resume", str(folder), "--table", str(table), "--images", str(images)]) == 0
    assert runs.open_run(folder).state == "finished"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (
            ["evaluate", "--set", "data.table=t.csv"],
            "--set data.table=t.csv: the run is trained already. Give its present place with `--table FILE`.",
        ),
        (
            ["evaluate", "--set", "data.images=img"],
            "--set data.images=img: the run is trained already. Give their present folder with `--images FOLDER`.",
        ),
        (
            ["evaluate", "--table", "t.csv", "--data", "t.csv"],
            "mmtrain evaluate: --table and --data cannot be given together: the first is the new place of the training's table, the second "
            "another table. Leave out one of them.",
        ),
    ],
)
def test_places_of_a_run_are_said_in_one_way(command, problem, run, capsys):
    name, *options = command
    assert command_line([name, str(run.folder), *options]) == 2
    assert capsys.readouterr().err.splitlines()[1:] == [problem]


def test_places_of_an_experiment_file_are_set_in_it(tmp_path, capsys):
    assert command_line(["fit", "a.yaml", "--table", "t.csv"]) == 2
    assert capsys.readouterr().err.splitlines()[1:] == [
        "mmtrain fit: --table and --images are the present places of the table and the images of a run, so they need --resume. "
        "For an experiment file, set `data.table` and `data.images`: mmtrain fit a.yaml --set data.table=FILE"
    ]
