"""Tables that are written in other ways than CSV with commas: separators, decimal commas, titles, quotes, JSON Lines, Excel."""

import codecs
import csv
import datetime
import gzip
import json
import random
import sys

import pandas as pd
import pytest
import yaml

from mmtrain import config
from mmtrain.audit.coded_table import CodedTable
from mmtrain.audit.profiling.profile import profile_columns
from mmtrain.audit.profiling.table_profile import profile_table
from mmtrain.columns import Categorical, Numeric, Weight
from mmtrain.commands.check import check
from mmtrain.commands.init import init
from mmtrain.commands.inspect_data import inspect_table
from mmtrain.config.sections.table_format import TableFormat
from mmtrain.data.tables.file_formats import csv_file, excel_file, json_file
from mmtrain.data.tables.file_formats.formats import HEAD, open_table
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.data.tables.read_table import read
from mmtrain.errors import ConfigError, DataError
from mmtrain.targets import MultilabelTarget, RegressionTarget


def opened(path, content, later=False, **options):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_table(path, (), TableFormat(**options), later=later)


def rows_of(file):
    """Every row as a list of texts, None where a cell is missing."""
    pieces = list(file.pieces(list(file.headers), size=1000))
    columns = [[None if cell != cell else cell for piece in pieces for cell in piece[header]] for header in file.headers]
    return [list(row) for row in zip(*columns, strict=True)]


def problems_of(path, content, later=False, **options):
    with pytest.raises(DataError) as caught:
        rows_of(opened(path, content, later, **options))
    return [str(problem) for problem in caught.value.problems]


AB = ("a", "b")
TITLED = [["1", "x", "z"], ["2", "y", "z"]]

TEXTS = [
    # name, content, headers, rows, what `data.format` would say
    ("t.csv", "a|b\n1|x\n2|y\n", AB, [["1", "x"], ["2", "y"]], {"separator": "|"}),
    ("t.csv", "a;b\n1;x\n2;y\n", AB, [["1", "x"], ["2", "y"]], {"separator": ";"}),
    ("t.csv", "a\tb\n1\tx\n2\ty\n", AB, [["1", "x"], ["2", "y"]], {"separator": "tab"}),
    ("t.tsv", "a,b\n1,x\n2,y\n", AB, [["1", "x"], ["2", "y"]], {"separator": ","}),
    ("t.csv.gz", gzip.compress(b"a;b\n1;x\n", mtime=0), AB, [["1", "x"]], {"separator": ";"}),
    ("t.txt", "a,b\n1,x\n", AB, [["1", "x"]], {"separator": ","}),
    ("t.txt", "  a   long name\tb\n 1.5  x\ty\tz \n", ("a", "long", "name", "b"), [["1.5", "x", "y", "z"]], {"separator": "blanks"}),
    ("t.csv", "a b\n1 x\n\n2 y\n", AB, [["1", "x"], ["2", "y"]], {"separator": "blanks"}),
    ("t.txt", 'a  "the b"\n1  "x ""y"" z"\n', ("a", "the b"), [["1", 'x "y" z']], {"separator": "blanks"}),
    ("t.csv", "a;b\n1,5;x\n-2,25;y\n", AB, [["1.5", "x"], ["-2.25", "y"]], {"separator": ";", "decimal": ","}),
    ("t.tsv", "a\tb\n1,5\tx\n2,0e3\ty\n", AB, [["1.5", "x"], ["2.0e3", "y"]], {"decimal": ","}),
    ("t.csv", "a b\n1,5 x\n2 y\n", AB, [["1.5", "x"], ["2", "y"]], {"separator": "blanks", "decimal": ","}),
    (
        "t.csv",
        "a;b\n1.234,56;x\n-12.345.678,5;y\n7;z\n",
        AB,
        [["1234.56", "x"], ["-12345678.5", "y"], ["7", "z"]],
        {"separator": ";", "decimal": ",", "thousands": "."},
    ),
    ("t.csv", "a;b\n1,234.56;x\n7.5;z\n", AB, [["1234.56", "x"], ["7.5", "z"]], {"separator": ";", "thousands": ","}),
    ("t.csv", "sep=,\na,b\n1,x\n", AB, [["1", "x"]], {"skip_lines": 1}),
    ("t.csv", "\ufeffsep=;\r\na;b\r\n1,5;x\r\n", AB, [["1.5", "x"]], {"separator": ";", "decimal": ",", "skip_lines": 1}),
    ("t.csv", '"sep=|"\na|b\n1|x;y\n', AB, [["1", "x;y"]], {"separator": "|", "skip_lines": 1}),
    ("t.csv", '# made in 2021, by "us\n#\na,b\n1,x\n', AB, [["1", "x"]], {"skip_lines": 2}),
    ("t.csv", "#a,b\n1,x\n", ("#a", "b"), [["1", "x"]], {}),
    ("t.csv", "# note\n#a,b\n1,x\n", ("#a", "b"), [["1", "x"]], {"skip_lines": 1}),
    ("t.csv", "All patients\n\na,b,c\n1,x,z\n2,y,z\n", ("a", "b", "c"), TITLED, {"skip_lines": 2}),
    ("t.csv", "All patients,,\n,,\na,b,c\n1,x,z\n2,y,z\n", ("a", "b", "c"), TITLED, {"skip_lines": 2}),
    (
        "t.csv",
        "Export; all patients\na;b;c;d\n1;x;y;1\n",
        ("a", "b", "c", "d"),
        [["1", "x", "y", "1"]],
        {"separator": ";", "skip_lines": 1},
    ),
    ("t.csv", 'a,b\n1,"he said \\"hi, you\\""\n2,x\n', AB, [["1", 'he said "hi, you"'], ["2", "x"]], {"escape": "\\"}),
    ("t.csv", 'a,b\n1,"he said \\"hi\\""\n2,x\n', AB, [["1", 'he said "hi"'], ["2", "x"]], {"escape": "\\"}),
    ("t.csv", "'a','b'\n'1','x'\n", AB, [["1", "x"]], {"quote": "'"}),
    ("t.csv", "a,b\n1,'x, y'\n2,z\n", AB, [["1", "x, y"], ["2", "z"]], {"quote": "'"}),
    ("t.csv", codecs.BOM_UTF16_LE + "a\tb\n1\tü\n".encode("utf-16-le"), AB, [["1", "ü"]], {"separator": "tab", "encoding": "utf-16"}),
]


