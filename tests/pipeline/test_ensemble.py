"""The trainings of a group as one predictor: the mean of its members, row by row."""

import hashlib
import json
import shutil
import zipfile
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from tiny import two_blobs, write_experiment

import mmtrain
from mmtrain.api.cross_validated_run import CrossValidatedRun
from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.runs import find
from mmtrain.columns import CellWarning
from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.deployment.unpack import unpack
from mmtrain.commands.distill import DistillOptions, distill
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.explain import ExplainOptions, explain
from mmtrain.commands.fit import fit
from mmtrain.commands.fitting.resume import resume
from mmtrain.commands.predict import PredictOptions, predict
from mmtrain.errors import RunError, UsageError
from mmtrain.explanation.attribution import ColumnAttribution, ElementAttribution, RowExplanation, SelectedRow
from mmtrain.explanation.gradients import Attributions
from mmtrain.explanation.mean_explanation import mean_explanation
from mmtrain.explanation.selection import OutputSelector
from mmtrain.pipeline import baselines
from mmtrain.pipeline.explained_rows import ExplainedRows
from mmtrain.pipeline.groups import explain_members
from mmtrain.pipeline.groups.ensemble import end_to_end, for_labels, load, mean_predictions, merge_remarks, open_predictor
from mmtrain.pipeline.restore import restore_group
from mmtrain.reports.report_data import OUT_OF_FOLD
from mmtrain.targets.labels.multiclass import MulticlassTarget
from mmtrain.targets.numbers.regression import RegressionTarget

pytestmark = pytest.mark.usefixtures("models_opened_once")

EXPERIMENT = """
name: folds
columns: {x: {role: numeric}, city: {role: categorical}, y: {role: target, task: binary}}
branches: {x: {columns: [x, city], units: [4]}}
split: {method: stratified, folds: 2, test: 0.2, validation: 0.3, seed: 3}
training: {epochs: 2, batch_size: 16, deterministic: true, learning_rate: 0.05}
evaluation: {threshold: {aim: youden}, calibration: temperature, draws: 100}
"""


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    """A group of two folds, each of which has learned a mean of `x` and the cities of its own rows."""
    folder = tmp_path_factory.mktemp("folds")
    two_blobs(folder, city=lambda row: f"c{row % 25}")
    done = fit(write_experiment(folder / "folds.yaml", EXPERIMENT), output=folder / "runs")
    return done.run


@pytest.fixture(scope="module")
def table(group):
    return pd.read_csv(group.folder.parents[2] / "table.csv")


@pytest.fixture(scope="module")
def together(group, table):
    """The predictions of the group for its own table."""
    return load(group.folder).predict(table, proba=True)


def test_prediction_of_a_group_is_the_mean_of_its_members(group, table, together):
    alone = [load(group.child(f"folds/{fold}").folder).predict(table, proba=True) for fold in (0, 1)]
    expected = np.mean([one["probability_low"].to_numpy(np.float64) for one in alone], axis=0)
    assert not np.allclose(alone[0]["probability_low"], alone[1]["probability_low"], atol=1e-3)
    np.testing.assert_allclose(together["probability_low"], expected, atol=1e-7)


@pytest.mark.slow  # tests/serving has a run
def test_a_group_is_served_as_it_predicts(group, table):
    from mmtrain.serving.row_predictor import RowPredictor

    rows = [{**row, "x": None if number == 3 else row["x"]} for number, row in enumerate(table.to_dict("records"))]
    served = RowPredictor(group)
    answer = served.predict(served.prepare(rows))
    expected = load(group.folder).predict(pd.DataFrame(rows), proba=True)
    for name, values in answer.columns.items():
        np.testing.assert_array_equal(values, expected[name].to_numpy())
    assert answer.status.tolist() == expected["status"].tolist()


def test_row_i_of_a_group_is_row_i_in_any_order(group, table, together):
    shuffled = table.sample(frac=1, random_state=4)
    moved = load(group.folder).predict(shuffled, proba=True)
    np.testing.assert_array_equal(moved["probability_low"], together["probability_low"].to_numpy()[shuffled.index])


