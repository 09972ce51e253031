"""Cards of the worst predictions, and the size limit of the report."""

import numpy as np
import pytest
from report_page import BINARY, EVIL, NUMBER, Page, evaluate, make_run, read, written_without_plots

from mmtrain.reports.blocks import Cell, Paragraph, Section, Table
from mmtrain.reports.report import limit_size, page

WRONG = {"row": 1234, "id": f"a{EVIL}", "loss": 2.3, "truth": f"t{EVIL}", "prediction": f"p{EVIL}"}
WRONG |= {
    "probability": {"truth": 0.0312, "prediction": 0.9},
    "cells": {f"age{EVIL}": f"1{EVIL}", "note": ""},
    "images": {"scan": "YWJj"},
}


def with_worst_predictions(folder, targets, rows, id_column=""):
    run = make_run(folder, targets)
    run.write_text("config.yaml", (run / "config.yaml").read_text().replace("columns:\n", f"columns:\n{id_column}"))
    run.write_json("worst_predictions_test.json", rows)
    return run


def test_report_shows_the_worst_predictions_as_cards(tmp_path):
    run = with_worst_predictions(tmp_path, {"ill": BINARY}, {"ill": [WRONG]}, "  who: {role: id}\n")
    evaluate(run, "test", {"ill": [0, 1]}, {"ill": [[0.6], [0.7]]}, report=False)
    path = written_without_plots(run)
    found = read(path)
    assert [name for name in found.headings if "test part" in name] == [
        "h2 Results on the test part",
        "h2 Worst predictions on the test part",
    ]
    assert "Of the 2 test rows, the 1 with the highest loss for ill" in found.paragraphs
    assert found.described == [
        ("true", f"t{EVIL} (0.031)"),
        ("predicted", f"p{EVIL} (0.900)"),
        (f"age{EVIL}", f"1{EVIL}"),
        ("note", "missing"),
    ]
    assert f"a{EVIL} (row 1234)" in found.paragraphs
    images = [attributes for tag, attributes in found.tags if tag == "img"]
    assert images == [{"alt": f"scan of a{EVIL} (row 1234)", "src": "data:image/jpeg;base64,YWJj"}]
    assert path.read_text(encoding="utf-8").count("<script") == 1
    assert "In parentheses: the probability that the model gave to the class." in found.paragraphs


def test_report_shows_the_worst_predicted_numbers(tmp_path):
    row = {key: value for key, value in WRONG.items() if key not in ("id", "probability")} | {"id": "7", "truth": 1200.0, "prediction": 3.5}
    run = with_worst_predictions(tmp_path, {"price": NUMBER}, {"price": [row]})
    evaluate(run, "test", {"price": [1.0, 5.0]}, {"price": [[1], [5]]}, report=False)
    found = read(written_without_plots(run))
    assert found.described[:2] == [("true", "1,200"), ("predicted", "3.50")]
    assert "row 1234" in found.paragraphs  # without an id column
    assert "probability that the model gave" not in " ".join(found.paragraphs)


@pytest.mark.slow
def test_report_stays_below_five_megabytes_whatever_is_in_it(tmp_path):
    """Endless names, and four targets with long texts and large images on two parts."""
    row = WRONG | {
        "cells": {f"c{number}": "w" * 300 for number in range(40)},
        "images": {f"p{number}": "A" * 11_000 for number in range(4)},
    }
    names = [f"{letter}{'x' * 20_000}" for letter in "abc"]
    target = {"task": "multiclass", "loss_weight": 1.0, "classes": names, "counts": [4, 2, 2], "weights": [1.0, 2.0, 3.0]}
    targets = {f"t{number}": {**target, "column": f"t{number}", "label_smoothing": 0.0} for number in range(4)}
    run = make_run(tmp_path, targets)
    for part in ("validation", "test"):
        run.write_json(f"worst_predictions_{part}.json", {key: [row] * 12 for key in targets})
        truth, prediction = {key: [0, 1] for key in targets}, {key: np.eye(3)[[0, 1]] for key in targets}
        path = evaluate(run, part, truth, prediction, report=part == "test")
    assert 1_000_000 < path.stat().st_size < 5_000_000
    found = read(path)
    assert found.paragraphs.count("This report has no room for the section; its numbers are in the run folder.") == 1
    assert "Scores of t3 on the 2 test rows" in found.tables


def test_bounded_leaves_out_the_largest_first():
    found = [Section(name, (Paragraph(name[0] * size),)) for name, size in (("a", 1000), ("b", 90_000), ("c", 40_000), ("d", 2000))]
    gone = "This report has no room for the section; its numbers are in the run folder."

    def paragraphs(most):
        text = limit_size(found, title="t", facts=(), most=most)
        assert len(text.encode()) <= most
        return [text if text == gone else text[0] for text in Page(text).paragraphs[1:-1]]

    assert paragraphs(200_000) == ["a", "b", "c", "d"]
    assert paragraphs(110_000) == ["a", gone, "c", "d"]
    assert paragraphs(70_000) == ["a", gone, "c", "d"]  # styles and script have 15,000 bytes, which are counted once
    assert paragraphs(50_000) == ["a", gone, gone, "d"]


def test_report_cuts_cells_that_would_fill_the_page():
    table = Table("t", ("a", "b"), ((Cell("x" * 5000), Cell("y" * 1000)),))
    row = Page(page(title="t", facts=(), sections=(Section("s", (table,)),))).tables["t"][1]
    assert [len(cell) for cell in row] == [1000, 1000]
    assert row[0].endswith("…")