@pytest.mark.parametrize(("name", "content", "headers", "rows", "options"), TEXTS)
def test_a_text_that_leaves_no_doubt_is_read_as_it_is_written(tmp_path, name, content, headers, rows, options):
    file = opened(tmp_path / name, content)
    assert (file.headers, rows_of(file), dict(file.format_options)) == (headers, rows, options)


@pytest.mark.parametrize(("name", "content", "headers", "rows", "options"), TEXTS)
def test_what_was_found_out_reads_the_table_alike_when_it_is_said(tmp_path, name, content, headers, rows, options):
    file = opened(tmp_path / name, content, **options)
    assert (file.headers, rows_of(file), dict(file.format_options), file.notice) == (headers, rows, options, "")


PLAIN = [
    ("labels\na;b\nb\n", ("labels",), [["a;b"], ["b"]]),
    ("labels\na;b\nb;c\n", ("labels",), [["a;b"], ["b;c"]]),
    ("full name\nAnna Schmidt\nBob Jones\n", ("full name",), [["Anna Schmidt"], ["Bob Jones"]]),
    ("id,labels (a;b)\n1,x;y\n2,y;z\n", ("id", "labels (a;b)"), [["1", "x;y"], ["2", "y;z"]]),
    ("a,b\n1,'x'\n2,'y'\n", AB, [["1", "'x'"], ["2", "'y'"]]),
    ("a,b\n1,it's\n2,'tis\n", AB, [["1", "it's"], ["2", "'tis"]]),
    ('a,b\n1,"C:\\dir\\"\n2,x\n', AB, [["1", "C:\\dir\\"], ["2", "x"]]),
    ('a,b\n"1,2",x\n"1,3",y\n', AB, [["1,2", "x"], ["1,3", "y"]]),
    ('a,b\n1,"12" screen"\n2,it\'s\n3,"quoted"\n', AB, [["1", '12 screen"'], ["2", "it's"], ["3", "quoted"]]),
    ('a,b\n1,5" pipe\n2,6" pipe\n', AB, [["1", '5" pipe'], ["2", '6" pipe']]),
    ("1,2\n3,4\n", ("1", "2"), [["3", "4"]]),
    (",a,b\n0,1,x\n1,2,y\n", ("", "a", "b"), [["0", "1", "x"], ["1", "2", "y"]]),
]


