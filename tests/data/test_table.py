"""The checked table: cells are text, every row keeps its place, and every problem is told at once."""

import datetime
import gzip
import os
import subprocess
import sys
import tracemalloc
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmtrain.columns import Categorical, Date, Group, Id, Image, Numeric, Text, TimeSeries
from mmtrain.data.tables import table_file
from mmtrain.data.tables.file_formats import delimited_text
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.data.tables.read_table import read
from mmtrain.data.tables.table import Dropped
from mmtrain.data.tables.table_file import content_hash, gather
from mmtrain.data.tables.table_problems import header_problems
from mmtrain.errors import DataError, Problem


def categories(*headers, **options):
    return {header: Categorical(column=header, **options) for header in headers}


def table_of(path, content, columns, **options):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(path, columns, **options)


def problems_of(path, content, columns, **options):
    with pytest.raises(DataError) as caught:
        table_of(path, content, columns, **options)
    return [str(problem) for problem in caught.value.problems]


def texts(cells):
    return [None if cell != cell else cell for cell in cells.tolist()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"a,b\n001,x\n,y\n"),
        ("t.CSV", b"a,b\n001,x\n,y\n"),
        ("t.csv", b"a,b\r\n001,x\r\n,y\r\n"),
        ("t.csv", b"a,b\n001,x\n,y"),
        ("t.csv", b"\xef\xbb\xbfa,b\n001,x\n,y\n"),
        ("t.csv", b"\n\na,b\n\n001,x\n\n,y\n\n"),
        ("t.csv", b'"a","b"\n"001","x"\n"","y"\n'),
        ("t.tsv", b"a\tb\n001\tx\n\ty\n"),
        ("t.tab", b"a\tb\n001\tx\n\ty\n"),
        ("t.csv.gz", gzip.compress(b"a,b\n001,x\n,y\n", mtime=0)),
        ("t.tsv.gz", gzip.compress(b"a\tb\n001\tx\n\ty\n", mtime=0)),
    ],
)
def test_read_gives_the_same_cells_from_every_text_format(tmp_path, name, content):
    table = table_of(tmp_path / name, content, categories("a", "b"))
    assert table.headers == ("a", "b")
    assert texts(table.cells("a")) == ["001", None]
    assert texts(table.cells("b")) == ["x", "y"]
    assert table.cells("a").dtype == "str"
    assert (len(table), table.total, table.rows.tolist(), table.dropped) == (2, 2, [0, 1], ())


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("NA", "NA"),
        ("null", "null"),
        ("NaN", "NaN"),
        ("None", "None"),
        ("-", "-"),
        ("3.0", "3.0"),
        ("1e5", "1e5"),
        ("True", "True"),
        (" x ", "x"),
        ("\u00a0x  y\t", "x  y"),
        ("Zoë", "Zoë"),
        ('"x, ""y"""', 'x, "y"'),
        ('"two\nlines"', "two\nlines"),
        ('5" pipe', '5" pipe'),
        ("", None),
        ('""', None),
        ("  \t ", None),
        ("\u00a0", None),
        ("\u200b", None),
    ],
)
def test_csv_cell_is_the_text_that_was_written_without_blanks_around_it(tmp_path, cell, expected):
    table = table_of(tmp_path / "t.csv", f"a,b\n{cell},x\n", categories("a"))
    assert texts(table.cells("a")) == [expected]


