"""report.html of a run folder: its sections, sentences and accessibility."""

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from report_page import BINARY, EVIL, evaluate, make_run, png_names, read, written, written_without_plots

from mmtrain.artifacts.run_folder import Run
from mmtrain.columns import FittedColumn
from mmtrain.metrics.score import Score
from mmtrain.reports import next_steps
from mmtrain.reports.figures import plot_style
from mmtrain.reports.report import with_code
from mmtrain.reports.target_results import score_tiles, scores
from mmtrain.reports.wording import plain

RELIABILITY = ": observed frequency by predicted probability; the expected calibration error is"
HISTOGRAMS, EACH = "Histograms of the probability of yes of ill", "a histogram for the rows of each class."
THRESHOLDS = "Sensitivity, specificity and precision of ill"


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    """The validation part, then twice the test part; the model orders the test rows the wrong way round."""
    run = make_run(tmp_path_factory.mktemp("binary"), {"ill": BINARY}, monitor="validation_auc")
    evaluate(run, "validation", {"ill": [0, 1]}, {"ill": [[0.2], [0.9]]}, report=False)
    lines = ["row,id,truth,prediction,probability_no,probability_yes", "0,0,no,no,0.8,0.2", "1,1,yes,yes,0.1,0.9"]
    run.write_text("predictions_validation.csv", "\n".join(lines) + "\n")
    truth, prediction = {"ill": [0, 0, 1, 1]}, {"ill": [[0.6], [0.7], [0.1], [0.65]]}
    evaluate(run, "test", truth, prediction, report=False)
    path = evaluate(run, "test", truth, prediction)
    return run, path, read(path)


def test_report_lies_in_the_run_whole(binary):
    run, path, _ = binary
    assert path == run / "report.html"
    assert [file.name for file in run.folder.rglob("*.tmp")] == []


def test_report_has_its_sections_in_reading_order(binary):
    assert binary[2].headings == [
        "h1 clinic/3",
        "h2 Summary",
        "h2 Limits",
        "h2 What to do next",
        "h2 Results on the test part",
        "h3 Probabilities and decisions",
        "h2 Results on the validation part",
        "h3 Probabilities and decisions",
        "h2 Rows",
        "h2 Training",
        "h2 Class weights",
        "h2 What the columns learned",
        "h2 Experiment",
        "h2 Versions and hashes",
    ]


def test_report_says_in_words_what_was_found(binary):
    assert binary[2].paragraphs[:4] == [
        "finished · started 22 November 2026, 13:52 UTC · 1 min 1 s of training",
        "The model predicts ill (one of two classes: no or yes) from age (numeric) and note (text). "
        "Of 16 rows in t&t.csv, 14 were used: 8 to train, 2 to choose the best epoch and 4 to test.",
        "On the 4 test rows, the AUC of ill is 0.250 (higher is better); the baseline (majority: class shares of the training rows) "
        "has 0.500. The model does not beat the baseline.",
        "The test part has been scored twice. Every choice made after seeing its scores makes them more optimistic.",
    ]
    assert "Rows are numbered from 0, the first one below the header." in binary[2].paragraphs


def test_report_opens_with_the_score_its_interval_and_the_baseline(binary):
    text = binary[1].read_text(encoding="utf-8")
    tile = text[text.index('<div class="tile bad">') : text.index("The model predicts")]
    assert "AUC of ill on 4 test rows" in tile
    assert "<b>0.250</b> without an interval" in tile
    assert "Baseline (majority): 0.500. The model does not beat the baseline." in tile
    assert "Of 2 rows of yes, 1 is found and 1 is missed. Of the 2 others, 2 are taken for yes." in tile
    assert 'class="score" style="left: 25.0%"' in tile
    assert 'class="baseline" style="left: 50.0%"' in tile