@pytest.mark.parametrize(("content", "headers", "rows"), PLAIN)
def test_a_plain_table_is_read_as_it_stands(tmp_path, content, headers, rows):
    file = opened(tmp_path / "t.csv", content)
    assert (file.headers, rows_of(file), dict(file.format_options), file.notice) == (headers, rows, {}, "")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "height, cm;weight, kg;label\n1,5;2,5;x\n3,5;4,5;y\n",
            "t.csv: the table can be read in several ways: separated by commas it has 3 columns, 'height', ' cm;weight' and "
            "' kg;label'; separated by semicolons it has 3 columns, 'height, cm', 'weight, kg' and 'label'. "
            'Write `format: {separator: ","}` or `format: {separator: ";"}` under `data`; `mmtrain init` takes the same map as --format.',
        ),
        (
            "a;b|c;d\n1;2|3;4\n",
            "t.csv: the table can be read in several ways: separated by semicolons it has 3 columns, 'a', 'b|c' and 'd'; "
            "separated by bars it has 2 columns, 'a;b' and 'c;d'. "
            'Write `format: {separator: ";"}` or `format: {separator: "|"}` under `data`; `mmtrain init` takes the same map as --format.',
        ),
        (
            "x\nMazda,1\nFord,2\n",
            "t.csv:2: the row has 2 cells, the header has 1. 1 more such row, in line 3. Set `skip_lines` in `data.format` if the "
            "headers are further below, `separator` if other signs separate cells.",
        ),
        (
            '"a","b"\n"1","x","y"\n"2","z","w"\n',
            "t.csv:2: the row has 3 cells, the header has 2. 1 more such row, in line 3. Put quotes around a cell that holds a comma.",
        ),
    ],
)
def test_a_table_that_leaves_doubt_is_refused_in_words(tmp_path, content, problem):
    assert problems_of(tmp_path / "t.csv", content) == [problem]


def test_the_separator_that_is_said_settles_the_doubt(tmp_path):
    file = opened(tmp_path / "t.csv", "height, cm;weight, kg\n1,5;2,5\n", separator=";")
    assert (file.headers, rows_of(file)) == (("height, cm", "weight, kg"), [["1.5", "2.5"]])


@pytest.mark.parametrize(
    ("content", "options", "rows"),
    [
        ('a,b\n"1,5",x\n', {"decimal": ","}, [["1.5", "x"]]),
        ('a,b\n"1,234",x\n"1,234.5",y\n"1,5",z\n', {"thousands": ","}, [["1234", "x"], ["1234.5", "y"], ["1,5", "z"]]),
        ("a;b\n1 234,5;x\n1\u202f234;y\n", {"decimal": ",", "thousands": " "}, [["1234.5", "x"], ["1234", "y"]]),
        ("a;b\n1'234.5;x\n", {"thousands": "'"}, [["1234.5", "x"]]),
        ("x\ny\na;b\n1;x\n", {"skip_lines": 2}, [["1", "x"]]),
        ("a,b\n'x,y'\n", {"quote": "none"}, [["'x", "y'"]]),
        ("a;b\n1;ü\n".encode("cp1252"), {"encoding": "cp1252"}, [["1", "ü"]]),
        (gzip.compress("a:b\n1:ü\n".encode("cp1252"), mtime=0), {"encoding": "cp1252", "separator": ":"}, [["1", "ü"]]),
    ],
)
def test_what_data_format_says_is_done(tmp_path, content, options, rows):
    name = "t.csv.gz" if isinstance(content, bytes) and content.startswith(b"\x1f\x8b") else "t.csv"
    assert rows_of(opened(tmp_path / name, content, **options)) == rows


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("a;b\n1,5;x\n", [["1.5", "x"]]),
        ("a,b\n1.5,x\n", [["1.5", "x"]]),
        ("a\tb\n1.5\tx\n", [["1.5", "x"]]),
        ("a;b\n1.5;x\n", [["1.5", "x"]]),
        ("a;b\n1,234;x\n", [["1.234", "x"]]),
        ("a;b\n1;x\n", [["1", "x"]]),
    ],
)
def test_a_later_table_may_be_written_otherwise(tmp_path, content, rows):
    file = opened(tmp_path / "t.csv", content, later=True, separator=";", decimal=",")
    assert rows_of(file) == rows
    assert not any(unclear for piece in file.pieces(["a"], size=10) for unclear in piece.unclear.values())


@pytest.mark.parametrize("content", ["export of 2024\na;b\n1,5;x\n", "a;b\n1,5;x\n", "all patients of the house\na,b\n1.5,x\n"])
def test_a_later_table_may_have_other_lines_above_its_headers(tmp_path, content):
    file = opened(tmp_path / "t.csv", content, later=True, separator=";", decimal=",", skip_lines=1)
    assert (file.headers, rows_of(file)) == (AB, [["1.5", "x"]])


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("blank", ["x\n", "x" * HEAD + "\n"])
def test_a_later_table_may_have_another_encoding(tmp_path, encoding, blank):
    content = f"a;b\n1;{blank}2;ü\n".encode(encoding)
    assert rows_of(opened(tmp_path / "t.csv", content, later=True, separator=";", encoding="cp1252"))[1] == ["2", "ü"]


def test_a_notice_says_what_was_found_out(tmp_path):
    content = "# x\na;b\n1,5;x\n"
    notice = "t.csv: cells separated by semicolons, numbers with decimal commas and 1 line before the headers."
    assert opened(tmp_path / "t.csv", content).notice == notice
    assert opened(tmp_path / "t.csv", content, separator=";").notice == "t.csv: numbers with decimal commas and 1 line before the headers."


