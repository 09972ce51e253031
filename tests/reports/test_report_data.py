"""Contents of a run folder, read for a report."""

import json

import pandas as pd
from report_page import NUMBER, evaluate, make_run, read, written

from mmtrain.artifacts.run_folder import Run
from mmtrain.artifacts.run_schema.progress_records import EpochLine
from mmtrain.reports.report_data import predictions_of, read_epochs


def test_epochs_leave_out_steps_and_a_torn_last_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"epoch": 1}) + "\n" + json.dumps({"epoch": 2, "step": 4}) + "\n" + '{"epoch": 2, "tr')
    assert read_epochs(Run(tmp_path)) == (EpochLine(epoch=1),)


def test_predictions_are_read_as_they_were_written(tmp_path):
    (tmp_path / "predictions_test.csv").write_text("row,id,truth\n0,001,NA\n")
    assert predictions_of(Run(tmp_path), "test").equals(pd.DataFrame({"row": ["0"], "id": ["001"], "truth": ["NA"]}, dtype="str"))


def test_report_leaves_out_scores_of_weights_that_are_gone(tmp_path):
    """An interrupted run was evaluated and then resumed."""
    run = make_run(tmp_path, {"price": NUMBER}, resumed=["2026-11-22T13:00:00+00:00"])
    evaluate(run, "test", {"price": [1.0, 5.0]}, {"price": [[1], [5]]})
    assert "h2 Results on the test part" in read(run / "report.html").headings
    run.update(ended="2026-11-22T15:00:00+00:00")
    found = read(written(run))
    assert "h2 Results on the test part" not in found.headings
    assert "The test part has been scored once." in found.paragraphs  # a look stays a look
    evaluate(run, "validation", {"price": [1.0, 5.0]}, {"price": [[1], [5]]}, when="2026-11-22T16:00:00+00:00")
    assert [heading for heading in read(run / "report.html").headings if "Results" in heading] == ["h2 Results on the validation part"]


def test_report_does_without_predictions_that_are_gone(tmp_path):
    run = make_run(tmp_path, {"price": NUMBER})
    evaluate(run, "validation", {"price": [1.0, 5.0]}, {"price": [[1], [5]]}, report=False)
    (run / "predictions_validation.csv").unlink()
    found = read(evaluate(run, "test", {"price": [1.0, 5.0]}, {"price": [[1], [5]]}))
    assert "The run folder has no predictions_validation.csv any more, so there are no plots." in found.paragraphs
    assert len(found.alts) == 4  # the ruler of the score, two plots of the test part, learning curves
    assert found.tables["Rows of each part"] == [
        ["Part", "Rows", "Share"],
        ["train", "8", "57.1 %"],
        ["validation", "2", "14.3 %"],
        ["test", "4", "28.6 %"],
    ]