@pytest.mark.parametrize(
    ("classes", "matrix", "error", "sentence"),
    [
        (
            ["a", "b", "c"],
            [[5, 1, 0], [0, 1, 3], [0, 0, 2]],
            None,
            "8 of 12 rows are predicted correctly. The most frequent error: 3 of 4 rows of b are taken for c.",
        ),
        (["a", "b", "c"], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], None, "3 of 3 rows are predicted correctly."),
        (["no", "yes"], [[1, 0], [1, 2]], None, "Of 3 rows of yes, 2 are found and 1 is missed. Of the 1 other, 0 are taken for yes."),
        (
            ["a", "b", "c"],
            [[2, 0, 0], [0, 0, 1], [0, 0, 1]],
            None,
            "3 of 4 rows are predicted correctly. The most frequent error: 1 of 1 row of b is taken for c.",
        ),
        ([], [], 12.5, "Half of the predictions are off by 12.5 or less."),
        ([], [], None, ""),
    ],
)
def test_predictions_are_also_told_in_numbers_of_rows(classes, matrix, error, sentence):
    scores = {} if error is None else {"median_absolute_error": Score("median_absolute_error", error)}
    result = SimpleNamespace(classes=classes, confusion_matrix=lambda: np.array(matrix).reshape(len(classes), len(classes)))
    assert score_tiles.in_rows(SimpleNamespace(result=result, scores=scores)) == sentence


@pytest.mark.parametrize(
    ("score", "limits", "baseline", "ruler"),
    [
        # A metric with two ends is shown between them, any other over what it shows, but not below 0.
        ("auc", (0.5, 0.9), 0.5, ("0.000", "1.000", 0.7, 0.5, 0.9, 0.5)),
        ("rmse", (0.2, 8.0), 10.0, ("0", "11.0", 5 / 10.98, 0.2 / 10.98, 8 / 10.98, 10 / 10.98)),
    ],
)
def test_ruler_of_a_score(score, limits, baseline, ruler):
    value = 0.7 if score == "auc" else 5.0
    drawn = score_tiles.ruler(score, Score(score, value, low=limits[0], high=limits[1]), Score(score, baseline))
    assert (drawn.start, drawn.end) == ruler[:2]
    assert [drawn.score.at, drawn.low, drawn.high, drawn.baseline.at] == pytest.approx(ruler[2:])
    assert drawn.alt.endswith(f"from {ruler[0]} to {ruler[1]}")


def test_report_has_a_threshold_slider_and_its_numbers_as_a_table(binary):
    (slider, _) = [attributes for _, attributes in binary[2].tags if attributes.get("class") == "slider"]
    assert json.loads(slider["data-points"]) == [[0.1, 2, 2], [0.5, 1, 2], [0.6, 1, 2], [0.65, 1, 1], [0.7, 0, 1]]
    assert "hidden" in slider  # until the script shows it
    assert binary[2].tables["Thresholds of ill on the 4 test rows"] == [
        ["Threshold", "Predicted yes", "Sensitivity", "Specificity", "PPV", "NPV"],
        ["0.100", "4", "1.000", "0.000", "0.500", "undefined"],
        ["0.500 (in use)", "3", "0.500", "0.000", "0.333", "0.000"],
        ["0.600", "3", "0.500", "0.000", "0.333", "0.000"],
        ["0.650", "2", "0.500", "0.500", "0.500", "0.500"],
        ["0.700", "1", "0.000", "0.500", "0.000", "0.333"],
    ]


def test_report_has_the_numbers_of_a_plot_for_those_who_do_not_see_it(binary):
    assert binary[2].tables["Points of the curves"][:2] == [
        ["False positive rate, at most", "Sensitivity", "Precision"],
        ["0", "0.000", "undefined"],
    ]
    histogram = binary[2].tables["Rows by predicted probability"]
    assert histogram[0] == ["Probability", "no", "yes"]
    assert [row for row in histogram if row[0].startswith(("0.6 ", "0.65 "))] == [
        *(["0.6 to 0.65", "1", "0"], ["0.65 to 0.7", "0", "1"]),
        *(["0.6 to 0.65", "0", "0"], ["0.65 to 0.7", "0", "0"]),
    ]


def test_confusion_matrix_of_twenty_classes_is_a_heat_map():
    matrix = np.diag(np.full(20, 9)) + np.eye(20, k=1, dtype=np.int64)
    table = scores.confusion_table("kind", matrix, [f"c{number}" for number in range(20)], csv="")
    assert table.matrix
    first = table.rows[0][1:4]
    assert [(cell.text, cell.share, cell.tone) for cell in first] == [("9", 0.9, ""), ("1", 0.1, "bad"), ("0", 0.0, "quiet")]


