"""Target tasks: what is refused, what training rows teach, and the ways from a cell to a loss and from a network back to words."""

import math

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from mmtrain.targets import (
    AnyFittedTarget,
    BinaryTarget,
    CountTarget,
    GaussianTarget,
    MulticlassTarget,
    MultilabelTarget,
    OrdinalTarget,
    QuantileTarget,
    RegressionTarget,
    tasks,
)
from mmtrain.targets.base import fitted_tasks


def cells(*values):
    return pd.Series(list(values), dtype="str")


def fitted(target, *values, default="none"):
    return target.model_copy(update={"column": "y"}).fit({"y": cells(*values)}, default)


EMPTY = ("the cell is empty.", "Fill it in, or set `missing: drop` to leave the row out.")
COMMA = "Write the decimal point as a dot and leave out thousands separators, or set `decimal` or `thousands` in `data.format`."
TWO_CLASSES = "A target needs at least two classes."
TWO_NUMBERS = ("every row has the same number.", "A target needs at least two different values.")
LABELS = MultilabelTarget(labels=("a", "b"))
FAULTS = [
    (BinaryTarget(), ["no", "yes", "no"], []),
    (BinaryTarget(positive="no"), ["no", "yes"], []),
    (BinaryTarget(), ["a", None, "b", None], [([1, 3], *EMPTY)]),
    (BinaryTarget(missing="drop"), ["a", None, "b"], []),
    (BinaryTarget(), ["a", "a"], [([0], "every row has the class 'a'.", TWO_CLASSES)]),
    (
        BinaryTarget(),
        ["b", "c", "b", "a", "c"],
        [([1], "`task: binary` has two classes, the column has 3: a, b and c.", "Set `task: multiclass`.")],
    ),
    (
        BinaryTarget(positive="Malignant"),
        ["malignant", "benign"],
        [([0], "`positive: Malignant` is not among the classes benign and malignant.", "Set `positive` to benign or malignant.")],
    ),
    (BinaryTarget(missing="drop"), [None], [([0], "no row has a class.", "Fill in the answers.")]),
    (MulticlassTarget(), ["a", "b", "c"], []),
    (MulticlassTarget(), ["a", None, "b"], [([1], *EMPTY)]),
    (MulticlassTarget(missing="drop"), ["a", None, "b"], []),
    (MulticlassTarget(), ["a"], [([0], "every row has the class 'a'.", TWO_CLASSES)]),
    (MulticlassTarget(), [None], [([0], *EMPTY), ([0], "no row has a class.", "Fill in the answers.")]),
    (MultilabelTarget(), ["a;b", None, ""], []),  # no labels at all is an answer
    (MultilabelTarget(), [None, None], [([0], "no row has a label.", "Fill in the answers.")]),
    (LABELS, ["0", "1", " Yes", "FALSE", "1.0", "0.0", "n"], []),
    (
        LABELS,
        ["0", "2", "1", "maybe"],
        [([1, 3], "'2' is neither 0 nor 1.", "Write 1 where the row has the label and 0 where not.")],
    ),
    (LABELS, ["0", None], [([1], *EMPTY)]),
    (LABELS.model_copy(update={"missing": "drop"}), ["0", None], []),
    (RegressionTarget(), ["1", " 2.5e3"], []),
    (RegressionTarget(), ["1", None, "2"], [([1], *EMPTY)]),
    (RegressionTarget(missing="drop"), ["1", None, "2"], []),
    (
        RegressionTarget(),
        ["1", "high", "2"],
        [([1], "'high' is not a number.", "Write a number, or list 'high' under `data.missing_values` if it stands for a missing value.")],
    ),
    (
        RegressionTarget(),
        ["1", "2,5"],
        [([1], "'2,5' is not a number.", COMMA)],
    ),
    (RegressionTarget(), ["inf", "1"], [([0], "'inf' is infinite.", "Write a finite number, or leave the cell empty.")]),
    (
        RegressionTarget(),
        ["1e300", "1"],
        [([0], "'1e300' is too large.", "Write a number between -3.4e38 and 3.4e38, or leave the cell empty.")],
    ),
    (RegressionTarget(), ["3", "3"], [([0], *TWO_NUMBERS)]),
    (RegressionTarget(), ["3", "3.0", "3e0"], [([0], *TWO_NUMBERS)]),
    (RegressionTarget(missing="drop"), ["3", None], [([0], *TWO_NUMBERS)]),
    (
        RegressionTarget(),
        ["1700000000", "1700010000"],  # seconds since 1970
        [
            (
                [0],
                "the numbers lie 5,000 around 1,700,005,000 on average, where predictions (of 32 bits) come in steps of 128.",
                "Subtract the same number from all of them, the smallest for instance.",
            )
        ],
    ),
    (RegressionTarget(), ["1700000000", "1700086400"], []),
    (OrdinalTarget(), ["1", "2", "10"], []),
    (OrdinalTarget(order=("low", "high", "none")), ["none", "low"], []),  # `none` is a level, as it is named
    (
        OrdinalTarget(),
        ["1", "mild", "2"],
        [
            (
                [1],
                "'mild' is not a number, so the order of the levels is not known.",
                "List the levels from the lowest to the highest: `order: [...]`.",
            )
        ],
    ),
    (
        OrdinalTarget(order=("mild", "severe")),
        ["mild", "Severe", "severe"],
        [([1], "'Severe' is not a level of `order`: mild and severe.", "Add it to `order` at its place, or correct the cell.")],
    ),
    (OrdinalTarget(), ["1", None, "2"], [([1], *EMPTY)]),
    (CountTarget(), ["0", "3.0", "1e2"], []),
    (
        CountTarget(),
        ["1", "2.5", "-1"],
        [([1, 2], "'2.5' is not a count: counts are whole numbers of 0 or more.", "Correct the cell, or set `task: regression`.")],
    ),
    (CountTarget(), ["2", "2"], [([0], *TWO_NUMBERS)]),
    (QuantileTarget(), ["0.5", "-1"], []),
    (GaussianTarget(), ["0.5", "0.5"], [([0], *TWO_NUMBERS)]),
    (QuantileTarget(), ["1", None, "2"], [([1], *EMPTY)]),
]