def test_remarks_of_any_member_are_in_the_status(group, table, together):
    split = pd.read_csv(group / "split.csv", keep_default_na=False)
    known = [set(table.city.iloc[split[(split.fold == str(fold)) & (split.part == "train")].row]) for fold in (0, 1)]
    status = together["status"]
    unknown = ~(table.city.isin(known[0]) & table.city.isin(known[1]))
    assert unknown.any() and not unknown.all()
    assert ((status != "ok") == unknown).all()


def test_own_table_of_a_group_counts_as_an_evaluation_of_its_test_rows(group, tmp_path):
    copy = Run(shutil.copytree(group.folder, tmp_path / "runs/folds/1"))
    done = evaluate(str(copy.folder), EvaluateOptions(table=group.folder.parents[2] / "table.csv"))
    look = copy.read("run.json").evaluations[-1]
    assert (look.rows, look.rows_of, look.is_test_access) == (60, {"train": 34, "validation": 14, "test": 12}, True)
    assert (
        "among the scored rows are 34 train, 14 validation and 12 test rows. This counts as an evaluation of the test part."
        in done.remarks[0]
    )


def test_group_is_scored_on_its_outer_test_rows_next_to_its_members(group):
    done = evaluate(str(group.folder))
    result = done.targets["y"]
    assert (done.part, result.rows, done.report) == ("test", 12, None)
    assert [(one.kind, one.label) for one in result.baselines] == [
        ("majority", "majority"),
        ("member", "folds/0 alone"),
        ("member", "folds/1 alone"),
    ]
    assert result.operating_point is not None and result.calibration.after is not None
    rows = pd.read_csv(done.predictions)
    outer = pd.read_csv(group / "split.csv", keep_default_na=False).query("fold == ''").row
    assert sorted(rows.row) == sorted(outer)
    assert json.loads((group / "run.json").read_text())["evaluations"][-1]["rows"] == 12


def test_a_group_is_evaluated_from_python(group, table):
    """With the scores and predictions of the evaluation, while those of the run stay the cross-validation."""
    run = mmtrain.load(group.folder)
    done = run.evaluate(table=table.iloc[::-1].head(10), progress=False)
    assert len(run.members) == len(done.run.members) == 2 and len(done.predictions) == 10
    assert mmtrain.predict(group.folder, table.head(3))["status"].size == 3
    scored = (done.predictions["truth"] == done.predictions["prediction"]).mean()
    assert done.scores.set_index("score").loc["accuracy", "value"] == pytest.approx(scored)
    assert done.predictions.index.tolist() == table.index[::-1][:10].tolist()
    assert "out_of_fold" in run.scores and "Scores" in done._tables()
    with pytest.raises(UsageError, match=r"the figures of a group of trainings are in its report\. Open `run\.report`"):
        run.plot()


def test_classes_of_out_of_fold_predictions_stay_texts(group, tmp_path):
    """Classes `01` and `1` would be the same as numbers, and every prediction right."""
    copy = tmp_path / "runs/folds/1"
    shutil.copytree(group.folder, copy)
    for name in ("predictions_oof.csv", "targets.json"):
        (copy / name).write_text((copy / name).read_text().replace("low", "01").replace("high", "1"))
    run = CrossValidatedRun(Run(copy))
    assert set(run.predictions["truth"]) == {"01", "1"}
    assert run.predictions["probability_01"].dtype == np.float64
    assert run.predictions["row"].tolist() == pd.read_csv(copy / "predictions_oof.csv")["row"].tolist()


def test_decisions_of_a_group_are_fitted_on_out_of_fold_predictions(group):
    decisions = json.loads((group / "decisions.json").read_text())["targets"]["y"]
    rows = pd.read_csv(group / "predictions_oof.csv")
    threshold = decisions["operating_point"]["threshold"]
    # Youden's index is largest at the chosen threshold.
    gains = [
        (rows.probability_low[rows.truth == "low"] >= at).mean() - (rows.probability_low[rows.truth == "high"] >= at).mean()
        for at in (threshold, *rows.probability_low)
    ]
    positive = "low" if gains[0] >= 0 else "high"
    assert positive == "low" and gains[0] == pytest.approx(max(gains))


