"""`task: vector`: several numbers of a row, of which some may be missing."""

import numpy as np
import pandas as pd
import pytest

from mmtrain.config import load
from mmtrain.errors import ConfigError
from mmtrain.targets import VectorTarget

TARGET = VectorTarget(column="place", columns=("a", "b"), missing="drop")


def table(a, b):
    return {"a": pd.Series(a, dtype="str"), "b": pd.Series(b, dtype="str")}


@pytest.fixture(scope="module")
def fitted():
    return TARGET.fit(table(["1", "3", None], ["10", "30", "20"]), "none")


def test_each_number_is_standardized_by_the_rows_that_have_it(fitted):
    assert TARGET.reads() == ("a", "b")
    assert fitted.centers == (2, 20)
    assert fitted.scales == pytest.approx((1, np.std([10, 30, 20])))
    assert fitted.baseline(1).tolist() == [[2, 20]]
    assert TARGET.numbers(table(["1"], ["2"])) is None


def test_numbers_are_written_as_lists_and_read_again(fitted):
    truth = np.array([[1.5, 0.1], [np.nan, 2], [np.nan, np.nan]])
    words = fitted.decode_truth(truth).tolist()
    assert words == ["[1.5, 0.1]", "[null, 2.0]", ""]
    np.testing.assert_array_equal(fitted.parse_truth({"truth": pd.Series(words, dtype="str").replace("", None)}), truth)
    prediction = np.array([[0.1, 2]], np.float32)
    assert fitted.outputs(prediction)["prediction"].tolist() == ["[0.1, 2.0]"]


@pytest.mark.usefixtures("tensorflow")
def test_loss_leaves_out_the_numbers_that_are_missing(fitted):
    import tensorflow as tf

    raw = tf.Variable(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]], np.float32))
    truth = np.array([[2.0, 20.0], [np.nan, 20.0], [np.nan, np.nan]])
    with tf.GradientTape() as tape:
        losses = fitted.row_loss(tf.constant(truth), raw)
        total = tf.reduce_sum(losses)
    assert losses.numpy().tolist() == [2.5, 2.0, 0.0]
    assert tape.gradient(total, raw).numpy().tolist() == [[1, 2], [0, 2], [0, 0]]
    assert fitted.row_losses(truth, fitted.activation("p")(raw).numpy()) == pytest.approx([2.5, 4.0, np.nan], nan_ok=True)


def test_every_number_has_its_scores_in_a_table(fitted):
    truth = np.array([[1.0, 10.0], [3.0, np.nan], [5.0, 30.0]])
    prediction = np.array([[1.0, 10.0], [3.0, 7.0], [4.0, 30.0]])
    rows = fitted.tables(truth, prediction)["numbers"].rows
    assert [row[:2] for row in rows] == [["a", 3], ["b", 2]]
    assert rows[0][2:] == pytest.approx([1 - 1 / 8, (1 / 3) ** 0.5, 1 / 3])
    assert rows[1][2:] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("[a]", "columns.y.columns"),
        ("[a, b, a]", "columns.y.columns: 'a' is listed twice."),
        ("[a, b], column: c", "columns.y.column: `column` has no effect here: a and b are read. Leave it out."),
    ],
)
def test_one_number_one_twice_and_one_too_many_are_refused_by_the_file(tmp_path, columns, message):
    path = tmp_path / "one.yaml"
    path.write_text(f"data: {{table: t.csv}}\ncolumns: {{x: {{role: numeric}}, y: {{role: target, task: vector, columns: {columns}}}}}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert message in str(caught.value)
