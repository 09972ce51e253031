"""Scores compared with hand-computed values and scikit-learn, and the reasons for undefined scores."""

import math

import numpy as np
import pytest
from sklearn import metrics

from mmtrain.metrics import (
    METRICS,
    Score,
    binary_scores,
    confusion_matrix,
    higher_is_better,
    multiclass_scorer,
    multiclass_scores,
    multilabel_scores,
    regression_scores,
    score,
)
from mmtrain.metrics.labels.auc import Ranking, threshold_counts
from mmtrain.metrics.on_request.declared import ON_REQUEST
from mmtrain.metrics.score import Metric, add_metric
from mmtrain.targets import tasks

CLASSES = ("benign", "malignant")
ANIMALS = ("cat", "dog", "owl")
LABELS = ("beach", "boat")


def values(scores):
    return {score.name: score.value for score in scores}


def binary(truth, probability, **options):
    return binary_scores(truth, probability, classes=CLASSES, **options)


def multiclass(truth, probabilities):
    return multiclass_scores(truth, probabilities, classes=ANIMALS)


def multilabel(truth, probabilities, **options):
    return multilabel_scores(truth, probabilities, labels=LABELS, **options)


# Values worked out by hand


def test_binary_scores_equal_hand_computed_values_in_order():
    scores = binary([0, 0, 1, 1, 1], [0.1, 0.6, 0.4, 0.6, 0.9])

    assert [(score.name, pytest.approx(score.value)) for score in scores] == [
        ("auc", 4.5 / 6),  # 0.4 wins one pair, 0.6 wins one and ties one, 0.9 wins two
        ("pr_auc", (1 / 1 + 2 / 3 + 3 / 4) / 3),
        ("accuracy", 3 / 5),
        ("balanced_accuracy", (2 / 3 + 1 / 2) / 2),
        ("f1", 4 / 6),
        ("sensitivity", 2 / 3),
        ("specificity", 1 / 2),
        ("log_loss", -math.log(0.9 * 0.4 * 0.4 * 0.6 * 0.9) / 5),
        ("brier", (0.01 + 0.36 + 0.36 + 0.16 + 0.01) / 5),
    ]


def test_multiclass_scores_equal_hand_computed_values_in_order():
    scores = multiclass([0, 0, 1, 2], [[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.2, 0.5, 0.3], [0.4, 0.4, 0.2]])

    assert [(score.name, pytest.approx(score.value), score.note) for score in scores] == [
        ("accuracy", 2 / 4, ""),  # the tie of the last row goes to the first class
        ("balanced_accuracy", (1 / 2 + 1 + 0) / 3, ""),
        ("macro_f1", (2 / 4 + 2 / 3 + 0) / 3, ""),  # owl is never predicted: its F1 is 0, not left out
        ("weighted_f1", (2 * 2 / 4 + 2 / 3 + 0) / 4, ""),
        ("macro_auc", (3 / 4 + 2 / 3 + 2 / 3) / 3, ""),
        ("log_loss", -math.log(0.7 * 0.3 * 0.5 * 0.2) / 4, ""),
    ]


def test_multilabel_scores_equal_hand_computed_values_in_order():
    scores = multilabel([[1, 0], [0, 0], [1, 1]], [[0.8, 0.3], [0.5, 0.2], [0.4, 0.9]])

    assert [(score.name, pytest.approx(score.value), score.note) for score in scores] == [
        ("macro_auc", (1 / 2 + 1) / 2, ""),
        ("macro_pr_auc", (5 / 6 + 1) / 2, ""),
        ("macro_f1", (1 / 2 + 1) / 2, ""),
        ("subset_accuracy", 1 / 3, ""),
        ("hamming_loss", 2 / 6, ""),
        ("log_loss", -math.log(0.8 * 0.7 * 0.5 * 0.8 * 0.4 * 0.9) / 6, ""),
        ("auc[beach]", 1 / 2, ""),
        ("pr_auc[beach]", (1 + 2 / 3) / 2, ""),
        ("f1[beach]", 2 / 4, ""),
        ("auc[boat]", 1, ""),
        ("pr_auc[boat]", 1, ""),
        ("f1[boat]", 1, ""),
    ]