@pytest.mark.parametrize(("target", "values", "expected"), FAULTS)
def test_faults_name_the_rows_what_was_found_and_what_would_be_right(target, values, expected):
    assert [(fault.rows.tolist(), fault.what, fault.fix) for fault in target.faults(cells(*values))] == expected


@pytest.mark.parametrize(
    ("target", "reads", "drops"),
    [
        (BinaryTarget(column="y"), ("y",), False),
        (BinaryTarget(column="y", missing="drop"), ("y",), True),
        (MultilabelTarget(column="y"), ("y",), False),
        (MultilabelTarget(column="y", missing="drop"), ("y",), True),  # an empty cell of labels is an answer, `NA` is none
        (MultilabelTarget(column="y", labels=("a", "b")), ("a", "b"), False),
        (MultilabelTarget(column="y", labels=("a", "b"), missing="drop"), ("a", "b"), True),
    ],
)
def test_target_says_what_it_reads_and_whether_rows_may_go(target, reads, drops):
    assert (target.reads(), target.drops_missing) == (reads, drops)


@pytest.mark.parametrize(
    ("positive", "values", "classes"),
    [
        (None, ["benign", "malignant", "benign"], ("benign", "malignant")),
        (None, ["1", "0"], ("0", "1")),
        (None, ["yes", "no"], ("no", "yes")),
        (None, ["POS", "neg"], ("neg", "POS")),
        (None, ["true", "unknown"], ("unknown", "true")),
        (None, ["Positive", "negative"], ("negative", "Positive")),
        (None, ["y", "yes"], ("y", "yes")),  # both are called so: the last by name
        (None, ["2", "1"], ("2", "1")),
        (None, ["-1", "1"], ("-1", "1")),
        ("benign", ["benign", "malignant"], ("malignant", "benign")),
        ("no", ["yes", "no"], ("yes", "no")),
    ],
)
def test_binary_classes_are_negative_and_positive(positive, values, classes):
    found = fitted(BinaryTarget(positive=positive), *values)
    assert found.classes == found.columns == classes
    assert found.counts == tuple(values.count(name) for name in classes)
    assert found.units == 1


def test_multiclass_classes_are_in_the_order_of_their_names():
    found = fitted(MulticlassTarget(), "b", "10", "a", "9", "B", "b")
    assert (found.classes, found.counts, found.units) == (("10", "9", "B", "a", "b"), (1, 1, 1, 1, 2), 5)
    assert found.columns == found.classes


