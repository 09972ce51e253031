"""Two mistakes in one table, in any two roles: both are told, whatever they are, and nothing else happens."""

import csv
import io
import json
import random
from itertools import combinations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import paint, write_experiment, write_table

from mmtrain import config
from mmtrain.config.yaml_source import Origin
from mmtrain.errors import Problem
from mmtrain.pipeline.checks.validate import validate_experiment

ROWS = 24
COLUMNS = {
    "scan": {"role": "image", "size": [8, 8], "channels": 1},
    "age": {"role": "numeric", "missing": "error"},
    "sex": {"role": "categorical", "missing": "error"},
    "note": {"role": "text", "missing": "error"},
    "sick": {"role": "target", "task": "binary", "positive": "yes"},
    "kind": {"role": "target", "task": "multiclass"},
    "tags": {"role": "target", "task": "multilabel", "separator": ";"},
    "dose": {"role": "target", "task": "regression"},
    "patient": {"role": "group"},
    "row": {"role": "id"},
    "part": {"role": "split"},
    "weight": {"role": "weight"},
}
EXPERIMENT = {"columns": COLUMNS, "split": {"method": "column"}, "data": {"images": "images"}}
NO_NUMBER = "'abc' is not a number."
BAD_CELLS = {
    "scan": ("broken.png", "broken.png: "),
    "age": ("abc", NO_NUMBER),
    "sick": ("perhaps", "`task: binary` has two classes, the column has 3: no, perhaps and yes."),
    "dose": ("abc", NO_NUMBER),
    "row": ("r2", "the id 'r2' occurs more than once."),
    "part": ("ward 9", "'ward 9' is not a part."),
    "weight": ("-1", "the weight -1 is negative."),
}
"""By column: a cell that its role does not accept, and what is said of it."""
EMPTY = {("row", "empty cell"): "the id is empty.", ("row", "all empty"): "the id is empty.", ("tags", "all empty"): "no row has a label."}
"""What is said of empty cells, where it is not that the cell is empty."""


