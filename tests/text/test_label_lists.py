"""Several labels in one cell: lists and separators taken apart, and recognised where nobody has said so."""

import csv
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mmtrain.audit.profiling.table_profile import profile_table
from mmtrain.cli.app import run
from mmtrain.commands.check import check
from mmtrain.commands.init import init
from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.errors import DataError
from mmtrain.targets import BinaryTarget, MulticlassTarget, MultilabelTarget
from mmtrain.text.label_lists import labels_in, read_list, recognise, written

LABELS = ["scab", "rust", "mildew", "complex", "frog_eye"]
N = 120


def drawn(row, names=LABELS, most=3):
    """One to `most` of the names, in an order that differs; the same for every run."""
    random = np.random.Generator(np.random.PCG64(row))
    return [names[place] for place in random.permutation(len(names))[: random.integers(1, most + 1)]]


def counts(cells):
    return pd.Series(list(cells), dtype="str").value_counts().to_dict()


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("[]", []),
        ("{}", []),
        ("set()", []),
        ("['a', 'b c']", ["a", "b c"]),
        ('["a", "b"]', ["a", "b"]),
        ('[ "\\u00e9" ]', ["é"]),
        ("['it\\'s', \"or 'not'\"]", ["it's", "or 'not'"]),
        ("['a' 'b']", ["a", "b"]),
        ("['a'\n 'b']", ["a", "b"]),
        ("array(['a', 'b'], dtype=object)", ["a", "b"]),
        ("[np.str_('a'), np.str_('b')]", ["a", "b"]),
        ("('a',)", ["a"]),
        ("{'a', 'b'}", ["a", "b"]),
        ("frozenset({'a'})", ["a"]),
        ('{a,"b c"}', ["a", "b c"]),
        ("[a, b c, d]", ["a", "b c", "d"]),
        ("[1 2 3]", ["1", "2", "3"]),
        ("[1, 2]", ["1", "2"]),
        ("[None, 'a', nan]", ["a"]),
        ("[null, true]", ["true"]),
        ("{'a': 1}", None),
        ("[[1], [2]]", None),
        ("[", None),
        ("[a", None),
        ("a, b", None),
    ],
)
def test_lists_are_read_however_they_are_written(cell, labels):
    assert read_list(cell) == labels


@pytest.mark.parametrize(
    ("cell", "separator", "labels"),
    [
        ("a, b ,a,", ",", ["a", "b"]),
        ("  a \t b  a", " ", ["a", "b"]),
        ("a+b", "+", ["a", "b"]),
        ("['b', 'a', ' b ']", "list", ["b", "a"]),
        ("plain", "list", ["plain"]),
        (" ", "list", [" "]),
    ],
)
def test_labels_of_a_cell_count_once_and_are_trimmed(cell, separator, labels):
    assert labels_in(cell, separator) == [label.strip() for label in labels if label.strip()]


LISTS = {
    "comma": (",", [", ".join(drawn(row)) for row in range(N)]),
    "comma without blanks": (",", [",".join(drawn(row)) for row in range(N)]),
    "blank": (" ", [" ".join(drawn(row)) for row in range(N)]),
    "slash": ("/", ["/".join(drawn(row)) for row in range(N)]),
    "plus": ("+", [" + ".join(drawn(row)) for row in range(N)]),
    "semicolon": (";", ["; ".join(drawn(row)) for row in range(N)]),
    "bar": ("|", ["|".join(drawn(row)) for row in range(N)]),
    "list of Python": ("list", [str(drawn(row)[row % 2 :]) for row in range(N)]),
    "list of JSON": ("list", [json.dumps(drawn(row)[row % 2 :]) for row in range(N)]),
    "list of NumPy": ("list", [str(np.array(drawn(row))) for row in range(N)]),
    "sorted": (",", [",".join(sorted(drawn(row))) for row in range(N)]),
    "never alone": (",", [", ".join([*drawn(row, most=2), "day" if row % 3 else "night"]) for row in range(3 * N)]),
    "numbered": (" ", [" ".join(drawn(row, [str(number) for number in range(28)])) for row in range(3 * N)]),
    "labels of two words": (",", [", ".join(drawn(row, ["New York", "oil spill", "dust", "old town"])) for row in range(N)]),
    "few lists": (" ", ["scab"] * 60 + ["rust"] * 40 + ["mildew"] * 40 + ["scab rust", "rust mildew", "scab mildew"] * 2),
}