@pytest.mark.parametrize("form", ["csv", "tsv.gz", "parquet", "dictionary", "frame", "objects"])
def test_blanks_around_a_cell_never_make_another_value(tmp_path, form):
    cells = ["a", " a", "a\t", "a\u00a0", "\u3000a", "a\u200b", "\ufeffa", "\u2028a\u200e"]
    frame = pd.DataFrame({"a": cells})
    if form == "csv":
        (tmp_path / "t.csv").write_text("a\n" + "".join(f'"{cell}"\n' for cell in cells), encoding="utf-8")
    elif form == "tsv.gz":
        frame.to_csv(tmp_path / "t.tsv.gz", sep="\t", index=False)
    elif form in ("parquet", "dictionary"):
        column = pa.array(cells).dictionary_encode() if form == "dictionary" else pa.array(cells)
        pq.write_table(pa.table({"a": column}), tmp_path / "t.parquet")
    file = FrameTable(frame.astype(object if form == "objects" else "str")) if form in ("frame", "objects") else None
    file = file or open_table(next(tmp_path.iterdir()))
    assert {cell for piece in file.pieces(["a"], size=3) for cell in piece["a"]} == {"a"}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_missing_values_are_missing_only_when_listed(tmp_path, name):
    cells = ["NA", " NA ", "na", "-999", "-9", "NAB"]
    if name == "t.csv":
        (tmp_path / name).write_text("a\n" + "\n".join(cells) + "\n")
    else:
        pq.write_table(pa.table({"a": cells}), tmp_path / name)
    table = read(tmp_path / name, categories("a"), missing_values=["NA", " -999 "])
    assert texts(table.cells("a")) == [None, None, "na", None, "-9", "NAB"]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([3, None, -1]), ["3", None, "-1"]),
        (pa.array([3.0, None, float("nan")]), ["3", None, None]),
        (pa.array([3.0, 2.5, 0.1, -0.0]), ["3", "2.5", "0.1", "0"]),
        (pa.array([1234567890123.0, 1e20, 1e-7, float("inf")]), ["1234567890123", "1e+20", "1e-7", "inf"]),
        (pa.array([0.1, 3.0], pa.float32()), ["0.1", "3"]),
        (pa.array(np.array([0.1, 3.0], dtype=np.float16)), ["0.099975586", "3"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array(["001", "", " ", None]), ["001", None, None, None]),
        (pa.array(["x", "y", None]).dictionary_encode(), ["x", "y", None]),
        (pa.array([3.0, 2.5, 3.0]).dictionary_encode(), ["3", "2.5", "3"]),
        (pa.array([datetime.date(2024, 1, 31), None]), ["2024-01-31", None]),
        (pa.array([datetime.datetime(2024, 1, 31), None]), ["2024-01-31T00:00:00", None]),
        (pa.array([datetime.datetime(2024, 1, 31, 12, 0, 0, 5000)]), ["2024-01-31T12:00:00.005"]),
        (pa.array([datetime.datetime(2024, 1, 31, 12)], pa.timestamp("ns", "Europe/Berlin")), ["2024-01-31T12:00:00Z"]),
        (pa.array([None, None], pa.null()), [None, None]),
        (pa.array(["x", None], pa.large_string()), ["x", None]),
    ],
)
def test_parquet_cell_is_the_text_a_person_would_have_written(tmp_path, array, expected):
    pq.write_table(pa.table({"a": array}), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet", categories("a"))
    assert texts(table.cells("a")) == expected
    assert table.cells("a").dtype == "str"


NOON = datetime.datetime(2024, 1, 31, 12)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([True, None], ["true", None]),
        ([1.0, None, 2.5], ["1", None, "2.5"]),
        ([pd.Timestamp(NOON), pd.NaT], ["2024-01-31T12:00:00", None]),
        ([NOON.date(), None], ["2024-01-31", None]),
    ],
)
def test_objects_of_a_frame_are_the_texts_that_parquet_gives(tmp_path, cells, expected):
    frame = pd.DataFrame({"a": pd.Series(cells, dtype=object)})
    frame.to_parquet(tmp_path / "t.parquet")
    for file in (FrameTable(frame), open_table(tmp_path / "t.parquet")):
        assert [texts(piece["a"]) for piece in file.pieces(["a"], size=10)] == [expected]


def test_an_object_of_a_frame_has_its_text_whatever_stands_beside_it():
    cells = [Path("a/b.png"), 1.0, "1.0", True, None, NOON, 2**70, datetime.timedelta(1)]
    frame = pd.DataFrame({"a": pd.Series(cells, dtype=object)})
    frame.index = [5] * len(cells)
    (piece,) = FrameTable(frame).pieces(["a"], size=10)
    assert texts(piece["a"]) == ["a/b.png", "1", "1.0", "true", None, "2024-01-31T12:00:00", str(2**70), "1 day, 0:00:00"]


def test_parquet_whole_number_reads_the_same_beside_any_other_number(tmp_path):
    cells = []
    for others in ([1.0, 2.0], [2.5, float("nan")]):
        pq.write_table(pa.table({"a": [3.0, *others]}), tmp_path / "t.parquet")
        cells.append(read(tmp_path / "t.parquet", categories("a")).cells("a")[0])
    assert cells == ["3", "3"]


def test_integer_category_with_a_gap_stays_an_integer(tmp_path):
    pd.DataFrame({"ward": [3, None, 12]}).to_parquet(tmp_path / "t.parquet")
    pd.DataFrame({"ward": pd.array([3, None, 12], dtype="Int64")}).to_csv(tmp_path / "t.csv", index=False)
    for name in ("t.parquet", "t.csv"):
        # A blank line of a CSV file with one column is no row.
        assert texts(read(tmp_path / name, categories("ward")).cells("ward").dropna()) == ["3", "12"]


def test_columns_that_are_not_declared_are_not_read(tmp_path):
    table = table_of(tmp_path / "t.csv", b"a,name,name\nx,M\xfcller,1\n", categories("a"))
    assert table.headers == ("a", "name", "name")
    assert texts(table.cells("a")) == ["x"]
    with pytest.raises(KeyError):
        table.cells("name")