@pytest.mark.parametrize(
    ("text", "markup"),
    [("write `a: <b>`.", "write <code>a: &lt;b&gt;</code>."), ("one ` alone", "one ` alone"), ("a & b", "a &amp; b")],
)
def test_code_in_a_sentence_is_marked_and_everything_is_escaped(text, markup):
    assert str(with_code(text)) == markup


def test_report_has_the_rows_that_were_explained_with_these_weights(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY})
    folder = run / "explanations" / "test"
    folder.mkdir(parents=True)
    (folder / "completeness.csv").write_text(
        "row,id,why,truth,prediction,probability,explained\n0,p1,highest loss,no,yes,0.9,logit of yes\n1,p2,typical,,yes,,dose\n"
    )
    elements = [(0, "age", 1.5), (0, "age", 0.5), (0, "note", -0.1), (1, "age", -2.25), (1, "note", 0)]
    lines = [f"{row},{column},{value}" for row, column, value in elements]
    (folder / "explanations.csv").write_text("\n".join(["row,column,attribution", *lines]) + "\n")
    record = {"when": "2026-11-22T14:00:00+00:00", "rows": {"test": 2}}
    run.update(explanations=[record])
    assert read(written(run)).tables["Explained rows of the test part"][1:] == [
        ["p1", "highest loss", "no", "yes", "0.900 of yes", "age +35.1 points, note −0.9 points"],
        ["p2", "typical", "", "yes", "", "age −2.25"],
    ]
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "Points: how much lower the probability would be" in text
    assert "Numbers: what this input adds to dose, in its unit" in text
    (folder / "completeness.csv").write_text("row,id,why,truth,prediction,probability,explained\n0,p1,typical,,5,,dose\n")
    written(run)
    assert "Points: how much lower" not in (run / "report.html").read_text(encoding="utf-8")
    run.update(explanations=[record | {"when": "2026-11-22T13:54:00+00:00"}])  # of other weights
    assert "Explained rows of the test part" not in read(written(run)).tables


def test_next_steps_follow_from_the_scores(binary):
    points = [term for term in binary[2].terms if "does not beat a constant" in term]
    assert len(points) == 1
    assert "mmtrain inspect-data" in points[0]


@pytest.mark.parametrize(
    ("sensitivity", "specificity", "suggestion"),
    [
        (
            0.2,
            0.9,
            "only 0.200 of the rows of ill are detected: let validation rows choose another one, with `evaluation.threshold: "
            '{aim: youden}` or `{aim: "sensitivity>=0.9"}`.',
        ),
        (
            1.0,
            0.0,
            "only 0.000 of the rows of well are detected: let validation rows choose another one, with `evaluation.threshold: "
            '{aim: youden}` or `{aim: "specificity>=0.9"}`.',
        ),
        (0.7, 0.9, None),
        (0.5, 0.5, None),
    ],
)
def test_another_threshold_is_suggested_for_either_class(sensitivity, specificity, suggestion):
    points = list(next_steps.other_threshold(["well", "ill"], sensitivity, specificity))
    assert points == ([] if suggestion is None else [f"At the threshold 0.5 {suggestion}"])


def test_an_interval_is_halved_by_four_times_the_rows():
    score = Score("auc", 0.8, low=0.7, high=0.9)
    result = SimpleNamespace(rows=100)
    drawing = SimpleNamespace(percent="95 %", unit="group")
    (point,) = next_steps.more_rows(SimpleNamespace(scores={"auc": score}, interval=drawing, result=result, key="ill"), "auc")
    assert point == (
        "The 95 % interval of the AUC of ill is 0.200 wide. Half of that needs about four times as many rows to score, 400 in place of "
        "100, from four times as many groups."
    )
    narrow = score.model_copy(update={"low": 0.79, "high": 0.81})
    assert list(next_steps.more_rows(SimpleNamespace(scores={"auc": narrow}, interval=drawing, result=result, key="ill"), "auc")) == []


def test_report_judges_an_earlier_part_too(binary):
    assert "The best epoch was chosen on these rows, so the scores are slightly too optimistic for new ones." in binary[2].paragraphs
    assert (
        "On the 2 validation rows, the AUC of ill is 1.000 (higher is better); the baseline (majority: class shares of the training rows) "
        "has 0.500. The model beats the baseline." in binary[2].paragraphs
    )


