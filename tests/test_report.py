"""report.html and plots/*.png of a run folder."""

import json
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mmtrain import config
from mmtrain.config.evaluation import Evaluation
from mmtrain.data import encode
from mmtrain.evaluation.bootstrap import Resampling
from mmtrain.evaluation.decisions import Rows, TargetDecisions, judge
from mmtrain.evaluation.predictions import frame, to_csv
from mmtrain.evaluation.scoring import score_target
from mmtrain.reports import analysis_numbers, background, drawing, numbers, plots, words
from mmtrain.reports.blocks import Cell, Pictures, Section, Table, Words
from mmtrain.reports.contents import EvaluatedPart, predictions_of, read_epochs
from mmtrain.reports.report import bounded, page, write
from mmtrain.runs import Run

EVIL = "<script>alert(1)</script>"
RELIABILITY = ": share that came true by predicted probability; the expected calibration error is"
THRESHOLDS = "Sensitivity, specificity and precision of ill"
VOID = {"meta", "br", "img", "link", "input", "path", "use", "rect", "image"}
AGE = {"role": "numeric", "fill": 50.0, "center": 51.5, "scale": 9.25, "indicator": True, "masked": False}
AGE |= {"minimum": 20.0, "maximum": 80.0, "missing": 2}
NOTE = {"role": "text", "vectorize": "tfidf", "words": ["fever", "cough"], "idf": [0.0, 1.0, 2.0, 1.5, 1.7]}
NOTE |= {"length": 4, "longest": 4, "masked": False, "missing": 0}
BINARY = {"task": "binary", "column": "ill", "loss_weight": 1.0, "classes": ["no", "yes"], "counts": [6, 2], "weights": [0.667, 2.0]}
NUMBER = {"task": "regression", "column": "price", "loss_weight": 1.0, "error": "squared"}
NUMBER |= {"center": 10.0, "scale": 4.0, "minimum": 2.0, "maximum": 18.0}