def test_key_stands_for_the_header_unless_column_names_another(tmp_path):
    columns = {"ward": Categorical(), "age": Numeric(column="Age"), "age_group": Categorical(column="Age")}
    table = table_of(tmp_path / "t.csv", "Age,ward\n40,A\n", columns)
    assert [texts(table.cells(header)) for header in ("Age", "ward")] == [["40"], ["A"]]


def test_cells_follow_rows_in_any_order(tmp_path):
    table = table_of(tmp_path / "t.csv", "a\n0\n1\n2\n3\n", categories("a"))
    cells = table.cells("a", np.array([3, 0, 0, 2]))
    assert (texts(cells), cells.index.tolist()) == (["3", "0", "0", "2"], [0, 1, 2, 3])


def test_cells_of_the_table_cannot_be_changed_from_outside(tmp_path):
    table = table_of(tmp_path / "t.csv", "a\n0\n1\n", categories("a"))
    cells = table.cells("a")
    cells[0] = "9"
    assert texts(table.cells("a")) == ["0", "1"]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("column", [Text(column="a"), Categorical(column="a")])
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (None, [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"], ["9"]]),
        ([1, 2, 8], None),
        ([], []),
    ],
)
def test_pieces_give_the_rows_in_order(tmp_path, name, column, rows, expected):
    pd.DataFrame({"a": [str(row) for row in range(10)]}).pipe(
        lambda frame: frame.to_csv(tmp_path / name, index=False) if name == "t.csv" else frame.to_parquet(tmp_path / name)
    )
    table = read(tmp_path / name, {"a": column})
    pieces = list(table.pieces("a", None if rows is None else np.array(rows, dtype=np.int64), size=3))
    assert all(piece.index.tolist() == list(range(len(piece))) and 1 <= len(piece) <= 3 for piece in pieces)
    if expected is not None:
        assert [texts(piece) for piece in pieces] == expected
    else:
        assert [cell for piece in pieces for cell in texts(piece)] == ["1", "2", "8"]


def test_pieces_of_a_streamed_column_leave_out_dropped_rows(tmp_path):
    columns = {"note": Text(column="note"), "age": Numeric(column="age", missing="drop")}
    table = table_of(tmp_path / "t.csv", "note,age\na,1\nb,\nc,3\nd,4\n", columns)
    assert [texts(piece) for piece in table.pieces("note")] == [["a", "c", "d"]]
    assert [texts(piece) for piece in table.pieces("note", np.array([1, 2]))] == [["c", "d"]]
    with pytest.raises(KeyError):
        table.cells("note")


def test_column_says_which_of_its_headers_a_row_cannot_do_without(tmp_path):
    columns = {
        "age": Date(column="seen", since="born", missing="drop"),
        "pulse": TimeSeries(column="pulse", time="hour", missing="drop"),
    }
    rows = ["2024-01-01,2000-01-01,[70],[1]", "2024-01-01,,[70],[1]", "2024-01-01,2000-01-01,,[1]", "2024-01-01,2000-01-01,[null],[1]"]
    table = table_of(tmp_path / "t.csv", "\n".join(["seen;born;pulse;hour", *(row.replace(",", ";") for row in rows)]) + "\n", columns)
    assert table.rows.tolist() == [0]
    assert [one.reason for one in table.dropped] == [
        "seen and born: the cell is empty.",
        "pulse and hour: the cell is empty.",
        "pulse and hour: '[null]' means missing.",
    ]


def test_streamed_column_that_is_also_a_category_is_kept(tmp_path):
    table = table_of(tmp_path / "t.csv", "note\na\nb\n", {"note": Text(column="note"), "kind": Categorical(column="note")})
    assert texts(table.cells("note")) == ["a", "b"]


def test_pieces_refuse_a_file_that_was_changed(tmp_path):
    table = table_of(tmp_path / "t.csv", "note\na\nb\n", {"note": Text(column="note")})
    (tmp_path / "t.csv").write_text("note\nb\na\nc\n")
    with pytest.raises(DataError) as caught:
        list(table.pieces("note"))
    assert str(caught.value) == "t.csv: the file was changed while it was in use. Start again."


def test_pieces_may_be_left_before_the_end(tmp_path):
    table = table_of(tmp_path / "t.csv", "note\n" + "word word\n" * 50_000, {"note": Text(column="note")})
    assert len(next(iter(table.pieces("note", size=10)))) == 10


def test_ids_are_the_id_column_or_the_position_in_the_file(tmp_path):
    content = "name,age\np1,1\np2,\np3,3\n"
    age = {"age": Numeric(column="age", missing="drop")}
    assert table_of(tmp_path / "t.csv", content, {"who": Id(column="name")} | age).ids() == ["p1", "p3"]
    assert table_of(tmp_path / "t.csv", content, age).ids() == ["0", "2"]