@pytest.mark.parametrize("content", ["# x\na;b\n\n1;x\n2;y\n", "# x\na b\n\n1 x\n2 y\n", "title of it\n\na;b;c\n1;x;y\n2;x;y\n"])
def test_rows_keep_their_lines(tmp_path, content):
    file = opened(tmp_path / "t.csv", content)
    assert [file.number(row) for row in range(2)] == [4, 5]


UNCLEAR = (
    "'1.234' has a decimal point or grouped digits, in a table whose numbers have decimal commas. Write it with a decimal comma and "
    'without grouping its digits, or set `thousands: "."` in `data.format`.'
)


@pytest.mark.parametrize(
    "column", [Numeric(column="a"), Weight(column="a"), RegressionTarget(column="a", task="regression", role="target")]
)
def test_a_number_that_could_be_two_is_refused(tmp_path, column):
    (tmp_path / "t.csv").write_text("a;b\n1,5;x\n1.234;y\n2.5;z\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.csv", {"a": column}, table_format=TableFormat(decimal=","))
    (problem,) = caught.value.problems
    assert str(problem) == f"t.csv:3: a: {UNCLEAR.replace('commas. W', 'commas. 1 more such cell, in line 4. W')}"


def test_a_number_that_could_be_two_is_a_text_to_a_category(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n1,5;250.0\n2,5;1.234\n")
    table = read(tmp_path / "t.csv", {"a": Numeric(column="a"), "b": Categorical(column="b")}, table_format=TableFormat(decimal=","))
    assert [table.cells(header).tolist() for header in AB] == [["1.5", "2.5"], ["250.0", "1.234"]]


def test_missing_values_are_listed_as_they_are_written(tmp_path):
    (tmp_path / "t.csv").write_text("a;b\n1,5;x\n-9,9;y\n")
    table = read(tmp_path / "t.csv", {"a": Numeric(column="a")}, missing_values=["-9,9"])
    assert table.cells("a").isna().tolist() == [False, True]


def test_decimal_commas_are_numbers_to_profile_and_init(tmp_path):
    rows = "".join(f"{20 + row % 30},5;{row % 7},25;{'ab'[row % 2]}\n" for row in range(60))
    (tmp_path / "t.csv").write_text(f"age;size;label\n{rows}")
    profile = profile_columns(CodedTable(open_table(tmp_path / "t.csv")), ["age"])["age"]
    assert (profile.number_cells, profile.numbers.minimum, profile.numbers.maximum) == (60, 20.5, 49.5)
    assert inspect_table(tmp_path / "t.csv").columns[1].guess.role == "numeric"
    written = init(tmp_path / "t.csv", file=tmp_path / "t.yaml").file
    assert yaml.safe_load(written.read_text())["data"] == {"table": "t.csv", "format": {"separator": ";", "decimal": ","}}
    assert config.load(written).data.format == TableFormat(separator=";", decimal=",")
    assert check(written).rows == 60


def test_init_takes_a_format_where_the_table_leaves_doubt(tmp_path):
    rows = "".join(f"{20 + row % 30},5;{row % 7},25;{'ab'[row % 2]}\n" for row in range(60))
    (tmp_path / "t.csv").write_text(f"age, years;size, cm;label\n{rows}")
    with pytest.raises(DataError, match="can be read in several ways"):
        init(tmp_path / "t.csv", file=tmp_path / "t.yaml")
    written = init(tmp_path / "t.csv", table_format='{separator: ";"}', file=tmp_path / "t.yaml").file
    assert yaml.safe_load(written.read_text())["data"]["format"] == {"separator": ";", "decimal": ","}
    assert check(written).rows == 60


EXAMPLE = 'Write it as in the experiment file: --format \'{separator: ";", decimal: ","}\''


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{a", f"--format: '{{a' is not YAML. {EXAMPLE}"),
        ("{decimal: x}", f"--format: decimal: Input should be '.' or ','. {EXAMPLE}"),
        (
            "{separator: ab}",
            "--format: separator: 'ab' cannot separate cells. Write one sign such as `;`, or `tab`, or `blanks` for any run of "
            f"blanks. {EXAMPLE}",
        ),
    ],
)
def test_a_format_that_is_none_is_refused(tmp_path, text, problem):
    (tmp_path / "t.csv").write_text("a,b\n1,x\n")
    with pytest.raises(ConfigError) as caught:
        init(tmp_path / "t.csv", table_format=text, file=tmp_path / "t.yaml")
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            "{separator: ab}",
            "e.yaml:1: data.format.separator: 'ab' cannot separate cells. Write one sign such as `;`, or `tab`, or `blanks` for any "
            "run of blanks.",
        ),
        (
            "{encoding: klingon}",
            "e.yaml:1: data.format.encoding: 'klingon' is not a known encoding. Write `utf-8`, `utf-16`, `cp1252` or `latin-1`, "
            "for instance.",
        ),
        (
            "{encoding: base64}",
            "e.yaml:1: data.format.encoding: 'base64' is not a known encoding. Write `utf-8`, `utf-16`, `cp1252` or `latin-1`, "
            "for instance.",
        ),
        (
            '{decimal: ",", thousands: ","}',
            "e.yaml:1: data.format: `thousands` and `decimal` are the same sign. Leave one of them out.",
        ),
    ],
)
def test_options_of_the_format_are_checked(tmp_path, options, problem):
    text = f"data: {{table: t.csv, format: {options}}}\ncolumns: {{a: {{role: numeric}}, b: {{role: target, task: regression}}}}\n"
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(tmp_path / "e.yaml")
    assert [str(one).removeprefix(f"{tmp_path}/") for one in caught.value.problems] == [problem]


