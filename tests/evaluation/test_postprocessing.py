"""Calibration, threshold and conformal bound, from fit over evaluate and predict to load and export."""

import json

import numpy as np
import pandas as pd
import pytest
from tensorflow.python.framework import config as tf_config  # the public part of TensorFlow has no way back
from tiny import write_experiment, write_table

import mmtrain
from mmtrain.artifacts import runs
from mmtrain.artifacts.analysis_results import Calibration, Reliability
from mmtrain.artifacts.results import TargetResult
from mmtrain.artifacts.run_schema.run_facts import DistillationRecord
from mmtrain.cli.app import run as command_line
from mmtrain.commands.check import check
from mmtrain.commands.deployment.export import ExportOptions, export
from mmtrain.commands.deployment.pack import pack
from mmtrain.commands.deployment.unpack import unpack
from mmtrain.commands.evaluate import EvaluateOptions, evaluate
from mmtrain.commands.fit import fit
from mmtrain.config.sections.evaluation import Evaluation, Threshold
from mmtrain.data.splits.split_file import read_split
from mmtrain.errors import DataError, RunError
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.postprocessing.decision_threshold import DecisionThreshold
from mmtrain.evaluation.postprocessing.fit_postprocessing import (
    Postprocessing,
    TargetPostprocessing,
    columns,
    evaluate_postprocessing,
    fit_postprocessing,
)
from mmtrain.evaluation.scoring import score_target
from mmtrain.metrics.score import Score
from mmtrain.pipeline.restore import restore_training
from mmtrain.reports.target_results.postprocessing import describe_distillation, describe_postprocessing, sentences
from mmtrain.targets import SurvivalTarget
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression

pytestmark = pytest.mark.usefixtures("models_opened_once")


@pytest.fixture(scope="module", autouse=True)
def only_here():
    """Reset TensorFlow, which stays deterministic until it is reset; other tests are not deterministic."""
    yield
    tf_config.disable_op_determinism()


TREE = """
name: noisy
columns:
  x: {role: numeric}
  who: {role: group}
  part: {role: split}
  ill: {role: target, task: binary, positive: ill, class_weights: balanced}
  grade: {role: target, task: multiclass, decision: {prior: balanced}}
  price: {role: target, task: regression}
split: {method: column}
training: {epochs: 2, learning_rate: 0.05, deterministic: true}
evaluation: {calibration: temperature, threshold: {aim: "sensitivity>=0.9"}, conformal: 0.8, seed: 5}
"""
ROWS = 240


def cells(seed=0):
    """Three targets that follow from a number and noise; every two rows are a group, every fifth group is for the test."""
    noise = np.random.default_rng(seed)
    rows = []
    for row in range(ROWS):
        x = noise.normal()
        rows.append(
            {
                "x": round(x, 4),
                "who": f"p{row // 2}",
                "part": ("train", "train", "validation", "validation", "test")[row // 2 % 5],
                "ill": "ill" if x + noise.normal() > 0.8 else "well",
                "grade": "abc"[int(np.clip(x + 1.5 + noise.normal() / 2, 0, 2))],
                "price": round(3 * x + noise.normal(), 4),
            }
        )
    return rows


def trained(folder, rows):
    write_table(folder / "table.csv", rows)
    return fit(write_experiment(folder / "noisy.yaml", TREE), output=folder / "runs").run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("noisy"), cells())


@pytest.fixture(scope="module")
def scored(run):
    return evaluate(str(run.folder))


def predictions(scored):
    return pd.read_csv(scored.predictions)


# What is stored


def test_run_has_one_sealed_file_of_plain_values(run):
    found = run.read_json("decisions.json")["targets"]
    assert {key: sorted(name for name, value in one.items() if value) for key, one in found.items()} == {
        "ill": ["calibration", "conformal", "operating_point"],
        "grade": ["calibration", "conformal"],
        "price": ["conformal"],
    }
    assert "decisions.json" in run.read_json("run.json")["files"]
    assert (found["ill"]["conformal"]["rows"], found["ill"]["conformal"]["groups"]) == (48, 24)
    assert found["ill"]["operating_point"]["rows"] == 48


