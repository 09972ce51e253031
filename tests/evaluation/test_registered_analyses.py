"""Analyses of one's own: their rows, their table, and where it is shown."""

import numpy as np
import pytest
from pydantic import ValidationError
from rich.console import Console
from tiny import write_table

from mmtrain.artifacts.analysis_results import AnalysisTable
from mmtrain.cli.views.analyses import show_analyses
from mmtrain.columns import Categorical
from mmtrain.data.tables.read_table import read
from mmtrain.evaluation.analyses.registered_analyses import analyses, analysis, registered_tables
from mmtrain.evaluation.evaluation_set import MultiTargetEvalSet
from mmtrain.reports.target_results.scores import analysis_table
from mmtrain.reports.wording import cell_text
from mmtrain.targets.labels.binary import FittedBinary

BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
TRUTH = np.array([1, -1, 0, 1], dtype=np.int32)  # the second answer is unknown
PREDICTION = np.array([[0.9], [0.7], [0.6], [0.2]], dtype=np.float32)
SCORED = np.array([4, 1, 3, 0])
TABLE = AnalysisTable(head=["place", "rows", "share", "any"], rows=[["ward", 1200, 0.25, None], ["home", 3, None, True]], note="A note.")


@pytest.fixture(autouse=True)
def removed():
    yield
    for name in list(analyses):
        analyses.remove(name)


def test_an_analysis_gets_the_rows_with_a_known_answer_and_their_cells(tmp_path):
    write_table(tmp_path / "t.csv", [{"place": name} for name in ("a", "b", "c", "d", "e")])
    table = read(tmp_path / "t.csv", {"place": Categorical(column="place")})
    truths = MultiTargetEvalSet({"y": BINARY}, {"y": TRUTH}, {"y": "auc"}, None)

    @analysis
    def by_place(rows):
        lines = zip(rows.cells("place"), rows.answers.truth.tolist(), rows.answers.prediction[:, 0].tolist(), strict=True)
        return AnalysisTable(head=["place", "truth", "prediction"], rows=[list(line) for line in lines], caption=rows.key)

    @analysis
    def nothing(rows):
        return None

    (tables,) = registered_tables(truths, {"y": PREDICTION}, table, SCORED).values()
    assert list(tables) == ["by_place"]
    assert [line[:2] for line in tables["by_place"].rows] == [["e", 1], ["d", 0], ["a", 1]]
    assert [line[2] for line in tables["by_place"].rows] == pytest.approx([0.9, 0.6, 0.2])
    assert tables["by_place"].caption == "y"


def test_a_row_has_a_cell_for_each_heading():
    with pytest.raises(ValidationError, match="every row has a cell for each heading"):
        AnalysisTable(head=["a", "b"], rows=[["x"]])


def test_cells_are_written_as_numbers_words_and_dashes():
    assert [cell_text(value) for value in ("x", 1200, 0.25, 3.0, None, True, False)] == ["x", "1,200", "0.250", "3", "–", "yes", "no"]


def test_report_and_terminal_show_the_same_table(capsys):
    made = analysis_table("by_place", TABLE)
    assert (made.caption, made.head, made.note) == ("by_place", ("place", "rows", "share", "any"), "A note.")
    assert [[cell.text for cell in row] for row in made.rows] == [["ward", "1,200", "0.250", "–"], ["home", "3", "–", "yes"]]
    assert [cell.number for cell in made.rows[0]] == [False, True, True, False]

    class Result:
        contributions = missing_patterns = None
        subgroups = ()
        analyses = {"by_place": TABLE}  # noqa: RUF012

    show_analyses(Console(width=80), Result())
    shown = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert shown == [["by_place"], list(TABLE.head), ["ward", "1,200", "0.250", "–"], ["home", "3", "–", "yes"], ["A", "note."]]