@pytest.mark.parametrize(("separator", "cells"), LISTS.values(), ids=LISTS)
def test_few_labels_that_make_many_combinations_are_recognised(separator, cells):
    found = recognise(counts(cells))
    assert (found.separator, found.sure) == (separator, True)
    assert found.labels == len({label for cell in cells for label in labels_in(cell, separator)})


WORDS = [
    *("patient", "feels", "well", "lesion", "grows", "fast", "slow", "dark", "border"),
    *("irregular", "old", "skin", "arm", "leg", "pain", "itch"),
]
OTHERS = {
    "classes with a blank": ["not sure", "sure", "New York", "Los Angeles", "unsure"] * 20,
    "degrees": ["good", "very good", "bad", "very bad", "neutral"] * 20,
    "negations": ["not a1", "not b1", "not c1", "not d1", "a1", "b1", "c1", "d1"] * 20,
    "colours": ["light blue", "dark blue", "blue", "dark green", "green", "light green", "red", "dark red"] * 20,
    "stages": ["Stage I", "Stage II", "Stage III"] * 30,
    "city and country": ["Paris, France", "Lyon, France", "London, UK", "Rome, Italy", "London", "Paris"] * 20,
    "names": [f"Smith{row % 9}, John{row % 7}" for row in range(N)],
    "addresses": [f"{row} Main St, Springfield, IL" for row in range(N)],
    "and/or": ["and/or", "and", "or", "n/a"] * 20,
    "ranges": ["10-20", "20-30", "30+"] * 30,
    "dates": [f"2021/05/{1 + row % 28:02}" for row in range(N)],
    "fractions": ["1/2", "3/4", "1", "2", "1/4"] * 20,
    "blood pressure": [f"{100 + row % 40}/{60 + row % 30}" for row in range(N)],
    "blood groups": ["A+", "A-", "B+", "AB+", "O-", "O+"] * 20,
    "paths": ["animal/dog", "animal/cat", "animal", "vehicle", "vehicle/car", "vehicle/bus"] * 20,
    "three attributes": ["/".join(["rgb"[row % 3], ["big", "small"][row % 2], ["round", "flat"][row // 2 % 2]]) for row in range(N)],
    "decimal commas": [f"{row * 7 % 10},{row % 10}" if row % 4 else str(row % 10) for row in range(N)],
    "thousands": [f"{1 + row % 9},{100 + row * 7 % 900}" for row in range(N)],
    "vectors": [str([row / 8, row / 16]) for row in range(N)],
    "boxes": [str([row % 50, row % 40, row % 30 + 60, row % 20 + 90]) for row in range(N)],
    "texts": [" ".join(WORDS[(row * 7 + place * (1 + row % 5)) % len(WORDS)] for place in range(4 + row % 6)) for row in range(N)],
    "one combination between blanks": ["cat", "dog", "cat dog"] * 30,
    "a class with the name of another in it": ["cat", "cat, small", "dog"] * 30,
    "one combination, too seldom": ["cat"] * 30 + ["dog"] * 30 + ["cat,dog"] * 2,
    "classes": LABELS * 20,
}


@pytest.mark.parametrize("cells", OTHERS.values(), ids=OTHERS)
def test_names_numbers_and_texts_are_no_label_lists(cells):
    assert recognise(counts(cells)) is None


@pytest.mark.parametrize(("rows", "lists"), [(400, 8), (100, 3)], ids=["a fiftieth of the rows", "three rows, where a fiftieth is fewer"])
@pytest.mark.parametrize("separator", [";", ","])
def test_so_many_rows_with_several_labels_are_enough_and_one_fewer_is_not(rows, lists, separator):
    pairs = ["scab rust", "rust mildew", "mildew complex", "scab complex", "scab mildew", "rust complex", "complex mildew", "mildew rust"]
    cells = [pair.replace(" ", separator) for pair in pairs]
    for number, known in ((lists, True), (lists - 1, False)):
        column = [*cells[:number], *(LABELS[row % 4] for row in range(rows - number))]
        found = recognise(counts(column))
        assert (found is not None and found.sure) is known
        # A single combination is no proof, but its labels stand alone elsewhere.
        column = [cells[0]] * number + [LABELS[row % 4] for row in range(rows - number)]
        assert (recognise(counts(column)) is not None) is known


def test_brackets_in_nineteen_of_twenty_cells_are_lists_and_in_fewer_are_not():
    lists = [json.dumps(drawn(row)) for row in range(95)]
    assert recognise(counts([*lists, *["unknown"] * 5])).separator == "list"
    assert recognise(counts([*lists, *["unknown"] * 6])) is None


@pytest.mark.parametrize("separator", [",", "/", "+", "&", ";"])
def test_one_combination_of_classes_may_be_a_label_list(tmp_path, separator):
    cells = ["cat", "dog", f"cat{separator}dog"] * 30
    found = recognise(counts(cells))
    assert (found.separator, found.labels, found.combinations, found.sure) == (separator, 2, 1, False)
    (tmp_path / "t.csv").write_text("age,y\n" + "".join(f'{row % 7}.5,"{cell}"\n' for row, cell in enumerate(cells)))
    target = profile_table(tmp_path / "t.csv").columns[1].guess
    assert target.options == {"task": "multilabel", "separator": separator}


@pytest.mark.parametrize("separator", [";", ",", " ", "list"])
def test_predictions_are_written_so_that_they_are_read_back(separator):
    cells = pd.Series([written(drawn(row), separator) for row in range(N)] + [written([], separator)], dtype="str")
    fitted = MultilabelTarget(column="y", task="multilabel", separator=separator).fit({"y": cells}, "none")
    truth = fitted.truth({"y": cells})
    assert fitted.labels == tuple(sorted(LABELS))
    assert truth.sum() == sum(len(drawn(row)) for row in range(N))
    spoken = pd.Series(fitted.decode_truth(truth), dtype="str").replace("", None)
    assert fitted.parse_truth({"truth": spoken}).tolist() == truth.tolist()


def test_a_list_is_exported_as_it_is_written():
    tf = pytest.importorskip("tensorflow")
    cells = pd.Series(['["a \\"b\\"", "é"]', "[]", '["é"]'], dtype="str")
    fitted = MultilabelTarget(column="y", task="multilabel", separator="list").fit({"y": cells}, "none")
    served = fitted.serving_outputs(tf.constant([[0.9, 0.8], [0.1, 0.2], [0.1, 0.7]]))["prediction"].numpy()
    assert [text.decode() for text in served] == fitted.decode_truth(np.array([[1, 1], [0, 0], [0, 1]])).tolist() == cells.tolist()


def test_another_separator_than_the_files_is_refused():
    target = MultilabelTarget(column="y", task="multilabel")
    cells = pd.Series(LISTS["comma"][1], dtype="str")
    (fault,) = target.faults(cells)
    assert fault.what == f"no cell holds the separator ';', but {cells[fault.rows[0]]!r} looks like several labels between ','."
    assert fault.fix == 'Set `separator: ","`.'
    assert [fault.fix for fault in target.faults(pd.Series(LISTS["list of JSON"][1], dtype="str"))] == ["Set `separator: list`."]
    assert target.faults(pd.Series(["beach", "sea", "beach"], dtype="str")) == []


def test_a_cell_that_is_no_list_is_refused():
    (fault,) = MultilabelTarget(column="y", task="multilabel", separator="list").faults(pd.Series(["['a']", "b", None, "c"], dtype="str"))
    assert (fault.rows.tolist(), fault.what) == ([1, 3], "'b' is not a list of labels.")
    assert fault.fix == 'Write it like ["a", "b"] or [], or set `separator` to what stands between labels.'


def test_classes_that_are_label_lists_are_doubted():
    cells = pd.Series(LISTS["blank"][1], dtype="str")
    (doubt,) = MulticlassTarget(column="y", task="multiclass").doubts(cells)
    example = cells[doubt.rows[0]]
    assert doubt.what == f"{example!r} looks like several labels between blanks: 5 labels make {cells.nunique()} classes."
    assert doubt.fix == 'Set `task: multilabel` and `separator: " "` if a row can have several of them.'
    assert MulticlassTarget(column="y", task="multiclass").doubts(pd.Series(OTHERS["city and country"], dtype="str")) == []
    too_many = BinaryTarget(column="y", task="binary").faults(cells)[0]
    assert too_many.fix == f'Set `task: multilabel` and `separator: " "`: {example!r} looks like several labels.'


def table(folder, cells):
    path = folder / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        ages = [20 + row * 7 % 59 + 0.5 for row in range(len(cells))]
        csv.writer(file).writerows([("age", "labels"), *zip(ages, cells, strict=True)])
    return path


@pytest.mark.parametrize(("separator", "cells"), LISTS.values(), ids=LISTS)
def test_init_writes_what_check_accepts(tmp_path, separator, cells):
    done = init(table(tmp_path, cells), file=tmp_path / "t.yaml")
    target = yaml.safe_load(done.file.read_text(encoding="utf-8"))["columns"]["labels"]
    assert target == {"role": "target", "task": "multilabel", "separator": separator}
    assert check(done.file).notes == ()


def test_check_and_fit_warn_of_classes_that_are_lists(tmp_path, capsys):
    table(tmp_path, LISTS["comma"][1])
    file = tmp_path / "t.yaml"
    file.write_text(
        "data: {table: t.csv}\ncolumns:\n  age: {role: numeric}\n  labels: {role: target, task: multiclass}\nsplit: {method: random}\n",
        encoding="utf-8",
    )
    (note,) = check(file).notes
    assert note.startswith("warning: t.csv:")
    assert note.endswith('Set `task: multilabel` and `separator: ","` if a row can have several of them.')
    assert run(["check", str(file)]) == 0
    assert " ".join(capsys.readouterr().err.split()) == f"{note} Train it: mmtrain fit {file}"
    assert run(["check", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [note]
    assert run(["check", str(file), "--set", "split.method=stratified"]) == 3
    refused = " ".join(capsys.readouterr().err.split())
    assert refused.startswith(f"{note} The data cannot be used as they are")
    assert "40 classes have fewer rows than the 3 parts" in refused
    assert run(["inspect-data", str(file), "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [(one["level"], one["where"]) for one in findings if one["kind"] == "label_lists"] == [("warning", "labels")]


def test_lists_of_typed_tables_are_labels(tmp_path):
    lists = [drawn(row)[row % 2 :] for row in range(N)]
    frame = pd.DataFrame({"age": [20 + row * 7 % 59 + 0.5 for row in range(N)], "labels": lists})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "t.parquet")
    done = init(tmp_path / "t.parquet", file=tmp_path / "t.yaml")
    assert yaml.safe_load(done.file.read_text(encoding="utf-8"))["columns"]["labels"] == {
        "role": "target",
        "task": "multilabel",
        "separator": "list",
    }
    assert check(done.file).rows == N
    of_file = next(open_table(tmp_path / "t.parquet").pieces(["labels"], size=N))["labels"].tolist()
    assert of_file == [json.dumps(labels) for labels in lists]
    assert next(FrameTable(frame).pieces(["labels"], size=N))["labels"].tolist() == of_file


def test_lists_of_other_things_are_no_cells(tmp_path):
    pq.write_table(pa.table({"y": pa.array([[True], [False]])}), tmp_path / "t.parquet")
    assert open_table(tmp_path / "t.parquet").refusal("y") == "the column is of type list<element: bool>."
    assert FrameTable(pd.DataFrame({"y": [[True], ["a"]]})).refusal("y") == "the column holds objects of type list."


def test_the_wrong_separator_stops_check(tmp_path):
    table(tmp_path, LISTS["slash"][1])
    file = tmp_path / "t.yaml"
    file.write_text(
        "data: {table: t.csv}\ncolumns:\n  age: {role: numeric}\n  labels: {role: target, task: multilabel}\n", encoding="utf-8"
    )
    with pytest.raises(DataError) as refused:
        check(file)
    assert str(refused.value).endswith("looks like several labels between '/'. Set `separator: \"/\"`.")