@pytest.mark.parametrize(
    ("target", "values", "labels", "counts"),
    [
        (MultilabelTarget(), ["b; a", None, "a;;a ", "c"], ("a", "b", "c"), (2, 1, 1)),
        (MultilabelTarget(separator="|"), ["b;a|c", "c"], ("b;a", "c"), (1, 2)),
        (MultilabelTarget(separator=", "), ["b, a", "a"], ("a", "b"), (2, 1)),
    ],
)
def test_multilabel_labels_are_in_the_order_of_their_names(target, values, labels, counts):
    found = fitted(target, *values)
    assert (found.labels, found.counts, found.rows, found.units) == (labels, counts, len(values), len(labels))
    assert found.columns == labels
    assert target.model_copy(update={"column": "y"}).answers({"y": cells(*values)}) == list(labels)


def test_multilabel_reads_one_column_per_label():
    target = MultilabelTarget(labels=("wet", "cold"))
    found = target.fit({"wet": cells("1", "0", "Yes", "1.0"), "cold": cells("0", "no", "0", "t")}, "none")
    assert (found.labels, found.counts, found.rows) == (("wet", "cold"), (3, 1), 4)
    assert found.truth({"cold": cells("1", None), "wet": cells(" TRUE ", "0")}).tolist() == [[1, 1], [0, -1]]


@pytest.mark.parametrize(
    ("error", "values", "center", "scale"),
    [
        ("squared", ["1", "2", "6"], 3, math.sqrt(14 / 3)),
        ("absolute", ["1", "3"], 2, 1),
        ("huber", ["0.1", "0.1", "0.1"], 0.1, 1),  # what is left of a target when training rows are all alike
    ],
)
def test_regression_learns_mean_and_deviation(error, values, center, scale):
    found = fitted(RegressionTarget(error=error), *values)
    assert (found.center, found.scale, found.units, found.columns) == (pytest.approx(center, rel=1e-15), pytest.approx(scale), 1, ())
    assert (found.minimum, found.maximum, found.error) == (float(values[0]), float(values[-1]), error)


ANSWERS = ["b"] * 6 + ["a"] * 3 + ["c"]


@pytest.mark.parametrize(
    ("own", "default", "weights"),
    [
        (None, "none", (1, 1, 1)),
        (None, "balanced", (10 / 9, 10 / 18, 10 / 3)),
        ("none", "balanced", (1, 1, 1)),
        ("balanced", "none", (10 / 9, 10 / 18, 10 / 3)),
        ({"c": 5, "a": 0}, "balanced", (0, 1, 5)),
        (None, {"b": 2}, (1, 2, 1)),
    ],
)
def test_class_weights_are_the_targets_own_or_those_of_training(own, default, weights):
    found = fitted(MulticlassTarget(class_weights=own), *ANSWERS, default=default)
    assert found.weights == pytest.approx(weights)
    truth = np.array([0, 1, 2, 2], dtype=np.int32)
    assert found.row_weights(truth).tolist() == np.float32([*weights, weights[-1]]).tolist()
    assert found.row_weights(truth).dtype == np.float32


@pytest.mark.parametrize("values", [ANSWERS, ["x", "y"], ["x"] * 97 + ["y"] * 3])
def test_balanced_weights_are_those_of_scikit_learn(values):
    from sklearn.utils.class_weight import compute_class_weight

    expected = compute_class_weight("balanced", classes=np.unique(values), y=np.array(values))
    for target in (
        MulticlassTarget(class_weights="balanced"),
        *([BinaryTarget(class_weights="balanced")] if len(set(values)) == 2 else []),
    ):
        found = fitted(target, *values)
        assert found.weights == pytest.approx(expected, rel=1e-15)
        rows = found.row_weights(found.truth({"y": cells(*values)}))
        assert rows.mean() == pytest.approx(1, abs=1e-6)


def test_row_with_an_unknown_class_weighs_nothing():
    assert fitted(MulticlassTarget(), "a", "b").row_weights(np.array([0, -1], dtype=np.int32)).tolist() == [1, 0]
    assert fitted(BinaryTarget(class_weights={"b": 3}), "a", "b").row_weights(np.array([-1, 1], dtype=np.int32)).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("none", (1, 1, 1)),
        ("balanced", (1 / 3, 3, 1)),  # 3 with and 1 without; 1 with and 3 without; all with: nothing to balance
        ({"b": 2}, (1, 2, 1)),
    ],
)
def test_label_weights_are_of_the_rows_that_have_the_label(weights, expected):
    values = ["a;c", "a;c", "a;b;c", "c"]
    assert fitted(MultilabelTarget(class_weights=weights), *values).weights == pytest.approx(expected)
    assert fitted(MultilabelTarget(), *values, default=weights).weights == pytest.approx(expected)