def test_rows_without_a_value_leave_the_table_where_the_column_says_so(tmp_path):
    columns = {
        "name": Id(column="name"),
        "age": Numeric(column="age", missing="drop"),
        "note": Text(column="note", missing="drop"),
        "ward": Group(column="ward", missing="drop"),
        "scan": Image(column="scan", missing="drop"),
        "sex": Categorical(column="sex"),
    }
    content = "name,age,note,ward,scan,sex\np0,1,x,A,s,\np1,,,A,s,f\np2,1,,A,s,f\np3,1,x,,s,f\np4,1,x,A,,f\n"
    table = table_of(tmp_path / "t.csv", content, columns)
    assert table.rows.tolist() == [0, 4]
    assert table.dropped == (
        Dropped(1, "p1", "age: the cell is empty."),
        Dropped(2, "p2", "note: the cell is empty."),
        Dropped(3, "p3", "ward: the cell is empty."),
    )
    assert texts(table.cells("name")) == ["p0", "p4"]


def test_faults_are_looked_for_in_the_rows_that_are_left(tmp_path):
    columns = {"age": Numeric(column="age"), "ward": Group(column="ward", missing="drop")}
    assert problems_of(tmp_path / "t.csv", "age,ward\nabc,\n1,A\nxyz,B\n", columns) == [
        "t.csv:4: age: 'xyz' is not a number. Write a number, or list 'xyz' under `data.missing_values` if it stands for a missing value."
    ]


def test_keep_leaves_rows_and_remembers_why(tmp_path):
    table = table_of(
        tmp_path / "t.csv", "name,a\np0,0\np1,\np2,2\np3,3\n", {"name": Id(column="name"), "a": Numeric(column="a", missing="drop")}
    )
    kept = table.keep(np.array([False, True, True]), {0: "scan: the cell is empty."})
    assert kept.rows.tolist() == [2, 3]
    assert texts(kept.cells("a")) == ["2", "3"]
    assert texts(kept.cells("a", np.array([1]))) == ["3"]
    assert kept.dropped == (Dropped(0, "p0", "scan: the cell is empty."), Dropped(1, "p1", "a: the cell is empty."))
    assert kept.place(0) == "t.csv:4"
    assert table.rows.tolist() == [0, 2, 3]


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("t.csv", b'a,b\nx,y\n"two\nlines",y\n\nx,y\n', ["t.csv:2: a", "t.csv:3: a", "t.csv:6: a"]),
        ("t.csv", b'"a\nb",b,a\r\n1,1,1\r\n\r\n2,2,2\r\n3,3,3\r\n', ["t.csv:3: a", "t.csv:5: a", "t.csv:6: a"]),
        ("t.tsv.gz", gzip.compress(b"a\tb\nx\ty\nx\ty\nx\t\n", mtime=0), ["t.tsv.gz:2: a", "t.tsv.gz:3: a", "t.tsv.gz:4: a"]),
        ("t.csv", b"a,b\nx," + b"y" * 200_000 + b"\nx,y\nx,y\n", ["t.csv:2: a", "t.csv:3: a", "t.csv:4: a"]),
    ],
)
def test_place_is_the_line_in_the_file(tmp_path, name, content, places):
    table = table_of(tmp_path / name, content, categories("a"))
    assert [table.place(row, "a") for row in range(len(table))] == places