def row(number):
    """What the row of this number holds, without a mistake."""
    return {
        "scan": f"{number % 4}.png",
        "age": str(20 + number),
        "sex": "fm"[number % 2],
        "note": f"seen {'well ' * (number % 3 + 1)}",
        "sick": ("yes", "no")[number % 2],
        "kind": "abc"[number % 3],
        "tags": ("red;blue", "blue", "red")[number % 3],
        "dose": str(number / 2),
        "patient": f"p{number}",
        "row": f"r{number}",
        "part": ("train", "train", "validation", "test")[number // 6],
        "weight": str(1 + number % 2),
    }


def mistakes():
    """Every mistake of every role: (column, kind)."""
    for column in COLUMNS:
        for kind in ("no header", "two headers", "empty cell", "all empty", "encoding", "bad cell"):
            fine = column not in BAD_CELLS if kind == "bad cell" else (column, kind) == ("tags", "empty cell")  # a row without labels
            if not fine:
                yield column, kind


def table(*wanted, spots=(3, 8), write=None):
    """The bytes of a table with these mistakes; the second is some rows below the first, unless `spots` say otherwise."""
    headers = list(COLUMNS)
    rows = [row(number) for number in range(ROWS)]
    for place, (column, kind) in enumerate(wanted):
        spot = spots[place]
        if kind == "no header":
            headers[headers.index(column)] = f"other {place}"
        elif kind == "two headers":
            headers.append(column)
        else:
            cell = {"encoding": "M\udcfcller", "bad cell": BAD_CELLS.get(column, ("",))[0]}.get(kind, "")
            for one in rows if kind == "all empty" else rows[spot : spot + 1]:
                one[column] = cell
    if write is not None:
        return write([dict(zip(headers, one.values(), strict=True)) for one in rows])
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(headers)
    lines.writerows([*one.values(), *("x" for _ in headers[len(COLUMNS) :])] for one in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


def as_parquet(rows):
    """The same as a Parquet file with empty cells for empty texts."""
    written = io.BytesIO()
    pq.write_table(pa.table({header: [one[header] or None for one in rows] for header in rows[0]}), written)
    return written.getvalue()


def as_json_lines(rows):
    """The same as JSON Lines."""
    return "".join(f"{json.dumps(one)}\n" for one in rows).encode()


FORMATS = {"table.parquet": as_parquet, "table.jsonl": as_json_lines}
"""Where headers cannot occur twice, and every text can be decoded."""


def said(column, kind, name="table.csv"):
    """(where, what) that a problem has of this mistake, as parts of the whole."""
    if kind == "no header":
        return f"columns.{column}", f"has no column '{column}'."
    if kind == "two headers":
        return name, f"2 columns have the header '{column}'."
    if kind == "encoding":
        return f"{name}:", "the byte 0xFC is not UTF-8 text."
    if kind == "bad cell":
        return f": {column}", BAD_CELLS[column][1]
    return f": {column}", EMPTY.get((column, kind), "the cell is empty.")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """An experiment with every role and task, and its images."""
    folder = tmp_path_factory.mktemp("mistakes")
    for number in range(4):
        paint(folder / "images" / f"{number}.png", 60 * number)
    (folder / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    path = write_experiment(folder / "clinic.yaml", EXPERIMENT)
    return config.load(path), Origin(path)


def examined(experiment, *wanted, name="table.csv", **options):
    """What is said of a table with these mistakes, a (where, what) each."""
    loaded, origin = experiment
    path = loaded.data.table.with_name(name)
    path.write_bytes(table(*wanted, write=FORMATS.get(name), **options))
    loaded = loaded.model_copy(update={"data": loaded.data.model_copy(update={"table": path})})
    return [(problem.where, problem.what) for problem in validate_experiment(loaded, origin).problems]


def untold(experiment, *wanted, **options):
    """The mistakes that nothing is said of."""
    problems = examined(experiment, *wanted, **options)
    return [
        (column, kind)
        for column, kind in wanted
        if not any(said(column, kind)[0] in where and said(column, kind)[1] in what for where, what in problems)
    ]


def test_a_table_without_a_mistake(experiment):
    assert examined(experiment) == []


def test_every_mistake_is_told_with_one_of_another_role(experiment):
    chosen = list(mistakes())
    half = len(chosen) // 2
    assert half > 20
    for pair in zip(chosen[:half], chosen[half:], strict=False):
        assert not untold(experiment, *pair), pair


@pytest.mark.slow
def test_all_pairs_of_mistakes_in_two_roles(experiment):
    pairs = [pair for pair in combinations(mistakes(), 2) if pair[0][0] != pair[1][0]]
    assert len(pairs) > 1900
    assert [pair for pair in pairs if untold(experiment, *pair)] == []


@pytest.mark.slow
@pytest.mark.parametrize("spots", [(8, 3), (5, 5)])
def test_pairs_of_mistakes_in_another_order_and_in_one_row(experiment, spots):
    pairs = [pair for pair in combinations(mistakes(), 2) if pair[0][0] != pair[1][0]]
    chosen = random.Random(sum(spots)).sample(pairs, 200)
    assert [pair for pair in chosen if untold(experiment, *pair, spots=spots)] == []


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("number", [10, pytest.param(300, marks=pytest.mark.slow)])
def test_pairs_of_mistakes_in_other_formats(experiment, name, number):
    kinds = [one for one in mistakes() if one[1] not in ("two headers", "encoding")]
    pairs = [pair for pair in combinations(kinds, 2) if pair[0][0] != pair[1][0]]
    assert [pair for pair in random.Random(number).sample(pairs, number) if untold(experiment, *pair, name=name)] == []


def test_a_weight_and_a_word_in_a_number(tmp_path):
    rows = [{"age": "abc" if number == 1 else 20 + number, "w": 1, "y": "ab"[number % 2]} for number in range(20)]
    write_table(tmp_path / "table.csv", rows)
    tree = {"columns": {"age": {"role": "numeric"}, "w": {"role": "weight"}, "y": {"role": "target", "task": "binary", "positive": "b"}}}
    path = write_experiment(tmp_path / "clinic.yaml", tree)
    fix = "Write a number, or list 'abc' under `data.missing_values` if it stands for a missing value."
    assert validate_experiment(config.load(path), Origin(path)).problems == (Problem("table.csv:3: age", "'abc' is not a number.", fix),)


def test_rows_that_do_not_reach_and_a_byte_that_is_no_text(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"x,y\n1,a\n2,M\xfcller\n3\n4,b\n")
    path = write_experiment(
        tmp_path / "clinic.yaml", {"columns": {"x": {"role": "numeric"}, "y": {"role": "target", "task": "multiclass"}}}
    )
    assert validate_experiment(config.load(path), Origin(path)).problems == (
        Problem(
            "table.csv:3",
            "the byte 0xFC is not UTF-8 text.",
            "Save the table as UTF-8 (in Excel: `CSV UTF-8`), or set `encoding` in `data.format`.",
        ),
        Problem("table.csv:4", "the row has 1 cell, the header has 2.", "Write a cell for every header, also where it is empty."),
    )


def test_a_image_whose_name_is_no_text_and_another_that_cannot_be_read(tmp_path):
    for number in range(6):
        paint(tmp_path / f"{number}.png", 40 * number)
    (tmp_path / "2.png").write_bytes(b"no image")
    scans = [b"0.png", b"M\xfcller.png", b"1.png", b"3.png"]
    lines = [b"scan,photo,y", *(b"%s,%d.png,%s" % (scan, row, b"ab"[row % 2 :][:1]) for row, scan in enumerate(scans))]
    (tmp_path / "table.csv").write_bytes(b"\n".join(lines) + b"\n")
    images = {key: {"role": "image", "size": [8, 8]} for key in ("scan", "photo")}
    path = write_experiment(tmp_path / "clinic.yaml", {"columns": {**images, "y": {"role": "target", "task": "multiclass"}}})
    told = [(problem.where, problem.what) for problem in validate_experiment(config.load(path), Origin(path)).problems]
    assert told[0] == ("table.csv:3", "the byte 0xFC is not UTF-8 text.")
    assert told[1][0] == "table.csv:4: photo"
    assert told[1][1].startswith("2.png: ")


def test_letters_of_a_parquet_file_that_are_no_text_and_a_word_in_a_number(tmp_path):
    letters = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"x\xfc")])
    columns = {
        "x": pa.array(["1", "2", "abc", *"456789"]),
        "site": pa.chunked_array([letters] * 4 + [letters[:1]]),
        "y": pa.array([*"abcabcabc"]),
    }
    pq.write_table(pa.table(columns), tmp_path / "table.parquet")
    tree = {
        "data": {"table": "table.parquet"},
        "columns": {"x": {"role": "numeric"}, "site": {"role": "categorical"}, "y": {"role": "target", "task": "multiclass"}},
    }
    path = write_experiment(tmp_path / "clinic.yaml", tree)
    told = [(problem.where, problem.what) for problem in validate_experiment(config.load(path), Origin(path)).problems]
    assert told == [("table.parquet: row 1: site", "the cell is not UTF-8 text."), ("table.parquet: row 2: x", "'abc' is not a number.")]