def test_report_shows_which_rows_took_part(binary):
    found = binary[2]
    first = found.terms.index("16 in t&t.csv")
    assert found.terms[first : first + 6] == ["16 in t&t.csv", "2 left out", "14 used", "8 train", "2 validation", "4 test"]
    assert found.tables["Rows left out"] == [["Reason", "Rows", "Which"], ["age: the cell is empty.", "2", "row 3 and row 9"]]
    assert found.tables["Rows of each part by ill"] == [
        ["Class", "train", "validation", "test"],
        ["all rows", "8", "2", "4"],
        ["no", "6 (75.0 %)", "1 (50.0 %)", "2 (50.0 %)"],
        ["yes", "2 (25.0 %)", "1 (50.0 %)", "2 (50.0 %)"],
    ]


def test_report_has_the_baseline_and_the_direction_beside_each_score(binary):
    assert binary[2].tables["Scores of ill on the 4 test rows"] == [
        ["Score", "Model", "Baseline", "Model is", "Better when"],
        ["AUC", "0.250", "0.500", "worse", "higher"],
        ["PR-AUC", "0.500", "0.500", "the same", "higher"],
        ["Accuracy", "0.250", "0.500", "worse", "higher"],
        ["Balanced accuracy", "0.250", "0.500", "worse", "higher"],
        ["F1", "0.400", "0.000", "better", "higher"],
        ["Sensitivity", "0.500", "0.000", "better", "higher"],
        ["Specificity", "0.000", "1.000", "worse", "higher"],
        ["Log loss", "1.213", "0.837", "worse", "lower"],
        ["Brier score", "0.446", "0.312", "worse", "lower"],
    ]


def test_report_shows_the_confusion_matrix(binary):
    assert binary[2].tables["Confusion matrix of ill"][:4] == [
        ["", "Predicted class"],
        ["True class", "no", "yes", "All"],
        ["no", "0 (0.0 %)", "2 (100.0 %)", "2"],
        ["yes", "1 (50.0 %)", "1 (50.0 %)", "2"],
    ]


def test_report_says_what_stands_behind_the_result(binary):
    found = binary[2]
    assert found.tables["Class weights of ill"] == [
        ["Class", "Training rows", "Weight in the loss"],
        ["no", "6", "0.667"],
        ["yes", "2", "2"],
    ]
    age = "from 20 to 80; mean 51.5, standard deviation 9.25; median 50 instead of a missing number; missing in 2 training rows"
    note = "a vocabulary of 2 words; 4 words kept of each text, the longest has 4; never missing"
    assert found.tables["Columns"][1:] == [["age", "numeric", age], ["note", "text", note]]
    assert found.tables["SHA-256"][1:] == [["t&t.csv", "cd" * 32], ["model.keras", "ab" * 32]]
    assert found.tables["Versions"][1:] == [["mmtrain", "0.1.0"], ["seed", "7"]]
    assert "config.yaml, with every default written out" in found.terms
    assert any(term.startswith("name: clinic data: {table: ../../t.csv}") for term in found.terms)
    assert (
        "The training took 3 epochs of at most 9. The weights are those of epoch 2. "
        "Training stopped early: validation_loss has not improved for 1 epochs." in found.paragraphs
    )


def test_report_draws_every_part(binary):
    run, _, found = binary
    assert png_names(run) == [
        "confusion_test.png",
        "confusion_validation.png",
        "learning_curves.png",
        "precision_recall_test.png",
        "precision_recall_validation.png",
        "probabilities_test.png",
        "probabilities_validation.png",
        "reliability_test.png",
        "reliability_validation.png",
        "roc_test.png",
        "roc_validation.png",
        "thresholds_test.png",
        "thresholds_validation.png",
    ]
    assert found.alts == [
        "AUC 0.250, baseline 0.500, from 0.000 to 1.000",
        "ROC curve of ill on the 4 test rows; the area under it is 0.250, random guessing has 0.500.",
        "Precision-recall curve of ill on the 4 test rows; the average precision is 0.500, random guessing has 0.500.",
        f"{THRESHOLDS} on the 4 test rows over the threshold; the one in use, 0.5, gives sensitivity 0.500 and specificity 0.000.",
        f"{HISTOGRAMS} on the 4 test rows, {EACH} At 0.5 or above: 2 of 2 rows of no, 1 of 2 rows of yes.",
        f"Reliability curve of ill on the 4 test rows{RELIABILITY} 0.638 (0.000 to 0.862).",
        "ROC curve of ill on the 2 validation rows; the area under it is 1.000, random guessing has 0.500.",
        "Precision-recall curve of ill on the 2 validation rows; the average precision is 1.000, random guessing has 0.500.",
        f"{THRESHOLDS} on the 2 validation rows over the threshold; the one in use, 0.5, gives sensitivity 1.000 and specificity 1.000.",
        f"{HISTOGRAMS} on the 2 validation rows, {EACH} At 0.5 or above: 0 of 1 rows of no, 1 of 1 rows of yes.",
        f"Reliability curve of ill on the 2 validation rows{RELIABILITY} 0.150 (0.000 to 0.200).",
        "Line plots over 3 epochs: training and validation loss, validation_auc, learning rate.",
    ]