@pytest.mark.slow
def test_a_group_explains_by_the_trainings_that_have_not_seen_a_row(group, tmp_path):
    """An outer test row by both, as the mean; a row of a fold by the training that left it out."""
    split = pd.read_csv(group / "split.csv", keep_default_na=False)
    outer = split.query("fold == ''").row.iloc[0]
    scored = [split.query(f"fold == '{fold}' and part == 'test'").row.iloc[0] for fold in (0, 1)]
    named = tuple(map(str, (outer, *scored)))
    done = explain(str(group.folder), ExplainOptions(named, folder=tmp_path / "group"))
    alone = [explain(str(group.child(f"folds/{fold}").folder), ExplainOptions(named, folder=tmp_path / f"{fold}")).rows for fold in (0, 1)]
    assert [row.part for row in done.rows] == ["test", "out_of_fold", "out_of_fold"]
    assert [row.trainings for row in done.rows] == [["folds/0", "folds/1"], ["folds/0"], ["folds/1"]]
    both = [one[0] for one in alone]
    for column, value in done.rows[0].attributions.items():
        each = [one.attributions[column] for one in both]
        assert value == pytest.approx(np.mean(each), abs=1e-6)
        assert done.rows[0].deviations[column] == pytest.approx(np.std(each, ddof=1), abs=1e-6)
    assert done.rows[0].output == pytest.approx(np.mean([one.output for one in both]), abs=1e-6)
    assert done.rows[0].explained == "mean logit of low"
    for fold in (0, 1):
        assert done.rows[1 + fold].attributions == pytest.approx(alone[fold][1 + fold].attributions, abs=1e-6)
        assert done.rows[1 + fold].deviations == {}
    trainings = pd.read_csv(tmp_path / "group" / "trainings.csv")
    assert trainings.groupby("row").size().tolist() == [4 if row == outer else 2 for row in sorted((outer, *scored))]
    rows = pd.read_csv(group / "predictions_oof.csv").set_index("row")
    assert [row.prediction for row in done.rows[1:]] == rows.prediction[scored].tolist()


@pytest.mark.slow
def test_a_packed_group_predicts_and_is_scored_in_another_folder(group, table, tmp_path):
    done = pack(str(group.folder), tmp_path / "group.zip")
    files = set(done.manifest.files)
    assert {"targets.json", "folds/0/model.keras", "folds/1/config.yaml"} < files
    assert not any("predictions" in name or "checkpoints" in name for name in files)
    assert str(group.folder) not in "".join(str(one) for one in done.manifest.left_out.items())
    unpacked = unpack(tmp_path / "group.zip", tmp_path / "unpacked")
    expected = load(group.folder).predict(table, proba=True)
    pd.testing.assert_frame_equal(load(unpacked.folder).predict(table, proba=True), expected)
    unpacked.table.parent.mkdir()
    shutil.copy(group.folder.parents[2] / "table.csv", unpacked.table)
    assert evaluate(str(unpacked.folder)).targets["y"].rows == 12
    # A training of the group finds the table at the same place.
    assert evaluate(f"{unpacked.folder}/folds/1", EvaluateOptions("validation")).targets["y"].rows > 5


def test_a_group_is_packed_once_it_is_finished(group, tmp_path):
    copy = Run(shutil.copytree(group.folder, tmp_path / "runs/folds/1"))
    copy.update(state="interrupted")
    with pytest.raises(RunError, match="cannot be packed before all of its trainings are finished; its state is 'interrupted'"):
        pack(str(copy.folder), tmp_path / "group.zip")