def test_regression_scores_equal_hand_computed_values_in_order():
    scores = regression_scores([1, 2, 4, 9], [2, 2, 2, 12])

    assert [(score.name, pytest.approx(score.value)) for score in scores] == [
        ("mae", (1 + 0 + 2 + 3) / 4),
        ("rmse", math.sqrt((1 + 0 + 4 + 9) / 4)),
        ("r2", 1 - 14 / 38),
        ("median_absolute_error", 1.5),
    ]


@pytest.mark.parametrize(
    ("truth", "probability", "auc", "pr_auc"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 1.0, 1.0),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], 0.0, (1 / 3 + 2 / 4) / 2),
        ([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5], 0.5, 0.5),  # one threshold: AUC of chance, precision of prevalence
        ([1, 0, 1, 0], [0.5, 0.5, 0.5, 0.5], 0.5, 0.5),
        ([0, 1], [0.0, -0.0], 0.5, 0.5),
        ([1, 0, 0, 0], [0.7, 0.7, 0.2, 0.1], 2.5 / 3, 1 / 2),
    ],
)
def test_ranking_scores_count_ties_as_half_and_at_once(truth, probability, auc, pr_auc):
    scored = values(binary(truth, probability))
    assert (scored["auc"], scored["pr_auc"]) == (pytest.approx(auc), pytest.approx(pr_auc))


@pytest.mark.parametrize(
    ("probability", "threshold", "sensitivity"),
    [
        ([0.5, 0.1], 0.5, 1.0),
        ([0.5, 0.1], 0.51, 0.0),
        ([0.3, 0.1], 0.3, 1.0),
        (np.array([0.7, 0.1], dtype="float32"), 0.7, 1.0),  # 0.69999999 in float64
        (np.array([0.7, 0.1], dtype="float32"), np.float64(0.7), 1.0),
    ],
)
def test_threshold_is_reached_by_an_equal_probability(probability, threshold, sensitivity):
    assert values(binary([1, 0], probability, threshold=threshold))["sensitivity"] == sensitivity
    cells = np.stack([probability, probability], axis=1)
    assert values(multilabel([[1, 1], [0, 0]], cells, threshold=threshold))["macro_f1"] == pytest.approx(sensitivity)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_log_loss_clips_certain_mistakes_to_one_in_ten_million(dtype):
    worst = -math.log(1e-7)
    assert values(binary([0, 1], np.array([1, 0], dtype=dtype)))["log_loss"] == pytest.approx(worst, rel=1e-6)
    assert values(multiclass([0], np.array([[0, 1, 0]], dtype=dtype)))["log_loss"] == pytest.approx(worst, rel=1e-6)
    assert values(multilabel([[0, 1]], np.array([[1, 0]], dtype=dtype)))["log_loss"] == pytest.approx(worst, rel=1e-6)