@pytest.mark.parametrize(
    ("table_format", "lines", "told"),
    [
        (
            {"separator": "blanks"},
            [b"site  x  note y", b"M\xfcller 1 n a", b"b abc n a", b"b 2 n a", *(b"c %d n b" % row for row in range(8))],
            "the byte 0xFC is not UTF-8 text.",
        ),
        (
            {"encoding": "cp1252"},
            [b"site,x,note,y", b"M\x81ller,1,n,a", b"b,abc,n,a", b"b,2,n,a", *(b"c,%d,n,b" % row for row in range(8))],
            "the file is not text in the encoding cp1252.",
        ),
    ],
)
def test_a_byte_that_is_no_text_and_a_word_in_a_number_whatever_reads_the_table(tmp_path, table_format, lines, told):
    (tmp_path / "table.csv").write_bytes(b"\n".join(lines) + b"\n")
    roles = {"site": {"role": "categorical"}, "x": {"role": "numeric"}, "y": {"role": "target", "task": "multiclass"}}
    path = write_experiment(tmp_path / "clinic.yaml", {"data": {"format": table_format}, "columns": roles})
    assert [problem.what for problem in validate_experiment(config.load(path), Origin(path)).problems] == [told, "'abc' is not a number."]
    # A column that is not read may hold anything, as it may where Arrow reads the table.
    unread = write_experiment(tmp_path / "unread.yaml", {"data": {"format": table_format}, "columns": {"x": roles["x"], "y": roles["y"]}})
    assert [problem.what for problem in validate_experiment(config.load(unread), Origin(unread)).problems] == ["'abc' is not a number."]