def test_quotes_escaped_below_the_head_are_noticed(tmp_path):
    rows = HEAD // 10
    content = "a,b\n" + "1,xxxxxxxx\n" * rows + '2,"he said \\"hi\\""\n'
    assert problems_of(tmp_path / "t.csv", content) == [
        f"t.csv:{rows + 2}: a quoted cell goes on behind its closing quote. "
        'Set `escape: "\\\\"` in `data.format` if quotes within cells have a backslash in front; else write such quotes twice.'
    ]
    assert rows_of(opened(tmp_path / "t.csv", content, escape="\\"))[-1] == ["2", 'he said "hi"']


@pytest.mark.parametrize("seed", range(40))
def test_what_the_standard_library_writes_is_read_back(tmp_path, seed):
    """Random tables in random dialects; numbers in one column, so that blanks are known to separate cells."""
    deal = random.Random(seed)
    separator = deal.choice(",;\t|")
    texts = ["plain", "two words", f"with{separator}separator", 'with "quotes"', "it's", "line\nbreak", "", "ü", "1,5", "a;b"]
    rows = [[str(deal.randrange(100)), deal.choice(texts), deal.choice(texts)] for _ in range(deal.randrange(3, 30))]
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        written = csv.writer(file, delimiter=separator, quoting=deal.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        written.writerows([["number", "some text", "more"], *rows])
    file = open_table(path)
    assert file.headers == ("number", "some text", "more")
    assert rows_of(file) == [[cell or None for cell in row] for row in rows]


def test_slow_reader_gives_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "_SLOW_ROWS", 7)
    file = opened(tmp_path / "t.txt", "a b\n" + "".join(f"{row} x\n" for row in range(20)))
    assert [len(piece["a"]) for piece in file.pieces(["a"], size=100)] == [7, 7, 6]
    assert [len(piece["a"]) for piece in file.pieces(["a"], size=5)] == [5, 5, 5, 5]


def test_labels_between_commas_stay_lists(tmp_path):
    (tmp_path / "t.csv").write_text('x,y\n1,"1,2"\n2,"2,3"\n3,"1"\n4,"3,1"\n')
    table = read(tmp_path / "t.csv", {"y": MultilabelTarget(column="y", role="target", task="multilabel", separator=",")})
    assert table.cells("y").tolist() == ["1,2", "2,3", "1", "3,1"]


# JSON Lines


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.jsonl.gz"])
def test_json_lines_are_rows(tmp_path, name):
    content = b'\xef\xbb\xbf{"a": 1, "b": "001"}\n\n{"b": " x ", "c": true}\r\n{"a": 2.5, "b": null}\n{"a": 3.0, "c": false}'
    file = opened(tmp_path / name, gzip.compress(content, mtime=0) if name.endswith("gz") else content)
    assert file.headers == ("a", "b", "c")
    assert rows_of(file) == [["1", "001", None], [None, "x", "true"], ["2.5", None, None], ["3", None, "false"]]
    assert [file.typed(header) for header in file.headers] == [True, False, True]
    assert [file.where(row) for row in range(4)] == [f"{name}:{line}" for line in (1, 3, 4, 5)]


@pytest.mark.parametrize(
    ("value", "cell"),
    [("NaN", None), ("1e20", "1e+20"), ("12345678901234567890", "12345678901234567890"), ('"\\ud800"', "?"), ("0.1", "0.1"), ("-0.0", "0")],
)
def test_json_value_is_the_text_that_parquet_gives(tmp_path, value, cell):
    assert rows_of(opened(tmp_path / "t.jsonl", f'{{"a": {value}, "b": 1}}\n')) == [[cell, "1"]]