def test_report_needs_nothing_beside_it(binary):
    run, path, found = binary
    text = path.read_text(encoding="utf-8")
    loads = [value for _, attributes in found.tags for name, value in attributes.items() if name in ("src", "href", "xlink:href", "srcset")]
    assert len(loads) > 20
    beside = {value for value in loads if not value.startswith("#")}
    kinds = ("scores", "confusion", "calibration")
    assert beside == {f"{kind}_{part}.csv" for kind in kinds for part in ("validation", "test")}
    assert [name for name in beside if not (run / name).is_file()] == []
    assert [word for word in ("http:", "https:", "@import", "url(http", "<script src", "<link", "<object", "<iframe") if word in text] == []
    assert path.stat().st_size < 300_000


def test_report_can_be_read_by_all(binary):
    found = binary[2]
    names = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a"]
    sections = [f"#section-{number}" for number in range(1, 11)]
    assert links[:11] == ["#main", *sections]  # whoever has no mouse passes over the contents
    assert {link[1:] for link in links[:11]} <= set(names)
    assert ("html", {"lang": "en"}) in found.tags
    assert ("details", {}) in found.tags
    scopes = [attributes.get("scope") for tag, attributes in found.tags if tag == "th"]
    assert len(scopes) > 30
    assert set(scopes) == {"col", "row", "colgroup"}


def test_report_follows_light_and_dark(binary):
    text = binary[1].read_text(encoding="utf-8")
    drawn = text[text.index("<svg") : text.rindex("</svg>")]
    assert "prefers-color-scheme: dark" in text
    assert "var(--first)" in drawn
    assert "currentColor" in drawn
    assert [colour for colour in plot_style.VARIABLES if colour in drawn] == []


def test_report_escapes_every_name(tmp_path, capfd):
    classes = [EVIL, "$a", "猫 & \"co'"]
    target = {"task": "multiclass", "column": "kind", "loss_weight": 1.0, "classes": classes, "counts": [4, 2, 2], "weights": [1.0] * 3}
    run = make_run(tmp_path, {"kind": {**target, "label_smoothing": 0.0}}, state="interrupted", error=f"{EVIL}.")
    data = run.read_json("data.json")
    run.write_json("data.json", {**data, "table": f"{EVIL}.csv", "dropped": [{"row": 0, "id": f"a{EVIL}", "reason": f"b{EVIL}"}]})
    run.write_text("config.yaml", (run / "config.yaml").read_text() + f"# {EVIL}\n")
    path = evaluate(run, "test", {"kind": [0, 0, 1, -1]}, {"kind": [[1, 0, 0], [0.2, 0.8, 0], [0, 1, 0], [0, 0, 1]]})
    found = read(path)
    assert [tag for tag, _ in found.tags].count("script") == 1  # ours
    assert path.read_text(encoding="utf-8").count("<script") == 1
    assert found.paragraphs[1] == f"{EVIL}. The training did not finish: it is interrupted."
    assert found.tables["Rows left out"][1] == [f"b{EVIL}", "1", f"a{EVIL}"]
    assert [row[0] for row in found.tables["Rows of each part by kind"][2:]] == classes
    assert found.tables["SHA-256"][1][0] == f"{EVIL}.csv"
    assert any(term.endswith(f"# {EVIL}") for term in found.terms)
    assert png_names(run) == ["confusion_test.png", "learning_curves.png", "probabilities_test.png", "reliability_test.png"]
    assert capfd.readouterr() == ("", "")  # no word about letters the font lacks


