"""Sections of a report on the scores of each target."""

import numpy as np
import pytest
from report_page import BINARY, NUMBER, evaluate, make_run, png_names, read, written_without_plots

from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.evaluation.bootstrap import Resampling


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """48 rows of 24 patients, of which the model finds all ill ones."""
    run = make_run(tmp_path_factory.mktemp("grouped"), {"ill": BINARY}, monitor="validation_auc")
    truth = np.arange(48) // 2 % 2
    score = np.where(truth == 1, 0.7, np.linspace(0.1, 0.9, 48))[:, np.newaxis]
    drawn = Resampling(Evaluation(), np.arange(48) // 2, "patient")
    evaluate(run, "test", {"ill": truth}, {"ill": score}, report=False, drawn=drawn)
    return run, read(written_without_plots(run))


def test_report_has_the_interval_beside_each_score(grouped):
    run, found = grouped
    kept = run.read_json("metrics.json")["test"]["ill"]["scores"]
    table = found.tables["Scores of ill on the 48 test rows in 24 groups (patient)"]
    assert table[0] == ["Score", "Model", "95 % interval", "Baseline", "Model is", "Better when", "Note"]
    shown = {row[0]: row[1:3] for row in table[1:]}
    assert shown["AUC"] == [f"{kept['auc']['value']:.3f}", f"{kept['auc']['low']:.3f} to {kept['auc']['high']:.3f}"]
    assert shown["Sensitivity"] == ["1.000", "–"]
    assert table[6][-1] == "No interval: every draw has the same value."


def test_report_says_how_sure_the_main_score_is(grouped):
    run, found = grouped
    auc = run.read_json("metrics.json")["test"]["ill"]["scores"]["auc"]
    assert (
        f"On the 48 test rows in 24 groups (patient), the AUC of ill is {auc['value']:.3f} (95 % interval {auc['low']:.3f} to "
        f"{auc['high']:.3f}; higher is better); the baseline (majority: class shares of the training rows) has 0.500. "
        "The model beats the baseline. It is worse than the baseline in specificity." in found.paragraphs
    )


def test_report_of_several_classes_has_a_line_for_each(tmp_path):
    target = {"task": "multiclass", "column": "kind", "loss_weight": 1.0, "classes": ["a", "b", "c"], "counts": [4, 2, 2]}
    run = make_run(tmp_path, {"kind": {**target, "weights": [1.0] * 3, "label_smoothing": 0.0}})
    found = read(evaluate(run, "test", {"kind": [0, 0, 1, -1]}, {"kind": [[1, 0, 0], [0.2, 0.8, 0], [0, 1, 0], [0, 0, 1]]}))
    assert found.tables["Classes of kind"] == [
        ["Class", "Rows", "Predicted", "Recall", "Precision", "F1"],
        ["a", "2", "1", "0.500", "1.000", "0.667"],
        ["b", "1", "2", "1.000", "0.500", "0.667"],
        ["c", "0", "0", "undefined", "undefined", "undefined"],
    ]
    why = "Undefined: recall of a class without rows, precision of a class that is never predicted, F1 of a class with neither."
    assert f"{why} In full: classes_test.csv" in found.paragraphs
    note = "1 of 3 classes does not occur in this part and is left out: c."
    scores = found.tables["Scores of kind on the 3 test rows with a known answer"]
    assert scores[2] == ["Balanced accuracy", "0.750", "0.500", "better", "higher", note]
    assert "1 row left out of the scores: the answer is missing or not in the training rows." in found.paragraphs
    assert "kind: every class counts the same in the loss." in found.paragraphs


def test_report_shows_why_a_score_is_undefined(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY})
    found = read(evaluate(run, "newer", {"ill": [0, 0]}, {"ill": [[0.1], [0.2]]}, table="newer.csv"))
    reason = "AUC needs both classes; this part has only 'no'."
    assert found.tables["Scores of ill on the 2 rows of newer.csv"][:2] == [
        ["Score", "Model", "Baseline", "Model is", "Better when", "Note"],
        ["AUC", "undefined", "undefined", "–", "higher", reason],
    ]
    sentence = f"On the 2 rows of newer.csv, the AUC of ill is undefined: {reason} So the model cannot be compared with the baseline."
    assert sentence in found.paragraphs
    assert "The test part has not been scored yet. To score it: mmtrain evaluate clinic/3" in found.paragraphs
    assert "h2 Results on newer.csv" in found.headings
    # No ROC of one class.
    assert png_names(run) == ["confusion_newer.png", "learning_curves.png", "probabilities_newer.png", "reliability_newer.png"]