def test_confusion_matrix_counts_truth_down_and_prediction_across():
    matrix = confusion_matrix([0, 0, 0, 2, 1], [0, 1, 1, 0, 1], count=4)
    assert matrix.tolist() == [[1, 2, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert matrix.dtype == np.int64


def test_confusion_matrix_of_no_rows_is_all_zero():
    assert confusion_matrix([], [], count=2).tolist() == [[0, 0], [0, 0]]


def test_ranking_takes_one_column_of_counts_per_resample():
    """Rows scored 0.9, 0.9, 0.5, 0.2 with truth 1, 0, 1, 0; the second resample drew the rows (2, 2, 3, 3) and so nothing at 0.9."""
    truth, score = np.array([1, 0, 1, 0]), np.array([0.9, 0.9, 0.5, 0.2])
    counts = np.array([[1, 1, 1, 1], [0, 0, 2, 2]]).T
    auc, pr_auc = Ranking(truth, score).areas(counts)

    assert [counts.tolist() for counts in threshold_counts(truth, score)] == [[1, 2, 2], [1, 1, 2]]
    assert auc.tolist() == Ranking(truth, score).auc(counts).tolist() == [2.5 / 4, 1.0]
    assert pr_auc == pytest.approx([(1 / 2 + 2 / 3) / 2, 1.0])


# scikit-learn as the judge


@pytest.fixture(params=[None, 1], ids=["distinct", "heavy ties"])
def decimals(request):
    return request.param


def random_probabilities(seed, shape, decimals):
    drawn = np.random.default_rng(seed).uniform(0.001, 0.999, shape)
    return drawn if decimals is None else np.round(drawn, decimals).clip(0.001, 0.999)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("prevalence", [0.5, 0.03])
def test_binary_scores_agree_with_scikit_learn(seed, prevalence, decimals):
    probability = random_probabilities(seed, 500, decimals)
    truth = (np.random.default_rng(seed + 100).random(500) < prevalence).astype(int)
    called = probability >= 0.4

    assert values(binary(truth, probability, threshold=0.4)) == pytest.approx(
        {
            "auc": metrics.roc_auc_score(truth, probability),
            "pr_auc": metrics.average_precision_score(truth, probability),
            "accuracy": metrics.accuracy_score(truth, called),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, called),
            "f1": metrics.f1_score(truth, called),
            "sensitivity": metrics.recall_score(truth, called),
            "specificity": metrics.recall_score(truth, called, pos_label=0),
            "log_loss": metrics.log_loss(truth, probability),
            "brier": metrics.brier_score_loss(truth, probability),
        },
        rel=1e-12,
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_multiclass_scores_agree_with_scikit_learn_over_the_classes_that_occur(seed, decimals):
    probabilities = random_probabilities(seed, (300, 5), None)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    if decimals:  # sixteenths add up to exactly 1, so that scikit-learn takes them
        probabilities = np.random.default_rng(seed).multinomial(11, probabilities) / 16 + 1 / 16
    truth = np.random.default_rng(seed + 100).choice([0, 1, 3, 4], 300)
    predicted, present = probabilities.argmax(axis=1), [0, 1, 3, 4]
    each_auc = [metrics.roc_auc_score(truth == code, probabilities[:, code]) for code in present]

    assert values(multiclass_scores(truth, probabilities, classes=tuple("abcde"))) == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, predicted),
            "balanced_accuracy": metrics.recall_score(truth, predicted, labels=present, average="macro"),
            "macro_f1": metrics.f1_score(truth, predicted, average="macro"),
            "weighted_f1": metrics.f1_score(truth, predicted, labels=present, average="weighted"),
            "macro_auc": np.mean(each_auc),
            "log_loss": metrics.log_loss(truth, probabilities, labels=range(5)),
        },
        rel=1e-12,
    )
    assert len(each_auc) == 4


@pytest.mark.parametrize(
    ("truth", "predicted", "macro_f1"),
    [
        ([0, 0, 1], [0, 2, 1], (2 / 3 + 1 + 0) / 3),  # owl is predicted and never true
        ([0, 0, 1], [0, 0, 1], 1.0),  # owl is neither
        ([1, 1, 1], [0, 2, 1], (0 + 1 / 2 + 0) / 3),
        ([0, 1, 2], [0, 0, 0], (1 / 2 + 0 + 0) / 3),  # dog and owl are true and never predicted
    ],
)
def test_macro_f1_counts_the_classes_that_occur_or_are_predicted_as_scikit_learn_does(truth, predicted, macro_f1):
    scored = values(multiclass(truth, np.eye(3)[predicted]))
    assert scored["macro_f1"] == pytest.approx(macro_f1)
    assert scored["macro_f1"] == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
    assert scored["weighted_f1"] == pytest.approx(metrics.f1_score(truth, predicted, average="weighted"))