def with_difference(run, number, difference):
    """Return the report of a copy of the run with this difference to the baseline in the AUC."""
    copy = Run(run.folder.parent / number)
    shutil.copytree(run.folder, copy.folder)
    metrics = copy.read_json("metrics.json")
    metrics["validation"]["ill"]["baselines"][0]["differences"] = {"auc": difference}
    copy.write_json("metrics.json", {"validation": metrics["validation"]})
    return read(written_without_plots(copy))


def test_report_does_not_claim_what_no_interval_shows(binary):
    found = with_difference(binary[0], "5", {"value": 0.5, "note": "No interval: every draw has the same value."})
    assert found.paragraphs[2].endswith("has 0.500. The model is better than the baseline; the uncertainty of the difference is unknown.")


def test_report_does_not_claim_what_the_interval_leaves_open(binary):
    found = with_difference(binary[0], "4", {"value": 0.5, "low": -0.25, "high": 0.75})
    assert found.paragraphs[2].endswith(
        "has 0.500. The model is not shown to beat the baseline: the difference is 0.500 (−0.250 to 0.750)."
    )
    assert found.tables["Scores of ill on the 2 validation rows"][1][-2:] == ["not shown to differ", "higher"]


def test_columns_of_an_unknown_role_are_told_briefly():
    class Waves(FittedColumn):
        rate: float = 0.25
        bands: tuple[int, ...] = (1, 2, 3)
        mode: str = "fast"

    Waves.__abstractmethods__ = frozenset()  # the others are not asked
    assert Waves(role="waves").learned_words(None, plain) == "rate: 0.250; bands: 3 values; mode: fast"


def test_report_after_fit_speaks_of_validation_rows_only(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY}, monitor="validation_loss")
    found = read(written(run))
    assert found.headings == [
        "h1 clinic/3",
        *("h2 Summary", "h2 Limits", "h2 What to do next", "h2 Rows", "h2 Training", "h2 Class weights"),
        *("h2 What the columns learned", "h2 Experiment", "h2 Versions and hashes"),
    ]
    caveat = "The best epoch was chosen on these rows, so the scores are slightly too optimistic for new ones."
    assert found.paragraphs[2:4] == [
        f"On the 2 validation rows, the loss is 0.500 (lower is better). {caveat}",
        "The test part has not been scored yet. To score it: mmtrain evaluate clinic/3",
    ]
    assert found.tables["Scores of epoch 2 on the 2 validation rows"] == [["Score", "Model", "Better when"], ["Loss", "0.500", "lower"]]
    assert [caption for caption in found.tables if "test" in caption] == []


def test_report_names_scores_of_several_targets(tmp_path):
    run = make_run(tmp_path, {"auc": BINARY | {"column": "auc"}, "auc_b": BINARY | {"column": "auc_b"}})
    line = {"epoch": 2, "learning_rate": 0.01, "train_loss": 0.5, "validation_auc_auc": 0.75, "validation_auc_b_pr_auc": None}
    run.write_text("metrics.jsonl", json.dumps(line) + "\n")
    assert read(written(run)).tables["Scores of epoch 2 on the 2 validation rows"][1:] == [
        ["AUC of auc", "0.750", "higher"],
        ["PR-AUC of auc_b", "undefined", "higher"],
    ]


def test_report_leaves_its_numbers_as_csv(binary):
    run = binary[0]
    scores = pd.read_csv(run / "scores_test.csv", keep_default_na=False)
    assert list(scores.columns)[:6] == ["target", "predictor", "score", "value", "low", "high"]
    assert list(scores.columns)[6:] == ["difference", "difference_low", "difference_high", "rows", "note"]
    assert scores["predictor"].unique().tolist() == ["model", "majority: class shares of the training rows"]
    assert scores.iloc[0].tolist() == ["ill", "model", "auc", 0.25, "", "", "", "", "", 4, ""]
    known = run.read_json("metrics.json")["test"]["ill"]["scores"]
    assert scores["value"].tolist()[: len(known)] == [score["value"] for score in known.values()]  # in full
    assert (run / "confusion_test.csv").read_text() == (
        "target,true,predicted,rows\nill,no,no,0\nill,no,yes,2\nill,yes,no,1\nill,yes,yes,1\n"
    )
    assert (run / "epochs.csv").read_text().splitlines()[:2] == ["epoch,learning_rate,train_loss,validation_loss", "1,0.01,0.9,0.8"]