@pytest.mark.slow  # a training of its own
def test_run_that_asks_for_nothing_has_no_such_file(tmp_path):
    write_table(tmp_path / "table.csv", cells())
    tree = "columns: {x: {role: numeric}, price: {role: target, task: regression}}\ntraining: {epochs: 1, optimizer: sgd}"
    plain = fit(write_experiment(tmp_path / "plain.yaml", tree), output=tmp_path / "runs").run
    assert not (plain / "decisions.json").exists()
    assert restore_training(plain)[2] == Postprocessing()
    assert read_split(plain / "split.csv").plan.holdout.calibration.size == 0


def test_held_half_is_a_part_of_the_split_in_whole_groups(run):
    partition = read_split(run / "split.csv").plan.holdout
    assert {name: len(rows) for name, rows in partition.items()} == {"train": 96, "validation": 48, "test": 48, "calibration": 48}
    assert {row // 2 for row in partition.calibration}.isdisjoint({row // 2 for row in partition.validation})


def changed(parts, name):
    """The table with other numbers and answers in the rows of one part."""
    rows, other = cells(), cells(seed=9)
    for row in parts[name]:
        rows[row] |= {key: other[row][key] for key in ("x", "ill", "grade", "price")}
    return rows


def kept(run):
    return (run / "metrics.jsonl").read_bytes(), (run / "columns.json").read_bytes(), (run / "checkpoints/best/weights.npz").read_bytes()


def test_nothing_that_is_stored_knows_a_test_row(run, tmp_path):
    again = trained(tmp_path, changed(read_split(run / "split.csv").plan.holdout, "test"))
    assert (again / "decisions.json").read_bytes() == (run / "decisions.json").read_bytes()
    assert kept(again) == kept(run)


@pytest.mark.slow
def test_held_half_serves_the_conformal_bound_alone(run, tmp_path):
    again = trained(tmp_path, changed(read_split(run / "split.csv").plan.holdout, "calibration"))
    assert kept(again) == kept(run)
    before, after = (one.read_json("decisions.json")["targets"] for one in (run, again))
    assert all(before[key]["conformal"] != after[key]["conformal"] for key in before)
    assert [{**one, "conformal": None} for one in before.values()] == [{**one, "conformal": None} for one in after.values()]


@pytest.mark.slow
def test_held_half_can_be_scored_and_the_report_warns_of_it(run):
    done = evaluate(str(run.folder), EvaluateOptions(part="calibration"))
    assert done.remarks[0].startswith("The conformal bound was fitted on these rows")
    assert done.targets["ill"].rows == 48
    assert done.test_looks == 0
    assert "The conformal bound was fitted on these rows, so the coverage on them says nothing about new ones." in done.report.read_text()


# What it is used for


def test_prediction_is_the_positive_class_from_the_threshold_on(run, scored):
    threshold = run.read_json("decisions.json")["targets"]["ill"]["operating_point"]["threshold"]
    assert abs(threshold - 0.5) > 0.05
    found = predictions(scored)
    ill = found["ill_probability_ill"].to_numpy(dtype=np.float32) >= threshold
    assert (found["ill_prediction"] == "ill").tolist() == ill.tolist()
    sensitivity = ill[found["ill_truth"] == "ill"].mean()
    plain = scored.targets["ill"].to_json()
    assert plain["scores"]["sensitivity"]["value"] == plain["operating_point"]["sensitivity"] == pytest.approx(sensitivity)


def test_columns_file_keeps_its_threshold(run):
    assert run.read_json("columns.json")["targets"]["ill"]["threshold"] == 0.5
    assert restore_training(run)[1].targets["ill"].threshold != 0.5


def test_probabilities_of_the_network_stay_and_calibrated_ones_stand_beside_them(run, scored):
    found = predictions(scored)
    temperature = run.read_json("decisions.json")["targets"]["ill"]["calibration"]["temperatures"][0]
    network, calibrated = found["ill_probability_ill"], found["ill_calibrated_ill"]
    np.testing.assert_allclose(np.log(calibrated / (1 - calibrated)), np.log(network / (1 - network)) / temperature, atol=1e-4)
    several = found[["grade_calibrated_a", "grade_calibrated_b", "grade_calibrated_c"]]
    np.testing.assert_allclose(several.sum(axis=1), 1, atol=1e-6)


def test_sets_and_intervals_stand_beside_the_prediction(run, scored):
    found = predictions(scored)
    stored = run.read_json("decisions.json")["targets"]
    level, reach = stored["grade"]["conformal"]["level"], stored["price"]["conformal"]["reach"]
    inside = found[["grade_probability_a", "grade_probability_b", "grade_probability_c"]].to_numpy() >= level - 1e-7
    expected = [" | ".join(name for name, one in zip("abc", row, strict=True) if one) for row in inside]
    assert found["grade_prediction_set"].fillna("").tolist() == expected
    np.testing.assert_allclose(found["price_prediction_high"] - found["price_prediction"], reach, atol=1e-5)
    np.testing.assert_allclose(found["price_prediction"] - found["price_prediction_low"], reach, atol=1e-5)


def test_metrics_tell_coverage_calibration_and_the_operating_point(run, scored):
    found = run.read_json("metrics.json")["test"]
    rows = predictions(scored)
    contained = [
        truth in names.split(" | ") for truth, names in zip(rows["grade_truth"], rows["grade_prediction_set"].fillna(""), strict=True)
    ]
    grade = found["grade"]["conformal"]
    assert grade["found"]["value"] == pytest.approx(np.mean(contained))
    assert grade["found"]["low"] < grade["found"]["value"] < grade["found"]["high"]
    assert grade["fitted_on"] == {"rows": 48, "groups": 24}
    assert found["price"]["conformal"]["width"] == 2 * run.read_json("decisions.json")["targets"]["price"]["conformal"]["reach"]
    assert (found["ill"]["calibration"]["of"], found["grade"]["calibration"]["of"]) == ("ill", "the most probable class")
    assert found["ill"]["calibration"]["before"]["brier"] == pytest.approx(found["ill"]["scores"]["brier"], abs=1e-6)
    assert "calibration" not in found["price"]
    assert found["ill"]["calibration"]["notes"] == [
        "The class weights of the training shift probabilities towards classes of higher weight, most towards 'ill'."
    ]


def test_predict_and_load_give_what_evaluate_gives(run, scored, tmp_path, capfdbinary):
    table = run.folder.parents[2] / "table.csv"
    evaluated = predictions(scored)
    loaded = mmtrain.load(run.folder).predict(pd.read_csv(table), proba=True)
    names = [name for name in evaluated if name != "id" and not name.endswith("_truth")]
    assert len(names) == 1 + 6 + 8 + 3 + 1 - 3 + 2
    found = loaded[names].loc[evaluated["row"]].reset_index(drop=True)
    path = tmp_path / "loaded.csv"
    found.to_csv(path, index=False)
    pd.testing.assert_frame_equal(pd.read_csv(path), evaluated[names], rtol=1e-6)
    assert command_line(["predict", str(run.folder), str(table), "-q"]) == 0
    header = capfdbinary.readouterr().out.decode().splitlines()[0]
    assert header == (
        "row,ill_prediction,ill_prediction_set,grade_prediction,grade_prediction_set,"
        "price_prediction,price_prediction_low,price_prediction_high,status"
    )


@pytest.mark.slow
def test_report_and_terminal_say_it_in_the_same_sentences(run, scored, capfdbinary):
    assert command_line(["evaluate", str(run.folder), "-q"]) == 0
    printed = " ".join(capfdbinary.readouterr().out.decode().split())
    report = scored.report.read_text()
    point = run.read_json("decisions.json")["targets"]["ill"]["operating_point"]
    sentence = f"Threshold: ill at {point['threshold']:.3f} or above; chosen for a sensitivity of at least 0.9 on 48 validation rows, with"
    assert sentence in printed
    assert sentence in report
    for words in (
        "Calibration of ill, after temperature scaling by",
        "Conformal sets, fitted on 48 held-out rows of 24 groups",
        "wide: they contain",
    ):
        assert words in printed
        assert words in report
    assert (run / "plots" / "thresholds_ill_test.png").is_file()


def test_decisions_under_a_prior_are_compared_with_the_most_probable_class(run, scored):
    decision, scores = scored.targets["grade"].decision, scored.targets["grade"].scores
    assert list(decision.prior.values()) == pytest.approx([1 / 3] * 3)
    assert sum(decision.given.values()) == pytest.approx(1)
    found = predictions(scored)
    plain = found[[f"grade_probability_{name}" for name in "abc"]].to_numpy().argmax(axis=1)
    assert decision.without["accuracy"].value == pytest.approx(np.mean(np.array(list("abc"))[plain] == found["grade_truth"]))
    assert decision.differences["accuracy"].value == pytest.approx(scores["accuracy"].value - decision.without["accuracy"].value)
    assert decision.differences["balanced_accuracy"].low is not None
    assert scored.targets["ill"].decision is None
    (sentence,) = [text for text in sentences(scored.targets["grade"]) if text.startswith("Decisions")]
    assert sentence.startswith(f"Decisions assume every class to be equally frequent: accuracy {scores['accuracy'].value:.3f} (")
    assert sentence.endswith("). Probabilities are not corrected.")
    assert sentence in scored.report.read_text()


def test_packed_run_takes_it_along(run, tmp_path):
    pack(str(run.folder), tmp_path / "run.zip")
    there = unpack(tmp_path / "run.zip", tmp_path / "there").folder
    assert (there / "decisions.json").read_bytes() == (run / "decisions.json").read_bytes()
    assert restore_training(runs.find(str(there), tmp_path))[2] == restore_training(run)[2]


def test_end_of_the_training_tells_what_was_decided():
    point = DecisionThreshold(aim="sensitivity>=0.9", threshold=0.25, rows=9, positives=4, sensitivity=1.0, specificity=0.5)
    several = {
        "calibration": {"method": "temperature", "exclusive": True, "temperatures": [1.5]},
        "calibration_notes": ["Note."],
        "operating_point": point,
        "conformal": {"kind": "sets", "coverage": 0.9, "rows": 30, "groups": 12, "level": 0.2},
    }
    assert list(describe_postprocessing(Postprocessing(targets={"y": TargetPostprocessing.model_validate(several)}))) == [
        "Threshold of y: 0.250, for a sensitivity of at least 0.9; on validation rows sensitivity 1.000, specificity 0.500.",
        "Calibration of y: temperature 1.50.",
        "Note.",
        "Conformal sets of y: fitted on 30 held-out rows of 12 groups.",
    ]


def test_temperature_is_named_only_where_a_loss_has_one():
    costs = {"parameters": 1, "bytes": 1, "seconds": 0.1}
    record = DistillationRecord(teacher="runs/a/1", trainings=5, soft="mean", weight=0.5, temperature=2.0, rows=9, costs=costs)
    assert "50 % of the loss, softened by the temperature 2. The score" in next(describe_distillation(record))
    assert "50 % of the loss. The score" in next(describe_distillation(record.model_copy(update={"temperature": 1.0})))
    hazards = SurvivalTarget(column="y", time="t", event="d")
    cells = {"t": pd.Series(["1", "2", "3"], dtype="str"), "d": pd.Series(["1", "0", "1"], dtype="str")}
    both = [hazards.model_copy(update={"method": method}).fit(cells, "none") for method in ("hazard", "cox")]
    assert [target.softens_probabilities for target in both] == [True, False]


def test_scaling_that_did_not_help_is_told():
    before = Reliability(brier=Score("brier", 0.1), ece=Score("ece", 0.02), bins=[])
    after = Reliability(brier=Score("brier", 0.2), ece=Score("ece", 0.1, low=0.03, high=0.15), bins=[])
    found = Calibration(method="isotonic", bins=15, binning="", of="every label", notes=[], before=before, after=after)
    assert sentences(TargetResult.model_construct(calibration=found)) == (
        "Calibration of every label, all labels together, after isotonic scaling: expected calibration error 0.100 (0.030 to 0.150), "
        "before 0.020; Brier score 0.200, before 0.100.",
        "On these rows the scaling did not improve the calibration.",
    )


@pytest.mark.parametrize(
    ("confusion", "scores", "expected"),
    [
        (
            [[0, 11], [0, 49]],
            {"sensitivity": Score("sensitivity", 1.0)},
            "Every row is predicted as b, 11 rows of other classes included. `evaluation.threshold: {aim: youden}` would predict the rarer "
            "ones as well, with the same probabilities.",
        ),
        (
            [[0, 1, 0], [0, 30, 0], [0, 0, 0]],
            {},
            "Every row is predicted as b, 1 row of other classes included. `decision: {prior: balanced}` of the target would predict the "
            "rarer ones as well, with the same probabilities.",
        ),
        ([[1, 11], [0, 49]], {}, None),
        ([[0, 0], [0, 49]], {}, None),
        ([[0, 2], [0, 3]], {}, None),
    ],
)
def test_the_only_class_that_is_predicted_is_named(confusion, scores, expected):
    result = TargetResult.model_construct(classes=["a", "b", "c"][: len(confusion)], confusion=confusion, scores=scores)
    assert sentences(result) == (() if expected is None else (expected,))


# What can go wrong


def test_model_without_what_was_fitted_for_it_is_refused(run):
    place, facts = run / "decisions.json", run.read_json("run.json")
    text = place.read_text()
    place.unlink()
    run.update(files={name: known for name, known in facts["files"].items() if name != "decisions.json"})
    with pytest.raises(RunError) as caught:
        evaluate(str(run.folder))
    place.write_text(text)
    run.update(files=facts["files"])
    assert str(caught.value) == (
        f"{run.folder}: the training was stopped before the calibration, the threshold or the conformal bound of its model was fitted. "
        f"Resume it: mmtrain fit --resume {run.folder}"
    )


def test_changed_file_is_refused(run):
    place = run / "decisions.json"
    text = place.read_text()
    place.write_text(text.replace("0.8", "0.7"))
    with pytest.raises(RunError, match=r"decisions.json changed after the training"):
        evaluate(str(run.folder))
    place.write_text(text)


def test_check_refuses_a_coverage_for_which_too_few_groups_are_held_back(run):
    with pytest.raises(DataError) as caught:
        check(run.folder.parents[2] / "noisy.yaml", overrides=["evaluation.conformal=0.99"])
    assert str(caught.value) == (
        "evaluation.conformal: a coverage of 0.99 needs 99 groups held back; the validation part has 48 groups, half of which is 24. "
        "Raise `split.validation`, or lower the coverage to 0.96, or leave `conformal` out."
    )


# Single targets

BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(6, 2), weights=(1, 1))
LABELS = {"column": "y", "loss_weight": 1, "labels": ("a", "b"), "one_column_each": False, "separator": ";", "rows": 8}