class Page(HTMLParser):
    """What a reader meets: `headings`, `paragraphs`, `tables` by caption, and every tag with its attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.headings, self.paragraphs, self.tables, self.terms = [], [], [], [], {}, []
        self.described = []  # (dt, dd)
        self.feed(text)
        assert self.open == []  # every tag is closed

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.row = []
        if tag not in VOID:
            self.open.append((tag, []))

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        for _, texts in self.open:
            texts.append(data)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        opened, texts = self.open.pop()
        assert opened == tag
        text = " ".join("".join(texts).split())
        if tag in ("h1", "h2", "h3"):
            self.headings.append(f"{tag} {text}")
        elif tag == "p":
            self.paragraphs.append(text)
        elif tag in ("li", "figcaption", "summary", "title", "pre"):
            self.terms.append(text)
        elif tag == "dt":
            self.described.append((text,))
        elif tag == "dd":
            self.described[-1] += (text,)
        elif tag == "caption":
            self.table = self.tables.setdefault(text, [])
        elif tag in ("td", "th"):
            self.row.append(text)
        elif tag == "tr":
            self.table.append(self.row)

    @property
    def alts(self):
        return [attributes["aria-label"] for _, attributes in self.tags if attributes.get("role") == "img"]


def make_run(folder, targets, monitor="validation_loss", **facts):
    """A run folder as `fit` leaves it: 8 training, 2 validation and 4 test rows, two of 16 rows left out."""
    folder = folder / "clinic" / "3"
    folder.mkdir(parents=True)
    run = Run(folder)
    columns = "".join(f"  {key}: {{role: target, task: {target['task']}}}\n" for key, target in targets.items())
    head = "name: clinic\ndata: {table: ../../t.csv}\ncolumns:\n  age: {role: numeric}\n  note: {role: text}\n"
    run.write_text("config.yaml", f"{head}{columns}training: {{epochs: 9, early_stopping: {{monitor: '{monitor}'}}}}\n")
    known = {
        "format": 1,
        "state": "finished",
        "started": "2026-11-22T13:52:37+00:00",
        "ended": "2026-11-22T13:55:37+00:00",
        "seconds": {"training": 61.0},
        "seed": 7,
        "best_epoch": 2,
        "stopped": "validation_loss has not improved for 1 epochs",
        "versions": {"mmtrain": "0.1.0"},
        "files": {"model.keras": "ab" * 32},
    }
    run.write_json("run.json", {**known, **facts})
    dropped = [{"row": 3, "id": "", "reason": "age: the cell is empty."}, {"row": 9, "id": "", "reason": "age: the cell is empty."}]
    answers = {
        key: {"train": target["counts"], "validation": [1] * len(target["counts"]), "test": [2] * len(target["counts"])}
        for key, target in targets.items()
        if "counts" in target
    }
    data = {"table": "t&t.csv", "sha256": "cd" * 32, "rows": 16, "used": 14, "dropped": dropped, "answers": answers}
    run.write_json("data.json", data)
    parts = ["train"] * 8 + ["validation"] * 2 + ["test"] * 4
    run.write_text("split.csv", "row,id,part\n" + "".join(f"{row},{row},{part}\n" for row, part in enumerate(parts)))
    run.write_json("columns.json", {"columns": {"age": AGE, "note": NOTE}, "targets": targets})
    for epoch, (train, validation) in enumerate([(0.9, 0.8), (0.6, 0.5), (0.4, 0.55)], start=1):
        run.append_line("metrics.jsonl", {"epoch": epoch, "learning_rate": 0.01, "train_loss": train, "validation_loss": validation})
    return run


def evaluate(run, part, truths, predictions, table="t.csv", report=True, when="2026-11-22T14:00:00+00:00", drawn=None):
    """What `workflows.evaluate` does with predictions, without a model; `report=False` leaves the report to a later call.

    The scores have intervals where `drawn` says how rows are drawn.
    """
    fitted = encode.read_fitted(run.read_json("columns.json"))
    truths = {key: np.asarray(truth) for key, truth in truths.items()}
    predictions = {key: np.asarray(prediction, dtype=np.float32) for key, prediction in predictions.items()}
    count = len(next(iter(truths.values())))
    rows = frame(np.arange(count), [str(row) for row in range(count)], fitted.targets, truths, predictions)
    run.write_text(f"predictions_{part}.csv", to_csv(rows))
    results = {}
    for key, target in fitted.targets.items():
        found = judge(target, TargetDecisions(), Rows(truths[key], predictions[key], None), confidence=0.95)
        results[key] = score_target(key, target, truths[key], predictions[key], drawn).with_analyses(found).plain()
    known = run.read_json("metrics.json") if (run / "metrics.json").exists() else {}
    run.write_json("metrics.json", {**known, part: results})
    looks = run.read_json("run.json").get("evaluations", [])
    run.update(evaluations=[*looks, {"part": part, "when": when, "rows": count, "table": table}])
    return written(run) if report else None


def written(run):
    """The report of what lies in the folder by now."""
    return write(run, config.load(run / "config.yaml"), encode.read_fitted(run.read_json("columns.json")))


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def page_of(picture):
    return Page(page(title="t", facts=(), sections=(Section("s", (Pictures((picture,)),)),)))


def png_names(run):
    names = sorted(path.name for path in (run / "plots").iterdir())
    for name in names:
        with Image.open(run / "plots" / name) as picture:
            assert picture.format == "PNG"
            assert min(picture.size) > 300
    return names


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
        "h2 Rows",
        "h2 Training",
        "h2 Results on the test part",
        "h3 Probabilities and decisions",
        "h2 Results on the validation part",
        "h3 Probabilities and decisions",
        "h2 Class weights",
        "h2 Limits",
        "h2 What the columns learned",
        "h2 Experiment",
        "h2 Versions and hashes",
    ]


def test_report_says_in_words_what_was_found(binary):
    assert binary[2].paragraphs[:5] == [
        "finished · started 22 November 2026, 13:52 UTC · 1 min 1 s of training",
        "From age (numeric) and note (text), ill (one of two classes: no or yes) is predicted. "
        "Of 16 rows in t&t.csv, 14 were used: 8 to train, 2 to choose the best epoch and 4 to test.",
        "On the 4 test rows, the AUC of ill is 0.250 (higher is better); the baseline (majority: class shares of the training rows) "
        "has 0.500. The model does not beat the baseline.",
        "The test part has been scored twice. Every choice made after such a look makes its scores less true for new rows.",
        "Rows are counted from 0, the first one under the header.",
    ]


def test_report_judges_an_earlier_part_too(binary):
    assert "The best epoch was chosen on these rows, so the scores are a little too good for new ones." in binary[2].paragraphs
    assert (
        "On the 2 validation rows, the AUC of ill is 1.000 (higher is better); the baseline (majority: class shares of the training rows) "
        "has 0.500. The model beats the baseline." in binary[2].paragraphs
    )


def test_report_shows_which_rows_took_part(binary):
    found = binary[2]
    assert found.terms[11:17] == ["16 in t&t.csv", "2 left out", "14 used", "8 train", "2 validation", "4 test"]
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


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    """48 rows of 24 patients, of which the model finds all ill ones."""
    run = make_run(tmp_path_factory.mktemp("grouped"), {"ill": BINARY}, monitor="validation_auc")
    truth = np.arange(48) // 2 % 2
    score = np.where(truth == 1, 0.7, np.linspace(0.1, 0.9, 48))[:, np.newaxis]
    drawn = Resampling(Evaluation(), np.arange(48) // 2, "patient")
    return run, read(evaluate(run, "test", {"ill": truth}, {"ill": score}, drawn=drawn))


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
        "3 epochs of at most 9. The weights are those of epoch 2. Training stopped early: validation_loss has not improved for 1 epochs."
        in found.paragraphs
    )


def test_report_draws_every_part(binary):
    run, _, found = binary
    assert png_names(run) == [
        "confusion_test.png",
        "confusion_validation.png",
        "learning_curves.png",
        "precision_recall_test.png",
        "precision_recall_validation.png",
        "reliability_test.png",
        "reliability_validation.png",
        "roc_test.png",
        "roc_validation.png",
        "thresholds_test.png",
        "thresholds_validation.png",
    ]
    assert found.alts == [
        "Line plots over 3 epochs: training and validation loss, validation_auc, learning rate.",
        "ROC curve of ill on the 4 test rows; the area under it is 0.250, guessing has 0.500.",
        "Precision-recall curve of ill on the 4 test rows; the average precision is 0.500, guessing has 0.500.",
        f"{THRESHOLDS} on the 4 test rows over the threshold; the one in use, 0.5, gives sensitivity 0.500 and specificity 0.000.",
        f"Reliability curve of ill on the 4 test rows{RELIABILITY} 0.638.",
        "ROC curve of ill on the 2 validation rows; the area under it is 1.000, guessing has 0.500.",
        "Precision-recall curve of ill on the 2 validation rows; the average precision is 1.000, guessing has 0.500.",
        f"{THRESHOLDS} on the 2 validation rows over the threshold; the one in use, 0.5, gives sensitivity 1.000 and specificity 1.000.",
        f"Reliability curve of ill on the 2 validation rows{RELIABILITY} 0.150.",
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
    assert [word for word in ("http:", "https:", "@import", "url(http", "<script", "<link", "<object", "<iframe") if word in text] == []
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
    assert [colour for colour in drawing.VARIABLES if colour in drawn] == []


def test_report_escapes_every_name(tmp_path, capfd):
    classes = [EVIL, "$a", "猫 & \"co'"]
    target = {"task": "multiclass", "column": "kind", "loss_weight": 1.0, "classes": classes, "counts": [4, 2, 2], "weights": [1.0] * 3}
    run = make_run(tmp_path, {"kind": {**target, "label_smoothing": 0.0}}, state="interrupted", error=f"{EVIL}.")
    data = run.read_json("data.json")
    run.write_json("data.json", {**data, "table": f"{EVIL}.csv", "dropped": [{"row": 0, "id": f"a{EVIL}", "reason": f"b{EVIL}"}]})
    run.write_text("config.yaml", (run / "config.yaml").read_text() + f"# {EVIL}\n")
    path = evaluate(run, "test", {"kind": [0, 0, 1, -1]}, {"kind": [[1, 0, 0], [0.2, 0.8, 0], [0, 1, 0], [0, 0, 1]]})
    found = read(path)
    assert "script" not in [tag for tag, _ in found.tags]
    assert path.read_text(encoding="utf-8").count("<script") == 0
    assert found.paragraphs[1] == f"{EVIL}. The training did not finish: it is interrupted."
    assert found.tables["Rows left out"][1] == [f"b{EVIL}", "1", f"a{EVIL}"]
    assert [row[0] for row in found.tables["Rows of each part by kind"][2:]] == classes
    assert found.tables["SHA-256"][1][0] == f"{EVIL}.csv"
    assert any(term.endswith(f"# {EVIL}") for term in found.terms)
    assert png_names(run) == ["confusion_test.png", "learning_curves.png", "reliability_test.png"]
    assert capfd.readouterr() == ("", "")  # no word about letters the font lacks


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
    assert "1 row left out of the scores: the answer is missing, or training did not have it." in found.paragraphs
    assert "kind: every class counts the same in the loss." in found.paragraphs


def test_report_escapes_names_inside_plots(tmp_path):
    names = [EVIL[:17], '" fill="#1f6fb2']
    with drawing.style():
        figure = plots.confusion(np.array([[1, 0], [2, 3]]), names)
        picture = drawing.Gallery(Run(tmp_path)).add(figure, "confusion", title="t", alt=EVIL)
    found = page_of(picture)
    assert "script" not in [tag for tag, _ in found.tags]
    assert found.alts == [EVIL]
    assert picture.markup.count("&lt;script&gt;alert(1") == 2
    assert picture.markup.replace("&quot;", '"').count(names[1]) == 2  # a name that looks like our markup stays as it is


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
    assert png_names(run) == ["confusion_newer.png", "learning_curves.png", "reliability_newer.png"]  # no ROC of one class


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
        "reliability_ill_test.png",
        "residuals_a_b_test.png",
        "roc_ill_test.png",
        "thresholds_ill_test.png",
    ]
    rows = "on the 3 test rows with a known answer"
    assert found.alts[2] == f"Residuals of a:b {rows}: predicted less true values, from 0 to 1,200, mean 400."


def test_report_says_where_a_winning_model_is_worse(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY})
    found = read(evaluate(run, "test", {"ill": [0, 0, 1, 1]}, {"ill": [[0.8], [0.7], [0.99], [0.75]]}))
    assert found.paragraphs[2].endswith("The model beats the baseline. It is worse than the baseline in specificity.")


def test_report_does_without_predictions_that_are_gone(tmp_path):
    run = make_run(tmp_path, {"price": NUMBER})
    evaluate(run, "validation", {"price": [1.0, 5.0]}, {"price": [[1], [5]]}, report=False)
    (run / "predictions_validation.csv").unlink()
    found = read(evaluate(run, "test", {"price": [1.0, 5.0]}, {"price": [[1], [5]]}))
    assert "predictions_validation.csv is no longer in the run, so there are no plots." in found.paragraphs
    assert len(found.alts) == 3  # learning curves and two of the test part
    assert found.tables["Rows of each part"] == [
        ["Part", "Rows", "Share"],
        ["train", "8", "57.1 %"],
        ["validation", "2", "14.3 %"],
        ["test", "4", "28.6 %"],
    ]


def test_gallery_keeps_the_report_small(tmp_path):
    run = Run(tmp_path)
    numbers = np.random.default_rng(0).normal(size=(2, 20_000))
    with drawing.style():
        scatter = drawing.as_markup(plots.residuals(*numbers), salt="s")
        curve = drawing.as_markup(plots.roc((numbers[0] > 0).astype(np.int64), 1 / (1 + np.exp(-numbers[1])), 0.5), salt="s")
        picture = drawing.Gallery(run, room=100).add(plots.residuals(*numbers[:, :5]), "residuals", title="Residuals", alt="Dots.")
    assert 10_000 < len(scatter) < 200_000
    assert 5_000 < len(curve) < 40_000
    assert picture.markup is None
    assert (run / "plots" / "residuals.png").is_file()
    assert "This report has no room for the plot; it is plots/residuals.png in the run folder. Dots." in page_of(picture).paragraphs


def test_gallery_gives_every_plot_a_file_of_its_own(tmp_path):
    with drawing.style():
        gallery = drawing.Gallery(Run(tmp_path))
        found = [gallery.add(drawing.new_figure(3, 3), name, title="", alt="").file for name in ("a b", "A/b", "../../a", "日")]
    assert found == ["plots/a_b.png", "plots/A_b_2.png", "plots/a.png", "plots/plot.png"]


def test_style_is_not_the_users_and_gives_equal_text_again():
    import matplotlib

    def drawn():
        with drawing.style():
            return drawing.as_markup(plots.residuals(np.arange(3.0), np.arange(3.0)), salt="s")

    with matplotlib.rc_context({"font.size": 40, "axes.facecolor": "#ff0000"}):
        loud = drawn()
        assert matplotlib.rcParams["font.size"] == 40
    assert drawn() == loud


@pytest.mark.parametrize("count", [2, 30])
def test_confusion_of_many_classes_is_drawn(count):
    with drawing.style():
        markup = drawing.as_markup(plots.confusion(np.eye(count, dtype=np.int64), [f"class {place}" for place in range(count)]), salt="s")
    assert markup.count(">class ") == 2 * count


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (0.01234, "0.0123"),
        (1.234, "1.23"),
        (-12.34, "−12.3"),
        (123.4, "123"),
        (12345.6, "12,346"),
        (1.5e-7, "1.50e-07"),
        (3e20, "3.00e+20"),
    ],
)
def test_numbers_keep_three_digits(value, text):
    assert words.significant(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.76041, "0.760"), (-0.0001, "0.000"), (-1.5, "−1.500"), (1234.5, "1,234.500")])
def test_scores_have_three_decimals(value, text):
    assert words.decimals(value) == text


@pytest.mark.parametrize(("seconds", "text"), [(3.64, "3.6 s"), (59.97, "1 min 0 s"), (252, "4 min 12 s"), (7500, "2 h 5 min")])
def test_durations_are_read_easily(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("score", "model", "baseline", "expected"),
    [
        ("auc", 0.7, 0.5, "better"),
        ("auc", 0.4, 0.5, "worse"),
        ("auc", 0.50001, 0.5, "same"),
        ("log_loss", 0.4, 0.5, "better"),
        ("rmse", 12_000, 11_000, "worse"),
        ("auc", None, 0.5, "undefined"),
        ("auc", 0.5, None, "undefined"),
    ],
)
def test_outcome_knows_directions_and_rounding(score, model, baseline, expected):
    assert words.outcome(score, {"value": model}, {"value": baseline}) == expected


@pytest.mark.parametrize(
    ("score", "difference", "expected"),
    [
        ("auc", {"value": 0.2, "low": 0.1, "high": 0.3}, "better"),
        ("auc", {"value": 0.2, "low": -0.1, "high": 0.5}, "open"),
        ("auc", {"value": 0.2, "low": 0.0, "high": 0.5}, "open"),
        ("log_loss", {"value": 0.2, "low": 0.1, "high": 0.3}, "worse"),
        ("log_loss", {"value": 0.2, "low": -0.1, "high": 0.3}, "open"),
        ("auc", {"value": 0.2}, "better"),  # of too few rows to draw from
        ("auc", {}, "better"),
    ],
)
def test_outcome_is_open_where_the_interval_of_the_difference_holds_zero(score, difference, expected):
    assert words.outcome(score, {"value": 0.7}, {"value": 0.5}, difference) == expected


def with_difference(run, number, difference):
    """The report of a copy of the run whose difference to the baseline in the AUC is this one."""
    copy = Run(run.folder.parent / number)
    shutil.copytree(run.folder, copy.folder)
    metrics = copy.read_json("metrics.json")
    metrics["validation"]["ill"]["baselines"][0]["differences"] = {"auc": difference}
    copy.write_json("metrics.json", {"validation": metrics["validation"]})
    return read(written(copy))


def test_report_does_not_claim_what_no_interval_shows(binary):
    found = with_difference(binary[0], "5", {"value": 0.5, "note": "No interval: every draw has the same value."})
    assert found.paragraphs[2].endswith("has 0.500. On these rows the model is better than the baseline; how sure that is, is not known.")


def test_report_does_not_claim_what_the_interval_leaves_open(binary):
    found = with_difference(binary[0], "4", {"value": 0.5, "low": -0.25, "high": 0.75})
    assert found.paragraphs[2].endswith(
        "has 0.500. It is not shown that the model beats the baseline: the difference is 0.500 (−0.250 to 0.750)."
    )
    assert found.tables["Scores of ill on the 2 validation rows"][1][-2:] == ["not shown to differ", "higher"]


@pytest.mark.parametrize(
    ("score", "text"), [("log_loss", "log loss"), ("auc", "AUC"), ("f1", "F1"), ("r2", "R²"), ("brier", "Brier score")]
)
def test_scores_have_names_in_sentences(score, text):
    assert words.in_sentence(score) == text


def test_columns_of_an_unknown_role_are_told_briefly():
    learned = {"role": "waves", "rate": 0.25, "bands": [1, 2, 3], "mode": "fast"}
    assert background.in_brief(learned) == "rate: 0.250; bands: 3 values; mode: fast"


def test_epochs_leave_out_steps_and_a_torn_last_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"epoch": 1}) + "\n" + json.dumps({"epoch": 2, "step": 4}) + "\n" + '{"epoch": 2, "tr')
    assert read_epochs(Run(tmp_path)) == ({"epoch": 1},)


def test_predictions_are_read_as_they_were_written(tmp_path):
    (tmp_path / "predictions_test.csv").write_text("row,id,truth\n0,001,NA\n")
    assert predictions_of(Run(tmp_path), "test").equals(pd.DataFrame({"row": ["0"], "id": ["001"], "truth": ["NA"]}, dtype="str"))


def test_report_after_fit_speaks_of_validation_rows_only(tmp_path):
    run = make_run(tmp_path, {"ill": BINARY}, monitor="validation_loss")
    found = read(written(run))
    assert found.headings == [
        "h1 clinic/3",
        *("h2 Summary", "h2 Rows", "h2 Training", "h2 Class weights", "h2 Limits"),
        *("h2 What the columns learned", "h2 Experiment", "h2 Versions and hashes"),
    ]
    caveat = "The best epoch was chosen on these rows, so the scores are a little too good for new ones."
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


def test_report_leaves_out_scores_of_weights_that_are_gone(tmp_path):
    """An interrupted run was evaluated and then went on."""
    run = make_run(tmp_path, {"price": NUMBER}, resumed=["2026-11-22T13:00:00+00:00"])
    evaluate(run, "test", {"price": [1.0, 5.0]}, {"price": [[1], [5]]})
    assert "h2 Results on the test part" in read(run / "report.html").headings
    run.update(ended="2026-11-22T15:00:00+00:00")
    found = read(written(run))
    assert "h2 Results on the test part" not in found.headings
    assert "The test part has been scored once." in found.paragraphs  # a look stays a look
    evaluate(run, "validation", {"price": [1.0, 5.0]}, {"price": [[1], [5]]}, when="2026-11-22T16:00:00+00:00")
    assert [heading for heading in read(run / "report.html").headings if "Results" in heading] == ["h2 Results on the validation part"]


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


def test_numbers_have_intervals_and_every_baseline():
    score = {"auc": {"value": 0.75, "low": 0.5, "high": 0.875}, "f1": {"value": None, "undefined": "no row, no score"}}
    less = {"auc": {"value": 0.25, "low": -0.25, "high": 0.5}, "f1": {"value": None}}
    beside = [{"name": "a", "scores": score, "differences": less}, {"name": "b,c", "scores": score}]
    part = EvaluatedPart("test", "t.csv", {"ill": {"task": "binary", "rows": 9, "scores": score, "baselines": beside}}, None, {})
    assert numbers.scores(part).to_csv(index=False).splitlines() == [
        "target,predictor,score,value,low,high,difference,difference_low,difference_high,rows,note",
        *("ill,model,auc,0.75,0.5,0.875,,,,9,", 'ill,model,f1,,,,,,,9,"no row, no score"'),
        *("ill,a,auc,0.75,0.5,0.875,0.25,-0.25,0.5,9,", 'ill,a,f1,,,,,,,9,"no row, no score"'),
        *('ill,"b,c",auc,0.75,0.5,0.875,,,,9,', 'ill,"b,c",f1,,,,,,,9,"no row, no score"'),
    ]


def test_numbers_of_classes_are_those_of_the_table():
    result = {"classes": ["a", "b", "c"], "confusion": [[3, 1, 0], [1, 1, 0], [0, 0, 0]]}
    part = EvaluatedPart("test", "t.csv", {"kind": result, "price": {}}, None, {})
    assert numbers.classes(part).to_csv(index=False).splitlines() == [
        "target,class,rows,predicted,recall,precision,f1",
        "kind,a,4,4,0.75,0.75,0.75",
        "kind,b,2,2,0.5,0.5,0.5",
        "kind,c,0,0,,,",
    ]


def test_numbers_of_calibration_have_a_line_per_bin():
    one = {"said": 0.25, "share": 0.5, "low": 0.25, "high": 0.75, "rows": 8}
    found = {"before": {"ece": 0.25, "bins": [one, one | {"rows": 9}]}, "after": {"ece": 0.1, "bins": [one | {"said": 0.5}]}}
    table = analysis_numbers.tables({"ill": {"calibration": found}})["calibration"]
    assert table.to_csv(index=False).splitlines() == [
        "target,probabilities,said,share,low,high,rows",
        "ill,network,0.25,0.5,0.25,0.75,8",
        "ill,network,0.25,0.5,0.25,0.75,9",
        "ill,calibrated,0.5,0.5,0.25,0.75,8",
    ]


WRONG = {"row": 1234, "id": f"a{EVIL}", "loss": 2.3, "truth": f"t{EVIL}", "prediction": f"p{EVIL}"}
WRONG |= {
    "probability": {"truth": 0.0312, "prediction": 0.9},
    "cells": {f"age{EVIL}": f"1{EVIL}", "note": ""},
    "pictures": {"scan": "YWJj"},
}


def with_most_wrong(folder, targets, rows, id_column=""):
    run = make_run(folder, targets)
    run.write_text("config.yaml", (run / "config.yaml").read_text().replace("columns:\n", f"columns:\n{id_column}"))
    run.write_json("most_wrong_test.json", rows)
    return run


def test_report_shows_the_most_wrong_rows_as_cards(tmp_path):
    run = with_most_wrong(tmp_path, {"ill": BINARY}, {"ill": [WRONG]}, "  who: {role: id}\n")
    path = evaluate(run, "test", {"ill": [0, 1]}, {"ill": [[0.6], [0.7]]})
    found = read(path)
    assert [name for name in found.headings if "test part" in name] == [
        "h2 Results on the test part",
        "h2 Most wrong rows of the test part",
    ]
    assert "Of the 2 test rows, the 1 with the highest loss for ill" in found.paragraphs
    assert found.described == [
        ("true", f"t{EVIL} (0.031)"),
        ("predicted", f"p{EVIL} (0.900)"),
        (f"age{EVIL}", f"1{EVIL}"),
        ("note", "missing"),
    ]
    assert f"a{EVIL} (row 1234)" in found.paragraphs
    pictures = [attributes for tag, attributes in found.tags if tag == "img"]
    assert pictures == [{"alt": f"scan of a{EVIL} (row 1234)", "src": "data:image/jpeg;base64,YWJj"}]
    assert "<script" not in path.read_text(encoding="utf-8")
    assert "In parentheses: the probability that the model gave to the class." in found.paragraphs


def test_report_shows_numbers_that_are_most_wrong(tmp_path):
    row = {key: value for key, value in WRONG.items() if key not in ("id", "probability")} | {"id": "7", "truth": 1200.0, "prediction": 3.5}
    run = with_most_wrong(tmp_path, {"price": NUMBER}, {"price": [row]})
    found = read(evaluate(run, "test", {"price": [1.0, 5.0]}, {"price": [[1], [5]]}))
    assert found.described[:2] == [("true", "1,200"), ("predicted", "3.50")]
    assert "row 1234" in found.paragraphs  # without an id column
    assert "probability that the model gave" not in " ".join(found.paragraphs)


def test_report_stays_below_five_megabytes_whatever_is_in_it(tmp_path):
    """Names without an end, and four targets with long texts and large pictures on two parts."""
    row = WRONG | {
        "cells": {f"c{number}": "w" * 300 for number in range(40)},
        "pictures": {f"p{number}": "A" * 11_000 for number in range(4)},
    }
    names = [f"{letter}{'x' * 20_000}" for letter in "abc"]
    target = {"task": "multiclass", "loss_weight": 1.0, "classes": names, "counts": [4, 2, 2], "weights": [1.0, 2.0, 3.0]}
    targets = {f"t{number}": {**target, "column": f"t{number}", "label_smoothing": 0.0} for number in range(4)}
    run = make_run(tmp_path, targets)
    for part in ("validation", "test"):
        run.write_json(f"most_wrong_{part}.json", {key: [row] * 12 for key in targets})
        truth, prediction = {key: [0, 1] for key in targets}, {key: np.eye(3)[[0, 1]] for key in targets}
        path = evaluate(run, part, truth, prediction, report=part == "test")
    assert 1_000_000 < path.stat().st_size < 5_000_000
    found = read(path)
    assert found.paragraphs.count("This report has no room for the section; its numbers are in the run folder.") == 1
    assert "Scores of t3 on the 2 test rows" in found.tables


def test_bounded_leaves_out_the_largest_first():
    found = [Section(name, (Words(name[0] * size),)) for name, size in (("a", 1000), ("b", 90_000), ("c", 40_000), ("d", 2000))]
    gone = "This report has no room for the section; its numbers are in the run folder."

    def paragraphs(most):
        return [text if text == gone else text[0] for text in Page(bounded(found, title="t", facts=(), most=most)).paragraphs[1:-1]]

    assert paragraphs(200_000) == ["a", "b", "c", "d"]
    assert paragraphs(80_000) == ["a", gone, "c", "d"]
    assert paragraphs(30_000) == ["a", gone, gone, "d"]


def test_report_cuts_cells_that_would_fill_the_page():
    table = Table("t", ("a", "b"), ((Cell("x" * 5000), Cell("y" * 1000)),))
    row = Page(page(title="t", facts=(), sections=(Section("s", (table,)),))).tables["t"][1]
    assert [len(cell) for cell in row] == [1000, 1000]
    assert row[0].endswith("…")


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
    assert "<script" not in path.read_text(encoding="utf-8")
