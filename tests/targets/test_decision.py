"""`decision: {prior: ...}` of class targets: the predicted class is corrected, the probabilities are not."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from mmtrain.targets import BinaryTarget, MulticlassTarget

ROWS = ["a"] * 6 + ["b"] * 3 + ["c"]
"""Shares of .6, .3 and .1."""
UNSURE = np.array([[0.6, 0.3, 0.1], [0.5, 0.2, 0.3], [0.8, 0.15, 0.05]], dtype=np.float32)


def fitted(target, *values, **options):
    target = type(target).model_validate({**target.model_dump(exclude_unset=True), **options, "column": "y"})
    return target.fit({"y": pd.Series(list(values), dtype="str")}, "none")


@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ({}, None),
        ({"decision": {"prior": "balanced"}}, [1 / 6, 1 / 3, 1]),
        ({"decision": {"prior": "uniform"}}, [1 / 6, 1 / 3, 1]),
        ({"decision": {"prior": "given"}}, [1, 1, 1]),
        ({"decision": {"prior": {"a": 2, "b": 1, "c": 1}}}, [1 / 3, 1 / 3, 1]),
        ({"decision": {"prior": "balanced"}, "class_weights": "balanced"}, [1, 1, 1]),
        ({"decision": {"prior": "given"}, "class_weights": "balanced"}, [1, 0.5, 1 / 6]),
        ({"decision": {"prior": "given"}, "class_weights": {"c": 0}}, [1, 1, 0]),
    ],
)
def test_factors_exchange_what_training_made_of_the_shares_for_the_prior(options, factors):
    found = fitted(MulticlassTarget(), *ROWS, **options).decision_factors
    assert found is None if factors is None else found.tolist() == pytest.approx(factors)


def test_balanced_prior_decides_for_rare_classes_and_keeps_probabilities():
    plain, balanced = (fitted(MulticlassTarget(), *ROWS, **options) for options in ({}, {"decision": {"prior": "balanced"}}))
    assert plain.predict_label(UNSURE).tolist() == ["a", "a", "a"]
    assert balanced.predict_label(UNSURE + np.float32([0, 0, 0.001])).tolist() == ["c", "c", "a"]
    assert balanced.probabilities(UNSURE).tolist() == plain.probabilities(UNSURE).tolist()
    assert balanced.without_decision() == plain


@pytest.mark.parametrize(
    ("options", "threshold"),
    [
        ({}, 0.5),
        ({"decision": {"prior": "balanced"}}, 0.2),
        ({"decision": {"prior": "given"}}, 0.5),
        ({"decision": {"prior": "given"}, "class_weights": "balanced"}, 0.8),
        ({"decision": {"prior": {"no": 0.98, "yes": 0.02}}}, 1 / (1 + 0.02 / 0.2 * 0.8 / 0.98)),
    ],
)
def test_prior_of_two_classes_is_a_threshold(options, threshold):
    found = fitted(BinaryTarget(), *["no"] * 8, *["yes"] * 2, **options)
    assert found.decision_threshold == pytest.approx(threshold)
    assert found.without_decision().decision_threshold == 0.5
    assert found.predict_label(np.array([[threshold - 0.01], [threshold + 0.01]])).tolist() == ["no", "yes"]


def test_scores_are_those_of_the_decisions_and_log_loss_that_of_the_probabilities():
    noise = np.random.default_rng(0)
    truth = noise.choice(3, 300, p=[0.6, 0.3, 0.1])
    prediction = noise.dirichlet([1, 1, 1], 300).astype(np.float32)
    plain, balanced = (fitted(MulticlassTarget(), *ROWS, **options) for options in ({}, {"decision": {"prior": "balanced"}}))
    before, after = ({score.name: score.value for score in one.scores(truth, prediction)} for one in (plain, balanced))
    labels = np.array(["a", "b", "c"])[truth]
    assert after["accuracy"] == pytest.approx(accuracy_score(labels, balanced.predict_label(prediction)))
    assert after["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, balanced.predict_label(prediction)))
    assert after["accuracy"] != before["accuracy"]
    assert (after["log_loss"], after["macro_auc"]) == (before["log_loss"], before["macro_auc"])
    counts = np.ones((1, 300), dtype=np.int64)
    assert {name: values[0] for name, values in balanced.scorer(truth, prediction)(counts).items()} == pytest.approx(after)


@pytest.mark.usefixtures("tensorflow")
def test_exported_label_follows_the_decision():
    balanced = fitted(MulticlassTarget(), *ROWS, decision={"prior": "balanced"})
    prediction = np.random.default_rng(1).dirichlet([2, 1, 0.5], 200).astype(np.float32)
    served = balanced.serving_outputs(prediction)
    assert [label.decode() for label in served["prediction"].numpy()] == balanced.predict_label(prediction).tolist()
    assert np.array_equal(served["probabilities"], prediction)


def test_classes_with_a_share_are_answers():
    assert MulticlassTarget(decision={"prior": {"none": 1, "some": 2}}).named_answers == ("none", "some")