def test_label_column_without_any_row_weighs_one():
    target = MultilabelTarget(labels=("a", "b"), class_weights="balanced")
    assert target.fit({"a": cells("0", "1"), "b": cells("0", "0")}, "none").weights == (1, 1)


UNSEEN = [
    (BinaryTarget(), ["no", "yes"], ["yes", "no", "maybe", None, "YES"], [1, 0, -1, -1, -1], np.int32),
    (MulticlassTarget(), ["b", "a", "nan"], ["b", "a", "c", None, "nan"], [1, 0, -1, -1, 2], np.int32),
    (MultilabelTarget(), ["b;a"], ["a", "b;a", "c;b", None, "b;b"], [[1, 0], [1, 1], [0, 1], [0, 0], [0, 1]], np.int8),
    (RegressionTarget(), ["1", "2"], [" 1e3", "-0.5", None, "x", "inf"], [1000, -0.5, math.nan, math.nan, math.nan], np.float64),
    (OrdinalTarget(), ["10", "2", "9"], ["9", "10", "2", "3", None], [1, 2, 0, -1, -1], np.int32),
    (CountTarget(), ["1", "2"], ["3", "0", None], [3, 0, math.nan], np.float64),
    (QuantileTarget(), ["1", "2"], ["3", None], [3, math.nan], np.float64),
    (GaussianTarget(), ["1", "2"], ["3", None], [3, math.nan], np.float64),
]


@pytest.mark.parametrize(("target", "training", "values", "expected", "dtype"), UNSEEN)
def test_truth_has_a_code_for_every_cell(target, training, values, expected, dtype):
    truth = fitted(target, *training).truth({"y": cells(*values)})
    assert truth.dtype == dtype
    assert np.array_equal(truth, expected, equal_nan=dtype == np.float64)


RANDOM = np.random.default_rng(7)
LOGITS = RANDOM.normal(0, 4, size=(50, 3)).astype(np.float32)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_binary_loss_is_that_of_keras(smoothing):
    import keras

    truth = RANDOM.integers(0, 2, 50).astype(np.int32)
    loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)
    found = fitted(BinaryTarget(label_smoothing=smoothing), "a", "b").row_loss(truth, LOGITS[:, :1])
    assert found.shape == (50,)
    assert np.allclose(found, loss(truth[:, None], LOGITS[:, :1]), rtol=0, atol=1e-6)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_multiclass_loss_is_that_of_keras(smoothing):
    import keras

    truth = RANDOM.integers(0, 3, 50).astype(np.int32)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)
    found = fitted(MulticlassTarget(label_smoothing=smoothing), "a", "b", "c").row_loss(truth, LOGITS)
    assert found.shape == (50,)
    assert np.allclose(found, loss(np.eye(3)[truth], LOGITS), rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_multilabel_loss_is_that_of_keras_and_weighs_labels(smoothing):
    import keras

    truth = RANDOM.integers(0, 2, (50, 3)).astype(np.int8)
    plain = fitted(MultilabelTarget(label_smoothing=smoothing), "a;b;c")
    loss = keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)
    assert np.allclose(plain.row_loss(truth, LOGITS), loss(truth, LOGITS), rtol=0, atol=1e-6)
    weighted = plain.model_copy(update={"weights": (1.0, 0.0, 4.0)})
    each = np.stack([loss(truth[:, [label]], LOGITS[:, [label]]) for label in range(3)], axis=1)
    expected = (each * np.where(truth == 1, [1, 0, 4], 1)).mean(axis=1)
    assert np.allclose(weighted.row_loss(truth, LOGITS), expected, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("error", "name"), [("squared", "MeanSquaredError"), ("absolute", "MeanAbsoluteError"), ("huber", "Huber")])
def test_regression_loss_is_that_of_keras_on_the_standardised_number(error, name):
    import keras

    target = fitted(RegressionTarget(error=error), "1000000", "1000004")  # mean 1000002, deviation 2
    truth = 1_000_002 + 2 * RANDOM.normal(0, 2, 50)
    found = target.row_loss(truth, LOGITS[:, :1])
    expected = getattr(keras.losses, name)(reduction=None)(((truth - 1_000_002) / 2)[:, None].astype(np.float32), LOGITS[:, :1])
    assert found.shape == (50,)
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6)