def test_report_draws_the_network(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY})
    entry = {"name": f"age{EVIL}", "kind": "vector", "shape": [1]}
    parts = {"branches": [{"name": "b", "architecture": "mlp", "inputs": [entry], "width": 8, "parameters": 1000}]}
    parts["fusion"] = {"method": "add", "width": 4, "parameters": 200}
    parts["targets"] = [{"name": "ill", "task": "binary", "width": 1, "parameters": 30}]
    run.write_json("network.json", parts)
    path = written(run)
    found = read(path)
    assert "h2 Network" in found.headings
    assert "The network 1,230 parameters in all, learned from training rows." in found.terms
    assert found.alts[0].startswith("Diagram of the network: b, a branch of kind mlp, reads age<script>")
    assert path.read_text(encoding="utf-8").count("<script") == 1
    run.write_json("network.json", parts | {"auxiliary_heads": {"b": 9, "c": 2}})
    caption = "The network 1,230 parameters in all, learned from training rows."
    assert (
        f"{caption} Heads by which each branch also predicted alone during training have 11 parameters of their own."
        in read(written(run)).terms
    )


def test_a_network_that_learned_from_few_images_alone_is_told_of_pretrained_ones():
    from mmtrain.artifacts.run_schema.network_facts import BranchEncoder, Network
    from mmtrain.columns import Image
    from mmtrain.reports.next_steps import pretrained_images

    sized = {"width": 4, "parameters": 9}
    branch = {"name": "scan", "architecture": "image_resnet", "inputs": [{"name": "scan", "kind": "image", "shape": [8, 8, 3]}], **sized}
    outline = {"branches": [branch], "fusion": {"method": "concatenate", **sized}, "targets": [{"name": "y", "task": "binary", **sized}]}
    network = Network.model_validate(outline)
    columns = {"scan": Image(column="scan")}

    def contents(network, rows):
        return SimpleNamespace(network=network, sizes={"train": rows}, columns=columns)

    (point,) = pretrained_images(contents(network, 240))
    assert point.startswith("The branch scan learned from 240 training rows alone. Frozen features of a pretrained network ")
    assert list(pretrained_images(contents(network, 30_000))) == []
    encoder = BranchEncoder(model="lite", sha256="0", frozen=True, parameters=1)
    known = network.model_copy(update={"branches": [network.branches[0].model_copy(update={"encoder": encoder})]})
    assert list(pretrained_images(contents(known, 240))) == []


def test_words_that_were_learned_from_few_rows_alone_are_told_of_pretrained_networks():
    from mmtrain.artifacts.run_schema.network_facts import Network
    from mmtrain.columns import Text
    from mmtrain.reports.next_steps import pretrained_texts

    sized = {"width": 4, "parameters": 9}

    def next_of(rows, *readers):
        """The next steps where each of the readers (name, header, encoder) is a branch."""
        branches = [
            {"name": name, "architecture": "mlp", "inputs": [{"name": name, "kind": "bag", "shape": [8]}], **sized}
            | ({"encoder": encoder} if encoder else {})
            for name, _, encoder in readers
        ]
        targets = [{"name": "y", "task": "binary", **sized}]
        outline = {"branches": branches, "fusion": {"method": "concatenate", **sized}, "targets": targets}
        columns = {name: Text(column=header) for name, header, _ in readers}
        return list(pretrained_texts(SimpleNamespace(network=Network.model_validate(outline), sizes={"train": rows}, columns=columns)))

    encoder = {"model": "minilm", "sha256": "0", "frozen": True, "parameters": 1}
    (point,) = next_of(240, ("note", "Note", None), ("title", "Title", None))
    assert point.startswith("The words of Note and Title were learned from 240 training rows alone. With so few, a pretrained network ")
    assert next_of(30_000, ("note", "Note", None)) == []
    assert next_of(240, ("note", "Note", None), ("note_meaning", "Note", encoder)) == []
    (point,) = next_of(240, ("note", "Note", None), ("note_meaning", "Note", encoder), ("title", "Title", None))
    assert point.startswith("The words of Title were learned")