@pytest.mark.parametrize("place", ["../../../table.csv", "../../../../table.csv", "/table.csv"])
def test_a_training_of_an_archive_reads_nothing_outside_of_it(group, tmp_path, place):
    copy = shutil.copytree(group.folder, tmp_path / "runs/folds/1")
    pack(str(copy), tmp_path / "group.zip")
    with zipfile.ZipFile(tmp_path / "group.zip") as packed:
        holds = {name: packed.read(name) for name in packed.namelist()}
    text = holds["folds/1/config.yaml"].decode().replace("../../data/table.csv", place, 2)
    manifest = json.loads(holds["manifest.json"])
    manifest["files"]["folds/1/config.yaml"] = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text.encode())}
    holds |= {"folds/1/config.yaml": text.encode(), "manifest.json": json.dumps(manifest).encode()}
    with zipfile.ZipFile(tmp_path / "changed.zip", "w") as changed:
        for name, content in holds.items():
            changed.writestr(name, content)
    with pytest.raises(RunError, match="looks for tables or images, or keeps a cache, outside of the run's folder"):
        unpack(tmp_path / "changed.zip", tmp_path / "unpacked")
    assert not (tmp_path / "unpacked").exists()


def test_words_and_pixels_of_trainings_are_averaged():
    """A word that one vocabulary lacks counts as 0 there; the second of two equal words is a word of its own."""
    word, pixels = ElementAttribution, np.ones((2, 2))
    first = ColumnAttribution("note", "words", "a b a", False, (word("a", 4.0), word("b", 1.0)), (word("a", 1), word("b", 1), word("a", 3)))
    other = ColumnAttribution("note", "words", "a b a", False, (word("a", 2.0),), (word("a", 1.0), word("a", 1.0)), unread=1)
    unknown = ColumnAttribution("note", "words", "a b a", True, (word("missing", 0.0),))
    image = ColumnAttribution("scan", "regions", "1.png", False, (word("top", 4.0),), pixels=4 * pixels)
    each = {
        str(number): RowExplanation(
            SelectedRow(1, "1", "test", ""), "yes", "no", OutputSelector("y", words="logit of yes"), Attributions({}, 1.0, 0.0, 32), columns
        )
        for number, columns in enumerate(((first, image), (other, image), (unknown, image)))
    }
    note, scan = mean_explanation(each, [1.0, 1.0, 1.0], OutputSelector("y", words="logit of yes"), "yes").columns
    assert {one.name: one.attribution for one in note.elements} == {"a": 2.0, "b": pytest.approx(1 / 3)}
    reading = [(one.name, one.attribution) for one in note.reading]
    assert reading == [("a", pytest.approx(2 / 3)), ("b", pytest.approx(1 / 3)), ("a", pytest.approx(4 / 3))]
    assert (note.missing, note.unread, note.deviation) == (False, 0, pytest.approx(np.std([5, 2, 0], ddof=1)))
    np.testing.assert_allclose(scan.pixels, 4 * pixels)
    weighted = mean_explanation(each, [3.0, 1.0, 0.0], OutputSelector("y", words="logit of yes"), "yes").columns[0]
    assert {one.name: one.attribution for one in weighted.elements} == {"a": 3.5, "b": 0.75}


def test_a_training_that_does_not_read_a_column_attributes_nothing_to_it():
    selected, selector = SelectedRow(1, "1", "test", ""), OutputSelector("y", words="logit of yes")
    age, size = (ColumnAttribution(name, "cells", "1", False, (ElementAttribution("1", 2.0),)) for name in ("age", "size"))
    alone, both = (
        RowExplanation(selected, "yes", "no", selector, Attributions({}, output, 0.0, 32), columns)
        for output, columns in ((1.0, (size,)), (3.0, (age, size)))
    )
    mean = mean_explanation({"alone": alone, "both": both}, [0.25, 0.75], selector, "yes")
    assert [(one.column, one.attribution) for one in mean.columns] == [("age", 1.5), ("size", 2.0)]
    assert (mean.attributions.output, mean.selector.words) == (2.5, "mean logit of yes")


@pytest.mark.slow  # with weights below
def test_one_model_holds_all_members(group, table, together):
    labels = restore_group(find(str(group.folder), group.folder, group=True))[1]
    raw = {"x": table[["x"]].to_numpy(), "city": table[["city"]].to_numpy(object)}
    np.testing.assert_allclose(end_to_end(group, labels)(raw)["y"].numpy()[:, 0], together["probability_low"], atol=1e-6)