SPOKEN = [
    # target, training cells, raw values, predictions, decisions, probabilities
    (
        BinaryTarget(),
        ["no", "yes"],
        [[0.0], [-1e-3], [40.0]],
        [[0.5], [0.49975], [1.0]],
        ["yes", "no", "yes"],
        [[0.5, 0.5], [0.50025, 0.49975], [0, 1]],
    ),
    (
        MulticlassTarget(),
        ["a", "b", "c"],
        [[0.0, math.log(2), 0.0], [9.0, 9.0, -90.0]],
        [[0.25, 0.5, 0.25], [0.5, 0.5, 0]],
        ["b", "a"],
        [[0.25, 0.5, 0.25], [0.5, 0.5, 0]],
    ),
    (
        MultilabelTarget(separator="|"),
        ["a|b"],
        [[0.0, -1.0], [3.0, 0.0], [-9.0, -9.0]],
        [[0.5, 0.268941], [0.952574, 0.5], [0.000123, 0.000123]],
        ["a", "a|b", ""],
        [[0.5, 0.268941], [0.952574, 0.5], [0.000123, 0.000123]],
    ),
    (RegressionTarget(), ["10", "14"], [[0.0], [-1.5]], [[12], [9]], [12, 9], [[], []]),
    (
        OrdinalTarget(order=("low", "mid", "high")),
        ["low", "mid", "high"],
        [[0.0, 0.0], [math.log(3), math.log(3)], [-9.0, 0.0]],
        [[0.5, 0.25, 0.25], [0.25, 0.1875, 0.5625], [0.999877, 0.000062, 0.000062]],
        ["low", "high", "low"],  # the median level
        [[0.5, 0.25, 0.25], [0.25, 0.1875, 0.5625], [0.999877, 0.000062, 0.000062]],
    ),
    (CountTarget(), ["1", "3"], [[0.0], [math.log(2)]], [[2], [4]], [2, 4], [[], []]),
    (GaussianTarget(), ["10", "14"], [[0.0, 0.0], [1.0, math.log(4)]], [[12, 2], [14, 4]], [12, 14], [[], []]),
    (
        QuantileTarget(levels=(0.25, 0.5, 0.75)),
        ["10", "14"],
        [[0.0, 0.0, 0.0], [-40.0, 1.0, math.log(math.e - 1)]],
        [[12 - 2 * math.log(2), 12, 12 + 2 * math.log(2)], [14, 14, 16]],
        [12, 14],
        [[], []],
    ),
]


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize(("target", "training", "raw", "prediction", "decided", "probabilities"), SPOKEN)
def test_raw_values_become_predictions_and_words(target, training, raw, prediction, decided, probabilities):
    found = fitted(target, *training)
    layer = found.activation("prediction_y")
    assert layer.name == "prediction_y"
    predicted = layer(np.array(raw, dtype=np.float32)).numpy()
    assert predicted.dtype == np.float32
    assert np.allclose(predicted, prediction, rtol=0, atol=1e-5)
    assert found.predict_label(predicted).tolist() == decided
    assert found.probabilities(predicted).shape == (len(raw), len(found.columns))
    assert np.allclose(found.probabilities(predicted), probabilities, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("target", "training", "truth", "words"),
    [
        (BinaryTarget(), ["no", "yes"], np.array([1, 0, -1]), ["yes", "no", ""]),
        (MulticlassTarget(), ["a", "b", "c"], np.array([2, -1, 0]), ["c", "", "a"]),
        (MultilabelTarget(), ["a;b"], np.array([[1, 1], [0, 1], [0, 0]]), ["a;b", "b", ""]),
        (RegressionTarget(), ["1", "2"], np.array([1.5, -3.0]), [1.5, -3.0]),
    ],
)
def test_truths_are_spoken_in_the_words_of_the_table(target, training, truth, words):
    assert fitted(target, *training).decode_truth(truth).tolist() == words


def test_binary_threshold_decides():
    found = fitted(BinaryTarget(), "no", "yes").model_copy(update={"threshold": 0.2})
    assert found.predict_label(np.array([[0.1], [0.2], [0.3]])).tolist() == ["no", "yes", "yes"]


