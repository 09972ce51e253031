"""Vectors in cells: what is refused, what is learned, and how each cell is encoded."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.columns import Embedding
from mmtrain.columns.summaries.base import SeenRows
from mmtrain.errors import DataError
from mmtrain.text.number_lists import split_numbers

WRITE = "Write the same number of numbers in every cell, as [0.1, 0.2], or leave the cell empty."
FILES = "Name .npy files with one vector each, and set `folder` to the folder that they are in."


def cells(*values):
    return pd.Series(list(values), dtype="str")


def encoded(fitted, *values):
    numbers, present = fitted.preprocessing()(fitted.raw(cells(*values)))
    return numbers.numpy(), present.numpy().ravel().tolist()


def test_cells_are_read_as_lists_of_numbers():
    values, ends = split_numbers(cells("[0.5, 1e3]", None, "1;-2 .5", "()", '["7", null]', "(1,\n2)", "NaN x 1_0"))
    np.testing.assert_array_equal(values, [0.5, 1000, 1, -2, 0.5, 7, np.nan, 1, 2, np.nan, np.nan, np.nan])
    assert ends.tolist() == [2, 2, 5, 5, 7, 9, 12]


@pytest.mark.parametrize(
    ("options", "values", "rows", "what", "fix"),
    [
        ({}, [None, "[1, 2]", "[1, 2, 3]", "[1]"], [2, 3], "the vector has 3 numbers, and that of the first row 2.", WRITE),
        ({"width": 3}, ["[1, 2]"], [0], "the vector has 2 numbers, and `width` is 3.", WRITE),
        ({}, ["[1, 2]", "[1, null]", "soon"], [1, 2], "'[1, null]' has something that is not a number.", WRITE),
        ({}, ["[1, 2]", "[1e39, 2]"], [1], "'[1e39, 2]' has a number that is too large.", WRITE),
        ({}, ["[]", "[1, 2]"], [0], "the vector has 0 numbers, and that of the first row 2.", WRITE),
        ({}, ["[]", None], [0], "no row has a vector.", "Remove the column from the file, or fill it in."),
        ({}, ["a.npy"], [0], "'a.npy' is the name of a file, and the column has no `folder`.", FILES),
        ({"folder": "vectors"}, ["gone.npy"], [0], "'gone.npy' does not exist.", FILES),
        ({"folder": "vectors"}, ["a.npy", "../a.npy"], [1], "'../a.npy' lies outside of `folder`.", FILES),
        (
            {"folder": "vectors"},
            ["a.npy", "matrix.npy"],
            [1],
            "'matrix.npy' holds an array of shape (1, 2) and type int64, not a vector of numbers.",
            FILES,
        ),
        ({"folder": "vectors"}, ["text.npy"], [0], "'text.npy' cannot be read as an array.", FILES),
        ({}, [None], [0], "no row has a vector.", "Remove the column from the file, or fill it in."),
    ],
)
def test_cells_that_are_no_vectors_are_named(tmp_path, monkeypatch, options, values, rows, what, fix):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vectors").mkdir()
    np.save(tmp_path / "vectors" / "a.npy", np.array([1.5, 2.5], dtype=np.float32))
    np.save(tmp_path / "vectors" / "matrix.npy", np.array([[1, 2]]))
    np.save(tmp_path / "a.npy", np.array([1.5, 2.5]))
    (tmp_path / "vectors" / "text.npy").write_text("1 2", encoding="utf-8")
    (fault,) = Embedding(**options).faults(cells(*values))
    assert (fault.rows.tolist(), fault.what, fault.fix) == (rows, what, fix)


@pytest.mark.usefixtures("tensorflow")
def test_each_number_is_scaled_by_training_rows_and_a_missing_vector_is_their_mean():
    fitted = Embedding().fit([cells("[1, 7]", None), cells("3 7")])
    assert (fitted.width, fitted.center, fitted.scale, fitted.missing) == (2, (2, 7), (1, 1), 1)
    numbers, present = encoded(fitted, "[1, 8]", '["3", "7"]', None, "[1]", "[1, 2, 3]", "[1, x]", "1 1e39")
    assert numbers.tolist() == [[-1, 1, 0], [1, 0, 0], *[[0, 0, 1]] * 5]
    assert present == [1] * 7
    assert np.isnan(fitted.features(numbers, np.ones((7, 1)))).any(axis=1).tolist() == [False, False, *[True] * 5]


@pytest.mark.usefixtures("tensorflow")
def test_number_that_is_the_same_in_all_vectors_is_not_divided_by_rounding_noise():
    vectors = cells(*(f"[0.1, {1e6 + row % 7 / 100}]" for row in range(1000)))
    for pieces in ([vectors], [vectors[:300], vectors[300:]]):
        fitted = Embedding().fit(pieces)
        assert fitted.scale == pytest.approx((1.0, np.std([row % 7 / 100 for row in range(1000)])), rel=1e-5)


@pytest.mark.usefixtures("tensorflow")
def test_vectors_may_have_length_one_or_stay_as_they_are():
    unit = Embedding(normalize="unit", missing="mask").fit([cells("[3, 4]", "[30, 40]")])
    assert unit.center == pytest.approx((0.6, 0.8))
    assert encoded(unit, "[0, 0]", "[6, 8]")[1] == [0, 1]
    plain = Embedding(normalize="none").fit([cells("[3, 4]", "[5, 8]")])
    assert encoded(plain, "[0.1, 0]", None)[0].tolist() == [[np.float32(0.1), 0, 0], [4, 6, 1]]


@pytest.mark.usefixtures("tensorflow")
def test_files_are_read_like_cells(tmp_path):
    np.save(tmp_path / "a.npy", np.array([0.1, 2.5], dtype=np.float32))
    fitted = Embedding(folder=str(tmp_path), normalize="none").fit([cells("a.npy", "[1, 2]")])
    assert encoded(fitted, "a.npy", "gone.npy")[0].tolist() == [[np.float32(0.1), 2.5, 0], [*np.float32(fitted.fill), 1]]


@pytest.mark.usefixtures("tensorflow")
def test_training_rows_without_a_vector_need_a_width():
    with pytest.raises(DataError, match=r"face: no training row has a vector\. State the `width`"):
        Embedding(column="face").fit([cells(None, None)])
    assert Embedding(width=2).fit([cells(None)]).spec.width == 3


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("missing", ["mean", "mask"])
def test_vector_of_another_width_is_refused_when_it_is_predicted(missing):
    column = Embedding(missing=missing)
    fitted = column.fit([cells("[1, 2]", "[3, 4]")])
    later = cells("[1, 2]", "[1]", None, "[1, 2, 3]")
    remarks = column.remarks(later, fitted.raw(later), encoded(fitted, *later)[0])
    assert [(remark.rows.tolist(), remark.what, bool(remark.fix)) for remark in remarks[:2]] == [
        ([1], "'[1]' is not a vector of 2 numbers", True),
        ([3], "'[1, 2, 3]' is not a vector of 2 numbers", True),
    ]
    assert (remarks[2].rows.tolist(), remarks[2].fix) == ([2], "")


@pytest.mark.usefixtures("tensorflow")
def test_vectors_of_another_size_have_drifted():
    fitted = Embedding().fit([cells("[1, 0]", "[0, 1]", "[1, 1]", "[0, 0]")])
    learned, later = fitted.accumulator(), fitted.accumulator()
    for accumulator, factor in ((learned, 1), (later, 9)):
        numbers, present = encoded(fitted, *[f"[{factor * (i % 2)}, {factor * (i % 3)}]" for i in range(60)], None)
        accumulator.add(SeenRows(entries=numbers, present=np.array(present)[:, None]))
    assert (learned.statistics().rows, learned.statistics().missing) == (60, 1)
    (sentence,) = later.drift(learned.statistics()).values()
    assert sentence.startswith("the mean size of the vectors (root mean square, encoded) is ")