def test_place_in_parquet_is_the_row(tmp_path):
    pq.write_table(pa.table({"a": ["x", "y"]}), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet", categories("a"))
    assert (table.place(1, "a"), table.place(0)) == ("t.parquet: row 1: a", "t.parquet: row 0")


def test_missing_table_names_a_similar_file(tmp_path):
    (tmp_path / "patients.csv").touch()
    with pytest.raises(DataError) as caught:
        read(tmp_path / "patient.csv", categories("a"))
    assert str(caught.value) == f"{tmp_path}/patient.csv: the table does not exist. Did you mean 'patients.csv'?"
    with pytest.raises(DataError) as caught:
        read(tmp_path / "nowhere" / "t.csv", categories("a"))
    assert str(caught.value) == f"{tmp_path}/nowhere/t.csv: the table does not exist. Set `data.table` to its path."


ENDINGS = ".csv, .tsv, .tab, .txt, .csv.gz, .tsv.gz, .tab.gz, .txt.gz, .jsonl, .ndjson, .jsonl.gz, .ndjson.gz, .xlsx, .parquet"
FOLDER = "`mmtrain init` makes a table of a folder that has a folder per class."


def test_folder_and_unknown_format_are_refused(tmp_path):
    (tmp_path / "t.dcm").touch()
    (tmp_path / "t.xls").touch()
    (tmp_path / "t.json").touch()
    (tmp_path / "t").touch()
    for name, expected in {
        "": f"{tmp_path}: the table is a folder, not a file. Name a file that ends in one of {ENDINGS}; {FOLDER}",
        "t.dcm": f"{tmp_path}/t.dcm: tables that end in '.dcm' are not read. Save it as one of {ENDINGS}.",
        "t.xls": f"{tmp_path}/t.xls: tables that end in '.xls' are not read. Save it as .xlsx.",
        "t.json": f"{tmp_path}/t.json: tables that end in '.json' are not read. Write one object a line, and end the name in .jsonl.",
        "t": f"{tmp_path}/t: a table without an ending is not read. Save it as one of {ENDINGS}.",
    }.items():
        with pytest.raises(DataError) as caught:
            read(tmp_path / name, categories("a"))
        assert str(caught.value) == expected


QUOTED = "Put quotes around a cell that holds a comma."
WHOLE = "Write it again, or copy it again, whole."
UTF8 = "Save the table as UTF-8 (in Excel: `CSV UTF-8`), or set `encoding` in `data.format`."


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("t.csv", b"", "t.csv: the file is empty. Write a line of headers, and a line for every row."),
        ("t.csv", b"\n\n", "t.csv: the file is empty. Write a line of headers, and a line for every row."),
        ("t.csv", b"a,b\n", "t.csv: the table has no rows. Write a line below the headers for every row."),
        ("t.csv", b"a,b", "t.csv: the table has no rows. Write a line below the headers for every row."),
        ("t.csv", b"a,b\nx,y\nM\xfcller,y\n", f"t.csv:3: the byte 0xFC is not UTF-8 text. {UTF8}"),
        ("t.csv", b"a,gr\xf6\xdfe\nx,y\n", f"t.csv:1: the byte 0xF6 is not UTF-8 text. {UTF8}"),
        ("t.csv", b'a,b\n"x\n",y\nx,y,z\n', f"t.csv:4: the row has 3 cells, the header has 2. {QUOTED}"),
        ("t.csv", b"a,b\n" + b"x,y,z\n" * 2, f"t.csv:2: the row has 3 cells, the header has 2. 1 more such row, in line 3. {QUOTED}"),
        (
            "t.csv",
            b"a,b\n" + b"x,y,z\n" * 8,
            f"t.csv:2: the row has 3 cells, the header has 2. 7 more such rows, in lines 3, 4, 5, 6, 7 and 2 more. {QUOTED}",
        ),
        ("t.csv", b"a,b\nx\n", "t.csv:2: the row has 1 cell, the header has 2. Write a cell for every header, also where it is empty."),
        ("t.tsv", b"a\tb\nx\ty\tz\n", "t.tsv:2: the row has 3 cells, the header has 2. Put quotes around a cell that holds a tab."),
        ("t.csv", b'a,b\nx,y\nx,"y\nx,y\nx,y\n', "t.csv:3: a quote in this row is never closed. Close it, or remove it."),
        ("t.csv", b'a,b\nx,y\n"x,y\nx,y\n', "t.csv:3: a quote in this row is never closed. Close it, or remove it."),
        (
            "t.csv",
            b'a,b\nx,"' + b"y" * 5_000_000 + b'"\n',
            "t.csv:2: the row is longer than 4,000,000 characters. "
            "Look for a quote that is not closed; keep texts as long as this in Parquet.",
        ),
        ("t.csv.gz", b"a,b\nx,y\n", f"t.csv.gz: the file cannot be read: Not a gzipped file (b'a,'). {WHOLE}"),
        (
            "t.csv.gz",
            gzip.compress(np.random.default_rng(0).bytes(3000).hex().encode())[:-900],
            f"t.csv.gz: the file cannot be read: Compressed file ended before the end-of-stream marker was reached. {WHOLE}",
        ),
        ("t.parquet", b"a,b\nx,y\n", "t.parquet: the file is not Parquet, or it is damaged. Write it again."),
    ],
)
def test_file_that_cannot_be_read_is_refused_in_words(tmp_path, name, content, expected):
    assert problems_of(tmp_path / name, content, categories("a")) == [expected]