def test_each_draw_counts_the_classes_that_it_has_or_predicts():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    counts = np.array([[1, 1, 1, 1], [2, 0, 1, 1], [0, 2, 1, 1]])
    drawn = multiclass_scorer(truth, np.eye(3)[predicted], count=3)(counts)["macro_f1"]
    expected = [metrics.f1_score(truth, predicted, average="macro", sample_weight=weights) for weights in counts[[0, 2]]]
    assert drawn == pytest.approx([expected[0], 1.0, expected[1]])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_multilabel_scores_agree_with_scikit_learn(seed, decimals):
    probabilities = random_probabilities(seed, (300, 2), decimals)
    truth = (np.random.default_rng(seed + 100).random((300, 2)) < [0.6, 0.1]).astype(int)
    called = probabilities >= 0.5
    expected = {
        "macro_auc": metrics.roc_auc_score(truth, probabilities, average="macro"),
        "macro_pr_auc": metrics.average_precision_score(truth, probabilities, average="macro"),
        "macro_f1": metrics.f1_score(truth, called, average="macro"),
        "subset_accuracy": metrics.accuracy_score(truth, called),
        "hamming_loss": metrics.hamming_loss(truth, called),
        "log_loss": metrics.log_loss(truth.ravel(), probabilities.ravel()),
    }
    for column, label in enumerate(LABELS):
        expected[f"auc[{label}]"] = metrics.roc_auc_score(truth[:, column], probabilities[:, column])
        expected[f"pr_auc[{label}]"] = metrics.average_precision_score(truth[:, column], probabilities[:, column])
        expected[f"f1[{label}]"] = metrics.f1_score(truth[:, column], called[:, column])

    assert len(expected) == 12
    assert values(multilabel(truth, probabilities)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("offset", [0, 1e6])
def test_regression_scores_agree_with_scikit_learn(offset):
    generator = np.random.default_rng(5)
    truth = generator.normal(offset, 3, 400)
    prediction = truth + generator.normal(0.5, 2, 400)

    assert values(regression_scores(truth, prediction)) == pytest.approx(
        {
            "mae": metrics.mean_absolute_error(truth, prediction),
            "rmse": metrics.root_mean_squared_error(truth, prediction),
            "r2": metrics.r2_score(truth, prediction),
            "median_absolute_error": metrics.median_absolute_error(truth, prediction),
        },
        rel=1e-12,
    )


# Scores that the rows cannot give


@pytest.mark.parametrize(
    ("scores", "reasons"),
    [
        pytest.param(
            binary([0, 0], [0.1, 0.2]),
            {
                "auc": "AUC needs both classes; this part has only 'benign'.",
                "pr_auc": "PR-AUC needs rows of class 'malignant'; this part has none.",
                "balanced_accuracy": "Balanced accuracy needs both classes; this part has only 'benign'.",
                "f1": "F1 needs rows of class 'malignant', true or predicted; this part has none.",
                "sensitivity": "Sensitivity needs rows of class 'malignant'; this part has none.",
            },
            id="binary, no positives",
        ),
        pytest.param(
            binary([0, 0], [0.1, 0.9]),
            {
                "auc": "AUC needs both classes; this part has only 'benign'.",
                "pr_auc": "PR-AUC needs rows of class 'malignant'; this part has none.",
                "balanced_accuracy": "Balanced accuracy needs both classes; this part has only 'benign'.",
                "sensitivity": "Sensitivity needs rows of class 'malignant'; this part has none.",
            },
            id="binary, positives only predicted",
        ),
        pytest.param(
            binary([1], [0.1]),
            {
                "auc": "AUC needs both classes; this part has only 'malignant'.",
                "balanced_accuracy": "Balanced accuracy needs both classes; this part has only 'malignant'.",
                "specificity": "Specificity needs rows of class 'benign'; this part has none.",
            },
            id="binary, no negatives",
        ),
        pytest.param(
            multiclass([1, 1], [[0.2, 0.5, 0.3], [0.6, 0.2, 0.2]]),
            {"macro_auc": "Macro AUC needs at least two classes; this part has only 'dog'."},
            id="multi-class, one class",
        ),
        pytest.param(
            multilabel([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.9]]),
            {"auc[beach]": "AUC needs rows with and without 'beach'; this part has only rows with it."},
            id="multi-label, a label in every row",
        ),
        pytest.param(
            multilabel([[0, 0], [0, 0]], [[0.1, 0.2], [0.1, 0.9]]),
            {
                "macro_auc": "Macro AUC needs a label that has AUC; in this part none of the 2 labels has it.",
                "macro_pr_auc": "Macro PR-AUC needs a label that has PR-AUC; in this part none of the 2 labels has it.",
                "auc[beach]": "AUC needs rows with and without 'beach'; this part has only rows without it.",
                "pr_auc[beach]": "PR-AUC needs rows with 'beach'; this part has none.",
                "f1[beach]": "F1 needs rows with 'beach', true or predicted; this part has none.",
                "auc[boat]": "AUC needs rows with and without 'boat'; this part has only rows without it.",
                "pr_auc[boat]": "PR-AUC needs rows with 'boat'; this part has none.",
            },
            id="multi-label, no label in any row",
        ),
        pytest.param(regression_scores([3.5], [3.0]), {"r2": "R2 needs at least two rows; this part has one."}, id="one number"),
        pytest.param(
            regression_scores([0.1, 0.1, 0.1], [0.1, 0.2, 0.3]),  # their mean is 0.10000000000000002
            {"r2": "R2 needs truth that varies; in this part every row is 0.1."},
            id="equal numbers",
        ),
        pytest.param(
            regression_scores([0, 1e-200], [0, 0]),  # its square is 0
            {"r2": "R2 needs truth that varies; in this part every row is 0."},
            id="numbers too close to square",
        ),
    ],
)
def test_undefined_scores_say_why_and_the_others_have_values(scores, reasons):
    assert {score.name: score.undefined for score in scores if score.value is None} == reasons
    assert not any(score.note for score in scores if score.value is None)


