"""A run folder as `fit` and `evaluate` leave it, without a model, and its report as a reader meets it."""

from html.parser import HTMLParser

import numpy as np
from PIL import Image

from mmtrain import config
from mmtrain.artifacts.run_folder import FORMAT, Run
from mmtrain.config.sections.evaluation import Evaluation
from mmtrain.data import encode
from mmtrain.evaluation.evaluation_set import EvalSet
from mmtrain.evaluation.postprocessing.fit_postprocessing import TargetPostprocessing, evaluate_postprocessing
from mmtrain.evaluation.prediction_table import prediction_frame, to_csv
from mmtrain.evaluation.scoring import score_target
from mmtrain.reports.blocks import Plots, Section
from mmtrain.reports.report import page, write

EVIL = "<script>alert(1)</script>"
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
        self.mark_code(tag)
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
        self.mark_code(tag)
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

    def mark_code(self, tag):
        """Put the backticks of code in a sentence back."""
        if tag == "code" and "pre" not in [name for name, _ in self.open]:
            self.handle_data("`")

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
        "format": FORMAT,
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
    run.write_text("split.csv", "row,id,fold,part\n" + "".join(f"{row},{row},0,{part}\n" for row, part in enumerate(parts)))
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
    rows = prediction_frame(np.arange(count), [str(row) for row in range(count)], fitted.targets, truths, predictions)
    run.write_text(f"predictions_{part}.csv", to_csv(rows))
    results = {}
    for key, target in fitted.targets.items():
        known = EvalSet.of(target, truths[key], predictions[key], None)
        results[key] = score_target(key, target, truths[key], predictions[key], drawn).result
        if len(known):
            results[key] = evaluate_postprocessing(results[key], TargetPostprocessing(), known.resample(Evaluation(draws=100)))
    known = run.read_json("metrics.json") if (run / "metrics.json").exists() else {}
    run.write_json("metrics.json", {**known, part: results})
    looks = run.read_json("run.json").get("evaluations", [])
    run.update(evaluations=[*looks, {"part": part, "when": when, "rows": count, "table": table}])
    return written(run) if report else None


def written(run):
    """The report of what lies in the folder by now."""
    experiment = config.load(run / "config.yaml")
    return write(run, experiment.columns, experiment.training, encode.read_fitted(run.read_json("columns.json")))


def written_without_plots(run):
    """The same for a test that looks at none: without its predictions, most of them are not drawn."""
    for path in run.folder.glob("predictions_*.csv"):
        path.unlink()
    return written(run)


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def page_of(plot):
    return Page(page(title="t", facts=(), sections=(Section("s", (Plots((plot,)),)),)))


def png_names(run):
    names = sorted(path.name for path in (run / "plots").iterdir())
    for name in names:
        with Image.open(run / "plots" / name) as image:
            assert image.format == "PNG"
            assert min(image.size) > 300
    return names