def test_weights_of_the_trainings_are_those_of_the_prediction_and_of_the_one_model(group, table, tmp_path):
    """A training that counts for nothing is not opened, unless it is the first one, by which a table is read."""
    copy = Run(shutil.copytree(group.folder, tmp_path / "runs/folds/1"))
    alone = [load(copy.child(f"folds/{fold}").folder).predict(table, proba=True)["probability_low"] for fold in (0, 1)]
    labels = restore_group(group)[1]
    raw = {"x": table[["x"]].to_numpy(), "city": table[["city"]].to_numpy(object)}
    for weights, opened in (([0.25, 0.75], 2), ([0.0, 1.0], 2), ([1.0, 0.0], 1)):
        chosen = {"method": "greedy", "reason": "Chosen by hand.", "weights": {"all": 1.0}, "members": weights, "rows": 48}
        copy.write_json("ensemble.json", {"part": "out of fold", "targets": {"y": chosen}})
        expected = sum(weight * one.to_numpy(np.float64) for weight, one in zip(weights, alone, strict=True))
        predictor = open_predictor(copy)
        assert len(predictor.members) == opened
        np.testing.assert_allclose(predictor.predict(table, proba=True)["probability_low"], expected, atol=1e-6)
        np.testing.assert_allclose(end_to_end(copy, labels)(raw)["y"].numpy()[:, 0], expected, atol=1e-6)


def test_scored_rows_are_explained_with_the_weights_that_they_were_scored_with(monkeypatch):
    """Row 7 is scored out of fold, row 9 is an outer test row; the table's file has other rows before them."""
    of_rows = {"y": np.array([[0.0, 0.2], [1.0, 0.8]])}  # of rows 5 and 7, by training
    combined = SimpleNamespace(rows=np.array([5, 7]))
    monkeypatch.setattr(explain_members, "combine_members", lambda *_: (SimpleNamespace(of_rows=of_rows), combined))
    monkeypatch.setattr(explain_members, "member_weights", lambda _: {"y": [0.5, 0.5]})
    data = SimpleNamespace(table=SimpleNamespace(rows=np.array([7, 9])))
    rows = ExplainedRows(data, np.array([OUT_OF_FOLD, "test"], dtype=object), np.array([1, 0]), named=True, own_table=True)
    assert explain_members.weights_of_rows(None, None, None, "y", rows).tolist() == [[0.5, 0.5], [0.2, 0.8]]


@pytest.fixture(scope="module")
def student(group):
    """One network that has learned the out-of-fold predictions of the group."""
    options = DistillOptions(overrides=("branches.x.units=[3]",), weight=0.9)
    return distill(str(group.folder), options, output=group.folder.parents[1]).run


def test_student_learns_on_rows_of_all_folds_and_keeps_the_outer_test_rows(group, student):
    rows, folds = (pd.read_csv(run / "split.csv", keep_default_na=False) for run in (student, group))
    part = dict(zip(rows.row, rows.part, strict=True))
    outer = set(folds.row[folds.fold == ""])
    assert {row for row, use in part.items() if use == "test"} == outer
    validation = {row for row, use in part.items() if use == "validation"}
    assert validation == set(folds.row[(folds.fold == "1") & (folds.part == "validation")])
    assert len(rows) == 60 and sum(use == "train" for use in part.values()) == 60 - len(outer) - len(validation)


def test_teacher_predicts_each_row_by_trainings_that_have_not_seen_it(group, student, table):
    taught = pd.read_csv(student / "predictions_teacher.csv").set_index("row")
    oof = pd.read_csv(group / "predictions_oof.csv").set_index("row")
    outside = taught.source == "out_of_fold"
    assert len(taught) == 60 and set(taught.index[outside]) == set(oof.index)
    np.testing.assert_allclose(taught.probability_low[outside].sort_index(), oof.probability_low.sort_index(), atol=1e-7)
    mean = load(group.folder).predict(table, proba=True)["probability_low"]
    np.testing.assert_allclose(taught.probability_low[~outside], mean[taught.index[~outside]], atol=1e-6)


