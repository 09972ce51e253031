"""Registered losses: what they compute, where they are refused, and that a training minimizes the one that is declared."""

import json

import numpy as np
import pandas as pd
import pytest
from tiny import write_experiment

from mmtrain.config import load, to_yaml
from mmtrain.errors import ConfigError
from mmtrain.optim import losses
from mmtrain.targets import MultilabelTarget
from mmtrain.targets.labels.binary import FittedBinary
from mmtrain.targets.labels.class_balance import class_weights
from mmtrain.targets.labels.fitted_multilabel import FittedMultilabel
from mmtrain.targets.labels.multiclass import FittedMulticlass
from mmtrain.targets.numbers.regression import FittedRegression

NUMBER = FittedRegression(column="y", loss_weight=1, center=10, scale=2, minimum=0, maximum=20, error="squared")
BINARY = FittedBinary(column="y", loss_weight=1, classes=("no", "yes"), counts=(1, 1), weights=(1, 1))
CLASSES = FittedMulticlass(column="y", loss_weight=1, classes=("a", "b", "c"), counts=(1, 1, 1), weights=(1, 1, 1), label_smoothing=0)
MULTILABEL = FittedMultilabel(
    column="y", loss_weight=1, labels=("a", "b", "c"), one_column_each=False, separator=";", rows=9, counts=(3, 3, 3), weights=(2, 1, 1)
)
TREE = "columns: {{x: {{role: numeric}}, y: {{role: target, task: {task}, {options}}}}}\n"


@pytest.mark.parametrize(
    ("method", "options", "expected"),
    [
        ("squared", {}, [0.25, 9.0]),
        ("absolute", {}, [0.5, 3.0]),
        ("huber", {}, [0.125, 2.5]),
        ("huber", {"delta": 2.0}, [0.125, 4.0]),
    ],
)
def test_losses_of_a_number_are_of_its_standardized_distance(method, options, expected):
    target = NUMBER.model_copy(update={"own_loss": {"method": method, **options}})
    truth, raw = np.array([11.0, 16.0]), np.array([[0.0], [0.0]], dtype=np.float32)
    assert target.minimized(truth, raw).numpy().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "raw", "probability"),
    [
        (BINARY, [[0.0], [np.log(4.0)]], [0.5, 0.8]),
        (CLASSES, [[0.0, 0.0, np.log(2.0)], [0.0, np.log(8.0), 0.0]], [0.25, 0.8]),
    ],
)
def test_focal_loss_is_the_cross_entropy_times_a_power_of_the_error(target, raw, probability):
    focal = target.model_copy(update={"own_loss": {"method": "focal", "gamma": 2.0}})
    truth = np.array([0, 1], dtype=np.int32)
    expected = [-np.log(p) * (1 - p) ** 2 for p in probability]
    assert focal.minimized(truth, np.array(raw, dtype=np.float32)).numpy().tolist() == pytest.approx(expected, rel=1e-5)
    plain = target.model_copy(update={"own_loss": {"method": "focal", "gamma": 0.0}})
    assert plain.minimized(truth, np.array(raw, dtype=np.float32)).numpy().tolist() == pytest.approx(list(-np.log(probability)), rel=1e-5)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (
            "binary",
            "loss: huber",
            "columns.y.loss: the loss `huber` is for `task: regression`. Set `focal` or `logit_adjusted`, or leave it out.",
        ),
        (
            "regression",
            "loss: focal",
            "columns.y.loss: the loss `focal` is for `task: binary or multiclass or multilabel`. "
            "Set `squared`, `absolute` or `huber`, or leave it out.",
        ),
        (
            "regression",
            "error: huber, loss: {method: huber, delta: 2}",
            "columns.y.loss: `loss` and `error` both choose the loss. Leave one of them out.",
        ),
        (
            "multiclass",
            "loss: focal, label_smoothing: 0.1",
            "columns.y.loss: `label_smoothing` is for the cross-entropy, and `loss: focal` is another one. Leave one of them out.",
        ),
        (
            "binary",
            "loss: logit_adjusted, class_weights: effective",
            "columns.y.loss: `class_weights` and `loss: logit_adjusted` both correct for how often classes occur. Leave one of them out.",
        ),
        ("binary", "loss: asymmetric", "columns.y.loss: the loss `asymmetric` is for `task: multilabel`. Set `focal` or `logit_adjusted`"),
        ("multilabel", "loss: {method: asymmetric, margin: 1}", "columns.y.loss.margin: 1 is out of range. It has to be less than 1."),
        ("binary", "label_smoothing: 1", "columns.y.label_smoothing: 1 is out of range. It has to be less than 1."),
        ("binary", "loss: focl", "columns.y.loss.method: there is no method 'focl'. Did you mean 'focal'?"),
        ("binary", "loss: {method: focal, gamma: -1}", "columns.y.loss.gamma: -1 is out of range. It has to be 0 or more."),
    ],
)
def test_a_loss_that_does_not_fit_its_target_is_refused(tmp_path, task, options, message):
    write_experiment(tmp_path / "a.yaml", TREE.format(task=task, options=options))
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "a.yaml")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("task", "method"), [(task, method) for method, entry in losses.items() for task in entry.tasks if task in ("binary", "regression")]
)
def test_the_file_of_a_run_which_has_every_default_is_read_again(tmp_path, task, method):
    write_experiment(tmp_path / "a.yaml", TREE.format(task=task, options=f"loss: {method}"))
    experiment = load(tmp_path / "a.yaml")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(to_yaml(experiment, tmp_path / "run"), encoding="utf-8")
    assert load(tmp_path / "run" / "config.yaml").targets == experiment.targets