OBJECT = "Write one JSON object a line."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", f"t.jsonl: the file is empty. {OBJECT}"),
        ('{"a": 1}\n{"a": \n', f"t.jsonl:2: the line is not JSON: expecting value at character 6. {OBJECT}"),
        ('{"a": 1}\n[1]\n3\n', f"t.jsonl:2: the line holds a list, not an object. 1 more such line, in line 3. {OBJECT}"),
        ('{"a": 1, "a": 2}\n', f"t.jsonl:1: the key 'a' is there twice. {OBJECT}"),
        (b'{"a": "\xfc"}\n', "t.jsonl:1: the byte 0xFC is not UTF-8 text. Save the file as UTF-8, with one JSON object a line."),
        (
            '{"a": 1}\n{"a": 2}\n'.encode("utf-16"),
            "t.jsonl:1: the line is not UTF-8 text; by its zero bytes it is UTF-16 or UTF-32. 2 more such lines, in lines 2 and 3. "
            "Save the file as UTF-8, with one JSON object a line.",
        ),
        ('{"a": "' + "x" * 100 + '"}\n', f"t.jsonl:1: the line is longer than 50 bytes. {OBJECT}"),
        ("[" * 40_000, f"t.jsonl:1: the line is longer than 50 bytes. {OBJECT}"),
    ],
)
def test_a_line_that_is_no_object_is_refused(tmp_path, monkeypatch, content, problem):
    monkeypatch.setattr(json_file, "LONGEST", 50)
    json_file._keys.cache_clear()
    assert problems_of(tmp_path / "t.jsonl", content) == [problem]


def test_nested_values_are_refused_where_their_column_is_used(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": 2}\n{"a": [[1]], "b": 3}\n')
    assert read(tmp_path / "t.jsonl", {"b": Numeric(column="b")}).cells("b").tolist() == ["2", "3"]
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.jsonl", {"a": Numeric(column="a")})
    assert str(caught.value) == "t.jsonl: a: line 2 holds a list. A cell is a text, a number, a date, or true or false."


def test_lists_of_texts_or_numbers_are_the_cells_that_parquet_gives(tmp_path):
    rows = [
        {"pulse": [70, 71.5, None], "drug": ["aspirin", None], "n": 1},
        {"pulse": [], "drug": ["é"], "n": 2},
        {"pulse": None, "drug": None, "n": 3},
        {"pulse": [1e-7, 2.0**60], "drug": [], "n": 4},
    ]
    (tmp_path / "t.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    pd.DataFrame(rows).to_parquet(tmp_path / "t.parquet")
    texts = {}
    for name in ("t.jsonl", "t.parquet", "frame"):
        file = FrameTable(pd.DataFrame(rows)) if name == "frame" else open_table(tmp_path / name)
        assert [file.refusal(header) for header in file.headers] == ["", "", ""]
        (piece,) = file.pieces(["pulse", "drug"], size=10)
        texts[name] = {header: cells.astype(object).where(cells.notna(), None).tolist() for header, cells in piece.items()}
    assert texts["t.jsonl"] == texts["t.parquet"] == texts["frame"]
    assert texts["frame"]["pulse"] == ["[70, 71.5, null]", "[]", None, "[1e-7, 1.152921504606847e+18]"]
    (tmp_path / "t.jsonl").write_text('{"a": [1%s]}\n' % ("0" * 400))
    (piece,) = open_table(tmp_path / "t.jsonl").pieces(["a"], size=10)
    assert piece["a"].tolist() == ["[inf]"]


# Excel


def workbook(path, rows, *, more=(), change=lambda sheet: None):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Patients"
    for row in rows:
        book.active.append(row)
    change(book.active)
    for title, others in more:
        sheet = book.create_sheet(title)
        for row in others:
            sheet.append(row)
    book.save(path)
    return path


SHEET = [
    ["id", "n", "b", "day", "t"],
    [1, 2.5, True, datetime.date(2024, 1, 31), "001"],
    [2, 3.0, None, datetime.datetime(2024, 1, 31, 12, 30), " x "],
]
CELLS = [["1", "2.5", "true", "2024-01-31", "001"], ["2", "3", None, "2024-01-31T12:30:00", "x"]]


def test_excel_cells_are_the_texts_that_parquet_gives(tmp_path):
    file = open_table(workbook(tmp_path / "t.xlsx", SHEET))
    assert (file.headers, rows_of(file)) == (("id", "n", "b", "day", "t"), CELLS)
    assert [file.typed(header) for header in file.headers] == [True, True, True, False, False]
    assert [file.where(row) for row in range(2)] == ["t.xlsx: row 2", "t.xlsx: row 3"]
    assert (dict(file.format_options), file.notice) == ({}, "")


def formatted_below(sheet):
    sheet["B40"].number_format = sheet["K1"].number_format = "0%"


def error_value(sheet):
    sheet["B3"].value, sheet["B3"].data_type = "#N/A", "e"


@pytest.mark.parametrize(
    ("rows", "change", "cells", "numbers"),
    [
        (SHEET, formatted_below, CELLS, [2, 3]),
        ([SHEET[0], [], SHEET[1], [None], SHEET[2], [" "]], lambda sheet: None, CELLS, [3, 5]),
        ([["All patients"], [], *SHEET], lambda sheet: sheet.merge_cells("A1:E1"), CELLS, [4, 5]),
        (SHEET, error_value, [CELLS[0], ["2", "#N/A", None, "2024-01-31T12:30:00", "x"]], [2, 3]),
    ],
)
def test_the_table_in_a_sheet_is_found(tmp_path, rows, change, cells, numbers):
    file = open_table(workbook(tmp_path / "t.xlsx", rows, change=change))
    assert (file.headers, rows_of(file), [file.number(row) for row in range(2)]) == (tuple(SHEET[0]), cells, numbers)


def test_a_later_sheet_may_have_other_rows_above_its_headers(tmp_path):
    for rows in (SHEET, [["All patients"], ["of the house"], *SHEET]):
        file = open_table(workbook(tmp_path / "t.xlsx", rows), (), TableFormat(skip_lines=2), later=True)
        assert (file.headers, rows_of(file)) == (tuple(SHEET[0]), CELLS)


def formula(sheet):
    sheet["B2"] = "=1+1"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (formula, "t.xlsx: row 2: the formula in B2 has no stored value. Open the file in Excel and save it, or write values."),
        (
            lambda sheet: sheet.merge_cells("A2:A3"),
            "t.xlsx: row 2: the cells A2:A3 are merged, so only the first of them has a value. Unmerge them, and fill in each.",
        ),
    ],
)
def test_cells_without_a_value_of_their_own_are_refused(tmp_path, change, problem):
    with pytest.raises(DataError) as caught:
        open_table(workbook(tmp_path / "t.xlsx", SHEET, change=change))
    assert str(caught.value) == problem


