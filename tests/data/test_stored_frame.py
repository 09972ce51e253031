"""DataFrames kept as files: every cell reads as it does in memory, once per content, with its index beside it."""

import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mmtrain.data.tables.file_formats.formats import open_table
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.data.tables.stored_frame import index_of, reported_as_frame, store
from mmtrain.errors import DataError, Problem, RunError

COLUMNS = {
    "float": [1, 2.5, np.nan],
    "int": [1, 2, 3],
    "nullable": pd.array([1, None, 3], dtype="Int64"),
    "bool": [True, False, True],
    "text": ["001", None, "NA"],
    "mixed": [1, "z", Path("q.png")],
    "category": pd.Categorical(["u", "v", "u"]),
    "moment": pd.to_datetime(["2024-01-01", None, "2024-01-03 10:00"], format="ISO8601"),
    "day": [datetime.date(2024, 1, 1)] * 3,
    "period": pd.period_range("2020", periods=3, freq="M"),
    "sparse": pd.arrays.SparseArray([0.0, 0.0, 1.5]),
    7: [0.1, 0.2, 0.3],
}


def read(file):
    return next(iter(file.pieces(list(file.headers), size=10)))


def test_every_cell_reads_as_in_memory_and_keeps_its_type(tmp_path):
    frame = pd.DataFrame(COLUMNS)
    stored, own = open_table(store(frame, tmp_path)), FrameTable(frame)
    assert stored.headers == own.headers
    cells, expected = read(stored), read(own)
    for header in own.headers:
        pd.testing.assert_series_equal(cells[header], expected[header])
        assert stored.typed(header) == own.typed(header), header
    assert cells["mixed"].tolist() == ["1", "z", "q.png"]


def test_columns_without_cells_are_refused_where_they_are_used_and_nowhere_else(tmp_path):
    frame = pd.DataFrame({"x": [1], "list": [[True]], "bytes": [b"a"]})
    file = open_table(store(frame, tmp_path))
    assert [file.refusal(header) for header in file.headers] == ["", *["the column is of type large_binary."] * 2]


def test_the_same_content_is_one_file_and_another_content_is_another(tmp_path):
    frame = pd.DataFrame({"x": [1, 2]})
    file = store(frame, tmp_path / "tables")
    before = file.stat()
    assert store(frame.copy(), tmp_path / "tables") == file
    assert file.stat() == before
    assert store(frame + 1, tmp_path / "tables") != file
    assert len(list((tmp_path / "tables").iterdir())) == 2


@pytest.mark.parametrize(
    "index",
    [
        pd.Index(["a", "b", "b"]),
        pd.Index([5, 3, 1], name="patient"),
        pd.RangeIndex(3, 6),
        pd.MultiIndex.from_tuples([("u", 1), ("u", 2), ("v", 1)], names=[None, "visit"]),
    ],
)
def test_the_index_is_given_back(index, tmp_path):
    found = index_of(store(pd.DataFrame({"x": [1, 2, 3]}, index=index), tmp_path))
    assert found.equals(pd.Index(index.tolist()) if isinstance(index, pd.RangeIndex) else index)
    assert found.names == index.names


def test_a_plain_index_and_a_table_of_somebody_else_have_none(tmp_path):
    assert index_of(store(pd.DataFrame({"x": [1]}), tmp_path)) is None
    assert index_of(store(pd.DataFrame({"x": [1]}, index=[object()]), tmp_path)) is None
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "other.parquet")
    assert index_of(tmp_path / "other.parquet") is None
    assert index_of(tmp_path / "gone.parquet") is None


def test_what_is_not_a_table_is_refused(tmp_path):
    with pytest.raises(DataError) as refused:
        store([1], tmp_path)
    fix = "Give the path of a table, or a pandas DataFrame with a column per header."
    assert str(refused.value) == f"table: a table is expected; found a list. {fix}"
    with pytest.raises(DataError) as refused:
        store(pd.DataFrame(index=[1]), tmp_path)
    assert str(refused.value) == "the DataFrame: it has no columns. Give a DataFrame with a column per header."
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="the file cannot be written"):
        store(pd.DataFrame({"x": [1]}), tmp_path / "file")


def test_problems_speak_of_the_frame(tmp_path):
    file = tmp_path / "0123456789abcdef.parquet"
    with pytest.raises(DataError) as refused, reported_as_frame(file):
        raise DataError([Problem(f"{file.name}: row 3: x", "it is empty.", f"Mend {file}.")])
    assert str(refused.value) == "the DataFrame: row 3: x: it is empty. Mend the DataFrame."