def test_baseline_is_not_judged_at_the_threshold_of_the_model():
    """At 0.2 it would call every row positive."""
    found = score_target("y", BINARY.model_copy(update={"threshold": 0.2}), np.array([0, 0, 1]), np.array([[0.1], [0.3], [0.4]])).result
    assert found.scores["specificity"].value == 0.5
    assert found.baselines[0].scores["specificity"].value == 1.0


def test_majority_is_not_judged_under_the_prior_of_the_model():
    """Under it the rarest class would be predicted for every row."""
    target = FittedMulticlass(
        column="y", loss_weight=1, classes=("a", "b"), counts=(8, 2), weights=(1, 1), prior=(0.5, 0.5), label_smoothing=0
    )
    found = score_target("y", target, np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.9, 0.1], [0.7, 0.3]])).result
    assert found.scores["accuracy"].value == 1
    assert found.baselines[0].scores["accuracy"].value == pytest.approx(2 / 3)


def test_rows_whose_class_training_did_not_know_decide_nothing():
    truth, prediction = np.array([0, -1, 1, -1]), np.array([[0.2], [0.9], [0.6], [0.1]], dtype=np.float32)
    section = Evaluation(threshold=Threshold(aim="youden"), conformal=0.6, calibration="temperature")
    rows = EvalSet.of(BINARY, truth, prediction, np.array([0, 0, 1, 2]))
    found = fit_postprocessing(section, rows, rows)
    assert (found.operating_point.rows, found.conformal.rows, found.conformal.groups) == (2, 2, 2)
    assert found.operating_point.threshold == pytest.approx(0.4)


