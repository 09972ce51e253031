"""Lists of numbers in Parquet files and DataFrames are cells, as vectors and series have them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmtrain.columns import Embedding, TimeSeries
from mmtrain.data.tables.file_formats.frame_table import FrameTable
from mmtrain.data.tables.read_table import read

CELLS = ["[0.1, 2, -3.5]", None, "[1, null, 0.3]"]


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.float32()), pa.list_(pa.float64()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 3)],
    ids=["float32", "float64", "large", "fixed"],
)
def test_lists_of_numbers_in_parquet_are_cells(tmp_path, kind):
    vectors = pa.array([[0.1, 2, -3.5], None, [1, None, 0.3]], kind)
    pq.write_table(pa.table({"face": vectors}), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet", {"face": TimeSeries(column="face")})
    assert table.cells("face").replace({np.nan: None}).tolist() == CELLS


def test_whole_numbers_and_nan_in_parquet(tmp_path):
    columns = {
        "count": pa.array([[1, 2], []], pa.list_(pa.int16())),
        "value": pa.array([[float("nan"), 1e30], [5.0]], pa.list_(pa.float64())),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet", {name: TimeSeries(column=name) for name in columns})
    assert table.cells("count").tolist() == ["[1, 2]", "[]"]
    assert table.cells("value").tolist() == ["[null, 1e+30]", "[5]"]


@pytest.mark.parametrize(
    "values",
    [
        [[0.1, 2, -3.5], None, [1, None, 0.3]],
        [np.array([0.1, 2, -3.5], np.float32), None, np.array([1, np.nan, 0.3], np.float32)],
        [(0.1, 2, -3.5), None, "[1, null, 0.3]"],
    ],
    ids=["lists", "arrays", "mixed"],
)
def test_lists_and_arrays_in_a_frame_are_cells(values):
    file = FrameTable(pd.DataFrame({"face": pd.Series(values, dtype=object)}))
    assert file.refusal("face") == ""
    (piece,) = file.pieces(["face"], size=10)
    assert piece["face"].replace({np.nan: None}).tolist() == CELLS


def test_width_of_vectors_in_parquet_is_checked(tmp_path):
    pq.write_table(pa.table({"face": pa.array([[1.0, 2.0], [1.0]])}), tmp_path / "t.parquet")
    with pytest.raises(Exception, match=r"t\.parquet: row 1: face: the vector has 1 number, and that of the first row 2\."):
        read(tmp_path / "t.parquet", {"face": Embedding(column="face")})