@pytest.mark.parametrize(
    ("scores", "count"),
    [
        (binary([], []), 9),
        (multiclass([], np.empty((0, 3))), 6),
        (multilabel(np.empty((0, 2)), np.empty((0, 2))), 12),
        (regression_scores([], []), 4),
    ],
    ids=["binary", "multi-class", "multi-label", "regression"],
)
def test_every_score_of_an_empty_part_is_undefined(scores, count):
    assert [(score.value, score.undefined) for score in scores] == [(None, "There are no rows to score.")] * count


@pytest.mark.parametrize(
    "scored",
    [
        lambda rows: binary([0, 1][:rows], [0.2, 0.6][:rows]),
        lambda rows: multiclass([0, 1][:rows], np.full((rows, 3), 1 / 3)),
        lambda rows: multilabel([[0, 1], [1, 0]][:rows] or np.empty((0, 2)), np.full((rows, 2), 0.5)),
        lambda rows: regression_scores([1.0, 2.0][:rows], [1.5, 2.5][:rows]),
    ],
    ids=["binary", "multi-class", "multi-label", "regression"],
)
def test_names_and_order_do_not_depend_on_the_rows(scored):
    names = [[score.name for score in scored(rows)] for rows in (0, 1, 2)]
    assert names[0] == names[1] == names[2]


LEFT_OUT_OWL = "1 of 3 classes does not occur in this part and is left out: owl."
LEFT_OUT_BOTH = "2 of 3 classes do not occur in this part and are left out: cat and owl."


@pytest.mark.parametrize(
    ("truth", "predicted", "note", "of_f1"),
    [
        ([0, 1, 2], [1, 2, 1], "", ""),
        ([0, 1, 1], [1, 0, 1], LEFT_OUT_OWL, LEFT_OUT_OWL),
        ([0, 1, 1], [1, 2, 1], LEFT_OUT_OWL, "1 of 3 classes is predicted but does not occur in this part: its F1 is 0 (owl)."),
        (
            [1, 1, 1],
            [1, 2, 1],
            LEFT_OUT_BOTH,
            "1 of 3 classes is predicted but does not occur in this part: its F1 is 0 (owl). "
            "1 of 3 classes does not occur in this part and is left out: cat.",
        ),
        (
            [1, 1, 1],
            [0, 2, 1],
            LEFT_OUT_BOTH,
            "2 of 3 classes are predicted but do not occur in this part: their F1 is 0 (cat and owl).",
        ),
    ],
)
def test_multiclass_means_note_the_classes_that_do_not_occur(truth, predicted, note, of_f1):
    scores = multiclass(truth, 0.7 * np.eye(3)[predicted] + 0.1)
    notes = {score.name: score.note for score in scores if score.value is not None}

    assert notes.pop("balanced_accuracy") == notes.pop("macro_auc", note) == note
    assert notes.pop("macro_f1") == of_f1
    assert not any(notes.values())