def test_labels_are_calibrated_each_and_have_no_sets():
    target = FittedMultilabel(**LABELS, counts=(2, 2), weights=(3.0, 1.0))
    generator = np.random.default_rng(0)
    rows = EvalSet.of(target, generator.integers(0, 2, (50, 2)).astype(np.int8), generator.random((50, 2)).astype(np.float32), None)
    found = fit_postprocessing(Evaluation(calibration="temperature", conformal=0.8), rows, rows)
    assert (len(found.calibration.temperatures), found.conformal, found.operating_point) == (2, None, None)
    result = score_target("y", target, rows.truth, rows.prediction).result
    judged = evaluate_postprocessing(result, found, rows.resample(Evaluation(draws=100))).calibration
    assert (judged.of, sum(one.rows for one in judged.before.bins)) == ("every label", 100)
    assert judged.notes[0] == "The class weights of the training shift probabilities towards classes of higher weight, most towards 'a'."
    assert list(columns(target, found, rows.prediction, probabilities=True)) == ["calibrated_a", "calibrated_b"]
    assert columns(target, found, rows.prediction, probabilities=False) == {}


def test_sets_that_no_class_is_sure_enough_for_are_empty():
    decided = TargetPostprocessing.model_validate({"conformal": {"kind": "sets", "coverage": 0.6, "rows": 20, "level": 0.7}})
    found = columns(BINARY, decided, np.array([[0.9], [0.5], [0.1]], dtype=np.float32), probabilities=False)
    assert found["prediction_set"].tolist() == ["yes", "", "no"]
    rows = EvalSet.of(BINARY, np.array([1, 1, 1]), np.array([[0.9], [0.5], [0.1]]), None)
    result = score_target("y", BINARY, rows.truth, rows.prediction).result
    judged = evaluate_postprocessing(result, decided, rows.resample(Evaluation(draws=100))).conformal
    assert (judged.empty, judged.mean_size, judged.found.value) == (1, pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_decisions_come_back_from_their_file():
    point = DecisionThreshold(aim="f1", threshold=0.25, rows=4, positives=0, note="n")
    decisions = Postprocessing(targets={"y": TargetPostprocessing(operating_point=point)})
    assert Postprocessing.model_validate(json.loads(decisions.model_dump_json())) == decisions
    assert decisions.with_thresholds({"y": BINARY, "z": BINARY}) == {"y": BINARY.model_copy(update={"threshold": 0.25}), "z": BINARY}


def test_served_class_follows_the_threshold(tensorflow):
    served = BINARY.model_copy(update={"threshold": 0.25}).serving_outputs(tensorflow.constant([[0.24], [0.25], [0.6]]))
    assert served["prediction"].numpy().tolist() == [b"no", b"yes", b"yes"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["saved_model", "onnx"])
def test_exports_decide_at_the_threshold(run, tmp_path, name):
    point = run.read_json("decisions.json")["targets"]["ill"]["operating_point"]
    done = export(str(run.folder), ExportOptions(name, folder=tmp_path / name))
    if name == "onnx":
        outputs = {one.target: one for one in done.signature.outputs}
        assert outputs["ill"].threshold == point["threshold"]
        assert max(outputs["grade"].factors) == 1
        assert outputs["ill"].factors is None
        assert "the class with the largest product of probability and [" in (done.folder / "CONTRACT.md").read_text()
        assert json.loads((done.folder / "columns.json").read_text())["targets"]["ill"]["threshold"] == point["threshold"]
        return
    import tensorflow as tf

    rows = pd.DataFrame(cells())
    served = tf.saved_model.load(str(done.folder / done.signature.file)).signatures["serving_default"]
    found = served(x=tf.constant(rows["x"].to_numpy(), dtype=tf.float64))
    mine = mmtrain.load(run.folder).predict(rows)
    for key in ("ill", "grade"):
        assert [word.decode() for word in found[f"{key}_prediction"].numpy()] == mine[f"{key}_prediction"].tolist()


TEMPERATURE = {"method": "temperature", "exclusive": True, "temperatures": [1.5]}
RISING = {"at": [0.1, 0.9], "values": [0.2, 0.8]}
POINT = {"aim": "f1", "threshold": 0.4, "rows": 9, "positives": 3}


@pytest.mark.parametrize(
    ("key", "decided", "belong"),
    [
        ("ill", {"calibration": TEMPERATURE, "operating_point": POINT}, True),
        ("ill", {"calibration": {"method": "isotonic", "exclusive": True, "curves": [RISING]}}, True),
        ("price", {"conformal": {"kind": "intervals", "coverage": 0.9, "rows": 9, "reach": 2}}, True),
        ("who", {}, False),
        ("ill", {"calibration": TEMPERATURE | {"temperatures": [1.5, 2]}}, False),
        ("ill", {"calibration": TEMPERATURE | {"exclusive": False}}, False),
        ("ill", {"calibration": {"method": "isotonic", "exclusive": True, "curves": [RISING] * 3}}, False),
        ("ill", {"conformal": {"kind": "intervals", "coverage": 0.9, "rows": 9, "reach": 2}}, False),
        ("price", {"calibration": TEMPERATURE}, False),
        ("price", {"operating_point": POINT}, False),
        ("price", {"conformal": {"kind": "sets", "coverage": 0.9, "rows": 9, "level": 0.4}}, False),
    ],
)
def test_decisions_belong_to_targets_of_their_kind(key, decided, belong):
    binary = FittedBinary(column="ill", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
    price = FittedRegression(column="price", loss_weight=1, center=0, scale=1, minimum=0, maximum=1, error="squared")
    assert Postprocessing(targets={key: decided}).matches({"ill": binary, "price": price}) is belong


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"sample": "balanced"}, "Balanced sampling shifts probabilities to those of equally frequent classes."),
        (
            {"own_loss": {"method": "logit_adjusted", "strength": 1.0}},
            "Logit adjustment shifts probabilities to those of equally frequent classes.",
        ),
        ({}, None),
    ],
)
def test_calibration_says_what_shifts_the_probabilities(change, note):
    target = BINARY.model_copy(update=change)
    generator = np.random.default_rng(0)
    rows = EvalSet.of(target, generator.integers(0, 2, 50), generator.random((50, 1)).astype(np.float32), None)
    found = fit_postprocessing(Evaluation(calibration="temperature"), rows, rows)
    result = score_target("y", target, rows.truth, rows.prediction).result
    judged = evaluate_postprocessing(result, found, rows.resample(Evaluation(draws=100))).calibration
    assert note is None or judged.notes[0] == note
    assert not any("shifts" in other for other in judged.notes[note is not None :])