@pytest.mark.slow
def test_student_is_an_ordinary_run_that_is_compared_with_its_teacher(group, student):
    record = student.read("run.json").distillation
    assert (record.teacher, record.trainings, record.soft, record.weight, record.rows) == (str(group), 2, "out_of_fold", 0.9, 41)
    assert 0 < record.student.parameters < record.costs.parameters and record.student.seconds > 0
    done = evaluate(str(student.folder))
    assert [one.kind for one in done.targets["y"].baselines] == ["majority", "teacher"]
    of_group = evaluate(str(group.folder)).targets["y"]
    of_teacher = done.targets["y"].baselines[1]
    assert done.targets["y"].rows == 12 and of_teacher.scores["auc"].value == of_group.scores["auc"].value
    assert record.thresholds == {"y": restore_group(group)[1].targets["y"].threshold}
    assert of_teacher.name == f"its teacher, {group}"
    on_validation = evaluate(str(student.folder), EvaluateOptions(part="validation")).targets["y"].baselines[1]
    assert on_validation.name.startswith(f"its teacher, {group}: each row by those of its trainings that have not seen it")
    difference = done.targets["y"].scores["log_loss"].value - of_teacher.scores["log_loss"].value
    assert of_teacher.differences["log_loss"].value == pytest.approx(difference)
    page = (student / "report.html").read_text()
    assert f"Distilled from {group}, the mean of 2 trainings" in page
    assert "trained by `mmtrain distill`" in (student / "config.yaml").read_text()


def test_teacher_decides_by_its_own_threshold_where_a_student_is_compared_with_it(group, student, table, monkeypatch):
    fitted, record = restore_group(group)[1], student.read("run.json").distillation.model_copy(update={"thresholds": {"y": 0.8}})
    run = SimpleNamespace(read=lambda _: SimpleNamespace(distillation=record))
    values = np.full((len(table), 1), 0.7, np.float32)
    monkeypatch.setattr(baselines, "is_distilled", lambda _: True)
    monkeypatch.setattr(baselines, "is_out_of_fold", lambda *_: False)
    monkeypatch.setattr(baselines, "read_teacher", lambda *_: {"y": values})
    rows = SimpleNamespace(rows=np.arange(len(table)))
    subject = SimpleNamespace(run=run, fitted=fitted, rows=np.arange(4), data=SimpleNamespace(table=rows))
    (teacher,) = baselines._teacher(subject, SimpleNamespace(scored=object()))
    assert teacher.targets["y"].threshold == 0.8


@pytest.mark.slow
def test_student_that_was_stopped_is_resumed_with_its_teacher(student, tmp_path):
    """To the same bits, although the teacher is not there any more."""
    copy = Run(shutil.copytree(student.folder, tmp_path / "runs/folds-distilled/1"))
    for name in ("last", "previous", "best"):
        shutil.rmtree(copy / f"checkpoints/{name}", ignore_errors=True)
    copy.update(state="interrupted", trained=None, distillation={**copy.read_json("run.json")["distillation"], "teacher": "gone/1"})
    (copy / "config.yaml").write_text(
        (copy / "config.yaml").read_text().replace("../../../table.csv", str(student.folder.parents[2] / "table.csv"))
    )
    copy.seal("config.yaml")
    resume(str(copy.folder))
    assert copy.state == "finished" and "predictions_teacher.csv" in copy.read("run.json").files
    scores = [(run / "metrics.jsonl").read_text() for run in (copy, student)]
    assert scores[0] == scores[1]


def test_student_keeps_rows_and_columns_of_its_teacher(group):
    for options, words in (
        (DistillOptions(overrides=("split.test=0.5",)), "the rows and columns of a student are those of its teacher"),
        (DistillOptions(name="../evil"), r"--name \.\./evil: this is not the name of a run\."),
        (DistillOptions(overrides=("training.minutes=1",)), r"--set training\.minutes: a student is trained without a limit of time\."),
        (DistillOptions(overrides=("training.seeds=7",)), r"--set training\.seeds: a student is one training\."),
        (DistillOptions(weight=1.5), "expected a number above 0 and up to 1; found 1.5"),
        (DistillOptions(temperature=0.5), "expected a number from 1 to 100; found 0.5"),
    ):
        with pytest.raises(UsageError, match=words):
            distill(str(group.folder), options)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["keras", "saved_model"])
