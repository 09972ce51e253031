"""What goes out: no more problems than a screen holds, no character that steers whoever reads, no formula that a spreadsheet runs."""

import io
import json
import unicodedata

import pandas as pd
import pytest
from tiny import two_blobs, write_experiment, write_table

from mmtrain.artifacts.run_folder import Run
from mmtrain.cli.app import run
from mmtrain.commands.inspect_data import inspect_experiment, write_page
from mmtrain.data.tables.csv_text import csv_text, for_spreadsheet
from mmtrain.errors import UsageError
from mmtrain.evaluation.prediction_file import CsvPredictions, ParquetPredictions, check_name
from mmtrain.reports import model_card
from mmtrain.reports.blocks import Cell, Paragraph, Section, Table
from mmtrain.reports.report import page

# Problems


@pytest.fixture
def many_mistakes(tmp_path):
    """An experiment on a table whose 30 columns have a word in a number each."""
    headers = [f"x{number}" for number in range(30)]
    rows = [
        {header: "word" if row == place else row + 0.5 for place, header in enumerate(headers)} | {"y": "ab"[row % 2]} for row in range(40)
    ]
    write_table(tmp_path / "table.csv", rows)
    columns = {header: {"role": "numeric"} for header in headers} | {"y": {"role": "target", "task": "binary", "positive": "b"}}
    return str(write_experiment(tmp_path / "clinic.yaml", {"columns": columns}))


@pytest.mark.parametrize("command", ["check", "inspect-data", "fit"])
def test_problems_are_cut_at_a_screenful(many_mistakes, capsys, command):
    run([command, many_mistakes])
    shown = "".join(capsys.readouterr())
    assert "30 problems" in shown
    assert "table.csv:21: x19: 'word' is not a number." in shown
    assert "table.csv:22: x20: 'word' is not a number." not in shown
    assert "and 10 more problems; `--all` shows every one, `--json` too." in shown.splitlines()
    run([command, many_mistakes, "--all"])
    shown = "".join(capsys.readouterr())
    assert "table.csv:31: x29: 'word' is not a number." in shown
    assert "more problem" not in shown


def test_json_holds_every_problem(many_mistakes, capsys):
    assert run(["check", many_mistakes, "--json"]) == 3
    assert len(json.loads(capsys.readouterr().out)["error"]["problems"]) == 30


def test_a_document_in_a_number_is_cut_in_the_middle(tmp_path, capsys):
    two_blobs(tmp_path, x=lambda row: "word " * 50_000 if row == 3 else row)
    path = write_experiment(tmp_path / "c.yaml", {"columns": {"x": {"role": "numeric"}, "y": {"role": "target", "task": "multiclass"}}})
    assert run(["check", str(path)]) == 3
    assert len(capsys.readouterr().err) < 5_000


# Characters that steer

STEERING = "\x1b[2Ja\u202eb\x9b31m\x07\u2028c"


def steering(text):
    """The characters of a text that no output may hold."""
    controls = {sign for sign in text if unicodedata.category(sign) in ("Cc", "Cs")} - {"\t", "\n"}
    return sorted(controls | (set(text) & set("\u202e\u2066\u2028")))


def test_cells_and_headers_steer_neither_terminal_nor_page_nor_json(tmp_path, capsys):
    header = f"n{STEERING}"
    rows = [{"x": row * 7 % 40 + 0.5, header: f"{STEERING}{row % 3}", "y": f"{'ab'[row % 2]}{STEERING}"} for row in range(40)]
    write_table(tmp_path / "table.csv", rows)
    columns = {"x": {"role": "numeric"}, "site": {"role": "categorical", "column": header}, "y": {"role": "target", "task": "binary"}}
    path = write_experiment(tmp_path / "clinic.yaml", {"columns": columns})
    write_page(inspect_experiment(path), tmp_path / "page.html")
    assert steering((tmp_path / "page.html").read_text(encoding="utf-8")) == []
    for source in (path, tmp_path / "table.csv"):
        for option in ([], ["--json"]):
            run(["inspect-data", str(source), *option])
            assert steering("".join(capsys.readouterr())) == []
    run(["inspect-data", str(path), "--json"])
    assert json.loads(capsys.readouterr().out)["columns"][1]["header"] == header