def test_gzip_that_breaks_off_below_the_header_is_refused(tmp_path):
    rows = "\n".join(np.random.default_rng(0).bytes(20).hex() for _ in range(20_000))
    content = gzip.compress(f"a\n{rows}\n".encode())
    assert problems_of(tmp_path / "t.csv.gz", content[: len(content) // 2], categories("a")) == [
        f"t.csv.gz: the file cannot be read: Compressed file ended before the end-of-stream marker was reached. {WHOLE}"
    ]


def test_damaged_parquet_pages_are_refused(tmp_path):
    pq.write_table(pa.table({"a": [str(row) for row in range(5000)]}), tmp_path / "t.parquet")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[100:3000] = b"\xff" * 2900
    assert problems_of(tmp_path / "t.parquet", bytes(content), categories("a")) == [
        "t.parquet: the file is not Parquet, or it is damaged. Write it again."
    ]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may read everything")
def test_file_that_may_not_be_read_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a\nx\n")
    (tmp_path / "t.csv").chmod(0)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.csv", categories("a"))
    assert str(caught.value) == f"{tmp_path}/t.csv: the table cannot be read by this user. Change its permissions."


def test_inch_marks_do_not_look_like_open_quotes(tmp_path):
    table = table_of(tmp_path / "t.csv", 'a,b\n5" pipe,x\ny,z\n', categories("a", "b"))
    assert texts(table.cells("a")) == ['5" pipe', "y"]


@pytest.mark.parametrize(
    ("content", "header", "expected"),
    [
        ("age,sex\n1,f\n", "agee", "t.csv: the table has no column 'agee'. Did you mean 'age'?"),
        ("Age,sex\n1,f\n", "age", "t.csv: the table has no column 'age'. Did you mean 'Age'?"),
        ("age,sex\n1,f\n", "weight_kg", "t.csv: the table has no column 'weight_kg'. It has age and sex."),
        (
            "age;sex\n1,f\n",
            "age",
            "t.csv: the table has no column 'age'. "
            'Its headers are separated by semicolons: write `format: {separator: ";"}` under `data`.',
        ),
        ("age,age,sex\n1,2,f\n", "age", "t.csv: 2 columns have the header 'age'. Give each a header of its own."),
    ],
)
def test_header_that_cannot_be_used_is_refused_in_words(tmp_path, content, header, expected):
    assert problems_of(tmp_path / "t.csv", content, categories(header)) == [expected]


@pytest.mark.parametrize(
    ("array", "kind"),
    [(pa.array([[True], [False]]), "list<element: bool>"), (pa.array([b"x", b"y"]), "binary"), (pa.array([{"x": 1}]), "struct<x: int64>")],
)
def test_parquet_column_without_cells_is_refused(tmp_path, array, kind):
    pq.write_table(pa.table({"a": array}), tmp_path / "t.parquet")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.parquet", categories("a"))
    assert str(caught.value) == f"t.parquet: a: the column is of type {kind}. A cell is a text, a number, a date, or true or false."


@pytest.mark.parametrize(
    ("content", "least", "expected"),
    [
        ("a\nx\n", 2, "t.csv: the table has one row; at least 2 are needed. Write a line below the headers for every row."),
        ("a\nx\ny\n", 3, "t.csv: the table has 2 rows; at least 3 are needed. Write a line below the headers for every row."),
        (
            "a,b\n,x\n,x\n",
            1,
            "t.csv: no row is left of 2. The first that was left out: a: the cell is empty. "
            "Fill in what is missing, or choose another policy than `missing: drop`.",
        ),
        (
            "a,b\n,x\ny,x\n",
            2,
            "t.csv: one row is left of 2; at least 2 are needed. The first that was left out: a: the cell is empty. "
            "Fill in what is missing, or choose another policy than `missing: drop`.",
        ),
    ],
)
def test_too_few_rows_are_refused(tmp_path, content, least, expected):
    assert problems_of(tmp_path / "t.csv", content, categories("a", missing="drop"), least=least) == [expected]


@pytest.mark.parametrize(
    ("empty", "expected"),
    [
        ([1], "t.csv:3: a: the cell is empty."),
        ([1, 3], "t.csv:3: a: the cell is empty. 1 more such cell, in line 5."),
        ([0, 1, 3], "t.csv:2: a: the cell is empty. 2 more such cells, in lines 3 and 5."),
        ([1, 2, 3, 4, 5, 6], "t.csv:3: a: the cell is empty. 5 more such cells, in lines 4, 5, 6, 7 and 8."),
        (range(10), "t.csv:2: a: the cell is empty. 9 more such cells, in lines 3, 4, 5, 6, 7 and 4 more."),
    ],
)
@pytest.mark.parametrize("role", [Categorical, Text])
def test_fault_shows_the_first_cell_and_the_lines_of_others(tmp_path, empty, expected, role):
    content = "a,b\n" + "".join(f"{'' if row in empty else 'x'},y\n" for row in range(10))
    problems = problems_of(tmp_path / "t.csv", content, {"a": role(column="a", missing="error")})
    assert len(problems) == 1
    assert problems[0].startswith(f"{expected} Fill it in, ")


def test_fault_in_parquet_names_rows(tmp_path):
    pq.write_table(pa.table({"a": ["x", None, None, None]}), tmp_path / "t.parquet")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.parquet", {"a": Group(column="a")})
    assert str(caught.value) == (
        "t.parquet: row 1: a: the cell is empty. 2 more such cells, in rows 2 and 3. "
        "Fill it in, or set `missing: drop` to leave the row out."
    )


def test_all_problems_are_told_at_once_in_the_order_of_the_columns(tmp_path):
    columns = {
        "note": Text(column="note", missing="error"),
        "age": Numeric(column="age"),
        "sex": Categorical(column="sexx"),
        "name": Id(column="name"),
        "again": Numeric(column="age"),
    }
    content = "name,age,sex,note\np1,1,f,\np1,old,f,x\n"
    assert [problem.split(" ")[0:2] for problem in problems_of(tmp_path / "t.csv", content, columns, least=3)] == [
        ["t.csv:", "the"],
        ["t.csv:", "the"],
        ["t.csv:2:", "note:"],
        ["t.csv:3:", "age:"],
        ["t.csv:3:", "name:"],
    ]


def test_streamed_fault_keeps_its_place_below_rows_that_were_dropped(tmp_path):
    columns = {"note": Text(column="note", missing="error"), "age": Numeric(column="age", missing="drop")}
    problems = problems_of(tmp_path / "t.csv", "note,age\nx,\n,\n,3\nx,4\n,5\n", columns)
    assert len(problems) == 1
    assert problems[0].startswith("t.csv:4: note: the cell is empty. 1 more such cell, in line 6. ")


def test_streamed_faults_of_several_pieces_are_one_problem(tmp_path):
    rows = ["x"] * 250_000
    for row in (5, 120_000, 249_999):
        rows[row] = ""
    (tmp_path / "t.csv").write_text("note,a\n" + "".join(f"{cell},\n" for cell in rows))
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.csv", {"note": Text(column="note", missing="error")})
    assert [problem.what for problem in caught.value.problems] == ["the cell is empty. 2 more such cells, in lines 120002 and 250001."]


def test_large_table_is_read_and_streamed_in_pieces(tmp_path):
    numbers = np.arange(300_000)
    pd.DataFrame({"n": numbers, "note": numbers}).to_csv(tmp_path / "t.csv", index=False)
    table = read(tmp_path / "t.csv", {"n": Numeric(column="n"), "note": Text(column="note")})
    rows = np.array([0, 99_999, 100_000, 299_999])
    assert len(table) == 300_000
    assert texts(table.cells("n", rows)) == ["0", "99999", "100000", "299999"]
    assert [cell for piece in table.pieces("note", rows) for cell in texts(piece)] == ["0", "99999", "100000", "299999"]
    assert sum(len(piece) for piece in table.pieces("note")) == 300_000


def test_table_is_hashed_once_until_it_changes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    status = path.stat()
    table = read(path, {"a": Numeric()})
    expected = sha256(b"a\n1\n").hexdigest()
    assert (table.sha256, content_hash(path)) == (expected, expected)
    path.write_text("a\n2\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # of another content, but nothing tells: it is not read again
    assert (table.sha256, content_hash(path)) == (expected, expected)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert content_hash(path) == sha256(b"a\n2\n").hexdigest()
    with pytest.raises(DataError) as caught:
        table.sha256  # noqa: B018
    assert str(caught.value) == "t.csv: the file was changed while it was in use. Start again."


ENDINGS_OF_PROCESSES = """
import os, resource, sys
from pathlib import Path
from mmtrain.data.tables.read_table import read
from mmtrain.columns import Categorical
from mmtrain.errors import DataError
import pyarrow.csv
children = []
while len(children) < 24 and (child := os.fork()):
    children.append(child)
if len(children) == 24:
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
else:
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))  # of a process that never ends; reading takes a second
    try:
        read(Path("t.csv"), {"a": Categorical(column="a"), "b": Categorical(column="b")})
    except DataError:
        sys.exit(3)
"""


@pytest.mark.slow
def test_process_ends_in_order_when_a_large_table_is_refused_at_its_beginning(tmp_path):
    """Arrow may then still be reading ahead; a thread of its own that is inside the interpreter at its end aborts the process."""
    (tmp_path / "t.csv").write_bytes(b"a,b\n0,\xe9\n" + b"".join(b"%d,%d\n" % (row, row * 7919) for row in range(3_000_000)))
    program = [sys.executable, "-c", ENDINGS_OF_PROCESSES]
    # On a busy machine, 24 processes at once may take more than five minutes; processor time has a limit in each of them.
    done = subprocess.run(program, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=1800)
    assert (done.stdout, done.stderr) == (f"{[3] * 24}\n", "")


def test_gathered_pieces_hold_the_same_cells_in_fewer_pieces(monkeypatch):
    pieces = [{"a": pd.Series([str(start), None], dtype="str"), "b": pd.Series(["x" * 50, "y"], dtype="str")} for start in range(9)]
    monkeypatch.setattr(table_file, "GATHERED_ROWS", 3)
    found = list(gather(iter(pieces), most=150))
    assert [len(piece["a"]) for piece in found] == [4, 4, 4, 4, 2]
    monkeypatch.setattr(table_file, "GATHERED_ROWS", 5)  # of many columns, eight times as many bytes
    assert [len(piece["a"]) for piece in gather(iter(pieces), most=50)] == [6, 6, 6]
    for header in ("a", "b"):
        expected = pd.concat([piece[header] for piece in pieces], ignore_index=True)
        pd.testing.assert_series_equal(pd.concat([piece[header] for piece in found], ignore_index=True), expected)
    assert list(gather(iter([]))) == []


# A DataFrame


@pytest.mark.parametrize(
    ("cells", "texts"),
    [
        (pd.arrays.SparseArray([0, 3]), ["0", "3"]),
        (pd.arrays.IntervalArray.from_breaks([0, 1, 2]), ["(0, 1]", "(1, 2]"]),
        (pd.Categorical.from_codes([1, 0], pd.interval_range(0, 2)), ["(1, 2]", "(0, 1]"]),
        (pd.period_range("2024-01", periods=2, freq="M"), ["2024-01", "2024-02"]),
        (pd.to_timedelta([1, 2], unit="D"), ["1 days 00:00:00", "2 days 00:00:00"]),
        (np.array([1j, 2]), ["1j", "(2+0j)"]),
        (pd.Series(["half \ud800", None], dtype=object), ["half ?", ""]),
    ],
    ids=["sparse", "intervals", "categories of intervals", "months", "durations", "complex", "no UTF-8"],
)
def test_frame_cell_without_a_type_in_parquet_is_its_own_text(cells, texts):
    (piece,) = FrameTable(pd.DataFrame({"a": cells})).pieces(["a"], size=2)
    assert piece["a"].fillna("").tolist() == texts


@pytest.mark.parametrize(
    ("cells", "refusal"),
    [
        ([b"\x00abc", "a.png"], "the column holds objects of type bytes."),
        ([["a"], [True], {"b": 1}], "the column holds objects of type dict and list."),
        (pd.array([b"a", b"b"], dtype=pd.ArrowDtype(pa.binary())), "the column is of type binary."),
        (pd.array([1, 2], dtype=pd.ArrowDtype(pa.duration("s"))), "the column is of type duration[s]."),
        (["a", 1], ""),
    ],
    ids=["bytes", "lists", "Arrow bytes", "Arrow durations", "texts and numbers"],
)
def test_frame_column_of_what_is_no_cell_is_refused(cells, refusal):
    assert FrameTable(pd.DataFrame({"a": cells})).refusal("a") == refusal


@pytest.mark.parametrize(
    ("cells", "typed"),
    [([1, 2], True), ([1.5, None], True), ([True, False], True), (pd.Categorical([1, 2]), True), (["1", "2"], False)],
)
def test_frame_and_parquet_tell_whether_anyone_has_written_the_cells(tmp_path, cells, typed):
    frame = pd.DataFrame({"a": cells})
    frame.to_parquet(tmp_path / "t.parquet")
    assert (FrameTable(frame).typed("a"), open_table(tmp_path / "t.parquet").typed("a")) == (typed, typed)


def test_missing_headers_that_are_mended_alike_are_one_problem(tmp_path):
    (tmp_path / "t.csv").write_text("age;sex\n1;f;x\n", encoding="utf-8")
    fix = 'Its headers are separated by semicolons: write `format: {separator: ";"}` under `data`.'
    assert header_problems(open_table(tmp_path / "t.csv"), ["age", "sex"]) == [
        Problem("t.csv", "the table has no columns 'age' and 'sex'.", fix)
    ]


# Files that are made to fill the memory


@pytest.mark.parametrize("text", [b"a" * 30_000_000, b'"' + (b"a" * 99 + b"\n") * 300_000, b"a," * 15_000_000])
def test_a_header_without_end_is_refused_before_it_fills_the_memory(tmp_path, text):
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text, 1))
    tracemalloc.start()
    with pytest.raises(DataError) as caught:
        open_table(tmp_path / "t.csv.gz")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = (
        "t.csv.gz: the header is longer than 4,000,000 characters. Write a line of headers, and a line for every row; close every quote."
    )
    assert str(caught.value) == expected
    assert most < 150_000_000  # one cell of 4 bytes a character, and its copies


@pytest.mark.slow  # the header without an end is tried every time
def test_a_row_without_end_is_told_with_its_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'a,b\n1,2\n3,"4' + b"4\n" * 4_000_000)
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.csv", categories("a", "b"))
    fix = "Look for a quote that is not closed; keep texts as long as this in Parquet."
    assert str(caught.value) == f"t.csv:3: the row is longer than 4,000,000 characters. {fix}"


def test_the_line_of_a_byte_that_is_no_text_where_a_piece_ends_within_a_character(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited_text, "COUNTED_BYTES", 5)
    (tmp_path / "t.csv").write_bytes("a\n\u00e9\u00e9\n".encode() + b"\xfc\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.csv", categories("a"))
    assert (
        str(caught.value)
        == "t.csv:3: the byte 0xFC is not UTF-8 text. Save the table as UTF-8 (in Excel: `CSV UTF-8`), or set `encoding` in `data.format`."
    )