def test_report_of_labels_has_a_line_for_each(tmp_path):
    target = {"task": "multilabel", "column": "tags", "loss_weight": 1.0, "labels": ["a", "b<i>"], "one_column_each": False}
    run = make_run(tmp_path, {"tags": {**target, "separator": ";", "rows": 8, "counts": [4, 2], "weights": [1.0, 1.0]}})
    truth = [[1, 0], [0, 0], [1, 0], [0, 0]]
    found = read(evaluate(run, "test", {"tags": truth}, {"tags": [[0.9, 0.1], [0.2, 0.1], [0.8, 0.1], [0.3, 0.1]]}))
    labels = found.tables["Labels of tags"]
    assert labels[:2] == [
        ["Label", "Rows", "AUC", "PR-AUC", "F1", "Note"],
        ["a", "2", "1.000 (0.500)", "1.000 (0.500)", "1.000 (0.667)", ""],
    ]
    assert labels[2][:5] == ["b<i>", "0", "undefined", "undefined", "undefined"]
    assert labels[2][5].startswith("AUC needs rows with and without 'b<i>'; this part has only rows without it. PR-AUC needs")
    scores = found.tables["Scores of tags on the 4 test rows"]
    assert [row[0] for row in scores[1:3]] == ["Macro AUC", "Macro PR-AUC"]
    assert len(scores) == 7  # those of single labels have a table of their own
    assert found.tables["Rows of each part by tags"][2:] == [
        ["a", "4 (50.0 %)", "1 (50.0 %)", "2 (50.0 %)"],
        ["b<i>", "2 (25.0 %)", "1 (50.0 %)", "2 (50.0 %)"],
    ]


@pytest.mark.slow
def test_report_of_two_targets_names_them(tmp_path):
    run = make_run(tmp_path, {"a:b": NUMBER | {"column": "a:b"}, "ill": BINARY}, monitor="validation_a:b_mae")
    truths = {"a:b": [1.0, 5.0, np.nan, 9.0], "ill": [0, 1, 0, 1]}
    found = read(evaluate(run, "test", truths, {"a:b": [[1201], [5], [3], [9]], "ill": [[0.1], [0.8], [0.2], [0.9]]}))
    assert [heading for heading in found.headings if "h3" in heading] == ["h3 a:b", "h3 ill"]
    assert found.paragraphs[2:4] == [
        "On the 3 test rows with a known answer, the mean absolute error of a:b is 400 (lower is better); "
        "the baseline (mean of the training rows) has 5.00. The model does not beat the baseline.",
        "On the 4 test rows, the AUC of ill is 1.000 (higher is better); the baseline (majority: class shares of the training rows) "
        "has 0.500. The model beats the baseline.",
    ]
    assert png_names(run) == [
        "confusion_ill_test.png",
        "learning_curves.png",
        "precision_recall_ill_test.png",
        "predicted_and_true_a_b_test.png",
        "probabilities_ill_test.png",
        "reliability_ill_test.png",
        "residuals_a_b_test.png",
        "roc_ill_test.png",
        "thresholds_ill_test.png",
    ]
    rows = "on the 3 test rows with a known answer"
    assert found.alts[3] == f"Residuals of a:b {rows}: predicted minus true values, from 0 to 1,200, mean 400."


def test_report_says_where_a_winning_model_is_worse(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY})
    evaluate(run, "test", {"ill": [0, 0, 1, 1]}, {"ill": [[0.8], [0.7], [0.99], [0.75]]}, report=False)
    found = read(written_without_plots(run))
    assert found.paragraphs[2].endswith("The model beats the baseline. It is worse than the baseline in specificity.")