@pytest.mark.parametrize(
    ("target", "training", "expected"),
    [
        (BinaryTarget(), ["no", "yes", "no", "no"], [[0.25], [0.25]]),
        (MulticlassTarget(), ["a", "b", "b", "c"], [[0.25, 0.5, 0.25]] * 2),
        (MultilabelTarget(), ["a;b", "a", None, "a"], [[0.75, 0.25]] * 2),
        (RegressionTarget(), ["1", "2", "6"], [[3], [3]]),
    ],
)
def test_baseline_knows_the_training_answers_only(target, training, expected):
    assert fitted(target, *training).baseline(2).tolist() == expected


@pytest.mark.parametrize(
    ("target", "values", "strata", "answers"),
    [
        (BinaryTarget(), ["b", None, "a"], ["b", "", "a"], ["a", "b"]),
        (MulticlassTarget(), ["b", "c", "a"], ["b", "c", "a"], ["a", "b", "c"]),
        (MultilabelTarget(), ["b;a", "c"], None, ["a", "b", "c"]),
        (RegressionTarget(), ["1", "2"], None, []),
    ],
)
def test_strata_are_the_class_of_each_row(target, values, strata, answers):
    declared = target.model_copy(update={"column": "y"})
    found = declared.strata({"y": cells(*values)})
    assert (found if found is None else found.tolist()) == strata
    assert declared.answers({"y": cells(*values)}) == answers


@pytest.mark.parametrize(
    ("target", "training", "names"),
    [
        (BinaryTarget(), ["no", "yes"], {"auc", "accuracy"}),
        (MulticlassTarget(), ["a", "b", "c"], {"accuracy", "log_loss"}),
        (MultilabelTarget(), ["a;b"], {"macro_f1", "log_loss"}),
        (RegressionTarget(), ["1", "2"], {"rmse", "r2"}),
    ],
)
def test_every_task_has_scores(target, training, names):
    found = fitted(target, *training)
    values = {"binary": ["no", "yes"], "multiclass": ["a", "b", "c"], "multilabel": ["a", "b"], "regression": ["1", "2"]}[target.task]
    truth = found.truth({"y": cells(*values)})
    scores = {score.name: score.value for score in found.scores(truth, found.baseline(len(truth)))}
    assert names <= set(scores)


EXAMPLES = {
    "binary": (BinaryTarget(class_weights="balanced"), ["no", "yes", "no"]),
    "multiclass": (MulticlassTarget(label_smoothing=0.1, loss_weight=2), ["ä", 'q"', "c\\"]),
    "multilabel": (MultilabelTarget(separator="|"), ["a|b", None]),
    "regression": (RegressionTarget(error="huber"), ["0.1", "0.7"]),
    "ordinal": (OrdinalTarget(order=("ä", 'q"', "c\\")), ["ä", 'q"', "c\\"]),
    "count": (CountTarget(distribution="negative_binomial"), ["0", "3"]),
    "gaussian": (GaussianTarget(beta=0.2), ["0.1", "0.7"]),
    "quantiles": (QuantileTarget(levels=(0.1, 0.9)), ["0.1", "0.7"]),
}
SEVERAL_HEADERS = {"ranking", "survival", "vector"}
"""Tasks with files of their own, test_ranking.py, test_survival.py and test_vector.py."""


@pytest.mark.parametrize("task", sorted(EXAMPLES))
def test_fitted_target_survives_json(task):
    found = fitted(EXAMPLES[task][0], *EXAMPLES[task][1])
    back = TypeAdapter(AnyFittedTarget).validate_json(found.model_dump_json())
    assert back == found
    assert type(back) is type(found)
    assert (found.task, found.column, found.loss_weight) == (task, "y", EXAMPLES[task][0].loss_weight)


def test_every_task_has_an_example():
    assert set(EXAMPLES) | SEVERAL_HEADERS == set(tasks) == set(fitted_tasks)
    for table in (FAULTS, UNSEEN, SPOKEN):
        assert {row[0].task for row in table} == set(EXAMPLES)
    assert len(list(tasks)) == 11


def test_words_in_every_answer_of_a_regression_are_told_to_be_classes():
    (fault,) = RegressionTarget(column="y").faults(pd.Series(["red", "blue"], dtype="str"))
    assert fault.what == "'red' is not a number."
    assert fault.fix == "Set `task: multiclass` for classes; the answer of a regression is a number."