def test_many_cells_without_a_value_are_told_up_to_five(tmp_path):
    def change(sheet):
        for column in "ABCDEFG":
            sheet[f"{column}2"] = "=1+1"

    with pytest.raises(DataError) as caught:
        open_table(workbook(tmp_path / "t.xlsx", [[*"abcdefg"], [1] * 7, [2] * 7], change=change))
    problems = [str(one) for one in caught.value.problems]
    assert (len(problems), problems[5]) == (6, "t.xlsx: 2 more cells are merged or have formulas without a value.")


def test_one_of_several_sheets_is_read(tmp_path):
    path = workbook(tmp_path / "t.xlsx", SHEET, more=[("Visits", [["v", "w"], [1, "x"]]), ("Notes", [])])
    first = open_table(path)
    assert (rows_of(first), dict(first.format_options)) == (CELLS, {"sheet": "Patients"})
    assert first.notice == "t.xlsx: the sheet 'Patients' is read, not 'Visits' or 'Notes'."
    named = open_table(path, (), TableFormat(sheet="Visits"))
    assert (named.headers, rows_of(named), named.notice) == (("v", "w"), [["1", "x"]], "")
    assert rows_of(open_table(path, (), TableFormat(sheet="Elsewhere"), later=True)) == CELLS


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"sheet": "Vists"}, "data.format.sheet: t.xlsx has no sheet 'Vists'. Did you mean 'Visits'?"),
        ({"sheet": "Visits"}, "t.xlsx: the sheet 'Visits' is empty. Write a row of headers and a row for every example, or name another "
         "sheet as `sheet` in `data.format`."),
        ({"separator": ";"}, "data.format.separator: the option has no meaning for t.xlsx. Remove it."),
    ],
)  # fmt: skip
def test_a_sheet_that_cannot_be_read_is_refused(tmp_path, options, problem):
    workbook(tmp_path / "t.xlsx", SHEET, more=[("Visits", [])])
    with pytest.raises(DataError) as caught:
        open_table(tmp_path / "t.xlsx", (), TableFormat(**options))
    assert str(caught.value) == problem


