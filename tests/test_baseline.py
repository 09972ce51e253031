"""The predictions that a model must beat."""

import numpy as np
import pytest

from mmtrain.scores.baseline import majority_baseline, mean_baseline, prevalence_baseline
from mmtrain.scores import binary_scores, multiclass_scores, multilabel_scores, regression_scores


def test_majority_baseline_gives_each_row_the_training_frequencies():
    assert majority_baseline([2, 0, 2, 2], 2, count=4).tolist() == [[0.25, 0.0, 0.75, 0.0]] * 2


def test_prevalence_baseline_gives_each_row_the_training_share_of_each_label():
    assert prevalence_baseline([[1, 0], [1, 0], [0, 0], [1, 1]], 3).tolist() == [[0.75, 0.25]] * 3


def test_mean_baseline_gives_each_row_the_training_mean():
    assert mean_baseline([1.0, 2.0, 6.0], 2).tolist() == [3.0, 3.0]


def test_mean_baseline_of_float32_is_taken_in_float64():
    assert mean_baseline(np.array([0, 1, 1], dtype="float32"), 1).tolist() == [2 / 3]


def test_baseline_for_no_rows_keeps_its_width():
    assert majority_baseline([0, 1], 0, count=2).shape == (0, 2)
    assert prevalence_baseline([[0, 1, 1]], 0).shape == (0, 3)
    assert mean_baseline([1.0], 0).shape == (0,)


def test_baselines_score_as_chance():
    frequencies = majority_baseline([0, 0, 1], 4, count=2)
    binary = binary_scores([0, 1, 0, 0], frequencies[:, 1], classes=("benign", "malignant"))
    several = multiclass_scores([0, 1, 0, 0], frequencies, classes=("benign", "malignant"))
    labels = multilabel_scores([[1], [0]], prevalence_baseline([[1], [0]], 2), labels=("beach",))
    number = regression_scores([1.0, 3.0], mean_baseline([0.0, 4.0], 2))

    assert {score.name: score.value for score in binary}["auc"] == 0.5
    assert {score.name: score.value for score in several}["accuracy"] == 0.75
    assert {score.name: score.value for score in labels}["macro_auc"] == 0.5
    assert {score.name: score.value for score in number}["r2"] == 0.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: majority_baseline([], 3, count=2), "A baseline needs at least one training row; there is none."),
        (lambda: prevalence_baseline(np.empty((0, 2)), 3), "A baseline needs at least one training row; there is none."),
        (lambda: mean_baseline([], 3), "A baseline needs at least one training row; there is none."),
        (
            lambda: majority_baseline([0, 2], 3, count=2),
            "The training truth of 1 of 2 rows is not a class code: 2 was received, each must be a whole number from 0 to 1.",
        ),
        (lambda: mean_baseline([1.0, np.nan], 3), "The training truth values of 1 of 2 rows are NaN or infinite."),
    ],
)
def test_baseline_refuses_training_truth_it_cannot_use(call, text):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == text