def test_means_over_true_classes_leave_the_others_out_of_the_value():
    scored = values(multiclass([0, 0, 1], [[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.1, 0.8, 0.1]]))
    assert scored["balanced_accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert scored["macro_auc"] == pytest.approx((3 / 4 + 1) / 2)


@pytest.mark.parametrize(
    ("truth", "notes"),
    [
        (
            [[1, 1], [0, 1]],
            {"macro_auc": "1 of 2 labels has no AUC in this part and is left out: boat.", "macro_pr_auc": "", "macro_f1": ""},
        ),
        (
            [[1, 0], [0, 0]],
            {
                "macro_auc": "1 of 2 labels has no AUC in this part and is left out: boat.",
                "macro_pr_auc": "1 of 2 labels has no PR-AUC in this part and is left out: boat.",
                "macro_f1": "1 of 2 labels has no F1 in this part and is left out: boat.",
            },
        ),
    ],
)
def test_multilabel_means_note_the_labels_left_out(truth, notes):
    scores = multilabel(truth, [[0.9, 0.2], [0.1, 0.3]])
    assert {score.name: score.note for score in scores if score.name in notes} == notes
    assert values(scores)["macro_auc"] == 1.0


def test_multilabel_means_note_several_labels():
    scores = multilabel_scores([[1, 0, 0], [0, 0, 0]], [[0.9, 0.2, 0.2], [0.1, 0.3, 0.2]], labels=("beach", "boat", "bird"))
    assert scores[0].note == "2 of 3 labels have no AUC in this part and are left out: boat and bird."


@pytest.mark.parametrize(
    ("value", "undefined", "text"),
    [
        (float("nan"), "", "The score 'auc' needs a finite value or a reason; it has nan and ''."),
        (float("inf"), "", "The score 'auc' needs a finite value or a reason; it has inf and ''."),
        (None, "", "The score 'auc' needs a finite value or a reason; it has None and ''."),
        (0.5, "No rows.", "The score 'auc' needs a finite value or a reason; it has 0.5 and 'No rows.'."),
    ],
)
def test_score_is_a_finite_value_or_a_reason(value, undefined, text):
    with pytest.raises(ValueError) as caught:
        Score("auc", value, undefined)
    assert str(caught.value) == text


# Arrays that are wrong

NAN = float("nan")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: binary([0, 1, 1], [0.1, NAN, NAN]), "The probabilities of 2 of 3 rows are NaN; the model has probably diverged."),
        (
            lambda: multiclass([0, 1], [[NAN, NAN, 0.1], [0.2, 0.3, 0.5]]),
            "The probabilities of 1 of 2 rows are NaN; the model has probably diverged.",
        ),
        (lambda: multilabel([[0, 1]], [[0.2, NAN]]), "The probabilities of 1 of 1 rows are NaN; the model has probably diverged."),
        (lambda: regression_scores([1, 2], [1, NAN]), "The predictions of 1 of 2 rows are NaN or infinite."),
        (lambda: regression_scores([math.inf, 2], [1, 2]), "The truth values of 1 of 2 rows are NaN or infinite."),
        (
            lambda: binary([0, 1], [-2.5, 0.5]),
            "The probabilities of 1 of 2 rows are outside 0 to 1: the smallest is -2.5, the largest 0.5. Pass probabilities, not logits.",
        ),
        (
            lambda: binary([0, 1], [0.5, math.inf]),
            "The probabilities of 1 of 2 rows are outside 0 to 1: the smallest is 0.5, the largest inf. Pass probabilities, not logits.",
        ),
        (lambda: binary([0, 1], [[0.5], [0.5]]), "The probabilities have the shape (2, 1); the shape must be (2,)."),
        (lambda: binary([[0], [1]], [[0.5], [0.5]]), "The truth has the shape (2, 1); it must have 1 axis."),
        (lambda: multiclass([0, 1], [[0.5, 0.5], [0.5, 0.5]]), "The probabilities have the shape (2, 2); the shape must be (2, 3)."),
        (lambda: multilabel([0, 1], [[0.5, 0.5]]), "The truth has the shape (2,); it must have 2 axes."),
        (lambda: multilabel([[0, 1, 1]], [[0.5, 0.5]]), "The truth values have the shape (1, 3); the shape must be (1, 2)."),
        (lambda: regression_scores([1, 2], [[1], [2]]), "The predictions have the shape (2, 1); the shape must be (2,)."),
        (
            lambda: binary([0, 2], [0.5, 0.5]),
            "The truth of 1 of 2 rows is not a class code: 2 was received, each must be a whole number from 0 to 1.",
        ),
        (
            lambda: multiclass([0, -1], np.full((2, 3), 1 / 3)),
            "The truth of 1 of 2 rows is not a class code: -1 was received, each must be a whole number from 0 to 2.",
        ),
        (
            lambda: multilabel([[0, 0.5], [1, NAN]], np.full((2, 2), 0.5)),
            "The truth of 2 of 2 rows is not a class code: 0.5 was received, each must be a whole number from 0 to 1.",
        ),
        (lambda: confusion_matrix([0, 1], [0], count=2), "The predicted classes have the shape (1,); the shape must be (2,)."),
        (
            lambda: confusion_matrix([0, 1], [0, 2], count=2),
            "The predicted class of 1 of 2 rows is not a class code: 2 was received, each must be a whole number from 0 to 1.",
        ),
    ],
)
def test_wrong_arrays_are_refused_in_words(call, text):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == text