def test_options_of_texts_have_no_meaning_for_json(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(DataError) as caught:
        open_table(tmp_path / "t.jsonl", (), TableFormat(decimal=",", sheet="x"))
    assert [str(one) for one in caught.value.problems] == [
        f"data.format.{option}: the option has no meaning for t.jsonl. Remove it." for option in ("decimal", "sheet")
    ]
    assert rows_of(open_table(tmp_path / "t.jsonl", (), TableFormat(decimal=","), later=True)) == [["1"]]


@pytest.mark.parametrize(
    ("bound", "problem"),
    [
        ("MOST_CELLS", "t.xlsx: the sheet 'Patients' has more than 7 cells. Save it as CSV or Parquet, which are read piece by piece."),
        ("MOST_BYTES", "t.xlsx: the file unpacks to more than 7 bytes. Save it as CSV or Parquet, which are read piece by piece."),
    ],
)
def test_an_excel_file_that_is_too_large_is_refused(tmp_path, monkeypatch, bound, problem):
    monkeypatch.setattr(excel_file, bound, 7)
    with pytest.raises(DataError) as caught:
        open_table(workbook(tmp_path / "t.xlsx", SHEET))
    assert str(caught.value) == problem


def test_what_is_no_excel_file_is_refused(tmp_path):
    pytest.importorskip("openpyxl")
    expected = ["t.xlsx: the file is not an Excel file, has a password, or is damaged. Save it again as .xlsx."]
    assert problems_of(tmp_path / "t.xlsx", b"a,b\n1,x\n") == expected
    workbook(tmp_path / "t.xlsx", SHEET)
    assert problems_of(tmp_path / "t.xlsx", (tmp_path / "t.xlsx").read_bytes()[:3000]) == expected


def test_the_package_for_excel_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert problems_of(tmp_path / "t.xlsx", b"") == [
        "t.xlsx: Excel files are read by a package that is not installed. Install it: pip install 'mmtrain[excel]'"
    ]


@pytest.mark.parametrize("name", ["t.jsonl", "t.xlsx"])
def test_init_and_check_take_typed_tables(tmp_path, name):
    rows = [{"age": 20.5 + row % 30, "smokes": row % 3 == 0, "label": "ab"[row % 2]} for row in range(60)]
    if name == "t.xlsx":
        workbook(tmp_path / name, [list(rows[0]), *(list(row.values()) for row in rows)], more=[("More", [["x"]])])
    else:
        text = "\n".join(f'{{"age": {row["age"]}, "smokes": {str(row["smokes"]).lower()}, "label": "{row["label"]}"}}' for row in rows)
        (tmp_path / name).write_text(text)
    roles = {column.header: column.guess.role for column in profile_table(tmp_path / name).columns}
    assert roles == {"age": "numeric", "smokes": "categorical", "label": "target"}
    written = init(tmp_path / name, file=tmp_path / "t.yaml").file
    assert yaml.safe_load(written.read_text())["data"].get("format") == ({"sheet": "Patients"} if name == "t.xlsx" else None)
    assert check(written).rows == 60


# Damage

SIGNS = b",;|\t\"'\\\n\r #=.0a\xff\x00"
PARTS = [b'"', b"'", b"\n", b",,", b";", b'\\"', b"#", b"\r", b"  ", b"\x00", b"{", b"["]


def damaged(content, deal):
    """A few signs changed, put in or left out."""
    found = bytearray(content)
    for _ in range(deal.randrange(1, 6)):
        place = deal.randrange(len(found) + 1)
        kind = deal.randrange(3)
        if kind == 0:
            found[place : place + 1] = bytes([deal.choice(SIGNS)])
        elif kind == 1:
            found[place:place] = deal.choice(PARTS)
        else:
            del found[place : place + deal.randrange(1, 4)]
    return bytes(found)


@pytest.mark.parametrize("options", [{}, {"separator": ","}])
def test_a_cut_off_table_whose_header_is_not_text_is_refused_as_damaged(tmp_path, options):
    """The search for the byte that is not text reads to the end."""
    content = gzip.compress(b"a\xff,b\n1,2\n", mtime=0)[:-4]
    expected = "t.csv.gz: the file cannot be read: Compressed file ended before the end-of-stream marker was reached. "
    assert problems_of(tmp_path / "t.csv.gz", content, **options) == [f"{expected}Write it again, or copy it again, whole."]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b'a;b\n1,5;"x"\n2;y\n'),
        ("t.csv", b'# c\na,b,c\n1,"x\\"y",2\n3,\'z\',4\n'),
        ("t.txt", b'a b  c\n1 "x y" 2\n3 4 5\n'),
        ("t.tsv", "sep=;\na;b\n1.234,5;ü\n".encode("utf-16")),
        ("t.csv.gz", gzip.compress(b"a|b\n1|2\n", mtime=0)),
        ("t.jsonl", b'{"a":1,"b":"x"}\n{"a":2.5,"b":null}\n'),
        ("t.xlsx", b""),
    ],
)
def test_a_damaged_table_is_read_or_refused_in_words(tmp_path, name, content):
    deal = random.Random(12)
    content = content or workbook(tmp_path / name, SHEET).read_bytes()
    formats = [None, TableFormat(decimal=",", separator=";"), TableFormat(separator="blanks", skip_lines=1)]
    for _ in range(1000):
        (tmp_path / name).write_bytes(damaged(content, deal))
        try:
            file = open_table(tmp_path / name, (), deal.choice(formats), later=name == "t.xlsx" or deal.random() < 0.5)
            for _ in file.pieces(list(dict.fromkeys(file.headers)), size=100):
                pass
        except DataError as error:
            assert all(problem.what for problem in error.problems)