def test_the_files_of_a_run_hold_no_character_that_steers(tmp_path):
    Run(tmp_path).write_json("run.json", {"name": STEERING})
    Run(tmp_path).write_text("columns.json", json.dumps({"a": STEERING}, ensure_ascii=False))
    for name in ("run.json", "columns.json"):
        assert steering((tmp_path / name).read_text(encoding="utf-8")) == []
        assert STEERING in json.loads((tmp_path / name).read_text(encoding="utf-8")).values()
    blocks = (Paragraph(STEERING), Table(STEERING, (STEERING,), ((Cell(STEERING),),)))
    assert steering(page(title=STEERING, facts=[STEERING], sections=[Section(STEERING, blocks)])) == []
    assert steering(model_card.escaped(STEERING)) == []


# Formulas

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''=1", "=-5", "-", "+", "--5"]
HARMLESS = ["-5", "+5", "-0.5", "-1e-5", "-.5", "5-3", "a=1", "", "'a'", "'", "a@b.c", "née-Müller"]


@pytest.mark.parametrize("cell", FORMULAS + HARMLESS)
def test_a_formula_gets_an_apostrophe_and_no_other_cell_is_like_it(cell):
    assert for_spreadsheet(cell) == (f"'{cell}" if cell in FORMULAS else cell)
    assert all(for_spreadsheet(other) != for_spreadsheet(cell) for other in FORMULAS + HARMLESS if other != cell)


def test_tables_for_spreadsheets_hold_no_formula_and_those_that_are_read_back_stay():
    table = pd.DataFrame({"class": ["=1+1", "b"], "value": [-0.5, None]})
    assert csv_text(table, spreadsheet=True) == "class,value\n'=1+1,-0.5\nb,\n"
    assert csv_text(table) == "class,value\n=1+1,-0.5\nb,\n"


def test_predictions_hold_formulas_unless_they_are_for_a_spreadsheet():
    cells = FORMULAS + HARMLESS
    frame = pd.DataFrame({"id": pd.array(cells, dtype="str"), "prediction": [-1.5] * len(cells)})
    written = {}
    for spreadsheet in (False, True):
        stream = io.BytesIO()
        file = CsvPredictions(stream, spreadsheet=spreadsheet)
        file.add(frame)
        assert file.formulas == len(FORMULAS)
        stream.seek(0)
        written[spreadsheet] = pd.read_csv(io.StringIO(stream.getvalue().decode(), newline=""), dtype=str, keep_default_na=False)
    assert written[False]["id"].tolist() == cells
    assert written[True]["id"].tolist() == [for_spreadsheet(cell) for cell in cells]
    assert set(written[True]["prediction"]) == {"-1.5"}


def test_a_parquet_file_has_no_formulas(tmp_path):
    with pytest.raises(UsageError) as caught:
        check_name(tmp_path / "p.parquet", spreadsheet=True)
    assert str(caught.value) == "--spreadsheet: a Parquet file has no formulas. Leave the option out, or end the name in .csv."
    assert ParquetPredictions(tmp_path / "p.parquet").formulas == 0


def test_a_narrow_terminal_loses_whole_columns_and_breaks_no_name():
    import rich.console

    from mmtrain.cli.views.console import fitting_table

    def lines(width):
        console = rich.console.Console(width=width)
        table = fitting_table(
            console, ("run", "auc", "weights", "time"), [("scan_and_demographics/1", "0.7", "26,266", "21 s")], ("weights", "time")
        )
        with console.capture() as captured:
            console.print(table)
        return [line.split() for line in captured.get().splitlines()]

    assert lines(80) == [["run", "auc", "weights", "time"], ["scan_and_demographics/1", "0.7", "26,266", "21", "s"]]
    assert lines(38) == [["run", "auc", "time"], ["scan_and_demographics/1", "0.7", "21", "s"]]
    assert lines(30) == [["run", "auc"], ["scan_and_demographics/1", "0.7"]]