def test_a_fitted_target_keeps_the_declared_loss_in_its_file(tmp_path):
    write_experiment(tmp_path / "a.yaml", TREE.format(task="binary", options="loss: focal"))
    target = load(tmp_path / "a.yaml").targets["y"]
    fitted = BINARY.with_loss(target.loss)
    assert fitted.own_loss == {"method": "focal", "gamma": 2.0}
    again = type(fitted).model_validate(json.loads(fitted.model_dump_json()))
    assert again == fitted
    assert all(name in losses for name in ("squared", "absolute", "huber", "focal"))


def test_focal_loss_of_labels_is_that_of_each_known_label():
    target = MULTILABEL.model_copy(update={"own_loss": {"method": "focal", "gamma": 2.0}})
    truth = np.array([[1, 0, -1]], dtype=np.int8)
    raw = np.array([[0.0, np.log(0.25), 3.0]], dtype=np.float32)  # probabilities .5, .2 and one that is not looked at
    # The first label has the weight 2; the sum is divided by all three labels.
    expected = (2 * -np.log(0.5) * 0.5**2 + -np.log(0.8) * 0.2**2) / 3
    assert target.minimized(truth, raw).numpy().tolist() == pytest.approx([expected], rel=1e-5)


def test_asymmetric_loss_shifts_and_focuses_absent_labels():
    target = MULTILABEL.model_copy(
        update={"own_loss": {"method": "asymmetric", "gamma_positive": 1.0, "gamma_negative": 4.0, "margin": 0.05}}
    )
    truth = np.array([[1, 0, 0]], dtype=np.int8)
    raw = np.log(np.array([[0.3 / 0.7, 0.55 / 0.45, 0.04 / 0.96]], dtype=np.float32))
    # The last probability is below the margin.
    expected = (2 * -0.7 * np.log(0.3) + -(0.5**4) * np.log(0.5) + 0.0) / 3
    assert target.minimized(truth, raw).numpy().tolist() == pytest.approx([expected], rel=1e-5)


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_logit_adjusted_loss_adds_the_log_frequencies_of_training_rows(strength):
    counts = np.array([1, 10, 100])
    own = {"own_loss": {"method": "logit_adjusted", "strength": strength}}
    target = CLASSES.model_copy(update={"counts": tuple(counts.tolist()), **own})
    raw = np.array([[0.2, -0.1, 0.4]], dtype=np.float32)
    adjusted = np.exp(raw[0]) * counts**strength
    assert target.minimized(np.array([2]), raw).numpy()[0] == pytest.approx(-np.log(adjusted[2] / adjusted.sum()), rel=1e-5)
    two = BINARY.model_copy(update={"counts": (1, 100), **own})
    odds = np.exp(0.3) * 100**strength
    assert two.minimized(np.array([1]), np.array([[0.3]], dtype=np.float32)).numpy()[0] == pytest.approx(
        -np.log(odds / (1 + odds)), rel=1e-5
    )
    # A decision by the given frequencies puts back what the loss took out; `balanced` leaves the probabilities as they are.
    given = target.model_copy(update={"prior": tuple((counts / counts.sum()).tolist())})
    assert given.decision_factors == pytest.approx((counts / 100) ** strength)
    if strength == 1.0:
        assert target.model_copy(update={"prior": (1 / 3,) * 3}).decision_factors == pytest.approx([1, 1, 1])


def test_effective_class_weights_are_between_none_and_balanced():
    counts = {"rare": 10, "often": 5000}
    effective, balanced = class_weights(counts, "effective"), class_weights(counts, "balanced")
    ratio = effective["rare"] / effective["often"]
    assert ratio == pytest.approx((1 - 0.999**5000) / (1 - 0.999**10))
    assert 1 < ratio < balanced["rare"] / balanced["often"]
    assert sum(counts[name] * weight for name, weight in effective.items()) == pytest.approx(5010)
    labels = MultilabelTarget(column="y", class_weights="effective").fit({"y": pd.Series(["a"] * 2 + [""] * 98, dtype="str")}, "none")
    assert labels.weights == pytest.approx(((1 - 0.999**98) / (1 - 0.999**2),))
