"""Second tables: rows of another file as lists in the cells of a table, by key and in a stable order."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmtrain import config
from mmtrain.columns import Text
from mmtrain.commands.inspect_data import inspect_experiment
from mmtrain.config.experiment import SecondTable
from mmtrain.config.sections.table_format import TableFormat
from mmtrain.data.tables.file_formats.formats import join_tables, open_table
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.data.tables.read_table import read
from mmtrain.errors import DataError
from mmtrain.pipeline.checks.validate import load_checked

MAIN = "patient,sex\np1,f\np2,m\np3,f\np1,m\n,f\n"
VIEWS = "patient,path,hour\np2,b1.png,2\np1,a1.png,10\np9,x.png,1\np1,a2.png,9\np2,,1\n,lost.png,3\n"


def written(folder: Path, main: str = MAIN, views: str = VIEWS) -> Path:
    (folder / "main.csv").write_text(main, encoding="utf-8")
    (folder / "views.csv").write_text(views, encoding="utf-8")
    return folder / "main.csv"


def second(folder: Path, **options: object) -> dict[str, SecondTable]:
    return {"views": SecondTable.model_validate({"table": folder / "views.csv", "key": "patient", **options})}


def cells(path: Path, tables: dict[str, SecondTable], headers: list[str], size: int = 2) -> dict[str, list[object]]:
    pieces = list(open_table(path, tables=tables).pieces(headers, size=size))
    return {header: [None if pd.isna(cell) else cell for piece in pieces for cell in piece[header]] for header in headers}


def test_a_row_lists_the_rows_of_its_key_in_the_order_of_their_file(tmp_path: Path) -> None:
    path = written(tmp_path)

    read_cells = cells(path, second(tmp_path), ["views.path", "sex"])

    both = '["a1.png", "a2.png"]'
    assert read_cells == {"views.path": [both, '["b1.png", null]', None, both, None], "sex": ["f", "m", "f", "m", "f"]}


def test_time_orders_the_rows_of_a_key_as_numbers_and_all_headers_alike(tmp_path: Path) -> None:
    path = written(tmp_path)

    read_cells = cells(path, second(tmp_path, time="hour"), ["views.path", "views.hour"])

    assert read_cells["views.path"][:2] == ['["a2.png", "a1.png"]', '[null, "b1.png"]']
    assert read_cells["views.hour"][:2] == ['["9", "10"]', '["1", "2"]']


def test_the_key_may_have_another_header_and_the_second_table_another_format(tmp_path: Path) -> None:
    path = written(tmp_path, "who;sex\np1;f\n", 'patient\tpath\np1\té, \\ "q".png\n')
    tables = second(tmp_path, main_key="who", format={"separator": "tab", "quote": "none"})
    file = open_table(path, table_format=TableFormat(separator=";"), tables=tables)

    (piece,) = file.pieces(["views.path"], size=10)

    assert json.loads(piece["views.path"].iloc[0]) == ['é, \\ "q".png']
    assert file.headers == ("who", "sex", "views.path")


def test_rows_without_a_partner_on_either_side_are_told_after_reading(tmp_path: Path) -> None:
    file = open_table(written(tmp_path), tables=second(tmp_path))
    before = file.notice

    list(file.pieces(["views.path"], size=2))

    assert before == ""
    assert file.notice == (
        "views.csv: 2 rows of main.csv without a row in it, by patient. "
        "views.csv: 1 row not used, of keys that main.csv does not have, such as 'p9'. "
        "views.csv: 1 row not used, without a patient."
    )


def test_keys_that_are_written_in_two_ways_are_told(tmp_path: Path) -> None:
    file = open_table(written(tmp_path, "patient,sex\n,f\n7,f\n", "patient,path\n,x.png\n7.0,a.png\n"), tables=second(tmp_path))

    list(file.pieces(["views.path"], size=1))

    assert file.notice == (
        "views.csv: no row of main.csv has a row in it: its patient is '7.0' for example, and patient of main.csv '7'. "
        "Check that both are written in the same way."
    )


@pytest.mark.parametrize(
    ("options", "where", "what", "fix"),
    [
        ({"key": "patent", "main_key": "patient"}, "views.csv", "the table has no column 'patent'.", "Did you mean 'patient'?"),
        ({"main_key": "person"}, "main.csv", "the table has no column 'person'.", "It has patient and sex."),
        ({"time": "hours"}, "views.csv", "the table has no column 'hours'.", "Did you mean 'hour'?"),
    ],
)
def test_a_missing_header_of_either_table_is_refused(tmp_path: Path, options: dict[str, str], where: str, what: str, fix: str) -> None:
    with pytest.raises(DataError) as caught:
        open_table(written(tmp_path), tables=second(tmp_path, **options))

    assert [(problem.where, problem.what, problem.fix) for problem in caught.value.problems] == [(where, what, fix)]


def test_a_missing_file_and_times_that_cannot_be_ordered_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, views="patient,path,hour\np1,a.png,noon\n")

    with pytest.raises(DataError) as absent:
        open_table(path, tables=second(tmp_path, table=tmp_path / "other.csv"))
    with pytest.raises(DataError) as disorder:
        cells(path, second(tmp_path, time="hour"), ["views.path"])

    assert absent.value.problems[0].fix == "Set `data.tables.views.table` to its path."
    assert disorder.value.problems[0].where == "views.csv:2: hour"
    assert disorder.value.problems[0].what == "'noon' is neither a date nor a number."


def test_a_table_that_brings_its_lists_is_not_joined(tmp_path: Path) -> None:
    frame = FrameTable(pd.DataFrame({"views.path": [["a.png", "b.png"]]}))

    assert join_tables(frame, second(tmp_path / "nowhere")) is frame
    assert next(frame.pieces(["views.path"], size=1))["views.path"].tolist() == ['["a.png", "b.png"]']


def test_rows_that_are_kept_and_chunks_have_their_own_members(tmp_path: Path) -> None:
    columns = {"paths": Text(role="text", column="views.path"), "sex": Text(role="text", column="sex")}
    table = read(written(tmp_path), columns, tables=second(tmp_path))

    kept = table.keep(np.array([False, True, False, True, False]), dict.fromkeys((0, 2, 4), "test"))
    (pieces,) = kept.pieces("views.path")

    assert pieces.tolist() == ['["b1.png", null]', '["a1.png", "a2.png"]']
    assert list(table.file.second_hashes) == ["views"]


def test_paths_of_second_tables_are_relative_to_the_experiment_and_to_its_copy(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(
        "data: {table: main.csv, tables: {views: {table: views.csv, key: patient}}}\n"
        "columns: {paths: {role: text, column: views.path}, sex: {role: target, task: binary, positive: f}}\n",
        encoding="utf-8",
    )
    written(tmp_path)
    (tmp_path / "run").mkdir()

    experiment = config.load(tmp_path / "e.yaml")
    (tmp_path / "run" / "config.yaml").write_text(config.to_yaml(experiment, tmp_path / "run"), encoding="utf-8")

    assert experiment.data.tables["views"].table == tmp_path / "views.csv"
    assert "table: ../views.csv" in (tmp_path / "run" / "config.yaml").read_text(encoding="utf-8")
    assert config.load(tmp_path / "run" / "config.yaml").data.tables == experiment.data.tables


@pytest.mark.parametrize("grouped", [False, True])
def test_keys_with_rows_in_two_parts_are_a_leak_unless_they_are_groups(tmp_path: Path, grouped: bool) -> None:
    visits = "".join(f"p{row % 20},{row},{row % 2}\n" for row in range(80))
    written(tmp_path, f"pid,age,y\n{visits}", "pid,value\n" + "".join(f"p{key},{key}\n" for key in range(20)))
    group = "  pid: {role: group}\n" if grouped else ""
    (tmp_path / "a.yaml").write_text(
        f"data: {{table: main.csv, tables: {{labs: {{table: views.csv, key: pid}}}}}}\ncolumns:\n{group}  age: {{role: numeric}}\n"
        '  values: {role: sequence, columns: [labs.value]}\n  y: {role: target, task: binary, positive: "1"}\n',
        encoding="utf-8",
    )
    said: list[str] = []

    load_checked(tmp_path / "a.yaml", (), say=said.append)
    findings = [one for one in inspect_experiment(tmp_path / "a.yaml").findings if one.kind == "group_on_two_sides"]

    shared = [line for line in said if line.startswith("warning: main.csv: ")]
    if grouped:
        assert not shared
        assert not findings
    else:
        (line,), (finding,) = shared, findings
        assert line.endswith("training rows with their pid. Give 'pid' the role group, so that none is in two parts.")
        assert "of validation and test read the same rows of views.csv as" in line
        assert finding.what.startswith("rows with one key read the same rows of a second table, and 17 groups have ")