def test_export_of_a_group_holds_all_members(group, tmp_path, format):
    done = mmtrain.export(group.folder, format, folder=tmp_path / format, progress=False)
    # Checked in a fresh process against the mean of the members.
    assert done.signature.check.rows > 5 and done.signature.check.largest_difference < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_encoded_export_of_a_group_has_an_input_for_each_way_to_encode(group, tmp_path, format):
    """The export is checked in a process of its own, against the mean of the members."""
    done = export(str(group.folder), ExportOptions(format, folder=tmp_path / format))
    names = [one.name for one in done.signature.inputs]
    assert names == ["x", "x_present", "city", "city_present", "x_of_folds_1", "x_of_folds_1_present", *names[6:]]
    assert done.signature.headers["x"] == ["x", "x_present", "x_of_folds_1", "x_of_folds_1_present"]
    assert done.signature.check.rows > 5 and done.signature.check.largest_difference < 1e-6
    columns = json.loads((tmp_path / format / "columns.json").read_text())["columns"]
    assert columns["x"] != columns["x of folds/1"]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "litert"])
@pytest.mark.parametrize("quantize", ["float16", "int8"])
def test_quantized_export_of_a_group_predicts_nearly_as_the_group_does(group, tmp_path, format, quantize):
    done = export(str(group.folder), ExportOptions(format, quantize, folder=tmp_path / "export"))
    check = done.signature.check
    assert check.rows > 5 and 0 < check.largest_difference < (0.01 if quantize == "float16" else 0.05)
    (score,) = check.scores
    assert score.after == pytest.approx(score.before, abs=0.01)


def test_parts_of_folds_are_refused_for_the_group(group):
    with pytest.raises(UsageError, match="each fold has parts of its own"):
        evaluate(str(group.folder), EvaluateOptions("validation"))


def test_new_answers_are_scored_by_predict(group, table, tmp_path):
    table.head(20).assign(x=lambda rows: rows.x + 0.01).to_csv(tmp_path / "new.csv", index=False)
    done = predict(str(group.folder), tmp_path / "new.csv", PredictOptions(tmp_path / "out.csv"))
    assert done.rows == 20 and done.results["y"].rows == 20


def test_group_that_is_not_finished_says_what_to_do(group, tmp_path):
    run = find(str(group.folder), tmp_path, group=True)
    run.update(state="interrupted")
    try:
        with pytest.raises(RunError, match="of this group of 2 are not finished") as refused:
            load(run.folder)
    finally:
        run.update(state="finished")
    assert "fit --resume" in refused.value.problems[0].fix


def test_class_that_a_member_never_saw_has_probability_0():
    target = MulticlassTarget(column="y", role="target", task="multiclass")
    labels, own = (target.fit({"y": pd.Series(cells)}, "none") for cells in (["a", "b", "c"], ["c", "a"]))
    aligned = for_labels({"y": labels}, {"y": own}, {"y": np.array([[0.25, 0.75]], np.float32)})
    np.testing.assert_array_equal(aligned["y"], [[0.25, 0, 0.75]])


def test_mean_is_taken_in_float64():
    labels = {"y": RegressionTarget(column="y").fit({"y": pd.Series(["1", "2"], dtype="str")}, "none")}
    members = [{"y": np.full((1, 1), value, np.float32)} for value in (1e8, 1, 1, 1, 1)]
    assert mean_predictions(labels, members)["y"][0, 0] == np.float32((1e8 + 4) / 5)


def test_remark_that_two_members_make_is_there_once():
    one, other = CellWarning(np.array([0, 2]), "unknown"), CellWarning(np.array([2, 3]), "unknown")
    [(header, merged)] = merge_remarks([[("city", one)], [("city", other)]])
    assert (header, merged.what, merged.rows.tolist()) == ("city", "unknown", [0, 2, 3])