def test_float32_rounding_above_one_is_accepted():
    assert values(binary([0, 1], np.array([0, 1.0000002], dtype="float32")))["log_loss"] == pytest.approx(1e-7, rel=1e-2)


@pytest.mark.parametrize(
    "scored",
    [
        lambda p: binary([0, 1, 1], p[:, 1]),
        lambda p: multiclass([0, 1, 2], np.eye(3, dtype=p.dtype) * p[0, 0]),
        lambda p: multilabel([[1, 0], [0, 1], [1, 1]], p),
    ],
    ids=["binary", "multi-class", "multi-label"],
)
def test_float32_probabilities_are_averaged_in_float64(scored):
    probabilities = np.array([[0.9, 1e-5], [0.3, 0.7], [0.6, 0.1]], dtype="float32")
    assert scored(probabilities) == scored(probabilities.astype("float64"))


def test_truth_may_be_boolean_or_whole_floats():
    as_integers = binary([0, 1, 1], [0.2, 0.4, 0.6])
    assert binary([False, True, True], [0.2, 0.4, 0.6]) == as_integers
    assert binary([0.0, 1.0, 1.0], [0.2, 0.4, 0.6]) == as_integers


# Directions


def test_every_score_has_a_direction_and_every_direction_a_score():
    produced = [
        score.name
        for scores in (
            binary([0, 1], [0.2, 0.6]),
            multiclass([0, 1], np.full((2, 3), 1 / 3)),
            multilabel([[0, 1], [1, 0]], np.full((2, 2), 0.5)),
            regression_scores([1, 2], [1, 2]),
        )
        for score in scores
    ]
    directions = {name: higher_is_better(name) for name in produced}

    assert len(produced) == 9 + 6 + 12 + 4
    own = {metric.name for _, target in tasks.items() for metric in (*target.metrics, *target.label_metrics)}
    known = {name.partition("[")[0] for name in directions} | {"loss", "ece"}
    assert len(known) == 21
    # Tasks may state metrics of their own; tests may have added some.
    assert known | own | set(ON_REQUEST) <= set(METRICS)


def test_lower_is_better_for_losses_and_errors_alone():
    lower = {name for name, metric in METRICS.items() if not metric.higher_is_better}
    shared = {"accuracy", "auc", "f1", "r2", "pr_auc"} | set(ON_REQUEST)
    of_tasks = {"loss", "log_loss", "brier", "ece", "hamming_loss", "mae", "rmse", "median_absolute_error"}
    assert lower & (shared | of_tasks) == of_tasks | {"balanced_log_loss", "mape", "rmsle", "pinball"}


@pytest.mark.parametrize(("name", "higher"), [("auc[beach]", True), ("pr_auc[a [b] c]", True), ("loss", False), ("log_loss", False)])
def test_direction_of_a_label_score_is_that_of_its_base(name, higher):
    assert higher_is_better(name) is higher


CUSTOM_TASK = "A custom task declares its scores as `metrics`."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("acuracy", f"There is no score 'acuracy'. Did you mean 'accuracy'? {CUSTOM_TASK}"),
        (
            "x",
            "There is no score 'x'. The scores are accuracy, auc, balanced_accuracy, brier, ece, f1, hamming_loss, log_loss, loss, "
            "macro_auc, macro_f1, macro_pr_auc, mae, median_absolute_error, pr_auc, r2, rmse, sensitivity, specificity, "
            "subset_accuracy",
        ),
    ],
)
def test_direction_of_an_unknown_score_is_refused(name, text):
    with pytest.raises(ValueError) as caught:
        higher_is_better(name)
    # Tasks add their own scores to the list.
    assert str(caught.value).startswith(text)
    assert str(caught.value).endswith(CUSTOM_TASK)


def test_score_of_ones_own_has_a_direction_from_when_it_is_added():
    with pytest.raises(ValueError, match="There is no score 'kappa'"):
        Score("kappa", 0.5)
    try:
        add_metric(Metric("kappa", higher_is_better=True))
        add_metric(Metric("kappa", higher_is_better=True))  # as the file with it may be imported twice
        assert Score("kappa", 0.5).value == 0.5
        assert higher_is_better("kappa")
        with pytest.raises(ValueError, match=r"The score 'kappa' already exists, and is better when it is higher\."):
            add_metric(Metric("kappa", higher_is_better=False))
    finally:
        del score._METRICS["kappa"]
